"""Consent freshness of one path, RFC 7675 section 5.1: arithmetic on a few times.

Consent is given by an authenticated answer to one of our requests and expires
`timeout` seconds after the newest. Requests leave every `interval` seconds
times a factor drawn anew from 0.8 to 1.2, and are never repeated. Nothing here
sends; the agent asks for `deadline` and tells what it did.
"""

from __future__ import annotations

__all__ = ["Consent"]


class Consent:
    """`given` is when the newest answer came, `asked` when the newest request left."""

    __slots__ = ("asked", "check", "given", "timeout")

    def __init__(self, timeout: float, now: float) -> None:
        self.timeout = timeout
        self.given = now
        self.asked: float | None = None
        # When the next request is due; None while this path is let to expire.
        self.check: float | None = None

    @property
    def expiry(self) -> float:
        """When consent ends unless an answer comes first."""
        return self.given + self.timeout

    @property
    def unanswered(self) -> float | None:
        """When the newest request left, if no answer has come since."""
        return None if self.asked is None or self.given >= self.asked else self.asked

    @property
    def deadline(self) -> float:
        """When to look at this path again."""
        return self.expiry if self.check is None else min(self.check, self.expiry)

    def answered(self, now: float) -> None:
        """An authenticated answer came from the path."""
        self.given = now

    def schedule(self, interval: float, fraction: float, now: float) -> None:
        """Set the next request; `fraction` is random in [0, 1)."""
        # RFC 7675 section 5.1: "each interval MUST be randomized from between
        # 0.8 and 1.2 times the basic period".
        self.check = now + interval * (0.8 + 0.4 * fraction)

    def sent(self, now: float) -> None:
        """A consent request left."""
        self.asked = now
