"""The media plane: SRTP, RTP and Opus of one session; RTCP is its `Reporter`'s.

Called by `Session` for datagrams that demux calls RTP or RTCP, and only with
those that came on a validated path. Hands out packets without addresses: where
they go is the transport plane's to say.

Theory of operation: nothing is taken or sent before `install_keys` and `start`. A packet is
authenticated first; only then does its SSRC get a stream. Received audio goes
straight through, as it arrives: reordering is the listener's choice, loss is
reported. Reports leave by themselves, at randomised intervals.
"""

from __future__ import annotations

from rtcproto.clock import WallClock
from rtcproto.config import Entropy
from rtcproto.demux import Kind
from rtcproto.errors import AuthenticationError, ParseError, UsageError
from rtcproto.events import AudioLost, AudioReceived
from rtcproto.opus import samples_per_packet
from rtcproto.rtp import SendStream, find_extension
from rtcproto.rtp.receive_stream import ReceiveStats, ReceiveStream
from rtcproto.rtp.send_stream import FIRST_SEQUENCE_LIMIT
from rtcproto.sdp import AUDIO_LEVEL_URI, MID_URI, AudioNegotiated
from rtcproto.session.reporting import Reporter
from rtcproto.session.stats import OutboundRtpStats, RemoteInboundRtpStats
from rtcproto.srtp import Profile, SrtpReceiver, SrtpSender, split_keying_material

__all__ = ["CLOCK_RATE", "MAX_PAYLOAD", "MediaPlane"]

# RFC 7587 section 4.1: the RTP clock of Opus is 48 kHz, whatever it encodes.
CLOCK_RATE = 48_000

# Bytes of one Opus packet to send: 1,200 less RTP header, extensions and tag.
# At 20 ms it is 460 kbit/s, close to the 510 that Opus ends at.
MAX_PAYLOAD = 1150


# What overtakes the end of the set-up is held, so that nobody hears audio of a
# session that cannot answer yet: two thirds of a second. What comes beyond is
# dropped, newest first.
MAX_EARLY_PACKETS = 32


class MediaPlane:
    """The RTP, RTCP and SRTP of one session, audio only.

    Call `negotiate` with what the descriptions agreed on, `install_keys` with what
    DTLS exported, and `start` once the session is connected; then `send_audio` and
    `receive`. Draws its SSRC, sequence and timestamp starts from `entropy`.
    """

    __slots__ = (
        "_audio",
        "_dropped",
        "_early",
        "_events",
        "_first_sequence",
        "_first_timestamp",
        "_level_id",
        "_next_timestamp",
        "_out",
        "_payload_type",
        "_receiver",
        "_reporter",
        "_send",
        "_sender",
        "_started",
        "_streams",
        "ssrc",
    )

    def __init__(self, cname: str, wall: WallClock, entropy: Entropy) -> None:
        self.ssrc = int.from_bytes(entropy(4), "big")
        self._first_sequence = int.from_bytes(entropy(2), "big") % FIRST_SEQUENCE_LIMIT
        self._first_timestamp = int.from_bytes(entropy(4), "big")
        self._reporter = Reporter(self.ssrc, cname.encode(), CLOCK_RATE, wall, entropy)
        self._audio: AudioNegotiated | None = None
        # Of `_audio`, what every packet is compared with; -1 is no payload type.
        self._payload_type = -1
        self._level_id: int | None = None
        self._send: SendStream | None = None
        self._sender: SrtpSender | None = None
        self._receiver: SrtpReceiver | None = None
        # By SSRC. Bounded by the receiver, which takes only MAX_STREAMS of them.
        self._streams: dict[int, ReceiveStream] = {}
        self._started = False
        self._early: list[tuple[bytes, Kind]] = []
        self._next_timestamp: int | None = None
        self._dropped: dict[str, int] = {}
        self._out: list[bytes] = []
        self._events: list[AudioReceived | AudioLost] = []

    # Getters

    @property
    def profile(self) -> Profile | None:
        """The SRTP profile, once there are keys."""
        return None if self._sender is None else self._sender.profile

    @property
    def has_received(self) -> bool:
        """Whether an authentic audio packet has come."""
        return bool(self._streams)

    @property
    def dropped(self) -> dict[str, int]:
        """Packets dropped, by reason."""
        return dict(self._dropped)

    def inbound_stats(self) -> tuple[ReceiveStats, ...]:
        """One value per stream received."""
        return tuple(stream.stats() for stream in self._streams.values())

    def outbound_stats(self) -> OutboundRtpStats:
        """What was sent."""
        send = self._send
        return OutboundRtpStats(
            ssrc=self.ssrc,
            packets_sent=0 if send is None else send.packets,
            bytes_sent=0 if send is None else send.octets,
        )

    def remote_inbound_stats(self) -> RemoteInboundRtpStats | None:
        """What the peer reports of our stream, or None before its first report."""
        return self._reporter.remote_inbound_stats()

    # Inputs

    def receive(self, data: bytes, kind: Kind, now: float) -> bool:
        """Take an SRTP or SRTCP packet; True if its tag is good."""
        if self._receiver is None or not self._started:
            if len(self._early) < MAX_EARLY_PACKETS:
                self._early.append((data, kind))
            else:
                self._drop("early")
            return False
        try:
            if kind is Kind.RTP:
                self._receive_rtp(data, self._receiver, now)
            else:
                packet = self._receiver.unprotect_rtcp(data)
                for ssrc in self._reporter.receive(packet, self._streams, now):
                    del self._streams[ssrc]
        except AuthenticationError:
            self._drop("unauthentic")
            return False
        except ParseError:
            self._drop("malformed")
            return False
        return True

    def handle_timer(self, now: float) -> None:
        """Report losses and send reports that are due at or before `now`."""
        for stream in self._streams.values():
            stream.handle_timer(now)
            self._report_losses(stream)
        if self._sender is not None:
            report = self._reporter.report_due(self._send, self._streams, now)
            if report is not None:
                self._out.append(self._sender.protect_rtcp(report))

    # Verbs

    def negotiate(self, audio: AudioNegotiated) -> None:
        """Take what both descriptions agreed on."""
        self._audio = audio
        self._payload_type = audio.payload_type
        self._level_id = audio.audio_level_id
        mid_id = audio.send_id(MID_URI)
        self._send = SendStream(
            ssrc=self.ssrc,
            payload_type=audio.payload_type,
            clock_rate=CLOCK_RATE,
            first_sequence=self._first_sequence,
            first_timestamp=self._first_timestamp,
            mid=None if mid_id is None else (mid_id, audio.mid),
            audio_level_id=audio.send_id(AUDIO_LEVEL_URI),
        )

    def install_keys(self, profile: int, material: bytes, is_client: bool) -> None:
        """Make the SRTP contexts out of what DTLS exported."""
        chosen = Profile(profile)
        local, remote = split_keying_material(chosen, material, is_client)
        self._sender = SrtpSender(chosen, local)
        self._receiver = SrtpReceiver(chosen, remote)

    def start(self, now: float) -> None:
        """The session is connected: begin to report, and open what came early."""
        self._started = True
        self._reporter.start(now)
        early, self._early = self._early, []
        for data, kind in early:
            self.receive(data, kind, now)

    def send_audio(
        self,
        payload: bytes,
        timestamp: int | None,
        marker: bool | None,
        level: int | None,
        voice: bool,
        now: float,
    ) -> None:
        """Queue one Opus packet; see `Session.send_audio`."""
        send, sender, audio = self._send, self._sender, self._audio
        if send is None or sender is None or audio is None:
            raise UsageError("the session is not connected")
        if not audio.send_allowed:
            raise UsageError("the peer does not receive audio")
        if not isinstance(payload, bytes):
            raise UsageError(f"an Opus packet is bytes, not {type(payload).__name__}")
        if not 0 < len(payload) <= MAX_PAYLOAD:
            raise UsageError(f"an Opus packet has 1 to {MAX_PAYLOAD} bytes")
        expected = self._next_timestamp
        if timestamp is None:
            timestamp = 0 if expected is None else expected
        elif not isinstance(timestamp, int):
            raise UsageError("a timestamp is a whole number of samples")
        if marker is None:
            # RFC 7587 section 4.1: the marker bit begins a talk spurt after silence.
            marker = expected is None or timestamp > expected
        duration = samples_per_packet(payload)
        header = send.header(timestamp, marker, len(payload), level, voice, now)
        # `header` moved on to the next sequence number; this packet's is one less.
        self._out.append(sender.protect_parts(header, payload, self.ssrc, send.sequence - 1))
        self._next_timestamp = timestamp + duration

    def close(self, now: float) -> None:
        """Queue a BYE, if anything was ever exchanged, and stop reporting."""
        if self._sender is not None:
            report = self._reporter.goodbye(self._send, self._streams, now)
            self._out.append(self._sender.protect_rtcp(report))

    # Outputs

    def packets_to_send(self) -> list[bytes]:
        """Drain the protected packets."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[AudioReceived | AudioLost]:
        """Drain what was received and lost."""
        events, self._events = self._events, []
        return events

    def get_timer(self) -> float | None:
        """The next deadline, or None."""
        deadline = self._reporter.get_timer()
        for stream in self._streams.values():
            loss = stream.get_timer()
            if loss is not None and (deadline is None or loss < deadline):
                deadline = loss
        return deadline

    # Private

    def _receive_rtp(self, data: bytes, receiver: SrtpReceiver, now: float) -> None:
        index, packet = receiver.unprotect_packet(data)
        if packet.payload_type != self._payload_type:
            self._drop("payload_type")
            return
        if not packet.payload:
            # A keep-alive, RFC 6263 section 4.1, or nothing but padding.
            self._drop("empty")
            return
        ssrc = packet.ssrc
        stream = self._streams.get(ssrc)
        if stream is None:
            stream = self._streams[ssrc] = ReceiveStream(ssrc, CLOCK_RATE)
        timestamp, _ = stream.receive(index, packet.timestamp, len(packet.payload), now)
        self._report_losses(stream)
        level = voice = None
        level_id = self._level_id
        if level_id is not None and packet.extension_profile is not None:
            element = find_extension(packet.extension_profile, packet.extension_data, level_id)
            if element:
                level, voice = element[0] & 0x7F, element[0] > 0x7F
        self._events.append(
            AudioReceived(packet.payload, timestamp, index, level, voice, packet.marker, ssrc, now)
        )

    def _report_losses(self, stream: ReceiveStream) -> None:
        for lost in stream.lost_ranges():
            self._events.append(
                AudioLost(first_sequence=lost.first, count=lost.count, ssrc=stream.ssrc)
            )

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
