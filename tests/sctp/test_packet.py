"""The packet and its checksum: RFC 9260 section 3 and appendix A, RFC 9653."""

from __future__ import annotations

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError
from rtcproto.sctp.chunks import Data, Sack
from rtcproto.sctp.control_chunks import CookieAck, Heartbeat
from rtcproto.sctp.packet import MAX_CHUNKS, Packet
from rtcproto.sctp.parameters import Parameter

# RFC 3720 appendix B.4: input, and the value as its bytes are sent.
CRC_VECTORS = [
    (bytes(32), "aa36918a"),
    (b"\xff" * 32, "43aba862"),
    (bytes(range(32)), "4e79dd46"),
    (bytes(range(31, -1, -1)), "5cdb3f11"),
    (
        bytes.fromhex(
            "01c00000000000000000000000000000"
            "14000000000004000000001400000018"
            "28000000000000000200000000000000"
        ),
        "563a96d9",
    ),
    (b"123456789", "839206e3"),
]

PACKET = Packet(5000, 5001, 0xCAFEBABE, (CookieAck(), Data(1, 2, 3, 4, b"hello"), Sack(9, 10)))


@pytest.mark.parametrize(("data", "as_sent"), CRC_VECTORS)
def test_the_checksum_is_crc32c_least_significant_byte_first(data: bytes, as_sent: str) -> None:
    """RFC 3720 appendix B.4, and RFC 9260 appendix A for the order of the bytes."""
    assert crc32c(data).to_bytes(4, "little").hex() == as_sent


def test_a_packet_carries_the_checksum_of_itself_with_the_field_zero() -> None:
    """RFC 9260 section 6.8."""
    raw = PACKET.serialize()
    assert raw[8:12] == crc32c(raw[:8] + bytes(4) + raw[12:]).to_bytes(4, "little")


def test_round_trip() -> None:
    """Header and chunks, in order."""
    assert Packet.parse(PACKET.serialize()) == PACKET


@given(st.integers(0, 8 * len(PACKET.serialize()) - 1))
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    """A wrong checksum is refused."""
    raw = bytearray(PACKET.serialize())
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ParseError):
        Packet.parse(bytes(raw))


def test_zero_checksum_only_where_agreed() -> None:
    """RFC 9653: without the agreement a zero is a wrong checksum."""
    raw = PACKET.serialize(zero_checksum=True)
    with pytest.raises(ParseError, match="checksum"):
        Packet.parse(raw)
    parsed = Packet.parse(raw, zero_checksum=True)
    assert parsed.checksum_was_zero
    assert parsed.chunks == PACKET.chunks
    assert not Packet.parse(PACKET.serialize(), zero_checksum=True).checksum_was_zero


def test_unpadded_last_chunk() -> None:
    """The padding behind the last chunk may be missing; stray bytes may not follow it."""
    raw = Packet(1, 2, 3, (Heartbeat((Parameter(1, b"a"),)),)).serialize(zero_checksum=True)
    cut = raw[:14] + b"\0\x09" + raw[16:21]
    assert Packet.parse(cut, zero_checksum=True).chunks == (Heartbeat((Parameter(1, b"a"),)),)
    with pytest.raises(ParseError, match="behind"):
        Packet.parse(raw + b"\0", zero_checksum=True)


@pytest.mark.parametrize("kind", range(256))
def test_c3_lengths_below_four_or_beyond_the_packet(kind: int) -> None:
    """C3: a chunk that claims 0 to 3 bytes, or more than there are, ends the parsing at once."""
    header = bytes(12)
    for length in (0, 1, 2, 3, 9, 0xFFFF):
        with pytest.raises(ParseError):
            Packet.parse(header + bytes([kind, 0]) + length.to_bytes(2, "big") + bytes(4), True)


def test_too_many_chunks() -> None:
    """A packet cannot make us build an unlimited list."""
    chunks = (CookieAck(),) * MAX_CHUNKS
    assert len(Packet.parse(Packet(1, 2, 3, chunks).serialize()).chunks) == MAX_CHUNKS
    with pytest.raises(ParseError, match="too many"):
        Packet.parse(Packet(1, 2, 3, (*chunks, CookieAck())).serialize())


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    """A value or a ParseError; a value serialises to one that parses alike."""
    try:
        packet = Packet.parse(data, True)
    except ParseError:
        return
    again = Packet.parse(packet.serialize(True), True)
    assert again.chunks == packet.chunks
