"""DATA, SACK and FORWARD-TSN: RFC 9260 sections 3.3.1 and 3.3.4, RFC 3758 section 3.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError
from rtcproto.sctp.chunks import (
    Data,
    ForwardTsn,
    Sack,
    parse_data,
    parse_forward_tsn,
    parse_sack,
)
from tests.support.vectors import from_hex

TSN = st.integers(0, 0xFFFFFFFF)
U16 = st.integers(0, 0xFFFF)
FLAG = st.booleans()

# Laid out by hand from the diagrams of the RFCs: (bytes, value).
DATA = (
    "00 0b 0013 00000001 0002 0003 00000033 616263 00",
    Data(1, 2, 3, 0x33, b"abc", beginning=True, ending=True, immediate=True),
)
DATA_MIDDLE = (
    "00 04 0014 ffffffff 0000 0000 00000000 00010203",
    Data(0xFFFFFFFF, 0, 0, 0, bytes(range(4)), False, False, unordered=True),
)
SACK = (
    "03 00 001c 0000000a 00100000 0002 0001 0002 0003 0005 0005 00000009",
    Sack(10, 0x100000, ((2, 3), (5, 5)), (9,)),
)
FORWARD = ("c0 00 000c 0000000a 0001 0007", ForwardTsn(10, ((1, 7),)))


@pytest.mark.parametrize(("text", "chunk"), [DATA, DATA_MIDDLE])
def test_data_both_ways(text: str, chunk: Data) -> None:
    """The chunk's own length leaves the padding out; flags are I U B E."""
    raw = from_hex(text)
    assert chunk.serialize() == raw
    assert parse_data(raw, 4, int.from_bytes(raw[2:4], "big"), raw[1]) == chunk


def test_sack_both_ways() -> None:
    """Gaps are offsets from the cumulative TSN, duplicates are whole TSNs."""
    raw = from_hex(SACK[0])
    assert SACK[1].serialize() == raw
    assert parse_sack(raw, 4, len(raw), 0) == SACK[1]


def test_forward_tsn_both_ways() -> None:
    """The cumulative TSN and a pair per ordered stream."""
    raw = from_hex(FORWARD[0])
    assert FORWARD[1].serialize() == raw
    assert parse_forward_tsn(raw, 4, len(raw), 0) == FORWARD[1]


@given(st.builds(Data, TSN, U16, U16, TSN, st.binary(max_size=50), FLAG, FLAG, FLAG, FLAG))
def test_data_round_trip(chunk: Data) -> None:
    """Every field survives."""
    raw = chunk.serialize()
    assert len(raw) % 4 == 0
    assert parse_data(raw, 4, int.from_bytes(raw[2:4], "big"), raw[1]) == chunk


@given(
    st.builds(
        Sack,
        TSN,
        TSN,
        st.lists(st.tuples(U16, U16), max_size=6).map(tuple),
        st.lists(TSN, max_size=6).map(tuple),
    )
)
def test_sack_round_trip(chunk: Sack) -> None:
    """Every field survives."""
    raw = chunk.serialize()
    assert parse_sack(raw, 4, len(raw), 0) == chunk


@given(st.builds(ForwardTsn, TSN, st.lists(st.tuples(U16, U16), max_size=6).map(tuple)))
def test_forward_tsn_round_trip(chunk: ForwardTsn) -> None:
    """Every field survives."""
    raw = chunk.serialize()
    assert parse_forward_tsn(raw, 4, len(raw), 0) == chunk


@pytest.mark.parametrize("size", range(12))
def test_too_short(size: int) -> None:
    """Less than the fixed fields is refused, never read beyond."""
    raw = bytes(100)
    with pytest.raises(ParseError):
        parse_data(raw, 4, 4 + size, 3)
    with pytest.raises(ParseError):
        parse_sack(raw, 4, 4 + size, 0)
    if size < 4 or size % 4:
        with pytest.raises(ParseError):
            parse_forward_tsn(raw, 4, 4 + size, 0)


@pytest.mark.parametrize("counts", [(1, 0), (0, 1), (3, 0), (0xFFFF, 0xFFFF)])
def test_c6_sack_counts_that_disagree_with_the_length(counts: tuple[int, int]) -> None:
    """C6: a SACK that claims more, or fewer, blocks than it has is refused before any is read."""
    body = bytes(8) + counts[0].to_bytes(2, "big") + counts[1].to_bytes(2, "big") + bytes(8)
    with pytest.raises(ParseError, match="counts"):
        parse_sack(body, 0, len(body), 0)


def test_repr_shows_no_payload() -> None:
    """What is said on a channel does not end up in a log."""
    assert repr(Data(1, 2, 3, 4, b"secret")) == "Data(tsn=1, stream=2, 6 bytes)"
