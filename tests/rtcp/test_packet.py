"""RFC 3550 section 6.1, RFC 5506: compounds are walked, kept whole, and refused whole."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.rtcp import (
    Bye,
    Pli,
    ReceiverReport,
    ReportBlock,
    Sdes,
    SenderReport,
    TransportFeedback,
    Unknown,
    build_compound,
    parse_compound,
)
from rtcproto.rtcp.packet import MAX_PACKETS
from tests.support.rtcp_values import rtcp_packets, rtcp_samples
from tests.support.strategies import datagrams

REPORT = ReceiverReport(0x11223344)
PADDED_BYE = bytes.fromhex("a1cb0002 00000001 00000004")


@given(st.lists(rtcp_packets(), min_size=1, max_size=5))
def test_round_trip(packets):
    """What is built is parsed into the same values, whatever stands next to it."""
    assert parse_compound(build_compound(packets)) == packets


@given(datagrams(rtcp_samples()))
@settings(max_examples=400)
def test_parser_is_total(data):
    """Any bytes give packets or ParseError, and what parses can be built and parsed again."""
    try:
        packets = parse_compound(data)
    except ParseError:
        return
    assert parse_compound(build_compound(packets)) == packets


@pytest.mark.parametrize("data", rtcp_samples())
def test_canonical_bytes_survive(data):
    """A datagram built here is built byte for byte again from what was parsed."""
    assert build_compound(parse_compound(data)) == data


def test_header_layout():
    """RFC 3550 6.4.2: version 2, the count, type 201 and the length in words less one."""
    assert build_compound([REPORT]) == bytes.fromhex("80c9000111223344")


def test_reduced_size():
    """RFC 5506 lets feedback travel alone; without it the first packet must be a report."""
    pli = build_compound([Pli(1, 2)])
    assert parse_compound(pli) == [Pli(1, 2)]
    with pytest.raises(ParseError, match="begin with a report"):
        parse_compound(pli, reduced_size=False)
    for first in (REPORT, SenderReport(1, 2, 3, 4, 5)):
        assert parse_compound(build_compound([first, Pli(1, 2)]), reduced_size=False)[0] == first


def test_one_bad_packet_discards_the_compound():
    """RFC 3550 A.2: a length that does not fit discards also the good packets before it."""
    good = build_compound([REPORT])
    with pytest.raises(ParseError):
        parse_compound(good + bytes.fromhex("80cb0005"))
    with pytest.raises(ParseError):
        parse_compound(good + bytes.fromhex("81c80001 00000001"))


@pytest.mark.parametrize("version", [0, 1, 3])
def test_version(version):
    """RFC 3550 6.4.1: the version is two, in every packet of the compound."""
    data = bytearray(build_compound([REPORT, REPORT]))
    data[8] = version << 6
    with pytest.raises(ParseError, match="version"):
        parse_compound(bytes(data))


def test_padding_on_the_last_packet():
    """RFC 3550 6.4.1: padding of whole words ends the last packet and is no part of it."""
    assert parse_compound(PADDED_BYE) == [Bye((1,))]
    assert parse_compound(build_compound([REPORT]) + PADDED_BYE) == [REPORT, Bye((1,))]


def test_padding_before_the_last_packet():
    """RFC 3550 6.1: padding "MUST only be added to the last individual packet"."""
    with pytest.raises(ParseError, match="padding"):
        parse_compound(PADDED_BYE + build_compound([REPORT]))


@pytest.mark.parametrize("count", [0, 3, 12, 255])
def test_padding_count(count):
    """A padding count of zero, of no whole words, or beyond the packet is malformed."""
    with pytest.raises(ParseError, match="padding"):
        parse_compound(PADDED_BYE[:-1] + bytes([count]))


def test_padding_of_an_empty_packet():
    """A padding bit on a packet without a body has no count to read."""
    with pytest.raises(ParseError, match="padding"):
        parse_compound(bytes.fromhex("a0cb0000"))


def test_transport_feedback_may_be_padded_anywhere():
    """libwebrtc counts the fill of transport feedback as padding, in any packet."""
    feedback = TransportFeedback(1, 2, 5, 1, 0, 0, ((0, 4),))
    data = bytearray(build_compound([feedback]))
    assert data[-1] == 0  # one byte of fill
    data[-1] = 1
    data[0] |= 0x20
    assert parse_compound(bytes(data) + build_compound([REPORT])) == [feedback, REPORT]


def test_unknown_types_and_formats_are_kept():
    """A type or format not known here keeps its body and is built again as it was."""
    data = bytes.fromhex("83d00001deadbeef 82ce0002 00000001 00000002")
    packets = parse_compound(data)
    assert packets == [
        Unknown(208, 3, bytes.fromhex("deadbeef")),
        Unknown(206, 2, bytes.fromhex("0000000100000002")),
    ]
    assert build_compound(packets) == data


def test_number_of_packets():
    """A compound has up to MAX_PACKETS packets, in both directions."""
    most = [Unknown(208, 0, b"")] * MAX_PACKETS
    assert parse_compound(build_compound(most)) == most
    with pytest.raises(ParseError, match="too many"):
        parse_compound(build_compound(most) + build_compound([REPORT]))
    with pytest.raises(UsageError):
        build_compound([*most, REPORT])
    with pytest.raises(UsageError):
        build_compound([])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 7, 9])
def test_whole_words_only(size):
    """A datagram that is empty or not whole words cannot hold RTCP packets."""
    with pytest.raises(ParseError):
        parse_compound(b"\x80\xc9\0\1\0\0\0\1\0"[:size])


@pytest.mark.parametrize(
    "packet",
    [
        Pli(1 << 32, 0),
        Pli(-1, 0),
        SenderReport(1, 1 << 64, 0, 0, 0),
        Unknown(300, 0, b""),
        Unknown(208, 32, b""),
        Unknown(208, 0, b"abc"),
        ReceiverReport(1, (ReportBlock(1, 256, 0, 0, 0),)),
        ReceiverReport(1, (ReportBlock(1, 0, 0, 0, 0),) * 32),
        Sdes.of(1, b"x" * 256),
    ],
)
def test_fields_out_of_range(packet):
    """A field that does not fit its bits is the caller's mistake, told as UsageError."""
    with pytest.raises(UsageError):
        build_compound([packet])


def test_longest_packet_a_length_can_say():
    """A body of 65535 words is built and parsed; one more word is refused."""
    body = b"\0" * 0x3FFFC
    data = build_compound([Unknown(208, 0, body)])
    assert struct.unpack_from("!H", data, 2) == (0xFFFF,)
    assert parse_compound(data) == [Unknown(208, 0, body)]
    with pytest.raises(UsageError):
        build_compound([Unknown(208, 0, body + b"\0\0\0\0")])
