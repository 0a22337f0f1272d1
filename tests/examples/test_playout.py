"""The pacer: answers leave as fast as they are heard, on virtual time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.playout import (
    CATCH_UP,
    MAX_PACKET,
    MAX_QUEUED,
    PacedFrame,
    Playout,
    PlayoutEvent,
    Started,
    Stopped,
)

# First bytes of Opus packets: SILK, one frame of 20 ms and of 60 ms; CELT, 2.5 and 10 ms.
FRAME, LONG, SHORT, TEN = b"\x48", b"\x58", b"\xe0", b"\xf0"


class Clock:
    """Serves every deadline of a playout in time, and keeps what leaves."""

    def __init__(self) -> None:
        self.playout = Playout()
        self.now = 100.0
        self.sent: list[tuple[float, PacedFrame]] = []
        self.events: list[tuple[float, PlayoutEvent]] = []

    def serve(self, now: float) -> None:
        """Call the pacer at a moment."""
        for frame in self.playout.handle_timer(now):
            self.sent.append((round(now - 100.0, 4), frame))
        for event in self.playout.next_events():
            self.events.append((round(now - 100.0, 4), event))
        after = self.playout.get_timer()
        assert after is None or after > now

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while (deadline := self.playout.get_timer()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.serve(self.now)
        self.now = until

    def answer(self, name: str, count: int, packet: bytes = FRAME) -> None:
        """Hand over a whole answer at once."""
        self.playout.begin(name)
        for _ in range(count):
            self.playout.add(name, packet, self.now)
        self.playout.finish(name)


def test_a_packet_leaves_when_the_one_before_is_over() -> None:
    """However fast it was made, an answer takes its time."""
    clock = Clock()
    clock.answer("a", 4)
    clock.run(1.0)
    assert [at for at, _ in clock.sent] == [0.0, 0.02, 0.04, 0.06]
    assert [frame.timestamp for _, frame in clock.sent] == [0, 960, 1920, 2880]
    assert [frame.marker for _, frame in clock.sent] == [True, False, False, False]
    assert clock.events == [(0.0, Started("a")), (0.08, Stopped("a"))]


@pytest.mark.parametrize(("packet", "ms"), [(SHORT, 2.5), (TEN, 10), (FRAME, 20), (LONG, 60)])
def test_any_duration_of_packets(packet: bytes, ms: float) -> None:
    """2.5 to 60 ms: the packet says how long it is."""
    clock = Clock()
    clock.answer("a", 3, packet)
    clock.run(1.0)
    assert [at for at, _ in clock.sent] == [0.0, round(ms / 1000, 4), round(ms / 500, 4)]
    assert [frame.timestamp for _, frame in clock.sent] == [0, ms * 48, ms * 96]


def test_what_was_sent_is_known_exactly() -> None:
    """The milliseconds of an answer that left: what a truncation cuts at."""
    clock = Clock()
    clock.answer("a", 100)
    clock.run(0.5)
    assert clock.playout.sent_ms("a") == len(clock.sent) * 20 == 520
    assert clock.playout.playing == "a"
    assert clock.playout.stop("a") == 520
    assert clock.playout.queued_ms == 0
    assert clock.playout.get_timer() is None
    clock.run(1.0)
    assert len(clock.sent) == 26
    assert [event for _, event in clock.events] == [Started("a")]


def test_nothing_of_a_stopped_answer_is_taken() -> None:
    """What a backend still says is too late."""
    clock = Clock()
    clock.answer("a", 10)
    clock.run(0.1)
    clock.playout.stop("a")
    clock.playout.add("a", FRAME, clock.now)
    assert clock.playout.get_timer() is None
    assert clock.playout.dropped == 1
    assert clock.playout.stop("a") == clock.playout.sent_ms("a") == 0


def test_answers_are_heard_one_after_the_other() -> None:
    """The second begins when the first is over, without a gap."""
    clock = Clock()
    clock.answer("a", 2)
    clock.answer("b", 2)
    clock.run(1.0)
    assert [frame.timestamp for _, frame in clock.sent] == [0, 960, 1920, 2880]
    assert clock.events == [
        (0.0, Started("a")),
        (0.04, Stopped("a")),
        (0.04, Started("b")),
        (0.08, Stopped("b")),
    ]


def test_silence_is_a_jump_of_the_timestamp() -> None:
    """Between answers time passes, for the listener too; the marker says so."""
    clock = Clock()
    clock.answer("a", 2)
    clock.run(2.0)
    clock.answer("b", 2)
    clock.run(1.0)
    assert [(at, f.timestamp, f.marker) for at, f in clock.sent] == [
        (0.0, 0, True),
        (0.02, 960, False),
        (2.0, 96_000, True),
        (2.02, 96_960, False),
    ]


def test_a_late_wake_up_is_caught_up() -> None:
    """A pause of the process up to 60 ms leaves no gap, and the pace is kept."""
    clock = Clock()
    clock.answer("a", 10)
    clock.serve(100.0)
    clock.serve(100.075)
    assert [f.timestamp for _, f in clock.sent] == [0, 960, 1920, 2880]
    assert not any(f.marker for _, f in clock.sent[1:])
    assert clock.playout.get_timer() == pytest.approx(100.08)


def test_a_long_stall_makes_no_burst() -> None:
    """Beyond it the rest is heard later: one packet now, the next in 20 ms, nothing lost."""
    clock = Clock()
    clock.answer("a", 10)
    clock.serve(100.0)
    clock.serve(100.5)
    assert [(f.timestamp, f.marker) for _, f in clock.sent] == [(0, True), (24_000, True)]
    assert clock.playout.get_timer() == pytest.approx(100.52)
    clock.now = 100.5
    clock.run(1.0)
    assert len(clock.sent) == 10


@given(st.lists(st.floats(0.0, 0.3), min_size=1, max_size=30))
def test_no_more_than_the_catch_up_leaves_at_once(pauses: list[float]) -> None:
    """However late the pacer is woken."""
    clock = Clock()
    clock.answer("a", 500)
    now = 100.0
    for pause in pauses:
        before = len(clock.sent)
        clock.serve(now)
        assert (len(clock.sent) - before) * 0.02 <= CATCH_UP + 0.02 + 1e-9
        now += pause
    timestamps = [f.timestamp for _, f in clock.sent]
    assert timestamps == sorted(set(timestamps))
    # The time line of RTP stays that of the clock.
    at, last = clock.sent[-1]
    assert abs(at - last.timestamp / 48_000) <= CATCH_UP + 0.021


def test_a_backend_that_is_slow_is_not_hurried() -> None:
    """Packets that come as they are made, with jitter, leave without gaps."""
    clock = Clock()
    clock.playout.begin("a")
    for number in range(10):
        clock.playout.add("a", FRAME, clock.now)
        clock.serve(clock.now)
        clock.run(0.03 if number % 2 else 0.01)
    assert [f.timestamp for _, f in clock.sent] == [n * 960 for n in range(10)]
    clock.run(0.5)
    assert [event for _, event in clock.events] == [Started("a")]
    clock.playout.finish("a")
    clock.serve(clock.now)
    assert clock.events[-1][1] == Stopped("a")


def test_an_answer_without_audio_is_not_heard() -> None:
    """Text only: neither begun nor over."""
    clock = Clock()
    clock.answer("a", 0)
    clock.answer("b", 1)
    clock.run(1.0)
    assert [event for _, event in clock.events] == [Started("b"), Stopped("b")]


def test_what_is_no_packet_is_dropped() -> None:
    """Empty, without a duration, too large for a datagram, for nobody, after the end."""
    playout = Playout()
    playout.begin("a")
    for packet in (b"", b"\x03\x00", FRAME + bytes(MAX_PACKET)):
        playout.add("a", packet, 0.0)
    playout.add("b", FRAME, 0.0)
    playout.add("a", FRAME, 0.0)
    playout.finish("a")
    playout.add("a", FRAME, 0.0)
    assert playout.dropped == 5
    assert playout.queued_ms == 20


def test_what_waits_is_bounded() -> None:
    """Ten minutes of audio, then packets are dropped and counted."""
    playout = Playout()
    playout.begin("a")
    # 120 ms each, code 3 with two frames of 60 ms.
    for _ in range(5010):
        playout.add("a", b"\x5b\x02", 0.0)
    assert playout.queued_ms == MAX_QUEUED // 48
    assert playout.dropped == 10
    assert playout.stop("a") == 0
    playout.begin("b")
    playout.add("b", FRAME, 0.0)
    assert playout.queued_ms == 20


def test_lateness_is_measured() -> None:
    """How much after its due time a packet left, not how slow the backend was."""
    clock = Clock()
    clock.answer("a", 3)
    clock.serve(100.0)
    clock.serve(100.025)
    clock.serve(100.04)
    assert clock.playout.lateness.count == 3
    assert clock.playout.lateness.longest == pytest.approx(0.005)
    slow = Playout()
    slow.begin("a")
    slow.add("a", FRAME, 0.0)
    slow.handle_timer(0.0)
    slow.add("a", FRAME, 5.0)
    slow.handle_timer(5.001)
    assert slow.lateness.longest == pytest.approx(0.001)


def test_levels_travel_with_their_packets() -> None:
    """Where a backend knows how loud a packet is, the listener is told."""
    playout = Playout()
    playout.begin("a")
    playout.add("a", FRAME, 0.0, 33)
    assert [frame.level for frame in playout.handle_timer(0.0)] == [33]


def test_an_answer_keeps_to_the_grid() -> None:
    """Served a little behind each point of the grid, only the first packet waits for one."""
    playout = Playout(0.005)
    playout.begin("a")
    for _ in range(50):
        playout.add("a", FRAME, 100.0012)
    slots = []
    for _ in range(50):
        deadline = playout.get_timer()
        assert deadline is not None
        slot = math.ceil(deadline / 0.005 - 1e-3)
        slots.append(slot)
        assert len(playout.handle_timer(slot * 0.005 + 0.0007)) == 1
    assert slots == list(range(20_001, 20_001 + 200, 4))
    quantile = playout.lateness.quantile(0.95)
    assert quantile is not None
    assert quantile < 0.001
