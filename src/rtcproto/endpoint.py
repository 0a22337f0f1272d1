"""Many sessions on one socket, found in constant time.

Called by a driver with everything the socket receives. STUN with a server
ufrag finds its session by that ufrag; all else by the path it came on, which
the session must have validated by a check with a good MAC first. Nothing is
ever found by asking the sessions one after the other.

Theory of operation: a datagram from a relay carries the 38-byte proxy header,
which says who the client is and which public address it talks to. The endpoint
strips it before anything else looks at the datagram and adds it to the
answers; sessions see only the client (`source`) and the relay's public address
(`local`). The answers of a path go to the hop that its newest *authenticated*
datagram came from, so a relay may move and nobody else can move a path.

A path belongs to one session. A check with a good MAC from another session on
the same path takes it over only if the first has not proven it, or has been
silent there for `PATH_TAKEOVER` seconds: whoever owns a valid session can spoof
a victim's address, but cannot stop the victim's packets.
"""

from __future__ import annotations

import base64
import heapq
import ipaddress
from typing import TypeAlias

import attrs

from rtcproto.config import EndpointConfig
from rtcproto.datagram import MAX_DATAGRAM_IN, Address, Datagram
from rtcproto.demux import Kind, classify
from rtcproto.errors import CapacityExceeded, ParseError, UsageError
from rtcproto.events import CloseReason, Connected, Event, SessionClosed
from rtcproto.routing import HEADER_SIZE, HeaderCache, has_header, mint
from rtcproto.session import Session, SessionStats
from rtcproto.stun import peek_server_ufrag

__all__ = ["Endpoint", "EndpointStats", "SessionId"]

SessionId: TypeAlias = str
Path: TypeAlias = tuple[Address, Address | None]

# Seconds of silence after which a proven path may change its session: the
# relay's rule for flows (both must agree on who owns a client's address).
PATH_TAKEOVER = 15.0

# Paths one session may hold here. More than ICE remembers (8) or has set aside
# (64): the answer of a roaming client comes from an address that is no more than
# one of many while old checks are replayed. The first one without proof goes.
MAX_PATHS = 128

# Relay hosts remembered as believed, so that their addresses are parsed once.
MAX_TRUSTED_HOSTS = 1024

# Ufrags drawn before giving up on finding a free one; two collisions in a row
# with 24 random bits and thousands of sessions mean a broken entropy source.
MAX_UFRAG_DRAWS = 16


@attrs.frozen(kw_only=True)
class EndpointStats:
    """Counters of one endpoint since it was made."""

    sessions: int
    connecting: int
    sessions_opened: int
    sessions_closed: dict[str, int]
    datagrams_received: int
    datagrams_dropped: dict[str, int]


@attrs.define(slots=True, eq=False)
class _Route:
    """How answers on a path leave: through `hop` with `header` in front, or straight (None)."""

    hop: Address | None
    header: bytes
    last_heard: float


@attrs.define(slots=True, eq=False)
class _Entry:
    """One session and where the endpoint has put it."""

    id: SessionId
    session: Session
    ufrag: bytes
    paths: dict[Path, _Route] = attrs.field(factory=dict)
    # The deadline that counts, and its number in the heap (0: none).
    armed: float | None = None
    ticket: int = 0
    connecting: bool = True


class Endpoint:
    """The sessions of one socket: give it what arrives, send what it gives.

    Open sessions with `accept_offer`, or `create_offer` and `accept_answer`. After
    each of these, `receive_datagram` or `handle_timer`: drain `next_events` and
    `datagrams_to_send`, then wait until `get_timer`. `unix_time` is wall time in
    seconds at `now`.
    """

    __slots__ = (
        "_by_path",
        "_by_ufrag",
        "_closed",
        "_config",
        "_connecting",
        "_deadlines",
        "_dropped",
        "_ended",
        "_ending",
        "_entries",
        "_events",
        "_headers",
        "_opened",
        "_order",
        "_out",
        "_received",
        "_trusted",
        "_unix_offset",
    )

    def __init__(self, config: EndpointConfig, unix_time: float, now: float) -> None:
        self._config = config
        self._unix_offset = unix_time - now
        self._entries: dict[SessionId, _Entry] = {}
        self._by_ufrag: dict[bytes, _Entry] = {}
        self._by_path: dict[Path, _Entry] = {}
        # Deadlines as a heap of (time, number, entry). One per entry counts, that of its
        # `ticket`: by time alone a deadline that comes back would count twice.
        self._deadlines: list[tuple[float, int, _Entry]] = []
        self._order = 0
        self._headers = HeaderCache()
        self._trusted: dict[str, bool] = {}
        self._out: list[Datagram] = []
        self._events: list[tuple[SessionId, Event]] = []
        # Sessions whose end is among the events to drain, and among those drained last.
        self._ending: dict[SessionId, Session] = {}
        self._ended: dict[SessionId, Session] = {}
        self._connecting = 0
        self._opened = 0
        self._received = 0
        self._closed: dict[str, int] = {}
        self._dropped: dict[str, int] = {}

    # Getters

    def __len__(self) -> int:
        return len(self._entries)

    def stats(self, session_id: SessionId, now: float) -> SessionStats:
        """What `Session.stats` says, up to the drain of events after the one with its end.

        Raises UsageError for a session that is unknown, or forgotten by then.
        """
        ended = self._ending.get(session_id) or self._ended.get(session_id)
        return (ended or self._entry(session_id).session).stats(now)

    def endpoint_stats(self) -> EndpointStats:
        """The endpoint's own counters."""
        return EndpointStats(
            sessions=len(self._entries),
            connecting=self._connecting,
            sessions_opened=self._opened,
            sessions_closed=dict(self._closed),
            datagrams_received=self._received,
            datagrams_dropped=dict(self._dropped),
        )

    # Inputs

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> None:
        """Take one datagram from the socket; `local` is the address it came in on, if known."""
        self._received += 1
        hop: Address | None = None
        header = b""
        path: Path = (source, local)
        if has_header(data):
            inner = self._path_in_header(data, source)
            if inner is None:
                return
            path, hop, header, data = inner, source, data[:HEADER_SIZE], data[HEADER_SIZE:]
        if len(data) > MAX_DATAGRAM_IN:
            self._drop("oversized")
            return
        entry = self._by_path.get(path)
        if classify(data) is Kind.STUN:
            ufrag = peek_server_ufrag(data)
            if ufrag is not None:
                entry = self._by_ufrag.get(ufrag)
        if entry is None:
            self._drop("unknown_session")
            return
        try:
            authentic = entry.session.receive_datagram(data, path[0], now, path[1])
        except Exception as error:  # noqa: BLE001 - the fence: a bug costs one session only
            self._fence(entry, error)
            return
        if authentic:
            route = entry.paths.get(path)
            if route is None or self._by_path.get(path) is not entry:
                route = self._adopt(entry, path, now)
            route.hop = hop
            route.header = header
            route.last_heard = now
        self._drain(entry, now)

    def handle_timer(self, now: float) -> None:
        """Act on every session's deadlines at or before `now`."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            _, ticket, entry = heapq.heappop(deadlines)
            if entry.ticket != ticket:
                continue
            entry.armed, entry.ticket = None, 0
            try:
                entry.session.handle_timer(now)
            except Exception as error:  # noqa: BLE001 - the fence, as in receive_datagram
                self._fence(entry, error)
                continue
            self._drain(entry, now)
        self._prune()

    # Verbs

    def accept_offer(self, offer: str, now: float) -> tuple[SessionId, str]:
        """Open a session for a peer's offer: its id and the answer.

        Raises CapacityExceeded at an admission limit, and ParseError,
        DescriptionTooLarge or DescriptionRefused as `Session.accept_offer` does;
        nothing is created then.
        """
        entry = self._new_entry(now)
        answer = entry.session.accept_offer(offer, now)
        self._admit(entry, now)
        return entry.id, answer

    def create_offer(self, now: float) -> tuple[SessionId, str]:
        """Open a session of our own: its id and the offer. Raises CapacityExceeded."""
        entry = self._new_entry(now)
        offer = entry.session.create_offer(now)
        self._admit(entry, now)
        return entry.id, offer

    def accept_answer(self, session_id: SessionId, answer: str, now: float) -> None:
        """Give a session the answer to its offer. Raises as `Session.accept_answer`."""
        entry = self._entry(session_id)
        entry.session.accept_answer(answer, now)
        self._drain(entry, now)

    def send_audio(
        self,
        session_id: SessionId,
        payload: bytes,
        now: float,
        *,
        timestamp: int | None = None,
        marker: bool | None = None,
        level: int | None = None,
        voice: bool = False,
    ) -> None:
        """Send one Opus packet in a session; see `Session.send_audio`."""
        entry = self._entries.get(session_id)
        if entry is None:
            if session_id in self._ended or session_id in self._ending:
                # The caller may be at an event before the one that says so.
                return
            raise UsageError("no session with this id")
        entry.session.send_audio(
            payload, now, timestamp=timestamp, marker=marker, level=level, voice=voice
        )
        # Neither an event nor a deadline comes of it.
        self._take_datagrams(entry, now)

    def close_session(self, session_id: SessionId, now: float) -> None:
        """End one session; no effect if it is unknown or over."""
        entry = self._entries.get(session_id)
        if entry is not None:
            entry.session.close(now)
            self._drain(entry, now)

    def close(self, now: float) -> None:
        """End every session."""
        for session_id in list(self._entries):
            self.close_session(session_id, now)

    # Outputs

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain the datagrams of all sessions, those behind a relay addressed to it."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[tuple[SessionId, Event]]:
        """Drain the events of all sessions, each with the id of its session."""
        events, self._events = self._events, []
        if self._ended or self._ending:
            self._ended, self._ending = self._ending, {}
        return events

    def get_timer(self) -> float | None:
        """When to call `handle_timer` at the latest, or None."""
        return self._deadlines[0][0] if self._deadlines else None

    # Private: sessions

    def _entry(self, session_id: SessionId) -> _Entry:
        entry = self._entries.get(session_id)
        if entry is None:
            raise UsageError("no session with this id")
        return entry

    def _new_entry(self, now: float) -> _Entry:
        if len(self._entries) >= self._config.max_sessions:
            raise CapacityExceeded("the limit of sessions is reached")
        if self._connecting >= self._config.max_connecting:
            raise CapacityExceeded("the limit of sessions that are not connected is reached")
        ufrag = self._draw_ufrag()
        session = Session(self._config.session, self._unix_offset + now, now, ufrag=ufrag)
        session_id = self._config.session.entropy(16).hex()
        return _Entry(id=session_id, session=session, ufrag=ufrag.encode("ascii"))

    def _draw_ufrag(self) -> str:
        routing, entropy = self._config.routing, self._config.session.entropy
        for _ in range(MAX_UFRAG_DRAWS):
            if routing is None:
                ufrag = base64.b64encode(entropy(6)).decode("ascii")
            else:
                ufrag = mint(routing.codec, routing.cluster, routing.owner, routing.epoch, entropy)
            if ufrag.encode("ascii") not in self._by_ufrag:
                return ufrag
        raise UsageError("the entropy source repeats itself: no free ufrag found")

    def _admit(self, entry: _Entry, now: float) -> None:
        self._entries[entry.id] = self._by_ufrag[entry.ufrag] = entry
        self._connecting += 1
        self._opened += 1
        self._drain(entry, now)

    def _take_datagrams(self, entry: _Entry, now: float) -> None:
        for datagram in entry.session.datagrams_to_send():
            path = (datagram.destination, datagram.source)
            route = entry.paths.get(path)
            if route is None:
                if self._config.session.ice_lite:
                    # A lite agent speaks only where it was spoken to: this path was evicted.
                    self._drop("no_route")
                    continue
                route = self._adopt(entry, path, now)
                if path[1] is not None:
                    # Our first check names its own address; the answer comes without
                    # one where the shell has a single socket.
                    self._adopt(entry, (path[0], None), now)
            if route.hop is None:
                self._out.append(datagram)
            else:
                self._out.append(Datagram(route.header + datagram.data, route.hop))

    def _drain(self, entry: _Entry, now: float) -> None:
        session = entry.session
        self._take_datagrams(entry, now)
        closed = None
        for event in session.next_events():
            self._events.append((entry.id, event))
            if isinstance(event, Connected):
                self._settle(entry)
            elif isinstance(event, SessionClosed):
                closed = event
        if closed is not None:
            self._remove(entry, closed.reason)
            return
        deadline = session.get_timer()
        if deadline is not None and (entry.armed is None or deadline < entry.armed):
            entry.armed = deadline
            self._order += 1
            entry.ticket = self._order
            heapq.heappush(self._deadlines, (deadline, self._order, entry))
            if len(self._deadlines) > 64 + 4 * len(self._entries):
                # In place: `handle_timer` may be in the middle of it.
                self._deadlines[:] = [item for item in self._deadlines if item[2].ticket == item[1]]
                heapq.heapify(self._deadlines)

    def _prune(self) -> None:
        # Only the top can be asked for: it must be a deadline that still counts,
        # or an endpoint without sessions would keep waking its driver.
        deadlines = self._deadlines
        while deadlines and deadlines[0][2].ticket != deadlines[0][1]:
            heapq.heappop(deadlines)

    def _settle(self, entry: _Entry) -> None:
        if entry.connecting:
            entry.connecting = False
            self._connecting -= 1

    def _remove(self, entry: _Entry, reason: CloseReason) -> None:
        if self._entries.pop(entry.id, None) is None:
            return
        self._ending[entry.id] = entry.session
        del self._by_ufrag[entry.ufrag]
        for path, route in entry.paths.items():
            if self._by_path.get(path) is entry:
                del self._by_path[path]
                if route.hop is not None:
                    # A header with nothing behind it tells the relay that we are done
                    # with this client: its next session need not wait for an expiry.
                    self._out.append(Datagram(route.header, route.hop))
        entry.armed, entry.ticket = None, 0
        self._prune()
        self._settle(entry)
        self._closed[reason.name] = self._closed.get(reason.name, 0) + 1

    def _fence(self, entry: _Entry, error: Exception) -> None:
        # Where it happened, but never the message: that may hold anything, keys included.
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        module = "" if place is None else place.tb_frame.f_globals.get("__name__", "")
        line = 0 if place is None else place.tb_lineno
        detail = f"{type(error).__name__} in {module}, line {line}"
        event = SessionClosed(reason=CloseReason.INTERNAL_ERROR, detail=detail)
        self._events.append((entry.id, event))
        self._remove(entry, event.reason)

    # Private: paths

    def _adopt(self, entry: _Entry, path: Path, now: float) -> _Route:
        """Note that `entry` uses `path`; make it the path's owner where the rule allows."""
        route = entry.paths.get(path)
        if route is None:
            if len(entry.paths) >= MAX_PATHS:
                self._forget_oldest_path(entry)
            route = entry.paths[path] = _Route(None, b"", now)
        owner = self._by_path.get(path)
        if owner is None or owner is entry or self._may_take_over(owner, path, now):
            self._by_path[path] = entry
        return route

    def _may_take_over(self, owner: _Entry, path: Path, now: float) -> bool:
        if not owner.session.is_proven(path):
            return True
        return now - owner.paths[path].last_heard >= PATH_TAKEOVER

    def _forget_oldest_path(self, entry: _Entry) -> None:
        # Proven ones last: whoever replays checks from many addresses proves none.
        # They are few, so the first other one is found soon, whatever the flood.
        path = next((key for key in entry.paths if not entry.session.is_proven(key)), None)
        if path is None:
            path = min(entry.paths, key=lambda key: entry.paths[key].last_heard)
        del entry.paths[path]
        if self._by_path.get(path) is entry:
            del self._by_path[path]

    def _path_in_header(self, data: bytes, source: Address) -> Path | None:
        trusted = self._trusted.get(source[0])
        if trusted is None:
            trusted = self._is_relay(source[0])
        if not trusted:
            self._drop("forged_header")
            return None
        try:
            client, proxy, _ = self._headers.parse(data)
        except ParseError:
            self._drop("malformed_header")
            return None
        return client, proxy

    def _is_relay(self, host: str) -> bool:
        # Remembered per host, because parsing an address costs more than all the
        # rest; only hosts that are believed are remembered, so nobody else grows it.
        address = ipaddress.ip_address(host)
        believed = any(address in network for network in self._config.relays)
        if believed and len(self._trusted) < MAX_TRUSTED_HOSTS:
            self._trusted[host] = True
        return believed

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
