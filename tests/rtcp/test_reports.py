"""RFC 3550 section 6.4: sender and receiver reports, and the round trip they give."""

import pytest

from rtcproto.clock import ntp_compact
from rtcproto.errors import ParseError, UsageError
from rtcproto.rtcp import (
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_compound,
    parse_compound,
    round_trip_time,
)

BLOCK = ReportBlock(0x0A0B0C0D, 0x40, -2, 0x0001FFFE, 0x11, 0x22, 0x33)
BLOCK_HEX = "0a0b0c0d 40fffffe 0001fffe 00000011 00000022 00000033"


def test_sender_report_layout():
    """RFC 3550 6.4.1: each field in its place, the loss as 24 bits signed."""
    report = SenderReport(1, 0x0102030405060708, 9, 10, 11, (BLOCK,))
    wire = bytes.fromhex(
        "81c8000c 00000001 0102030405060708 00000009 0000000a 0000000b" + BLOCK_HEX
    )
    assert build_compound([report]) == wire
    assert parse_compound(wire) == [report]


def test_receiver_report_layout():
    """RFC 3550 6.4.2: the same without the sender's part."""
    report = ReceiverReport(1, (BLOCK, BLOCK))
    wire = bytes.fromhex("82c9000d 00000001" + BLOCK_HEX + BLOCK_HEX)
    assert build_compound([report]) == wire
    assert parse_compound(wire) == [report]


def test_extension_is_kept():
    """RFC 3550 6.4.3: what a profile appends to a report is kept as it is."""
    for report in (
        ReceiverReport(1, (BLOCK,), b"more"),
        SenderReport(1, 2, 3, 4, 5, (BLOCK,), b"more"),
        SenderReport(1, 2, 3, 4, 5, (), b"12345678"),
    ):
        assert parse_compound(build_compound([report])) == [report]


@pytest.mark.parametrize("report", [SenderReport(1, 2, 3, 4, 5, (BLOCK,)), ReceiverReport(1)])
def test_count_beyond_the_length(report):
    """A count of blocks that the length does not cover is malformed, not believed."""
    data = bytearray(build_compound([report]))
    data[0] += 1
    with pytest.raises(ParseError, match="shorter"):
        parse_compound(bytes(data))


@pytest.mark.parametrize(("lost", "wire"), [(1 << 23, 0x7FFFFF), (-(1 << 23) - 1, 0x800000)])
def test_cumulative_loss_is_clamped(lost, wire):
    """RFC 3550 A.3: beyond 24 bits the cumulative loss stays at the limit."""
    assert ReportBlock(1, 0, lost, 0, 0).serialize()[5:8] == wire.to_bytes(3, "big")


def test_sender_counts_wrap():
    """RFC 3550 6.4.1: packet and octet counts are 32 bits wide and wrap."""
    (report,) = parse_compound(build_compound([SenderReport(1, 2, 3, (1 << 32) + 5, 1 << 32)]))
    assert (report.packets, report.octets) == (5, 0)


def test_extension_of_half_words():
    """An extension is whole words."""
    with pytest.raises(UsageError):
        build_compound([ReceiverReport(1, (), b"abc")])


def test_round_trip_time_of_rfc_3550_figure_2():
    """RFC 3550 figure 2: the worked example comes out as 6.125 s."""
    arrival = ntp_compact(0xB710_8000_0000_0000 | 0xB7108000 << 16)
    assert arrival == 0xB7108000
    assert round_trip_time(0xB7052000, 0x00054000, 0xB7108000) == 6.125


def test_round_trip_time_across_the_wrap():
    """The compact time wraps every 18 hours; the difference does not notice."""
    assert round_trip_time(0xFFFF8000, 0x4000, 0x4000) == 0.5


def test_round_trip_time_unknown_or_unbelievable():
    """No sender report seen, more delay than passed, or a minute: no figure."""
    assert round_trip_time(0, 0, 5 << 16) is None
    assert round_trip_time(10 << 16, 3 << 16, 12 << 16) is None
    assert round_trip_time(10 << 16, 0, 71 << 16) is None


def test_round_trip_time_just_below_zero():
    """A few ticks below zero are rounding on a fast path, not an error."""
    assert round_trip_time(10 << 16, 5, (10 << 16) + 3) == 0.0
    assert round_trip_time(10 << 16, 100, (10 << 16) + 3) is None
