"""The caller's side of a call: from packets to turns."""

from __future__ import annotations

from typing import cast

from examples.transceiver.ear import MAX_TURNS, Ear
from examples.transceiver.frames import MAX_BUFFERED
from examples.transceiver.meter import LevelMeter
from examples.transceiver.turns import SpeechStarted, SpeechStopped, TurnEvent
from rtcproto.events import AudioReceived

VAD = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


class Talk:
    """Packets of 20 ms into an ear."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.now = 0.0
        self.timestamp = 0
        self.events: list[TurnEvent] = []

    def say(self, level: int | None, ms: int, *, clock_only: bool = False) -> None:
        """Speak; `clock_only` leaves out the packets, and the timestamps stand still."""
        for _ in range(ms // 20):
            self.now += 0.02
            timer = self.ear.get_timer()
            if timer is not None and timer <= self.now:
                self.ear.handle_timer(self.now)
            if not clock_only:
                self.ear.hear(
                    AudioReceived(b"\x78\x01", self.timestamp, 0, level, True, False, 1, 0.0),
                    self.now,
                )
                self.timestamp += 960
            self.events += self.ear.next_events()


def test_turns_go_on_after_a_client_that_stood_still() -> None:
    """Packets stop in a word, timestamps with them: the turn ends, and the next is behind it."""
    talk = Talk()
    talk.ear.configure(VAD)
    talk.say(25, 1000)
    talk.say(None, 2000, clock_only=True)
    talk.say(25, 400)
    starts = [event.audio_start_ms for event in talk.events if isinstance(event, SpeechStarted)]
    stops = [event.audio_end_ms for event in talk.events if isinstance(event, SpeechStopped)]
    assert stops == [1500]
    assert starts == [0, 2700]
    turn = talk.ear.commit("item_1", 0, 1500)
    assert len(turn.frames) == 50


def test_what_no_turn_can_want_is_forgotten() -> None:
    """In silence no more is kept than the padding and what is being listened to."""
    talk = Talk()
    talk.ear.configure(VAD)
    talk.say(90, 5000)
    talk.ear.trim()
    assert talk.ear.audio_ms == 340
    talk.ear.configure(None)
    talk.say(90, 1000)
    talk.ear.trim()
    assert talk.ear.audio_ms == 1340


def test_a_turn_of_an_hour_is_a_minute() -> None:
    """Who never stops is remembered for the last minute, and that is told."""
    talk = Talk()
    talk.say(25, 62_000)
    assert talk.ear.audio_ms == MAX_BUFFERED // 48
    assert talk.ear.forgotten == 100
    turn = talk.ear.commit("item_1", None, None)
    assert (turn.audio_start_ms, turn.audio_end_ms) == (2000, 62_000)


def test_turns_are_taken_once_and_kept_for_a_while() -> None:
    """The newest ones; one that was answered or deleted is gone."""
    ear = Ear()
    for number in range(MAX_TURNS + 1):
        ear.commit(f"item_{number}", None, None)
    assert ear.take_turn("item_0") is None
    assert ear.take_turn("item_1") is not None
    assert ear.take_turn("item_1") is None
    assert ear.take_turn(None) is None


def test_levels_are_measured_only_for_turns() -> None:
    """A packet without a level costs a decoder only where somebody listens for speech."""
    talk = Talk()
    talk.say(None, 100)
    assert talk.ear._meter is None
    talk.ear.configure(VAD)
    talk.say(25, 100)
    assert talk.ear._meter is None
    talk.say(None, 20)
    assert talk.ear._meter is not None


def test_a_flood_without_levels_costs_no_flood_of_decoding() -> None:
    """Two hundred packets a second are measured, whatever a client sends."""

    class Meter:
        measured = 0

        def level_of(self, payload: bytes) -> int | None:
            """Count, instead of decoding."""
            self.measured += 1
            return 25

    ear, meter = Ear(), Meter()
    ear.configure(VAD)
    ear._meter = cast(LevelMeter, meter)
    frames = [
        ear.hear(AudioReceived(b"\x78", n * 960, n, None, None, False, 1, 0.0), n / 10_000)
        for n in range(10_000)
    ]
    assert 190 <= meter.measured <= 201
    assert {frame.level for frame in frames if frame is not None} == {25}


def test_closing_forgets_everything() -> None:
    """No deadline, no audio, no turn."""
    talk = Talk()
    talk.ear.configure(VAD)
    talk.ear.commit("item_1", None, None)
    talk.say(25, 1000)
    assert talk.ear.get_timer() is not None
    talk.ear.close()
    assert talk.ear.get_timer() is None
    assert talk.ear.audio_ms == 0
    assert talk.ear.take_turn("item_1") is None
