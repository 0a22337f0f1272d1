"""RFC 3550 6.4, A.3, A.8: order, loss, jitter and reports of one received stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.rtp.receive_stream import (
    MAX_DROPOUT,
    MAX_GAPS,
    REORDER_DEPTH,
    REORDER_TIME,
    LostRange,
    ReceiveStream,
)

SSRC = 0xCAFE


def feed(stream, sequences, start=0.0):
    """20 ms packets of these sequence numbers, each arriving 20 ms after the one before."""
    late = []
    for index, sequence in enumerate(sequences):
        _, is_late = stream.receive(
            sequence, sequence * 960 & 0xFFFFFFFF, 100, start + index * 0.02
        )
        if is_late:
            late.append(sequence)
    return late


def test_in_order():
    """Packets in order: all counted, none lost, no timer."""
    stream = ReceiveStream(SSRC)
    assert feed(stream, range(100, 150)) == []
    assert stream.lost_ranges() == []
    assert stream.get_timer() is None
    stats = stream.stats()
    assert (stats.packets_received, stats.packets_lost, stats.bytes_received) == (50, 0, 5000)
    assert stats.last_packet_received == pytest.approx(49 * 0.02)
    assert stats.jitter == pytest.approx(0, abs=1e-9)


def test_before_the_first_packet():
    """A stream that has received nothing has nothing to say."""
    stream = ReceiveStream(SSRC)
    assert stream.report_block(1.0) is None
    assert stream.get_timer() is None
    assert stream.lost_ranges() == []
    stats = stream.stats()
    assert (stats.packets_received, stats.packets_lost, stats.last_packet_received) == (0, 0, None)


def test_timestamps_are_unwrapped():
    """32-bit timestamps become integers that go on over the wrap, also for older packets."""
    stream = ReceiveStream(SSRC)
    first, _ = stream.receive(0, 0xFFFFFC40, 1, 0.0)
    after, _ = stream.receive(2, 0x000003C0, 1, 0.04)
    between, _ = stream.receive(1, 0x00000000, 1, 0.05)
    assert (first, between, after) == (0xFFFFFC40, 1 << 32, (1 << 32) + 960)


def test_gap_is_lost_after_newer_packets():
    """A gap is declared once, when REORDER_DEPTH newer packets have come."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0, 1, 4, *range(5, 3 + REORDER_DEPTH)])
    assert stream.lost_ranges() == []
    feed(stream, [3 + REORDER_DEPTH], start=0.08)
    assert stream.lost_ranges() == [LostRange(2, 2)]
    feed(stream, range(7, 20), start=0.1)
    assert stream.lost_ranges() == []
    assert stream.stats().packets_declared_lost == 2


def test_gap_is_lost_after_a_time():
    """Without newer packets (silence after a loss) the timer declares the gap."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0, 2])
    deadline = stream.get_timer()
    assert deadline == pytest.approx(0.02 + REORDER_TIME)
    stream.handle_timer(deadline - 0.001)
    assert stream.lost_ranges() == []
    stream.handle_timer(deadline)
    assert stream.lost_ranges() == [LostRange(1, 1)]
    assert stream.get_timer() is None


def test_reordered_packets_are_not_lost():
    """What fills its gap in time is neither late nor lost."""
    stream = ReceiveStream(SSRC)
    assert feed(stream, [0, 3, 1, 2, 4, 5, 6, 7]) == []
    assert stream.lost_ranges() == []
    assert stream.stats().packets_lost == 0


def test_gap_filled_in_part():
    """What is missing on both sides of a packet that filled the middle is lost apart."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0, 6, 3, 7, 8])
    assert stream.lost_ranges() == [LostRange(1, 2), LostRange(4, 2)]


def test_late_packets():
    """After the declaration a packet is late: counted, and no longer missing in the total."""
    stream = ReceiveStream(SSRC)
    assert feed(stream, [0, 2, 3, 4, 1]) == [1]
    assert stream.lost_ranges() == [LostRange(1, 1)]
    stats = stream.stats()
    assert (stats.packets_lost, stats.packets_declared_lost, stats.packets_late) == (0, 1, 1)


def test_packets_before_the_first_one():
    """What was sent before the first packet that arrived is late, and no gap."""
    stream = ReceiveStream(SSRC)
    assert feed(stream, [10, 9, 11]) == [9]
    assert stream.get_timer() is None


def test_huge_jump_is_one_range_at_once():
    """Beyond MAX_DROPOUT nobody waits, and gaps before it are declared first."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0, 2, 3 + MAX_DROPOUT + 1])
    assert stream.lost_ranges() == [LostRange(1, 1), LostRange(3, MAX_DROPOUT + 1)]
    assert stream.get_timer() is None


def test_longest_gap_that_waits():
    """A jump of just MAX_DROPOUT is still a gap."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0, 1 + MAX_DROPOUT])
    assert stream.lost_ranges() == []
    assert stream.get_timer() is not None


def test_gaps_are_bounded():
    """A long gap split by every second packet stays within MAX_GAPS; the oldest is declared."""
    stream = ReceiveStream(SSRC)
    stream.receive(0, 0, 1, 0.0)
    stream.receive(2000, 0, 1, 0.0)
    for sequence in range(2, 2000, 2):
        stream.receive(sequence, 0, 1, 0.0)
        assert len(stream._gaps) <= MAX_GAPS
    stream.handle_timer(1.0)
    assert stream.lost_ranges() == [LostRange(odd, 1) for odd in range(1, 2000, 2)]


def test_silence_is_not_loss():
    """DTX: timestamps jump, sequence numbers do not; neither loss nor jitter."""
    stream = ReceiveStream(SSRC)
    now, timestamp = 0.0, 0
    for sequence in range(200):
        pause = 0.4 if sequence % 10 == 9 else 0.02
        now += pause
        timestamp += round(pause * 48000)
        stream.receive(sequence, timestamp, 3, now)
    assert stream.lost_ranges() == []
    assert stream.jitter < 1e-6


def test_jitter_of_rfc_3550():
    """A.8: J += (|D| - J) / 16, by hand for three packets."""
    stream = ReceiveStream(SSRC, clock_rate=8000)
    stream.receive(0, 0, 1, 0.0)
    stream.receive(1, 160, 1, 0.03)  # 10 ms late: D = 80 ticks
    assert stream.jitter * 8000 == pytest.approx(5.0)
    stream.receive(2, 320, 1, 0.04)  # back on time: D = -80
    assert stream.jitter * 8000 == pytest.approx(5.0 + (80 - 5) / 16)
    block = stream.report_block(1.0)
    assert block is not None
    assert block.jitter == 9


def test_a_new_timestamp_origin_is_no_jitter():
    """A sender whose clock jumps by hours does not show minutes of jitter."""
    stream = ReceiveStream(SSRC)
    feed(stream, range(10))
    stream.receive(10, 0x40000000, 1, 0.2)
    stream.receive(11, 0x40000000 + 960, 1, 0.22)
    assert stream.jitter < 1e-6


def test_report_block():
    """A.3: fraction since the last report, cumulative loss, extended highest sequence."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0x1FFFE, 0x20001, 0x20002, 0x20003])
    block = stream.report_block(1.0)
    assert block is not None
    assert (block.ssrc, block.highest_sequence) == (SSRC, 0x20003)
    assert (block.fraction_lost, block.cumulative_lost) == (2 * 256 // 6, 2)
    feed(stream, range(0x20004, 0x20008), start=0.1)
    block = stream.report_block(2.0)
    assert block is not None
    assert (block.fraction_lost, block.cumulative_lost) == (0, 2)


def test_late_packets_make_no_negative_fraction():
    """A.3: more received than expected in an interval counts as a fraction of zero."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0, 2, 3, 4])
    stream.report_block(1.0)
    feed(stream, [1], start=0.2)
    block = stream.report_block(2.0)
    assert block is not None
    assert (block.fraction_lost, block.cumulative_lost) == (0, 0)


def test_no_block_without_packets_since_the_last():
    """RFC 3550 6.4: blocks are for sources heard "since the last report"."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0, 1])
    assert stream.report_block(1.0) is not None
    assert stream.report_block(2.0) is None
    feed(stream, [2], start=0.1)
    assert stream.report_block(3.0) is not None


def test_delay_since_last_sender_report():
    """RFC 3550 6.4.1: LSR is the middle of the NTP time, DLSR counts 1/65536 s; both 0 before."""
    stream = ReceiveStream(SSRC)
    feed(stream, [0])
    block = stream.report_block(1.0)
    assert block is not None
    assert (block.last_sr, block.delay_since_last_sr) == (0, 0)
    stream.on_sender_report(0x0102030405060708, 10.0)
    feed(stream, [1])
    block = stream.report_block(11.5)
    assert block is not None
    assert (block.last_sr, block.delay_since_last_sr) == (0x03040506, 3 << 15)


@given(
    st.permutations(range(40)).flatmap(
        lambda order: st.tuples(st.just(order), st.sets(st.integers(0, 39)))
    )
)
def test_every_packet_has_one_fate(case):
    """Whatever the order and losses: received in time, declared lost (once), or before the first.

    Late packets are exactly those that were declared or came before the first one.
    """
    order, dropped = case
    arriving = [0, *(n + 1 for n in order if n not in dropped)]
    stream = ReceiveStream(SSRC)
    late = set(feed(stream, arriving))
    stream.handle_timer(1e9)
    declared = [
        n for lost in stream.lost_ranges() for n in range(lost.first, lost.first + lost.count)
    ]
    assert len(declared) == len(set(declared))
    in_time = set(arriving) - late
    assert not in_time & set(declared)
    assert in_time | set(declared) == set(range(max(arriving) + 1))
    assert late <= set(declared)
    stats = stream.stats()
    assert stats.packets_declared_lost == len(declared)
    assert stats.packets_late == len(late)
    assert stats.packets_lost == len(declared) - len(late)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1 << 48), st.integers(0, 0xFFFFFFFF), st.floats(0, 1), st.booleans()
        ),
        max_size=60,
    )
)
def test_anything_goes(packets):
    """No sequence, timestamp or time raises; the timer law and the bounds hold throughout."""
    stream = ReceiveStream(SSRC)
    now = 0.0
    for sequence, timestamp, pause, report in packets:
        now += pause
        stream.receive(sequence, timestamp, 1, now)
        stream.handle_timer(now)
        timer = stream.get_timer()
        assert timer is None or timer > now
        assert len(stream._gaps) <= MAX_GAPS
        if report and (block := stream.report_block(now)):
            assert len(block.serialize()) == 24
