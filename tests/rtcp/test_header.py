"""The four bytes that begin every RTCP packet."""

import pytest

from rtcproto.errors import ParseError, UsageError
from rtcproto.rtcp.header import MAX_COUNT, PacketType, build_packet, malformed, words


def test_layout() -> None:
    """RFC 3550 section 6.4.1: version 2, count, type, length in words minus one."""
    assert build_packet(PacketType.BYE, 1, bytes(4)).hex() == "81cb000100000000"
    assert build_packet(PacketType.RECEIVER_REPORT, 0, b"").hex() == "80c90000"
    assert build_packet(255, MAX_COUNT, bytes(0x3FFFC))[:4].hex() == "9fffffff"


@pytest.mark.parametrize(("count", "size"), [(-1, 0), (32, 0), (0, 1), (0, 3), (0, 0x40000)])
def test_what_does_not_fit_is_refused(count: int, size: int) -> None:
    """Five bits of count, whole words, 16 bits of length."""
    with pytest.raises(UsageError):
        build_packet(200, count, bytes(size))


@pytest.mark.parametrize(("size", "padded"), [(0, 0), (1, 4), (2, 4), (3, 4), (4, 4), (5, 8)])
def test_words(size: int, padded: int) -> None:
    """Zero bytes up to a whole word; nothing where it is whole."""
    data = b"x" * size
    assert words(data) == data + bytes(padded - size)


def test_errors_name_the_protocol() -> None:
    """One way to make them all."""
    error = malformed("odd", 3)
    assert isinstance(error, ParseError)
    assert (error.protocol, error.reason, error.offset) == ("rtcp", "odd", 3)
