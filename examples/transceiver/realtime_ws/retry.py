"""When to connect again. Sans-IO.

The first attempt is made when it is wanted; after a failure the next waits, each time
twice as long, so a server that is down is asked by no crowd. A caller who waits for an
answer shortens the wait. The delays are spread at random: calls that were cut off together
come back one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["FIRST_DELAY", "HURRIED_DELAY", "MAX_DELAY", "Retry"]

# Seconds before the second attempt, and at most.
FIRST_DELAY: Final = 0.25
MAX_DELAY: Final = 15.0

# Seconds between two attempts while a caller waits.
HURRIED_DELAY: Final = 0.5


class Retry:
    """The attempts of one call. `at` is when to make the next; None: not now."""

    __slots__ = ("_delay", "_entropy", "_tried", "at")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self.at: float | None = None
        self._entropy = entropy
        self._delay = FIRST_DELAY
        self._tried: float | None = None

    def want(self, now: float, *, hurried: bool) -> None:
        """A connection is needed, and if `hurried`, somebody waits for it."""
        if self._tried is None:
            self._tried = self.at = now
        elif hurried and self.at is not None:
            self.at = min(self.at, max(now, self._tried + HURRIED_DELAY))

    def begun(self, now: float) -> None:
        """An attempt is being made."""
        self.at, self._tried = None, now

    def succeeded(self) -> None:
        """The server has shown that it works: after this, delays are short again."""
        self._delay = FIRST_DELAY

    def failed(self, now: float, *, hopeless: bool = False) -> None:
        """There is no connection any more, or there never was. `hopeless`: not in a hurry."""
        delay = MAX_DELAY if hopeless else self._delay
        self._delay = min(2 * self._delay, MAX_DELAY)
        self.at = now + delay * (0.5 + self._entropy(1)[0] / 512)
