"""How loud a packet is, for clients that do not say: it is decoded, and only here.

Needs PyAV. Without it such a client is never heard to speak, which is said once.
"""

from __future__ import annotations

import functools
import logging
import math
from types import ModuleType
from typing import Any

from examples.transceiver.levels import SILENCE

__all__ = ["LevelMeter"]

logger = logging.getLogger("transceiver")


@functools.cache
def _codec() -> ModuleType | None:
    """PyAV, if it is there; the first one to ask is told if not."""
    try:
        import av
    except ImportError:
        logger.warning(
            "a client sends no audio levels, and PyAV is not installed to measure them:"
            " its speech is not detected"
        )
        return None
    module: ModuleType = av
    return module


class LevelMeter:
    """Decodes the packets of one caller, which must come in order, for their level alone."""

    def __init__(self) -> None:
        self._codec = _codec()
        self._decoder: Any = None

    def level_of(self, payload: bytes) -> int | None:
        """The level of an Opus packet as RFC 6464 has it; None if it cannot be told."""
        codec = self._codec
        if codec is None:
            return None
        if self._decoder is None:
            self._decoder = codec.CodecContext.create("libopus", "r")
        try:
            frames = self._decoder.decode(codec.Packet(payload))
        except codec.FFmpegError:
            return None
        total = count = 0.0
        for frame in frames:
            # Of both channels the first, and of that one sample in four: enough to tell
            # speech from silence, at an eighth of the time.
            channels = len(frame.layout.channels)
            samples = memoryview(frame.planes[0]).cast("h")[: frame.samples * channels]
            taken = samples[:: 4 * channels].tolist()
            total += sum(sample * sample for sample in taken)
            count += len(taken)
        return _level(total / count) if count else None


def _level(square: float) -> int:
    """RFC 6464 section 3: dB of the root mean square below overload, 0 to 127."""
    if square <= 0:
        return SILENCE
    return min(SILENCE, max(0, round(-10 * math.log10(square / 32768**2))))
