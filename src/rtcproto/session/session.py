"""One WebRTC session: audio in both directions over ICE, DTLS-SRTP and RTP.

Called by `Endpoint`, or directly by an application that has one socket for one
session. Composes the planes and knows no protocol itself.

Theory of operation: a datagram goes down to exactly one plane, by its first
byte. Control crosses planes twice: *keys ready* (transport to media) and *path
changed or lost* (transport to all). Every input and verb ends in `_pump` or its
media half, which drain the planes; nothing else moves data between them. The
gate order is an invariant: no DTLS but on a validated path, no SRTP before the
fingerprint matched, no media but to a proven path, and no datagram that fails
its MAC or tag changes anything.
"""

from __future__ import annotations

from typing import assert_never

from rtcproto._timers import TimerTable
from rtcproto.clock import WallClock
from rtcproto.config import SessionConfig
from rtcproto.datagram import MAX_DATAGRAM_IN, Address, Datagram
from rtcproto.demux import Kind, classify
from rtcproto.dtls import DataReceived, DtlsClosed, HandshakeCompleted
from rtcproto.errors import UsageError
from rtcproto.events import CloseReason, Connected, Event, PathChanged, SessionClosed
from rtcproto.ice import Path, PathLost, PathProven, PathSelected, PathValidated
from rtcproto.session.lifecycle import EXPIRED, SessionState, Timer
from rtcproto.session.media import MediaPlane
from rtcproto.session.negotiation import Negotiation, RemoteDescription
from rtcproto.session.stats import SessionStats, SetupPhases
from rtcproto.session.transport import TransportEvent, TransportPlane, close_reason

__all__ = ["Session"]


class Session:
    """One call: give it datagrams and deadlines, drain what it gives (the package shows the loop).

    Begin by `accept_offer`, or `create_offer` and `accept_answer`; `send_audio` once `Connected`.
    `unix_time` is wall time in seconds at `now`; `ufrag` the local ICE username fragment
    (a random one by default): UsageError unless 4 to 256 ice-chars; descriptions take 32.
    """

    __slots__ = (
        "_cipher",
        "_config",
        "_connected",
        "_events",
        "_media",
        "_negotiation",
        "_now",
        "_out",
        "_phases",
        "_started",
        "_state",
        "_timers",
        "_transport",
    )

    def __init__(
        self, config: SessionConfig, unix_time: float, now: float, *, ufrag: str | None = None
    ) -> None:
        self._config = config
        self._media = MediaPlane(config.cname, WallClock(unix_time, now), config.entropy)
        self._negotiation = Negotiation(config, ufrag, self._media.ssrc)
        self._transport = TransportPlane(config, self._negotiation.credentials, now)
        self._state = SessionState.NEW
        self._timers: TimerTable[Timer] = TimerTable()
        self._timers.set(Timer.ANSWER, now + config.answer_timeout)
        self._now = now
        self._started = now
        self._phases: dict[str, float] = {}
        self._cipher = ""
        self._connected: Connected | None = None
        self._out: list[Datagram] = []
        self._events: list[Event] = []

    # Getters

    @property
    def state(self) -> SessionState:
        """Where the session is in its life."""
        return self._state

    @property
    def closed(self) -> bool:
        """Whether the session is over; its last datagrams may still be waiting to be drained."""
        return self._state is SessionState.CLOSED

    @property
    def local_description(self) -> str | None:
        """The description last given to the peer, or None."""
        return self._negotiation.local

    @property
    def setup_phases(self) -> SetupPhases:
        """Seconds from the session's start to each phase of its set-up."""
        return SetupPhases(**self._phases)

    @property
    def timeout_reason(self) -> str | None:
        """What `get_timer` waits for, in words, where it is the session's own deadline."""
        timer = self._timers.reason()
        return None if timer is None else timer.value

    def is_proven(self, path: Path) -> bool:
        """Whether the peer answered a request of ours on `path` and so is really there."""
        return self._transport.is_proven(path)

    def stats(self, now: float) -> SessionStats:
        """Counters in the terms of W3C webrtc-stats."""
        return SessionStats(
            state=self._state.name.lower(),
            timestamp=now,
            transport=self._transport.stats(self._connected, self._media.dropped),
            inbound_rtp=self._media.inbound_stats(),
            outbound_rtp=self._media.outbound_stats(),
            remote_inbound_rtp=self._media.remote_inbound_stats(),
            phases=self.setup_phases,
        )

    # Inputs

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        """Take one datagram; True if it is authentic (its MAC or tag is the peer's).

        `local` is the address it arrived on, where there are several. Never
        raises; what does not belong here is counted and dropped.
        """
        if self._state is SessionState.CLOSED or len(data) > MAX_DATAGRAM_IN:
            return False
        now = self._clamp(now)
        match classify(data):
            case Kind.RTP | Kind.RTCP as kind:
                authentic = self._receive_media(data, kind, (source, local), now)
                self._pump_media(now)
                return authentic
            case Kind.STUN:
                authentic = self._transport.receive_stun(data, source, now, local)
            case Kind.DTLS:
                authentic = self._transport.receive_dtls(data, (source, local), now)
            case _:
                return False
        self._pump(now)
        return authentic

    def handle_timer(self, now: float) -> None:
        """Act on deadlines at or before `now`. Safe at any time."""
        if self._state is SessionState.CLOSED:
            return
        now = self._clamp(now)
        for timer in self._timers.expired(now):
            self._finish(EXPIRED[timer], now)
        if self.closed:
            return
        self._transport.handle_timer(now)
        self._media.handle_timer(now)
        self._pump(now)

    # Verbs

    def accept_offer(self, offer: str, now: float) -> str:
        """Answer the peer's offer and start; returns the answer.

        Raises ParseError (malformed), DescriptionTooLarge, or DescriptionRefused
        (well-formed, but nothing we can serve); UsageError if the session has a
        description already.
        """
        self._require(SessionState.NEW, "the session already has a description")
        now = self._clamp(now)
        self._begin(self._negotiation.answer(offer), now)
        return self._negotiation.local or ""

    def create_offer(self, now: float) -> str:
        """Describe ourselves first; returns the offer. Raises UsageError if that was done."""
        self._require(SessionState.NEW, "the session already has a description")
        if self._negotiation.local is not None:
            raise UsageError("the session has made its offer")
        self._clamp(now)
        return self._negotiation.offer()

    def accept_answer(self, answer: str, now: float) -> None:
        """Take the peer's answer to our offer and start. Raises as `accept_offer`."""
        self._require(SessionState.NEW, "the session already has a description")
        now = self._clamp(now)
        self._begin(self._negotiation.accept_answer(answer), now)

    def send_audio(
        self,
        payload: bytes,
        now: float,
        *,
        timestamp: int | None = None,
        marker: bool | None = None,
        level: int | None = None,
        voice: bool = False,
    ) -> None:
        """Send one Opus packet (1 to 1,150 bytes).

        `timestamp` is its first sample in 48 kHz units on a time line of the
        caller's, starting anywhere; by default it follows the previous packet
        without a gap. A jump forward is silence (DTX). `marker` starts a talk
        spurt and defaults to True for the first packet and after silence.
        `level` (0 to 127 -dBov) and `voice` travel where the peer accepted audio
        levels. No effect in a session that is over: its last event may still wait.
        Raises UsageError before it is connected, if the peer receives no audio,
        or if payload or level are out of range.
        """
        if self._connected is None:
            raise UsageError("the session is not connected")
        if self._state is not SessionState.CLOSED:
            self._media.send_audio(payload, timestamp, marker, level, voice, self._clamp(now))
            self._send_media()

    def close(self, now: float) -> None:
        """End the session: BYE and close_notify leave, `SessionClosed` follows. Idempotent."""
        if self._state is not SessionState.CLOSED:
            self._finish(CloseReason.LOCAL, self._clamp(now))

    # Outputs

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[Event]:
        """Drain what happened."""
        events, self._events = self._events, []
        return events

    def get_timer(self) -> float | None:
        """When to call `handle_timer` at the latest, or None: only a packet can wake us."""
        if self._state is SessionState.CLOSED:
            return None
        deadline = self._timers.next()
        for other in (self._transport.get_timer(), self._media.get_timer()):
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return deadline

    # Private

    def _clamp(self, now: float) -> float:
        # Time that runs backwards (a caller mixing clocks) must not rewind deadlines.
        if now > self._now:
            self._now = now
        return self._now

    def _require(self, state: SessionState, otherwise: str) -> None:
        if self._state is SessionState.CLOSED:
            raise UsageError("the session is closed")
        if self._state is not state:
            raise UsageError(otherwise)

    def _begin(self, remote: RemoteDescription, now: float) -> None:
        self._state = SessionState.CONNECTING
        self._timers.stop(Timer.ANSWER)
        # The checks of an answerer that is a full agent may overtake its answer.
        self._phases = dict.fromkeys(self._phases, 0.0)
        if not self._phases:
            self._timers.set(Timer.CHECK, now + self._config.check_timeout)
        self._timers.set(Timer.SETUP, now + self._config.setup_timeout)
        self._started = now
        self._media.negotiate(remote.audio)
        self._transport.start(remote, now)
        self._pump(now)

    def _receive_media(self, data: bytes, kind: Kind, path: Path, now: float) -> bool:
        # Media is taken only where a check with a good MAC came from: nothing is
        # ever learned from RTP, which anyone can forge, not even that it should be decrypted.
        if not self._transport.is_validated(path):
            return False
        return self._media.receive(data, kind, now)

    def _pump(self, now: float) -> None:
        # Transport first: the keys and paths it yields are what media acts on.
        for event in self._transport.next_events():
            self._on_transport(event, now)
        self._out += self._transport.datagrams_to_send()
        self._pump_media(now)

    def _pump_media(self, now: float) -> None:
        # Enough after a media packet, which moves nothing in the transport plane.
        self._events += self._media.next_events()
        if "first_media" not in self._phases and self._media.has_received:
            self._phase("first_media", now)
        self._send_media()

    def _send_media(self) -> None:
        packets = self._media.packets_to_send()
        if packets and (path := self._transport.selected_path) is not None:
            self._out += [Datagram(packet, *path) for packet in packets]

    def _on_transport(self, event: TransportEvent, now: float) -> None:
        match event:
            case PathValidated():
                self._timers.stop(Timer.CHECK)
                self._phase("first_check", now)
            case PathSelected(path=path):
                self._phase("path", now)
                if self._connected is None:
                    self._try_connect(now)
                else:
                    self._events.append(PathChanged(remote=path[0], local=path[1]))
            case PathLost(silent_for=silence):
                self._finish(CloseReason.CONSENT_EXPIRED, now, f"silent for {silence:.1f} seconds")
            case HandshakeCompleted():
                self._phase("dtls", now)
                assert event.profile is not None, "profiles are always configured"
                self._cipher = event.cipher
                self._media.install_keys(event.profile, event.keying_material, event.is_client)
                self._try_connect(now)
            case DtlsClosed(reason=reason, detail=detail):
                self._finish(close_reason(reason), now, detail)
            case PathProven() | DataReceived():
                pass  # no data plane yet: an m=application section was never accepted
            case _:
                assert_never(event)

    def _try_connect(self, now: float) -> None:
        path, profile = self._transport.selected_path, self._media.profile
        if path is None or profile is None or self._connected is not None:
            return
        self._state = SessionState.CONNECTED
        self._timers.stop_all()
        self._connected = Connected(
            remote=path[0], local=path[1], srtp_profile=profile.name, dtls_cipher=self._cipher
        )
        self._events.append(self._connected)
        self._media.start(now)

    def _phase(self, name: str, now: float) -> None:
        self._phases.setdefault(name, now - self._started)

    def _finish(self, reason: CloseReason, now: float, detail: str = "") -> None:
        if self._state is SessionState.CLOSED:
            return
        self._events += self._media.next_events()
        self._media.close(now)
        self._send_media()
        self._transport.close(now)
        self._out += self._transport.datagrams_to_send()
        self._transport.next_events()
        self._state = SessionState.CLOSED
        self._timers.stop_all()
        self._events.append(SessionClosed(reason=reason, detail=detail))
