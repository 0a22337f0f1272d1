"""One WebRTC session: audio both ways over ICE, DTLS-SRTP and RTP, and data channels.

Called by `Endpoint`, or directly by an application that has one socket for one
session. The face of the session: it sorts datagrams by their first byte, checks
what callers ask for, and tells the time; the planes and the pump between them are
`planes`, the descriptions `negotiation`, states and deadlines `lifecycle`.
"""

from __future__ import annotations

from rtcproto.clock import WallClock
from rtcproto.config import SessionConfig
from rtcproto.datachannel import Open
from rtcproto.datagram import MAX_DATAGRAM_IN, Address, Datagram
from rtcproto.demux import Kind, classify
from rtcproto.errors import UsageError
from rtcproto.events import CloseReason, Event
from rtcproto.ice import Path
from rtcproto.sctp import Association
from rtcproto.session.data import DataPlane
from rtcproto.session.lifecycle import Lifecycle, SessionState
from rtcproto.session.media import MediaPlane
from rtcproto.session.negotiation import Negotiation, RemoteDescription
from rtcproto.session.planes import Planes
from rtcproto.session.stats import SessionStats, SetupPhases
from rtcproto.session.trickle import Trickle

__all__ = ["Session"]


class Session:
    """One call: give it datagrams and deadlines, drain what it gives (the package shows the loop).

    Begin by `accept_offer`, or `create_offer` and `accept_answer`; `send_audio` once `Connected`.
    `unix_time` is wall time in seconds at `now`; `ufrag` the local ICE username fragment
    (a random one by default): UsageError unless 4 to 256 ice-chars; descriptions take 32.
    """

    __slots__ = ("_config", "_life", "_negotiation", "_planes", "_trickle")

    def __init__(
        self, config: SessionConfig, unix_time: float, now: float, *, ufrag: str | None = None
    ) -> None:
        media = MediaPlane(config.cname, WallClock(unix_time, now), config.entropy)
        self._config = config
        self._life = Lifecycle(config, now)
        # Once both sides are described.
        self._trickle: Trickle | None = None
        association = init = None
        if config.sctp is not None:
            association = Association(config.sctp, config.entropy, now)
            init = association.local_init()
        self._negotiation = Negotiation(config, ufrag, media.ssrc, init)
        credentials = self._negotiation.credentials
        self._planes = Planes(config, media, association, credentials, self._life, now)

    # Getters

    @property
    def state(self) -> SessionState:
        """Where the session is in its life."""
        return self._life.state

    @property
    def closed(self) -> bool:
        """Whether the session is over; its last datagrams may still be waiting to be drained."""
        return self._life.closed

    @property
    def local_description(self) -> str | None:
        """The description last given to the peer, or None."""
        return self._negotiation.local

    @property
    def setup_phases(self) -> SetupPhases:
        """Seconds from the session's start to each phase of its set-up."""
        return self._life.phases

    @property
    def timeout_reason(self) -> str | None:
        """What `get_timer` waits for, in words, where it is the session's own deadline."""
        return self._life.timeout_reason

    def is_proven(self, path: Path) -> bool:
        """Whether the peer answered a request of ours on `path` and so is really there."""
        return self._planes.transport.is_proven(path)

    def stats(self, now: float) -> SessionStats:
        """Counters in the terms of W3C webrtc-stats."""
        planes, data = self._planes, self._planes.data
        dropped = planes.media.dropped if data is None else planes.media.dropped | data.dropped
        return SessionStats(
            state=self._life.state.name.lower(),
            timestamp=now,
            transport=planes.transport.stats(planes.connected, dropped),
            inbound_rtp=planes.media.inbound_stats(),
            outbound_rtp=planes.media.outbound_stats(),
            remote_inbound_rtp=planes.media.remote_inbound_stats(),
            data_channels=() if data is None else data.channel_stats(),
            sctp_transport=None if data is None else data.transport_stats(),
            phases=self.setup_phases,
        )

    def buffered_amount(self, channel: int) -> int:
        """Bytes given to `send_message` on a channel and not yet sent for the first time.

        W3C's `bufferedAmount`. Raises UsageError where there are no data channels.
        """
        return self._data().buffered_amount(channel)

    # Inputs

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        """Take one datagram; True if it is authentic (its MAC or tag is the peer's).

        `local` is the address it arrived on, where there are several. Never
        raises; what does not belong here is counted and dropped.
        """
        if self._life.closed or len(data) > MAX_DATAGRAM_IN:
            return False
        now = self._life.clamp(now)
        planes = self._planes
        match classify(data):
            case Kind.RTP | Kind.RTCP as kind:
                return planes.receive_media(data, kind, (source, local), now)
            case Kind.STUN:
                authentic = planes.transport.receive_stun(data, source, now, local)
            case Kind.DTLS:
                authentic = planes.transport.receive_dtls(data, (source, local), now)
            case _:
                return False
        planes.pump(now)
        return authentic

    def handle_timer(self, now: float) -> None:
        """Act on deadlines at or before `now`. Safe at any time."""
        if self._life.closed:
            return
        now = self._life.clamp(now)
        for reason in self._life.expired(now):
            self._planes.finish(reason, now)
        if not self._life.closed:
            self._planes.handle_timer(now)

    # Verbs

    def accept_offer(self, offer: str, now: float) -> str:
        """Answer the peer's offer and start; returns the answer.

        Raises ParseError (malformed), DescriptionTooLarge, or DescriptionRefused
        (well-formed, but nothing we can serve); UsageError if the session has a
        description already.
        """
        self._life.require_new()
        now = self._life.clamp(now)
        self._begin(self._negotiation.answer(offer), now)
        return self._negotiation.local or ""

    def create_offer(self, now: float) -> str:
        """Describe ourselves first; returns the offer. Raises UsageError if that was done."""
        self._life.require_new()
        if self._negotiation.local is not None:
            raise UsageError("the session has made its offer")
        self._life.clamp(now)
        return self._negotiation.offer()

    def accept_answer(self, answer: str, now: float) -> None:
        """Take the peer's answer to our offer and start. Raises as `accept_offer`."""
        self._life.require_new()
        now = self._life.clamp(now)
        self._begin(self._negotiation.accept_answer(answer), now)

    def restart_ice(self, fragment: str, now: float, *, ufrag: str | None = None) -> str:
        """Restart ICE with the peer's fragment (RFC 8840) of new credentials; returns ours.

        For what the answerer of WHIP's PATCH does (RFC 9725 section 4.3.2). Media goes
        on where it goes until the peer has proven a path with the new credentials, of
        which the first good check ends the old ones; DTLS, SRTP and data channels do not
        notice. `ufrag` is the new one of ours, random by default. Raises ParseError,
        DescriptionTooLarge, DescriptionRefused (not both of ufrag and password are
        there and new); UsageError before both sides are described, or after the end.
        """
        trickle = self._described()
        restart, answer = trickle.restart(fragment, ufrag)
        self._planes.transport.restart_ice(restart, now := self._life.clamp(now))
        self._planes.pump(now)
        return answer

    def add_candidates(self, fragment: str, now: float) -> None:
        """Take candidates that the peer found after its description (RFC 8838), in a fragment.

        A lite agent sends no checks: it reads them and goes by the peer's own. Raises as
        `restart_ice`; DescriptionRefused if they are not of the newest credentials.
        """
        candidates = self._described().candidates(fragment)
        self._planes.transport.add_candidates(candidates, now := self._life.clamp(now))
        self._planes.pump(now)

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
        planes = self._planes
        if planes.connected is None:
            raise UsageError("the session is not connected")
        if not self._life.closed:
            now = self._life.clamp(now)
            planes.media.send_audio(payload, timestamp, marker, level, voice, now)
            planes.send_media()

    def open_channel(
        self,
        label: str,
        now: float,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        lifetime: float | None = None,
        negotiated: int | None = None,
    ) -> int:
        """Open a data channel (RFC 8831 section 6.4); returns its id.

        Once the descriptions have agreed on data channels; `DataChannelOpened` follows
        when the association is up. `max_retransmits` (a count) or `lifetime` (seconds)
        limit its reliability. `negotiated` is the id that both sides agreed on
        elsewhere; no message is sent then. Raises UsageError for what cannot be, and
        at 256 channels.
        """
        data = self._data()
        limit = None if lifetime is None else round(lifetime * 1000)
        parameters = Open(
            label=label,
            protocol=protocol,
            ordered=ordered,
            max_retransmits=max_retransmits,
            lifetime=limit,
        )
        now = self._life.clamp(now)
        number = data.open_channel(parameters, negotiated, now)
        self._planes.pump(now)
        return number

    def send_message(self, channel: int, data: str | bytes, now: float) -> None:
        """Send one message, text or bytes, on an open data channel.

        No effect in a session that is over: its last event may still wait. Raises
        BufferFull (nothing was queued; `DataChannelBufferLow` tells when to go on),
        UsageError if the channel is not open or the peer takes no message of this size.
        """
        plane = self._data()
        if not self._life.closed:
            now = self._life.clamp(now)
            plane.send_message(channel, data, now)
            self._planes.pump(now)

    def set_buffered_amount_low_threshold(self, channel: int, amount: int) -> None:
        """Report `DataChannelBufferLow` each time `buffered_amount` falls to `amount` bytes.

        W3C's `bufferedAmountLowThreshold`. Raises UsageError unless the channel is open.
        """
        self._data().set_low_threshold(channel, amount)

    def close_channel(self, channel: int, now: float) -> None:
        """Close a data channel once what waits on it was sent; `DataChannelClosed` follows.

        No effect on one that is closing or gone.
        """
        plane = self._data()
        if not self._life.closed:
            now = self._life.clamp(now)
            plane.close_channel(channel, now)
            self._planes.pump(now)

    def close(self, now: float) -> None:
        """End the session: BYE and close_notify leave, `SessionClosed` follows. Idempotent."""
        self._planes.finish(CloseReason.LOCAL, self._life.clamp(now))

    # Outputs

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent."""
        out, self._planes.out = self._planes.out, []
        return out

    def next_events(self) -> list[Event]:
        """Drain what happened."""
        events, self._planes.events = self._planes.events, []
        return events

    def get_timer(self) -> float | None:
        """When to call `handle_timer` at the latest, or None: only a packet can wake us."""
        if self._life.closed:
            return None
        own, planes = self._life.get_timer(), self._planes.get_timer()
        if own is None or planes is None:
            return planes if own is None else own
        return min(own, planes)

    # Private

    def _begin(self, remote: RemoteDescription, now: float) -> None:
        credentials = self._negotiation.credentials
        self._trickle = Trickle(self._config, credentials, remote.credentials, remote.audio.mid)
        self._planes.begin(remote, now)

    def _described(self) -> Trickle:
        self._life.require_described()
        assert self._trickle is not None, "made with the description"
        return self._trickle

    def _data(self) -> DataPlane:
        data = self._planes.data
        if data is None:
            raise UsageError("no data channels: the descriptions did not agree on any")
        return data
