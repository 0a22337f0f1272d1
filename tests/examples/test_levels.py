"""From a session's threshold to levels, and what is known of the room."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.levels import SILENCE, NoiseFloor, Thresholds, thresholds

SECOND = 48_000
FRAME = 960


def feed(floor: NoiseFloor, level: int, seconds: float) -> int:
    """Give the floor frames of one level; the level of the room then."""
    for _ in range(round(seconds * SECOND / FRAME)):
        floor.add(level, FRAME)
    return floor.level


def test_the_table_is_what_is_computed() -> None:
    """The mapping that the docstring promises is the mapping."""
    rows = re.findall(r"\| (0|1|0\.\d+) +\| -(\d+) dBov +\| (\d+) dB +\|", thresholds.__doc__ or "")
    assert len(rows) == 5
    for threshold, quiet, margin in rows:
        assert thresholds(float(threshold), SILENCE).on == int(quiet)
        noise = 40
        assert thresholds(float(threshold), noise).on == min(int(quiet), noise - int(margin))


def test_speech_goes_on_below_where_it_begins() -> None:
    """Hysteresis: 6 dB."""
    assert thresholds(0.5, SILENCE) == Thresholds(on=45, off=51)


@given(st.floats(-1, 2), st.integers(0, 127), st.integers(0, 127))
def test_more_threshold_and_more_noise_want_more(threshold: float, a: int, b: int) -> None:
    """Never does a higher threshold, or a louder room, make quieter audio speech."""
    quiet, noisy = max(a, b), min(a, b)
    assert thresholds(threshold, noisy).on <= thresholds(threshold, quiet).on
    assert thresholds(threshold + 0.2, a).on <= thresholds(threshold, a).on
    assert 12 <= thresholds(threshold, a).on <= 70


def test_the_room_is_silent_at_first() -> None:
    """Somebody who speaks at once is heard: the first seconds are no noise."""
    assert feed(NoiseFloor(), 30, 3.9) == SILENCE


def test_steady_noise_becomes_the_floor() -> None:
    """After four seconds of it, noise is the room."""
    floor = NoiseFloor()
    assert feed(floor, 40, 4.0) == 40
    assert thresholds(0.5, floor.level).on == 28


@pytest.mark.parametrize("breath", [50, 70, 127])
def test_speech_is_no_floor(breath: int) -> None:
    """Who speaks draws breath; the quietest moment counts."""
    floor = NoiseFloor()
    for _ in range(10):
        feed(floor, 25, 1.9)
        feed(floor, breath, 0.1)
    assert floor.level == breath


def test_the_floor_falls_at_once() -> None:
    """A fan that is switched off stops counting with its last frame."""
    floor = NoiseFloor()
    feed(floor, 40, 6.0)
    assert feed(floor, 80, 0.02) == 80
