"""Which session owns which path, and how its answers leave there.

Called by `Endpoint`. A path belongs to one session. A check with a good MAC from another
session on the same path takes it over only if the first has not proven it, or has
been silent there for `PATH_TAKEOVER` seconds: whoever owns a valid session can spoof
a victim's address, but cannot stop the victim's packets.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from rtcproto.datagram import Address, Datagram
from rtcproto.session import Session

__all__ = [
    "MAX_PATHS",
    "PATH_TAKEOVER",
    "Entry",
    "Path",
    "PathTable",
    "Route",
    "SessionId",
    "may_take_over",
]

SessionId: TypeAlias = str
Path: TypeAlias = tuple[Address, Address | None]

# Seconds of silence after which a proven path may change its session: the
# relay's rule for flows (both must agree on who owns a client's address).
PATH_TAKEOVER = 15.0

# Paths one session may hold here. More than ICE remembers (8) or has set aside
# (64): the answer of a roaming client comes from an address that is no more than
# one of many while old checks are replayed. The first one without proof goes.
MAX_PATHS = 128


@attrs.define(slots=True, eq=False)
class Route:
    """How answers on a path leave: through `hop` with `header` in front, or straight (None)."""

    hop: Address | None
    header: bytes
    last_heard: float


@attrs.define(slots=True, eq=False)
class Entry:
    """One session and where the endpoint has put it."""

    id: SessionId
    session: Session
    ufrag: bytes
    # The one of an ICE restart under way, beside the present one until it is used.
    next_ufrag: bytes | None = None
    paths: dict[Path, Route] = attrs.field(factory=dict)
    # Transactions that the endpoint remembers of this session, oldest first.
    asked: dict[bytes, None] = attrs.field(factory=dict)
    # The deadline that counts, and its number in the heap (0: none).
    armed: float | None = None
    ticket: int = 0
    connecting: bool = True


class PathTable:
    """The owner of each path. `owners` is for its own endpoint to look into."""

    __slots__ = ("owners",)

    def __init__(self) -> None:
        self.owners: dict[Path, Entry] = {}

    def adopt(self, entry: Entry, path: Path, now: float) -> Route:
        """Note that `entry` uses `path`; make it the path's owner where the rule allows."""
        route = entry.paths.get(path)
        if route is None:
            if len(entry.paths) >= MAX_PATHS:
                self._forget_oldest(entry)
            route = entry.paths[path] = Route(None, b"", now)
        owner = self.owners.get(path)
        if owner is None or owner is entry or may_take_over(owner, path, now):
            self.owners[path] = entry
        return route

    def release(self, entry: Entry) -> list[Datagram]:
        """Forget every path of a session that is over; what tells the relays so."""
        farewells = []
        for path, route in entry.paths.items():
            if self.owners.get(path) is entry:
                del self.owners[path]
                if route.hop is not None:
                    # A header with nothing behind it tells the relay that we are done
                    # with this client: its next session need not wait for an expiry.
                    farewells.append(Datagram(route.header, route.hop))
        return farewells

    def _forget_oldest(self, entry: Entry) -> None:
        # Proven ones last: whoever replays checks from many addresses proves none.
        # They are few, so the first other one is found soon, whatever the flood.
        path = next((key for key in entry.paths if not entry.session.is_proven(key)), None)
        if path is None:
            path = min(entry.paths, key=lambda key: entry.paths[key].last_heard)
        del entry.paths[path]
        if self.owners.get(path) is entry:
            del self.owners[path]


def may_take_over(owner: Entry, path: Path, now: float) -> bool:
    """Whether another session may own `path` from now on."""
    if not owner.session.is_proven(path):
        return True
    return now - owner.paths[path].last_heard >= PATH_TAKEOVER
