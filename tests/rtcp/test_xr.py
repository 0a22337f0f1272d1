"""RFC 3611: receiver reference time and its answer; other blocks are kept."""

import pytest

from rtcproto.errors import ParseError, UsageError
from rtcproto.rtcp import (
    Dlrr,
    DlrrEntry,
    ReceiverReferenceTime,
    UnknownXrBlock,
    Xr,
    build_compound,
    parse_compound,
)
from rtcproto.rtcp.xr import MAX_XR_BLOCKS


def test_layout():
    """RFC 3611 4.4, 4.5: RRTR is a 64-bit time, DLRR is triples."""
    xr = Xr(1, (ReceiverReferenceTime(0x0102030405060708), Dlrr((DlrrEntry(2, 3, 4),))))
    wire = bytes.fromhex(
        "80cf0008 00000001 04000002 0102030405060708 05000003 00000002 00000003 00000004"
    )
    assert build_compound([xr]) == wire
    assert parse_compound(wire) == [xr]


def test_unknown_blocks_are_kept():
    """A VoIP metrics block (type 7), for example, passes through."""
    wire = bytes.fromhex("80cf0003 00000001 07aa0001 01020304")
    xr = Xr(1, (UnknownXrBlock(7, 0xAA, bytes.fromhex("01020304")),))
    assert parse_compound(wire) == [xr]
    assert build_compound([xr]) == wire


@pytest.mark.parametrize(
    "wire",
    [
        "80cf0000",  # no source
        "80cf0002 00000001 04000002",  # block beyond the packet
        "80cf0003 00000001 04000001 00000000",  # RRTR of 32 bits
        "80cf0003 00000001 05000001 00000000",  # a third of a DLRR sub-block
    ],
)
def test_malformed(wire):
    """Lengths are held against the packet and the block's layout."""
    with pytest.raises(ParseError):
        parse_compound(bytes.fromhex(wire))


def test_number_of_blocks():
    """MAX_XR_BLOCKS empty blocks are the most, in both directions."""
    most = Xr(1, (UnknownXrBlock(9, 0, b""),) * MAX_XR_BLOCKS)
    assert parse_compound(build_compound([most])) == [most]
    data = bytearray(build_compound([most])) + bytes.fromhex("09000000")
    data[3] += 1
    with pytest.raises(ParseError, match="too many"):
        parse_compound(bytes(data))
    with pytest.raises(UsageError):
        build_compound([Xr(1, most.blocks + most.blocks)])


def test_known_types_are_not_unknown():
    """A known block type is built from its own value, or it would not come back the same."""
    for block in (UnknownXrBlock(4, 0, bytes(8)), UnknownXrBlock(7, 0, b"abc")):
        with pytest.raises(UsageError):
            build_compound([Xr(1, (block,))])
