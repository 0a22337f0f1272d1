"""Received TSNs and acknowledgements: RFC 9260 sections 6.2 and 6.7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.sctp.chunks import Sack
from rtcproto.sctp.data_tracker import MAX_AHEAD, MAX_BLOCKS, Acknowledge, DataTracker


def arrive(tracker: DataTracker, *tsns: int, immediate: bool = False) -> None:
    """One packet with these chunks."""
    for tsn in tsns:
        if tracker.is_new(tsn):
            tracker.record(tsn)
    tracker.end_packet(immediate)


def test_every_second_packet_is_acknowledged_at_once() -> None:
    """6.2: "at least every second packet", the others after a delay."""
    tracker = DataTracker(10)
    arrive(tracker, 10)
    assert tracker.due is Acknowledge.DELAYED
    arrive(tracker, 11)
    assert tracker.due is Acknowledge.NOW
    assert tracker.sack(500) == Sack(11, 500)
    assert tracker.due is Acknowledge.NOT


def test_a_gap_is_reported_at_once_and_so_is_its_end() -> None:
    """6.7: as long as something is missing, every packet is answered."""
    tracker = DataTracker(10)
    arrive(tracker, 12, 13)
    assert tracker.due is Acknowledge.NOW
    assert tracker.sack(0).gaps == ((3, 4),)
    arrive(tracker, 10, 11)
    assert tracker.due is Acknowledge.NOW
    assert tracker.sack(0) == Sack(13, 0)


def test_a_duplicate_is_reported_at_once() -> None:
    """6.2: "if a packet arrives with duplicate DATA chunk(s) ... immediately"."""
    tracker = DataTracker(10)
    arrive(tracker, 10)
    tracker.sack(0)
    arrive(tracker, 10)
    assert tracker.due is Acknowledge.NOW
    assert tracker.sack(0).duplicates == (10,)


def test_the_sender_can_ask_for_an_answer() -> None:
    """The I bit, RFC 7053."""
    tracker = DataTracker(10)
    arrive(tracker, 10, immediate=True)
    assert tracker.due is Acknowledge.NOW


def test_tsns_wrap() -> None:
    """Numbers go on behind 2^32 - 1."""
    tracker = DataTracker(0xFFFFFFFE)
    for wire in (0xFFFFFFFE, 0xFFFFFFFF, 0, 2):
        arrive(tracker, tracker.unwrapped(wire))
    assert tracker.sack(0) == Sack(0, 0, ((2, 2),))


def test_what_is_too_far_ahead_is_not_taken() -> None:
    """A TSN that no gap block could report is refused."""
    tracker = DataTracker(0)
    assert tracker.is_new(MAX_AHEAD - 1)
    assert not tracker.is_new(MAX_AHEAD)


def test_skipping_joins_what_arrived() -> None:
    """FORWARD-TSN: RFC 3758 section 3.6."""
    tracker = DataTracker(0)
    arrive(tracker, 2, 5, 6, 9)
    tracker.skip_to(4)
    assert tracker.cumulative == 6
    tracker.skip_to(1)
    assert tracker.sack(0) == Sack(6, 0, ((3, 3),))


def test_c6_blocks_and_duplicates_are_bounded() -> None:
    """C6: an acknowledgement fits a packet whatever arrived."""
    tracker = DataTracker(0)
    arrive(tracker, *range(1, 2000, 2))
    arrive(tracker, *range(1, 2000, 2))
    sack = tracker.sack(0)
    assert len(sack.gaps) == MAX_BLOCKS
    assert len(sack.serialize()) < 1160 - 12


@given(st.lists(st.integers(-3, 40), max_size=60))
def test_it_agrees_with_a_set(tsns: list[int]) -> None:
    """Ranges say what a set of numbers would say."""
    tracker = DataTracker(0)
    seen: set[int] = set()
    for tsn in tsns:
        assert tracker.is_new(tsn) == (tsn >= 0 and tsn not in seen)
        if tsn >= 0 and tsn not in seen:
            tracker.record(tsn)
            seen.add(tsn)
    cumulative = -1
    while cumulative + 1 in seen:
        cumulative += 1
    assert tracker.cumulative == cumulative
    reported = {
        cumulative + offset
        for start, end in tracker.sack(0).gaps
        for offset in range(start, end + 1)
    }
    assert reported == {tsn for tsn in seen if tsn > cumulative}


@pytest.mark.parametrize("packets", [3, 10])
def test_the_delay_does_not_start_anew(packets: int) -> None:
    """A packet in order after a SACK is held back again."""
    tracker = DataTracker(0)
    for tsn in range(packets * 2):
        arrive(tracker, tsn)
        assert tracker.due is (Acknowledge.NOW if tsn % 2 else Acknowledge.DELAYED)
        if tsn % 2:
            tracker.sack(0)
