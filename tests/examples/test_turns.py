"""Turn detection: levels in, beginnings and ends of speech out, on virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.backend import AudioFrame
from examples.transceiver.turns import (
    GRACE,
    IdleTimeout,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
    TurnEvent,
    TurnSettings,
)

LOUD, QUIET = 25, 90


class Caller:
    """Speaks and pauses, 20 ms at a time, and keeps what the detector says."""

    def __init__(self, settings: TurnSettings | None = None) -> None:
        self.detector = TurnDetector(settings or TurnSettings())
        self.position = 0
        self.now = 0.0
        self.events: list[TurnEvent] = []

    def say(self, level: int | None, ms: int, frame_ms: int = 20) -> None:
        """Send so many milliseconds of this level."""
        for _ in range(ms // frame_ms):
            self.pass_time(frame_ms)
            duration = frame_ms * 48
            frame = AudioFrame(b"\x78", self.position - duration, duration, level, True)
            self.detector.receive(frame, self.now)
            self.events += self.detector.next_events()

    def pass_time(self, ms: int) -> None:
        """Let time pass without a packet, every deadline served in time."""
        until = self.now + ms / 1000
        while (deadline := self.detector.get_timer()) is not None and deadline <= until:
            self.detector.handle_timer(deadline)
            after = self.detector.get_timer()
            assert after is None or after > deadline
            self.events += self.detector.next_events()
        self.now = until
        self.position += ms * 48

    def times(self) -> list[tuple[str, int]]:
        """The events, shortly."""
        return [
            ("start", event.audio_start_ms)
            if isinstance(event, SpeechStarted)
            else ("stop" if isinstance(event, SpeechStopped) else "idle", event.audio_end_ms)
            for event in self.events
        ]


def test_a_turn_has_padding_before_and_silence_after() -> None:
    """audio_start_ms includes prefix_padding_ms, audio_end_ms includes silence_duration_ms."""
    caller = Caller(TurnSettings(prefix_padding_ms=300, silence_duration_ms=500))
    caller.say(QUIET, 1000)
    caller.say(LOUD, 2000)
    caller.say(QUIET, 1000)
    assert caller.times() == [("start", 700), ("stop", 3500)]


def test_the_moments_are_known() -> None:
    """When the first loud packet came, and the last: what reaction times count from."""
    caller = Caller()
    caller.say(QUIET, 1000)
    caller.say(LOUD, 2000)
    caller.say(QUIET, 1000)
    start, stop = caller.events
    assert isinstance(start, SpeechStarted)
    assert isinstance(stop, SpeechStopped)
    assert start.heard == pytest.approx(1.02)
    assert stop.heard == pytest.approx(3.0)


def test_speech_is_noticed_with_its_second_frame() -> None:
    """40 ms of loud audio start a turn: barge-in waits for no more."""
    caller = Caller()
    caller.say(QUIET, 1000)
    caller.say(LOUD, 20)
    assert caller.events == []
    caller.say(LOUD, 20)
    assert caller.times() == [("start", 700)]


def test_a_click_is_no_speech() -> None:
    """One loud frame between quiet ones, however often."""
    caller = Caller()
    for _ in range(20):
        caller.say(LOUD, 20)
        caller.say(QUIET, 60)
    assert caller.events == []


def test_the_padding_does_not_reach_before_the_call() -> None:
    """Who speaks at once has a turn from 0."""
    caller = Caller(TurnSettings(prefix_padding_ms=300))
    caller.say(QUIET, 100)
    caller.say(LOUD, 100)
    assert caller.times() == [("start", 0)]


def test_turns_do_not_overlap() -> None:
    """The padding of a turn stops at the end of the one before."""
    caller = Caller(TurnSettings(prefix_padding_ms=1000, silence_duration_ms=200))
    for _ in range(3):
        caller.say(LOUD, 400)
        caller.say(QUIET, 300)
    assert caller.times() == [
        ("start", 0),
        ("stop", 600),
        ("start", 600),
        ("stop", 1300),
        ("start", 1300),
        ("stop", 2000),
    ]


def test_a_pause_shorter_than_asked_ends_nothing() -> None:
    """Words of one sentence are one turn."""
    caller = Caller(TurnSettings(silence_duration_ms=500))
    for _ in range(5):
        caller.say(LOUD, 300)
        caller.say(QUIET, 480)
    caller.say(QUIET, 100)
    assert caller.times() == [("start", 0), ("stop", 4 * 780 + 300 + 500)]


def test_hysteresis() -> None:
    """What is too quiet to begin is loud enough to go on, 6 dB further down."""
    caller = Caller()
    caller.say(48, 1000)
    assert caller.events == []
    caller.say(LOUD, 100)
    caller.say(48, 2000)
    assert caller.times() == [("start", 700)]
    caller.say(60, 600)
    assert caller.times()[1:] == [("stop", 3600)]


@pytest.mark.parametrize(("threshold", "heard"), [(0.0, True), (0.5, False), (1.0, False)])
def test_threshold(threshold: float, heard: bool) -> None:
    """The session says how loud is loud."""
    caller = Caller(TurnSettings(threshold=threshold))
    caller.say(60, 1000)
    assert bool(caller.events) is heard


def test_noise_is_learned() -> None:
    """A fan starts a turn once; then it is the room, and speech is what is louder."""
    caller = Caller()
    caller.say(40, 10_000)
    assert [kind for kind, _ in caller.times()] == ["start", "stop"]
    caller.say(40, 5_000)
    assert len(caller.events) == 2
    caller.say(22, 500)
    caller.say(40, 1_000)
    assert [kind for kind, _ in caller.times()[2:]] == ["start", "stop"]


def test_lost_frames_are_silence() -> None:
    """After a loss that is longer than a pause, speech is another turn."""
    caller = Caller(TurnSettings(silence_duration_ms=200, prefix_padding_ms=0))
    caller.say(LOUD, 400)
    # Lost: the time line goes on, no packet comes until the next.
    caller.position += 300 * 48
    caller.say(LOUD, 400)
    assert caller.times() == [("start", 0), ("stop", 600), ("start", 700)]


def test_a_single_loss_ends_nothing() -> None:
    """60 ms without a packet are part of the turn."""
    caller = Caller()
    caller.say(LOUD, 400)
    caller.position += 60 * 48
    caller.say(LOUD, 400)
    assert caller.times() == [("start", 0)]


def test_packets_that_stop_are_silence() -> None:
    """DTX, a muted track, a browser that plays nothing: the clock ends the turn."""
    caller = Caller(TurnSettings(silence_duration_ms=500))
    caller.say(LOUD, 1000)
    caller.pass_time(500)
    assert caller.times() == [("start", 0)]
    caller.pass_time(round(GRACE * 1000) + 1)
    assert caller.times() == [("start", 0), ("stop", 1500)]
    assert caller.detector.get_timer() is None


def test_speech_within_the_grace_goes_on() -> None:
    """A packet delayed by jitter is not the end of a turn."""
    caller = Caller(TurnSettings(silence_duration_ms=500))
    caller.say(LOUD, 1000)
    caller.say(QUIET, 460)
    caller.pass_time(60)
    caller.position -= 60 * 48
    caller.say(LOUD, 100)
    assert caller.times() == [("start", 0)]


def test_late_frames_change_nothing() -> None:
    """What was counted as lost stays silence."""
    caller = Caller()
    caller.say(QUIET, 1000)
    for n in range(10):
        caller.detector.receive(AudioFrame(b"\x78", n * 960, 960, LOUD, True), caller.now)
    assert caller.detector.next_events() == []


def test_the_voice_bit_is_not_looked_at() -> None:
    """Chromium and Firefox set it in silence too."""
    silent, loud = TurnDetector(TurnSettings()), TurnDetector(TurnSettings())
    for n in range(10):
        silent.receive(AudioFrame(b"\x78", n * 960, 960, 127, True), n / 50)
        loud.receive(AudioFrame(b"\x78", n * 960, 960, LOUD, False), n / 50)
    assert silent.next_events() == []
    assert len(loud.next_events()) == 1


def test_without_a_level_nobody_speaks() -> None:
    """A frame of unknown level is silence."""
    caller = Caller()
    caller.say(None, 1000)
    assert caller.events == []


def test_long_frames() -> None:
    """One packet of 60 ms is enough to begin."""
    caller = Caller()
    caller.say(LOUD, 60, frame_ms=60)
    assert caller.times() == [("start", 0)]


def test_idle_timeout_counts_from_the_end_of_the_answer() -> None:
    """Nobody speaks for so long after an answer was heard: once, until the next answer."""
    caller = Caller(TurnSettings(idle_timeout_ms=5000))
    caller.say(QUIET, 6000)
    assert caller.events == []
    caller.detector.response_ended(caller.position, caller.now)
    caller.say(QUIET, 4980)
    assert caller.events == []
    caller.say(QUIET, 6000)
    assert caller.events == [IdleTimeout(6000, 11000)]


def test_idle_timeout_without_packets() -> None:
    """A caller who sends nothing at all is idle as well."""
    caller = Caller(TurnSettings(idle_timeout_ms=5000))
    caller.say(QUIET, 1000)
    caller.detector.response_ended(caller.position, caller.now)
    caller.pass_time(6000)
    assert caller.events == [IdleTimeout(1000, 6000)]


@pytest.mark.parametrize("what", ["speech", "answer", "off", "changed"])
def test_what_ends_idling(what: str) -> None:
    """Speech, another answer, a session without the time-out."""
    caller = Caller(TurnSettings(idle_timeout_ms=5000))
    caller.detector.response_ended(caller.position, caller.now)
    caller.say(QUIET, 1000)
    match what:
        case "speech":
            caller.say(LOUD, 100)
            caller.say(QUIET, 600)
        case "answer":
            caller.detector.response_started()
        case "off":
            caller.detector.configure(None)
        case _:
            caller.detector.configure(TurnSettings())
    caller.say(QUIET, 8000)
    assert not any(isinstance(event, IdleTimeout) for event in caller.events)


def test_off_is_off() -> None:
    """Without turn detection nothing is detected, and it can be switched on later."""
    caller = Caller()
    caller.detector.configure(None)
    caller.say(LOUD, 1000)
    assert caller.events == []
    caller.detector.configure(TurnSettings(prefix_padding_ms=0))
    caller.say(LOUD, 100)
    assert caller.times() == [("start", 1000)]


def test_what_was_committed_is_no_padding() -> None:
    """A turn that the client ended by itself is not heard again in the next."""
    caller = Caller()
    caller.say(QUIET, 1000)
    caller.detector.committed()
    caller.say(LOUD, 100)
    assert caller.times() == [("start", 1000)]


def test_the_rest_of_what_was_committed_is_a_turn() -> None:
    """A commit in the middle of speech ends no speech: its end is told, no second beginning."""
    caller = Caller()
    caller.say(LOUD, 1000)
    caller.detector.committed()
    assert caller.detector.needed_from == 48_000
    caller.say(LOUD, 100)
    caller.say(QUIET, 500)
    assert caller.times() == [("start", 0), ("stop", 1600)]


def test_needed_is_what_a_turn_can_still_want() -> None:
    """In silence the padding, in a turn the turn, while idling all since the answer."""
    caller = Caller(TurnSettings(prefix_padding_ms=300, idle_timeout_ms=20_000))
    caller.say(QUIET, 5000)
    assert caller.detector.needed_from == (5000 - 300 - 40) * 48
    caller.detector.response_ended(caller.position, caller.now)
    caller.say(QUIET, 5000)
    assert caller.detector.needed_from == 5000 * 48
    caller.say(LOUD, 2000)
    assert caller.detector.needed_from == 9700 * 48
    caller.say(QUIET, 500)
    assert caller.detector.needed_from == 12_500 * 48


@given(
    st.lists(st.tuples(st.sampled_from([LOUD, 48, QUIET, None]), st.integers(1, 60))),
    st.integers(0, 600),
    st.integers(0, 600),
)
def test_turns_alternate_and_never_overlap(
    script: list[tuple[int | None, int]], padding: int, silence: int
) -> None:
    """Whatever is said: start, stop, start ... with times that never go back."""
    caller = Caller(TurnSettings(prefix_padding_ms=padding, silence_duration_ms=silence))
    for level, frames in script:
        if level is None:
            caller.pass_time(frames * 20)
        else:
            caller.say(level, frames * 20)
    times = caller.times()
    assert [kind for kind, _ in times] == (["start", "stop"] * len(times))[: len(times)]
    assert [at for _, at in times] == sorted(at for _, at in times)
    assert caller.detector.speaking is (len(times) % 2 == 1)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ({}, TurnSettings()),
        (
            {"prefix_padding_ms": 10**9, "silence_duration_ms": 10**9},
            TurnSettings(prefix_padding_ms=5000, silence_duration_ms=30_000),
        ),
        (
            {"prefix_padding_ms": -1, "silence_duration_ms": 0, "threshold": 0.2},
            TurnSettings(prefix_padding_ms=0, silence_duration_ms=0, threshold=0.2),
        ),
        ({"idle_timeout_ms": 6000}, TurnSettings(idle_timeout_ms=6000)),
    ],
)
def test_settings_of_a_session(asked: dict[str, float], got: TurnSettings) -> None:
    """What a session leaves out has the interface's default; nobody keeps hours of audio."""
    assert TurnSettings.of(asked) == got
