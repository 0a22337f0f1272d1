"""Sent and not acknowledged: RFC 9260 sections 6.2.1, 6.3.3, 7.2.4 and RFC 3758."""

from __future__ import annotations

import pytest

from rtcproto.errors import PeerError
from rtcproto.sctp.chunks import ForwardTsn, Sack
from rtcproto.sctp.outstanding import CHUNK_OVERHEAD, MAX_FORWARD_STREAMS, Outstanding
from rtcproto.sctp.send_queue import Message

CHUNK = bytes(116)
SIZE = 100


def sent(count: int, first: int = 1, **limits: object) -> tuple[Outstanding, list[Message]]:
    """One-chunk messages with TSNs from `first`, sent at 0.0, 0.1, ..."""
    outstanding = Outstanding(first)
    messages = [Message(1, 51, bytes(SIZE), **limits) for _ in range(count)]  # type: ignore[arg-type]
    for number, message in enumerate(messages):
        message.ssn = number
        message.offset = SIZE
        outstanding.add(CHUNK, SIZE, message, number / 10)
    return outstanding, messages


def resent(outstanding: Outstanding, now: float = 9.0) -> list[int]:
    """The TSNs that are sent again."""
    tsns = []
    while (chunk := outstanding.resend(10_000, now)) is not None:
        tsns.append(chunk.tsn)
    return tsns


def test_a_cumulative_acknowledgement() -> None:
    """Everything up to there leaves; the newest of it measures the round trip."""
    outstanding, _ = sent(3)
    outcome = outstanding.acknowledge(Sack(2, 0), 1.0)
    assert outcome is not None
    assert (outcome.size, outcome.flight_before, outcome.cumulative) == (232, 348, 2)
    assert outcome.sent_at == pytest.approx(0.1)
    assert outstanding.flight == 116
    assert outstanding.charge == SIZE + CHUNK_OVERHEAD
    assert not outstanding.empty
    outstanding.acknowledge(Sack(3, 0), 1.0)
    assert outstanding.empty
    assert (outstanding.flight, outstanding.payload, outstanding.charge) == (0, 0, 0)


def test_an_old_acknowledgement_is_ignored() -> None:
    """6.2.1 D i: it was overtaken."""
    outstanding, _ = sent(3)
    outstanding.acknowledge(Sack(2, 0), 1.0)
    assert outstanding.acknowledge(Sack(1, 0, ((2, 2),)), 1.0) is None


@pytest.mark.parametrize("sack", [Sack(4, 0), Sack(1, 0, ((2, 3),)), Sack(0x7FFFFFFF, 0)])
def test_c6_what_was_not_sent_cannot_be_acknowledged(sack: Sack) -> None:
    """C6: such a peer is broken or worse."""
    outstanding, _ = sent(3)
    with pytest.raises(PeerError):
        outstanding.acknowledge(sack, 1.0)


def test_numbers_wrap() -> None:
    """TSNs are unwrapped inside."""
    outstanding, _ = sent(4, first=0xFFFFFFFE)
    outstanding.acknowledge(Sack(0, 0), 1.0)
    assert outstanding.flight == 116


def test_three_reports_make_a_loss() -> None:
    """7.2.4: and the chunk is not in flight any more."""
    outstanding, _ = sent(6)
    for end in (2, 3):
        outcome = outstanding.acknowledge(Sack(0, 0, ((2, end),)), 1.0)
        assert outcome is not None
        assert not outcome.lost
    outcome = outstanding.acknowledge(Sack(0, 0, ((2, 4),)), 1.0)
    assert outcome is not None
    assert outcome.lost
    assert outstanding.flight == 2 * 116
    assert resent(outstanding) == [1]
    assert outstanding.flight == 3 * 116


def test_a_report_without_news_counts_nothing() -> None:
    """7.2.4: only newly acknowledged chunks are reports."""
    outstanding, _ = sent(4)
    for _ in range(5):
        outcome = outstanding.acknowledge(Sack(0, 0, ((2, 2),)), 1.0)
        assert outcome is not None
        assert not outcome.lost


def test_a_lost_repetition_is_noticed() -> None:
    """By the order of transmissions: what was sent after it arrives, it does not."""
    outstanding, _ = sent(4)
    for end in (2, 3, 4):
        outstanding.acknowledge(Sack(0, 0, ((2, end),)), 1.0)
    assert resent(outstanding) == [1]
    for number in range(3):
        outstanding.add(CHUNK, SIZE, Message(1, 51, bytes(SIZE)), 2.0)
        outstanding.acknowledge(Sack(0, 0, ((2, 5 + number),)), 2.1)
    assert resent(outstanding) == [1]


def test_a_repetition_measures_nothing() -> None:
    """Karn's rule, 6.3.1 C5."""
    outstanding, _ = sent(1)
    outstanding.time_out(1.0)
    assert resent(outstanding) == [1]
    outcome = outstanding.acknowledge(Sack(1, 0), 2.0)
    assert outcome is not None
    assert outcome.sent_at is None


def test_a_time_out_distrusts_gap_blocks() -> None:
    """6.2.1: the peer may have dropped what it reported; the next SACK says."""
    outstanding, _ = sent(3)
    outstanding.acknowledge(Sack(0, 0, ((2, 3),)), 1.0)
    outstanding.time_out(2.0)
    assert outstanding.flight == 0
    first = outstanding.resend(10_000, 2.0)
    assert first is not None
    assert first.tsn == 1
    outstanding.acknowledge(Sack(0, 0, ((2, 2),)), 2.1)
    assert resent(outstanding) == [3]


def test_blocks_out_of_order_are_not_believed() -> None:
    """C6: each TSN is touched once."""
    outstanding, _ = sent(6)
    outstanding.acknowledge(Sack(0, 0, ((4, 4), (2, 2))), 1.0)
    outstanding.acknowledge(Sack(0, 0, ((4, 4), (4, 5))), 1.0)
    assert outstanding.flight == 5 * 116
    outstanding.acknowledge(Sack(0, 0, ((1, 6),)), 1.0)
    assert outstanding.flight == 5 * 116


def test_a_message_without_retransmissions_is_given_up() -> None:
    """RFC 7496: and the peer is told to go on."""
    outstanding, messages = sent(4, max_retransmits=0)
    for end in (2, 3, 4):
        outstanding.acknowledge(Sack(0, 0, ((2, end),)), 1.0)
    assert outstanding.gave_up == [messages[0]]
    assert resent(outstanding) == []
    assert outstanding.must_forward
    assert outstanding.forward_tsn() == ForwardTsn(4, ((1, 0),))
    outstanding.acknowledge(Sack(4, 0), 2.0)
    assert outstanding.empty
    assert not outstanding.must_forward
    assert outstanding.charge == 0


def test_a_message_that_expired_is_given_up_before_it_is_sent_again() -> None:
    """RFC 3758 section 3.5 A1: thousands at once, without recursion."""
    outstanding, messages = sent(3000, expires=5.0)
    outstanding.time_out(1.0)
    assert outstanding.resend(10_000, 4.9) is not None
    assert outstanding.resend(10_000, 5.0) is None
    assert len(outstanding.gave_up) == 2999
    assert messages[1].abandoned


def test_all_fragments_of_a_message_are_given_up() -> None:
    """RFC 3758 section 3.5 A3; an end that was not sent yet has a TSN all the same."""
    outstanding = Outstanding(1)
    message = Message(1, 51, bytes(400), ordered=False, max_retransmits=0)
    message.offset = 300
    for _ in range(3):
        outstanding.add(CHUNK, SIZE, message, 0.0)
    outstanding.acknowledge(Sack(0, 0, ((2, 2),)), 0.1)
    outstanding.time_out(1.0)
    assert outstanding.forward_tsn() == ForwardTsn(4, ())
    assert outstanding.next_tsn == 5
    assert outstanding.flight == 0
    assert outstanding.payload == 0


def test_a_forward_tsn_names_a_bounded_number_of_streams() -> None:
    """What does not fit one chunk follows with the next."""
    outstanding = Outstanding(1)
    for stream in range(100):
        message = Message(stream, 51, bytes(SIZE), max_retransmits=0)
        message.offset = SIZE
        outstanding.add(CHUNK, SIZE, message, 0.0)
    outstanding.time_out(1.0)
    chunk = outstanding.forward_tsn()
    assert len(chunk.streams) == MAX_FORWARD_STREAMS == chunk.cumulative
    outstanding.acknowledge(Sack(chunk.cumulative, 0), 1.0)
    assert outstanding.forward_tsn().cumulative == 100
