"""Opus to what a server of the Realtime protocol takes, and back: the only place of a codec.

PyAV (FFmpeg, libopus) does it. It is imported when the first codec is made, so that the
other backends do not need it; `available` says whether it is there.

Nothing is resampled on the way back: libopus takes 24 kHz and 8 kHz as they are. On the
way there FFmpeg decodes at 48 kHz and its resampler does the rest. G.711 is what the codec
makes of 8 kHz; no PCM leaves this module then.

What it costs per frame of 20 ms on one core of 2023: 60 us to decode, 160 us to encode. So
everything is done on the event loop, and callers do a few frames at a time.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

import attrs

from examples.transceiver.levels import SILENCE

__all__ = ["FORMATS", "AvCodec", "Codec", "Decoder", "Encoder", "Format", "available"]

# Bits per second of speech at up to 12 kHz: transparent for a voice that was synthesised.
BIT_RATE: Final = 32_000

# Per cent of loss that the encoder is told to expect: with it every packet carries a coarse
# copy of the one before (RFC 6716 section 2.1.7).
EXPECTED_LOSS: Final = 10

# Of 10. Half the time of 10, and no difference that people hear at this rate.
COMPLEXITY: Final = 5

# Milliseconds by which libopus is behind what it was given: what must follow the last
# sample of an answer for it to be heard.
_BEHIND_MS: Final = 7


@attrs.frozen
class Format:
    """An audio format of the Realtime protocol, mono. `silence` is one byte of it."""

    name: str
    rate: int
    width: int
    silence: bytes

    def silent(self, samples: int) -> bytes:
        """As much silence as so many samples at 48 kHz."""
        return self.silence * (samples * self.rate // 48_000 * self.width)

    def milliseconds(self, size: int) -> int:
        """How long so many bytes are."""
        return size // self.width * 1000 // self.rate


FORMATS: Final[Mapping[str, Format]] = {
    each.name: each
    for each in (
        Format("audio/pcm", 24_000, 2, b"\x00"),
        Format("audio/pcmu", 8_000, 1, b"\xff"),
        Format("audio/pcma", 8_000, 1, b"\xd5"),
    )
}

# What FFmpeg calls the two of G.711.
_G711: Final = {"audio/pcmu": "pcm_mulaw", "audio/pcma": "pcm_alaw"}


class Decoder(Protocol):
    """One caller's audio, packet by packet."""

    def decode(self, payload: bytes) -> bytes:
        """One Opus packet in the format; nothing if it cannot be decoded."""


class Encoder(Protocol):
    """One answer's audio."""

    def feed(self, data: bytes) -> None:
        """Take audio in the format, cut anywhere."""

    def finish(self) -> None:
        """No more comes: what is left is made a whole packet."""

    def next_packet(self) -> tuple[bytes, int] | None:
        """An Opus packet of 20 ms and its level (RFC 6464), or None: more is needed."""


class Codec(Protocol):
    """Makes both."""

    def decoder(self, target: Format) -> Decoder:
        """From Opus to `target`."""

    def encoder(self, source: Format) -> Encoder:
        """From `source` to Opus."""


def available() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


class AvCodec:
    """The `Codec` of this program. Raises ImportError if PyAV is not there."""

    def __init__(self) -> None:
        import av

        self._av: Any = av

    def decoder(self, target: Format) -> Decoder:
        """From Opus to `target`."""
        return _AvDecoder(self._av, target)

    def encoder(self, source: Format) -> Encoder:
        """From `source` to Opus."""
        return _AvEncoder(self._av, source)


class _AvDecoder:
    def __init__(self, av: Any, target: Format) -> None:
        self._av = av
        self._opus = av.CodecContext.create("libopus", "r")
        self._opus.layout = "mono"
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=target.rate)
        self._g711 = None
        if target.name in _G711:
            self._g711 = _opened(av, _G711[target.name], target.rate, {})

    def decode(self, payload: bytes) -> bytes:
        out = b""
        try:
            for frame in self._opus.decode(self._av.Packet(payload)):
                for resampled in self._resampler.resample(frame):
                    if self._g711 is None:
                        out += bytes(resampled.planes[0])[: resampled.samples * 2]
                    else:
                        out += b"".join(map(bytes, self._g711.encode(resampled)))
        except self._av.FFmpegError:
            return b""
        return out


class _AvEncoder:
    def __init__(self, av: Any, source: Format) -> None:
        self._av = av
        self._format = source
        options = {
            "application": "voip",
            "frame_duration": "20",
            "fec": "1",
            "packet_loss": str(EXPECTED_LOSS),
            "compression_level": str(COMPLEXITY),
        }
        self._opus = _opened(av, "libopus", source.rate, options)
        self._g711 = None
        if source.name in _G711:
            self._g711 = av.CodecContext.create(_G711[source.name], "r")
            self._g711.sample_rate, self._g711.layout = source.rate, "mono"
        self._samples = source.rate // 50
        self._data = bytearray()
        self._fed = 0

    def feed(self, data: bytes) -> None:
        self._data += data
        self._fed += len(data)

    def finish(self) -> None:
        if not self._fed:
            return
        unit, width = self._samples * self._format.width, self._format.width
        # Half a sample at the end is none.
        del self._data[len(self._data) - self._fed % width :]
        self._data += self._format.silent(_BEHIND_MS * 48)
        self._data += self._format.silence * (-len(self._data) % unit)
        self._fed = 0

    def next_packet(self) -> tuple[bytes, int] | None:
        unit = self._samples * self._format.width
        while len(self._data) >= unit:
            data = bytes(self._data[:unit])
            del self._data[:unit]
            if self._g711 is not None:
                (decoded,) = self._g711.decode(self._av.Packet(data))
                data = bytes(decoded.planes[0])[: self._samples * 2]
            frame = self._av.AudioFrame(format="s16", layout="mono", samples=self._samples)
            frame.sample_rate = self._format.rate
            frame.planes[0].update(data)
            for packet in self._opus.encode(frame):
                return bytes(packet), _level(data)
        return None


def _opened(av: Any, name: str, rate: int, options: Mapping[str, str]) -> Any:
    context = av.CodecContext.create(name, "w")
    context.sample_rate, context.format, context.layout = rate, "s16", "mono"
    if name == "libopus":
        context.bit_rate = BIT_RATE
    context.options = dict(options)
    context.open()
    return context


def _level(data: bytes) -> int:
    """RFC 6464 section 3, of one sample in four: enough for a display."""
    taken = memoryview(data).cast("h")[::4].tolist()
    square = sum(sample * sample for sample in taken) / len(taken)
    if not square:
        return SILENCE
    return min(SILENCE, max(0, round(-10 * math.log10(square / 32768**2))))
