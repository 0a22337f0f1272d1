"""RFC 6716 section 3: TOC, frame packing, rules R1 to R7, and the in-band FEC flag."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.opus import (
    Bandwidth,
    Mode,
    OpusPacket,
    is_dtx,
    parse_toc,
    samples_per_packet,
)
from rtcproto.opus.toc import MAX_FRAME_SIZE, MAX_SAMPLES
from tests.support.strategies import datagrams

# RFC 6716 table 2: configurations, mode, bandwidth, frame sizes in ms.
TABLE_2 = [
    (range(4), Mode.SILK, Bandwidth.NARROWBAND, (10, 20, 40, 60)),
    (range(4, 8), Mode.SILK, Bandwidth.MEDIUMBAND, (10, 20, 40, 60)),
    (range(8, 12), Mode.SILK, Bandwidth.WIDEBAND, (10, 20, 40, 60)),
    (range(12, 14), Mode.HYBRID, Bandwidth.SUPERWIDEBAND, (10, 20)),
    (range(14, 16), Mode.HYBRID, Bandwidth.FULLBAND, (10, 20)),
    (range(16, 20), Mode.CELT, Bandwidth.NARROWBAND, (2.5, 5, 10, 20)),
    (range(20, 24), Mode.CELT, Bandwidth.WIDEBAND, (2.5, 5, 10, 20)),
    (range(24, 28), Mode.CELT, Bandwidth.SUPERWIDEBAND, (2.5, 5, 10, 20)),
    (range(28, 32), Mode.CELT, Bandwidth.FULLBAND, (2.5, 5, 10, 20)),
]

# Name, packet, frame sizes, duration in ms, padding bytes.
VALID = [
    ("silence of 20 ms", "fcfffe", [2], 20, 0),
    ("TOC only: a frame not transmitted", "f8", [0], 20, 0),
    ("code 1", "f9aabbccdd", [2, 2], 40, 0),
    ("code 1, both empty", "f9", [0, 0], 40, 0),
    ("code 2", "fa02aabbcc", [2, 1], 40, 0),
    ("code 2, length in two bytes", "fafc00" + "00" * 252 + "11", [252, 1], 40, 0),
    ("code 2, second frame empty", "fa02aabb", [2, 0], 40, 0),
    ("code 3, equal", "fb03aabbccddeeff", [2, 2, 2], 60, 0),
    ("code 3, padding", "fb4302aabbcc0000", [1, 1, 1], 60, 2),
    ("code 3, padding of 254 + 1", "fb41ff01aa" + "00" * 255, [1], 20, 255),
    ("code 3, variable", "fb8201aabbcc", [1, 2], 40, 0),
    ("code 3, 48 frames of 2.5 ms", "e330" + "aa" * 48, [1] * 48, 120, 0),
    ("two frames of 60 ms", "19aabb", [1, 1], 120, 0),
    ("largest frame", "f8" + "00" * 1275, [1275], 20, 0),
    ("largest frame by length", "faffff" + "00" * 1276, [1275, 1], 40, 0),
]

# Rule of RFC 6716 section 3.4, packet.
INVALID = [
    ("R1: at least one byte", ""),
    ("R2: 1276 bytes, implicitly", "f8" + "00" * 1276),
    ("R2: 1276 bytes, the second of code 2", "fa01" + "00" * 1277),
    ("R2: 1276 bytes each, code 1", "f9" + "00" * 2552),
    ("R2: 1276 bytes, equal frames of code 3", "fb01" + "00" * 1276),
    ("R2: 1276 bytes, the last of code 3", "fb8201" + "00" * 1277),
    ("R3: an odd number of bytes for two frames", "f9aabbcc"),
    ("R4: no length", "fa"),
    ("R4: half a length", "fafc"),
    ("R4: length beyond the packet", "fa05aabb"),
    ("R5: no frame count", "fb"),
    ("R5: no frames", "fb00"),
    ("R5: 49 frames of 2.5 ms", "e331" + "aa" * 49),
    ("R5: 7 frames of 20 ms", "fb07" + "aa" * 7),
    ("R5: 3 frames of 60 ms", "1b03aaaaaa"),
    ("R6: not a multiple", "fb03aabbccddee"),
    ("R6: padding beyond the packet", "fb4110aa"),
    ("R6: padding length missing", "fb41"),
    ("R6: padding chain without an end", "fb41ffff"),
    ("R7: length beyond the packet", "fb8209aa"),
    ("R7: lengths that add up beyond it", "fb830202aabbcc"),
    ("R7: length missing", "fb8301"),
]

# One packet each of what libopus wrote for a tone, with and without in-band FEC.
RECORDED = [
    (10, False, "003b8a432694e46aa0ec"),
    (10, True, "40e7f3ca4f86c6ee10735a4a37c761dc4c94996b3e532c0a58"),
    (20, False, "08ab3ad95e24686e5c8dfbcd20"),
    (20, False, "4838f11c6290cf1a5b55d7dea17ebcfc0a4ec3b650"),
    (20, True, "28ee1be73386a99e1748d6304f14c41bb113bb72b22ef73d70"),
    (20, True, "086c7808498baceecb697b75998ad8141dff19ab1328d5ff4ca0968bad25"),
    (40, False, "10d292a80f3b8a279f82dd63eaa3cee49147e4154be3148c929180"),
    (
        40,
        True,
        (
            "30e4895186bad43085a070253c8cacb3e2c9067333c0ff0615e5325c0c8abe2e4abaf774bb98cb2e30aab62e"
            "f9ad5d8f15f0"
        ),
    ),
    (
        60,
        False,
        "18c9d683bc8907c753984ee0ef3a9098f2cda0b6a388fbe5b2847abb16bdc68315b45a3e64964b131f",
    ),
    (
        60,
        True,
        (
            "3811edb6eac8d48a460317ab25e98c3093f2f7ff75adc7539f2f0615eaf843eb3e2ec0d3f9297a6d71f86a16"
            "1ea4c6551ab6fe338870b4d8d14ab2f7c9135f073138cd5c80"
        ),
    ),
]

frames = st.binary(max_size=8) | st.binary(min_size=250, max_size=260)


@st.composite
def opus_packets(draw):
    """Any packet that the rules allow, of every code."""
    toc = parse_toc(draw(st.integers(0, 255)))
    most = MAX_SAMPLES // toc.frame_samples
    match toc.code:
        case 0:
            return OpusPacket(toc, (draw(frames),))
        case 1:
            frame = draw(frames)
            return OpusPacket(toc, (frame, bytes(len(frame))))
        case 2:
            return OpusPacket(toc, (draw(frames), draw(frames)))
        case _:
            padding = draw(st.binary(max_size=3) | st.integers(250, 600).map(bytes))
            if draw(st.booleans()):
                listed = draw(st.lists(frames, min_size=1, max_size=most))
                return OpusPacket(toc, tuple(listed), True, padding)
            frame = draw(frames)
            count = draw(st.integers(1, most))
            return OpusPacket(toc, (frame,) * count, False, padding)


def test_configurations():
    """Table 2: mode, bandwidth and frame size of all 32 configurations, both channel bits."""
    seen = []
    for configs, mode, bandwidth, sizes in TABLE_2:
        for config, milliseconds in zip(configs, sizes, strict=True):
            for low in range(8):
                toc = parse_toc(config << 3 | low)
                assert (toc.config, toc.stereo, toc.code) == (config, low >= 4, low & 3)
                assert (toc.mode, toc.bandwidth) == (mode, bandwidth)
                assert toc.frame_samples == milliseconds * 48
                seen.append(config << 3 | low)
    assert seen == list(range(256))


@pytest.mark.parametrize(("name", "packet", "sizes", "duration", "padding"), VALID)
def test_valid(name, packet, sizes, duration, padding):
    """Frames, duration and padding of packets derived from the RFC, and back to the bytes."""
    data = bytes.fromhex(packet)
    parsed = OpusPacket.parse(data)
    assert [len(frame) for frame in parsed.frames] == sizes
    assert parsed.samples == duration * 48 == samples_per_packet(data)
    assert len(parsed.padding) == padding
    assert parsed.serialize() == data


@pytest.mark.parametrize(("rule", "packet"), INVALID)
def test_invalid(rule, packet):
    """Section 3.4: a packet that breaks a rule is refused."""
    with pytest.raises(ParseError) as caught:
        OpusPacket.parse(bytes.fromhex(packet))
    assert caught.value.protocol == "opus"


@given(opus_packets())
def test_round_trip(packet):
    """What is built is parsed into the same value."""
    assert OpusPacket.parse(packet.serialize()) == packet


@given(datagrams([bytes.fromhex(packet) for _, packet, *_ in VALID]))
@settings(max_examples=300)
def test_parser_is_total(data):
    """Any bytes give a packet within the limits, or ParseError."""
    quick = samples_per_packet(data)
    assert 0 <= quick <= MAX_SAMPLES
    try:
        packet = OpusPacket.parse(data)
    except ParseError:
        return
    assert packet.samples == quick
    assert max(map(len, packet.frames)) <= MAX_FRAME_SIZE
    assert sum(map(len, packet.frames)) + len(packet.padding) < len(data)
    assert OpusPacket.parse(packet.serialize()) == packet


@pytest.mark.parametrize(
    ("data", "samples"),
    [("", 0), ("fb", 0), ("fb00", 0), ("fb07", 0), ("fb06", 5760), ("78", 960), ("e0", 120)],
)
def test_samples_per_packet(data, samples):
    """The fast duration needs two bytes and is 0 where there is none."""
    assert samples_per_packet(bytes.fromhex(data)) == samples


@pytest.mark.parametrize(
    ("data", "dtx"), [("", False), ("f8", True), ("7800", True), ("fcfffe", False)]
)
def test_dtx(data, dtx):
    """One or two bytes carry nothing to decode; encoded silence does."""
    assert is_dtx(bytes.fromhex(data)) is dtx


def test_dtx_of_a_packet():
    """A packet taken apart is DTX when no frame holds more than a byte."""
    assert OpusPacket.parse(bytes.fromhex("fb830000")).is_dtx
    assert not OpusPacket.parse(bytes.fromhex("fa00aabb")).is_dtx


@pytest.mark.parametrize(("duration", "fec", "packet"), RECORDED)
def test_fec_of_recorded_packets(duration, fec, packet):
    """Sections 4.2.3, 4.2.4: the LBRR flag follows the activity flags of the first frame."""
    parsed = OpusPacket.parse(bytes.fromhex(packet))
    assert parsed.samples == duration * 48
    assert parsed.has_fec is fec


@pytest.mark.parametrize(
    ("toc", "first", "fec"),
    [
        (0x08, 0b0100_0000, True),  # 20 ms mono: one activity flag
        (0x08, 0b1011_1111, False),
        (0x10, 0b0010_0000, True),  # 40 ms: two
        (0x18, 0b0001_0000, True),  # 60 ms: three
        (0x18, 0b1110_1111, False),
        (0x0C, 0b0001_0000, True),  # 20 ms stereo: the side channel alone
        (0x0C, 0b1010_1111, False),
        (0x1C, 0b0000_0001, True),  # 60 ms stereo: the last bit
        (0x1C, 0b1110_1110, False),
        (0x78, 0b0100_0000, True),  # hybrid
        (0xF8, 0b1111_1111, False),  # CELT has none
    ],
)
def test_fec_flag(toc, first, fec):
    """The flag of each duration and channel count, and of no other bit."""
    assert OpusPacket.parse(bytes([toc, first, 0, 0])).has_fec is fec


def test_no_fec_without_a_frame():
    """A frame that was not transmitted has no flag."""
    assert not OpusPacket.parse(b"\x08").has_fec


def test_unbuildable():
    """Frames that the code or the rules do not allow."""
    toc = [parse_toc(0xF8 + code) for code in range(4)]
    for packet in (
        OpusPacket(toc[0], ()),
        OpusPacket(toc[0], (b"a", b"b")),
        OpusPacket(toc[1], (b"a", b"bb")),
        OpusPacket(toc[2], (b"a",)),
        OpusPacket(toc[3], (b"a", b"bb")),
        OpusPacket(toc[3], (b"a",) * 7),
        OpusPacket(toc[0], (b"a" * 1276,)),
        OpusPacket(toc[0], (b"a",), True),
        OpusPacket(toc[0], (b"a",), False, b"\0"),
    ):
        with pytest.raises(UsageError):
            packet.serialize()


@pytest.mark.parametrize("wrong", [b"\xf8", -1, 256, None])
def test_a_toc_is_one_number(wrong: Any) -> None:
    """A packet in place of its first byte is told so."""
    with pytest.raises(UsageError, match="one byte"):
        parse_toc(wrong)
