"""The sending side of a stream: header layout, counts, and what a sender report needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import UsageError
from rtcproto.rtp.extensions import AudioLevel, parse_extensions
from rtcproto.rtp.packet import RtpPacket
from rtcproto.rtp.send_stream import SendStream


def stream(**changes):
    """A stream with fixed numbers."""
    options = {
        "ssrc": 0xDEADBEEF,
        "payload_type": 111,
        "clock_rate": 48000,
        "first_sequence": 32767,
        "first_timestamp": 0xFFFFFF00,
    }
    return SendStream(**(options | changes))


def test_plain_header():
    """Without extensions: twelve bytes, timestamp offset added and wrapped."""
    sender = stream()
    packet = RtpPacket.parse(sender.packet(b"opus", 960, True, None, False, 0.0))
    assert packet == RtpPacket(111, True, 32767, 0x2C0, 0xDEADBEEF, b"opus")
    assert sender.header(1920, False, 4, None, False, 0.0) == bytes.fromhex(
        "806f800000000680deadbeef"
    )


@pytest.mark.parametrize("mid", [None, "0", "audio0", "a-mid-of-more-than-16-bytes"])
@pytest.mark.parametrize("level_id", [None, 1, 200])
@pytest.mark.parametrize("level", [None, 0, 127])
@pytest.mark.parametrize("voice", [True, False])
def test_extension_layout(mid, level_id, level, voice):
    """MID rides in every packet, the level where its slot is open and a level is given."""
    sender = stream(mid=None if mid is None else (4, mid), audio_level_id=level_id)
    packet = RtpPacket.parse(sender.packet(b"opus", 0, False, level, voice, 0.0))
    expected = {}
    if mid is not None:
        expected[4] = mid.encode()
    if level_id is not None and level is not None:
        expected[level_id] = AudioLevel(level, voice).serialize()
    found = parse_extensions(packet.extension_profile, packet.extension_data)
    assert found == expected
    assert (packet.extension_profile is None) == (not expected)
    assert packet.payload == b"opus"


@pytest.mark.parametrize("level", [-1, 128, 255])
def test_level_out_of_range(level):
    """A level outside 0 to 127 is refused, and the packet is not counted."""
    sender = stream(audio_level_id=1)
    with pytest.raises(UsageError):
        sender.header(0, False, 4, level, False, 0.0)
    assert (sender.packets, sender.octets, sender.sequence) == (0, 0, 32767)


def test_counts_and_unwrapped_sequence():
    """Sequence numbers wrap in the packet only; octets are payload octets."""
    sender = stream(first_sequence=0)
    sequences = [
        RtpPacket.parse(sender.packet(b"abc", 0, False, None, False, 0.0)).sequence
        for _ in range(65537)
    ]
    assert sequences[:3] == [0, 1, 2]
    assert sequences[-2:] == [65535, 0]
    assert sender.sequence == sender.packets == 65537
    assert sender.octets == 3 * 65537


def test_sender_info():
    """RFC 3550 6.4.1: the report's RTP timestamp is carried from the last packet to `now`."""
    sender = stream(first_timestamp=1000)
    assert sender.sender_info(5.0) is None
    sender.header(960, False, 100, None, False, 10.0)
    sender.header(1920, False, 50, None, False, 10.02)
    info = sender.sender_info(11.02)
    assert info.ssrc == 0xDEADBEEF
    assert info.rtp_timestamp == 1000 + 1920 + 48000
    assert (info.packet_count, info.octet_count) == (2, 150)


def test_counts_wrap_in_the_report():
    """Both counts are 32 bits in a sender report."""
    sender = stream()
    sender.header(0, False, (1 << 32) + 5, None, False, 0.0)
    assert sender.sender_info(0.0).octet_count == 5


@pytest.mark.parametrize(
    "change",
    [
        {"ssrc": 1 << 32},
        {"ssrc": -1},
        {"payload_type": 128},
        {"clock_rate": 0},
        {"first_sequence": 1 << 15},
        {"first_sequence": -1},
        {"mid": (0, "0")},
        {"mid": (4, "")},
        {"audio_level_id": 256},
    ],
)
def test_refused(change):
    """Values out of range are refused when the stream is made."""
    with pytest.raises(UsageError):
        stream(**change)


@given(st.integers(-(1 << 40), 1 << 40), st.integers(0, 0xFFFFFFFF))
def test_timestamp_from_any_origin(timestamp, offset):
    """The caller's timestamps may have any origin; the packet carries the sum modulo 2**32."""
    sender = stream(first_timestamp=offset)
    packet = RtpPacket.parse(sender.packet(b"", timestamp, False, None, False, 0.0))
    assert packet.timestamp == (timestamp + offset) % (1 << 32)
