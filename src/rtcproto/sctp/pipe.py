"""What the path holds without a queue: its delivery rate times its shortest round trip.

Fed by the sender with what is acknowledged and with measured round trips; asked by
the congestion window after a loss. The rate is what arrived per second over whole
round trips, the best of the last few, because one with a loss in it delivers less
than the path could. The shortest round trip is kept for good: on a path that has
become longer the figure is too small, and then nobody is told more than RFC 9260 says.
"""

from __future__ import annotations

__all__ = ["Pipe"]

# Round trips whose best counts.
ROUNDS = 4


class Pipe:
    """An estimate in bytes; 0 until something was measured."""

    __slots__ = ("_bytes", "_rates", "_since", "shortest")

    def __init__(self) -> None:
        # The shortest round trip, seconds; None before the first.
        self.shortest: float | None = None
        # Bytes that arrived since then, and the last rates.
        self._since = 0.0
        self._bytes = 0
        self._rates: list[float] = []

    @property
    def size(self) -> int:
        """Bytes."""
        if self.shortest is None or not self._rates:
            return 0
        return int(max(self._rates) * self.shortest)

    def measured(self, round_trip: float) -> None:
        """Take a round trip of a packet that was sent once."""
        if self.shortest is None or round_trip < self.shortest:
            self.shortest = round_trip

    def arrived(self, size: int, round_trip: float | None, now: float) -> None:
        """`size` bytes were acknowledged; `round_trip` is the usual one at this time."""
        elapsed = now - self._since
        if round_trip is None or elapsed > 4 * round_trip:
            # The first, or the first after a silence: what came before says nothing.
            self._since, self._bytes = now, 0
            return
        self._bytes += size
        if elapsed >= round_trip and elapsed > 0:
            self._rates = [*self._rates[1 - ROUNDS :], self._bytes / elapsed]
            self._since, self._bytes = now, 0
