"""An event loop's timers on virtual time: what `loop.call_later` and a clock are made of."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

__all__ = ["VirtualLoop"]


class _Handle:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Let it not be called."""
        self.callback = None


class VirtualLoop:
    """Time stands still but in `run`. `woken` counts the callbacks that were called."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.woken = 0
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, _Handle]] = []

    def clock(self) -> float:
        """What time it is, seconds."""
        return self.now

    def later(self, delay: float, callback: Callable[[], None]) -> _Handle:
        """Call back in `delay` seconds."""
        assert delay >= 0, "nothing is due in the past"
        handle = _Handle(callback)
        heapq.heappush(self._heap, (self.now + delay, next(self._numbers), handle))
        return handle

    @property
    def pending(self) -> int:
        """Callbacks to come."""
        return sum(handle.callback is not None for _, _, handle in self._heap)

    def run(self, seconds: float) -> None:
        """Let time pass, and call what is due meanwhile."""
        until = self.now + seconds
        while self._heap and self._heap[0][0] <= until:
            when, _, handle = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            if handle.callback is not None:
                self.woken += 1
                handle.callback()
        self.now = until
