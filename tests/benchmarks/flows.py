"""Rows of flows: what one costs in memory, and whether a packet costs more where there are many.

Each number of flows has a process of its own, which runs the relay's decisions without sockets:
first the core alone, called packet by packet as by plain sockets, then the batched faces on top of
it, on a kernel that costs next to nothing. Every flow is used both ways, so whatever is
remembered of a flow is there.

What a packet costs is measured with `TALKING` flows scattered among the others, because one core
cannot carry more calls than that; all others are silent. The remark says what it is when
every packet belongs to any flow at random, so that what it needs is in no cache of the processor.

A process prints its figures as JSON:

    python -m tests.benchmarks.flows FLOWS
"""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, cast

from examples.relay.batched import BatchedInside, BatchedOutside
from examples.relay.cache import Decisions
from examples.relay.columns import BATCH, DATA, NAME, STRIDE, is_available, write_name
from examples.relay.counters import Counters
from examples.relay.sockets import Outside
from examples.relay.worker import Face
from rtcproto.datagram import Address
from rtcproto.relay import RelayConfig, RelayCore
from rtcproto.routing import (
    EncipheredTokenCodec,
    Entry,
    StaticDirectory,
    encode_header,
)
from rtcproto.routing.table import MAX_FLOWS
from tests.benchmarks.harness import Contest, Row, Sizes, Skipped
from tests.benchmarks.programs import ROOT, cores, resident

__all__ = ["ROWS"]

FLOWS = (1, 10_000, 100_000)
MOST = 1_000_000
# 250,000 packets a second, both ways, at 50 a second.
TALKING = 2_500

PUBLIC, OWNER = ("203.0.113.1", 3478), ("192.168.0.1", 9000)
# Client n is 10.a.b.c, the three bytes of n.
PORT = 50_000
INSIDE, OUTSIDE = 3, 4
MEDIA = b"\x80\x6f" + bytes(198)
HEADER = encode_header(("10.0.0.0", PORT), PUBLIC)
# Where those three bytes are in a header, and in a slot of each face.
IN_HEADER = 15
AT = {OUTSIDE: NAME + 5, INSIDE: DATA + IN_HEADER}

# Batches of one measurement, and measurements; the best counts.
BATCHES, PASSES = 150, 7


class Feed:
    """A kernel with one batch to give, whose packets differ in the client; it takes everything."""

    def __init__(self) -> None:
        self._slots: dict[int, memoryview] = {}
        self._headers: dict[int, memoryview] = {}
        self.descriptor = 0
        self.clients: list[bytes] = []

    def receive(self, descriptor: int, headers: int, count: int) -> int:
        """The batch, once."""
        if descriptor not in self._slots:
            self._lay_out(descriptor, headers)
        if descriptor != self.descriptor or not self.clients:
            return -errno.EAGAIN
        clients, self.clients = self.clients, []
        slots, size = self._slots[descriptor], len(clients[0])
        for index, column in enumerate(clients, AT[descriptor]):
            slots[index : size * STRIDE : STRIDE] = column
        whole = len(MEDIA) + (len(HEADER) if descriptor == INSIDE else 0)
        self._headers[descriptor][7 : 8 * size : 8] = memoryview(
            struct.pack(f"={size}Q", *(whole,) * size)
        ).cast("Q")
        return size

    def send(self, descriptor: int, headers: int, count: int) -> int:
        """Everything is sent."""
        return count

    def send_one(self, descriptor: int, header: int) -> int:
        """The same in one piece."""
        return 1

    def _lay_out(self, descriptor: int, headers: int) -> None:
        view = memoryview((ctypes.c_char * (BATCH * 64)).from_address(headers)).cast("B").cast("Q")
        start = view[0] - NAME
        slots = memoryview((ctypes.c_char * (BATCH * STRIDE)).from_address(start)).cast("B")
        inside = descriptor == INSIDE
        name = write_name(OWNER if inside else ("10.0.0.0", PORT))
        data = HEADER + MEDIA if inside else MEDIA
        for slot in range(0, BATCH * STRIDE, STRIDE):
            slots[slot + NAME : slot + NAME + len(name)] = name
            slots[slot + DATA : slot + DATA + len(data)] = data
        self._slots[descriptor], self._headers[descriptor] = slots, view


class _Socket:
    """As much of a socket as the faces use."""

    family = socket.AF_INET

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """Its number."""
        return self._number

    def sendto(self, data: bytes, address: Address) -> int:
        """One datagram, gone."""
        return len(data)


def _columns(numbers: list[int]) -> list[bytes]:
    return [bytes(number >> shift & 255 for number in numbers) for shift in (16, 8, 0)]


class Batched:
    """The faces of a worker."""

    def __init__(self, core: RelayCore) -> None:
        self._feed = Feed()
        decisions, counters = Decisions(core), Counters()
        inside = cast(Any, _Socket(INSIDE))
        outside = BatchedOutside(
            Outside(cast(Any, _Socket(OUTSIDE)), PUBLIC, PUBLIC),
            inside, core, counters, decisions, self._feed,
        )  # fmt: skip
        self._faces: dict[int, Face] = {
            OUTSIDE: outside,
            INSIDE: BatchedInside(
                inside, core, counters, decisions, self._feed,
                {PUBLIC: outside.send}, [outside],
                lambda now: decisions.apply(core.next_events()),
            ),
        }  # fmt: skip

    def forward(self, face: int, batches: list[list[int]]) -> Callable[[], None]:
        """What sends these batches of clients through a face."""
        turn, feed, columns = self._faces[face].turn, self._feed, list(map(_columns, batches))

        def run() -> None:
            feed.descriptor = face
            for clients in columns:
                feed.clients = clients
                turn(0.0)

        return run


class Plain:
    """The core, packet by packet."""

    def __init__(self, core: RelayCore) -> None:
        self._core = core

    def forward(self, face: int, batches: list[list[int]]) -> Callable[[], None]:
        """The same."""
        core = self._core
        numbers = [number for batch in batches for number in batch]

        def inward() -> None:
            route = core.route_outside
            # An address is made for each packet, by the socket.
            for number in numbers:
                host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
                route(MEDIA, (host, PORT), PUBLIC, 0.0)

        def outward() -> None:
            route, (host, port) = core.route_inside, OWNER
            before, after = HEADER[:IN_HEADER], HEADER[IN_HEADER + 3 :] + MEDIA
            for number in numbers:
                data = before + number.to_bytes(3, "big") + after
                route(data, ("".join((host[:3], host[3:])), port), 0.0)
            core.next_events()

        return inward if face == OUTSIDE else outward


def measure(flows: int) -> dict[str, float]:
    """Build so many flows, and send packets through them."""
    core = RelayCore(
        RelayConfig(publics=frozenset((PUBLIC,)), max_flows=max(flows, MAX_FLOWS)),
        EncipheredTokenCodec({"A": bytes(16)}, "A"),
        StaticDirectory({(0, 1): Entry(OWNER)}),
    )
    plain, batched = Plain(core), Batched(core)
    gc.collect()
    gc.disable()
    chance = random.Random(1)
    talking = [chance.randrange(flows) for _ in range(min(flows, TALKING))]
    figures: dict[str, float] = {}
    before = resident(os.getpid())
    for form, rig in (("core", plain), ("batched", batched)):
        started = time.thread_time()
        # The first packets of the owners make the flows; a look at each way remembers it.
        for first in range(0, flows, BATCH):
            batch = [[*range(first, min(flows, first + BATCH))]]
            rig.forward(INSIDE, batch)()
            if rig is batched:
                rig.forward(OUTSIDE, batch)()
        figures[f"{form} seconds"] = time.thread_time() - started
        figures[f"{form} bytes"] = (resident(os.getpid()) - before) / flows
        for name, pick in (
            ("talking", lambda: chance.choice(talking)),
            ("any", lambda: chance.randrange(flows)),
        ):
            ways = (_cost(rig, face, pick) for face in (OUTSIDE, INSIDE))
            figures[f"{form} {name}"] = sum(ways) / 2
    stats = core.stats()
    sent = 4 * PASSES * BATCHES * BATCH
    assert stats.flows == flows
    assert (stats.packets_inward, stats.packets_outward) == (sent + flows, sent + 2 * flows)
    started = time.thread_time()
    gc.collect()
    figures["collection"] = time.thread_time() - started
    return figures


def _cost(rig: Plain | Batched, face: int, pick: Callable[[], int]) -> float:
    """Nanoseconds per packet."""
    best = float("inf")
    for _ in range(PASSES):
        run = rig.forward(face, [[pick() for _ in range(BATCH)] for _ in range(BATCHES)])
        started = time.thread_time()
        run()
        best = min(best, time.thread_time() - started)
    return best * 1e9 / BATCHES / BATCH


# -- Rows


@cache
def _measured(flows: int) -> dict[str, float]:
    """Once for all rows: a million flows take a while."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.flows", str(flows)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        preexec_fn=partial(os.sched_setaffinity, 0, {cores()[0]}),
        check=True,
        timeout=240,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@contextmanager
def _contest(figure: str, remark: Callable[[], str], sizes: Sizes) -> Iterator[Contest]:
    if not is_available():
        raise Skipped("no batches on this system")
    cores()
    yield Contest(
        ours=lambda: _measured(MOST)[figure],
        peers={_name(flows): partial(_figure, flows, figure) for flows in FLOWS},
        notes={str(flows): _measured(flows) for flows in (*FLOWS, MOST)},
        remark=remark,
    )


def _figure(flows: int, figure: str) -> float:
    return _measured(flows)[figure]


def _name(flows: int) -> str:
    return f"{flows:,} flow" + "s" * (flows > 1)


def _row(
    name: str,
    unit: str,
    figure: str,
    bars: dict[int, float | None],
    remark: Callable[[], str],
) -> Row:
    return Row(
        name=f"relay {name}, {_name(MOST)}",
        unit=unit,
        bars={_name(flows): bar for flows, bar in bars.items()},
        prepare=partial(_contest, figure, remark),
        rounds=1,
        micro=False,
    )


def _built() -> str:
    seen = _measured(MOST)
    seconds = seen["core seconds"] + seen["batched seconds"]
    return f"max_flows raised from {MAX_FLOWS:,}, built in {seconds:.0f} s"


def _picked(form: str) -> str:
    figure = f"{form} any"
    return f"any flow: {_figure(MOST, figure):.0f} ns, of 10,000: {_figure(10_000, figure):.0f} ns"


MEMORY: dict[int, float | None] = {100_000: 1.1, 10_000: 1.1}
COST: dict[int, float | None] = {100_000: 1.25, 10_000: 1.25, 1: None}

ROWS = [
    _row("memory per flow", "B", "batched bytes", MEMORY, _built),
    _row("memory per flow, core alone", "B", "core bytes", MEMORY, _built),
    _row("decision", "ns", "batched talking", COST, partial(_picked, "batched")),
    _row("decision, core alone", "ns", "core talking", COST, partial(_picked, "core")),
]


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
