"""How many events of a client are acted on: as many as a conversation has, not as many as fit.

An event of a few bytes can have a session of 128 KiB written out, and one of a megabyte takes
a tenth of a second to read, while every other call of the process waits. So events cost what
they bring and what they draw, and are refused while there is nothing left.

Called by the agent of a call, for its channel and for its side bands apart: a client cannot
use up what its operator needs. Sans-IO.
"""

from __future__ import annotations

__all__ = ["BURST", "PER_EVENT", "RATE", "TELLING_INTERVAL", "Allowance"]

# What may be spent at once, and what comes back per second, in bytes of answers. A history of
# two megabytes is told in one go; afterwards it is 300 small events a second.
BURST = 16 << 20
RATE = 1 << 20

# What an event costs beside its bytes, and a byte of it beside one that we write: JSON that is
# all brackets is read thirty times as slowly as text is written.
PER_EVENT = 2048
_READING = 4

# Seconds between two times that a client is told.
TELLING_INTERVAL = 1.0


class Allowance:
    """What one side may spend. All times are the caller's seconds."""

    __slots__ = ("_at", "_left", "_told_at")

    def __init__(self, now: float) -> None:
        self._left = float(BURST)
        self._at = now
        self._told_at: float | None = None

    def admits(self, now: float) -> bool:
        """Whether an event that came now is acted on."""
        self._left = min(self._left + max(0.0, now - self._at) * RATE, float(BURST))
        self._at = now
        return self._left > 0

    def spend(self, read: int, written: int) -> None:
        """An event of so many bytes was acted on, and drew so many. One may leave a debt."""
        cost = PER_EVENT + _READING * read + written
        self._left = max(self._left - cost, -float(BURST))

    def tells(self, now: float) -> bool:
        """Whether it is time to tell that events are refused; notes it."""
        if self._told_at is not None and now - self._told_at < TELLING_INTERVAL:
            return False
        self._told_at = now
        return True
