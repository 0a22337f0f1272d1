"""Call ids: `rtc_<cluster>.<owner>.<epoch>.<128 random bits>`.

The first three numbers say which transceiver owns the call, so that anything in
front of several of them can pass a DELETE on without asking around. They are no
secret; the random part is what makes an id hard to guess.
"""

from __future__ import annotations

import attrs

__all__ = ["CallId"]

_PREFIX = "rtc_"

# Characters of the random part that tell calls apart in a log, and no more than that:
# whoever knows the whole id can end the call.
_SHOWN = 8

# The whole id, characters: three numbers of up to five digits and 32 hex digits.
_MAX_LENGTH = 64


@attrs.frozen
class CallId:
    """Who owns a call, and the endpoint's id of its session."""

    cluster: int
    owner: int
    epoch: int
    session: str

    def __str__(self) -> str:
        return f"{_PREFIX}{self.cluster}.{self.owner}.{self.epoch}.{self.session}"

    @property
    def shown(self) -> str:
        """The id for people and logs: enough to find a call, not to end it."""
        return f"{self.of(self.session[:_SHOWN])}..."

    def of(self, session: str) -> CallId:
        """The id of another session of the same owner."""
        return attrs.evolve(self, session=session)

    @classmethod
    def parse(cls, text: str) -> CallId | None:
        """The id in `text`, or None: whatever is not spelled as `str` spells it."""
        if len(text) > _MAX_LENGTH or not text.startswith(_PREFIX):
            return None
        parts = text[len(_PREFIX) :].split(".")
        if len(parts) != 4 or not all(part.isascii() and part.isalnum() for part in parts):
            return None
        if not all(part.isdigit() for part in parts[:3]):
            return None
        parsed = cls(int(parts[0]), int(parts[1]), int(parts[2]), parts[3])
        return parsed if str(parsed) == text else None
