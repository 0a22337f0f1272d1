"""The deadlines of many sessions, the next one found at once.

Called by `Endpoint`. A heap of (time, ticket, entry). One per entry counts, that of
its `ticket`: by time alone a deadline that comes back would count twice. What no
longer counts is swept out when it has become most of the heap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from rtcproto.endpoint.entries import Entry

__all__ = ["Deadlines"]


class Deadlines:
    """At most one deadline that counts per entry, the earliest it was given."""

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def arm(self, entry: Entry, deadline: float, entries: int) -> None:
        """Wake `entry` at `deadline`, not when it would have; `entries` is how many there are."""
        entry.armed = deadline
        self._order += 1
        entry.ticket = self._order
        heapq.heappush(self._heap, (deadline, self._order, entry))
        if len(self._heap) > 64 + 4 * entries:
            # In place: `due` may be in the middle of it.
            self._heap[:] = [item for item in self._heap if item[2].ticket == item[1]]
            heapq.heapify(self._heap)

    def disarm(self, entry: Entry) -> None:
        """Its deadline counts no more."""
        entry.armed, entry.ticket = None, 0
        self._prune()

    def due(self, now: float) -> Iterator[Entry]:
        """Each entry whose deadline is at or before `now`, disarmed; exhaust it."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, ticket, entry = heapq.heappop(heap)
            if entry.ticket == ticket:
                entry.armed, entry.ticket = None, 0
                yield entry
        self._prune()

    def next(self) -> float | None:
        """The next deadline that counts, or None."""
        return self._heap[0][0] if self._heap else None

    def _prune(self) -> None:
        # Only the top can be asked for: it must be a deadline that still counts,
        # or an endpoint without sessions would keep waking its driver.
        heap = self._heap
        while heap and heap[0][2].ticket != heap[0][1]:
            heapq.heappop(heap)
