"""A caller's audio as a line of time, and what of it is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.backend import AudioFrame
from examples.transceiver.frames import (
    MAX_BUFFERED,
    MAX_BUFFERED_BYTES,
    MAX_OVERTAKEN,
    InputBuffer,
    TimeLine,
)

FRAME = 960
SECOND = 48_000


def frame(position: int, size: int = 60, duration: int = FRAME) -> AudioFrame:
    """A frame at a position."""
    return AudioFrame(bytes(size), position, duration)


def test_the_first_packet_is_the_beginning() -> None:
    """Positions start at 0, wherever the sender's timestamps start."""
    line = TimeLine()
    assert [line.place(1, 7_000_000 + n * FRAME, FRAME, 5 + n / 50) for n in range(3)] == [
        0,
        960,
        1920,
    ]


def test_timestamps_that_jump_with_the_clock_are_believed() -> None:
    """DTX: a gap in time that the timestamps show as well."""
    line = TimeLine()
    line.place(1, 0, FRAME, 0.0)
    assert line.place(1, 2 * SECOND, FRAME, 2.03) == 2 * SECOND


def test_jitter_moves_nothing() -> None:
    """A packet that is 300 ms late stands where its timestamp says."""
    line = TimeLine()
    line.place(1, 0, FRAME, 0.0)
    assert line.place(1, FRAME, FRAME, 0.32) == FRAME
    assert line.place(1, 2 * FRAME, FRAME, 0.32) == 2 * FRAME


def test_timestamps_that_stand_still_are_not_believed() -> None:
    """A browser that sends nothing for two seconds counts on as if there had been none."""
    line = TimeLine()
    line.place(1, 0, FRAME, 0.0)
    assert line.place(1, FRAME, FRAME, 2.02) == 2 * SECOND + FRAME
    assert line.place(1, 2 * FRAME, FRAME, 2.04) == 2 * SECOND + 2 * FRAME


def test_another_stream_goes_on() -> None:
    """A sender that begins anew, SSRC and timestamps, is one caller still."""
    line = TimeLine()
    line.place(1, 5_000, FRAME, 0.0)
    assert line.place(2, 999_999, FRAME, 1.0) == SECOND
    assert line.place(2, 999_999 + FRAME, FRAME, 1.02) == SECOND + FRAME


def test_late_packets_keep_their_place() -> None:
    """What was overtaken comes behind with its own, lower time."""
    line = TimeLine()
    line.place(1, 0, FRAME, 0.0)
    line.place(1, 2 * FRAME, FRAME, 0.04)
    assert line.place(1, FRAME, FRAME, 0.05) == FRAME
    assert line.end == 3 * FRAME


def test_nothing_new_comes_before_what_was_told_to_be_over() -> None:
    """After a turn has ended by the clock, the next packet belongs behind it."""
    line = TimeLine()
    line.place(1, 0, FRAME, 0.0)
    line.passed(SECOND // 2)
    assert line.place(1, FRAME, FRAME, 0.4) == SECOND // 2
    line.passed(0)
    assert line.end == SECOND // 2 + FRAME


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(-(2**40), 2**40), st.sampled_from([120, 960, 5760])
        ),
        min_size=1,
        max_size=40,
    ),
    st.floats(0.001, 30),
)
def test_any_timestamps_make_a_line(packets: list[tuple[int, int, int]], step: float) -> None:
    """Whatever a client's clock does, positions stay near the real time and never below 0."""
    line = TimeLine()
    now = 0.0
    for ssrc, timestamp, duration in packets:
        now += step
        position = line.place(ssrc, timestamp, duration, now)
        assert position >= 0
        assert position <= line.end
    # Ten seconds ahead of the clock per packet is what a burst may claim.
    assert line.end <= now * SECOND + len(packets) * (10 * SECOND + 5760)


def test_a_turn_is_what_lies_between_two_times() -> None:
    """Frames that reach into it belong to it; what follows stays, what precedes goes."""
    buffer = InputBuffer()
    for n in range(10):
        buffer.add(frame(n * FRAME))
    assert [f.timestamp // FRAME for f in buffer.take(50, 130)] == [2, 3, 4, 5, 6]
    assert len(buffer) == 3
    assert buffer.start_ms == 140
    assert [f.timestamp // FRAME for f in buffer.take(None, None)] == [7, 8, 9]
    assert buffer.take(None, None) == ()
    assert buffer.audio_ms == 0


def test_late_frames_are_put_in_order() -> None:
    """A turn is heard in the order in which it was said."""
    buffer = InputBuffer()
    for n in (0, 3, 1, 4, 2):
        buffer.add(frame(n * FRAME))
    assert [f.timestamp // FRAME for f in buffer.take(None, None)] == [0, 1, 2, 3, 4]


def test_a_frame_that_many_have_overtaken_is_dropped() -> None:
    """Making room for a late frame moves a bounded number, whatever a client's timestamps do."""
    buffer = InputBuffer()
    buffer.add(frame(0))
    for _ in range(MAX_OVERTAKEN):
        buffer.add(frame(2 * FRAME))
    buffer.add(frame(FRAME))
    assert (len(buffer), buffer.dropped) == (MAX_OVERTAKEN + 2, 0)
    buffer.add(frame(FRAME - 1))
    assert (len(buffer), buffer.dropped) == (MAX_OVERTAKEN + 2, 1)
    times = [each.timestamp for each in buffer.take(None, None)]
    assert times == [0, FRAME, *[2 * FRAME] * MAX_OVERTAKEN]


def test_trimming_forgets_what_ended() -> None:
    """A frame that reaches past the position stays."""
    buffer = InputBuffer()
    for n in range(5):
        buffer.add(frame(n * FRAME))
    buffer.trim(2 * FRAME + 1)
    assert buffer.start_ms == 40
    assert buffer.audio_ms == 60


def test_a_turn_without_end_is_its_last_minute() -> None:
    """Time is bounded: the oldest frames go."""
    buffer = InputBuffer()
    for n in range(4000):
        buffer.add(frame(n * FRAME))
    assert buffer.audio_ms == MAX_BUFFERED // 48
    assert buffer.dropped == 1000
    assert buffer.start_ms == 20_000


@given(st.integers(0, 1500), st.sampled_from([0, 120]))
def test_memory_is_bounded(size: int, step: int) -> None:
    """Packets as large, as short and as dense as a hostile client can make them."""
    buffer = InputBuffer()
    held = 0
    for n in range(200):
        buffer.add(frame(n * step, size * 50, 120))
    taken = buffer.take(None, None)
    held = sum(len(f.payload) + 200 for f in taken)
    assert held <= MAX_BUFFERED_BYTES
    assert buffer.dropped == 200 - len(taken)
