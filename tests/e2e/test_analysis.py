"""The analyser can tell that a signal came back, and can tell that it did not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.e2e.analysis import RATE, WINDOW, Samples, find, signal

SECONDS = 2.0

# Of the negative controls: every delay is tried for a window that is not there.
BRIEF = 0.4


def echoed(played: Samples, delay: float, noise: float = 0.0) -> Samples:
    """What is recorded when it comes back after `delay` seconds, with noise."""
    silence = np.zeros(int(delay * RATE), dtype=np.float32)
    rng = np.random.default_rng(12345)
    recorded = np.concatenate([silence, played, silence])
    recorded += noise * rng.standard_normal(len(recorded)).astype(np.float32)
    return recorded


@pytest.mark.parametrize("delay", [0.04, 0.731])
def test_a_delayed_signal_is_found_whole(delay: float) -> None:
    """Every window is found, at its true delay."""
    played = signal(1, SECONDS)
    found = find(played, echoed(played, delay, noise=0.02))
    assert found.share == 1.0
    assert max(abs(value - delay) for value in found.delay) < 0.0005


def test_another_signal_is_not_found() -> None:
    """Negative control: of a signal that was not played, hardly a window is found."""
    recorded = echoed(signal(1, BRIEF), 0.05)
    assert find(signal(2, BRIEF), recorded).share < 0.1


def test_silence_and_noise_are_not_the_signal() -> None:
    """Negative control: neither a dead line nor a noisy one counts."""
    played = signal(1, BRIEF)
    assert find(played, np.zeros_like(played)).share == 0.0
    assert find(played, echoed(np.zeros_like(played), 0.0, noise=0.3)).share == 0.0


def test_the_wrong_order_is_noticed() -> None:
    """Pieces of the signal in another order are no echo."""
    played = signal(1, SECONDS)
    pieces = played.reshape(-1, 4 * WINDOW)
    recorded = np.concatenate([pieces[::2], pieces[1::2]]).ravel()
    assert find(played, recorded).share < 0.6


def test_a_gap_is_shown_and_what_follows_is_found_at_its_new_delay() -> None:
    """After an interruption the delay may be another; windows after it count again."""
    played = signal(1, SECONDS)
    cut = RATE // 2
    rest = np.concatenate([np.zeros(RATE // 10, dtype=np.float32), played[2 * cut :]])
    recorded = np.concatenate([played[:cut], np.zeros(cut, dtype=np.float32), rest])
    found = find(played, recorded)
    assert [(round(begin, 2), round(end, 2)) for begin, end in found.gaps()] == [(0.5, 1.0)]
    assert found.delay[-1] == pytest.approx(0.1, abs=0.001)
