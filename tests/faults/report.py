"""What the faults did to calls, as rows of a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import attrs

from tests.faults.town import Heard

__all__ = ["Row", "as_table", "measure"]


@attrs.frozen(kw_only=True)
class Row:
    """One fault. Milliseconds; None is what does not apply, infinity what never came."""

    fault: str
    calls: int
    # The longest silence of each call, from the fault on.
    gap_median: float
    gap_longest: float
    # From the moment at which what was killed listened again until audio arrived.
    listening_median: float | None = None
    listening_longest: float | None = None
    lost_calls: int
    # Of packets that were to be echoed.
    lost_packets: int | None = None
    goal: str
    met: bool
    note: str = ""


def measure(
    fault: str,
    heard: Sequence[Heard],
    since: float,
    *,
    goal: str,
    gap: float | None = None,
    listening: float | None = None,
    after_listening: float | None = None,
    packets: int | None = None,
    note: str = "",
) -> Row:
    """A row about calls in which something happened at `since`.

    `gap` and `after_listening` are goals, in milliseconds: for every call. `listening` is when what
    was killed was there again, `packets` how many may be lost of those to be echoed.
    No call may be lost.
    """
    gaps = [1000 * call.gap(since) for call in heard]
    back = None if listening is None else [1000 * call.back(listening) for call in heard]
    lost_calls = sum(call.lost for call in heard)
    lost = None if packets is None else sum(call.sent - call.returned for call in heard)
    met = not lost_calls
    met = met and (gap is None or max(gaps) <= gap)
    met = met and (after_listening is None or back is None or max(back) <= after_listening)
    met = met and (lost is None or packets is None or lost <= packets)
    return Row(
        fault=fault,
        calls=len(heard),
        gap_median=statistics.median(gaps),
        gap_longest=max(gaps),
        listening_median=None if back is None else statistics.median(back),
        listening_longest=None if back is None else max(back),
        lost_calls=lost_calls,
        lost_packets=lost,
        goal=goal,
        met=met,
        note=note,
    )


HEAD = (
    "fault", "calls", "gap p50", "gap max", "after listening p50", "max", "lost calls",
    "lost packets", "goal", "met",
)  # fmt: skip


def as_table(rows: Sequence[Row]) -> str:
    """Markdown, in columns."""
    lines = [
        (
            row.fault,
            str(row.calls),
            _ms(row.gap_median),
            _ms(row.gap_longest),
            _ms(row.listening_median),
            _ms(row.listening_longest),
            str(row.lost_calls),
            "" if row.lost_packets is None else str(row.lost_packets),
            row.goal,
            "yes" if row.met else "NO",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(HEAD, *lines, strict=True)]
    out = [HEAD, tuple("-" * width for width in widths), *lines]
    table = "\n".join(
        "| " + " | ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)) + " |"
        for line in out
    )
    notes = "".join(f"\n{row.fault}: {row.note}" for row in rows if row.note)
    return table + ("\n" + notes if notes else "")


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value < float("inf") else "never"
