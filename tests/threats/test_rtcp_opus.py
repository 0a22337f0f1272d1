"""Threats to the RTCP and Opus parsers: short packets, counts that lie, frame bombs.

S7 runs at its full size: every length of 0 to 64 bytes with every first byte.
S9 runs 2,000 mutated datagrams by default and 100,000 under the mark `threats`.
The row of S11 about RED and the jitter buffer belongs to later work.
"""

import contextlib
import random
import struct

import pytest

from rtcproto.errors import ParseError
from rtcproto.opus import OpusPacket, is_dtx, parse_fmtp, samples_per_packet
from rtcproto.opus.toc import MAX_FRAME_SIZE, MAX_SAMPLES
from rtcproto.rtcp import build_compound, parse_compound
from rtcproto.rtcp.packet import MAX_PACKETS
from tests.support.rtcp_values import rtcp_samples
from tests.support.vectors import require_corpus


def size_of(value):
    """How many values a value holds, itself included."""
    if isinstance(value, (int, bytes, str)):
        return 1
    if isinstance(value, (tuple, list)):
        return 1 + sum(size_of(item) for item in value)
    return 1 + sum(size_of(getattr(value, name)) for name in value.__slots__ if name[:2] != "__")


def check_rtcp(data):
    """Packets within the limits that survive a round trip, or ParseError; True if they parse."""
    try:
        packets = parse_compound(data)
    except ParseError:
        return False
    assert 0 < len(packets) <= MAX_PACKETS
    # The fixed parts of a packet are up to 9 values; beyond them a value takes a byte.
    assert size_of(packets) <= 16 + 3 * len(data)
    assert parse_compound(build_compound(packets)) == packets
    return True


@pytest.mark.parametrize("filler", [b"\x00", b"\xff", b"\x01", b"\xc8"])
def test_s7_every_short_length_and_first_byte(filler):
    """Minimum lengths come first: only ParseError, whatever begins a short datagram."""
    for length in range(65):
        body = filler * 64
        for first in range(256) if length else [0]:
            data = (bytes([first]) + body)[:length]
            check_rtcp(data)
            with contextlib.suppress(ParseError):
                OpusPacket.parse(data)
            samples_per_packet(data)
            is_dtx(data)
            parse_fmtp(data.decode("latin-1"))


def test_s7_every_short_rtcp_packet():
    """Each type with each count and each length in words, both truthful and cut short."""
    for packet_type in range(200, 208):
        for count in range(32):
            for words in range(16):
                data = struct.pack("!BBH", 0x80 | count, packet_type, words) + bytes(4 * words)
                check_rtcp(data)
                check_rtcp(data[:-4])


def test_s9_counts_that_lie():
    """The count field at its largest over every shorter length: refused, nothing read beyond."""
    for packet_type in (200, 201, 202, 203):
        data = struct.pack("!BBHL", 0x9F, packet_type, 1, 7)
        with pytest.raises(ParseError):
            parse_compound(data)
        # Nor may bytes of the next packet serve as blocks.
        with pytest.raises(ParseError):
            parse_compound(data + struct.pack("!BBH", 0x80, 204, 255) + bytes(1020))


def test_s9_compound_of_empty_packets():
    """512 empty packets in one datagram: refused at the limit."""
    with pytest.raises(ParseError, match="too many"):
        parse_compound(struct.pack("!BBH", 0x80, 210, 0) * 512)


def test_s9_transport_feedback_that_declares_everything():
    """51 packets of 40 bytes, each declaring 65535 missing: values follow the bytes."""
    one = struct.pack("!LLHHL", 1, 2, 0, 0xFFFF, 0) + struct.pack("!9H", *[0x1FFF] * 8, 7) + b"\0\0"
    data = (struct.pack("!BBH", 0x8F, 205, len(one) // 4) + one) * 51
    assert len(data) <= 2048
    assert check_rtcp(data)


def test_s9_transport_feedback_without_deltas():
    """900 chunks that each declare 1,500 packets received, and no delta: refused."""
    one = struct.pack("!LLHHL", 1, 2, 0, 0xFFFF, 0) + struct.pack("!H", 0x2000 | 1500) * 900
    with pytest.raises(ParseError):
        parse_compound(struct.pack("!BBH", 0x8F, 205, len(one) // 4) + one)


def mutate(data, rng):
    """`data` with some bytes changed, taken out, doubled, or another sample behind it."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out)) if out else 0
        match rng.randrange(5):
            case 0 if out:
                out[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
            case 1 if out:
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                del out[at : at + rng.randint(1, 8)]
            case 3:
                out[at:at] = out[at : at + 4 * rng.randint(1, 4)]
            case _:
                out += rng.choice(rtcp_samples_cached)
    return bytes(out[:2048])


rtcp_samples_cached = rtcp_samples()


def run_mutations(count, seed):
    """How many of `count` mutated compounds still parse."""
    rng = random.Random(seed)
    return sum(check_rtcp(mutate(rng.choice(rtcp_samples_cached), rng)) for _ in range(count))


def test_s9_mutated_compounds():
    """Mutated compounds give packets that survive a round trip, or ParseError (2,000)."""
    assert run_mutations(2000, seed=9) > 50


@pytest.mark.threats
def test_s9_mutated_compounds_full():
    """The same with 100,000 compounds."""
    assert run_mutations(100_000, seed=10) > 2500


def test_s9_corpus():
    """Inputs that crashed or hung another server's RTCP parser, and 50 mutations of each."""
    rng = random.Random(11)
    for path in require_corpus("mediasoup-worker-crashes"):
        data = path.read_bytes()
        check_rtcp(data)
        for _ in range(50):
            check_rtcp(mutate(data, rng))


def test_s11_opus_frame_bombs():
    """No count, length or padding chain makes more than 120 ms or a frame over 1275 bytes."""
    rng = random.Random(12)
    for byte in range(256):
        for second in range(256):
            for size in (0, 1, 50, 2046):
                data = bytes((byte, second)) + rng.randbytes(1) * size
                assert samples_per_packet(data) <= MAX_SAMPLES
                try:
                    packet = OpusPacket.parse(data)
                except ParseError:
                    continue
                assert 0 < packet.samples <= MAX_SAMPLES
                assert max(map(len, packet.frames)) <= MAX_FRAME_SIZE


def test_s11_padding_chain_as_long_as_the_packet():
    """2,046 padding length bytes of 255 promise half a megabyte: refused."""
    with pytest.raises(ParseError):
        OpusPacket.parse(b"\xfb\x41" + b"\xff" * 2046)
