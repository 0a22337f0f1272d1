"""One timer for all calls: deadlines on a grid, served together.

A timer per call would wake the event loop fifty times a second for each; this one wakes
it once for all that is due within `TICK`. Called by the agents of calls. A packet
may leave `TICK` late for it, the first of an answer, and the ones that follow keep the
grid, so they are in time.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable
from typing import Protocol

__all__ = ["TICK", "Later", "Ticker", "Timed"]

logger = logging.getLogger("transceiver")

# Seconds between two points of the grid: a quarter of a frame.
TICK = 0.005

# Seconds between two log lines about deadlines that raise.
TELLING_INTERVAL = 1.0

# How close to a point of the grid a deadline may be to be that point, in ticks.
_SAME = 1e-3


class Timed(Protocol):
    """Who has deadlines."""

    def handle_timer(self, now: float) -> None:
        """Act on what is due at or before `now`, and say anew when to be called."""


class Handle(Protocol):
    """What an event loop gives for a callback to come."""

    def cancel(self) -> None:
        """Let it not be called."""


Later = Callable[[float, Callable[[], None]], Handle]
"""Calls back so many seconds from now: `loop.call_later`."""


class Ticker:
    """Serves the deadlines of any number of `Timed`. `clock` gives `now`, seconds."""

    def __init__(self, clock: Callable[[], float], later: Later) -> None:
        self._clock = clock
        self._later = later
        # By point of the grid, who is to be served there; the points, the next one first.
        self._slots: dict[int, dict[Timed, None]] = {}
        self._heap: list[int] = []
        self._due: dict[Timed, int] = {}
        self._handle: Handle | None = None
        self._armed: int | None = None
        self._firing = False
        # When a deadline that raised was last logged.
        self._told_at: float | None = None

    def __len__(self) -> int:
        return len(self._due)

    def at(self, timed: Timed, when: float | None) -> None:
        """Serve `timed` at `when` or up to `TICK` later, instead of what was said before."""
        slot = None if when is None else math.ceil(when / TICK - _SAME)
        before = self._due.get(timed)
        if slot == before:
            return
        if before is not None:
            del self._slots[before][timed]
            del self._due[timed]
        if slot is not None:
            self._due[timed] = slot
            if slot not in self._slots:
                self._slots[slot] = {}
                heapq.heappush(self._heap, slot)
            self._slots[slot][timed] = None
        if not self._firing:
            self._arm()

    def close(self) -> None:
        """Serve nobody any more."""
        self._slots.clear()
        self._heap.clear()
        self._due.clear()
        self._arm()

    def _arm(self) -> None:
        # A deadline that moved leaves its point empty.
        while self._heap and not self._slots[self._heap[0]]:
            del self._slots[heapq.heappop(self._heap)]
        slot = self._heap[0] if self._heap else None
        if slot == self._armed:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._armed, self._handle = slot, None
        if slot is not None:
            self._handle = self._later(max(0.0, slot * TICK - self._clock()), self._fire)

    def _fire(self) -> None:
        self._handle, armed, self._armed = None, self._armed, None
        # Event loops wake a hair early, and a deadline may be a hair beyond its point: who is
        # served before his time would be back here at once.
        now = self._clock() if armed is None else max(self._clock(), (armed + _SAME) * TICK)
        due: list[Timed] = []
        while self._heap and self._heap[0] * TICK <= now:
            due += self._slots.pop(heapq.heappop(self._heap))
        for timed in due:
            del self._due[timed]
        self._firing = True
        for timed in due:
            try:
                timed.handle_timer(now)
            except Exception:
                # One call's bug must not stop the others' audio, nor fill the log: a caller
                # who has found it can have it happen with every packet of every call.
                if self._told_at is None or now - self._told_at >= TELLING_INTERVAL:
                    self._told_at = now
                    logger.exception("the deadline of a call raised")
        self._firing = False
        self._arm()
