"""A signal in which every 20 ms are different, and how it is found again after a codec.

The signal is noise between 150 and 1,000 Hz. It is loud everywhere, so every window
counts. It lies where each mode of Opus codes a wave form, also at low rates with in-band
FEC, which a browser switches on when packets were lost (there a signal of 3 kHz bandwidth
still sounds alike, but its wave form is another). And no window resembles another,
so a match means that *this* window came back.

A jitter buffer stretches and squeezes time, so the delay of the echo wanders: each window
is searched for around the place where the last one was found.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["MATCH", "RATE", "WINDOW", "Found", "Samples", "find", "signal"]

Samples = NDArray[np.float32]

RATE = 48_000
WINDOW = RATE // 50

BAND = (150.0, 1000.0)

# Root mean square of the signal: full scale is reached by nothing but rare peaks.
LEVEL = 0.15

# Normalised correlation from which a window counts as found. Of windows that went through
# Opus as the browsers use it, 99 in 100 have more than 0.9; of windows of another signal, each
# at its best delay, less than one in 100 has more than 0.6.
MATCH = 0.7

# How far the delay may move from one window to the next, samples.
NEAR = RATE // 100

# After so many windows in a row without a match the delay is looked for further away, by a
# longer stretch of the signal, so that chance finds nothing.
LOST = 3
FAR = RATE * 2 // 5
STRETCH = 6 * WINDOW


@attrs.frozen(kw_only=True)
class Found:
    """What became of the windows, in order: correlation at the best delay, and that delay."""

    correlation: list[float]
    # Seconds from a window's being played to its being heard.
    delay: list[float]

    @property
    def share(self) -> float:
        """The share of the windows that came back."""
        return self.share_from(0.0)

    def share_from(self, begin: float) -> float:
        """The share of the windows from `begin` seconds on that came back."""
        rest = self.correlation[round(begin * RATE / WINDOW) :]
        return sum(value >= MATCH for value in rest) / len(rest)

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
    length = int(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(length))
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    spectrum[(frequency < BAND[0]) | (frequency > BAND[1])] = 0
    samples = np.fft.irfft(spectrum, length)
    scaled: Samples = (LEVEL * samples / np.sqrt(np.mean(samples**2))).astype(np.float32)
    return scaled


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
        if missed >= LOST:
            best, at = _best(played[begin : begin + STRETCH], recorded, begin + lag, FAR)
            if best >= MATCH:
                lag = at - begin
        best, at = _best(played[begin : begin + WINDOW], recorded, begin + lag, NEAR)
        if best >= MATCH:
            lag = at - begin
        missed = 0 if best >= MATCH else missed + 1
        correlations.append(best)
        delays.append((lag - offset) / RATE)
    return Found(correlation=correlations, delay=delays)


def _overall_lag(played: Samples, recorded: Samples) -> int:
    """The delay at which the two agree best as a whole."""
    size = 1 << (len(played) + len(recorded)).bit_length()
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(played, size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)))
    return lag if lag < size // 2 else lag - size


def _best(piece: Samples, recorded: Samples, centre: int, reach: int) -> tuple[float, int]:
    """The best correlation of `piece` at `centre` +- `reach`, and where that is."""
    size = len(piece)
    begin = max(0, centre - reach)
    part = recorded[begin : max(begin, centre + reach + size)].astype(np.float64)
    if len(part) < size:
        return 0.0, centre
    products = np.correlate(part, piece.astype(np.float64), "valid")
    sums = np.concatenate(([0.0], np.cumsum(part * part)))
    energy = np.maximum(sums[size:] - sums[:-size], 1e-6)
    scores = products / np.sqrt(energy * float(np.dot(piece, piece)))
    at = int(np.argmax(scores))
    return float(scores[at]), begin + at
