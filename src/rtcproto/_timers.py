"""Deadlines as members of an enum in a table.

A machine names each of its timers in an enum whose values are sentences, and
keeps all deadlines in one `TimerTable`. `next()` feeds `get_timer()`;
`expired(now)` is drained by `handle_timer(now)`, which is how the law "after
`handle_timer(t)`, `get_timer()` is None or later than t" is kept: a timer that
fired is stopped before its handler runs, and a handler may only set later ones.
"""

from __future__ import annotations

import enum
from typing import Generic, TypeVar

__all__ = ["TimerTable"]

E = TypeVar("E", bound=enum.Enum)


class TimerTable(Generic[E]):
    """At most one deadline per enum member. Times are seconds, as everywhere."""

    __slots__ = ("_deadlines", "_next")

    def __init__(self) -> None:
        self._deadlines: dict[E, float] = {}
        self._next: float | None = None

    def set(self, timer: E, deadline: float) -> None:
        """Arm `timer`, replacing the deadline it had."""
        self._deadlines[timer] = deadline
        self._next = min(self._deadlines.values())

    def stop(self, timer: E) -> None:
        """Disarm `timer`; no effect if it is not armed."""
        if self._deadlines.pop(timer, None) is not None:
            self._next = min(self._deadlines.values(), default=None)

    def stop_all(self) -> None:
        """Disarm everything."""
        self._deadlines.clear()
        self._next = None

    def get(self, timer: E) -> float | None:
        """The deadline of `timer`, or None."""
        return self._deadlines.get(timer)

    def next(self) -> float | None:
        """The earliest deadline, or None."""
        return self._next

    def reason(self) -> E | None:
        """The timer that is due next, or None: what a needless wake-up was for."""
        return min(self._deadlines, key=self._deadlines.__getitem__, default=None)

    def expired(self, now: float) -> list[E]:
        """Stop and return the timers with a deadline at or before `now`, earliest first."""
        if self._next is None or self._next > now:
            return []
        due = sorted(
            (t for t, d in self._deadlines.items() if d <= now), key=self._deadlines.__getitem__
        )
        for timer in due:
            del self._deadlines[timer]
        self._next = min(self._deadlines.values(), default=None)
        return due
