"""RFC 4571 framing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.datagram import MAX_DATAGRAM_IN
from rtcproto.errors import ParseError, UsageError
from rtcproto.relay.framing import FrameReader, build_frame


def test_layout() -> None:
    """RFC 4571 section 2: a 16-bit unsigned LENGTH in network byte order, then the packet."""
    assert build_frame(b"abc") == b"\0\3abc"
    assert build_frame(bytes(0x1234))[:2] == b"\x12\x34"
    with pytest.raises(UsageError):
        build_frame(bytes(65_536))


@given(st.lists(st.binary(max_size=300), max_size=10), st.lists(st.integers(1, 40), min_size=1))
def test_any_cut_gives_the_same_packets(packets: list[bytes], cuts: list[int]) -> None:
    """TCP keeps no boundaries; null packets are legal and skipped."""
    stream = b"".join(map(build_frame, packets))
    reader = FrameReader()
    read: list[bytes] = []
    position = n = 0
    while position < len(stream):
        size = cuts[n % len(cuts)]
        read += reader.receive(stream[position : position + size])
        position += size
        n += 1
    assert read == [packet for packet in packets if packet]
    assert not reader.is_partial


def test_the_length_limit() -> None:
    """The largest datagram passes; one byte more is refused when its length is read."""
    reader = FrameReader()
    assert reader.receive(build_frame(bytes(MAX_DATAGRAM_IN))) == [bytes(MAX_DATAGRAM_IN)]
    with pytest.raises(ParseError):
        reader.receive((MAX_DATAGRAM_IN + 1).to_bytes(2, "big"))


def test_partial() -> None:
    """A frame has begun with its first byte and ends with its last."""
    reader = FrameReader()
    states = []
    for byte in b"\0\2ab":
        reader.receive(bytes((byte,)))
        states.append(reader.is_partial)
    assert states == [True, True, True, False]
