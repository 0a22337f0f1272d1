"""Whose calls are whose: what HTTP remembers of each call, and how many a token may have.

Nobody has to say that a call is over: with every 64th new call the register looks which
still are. Limits hold for this transceiver alone: behind
one address, N transceivers allow N times as much.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import attrs

from examples.transceiver.auth import Caller
from examples.transceiver.callid import CallId
from examples.transceiver.ports import CallTable

__all__ = ["Entry", "Limits", "Register", "TooManyCalls"]

# New calls from one look for those that are over to the next.
_SLACK = 64


class TooManyCalls(Exception):
    """A token has as many calls as it may (HTTP: 429)."""


@attrs.frozen(kw_only=True)
class Limits:
    """How many calls each may have at once.

    `per_source` counts only calls that are not connected, and only where nobody is asked
    for a token: abandoned offers cost an attacker nothing, calls that go on do.
    """

    per_key: int
    per_secret: int
    per_source: int


@attrs.define(kw_only=True)
class Entry:
    """One call: its id, the API key and the token that began it, the ETag of its ICE session."""

    call_id: CallId
    key: str
    token: str
    etag: str = attrs.field(factory=lambda: new_etag())


def new_etag() -> str:
    """A strong entity tag, RFC 9110 section 8.8.3, that was not used before."""
    return f'"{secrets.token_hex(8)}"'


class Register:
    """The entries of `calls`, and their limits."""

    def __init__(self, calls: CallTable, limits: Limits) -> None:
        self._calls = calls
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        self._by_token: dict[str, set[str]] = {}
        self._added = 0

    def __len__(self) -> int:
        return len(self._entries)

    def admit(self, caller: Caller) -> None:
        """Raise TooManyCalls if `caller` may not begin another call."""
        limit = self._limit(caller)
        if len(self._by_token.get(caller.token, ())) < limit:
            return
        # Not everybody's: whoever has too many may ask as often as he likes.
        self._forget_over(list(self._by_token.get(caller.token, ())))
        entries = [self._entries[name] for name in self._by_token.get(caller.token, ())]
        if caller.token.startswith("source "):
            entries = [entry for entry in entries if not self._connected(entry)]
        if len(entries) >= limit:
            raise TooManyCalls(f"there are {limit} calls already")

    def add(self, call_id: CallId, caller: Caller) -> Entry:
        """Remember a call that `caller` began."""
        entry = Entry(call_id=call_id, key=caller.key, token=caller.token)
        self._added += 1
        if self._added % _SLACK == 0:
            self._forget_over(list(self._entries))
        self._entries[str(call_id)] = entry
        self._by_token.setdefault(caller.token, set()).add(str(call_id))
        return entry

    def find(self, call_id: CallId) -> Entry | None:
        """What is remembered of a call."""
        return self._entries.get(str(call_id))

    def _limit(self, caller: Caller) -> int:
        if caller.token.startswith("source "):
            return self._limits.per_source
        if caller.token.startswith("secret "):
            return self._limits.per_secret
        return self._limits.per_key

    def _connected(self, entry: Entry) -> bool:
        handle = self._calls.find(entry.call_id)
        return handle is None or handle.connected

    def _forget_over(self, names: Iterable[str]) -> None:
        """Forget those of these calls that are over."""
        for name in names:
            entry = self._entries[name]
            if self._calls.find(entry.call_id) is None:
                del self._entries[name]
                names_of_token = self._by_token[entry.token]
                names_of_token.discard(name)
                if not names_of_token:
                    del self._by_token[entry.token]
