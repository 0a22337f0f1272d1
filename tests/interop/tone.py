"""A tone as Opus packets and back, by libopus in PyAV (of the extra "peers")."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache

import av

__all__ = ["FRAME", "RATE", "decode", "encode", "frequency", "samples"]

RATE = 48_000
# Samples in 20 ms.
FRAME = 960


@cache
def encode(hertz: float, frames: int) -> tuple[bytes, ...]:
    """`frames` Opus packets of 20 ms with a tone."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    encoder.time_base = Fraction(1, RATE)
    packets: list[bytes] = []
    for index in range(frames + 1):
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.sample_rate, frame.pts, frame.time_base = RATE, index * FRAME, Fraction(1, RATE)
        frame.planes[0].update(samples(hertz, index * FRAME, FRAME).tobytes())
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets[:frames])


def samples(hertz: float, first: int, count: int) -> array[int]:
    """`count` samples of a tone from number `first` on, 16 bits."""
    step = 2 * math.pi * hertz / RATE
    return array("h", (int(12_000 * math.sin(step * n)) for n in range(first, first + count)))


def decode(packets: Iterable[bytes]) -> array[int]:
    """The samples of a mono stream at 48 kHz."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout, decoder.format = RATE, "mono", "s16"
    heard = array("h")
    for packet in packets:
        for frame in decoder.decode(av.Packet(packet)):
            heard.frombytes(bytes(frame.planes[0])[: 2 * frame.samples])
    return heard


def frequency(heard: Sequence[int], rate: int = RATE) -> float | None:
    """Hertz by zero crossings of the loud part's second half; None if there is none."""
    loud = heard[len(heard) // 2 :]
    peak = max(map(abs, loud), default=0)
    # A tenth of the peak as hysteresis: noise around zero does not count.
    threshold, sign, crossings, first, last = peak / 10, 0, 0, 0, 0
    for index, sample in enumerate(loud):
        if peak and abs(sample) > threshold and (sample > 0) != (sign > 0):
            if sign:
                crossings += 1
                first, last = first or index, index
            sign = 1 if sample > 0 else -1
    if crossings < 3:
        return None
    return (crossings - 1) / 2 * rate / (last - first)
