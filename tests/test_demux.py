"""RFC 7983 and RFC 9443 on every first byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.demux import Kind, classify

# RFC 9443 section 2.1, figure 3, row by row. QUIC's 128-191 is given up to RTP:
# this library speaks no QUIC, and RTP cannot move.
TABLE = [
    (range(4), Kind.STUN),
    (range(4, 16), Kind.UNKNOWN),
    (range(16, 20), Kind.ZRTP),
    (range(20, 64), Kind.DTLS),
    (range(64, 80), Kind.TURN_CHANNEL),
    (range(80, 128), Kind.QUIC),
    (range(128, 192), Kind.RTP),
    (range(192, 256), Kind.QUIC),
]


def test_the_table_covers_every_byte_once() -> None:
    """The reference itself."""
    assert [byte for rows, _ in TABLE for byte in rows] == list(range(256))


@pytest.mark.parametrize(("first", "kind"), [(b, kind) for rows, kind in TABLE for b in rows])
def test_first_byte(first: int, kind: Kind) -> None:
    """The first byte alone decides, whatever follows (but see RTCP)."""
    assert classify(bytes([first])) is kind
    assert classify(bytes([first, 0]) + bytes(40)) is kind


@pytest.mark.parametrize("second", range(256))
def test_rtcp_by_second_byte(second: int) -> None:
    """RFC 5761 section 4: 192 to 223 in the second byte is RTCP, anything else RTP."""
    expected = Kind.RTCP if 192 <= second <= 223 else Kind.RTP
    for first in (0x80, 0x90, 0xBF):
        assert classify(bytes([first, second])) is expected
    assert classify(bytes([0, second])) is Kind.STUN


def test_nothing_is_unknown() -> None:
    """An empty datagram is valid UDP and belongs to nobody."""
    assert classify(b"") is Kind.UNKNOWN


@given(st.binary())
def test_total(data: bytes) -> None:
    """Any bytes have a kind; only the first two matter."""
    assert classify(data) is classify(data[:2])
