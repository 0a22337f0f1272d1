"""Alternated rounds: what a row is, how it is measured, and what comes out.

A *candidate* is a function that measures itself once and gives the cost of one
operation in the row's unit: time, CPU time, or memory. A *contest* is ours and
the peers'. A row knows how to set its contest up, and the bar for each peer.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import metadata
from itertools import repeat
from typing import Any, TypeAlias

import attrs

__all__ = [
    "Candidate",
    "Contest",
    "Result",
    "Row",
    "Skipped",
    "Sizes",
    "each",
    "loop",
    "machine",
    "run_row",
    "steady",
]

Candidate: TypeAlias = Callable[[], float]


class Skipped(Exception):
    """A row or a peer cannot run here; the text says why, in a few words."""


@attrs.frozen(kw_only=True)
class Sizes:
    """How much work: `operations` per measurement of a micro-benchmark, `rounds` by default.

    `quick` runs one round of very little, to see that everything works.
    """

    quick: bool = False
    rounds: int | None = None

    @property
    def operations(self) -> int:
        """Calls timed together: a millisecond or two, so that few rounds are disturbed."""
        return 20 if self.quick else 1000

    def rounds_of(self, row: Row) -> int:
        """Rounds to run of `row`."""
        return 1 if self.quick else self.rounds or row.rounds


@attrs.frozen(kw_only=True)
class Contest:
    """Who runs. `skipped`: peers that cannot, and why. `notes`: what else was seen.

    `remark` says after the last round what of it belongs in the table.
    """

    ours: Candidate
    peers: dict[str, Candidate]
    skipped: dict[str, str] = attrs.field(factory=dict)
    notes: dict[str, Any] = attrs.field(factory=dict)
    remark: Callable[[], str] | None = None


@attrs.frozen(kw_only=True)
class Row:
    """One line (or one per peer) of the table.

    `bars` maps a peer to the largest ratio (ours / peer) that is good enough, None where
    there is no bar. With `difference`, what is compared is ours minus peer, in the unit.
    """

    name: str
    unit: str
    bars: dict[str, float | None]
    prepare: Callable[[Sizes], AbstractContextManager[Contest]]
    rounds: int = 61
    difference: bool = False
    # Whole programs take seconds per round and are left out of --quick.
    micro: bool = True


@attrs.frozen(kw_only=True)
class Result:
    """One row against one peer: best of all rounds, and the median ratio within a round."""

    row: str
    peer: str
    unit: str
    ours: float | None
    theirs: float | None
    reached: float | None
    bar: float | None
    rounds: int
    difference: bool = False
    skipped: str = ""
    remark: str = ""
    notes: dict[str, Any] = attrs.field(factory=dict)

    @property
    def verdict(self) -> str:
        """`ok`, `short`, `skipped`, or `-` where there is no bar."""
        if self.reached is None:
            return "skipped"
        if self.bar is None:
            return "-"
        return "ok" if self.reached <= self.bar else "short"


def run_row(row: Row, sizes: Sizes) -> list[Result]:
    """Run one row; a row that cannot run gives results that say so."""
    rounds = sizes.rounds_of(row)
    try:
        with row.prepare(sizes) as contest:
            return _run_contest(row, contest, rounds)
    except Skipped as reason:
        return [_skipped(row, peer, str(reason)) for peer in row.bars]


def _run_contest(row: Row, contest: Contest, rounds: int) -> list[Result]:
    candidates = [("", contest.ours), *contest.peers.items()]
    costs: dict[str, list[float]] = {name: [] for name, _ in candidates}
    for number in range(rounds):
        turn = number % len(candidates)
        for name, candidate in candidates[turn:] + candidates[:turn]:
            costs[name].append(candidate())
    results = []
    for peer, bar in row.bars.items():
        if peer in contest.skipped:
            results.append(_skipped(row, peer, contest.skipped[peer]))
            continue
        pairs = zip(costs[""], costs[peer], strict=True)
        compared = [ours - peer if row.difference else ours / peer for ours, peer in pairs]
        results.append(
            Result(
                row=row.name,
                peer=peer,
                unit=row.unit,
                ours=min(costs[""]),
                theirs=min(costs[peer]),
                reached=statistics.median(compared),
                bar=bar,
                rounds=rounds,
                difference=row.difference,
                remark="" if contest.remark is None else contest.remark(),
                notes=contest.notes,
            )
        )
    return results


def _skipped(row: Row, peer: str, reason: str) -> Result:
    return Result(
        row=row.name,
        peer=peer,
        unit=row.unit,
        ours=None,
        theirs=None,
        reached=None,
        bar=row.bars[peer],
        rounds=0,
        skipped=reason,
    )


# -- Candidates of micro-benchmarks: nanoseconds per call


def loop(operation: Callable[[], object], count: int) -> Candidate:
    """Call `operation` `count` times."""

    def measure() -> float:
        start = _clock()
        for _ in repeat(None, count):
            operation()
        return (_clock() - start) / count

    return measure


def each(operation: Callable[[Any], object], arguments: Callable[[], Iterable[Any]]) -> Candidate:
    """Call `operation` with each of `arguments()`, which is made outside the timed part."""

    def measure() -> float:
        items = list(arguments())
        start = _clock()
        for item in items:
            operation(item)
        return (_clock() - start) / len(items)

    return measure


# The CPU time of this thread: what other processes do on the same core is not counted.
_clock = time.thread_time_ns


@contextmanager
def steady() -> Iterator[None]:
    """Keep to one core (the last allowed), where the system can, and collect no garbage."""
    pins = hasattr(os, "sched_setaffinity")
    allowed = os.sched_getaffinity(0) if pins else set()
    collects = gc.isenabled()
    gc.disable()
    if pins:
        os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        if pins:
            os.sched_setaffinity(0, allowed)
        if collects:
            gc.enable()


# -- What it ran on


def machine() -> dict[str, Any]:
    """The computer and the versions, for the report."""
    packages = ("rtcproto", "cryptography", "pyOpenSSL", "aiortc", "aioice", "pylibsrtp")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
