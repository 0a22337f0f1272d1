"""RFC 3550 section 5.1: the RTP packet, both ways, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.rtp.packet import RtpPacket, header_length

PLAIN = bytes.fromhex("806f1234000003c0deadbeef") + b"payload"
# One-byte extension block of two words, from a browser's audio packet.
EXTENDED = bytes.fromhex("90ef0001000003c0deadbeefbede00021085403100000000") + b"opus"
EVERYTHING = (
    bytes.fromhex("b26f1234000003c0deadbeef")
    + bytes.fromhex("0000000affffffff")
    + bytes.fromhex("100000015a000000")
    + b"data"
    + b"\0\0\3"
)

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    marker=st.booleans(),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=64),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    padding=st.integers(0, 255),
)


def test_fixed_header():
    """Every field of the fixed header is read and written in its place."""
    packet = RtpPacket.parse(PLAIN)
    assert packet == RtpPacket(111, False, 0x1234, 960, 0xDEADBEEF, b"payload")
    assert packet.serialize() == PLAIN


def test_header_extension():
    """The extension block is kept raw with its profile; the marker is the top bit of byte 1."""
    packet = RtpPacket.parse(EXTENDED)
    assert packet.marker
    assert packet.payload_type == 111
    assert packet.extension_profile == 0xBEDE
    assert packet.extension_data == bytes.fromhex("1085403100000000")
    assert packet.payload == b"opus"
    assert packet.serialize() == EXTENDED


def test_csrcs_extension_and_padding_together():
    """CSRCs precede the extension, padding follows the payload and is counted, not kept."""
    packet = RtpPacket.parse(EVERYTHING)
    assert packet.csrcs == (10, 0xFFFFFFFF)
    assert packet.extension_profile == 0x1000
    assert packet.extension_data == bytes.fromhex("5a000000")
    assert packet.payload == b"data"
    assert packet.padding == 3
    assert packet.serialize() == EVERYTHING


def test_empty_extension_block_is_not_no_block():
    """An extension of zero words survives the round trip."""
    data = bytes.fromhex("906f1234000003c0deadbeefbede0000")
    packet = RtpPacket.parse(data)
    assert packet.extension_profile == 0xBEDE
    assert packet.extension_data == b""
    assert packet.serialize() == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (PLAIN[:11], "one byte short of the fixed header"),
        (b"\x40" + PLAIN[1:], "version 1"),
        (b"\xc0" + PLAIN[1:], "version 3"),
        (b"\x8f" + PLAIN[1:], "15 CSRCs claimed, none there"),
        (b"\x90" + PLAIN[1:12], "extension announced, nothing there"),
        (b"\x90" + PLAIN[1:12] + b"\xbe\xde\x00", "extension header cut short"),
        (b"\x90" + PLAIN[1:12] + b"\xbe\xde\xff\xff" + bytes(99), "65535 words claimed"),
        (b"\x91" + PLAIN[1:12] + bytes(4), "CSRC there, extension header missing"),
        (b"\xa0" + PLAIN[1:12], "padding announced, no payload"),
        (b"\xa0" + PLAIN[1:12] + b"abc\0", "padding of zero"),
        (b"\xa0" + PLAIN[1:12] + b"abc\5", "padding longer than the payload"),
        (b"\xa0" + PLAIN[1:12] + b"abc\xff", "padding of 255"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(data, why):
    """A count that claims more than is there, or another version, is a ParseError."""
    with pytest.raises(ParseError) as caught:
        RtpPacket.parse(data)
    assert caught.value.protocol == "rtp"


def test_padding_may_fill_the_payload():
    """RFC 3550 allows a packet of padding only (bandwidth probes are such)."""
    packet = RtpPacket.parse(b"\xa0" + PLAIN[1:12] + b"\0\0\0\4")
    assert packet.payload == b""
    assert packet.padding == 4


@pytest.mark.parametrize(
    "change",
    [
        {"payload_type": 128},
        {"sequence": 65536},
        {"sequence": -1},
        {"timestamp": 1 << 32},
        {"ssrc": 1 << 32},
        {"csrcs": (0,) * 16},
        {"csrcs": (1 << 32,)},
        {"padding": 256},
        {"extension_profile": 0xBEDE, "extension_data": b"abc"},
        {"extension_profile": 0x10000, "extension_data": b""},
        {"extension_profile": 0xBEDE, "extension_data": bytes(4 * 65536)},
    ],
)
def test_serialize_refuses_what_does_not_fit(change):
    """A field out of range is the caller's mistake, said at once."""
    fields = {
        "payload_type": 0,
        "marker": False,
        "sequence": 0,
        "timestamp": 0,
        "ssrc": 0,
        "payload": b"",
    }
    with pytest.raises(UsageError):
        RtpPacket(**(fields | change)).serialize()


@given(packets, st.none() | st.tuples(st.integers(0, 0xFFFF), st.integers(0, 9)))
def test_round_trip(packet, extension):
    """Whatever serialises parses back to the same value."""
    if extension is not None:
        packet.extension_profile, words = extension
        packet.extension_data = bytes(range(4 * words))
    data = packet.serialize()
    assert RtpPacket.parse(data) == packet
    assert header_length(data) == len(data) - len(packet.payload) - packet.padding


@given(st.binary(max_size=80), st.sampled_from(range(0x80, 0xC0)), st.booleans())
def test_total(tail, first, versioned):
    """Any bytes give a packet or ParseError; what parses serialises back, padding content aside."""
    data = bytes((first,)) + tail if versioned else tail
    try:
        packet = RtpPacket.parse(data)
    except ParseError:
        return
    again = packet.serialize()
    kept = len(data) - packet.padding
    assert again[:kept] == data[:kept]
    assert len(again) == len(data)
