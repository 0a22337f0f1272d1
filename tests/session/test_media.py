"""Audio in and out of one plane, with keys that the test made up."""

from __future__ import annotations

from typing import Any

import pytest

from rtcproto.clock import WallClock
from rtcproto.demux import Kind, classify
from rtcproto.errors import UsageError
from rtcproto.events import AudioReceived
from rtcproto.rtp import RtpPacket
from rtcproto.sdp import AUDIO_LEVEL_URI, MID_URI, AudioNegotiated, NegotiatedExtension
from rtcproto.session.media import MAX_EARLY_PACKETS, MAX_PAYLOAD, MediaPlane
from rtcproto.srtp import Profile, SrtpSender, split_keying_material
from rtcproto.testing import World

NOW = 1000.0
PROFILE = Profile.AEAD_AES_128_GCM
MATERIAL = bytes(range(PROFILE.keying_material_length))
OPUS = b"\xf8" + bytes(20)


def audio(**fields: Any) -> AudioNegotiated:
    """What two descriptions agreed on."""
    settings = {
        "mid": "0",
        "payload_type": 111,
        "send_allowed": True,
        "receive_allowed": True,
        "rtcp_rsize": True,
        "extensions": (
            NegotiatedExtension(id=1, uri=AUDIO_LEVEL_URI, send_allowed=True, receive_allowed=True),
            NegotiatedExtension(id=2, uri=MID_URI, send_allowed=True, receive_allowed=True),
        ),
        **fields,
    }
    return AudioNegotiated(**settings)


def plane(seed: int, is_client: bool, start: bool = True, **fields: Any) -> MediaPlane:
    """One side of a call."""
    made = MediaPlane("cname", WallClock(1_800_000_000.0, NOW), World(seed).entropy("m"))
    made.negotiate(audio(**fields))
    made.install_keys(PROFILE, MATERIAL, is_client)
    if start:
        made.start(NOW)
    return made


def send(subject: MediaPlane, payload: bytes = OPUS, **fields: Any) -> bytes:
    """The packet that one `send_audio` makes."""
    given = {"timestamp": None, "marker": None, "level": None, "voice": False, **fields}
    subject.send_audio(payload, now=NOW, **given)
    (packet,) = subject.packets_to_send()
    return packet


def forge(payload_type: int = 111, payload: bytes = OPUS, sequence: int = 5) -> bytes:
    """A packet of the client's keys that its plane would not send."""
    sender = SrtpSender(PROFILE, split_keying_material(PROFILE, MATERIAL, True)[0])
    packet = RtpPacket(payload_type, False, sequence, 960, 77, payload)
    return sender.protect(packet.serialize())


def test_what_one_side_sends_the_other_hears() -> None:
    """Payload, level and voice; the SSRC is the sender's."""
    client, server = plane(1, True), plane(2, False)
    assert server.receive(send(client, level=30, voice=True), Kind.RTP, NOW + 0.1)
    (event,) = server.next_events()
    assert isinstance(event, AudioReceived)
    assert (event.payload, event.level, event.voice) == (OPUS, 30, True)
    assert (event.ssrc, event.arrival) == (client.ssrc, NOW + 0.1)
    assert server.next_events() == []
    assert server.inbound_stats()[0].packets_received == 1
    assert client.outbound_stats().packets_sent == 1


def test_nothing_is_heard_before_the_start() -> None:
    """Early packets wait, MAX_EARLY_PACKETS of them; those beyond are counted and dropped."""
    client, server = plane(1, True), plane(2, False, start=False)
    for _ in range(MAX_EARLY_PACKETS + 3):
        assert not server.receive(send(client), Kind.RTP, NOW)
    assert server.next_events() == []
    assert server.dropped == {"early": 3}
    server.start(NOW + 1)
    assert len(server.next_events()) == MAX_EARLY_PACKETS


def test_s1_forged_and_replayed_packets_have_no_effect() -> None:
    """A bad tag, a replay or another call's key: counted, nothing heard, no stream made."""
    client, server = plane(1, True), plane(2, False)
    packet = send(client)
    flipped = packet[:-1] + bytes([packet[-1] ^ 1])
    assert not server.receive(flipped, Kind.RTP, NOW)
    assert not server.has_received
    assert server.receive(packet, Kind.RTP, NOW)
    assert not server.receive(packet, Kind.RTP, NOW)
    assert not server.receive(b"\x80\x6f", Kind.RTP, NOW)
    assert not server.receive(bytes([0x80, 201]) + bytes(30), Kind.RTCP, NOW)
    assert len(server.next_events()) == 1
    assert sum(server.dropped.values()) == 4


def test_our_own_packets_come_back_as_noise() -> None:
    """Directions have different keys: a reflected packet is not authentic."""
    client = plane(1, True)
    assert not client.receive(send(client), Kind.RTP, NOW)
    assert client.dropped == {"unauthentic": 1}


@pytest.mark.parametrize(
    ("fields", "reason"), [({"payload_type": 96}, "payload_type"), ({"payload": b""}, "empty")]
)
def test_authentic_packets_of_no_use_are_counted(fields: Any, reason: str) -> None:
    """Another payload type, or none (a keep-alive, RFC 6263): authentic, but not heard."""
    server = plane(2, False)
    assert server.receive(forge(**fields), Kind.RTP, NOW)
    assert server.next_events() == []
    assert server.dropped == {reason: 1}
    assert not server.has_received


class TestSending:
    """`send_audio`."""

    def test_default_time_line(self) -> None:
        """A packet starts where the one before it ended; silence sets the marker."""
        client, server = plane(1, True), plane(2, False)
        packets = [
            send(client),  # 20 ms
            send(client, bytes([3 << 3]) + bytes(9)),  # 60 ms
            send(client),
            send(client, timestamp=960_000),
        ]
        for packet in packets:
            server.receive(packet, Kind.RTP, NOW)
        events = server.next_events()
        first = events[0].timestamp
        assert [event.timestamp - first for event in events] == [0, 960, 3840, 960_000]
        assert [event.marker for event in events] == [True, False, False, True]

    @pytest.mark.parametrize("payload", ["text", bytearray(b"\xf8"), None])
    def test_payloads_are_bytes(self, payload: Any) -> None:
        """Refused before a sequence number is used up."""
        with pytest.raises(UsageError, match="is bytes, not"):
            send(plane(1, True), payload)

    @pytest.mark.parametrize("timestamp", [0.5, "960"])
    def test_timestamps_are_whole(self, timestamp: Any) -> None:
        """Samples, not seconds."""
        with pytest.raises(UsageError, match="whole number"):
            send(plane(1, True), timestamp=timestamp)

    @pytest.mark.parametrize("size", [0, MAX_PAYLOAD + 1])
    def test_sizes(self, size: int) -> None:
        """1 to MAX_PAYLOAD bytes."""
        with pytest.raises(UsageError):
            send(plane(1, True), bytes(size))

    def test_the_largest_packet_fits(self) -> None:
        """With every extension and the tag it stays within 1,200 bytes."""
        assert len(send(plane(1, True), bytes(MAX_PAYLOAD), level=1)) <= 1200

    def test_needs_keys_and_permission(self) -> None:
        """Before keys, or to a peer that only sends, audio is refused."""
        fresh = MediaPlane("c", WallClock(0.0, NOW), World(1).entropy("m"))
        with pytest.raises(UsageError, match="not connected"):
            send(fresh)
        with pytest.raises(UsageError, match="does not receive"):
            send(plane(1, True, send_allowed=False))

    def test_s4_sequence_numbers_start_low(self) -> None:
        """The first one is below 2**15, so that loss at the start cannot confuse the ROC."""
        for seed in range(50):
            client, server = plane(seed, True), plane(2, False)
            server.receive(send(client), Kind.RTP, NOW)
            assert server.next_events()[0].sequence < 1 << 15


def test_reports_and_goodbye_are_protected_rtcp() -> None:
    """Both are SRTCP that the peer accepts; a BYE ends the stream it names."""
    client, server = plane(1, True), plane(2, False)
    server.receive(send(client), Kind.RTP, NOW)
    deadline = client.get_timer()
    assert deadline is not None
    client.handle_timer(deadline)
    (report,) = client.packets_to_send()
    client.close(deadline)
    (farewell,) = client.packets_to_send()
    assert classify(report) is classify(farewell) is Kind.RTCP
    assert server.receive(report, Kind.RTCP, deadline)
    assert len(server.inbound_stats()) == 1
    assert server.receive(farewell, Kind.RTCP, deadline)
    assert server.inbound_stats() == ()
    assert client.get_timer() is None


def test_closing_without_keys_is_silent() -> None:
    """There is nobody to say goodbye to."""
    fresh = MediaPlane("c", WallClock(0.0, NOW), World(1).entropy("m"))
    fresh.close(NOW)
    assert fresh.packets_to_send() == []
    assert fresh.profile is None
