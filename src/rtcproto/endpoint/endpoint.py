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

Who owns a path is `entries`, whose header is believed `relays`, when to wake
`deadlines`.
"""

from __future__ import annotations

import base64

import attrs

from rtcproto.config import EndpointConfig
from rtcproto.datagram import MAX_DATAGRAM_IN, Address, Datagram
from rtcproto.demux import Kind, classify
from rtcproto.endpoint.deadlines import Deadlines
from rtcproto.endpoint.entries import Entry, Path, PathTable, SessionId
from rtcproto.endpoint.relays import RelayHeaders
from rtcproto.errors import AuthenticationError, CapacityExceeded, ParseError, UsageError
from rtcproto.events import CloseReason, Connected, Event, SessionClosed
from rtcproto.routing import has_header, mint
from rtcproto.session import Session, SessionStats
from rtcproto.stun import peek_server_ufrag

__all__ = ["Endpoint", "EndpointStats", "SessionId"]

# Ufrags drawn before giving up on finding a free one; two collisions in a row
# with 24 random bits and thousands of sessions mean a broken entropy source.
MAX_UFRAG_DRAWS = 16

# Requests of one session on unproven paths that are remembered until they are answered;
# the oldest is forgotten. As many as ICE sets paths aside, for the same replays.
MAX_ASKED = 64


@attrs.frozen(kw_only=True)
class EndpointStats:
    """Counters of one endpoint since it was made."""

    sessions: int
    connecting: int
    sessions_opened: int
    sessions_closed: dict[str, int]
    datagrams_received: int
    datagrams_dropped: dict[str, int]


class Endpoint:
    """The sessions of one socket: give it what arrives, send what it gives.

    Open sessions with `accept_offer`, or `create_offer` and `accept_answer`. After
    each of these, `receive_datagram` or `handle_timer`: drain `next_events` and
    `datagrams_to_send`, then wait until `get_timer`. `unix_time` is wall time in
    seconds at `now`.
    """

    __slots__ = (
        "_asked",
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
        "_opened",
        "_out",
        "_paths",
        "_received",
        "_relays",
        "_unix_offset",
    )

    def __init__(self, config: EndpointConfig, unix_time: float, now: float) -> None:
        self._config = config
        self._unix_offset = unix_time - now
        self._entries: dict[SessionId, Entry] = {}
        self._by_ufrag: dict[bytes, Entry] = {}
        # Transactions of requests on paths without a proof.
        self._asked: dict[bytes, Entry] = {}
        self._paths = PathTable()
        self._deadlines = Deadlines()
        self._relays = RelayHeaders(config.relays)
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

    def buffered_amount(self, session_id: SessionId, channel: int) -> int:
        """Bytes waiting on a data channel; see `Session.buffered_amount`."""
        return self._entry(session_id).session.buffered_amount(channel)

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
            try:
                path, header, data = self._relays.strip(data, source)
            except AuthenticationError:
                self._drop("forged_header")
                return
            except ParseError:
                self._drop("malformed_header")
                return
            hop = source
        if len(data) > MAX_DATAGRAM_IN:
            self._drop("oversized")
            return
        entry = self._paths.owners.get(path)
        if classify(data) is Kind.STUN:
            ufrag = peek_server_ufrag(data)
            if ufrag is not None:
                entry = self._by_ufrag.get(ufrag)
            elif (asked := self._asked.pop(data[8:20], None)) is not None:
                entry = asked
                del entry.asked[data[8:20]]
        if entry is None:
            self._drop("unknown_session")
            return
        try:
            authentic = entry.session.receive_datagram(data, path[0], now, path[1])
        except Exception as error:  # noqa: BLE001 - the fence: a bug costs one session only
            self._fence(entry, error)
            return
        if authentic:
            if entry.next_ufrag is not None and entry.next_ufrag == peek_server_ufrag(data):
                self._retire_ufrag(entry)
            route = entry.paths.get(path)
            if route is None or self._paths.owners.get(path) is not entry:
                route = self._paths.adopt(entry, path, now)
            route.hop = hop
            route.header = header
            route.last_heard = now
        self._drain(entry, now)

    def handle_timer(self, now: float) -> None:
        """Act on every session's deadlines at or before `now`."""
        for entry in self._deadlines.due(now):
            try:
                entry.session.handle_timer(now)
            except Exception as error:  # noqa: BLE001 - the fence, as in receive_datagram
                self._fence(entry, error)
                continue
            self._drain(entry, now)

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

    def restart_ice(self, session_id: SessionId, fragment: str, now: float) -> str:
        """Restart a session's ICE; see `Session.restart_ice`, which says what it raises.

        The new ufrag leads here like the first one, through relays too. Until the peer
        uses it both do; a further restart takes the place of one that was not used.
        """
        entry = self._entry(session_id)
        ufrag = self._draw_ufrag()
        answer = entry.session.restart_ice(fragment, now, ufrag=ufrag)
        if entry.next_ufrag is not None:
            del self._by_ufrag[entry.next_ufrag]
        entry.next_ufrag = ufrag.encode("ascii")
        self._by_ufrag[entry.next_ufrag] = entry
        self._drain(entry, now)
        return answer

    def add_candidates(self, session_id: SessionId, fragment: str, now: float) -> None:
        """Give a session candidates of its peer; see `Session.add_candidates`."""
        entry = self._entry(session_id)
        entry.session.add_candidates(fragment, now)
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
        entry = self._find(session_id)
        if entry is None:
            return
        entry.session.send_audio(
            payload, now, timestamp=timestamp, marker=marker, level=level, voice=voice
        )
        # Neither an event nor a deadline comes of it.
        self._take_datagrams(entry, now)

    def open_channel(
        self,
        session_id: SessionId,
        label: str,
        now: float,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        lifetime: float | None = None,
        negotiated: int | None = None,
    ) -> int:
        """Open a data channel in a session; see `Session.open_channel`."""
        entry = self._entry(session_id)
        channel = entry.session.open_channel(
            label,
            now,
            protocol=protocol,
            ordered=ordered,
            max_retransmits=max_retransmits,
            lifetime=lifetime,
            negotiated=negotiated,
        )
        self._drain(entry, now)
        return channel

    def send_message(
        self, session_id: SessionId, channel: int, data: str | bytes, now: float
    ) -> None:
        """Send one message on a data channel; see `Session.send_message`."""
        entry = self._find(session_id)
        if entry is not None:
            entry.session.send_message(channel, data, now)
            self._drain(entry, now)

    def set_buffered_amount_low_threshold(
        self, session_id: SessionId, channel: int, amount: int
    ) -> None:
        """Set a low-water mark; see `Session.set_buffered_amount_low_threshold`."""
        self._entry(session_id).session.set_buffered_amount_low_threshold(channel, amount)

    def close_channel(self, session_id: SessionId, channel: int, now: float) -> None:
        """Close a data channel; see `Session.close_channel`."""
        entry = self._find(session_id)
        if entry is not None:
            entry.session.close_channel(channel, now)
            self._drain(entry, now)

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
        return self._deadlines.next()

    # Private: sessions

    def _entry(self, session_id: SessionId) -> Entry:
        entry = self._entries.get(session_id)
        if entry is None:
            raise UsageError("no session with this id")
        return entry

    def _find(self, session_id: SessionId) -> Entry | None:
        """The entry; None for a session whose end the caller may not have come to yet."""
        entry = self._entries.get(session_id)
        if entry is None and session_id not in self._ended and session_id not in self._ending:
            raise UsageError("no session with this id")
        return entry

    def _new_entry(self, now: float) -> Entry:
        if len(self._entries) >= self._config.max_sessions:
            raise CapacityExceeded("the limit of sessions is reached")
        if self._connecting >= self._config.max_connecting:
            raise CapacityExceeded("the limit of sessions that are not connected is reached")
        ufrag = self._draw_ufrag()
        session = Session(self._config.session, self._unix_offset + now, now, ufrag=ufrag)
        session_id = self._config.session.entropy(16).hex()
        return Entry(id=session_id, session=session, ufrag=ufrag.encode("ascii"))

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

    def _admit(self, entry: Entry, now: float) -> None:
        self._entries[entry.id] = self._by_ufrag[entry.ufrag] = entry
        self._connecting += 1
        self._opened += 1
        self._drain(entry, now)

    def _take_datagrams(self, entry: Entry, now: float) -> None:
        for datagram in entry.session.datagrams_to_send():
            path = (datagram.destination, datagram.source)
            route = entry.paths.get(path)
            if route is None:
                if self._config.session.ice_lite:
                    # A lite agent speaks only where it was spoken to: this path was evicted.
                    self._drop("no_route")
                    continue
                route = self._paths.adopt(entry, path, now)
                if path[1] is not None:
                    # Our first check names its own address; the answer comes without
                    # one where the shell has a single socket.
                    self._paths.adopt(entry, (path[0], None), now)
            data = datagram.data
            # A Binding request; of media no more than a byte is asked.
            if data[0] == 0 and data[1] == 1 and not entry.session.is_proven(path):
                self._note_request(entry, data[8:20])
            if route.hop is None:
                self._out.append(datagram)
            else:
                self._out.append(Datagram(route.header + datagram.data, route.hop))

    def _note_request(self, entry: Entry, transaction_id: bytes) -> None:
        # The answer names no session. As long as nobody has proven a path another
        # session may own it; what was asked there must still find who asked.
        self._asked[transaction_id] = entry
        entry.asked[transaction_id] = None
        if len(entry.asked) > MAX_ASKED:
            self._forget_request(entry, next(iter(entry.asked)))

    def _forget_request(self, entry: Entry, transaction_id: bytes) -> None:
        del entry.asked[transaction_id]
        if self._asked.get(transaction_id) is entry:
            del self._asked[transaction_id]

    def _drain(self, entry: Entry, now: float) -> None:
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
            self._deadlines.arm(entry, deadline, len(self._entries))

    def _retire_ufrag(self, entry: Entry) -> None:
        """The peer has begun to use the new credentials: the old ones lead nowhere."""
        assert entry.next_ufrag is not None, "a restart is under way"
        del self._by_ufrag[entry.ufrag]
        entry.ufrag, entry.next_ufrag = entry.next_ufrag, None

    def _settle(self, entry: Entry) -> None:
        if entry.connecting:
            entry.connecting = False
            self._connecting -= 1

    def _remove(self, entry: Entry, reason: CloseReason) -> None:
        if self._entries.pop(entry.id, None) is None:
            return
        self._ending[entry.id] = entry.session
        del self._by_ufrag[entry.ufrag]
        if entry.next_ufrag is not None:
            del self._by_ufrag[entry.next_ufrag]
        for transaction_id in list(entry.asked):
            self._forget_request(entry, transaction_id)
        self._out += self._paths.release(entry)
        self._deadlines.disarm(entry)
        self._settle(entry)
        self._closed[reason.name] = self._closed.get(reason.name, 0) + 1

    def _fence(self, entry: Entry, error: Exception) -> None:
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

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
