"""RFC 3550 sections 6.5 to 6.7: source descriptions, goodbyes, application packets."""

import pytest

from rtcproto.errors import ParseError, UsageError
from rtcproto.rtcp import (
    App,
    Bye,
    Sdes,
    SdesChunk,
    SdesItem,
    SenderReport,
    build_compound,
    parse_compound,
)


def test_sdes_layout():
    """RFC 3550 6.5: items, at least one null byte, then zero bytes to the next word."""
    wire = bytes.fromhex("81ca0003 00000001 0105") + b"alice" + b"\0"
    assert build_compound([Sdes.of(1, b"alice")]) == wire
    assert parse_compound(wire) == [Sdes.of(1, b"alice")]


@pytest.mark.parametrize("size", range(9))
def test_sdes_fill(size):
    """Every length of text is followed by 1 to 4 null bytes and found again."""
    sdes = Sdes((SdesChunk(1, ((1, b"x" * size),)), SdesChunk(2, ((6, b"y"),))))
    data = build_compound([sdes])
    assert len(data) % 4 == 0
    assert parse_compound(data) == [sdes]


def test_cname():
    """The CNAME of a source is found among chunks and items; others have none."""
    sdes = Sdes((SdesChunk(1, ((SdesItem.TOOL, b"t"), (1, b"a"))), SdesChunk(2, ((1, b"b"),))))
    assert (sdes.cname(1), sdes.cname(2), sdes.cname(3)) == (b"a", b"b", None)
    assert Sdes((SdesChunk(1, ()),)).cname(1) is None


@pytest.mark.parametrize(
    "wire",
    [
        "81ca0000",  # a chunk counted, none there
        "81ca0001 00000001",  # no end of the list
        "82ca0002 00000001 00000000",  # two counted, one there
        "81ca0002 00000001 01ff6161",  # item longer than the packet
        "81ca0002 00000001 01026161",  # item ends with the packet, no null byte
        "81ca0002 00000001 01016101",  # item without a length
        "81ca0003 00000001 00000000 00000000",  # a word after the last chunk
        "80ca0001 00000001",  # bytes and no chunk
    ],
)
@pytest.mark.parametrize("followed", [False, True])
def test_malformed_sdes(wire, followed):
    """Counts and lengths are held against this packet's end, also when another follows it."""
    data = bytes.fromhex(wire)
    if followed:
        data += build_compound([SenderReport(0, 0, 0, 0, 0)])
    with pytest.raises(ParseError, match="SDES"):
        parse_compound(data)


@pytest.mark.parametrize("item", [(0, b""), (256, b""), (1, b"x" * 256)])
def test_unbuildable_item(item):
    """Type 0 would end the list; longer texts have no length."""
    with pytest.raises(UsageError):
        build_compound([Sdes((SdesChunk(1, (item,)),))])


def test_bye_layout():
    """RFC 3550 6.6: the sources, then optionally a reason with its length."""
    wire = bytes.fromhex("82cb0003 00000001 00000002 03627965")
    assert build_compound([Bye((1, 2), b"bye")]) == wire
    assert parse_compound(wire) == [Bye((1, 2), b"bye")]
    assert build_compound([Bye((1,))]) == bytes.fromhex("81cb0001 00000001")


def test_malformed_bye():
    """More sources than fit, and a reason beyond the packet."""
    for wire in ("82cb0001 00000001", "81cb0002 00000001 04627965"):
        with pytest.raises(ParseError, match="BYE"):
            parse_compound(bytes.fromhex(wire))
    with pytest.raises(UsageError):
        build_compound([Bye((1,), b"x" * 256)])


def test_app():
    """RFC 3550 6.7: subtype, source, name and data are kept."""
    wire = bytes.fromhex("9fcc0003 00000001") + b"abcd" + b"data"
    assert parse_compound(wire) == [App(31, 1, b"abcd", b"data")]
    assert build_compound([App(31, 1, b"abcd", b"data")]) == wire
    with pytest.raises(ParseError, match="APP"):
        parse_compound(bytes.fromhex("80cc0001 00000001"))
    with pytest.raises(UsageError):
        build_compound([App(0, 1, b"abc")])
