"""What INIT and INIT-ACK say: RFC 9260 sections 3.3.2 and 5.2.4, and the extensions."""

from __future__ import annotations

import base64

import attrs
import pytest

from rtcproto.errors import ParseError, PeerError
from rtcproto.sctp import SctpConfig
from rtcproto.sctp.control_chunks import Init
from rtcproto.sctp.handshake import (
    Agreement,
    Feature,
    Verdict,
    agree,
    agree_by_cookie,
    judge,
    make_cookie,
    make_init,
    make_init_ack,
    parse_init,
    unknown,
)
from rtcproto.sctp.parameters import Parameter, ParameterType, find

CONFIG = SctpConfig()
# draft-hancke-tsvwg-snap-00: the offerer's INIT.
SNAP_INIT = base64.b64decode("AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA")
AGREEMENT = Agreement(1, 2, 3, 4, 5, 6, 7, Feature.FORWARD_TSN)


def test_two_of_ours_agree() -> None:
    """Everything we announce we understand."""
    theirs = make_init(CONFIG, 7, 8)
    assert agree(CONFIG, 1, 2, theirs) == Agreement(
        1,
        7,
        2,
        8,
        CONFIG.receive_window,
        CONFIG.inbound_streams,
        CONFIG.inbound_streams,
        Feature.FORWARD_TSN | Feature.RECONFIGURATION | Feature.ZERO_CHECKSUM,
    )


def test_a_foreign_init() -> None:
    """The draft's example: no zero checksum."""
    theirs = parse_init(SNAP_INIT)
    agreement = agree(CONFIG, 1, 2, theirs)
    assert agreement.their_tag == 0x896CDD1D
    assert agreement.features == Feature.FORWARD_TSN | Feature.RECONFIGURATION
    assert agreement.outbound_streams == 65535


def test_zero_checksum_only_for_dtls() -> None:
    """RFC 9653 section 4: another detection method is not ours."""
    theirs = make_init(CONFIG, 7, 8)
    value = (2).to_bytes(4, "big")
    other = Parameter(ParameterType.ZERO_CHECKSUM_ACCEPTABLE, value)
    changed = Init(7, 1, 1, 1, 8, (*theirs.parameters[:-1], other))
    assert not agree(CONFIG, 1, 2, changed).features & Feature.ZERO_CHECKSUM
    quiet = make_init(attrs.evolve(CONFIG, zero_checksum=False), 7, 8)
    assert not agree(CONFIG, 1, 2, quiet).features & Feature.ZERO_CHECKSUM


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_zeroes_that_may_not_be(numbers: tuple[int, int, int]) -> None:
    """3.3.2: no tag 0, no association without streams."""
    tag, outbound, inbound = numbers
    with pytest.raises(PeerError):
        agree(CONFIG, 1, 2, Init(tag, 1, outbound, inbound, 8))


def test_a_cookie_holds_an_agreement() -> None:
    """What goes into a cookie comes out of it."""
    cookie = make_cookie(AGREEMENT, 8, 9, 1000.0)
    assert (cookie.our_tie, cookie.their_tie, cookie.made_at) == (8, 9, 1000.0)
    assert agree_by_cookie(cookie) == AGREEMENT


def test_the_answer_reports_what_was_not_understood() -> None:
    """3.2.1: by the two highest bits of the type; 00 and 01 stop."""
    kinds = (0x8002, 0xC123, 0x4321, 0xC124)
    parameters = tuple(Parameter(kind, b"ab") for kind in kinds)
    assert [parameter.type for parameter in unknown(parameters)] == [0xC123, 0x4321]
    assert unknown((Parameter(0x0123), Parameter(0xC123))) == []
    answer = make_init_ack(CONFIG, 1, 2, b"cookie", Init(7, 1, 1, 1, 8, parameters))
    assert find(answer.parameters, ParameterType.STATE_COOKIE) == b"cookie"
    reported = find(answer.parameters, ParameterType.UNRECOGNIZED)
    assert reported == bytes.fromhex("c123 0006 6162")


def test_the_report_is_bounded() -> None:
    """An INIT full of nonsense does not get an answer full of it."""
    init = Init(7, 1, 1, 1, 8, tuple(Parameter(0xC123, bytes(100)) for _ in range(10)))
    assert len(make_init_ack(CONFIG, 1, 2, b"cookie", init).serialize()) < 400


@pytest.mark.parametrize(
    ("ties", "their_tag", "our_tag", "age", "known", "verdict"),
    [
        ((0, 0), 2, 1, 1.0, False, Verdict.ESTABLISH),
        ((0, 0), 2, 99, 1.0, False, Verdict.DISCARD),
        ((0, 0), 2, 1, 61.0, False, Verdict.STALE),
        ((0, 0), 2, 1, 61.0, True, Verdict.REPEAT),
        ((1, 2), 77, 99, 1.0, True, Verdict.RESTART),
        ((1, 3), 77, 99, 1.0, True, Verdict.DISCARD),
        ((0, 0), 2, 99, 1.0, True, Verdict.DISCARD),
        ((0, 0), 77, 1, 1.0, True, Verdict.DISCARD),
    ],
)
def test_the_table_of_returned_cookies(
    ties: tuple[int, int], their_tag: int, our_tag: int, age: float, known: bool, verdict: Verdict
) -> None:
    """5.2.4 table 12, where our own association has the tags 1 (ours) and 2 (theirs)."""
    agreement = Agreement(our_tag, their_tag, 3, 4, 5, 6, 7, Feature.NONE)
    cookie = make_cookie(agreement, *ties, 1000.0)
    existing = AGREEMENT if known else None
    assert judge(cookie, 1, existing, 60.0, 1000.0 + age) is verdict


@pytest.mark.parametrize(
    "data", [b"", b"\1\0\0", b"\2" + SNAP_INIT[1:], SNAP_INIT[:20], SNAP_INIT + bytes(4)]
)
def test_what_is_no_init(data: bytes) -> None:
    """SNAP: "If the series of bytes is not a valid SCTP INIT chunk this results in an error"."""
    with pytest.raises(ParseError):
        parse_init(data)
