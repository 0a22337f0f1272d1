"""RTCP of a session, without SRTP around it."""

from __future__ import annotations

import pytest

from rtcproto.clock import WallClock, ntp_compact
from rtcproto.errors import ParseError
from rtcproto.rtcp import (
    Bye,
    Dlrr,
    ReceiverReferenceTime,
    ReceiverReport,
    ReportBlock,
    Sdes,
    SenderReport,
    Xr,
    build_compound,
    parse_compound,
)
from rtcproto.rtp import SendStream
from rtcproto.rtp.receive_stream import ReceiveStream
from rtcproto.session.reporting import MAX_REFERENCES, Reporter
from rtcproto.testing import World

NOW = 1000.0
OURS, THEIRS = 0x1111, 0x2222
WALL = WallClock(1_800_000_000.0, NOW)


def reporter(started: bool = True) -> Reporter:
    """One of stream `OURS`."""
    made = Reporter(OURS, b"cname", 48_000, WALL, World(1).entropy("r"))
    if started:
        made.start(NOW)
    return made


def sending(packets: int) -> SendStream:
    """Our stream after so many packets of 100 bytes."""
    stream = SendStream(
        ssrc=OURS, payload_type=111, clock_rate=48_000, first_sequence=1, first_timestamp=0
    )
    for number in range(packets):
        stream.header(number * 960, False, 100, None, False, NOW)
    return stream


def receiving() -> dict[int, ReceiveStream]:
    """Their stream after one packet."""
    stream = ReceiveStream(THEIRS, 48_000)
    stream.receive(7, 960, 100, NOW)
    return {THEIRS: stream}


def due(subject: Reporter, send: SendStream | None = None, **fields: object) -> list:
    """The next report, parsed."""
    deadline = subject.get_timer()
    assert deadline is not None
    report = subject.report_due(send, fields.get("streams", {}), deadline)  # type: ignore[arg-type]
    assert report is not None
    return parse_compound(report, reduced_size=False)


def test_nothing_is_due_before_the_start() -> None:
    """Reports of a session that is not connected would go nowhere."""
    subject = reporter(started=False)
    assert subject.get_timer() is None
    assert subject.report_due(None, {}, NOW + 100) is None


def test_the_first_report_comes_early_and_once() -> None:
    """RFC 3550 section 6.2: half the interval at first; a deadline reports once."""
    subject = reporter()
    deadline = subject.get_timer()
    assert deadline is not None
    assert NOW < deadline < NOW + 1
    assert subject.report_due(None, {}, deadline - 0.001) is None
    assert subject.report_due(None, {}, deadline) is not None
    assert subject.report_due(None, {}, deadline) is None
    following = subject.get_timer()
    assert following is not None
    assert following > deadline


def test_silent_sides_send_receiver_reports() -> None:
    """RFC 3550 section 6.4: SR only for who sent since the last report; SDES always."""
    subject = reporter()
    stream = sending(3)
    first = due(subject, stream, streams=receiving())
    assert isinstance(first[0], SenderReport)
    assert (first[0].packets, first[0].octets) == (3, 300)
    assert first[0].reports[0].ssrc == THEIRS
    assert isinstance(first[1], Sdes)
    second = due(subject, stream)
    assert isinstance(second[0], ReceiverReport)
    stream.header(9600, False, 100, None, False, NOW)
    assert isinstance(due(subject, stream)[0], SenderReport)


def test_round_trip_from_a_report_on_us() -> None:
    """RFC 3550 section 6.4.1: A - LSR - DLSR, 0.3 s here; sums and counts grow."""
    subject = reporter()
    assert subject.remote_inbound_stats() is None
    sent = ntp_compact(WALL.ntp(NOW))
    block = ReportBlock(OURS, 64, 5, 1000, 480, sent, int(0.5 * 65536))
    other = ReportBlock(0x9999, 255, 9, 1, 1, sent, 0)
    for elapsed in (0.8, 0.9):
        subject.receive(build_compound([ReceiverReport(THEIRS, (other, block))]), {}, NOW + elapsed)
    stats = subject.remote_inbound_stats()
    assert stats is not None
    assert (stats.ssrc, stats.fraction_lost, stats.packets_lost) == (OURS, 0.25, 5)
    assert stats.jitter == pytest.approx(0.01)
    assert stats.round_trip_time == pytest.approx(0.4, abs=1e-3)
    assert stats.total_round_trip_time == pytest.approx(0.7, abs=1e-3)
    assert stats.round_trip_time_measurements == 2


def test_a_peer_that_asks_gets_its_dlrr_once() -> None:
    """RFC 3611 section 4.5: last RR and the delay since, in 1/65,536 s."""
    subject = reporter()
    reference = 0x0123_4567_89AB_CDEF
    packet = Xr(THEIRS, (ReceiverReferenceTime(reference),))
    subject.receive(build_compound([packet]), {}, NOW)
    deadline = subject.get_timer()
    assert deadline is not None
    (xr,) = [packet for packet in due(subject) if isinstance(packet, Xr)]
    (block,) = xr.blocks
    assert isinstance(block, Dlrr)
    (entry,) = block.entries
    assert (entry.ssrc, entry.last_rr) == (THEIRS, ntp_compact(reference))
    assert entry.delay == int((deadline - NOW) * 65536)
    assert not [packet for packet in due(subject) if isinstance(packet, Xr)]


def test_references_are_bounded() -> None:
    """An authenticated peer with many SSRCs makes no report grow."""
    subject = reporter()
    for ssrc in range(100):
        packet = Xr(ssrc, (ReceiverReferenceTime(1 << 32),))
        subject.receive(build_compound([packet]), {}, NOW)
    (xr,) = [packet for packet in due(subject) if isinstance(packet, Xr)]
    assert len(xr.blocks[0].entries) == MAX_REFERENCES


def test_byes_name_the_streams_that_ended() -> None:
    """Known ones, each once; a stranger's SSRC ends nothing."""
    subject = reporter()
    data = build_compound([ReceiverReport(THEIRS, ()), Bye((THEIRS, 5)), Bye((THEIRS,))])
    assert subject.receive(data, receiving(), NOW) == (THEIRS,)


def test_goodbye_is_the_last_word() -> None:
    """A compound that ends in our BYE; nothing is due afterwards."""
    subject = reporter()
    packets = parse_compound(subject.goodbye(sending(1), {}, NOW), reduced_size=False)
    assert packets[-1] == Bye((OURS,))
    assert subject.get_timer() is None
    assert subject.report_due(None, {}, NOW + 100) is None


def test_malformed_compounds_raise() -> None:
    """The plane counts them."""
    with pytest.raises(ParseError):
        reporter().receive(b"\x80\xc9\x00\x09", {}, NOW)
