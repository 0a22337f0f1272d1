"""A tone as Opus packets and back, by libopus in PyAV (of the extra "peers")."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import av

from tests.interop.pitch import FRAME, RATE, samples

__all__ = ["decode", "encode"]


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


def decode(packets: Iterable[bytes]) -> array[int]:
    """The samples of a mono stream at 48 kHz."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout, decoder.format = RATE, "mono", "s16"
    heard = array("h")
    for packet in packets:
        for frame in decoder.decode(av.Packet(packet)):
            heard.frombytes(bytes(frame.planes[0])[: 2 * frame.samples])
    return heard
