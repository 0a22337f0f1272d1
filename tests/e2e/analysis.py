"""A signal in which every 20 ms are different, and how it is found again after a codec.

The signal is two voices whose pitch walks at random between 300 and 3400 Hz: loud
everywhere, so that every window counts; in the band that every Opus mode codes as a
wave form; and with a path of pitch in each window that no other window has, so that a
match means *this* window came back and not just something like it.

A jitter buffer stretches and squeezes time, so the delay of the echo wanders: each window
is searched for around the place where the last one was found.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "WINDOW", "Found", "find", "signal"]

Samples = NDArray[np.float32]

RATE = 48_000
WINDOW = RATE // 50

# Normalised correlation from which a window counts as found. Opus at the browsers' 32 kbit/s
# gives 0.9 and more; windows of another signal, each at its best delay, stay below it (the
# negative control in test_analysis holds this to be true).
MATCH = 0.6

# How far the delay may move from one window to the next, and after windows were lost; samples.
NEAR = RATE * 30 // 1000
FAR = RATE * 400 // 1000

# Windows not found in a row after which the delay is looked for further away.
LOST = 3


@attrs.frozen(kw_only=True)
class Found:
    """What became of the windows, in order: correlation at the best delay, and that delay."""

    correlation: list[float]
    # Seconds from a window's being played to its being heard.
    delay: list[float]

    @property
    def share(self) -> float:
        """The share of the windows that came back."""
        return sum(value >= MATCH for value in self.correlation) / len(self.correlation)

    def gaps(self) -> list[tuple[float, float]]:
        """(begin, end) in seconds of each stretch that did not come back."""
        gaps: list[tuple[float, float]] = []
        for index, value in enumerate(self.correlation):
            if value >= MATCH:
                continue
            begin, end = index * WINDOW / RATE, (index + 1) * WINDOW / RATE
            if gaps and abs(gaps[-1][1] - begin) < 1e-6:
                gaps[-1] = (gaps[-1][0], end)
            else:
                gaps.append((begin, end))
        return gaps

    def __str__(self) -> str:
        delays = [d for d, c in zip(self.delay, self.correlation, strict=True) if c >= MATCH]
        middle = f", delay {1000 * float(np.median(delays)):.0f} ms" if delays else ""
        return f"{100 * self.share:.1f} % of {len(self.correlation)} windows{middle}"


def signal(seed: int, seconds: float) -> Samples:
    """The signal with this number, at 48 kHz."""
    rng = np.random.default_rng(seed)
    length = int(seconds * RATE)
    step = RATE // 50
    marks = np.arange(0, length + 2 * step, step)
    mixed = np.zeros(length)
    for _ in range(2):
        pitch = np.interp(np.arange(length), marks, rng.uniform(300, 3400, len(marks)))
        mixed += 0.25 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE + rng.uniform(0, 2 * np.pi))
    return mixed.astype(np.float32)


def find(played: Samples, recorded: Samples, offset: int = 0) -> Found:
    """Look for each window of `played` in `recorded`.

    `offset` is where in the recording the first sample was played (may be negative), so
    that delays are true ones.
    """
    lag = _overall_lag(played, recorded)
    correlations: list[float] = []
    delays: list[float] = []
    missed = LOST
    for begin in range(0, len(played) - WINDOW + 1, WINDOW):
        reach = FAR if missed >= LOST else NEAR
        best, at = _best(played[begin : begin + WINDOW], recorded, begin + lag, reach)
        correlations.append(best)
        if best >= MATCH:
            lag = at - begin
            missed = 0
        else:
            missed += 1
        delays.append((lag - offset) / RATE)
    return Found(correlation=correlations, delay=delays)


def _overall_lag(played: Samples, recorded: Samples) -> int:
    """The delay at which the two agree best as a whole."""
    size = 1 << (len(played) + len(recorded)).bit_length()
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(played, size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)))
    return lag if lag < size // 2 else lag - size


def _best(window: Samples, recorded: Samples, centre: int, reach: int) -> tuple[float, int]:
    """The best correlation of `window` at `centre` +- `reach`, and where that is."""
    begin = max(0, centre - reach)
    stretch = recorded[begin : max(begin, centre + reach + WINDOW)].astype(np.float64)
    if len(stretch) < WINDOW:
        return 0.0, centre
    products = np.correlate(stretch, window.astype(np.float64), "valid")
    sums = np.concatenate(([0.0], np.cumsum(stretch * stretch)))
    energy = np.maximum(sums[WINDOW:] - sums[:-WINDOW], 1e-6)
    scores = products / np.sqrt(energy * float(np.dot(window, window)))
    at = int(np.argmax(scores))
    return float(scores[at]), begin + at
