"""Opus packets without decoding them, RFC 6716 section 3.

```text
TOC byte: | config(5) | stereo(1) | code(2) |
code 0: one frame          code 1: two of equal size       code 2: length, two frames
code 3: | VBR(1) | padding(1) | count(6) | [padding length...] [lengths if VBR] frames [padding]
```

Called by the session for every packet (`samples_per_packet`, a table look-up)
and by whoever wants the frames (`OpusPacket.parse`). Total: any bytes give a
value or `ParseError`. Enforces R1 to R7 of section 3.4: nothing longer than
120 ms, no frame over 1275 bytes, no length beyond the packet. What is inside a
frame is looked at for one bit only, the presence of in-band FEC.
"""

from __future__ import annotations

import enum

from rtcproto._attrs import wire
from rtcproto.errors import ParseError, UsageError

__all__ = [
    "OpusPacket",
    "Toc",
    "Mode",
    "Bandwidth",
    "MAX_FRAME_SIZE",
    "MAX_SAMPLES",
    "is_dtx",
    "parse_toc",
    "samples_per_packet",
]

# Samples at 48 kHz. RFC 6716 R5: "The total duration MUST NOT exceed 120 ms".
MAX_SAMPLES = 5760

# Bytes, RFC 6716 R2; also the largest length that two bytes can say.
MAX_FRAME_SIZE = 1275


class Mode(enum.IntEnum):
    """Which of the two coders a frame uses, RFC 6716 section 3.1."""

    SILK = 0
    HYBRID = 1
    CELT = 2


class Bandwidth(enum.IntEnum):
    """Audio bandwidth in Hz, RFC 6716 table 1."""

    NARROWBAND = 4000
    MEDIUMBAND = 6000
    WIDEBAND = 8000
    SUPERWIDEBAND = 12000
    FULLBAND = 20000


@wire
class Toc:
    """The first byte. `frame_samples` counts one frame at 48 kHz, whatever its bandwidth."""

    config: int
    stereo: bool
    code: int
    mode: Mode
    bandwidth: Bandwidth
    frame_samples: int


# RFC 6716 table 2: configurations in order, (mode, bandwidth, frame samples at 48 kHz).
_SILK_SAMPLES = (480, 960, 1920, 2880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)
_CONFIGS = [
    (mode, bandwidth, samples)
    for mode, bandwidth, sizes in (
        (Mode.SILK, Bandwidth.NARROWBAND, _SILK_SAMPLES),
        (Mode.SILK, Bandwidth.MEDIUMBAND, _SILK_SAMPLES),
        (Mode.SILK, Bandwidth.WIDEBAND, _SILK_SAMPLES),
        (Mode.HYBRID, Bandwidth.SUPERWIDEBAND, _HYBRID_SAMPLES),
        (Mode.HYBRID, Bandwidth.FULLBAND, _HYBRID_SAMPLES),
        (Mode.CELT, Bandwidth.NARROWBAND, _CELT_SAMPLES),
        (Mode.CELT, Bandwidth.WIDEBAND, _CELT_SAMPLES),
        (Mode.CELT, Bandwidth.SUPERWIDEBAND, _CELT_SAMPLES),
        (Mode.CELT, Bandwidth.FULLBAND, _CELT_SAMPLES),
    )
    for samples in sizes
]

_TOCS = tuple(Toc(byte >> 3, bool(byte & 4), byte & 3, *_CONFIGS[byte >> 3]) for byte in range(256))

# Samples of a packet by its first byte; 0 for code 3, whose second byte has the count.
_SAMPLES = tuple((toc.frame_samples * (1, 2, 2, 0)[toc.code]) for toc in _TOCS)


def parse_toc(byte: int) -> Toc:
    """What the first byte of a packet says. `UsageError` unless it is an int, 0 to 255."""
    if not isinstance(byte, int):
        raise UsageError("a TOC is one byte as a number, `payload[0]`")
    if not 0 <= byte <= 255:
        raise UsageError("a TOC is one byte, 0 to 255")
    return _TOCS[byte]


def samples_per_packet(payload: bytes) -> int:
    """Duration of an Opus payload in samples at 48 kHz, that is in RTP ticks.

    0 if it has none: empty, no frame, or longer than 120 ms. Looks at two bytes
    only; `OpusPacket.parse` checks the rest.
    """
    if not payload:
        return 0
    samples = _SAMPLES[payload[0]]
    if samples:
        return samples
    if len(payload) < 2:
        return 0
    samples = _TOCS[payload[0]].frame_samples * (payload[1] & 0x3F)
    return samples if samples <= MAX_SAMPLES else 0


def is_dtx(payload: bytes) -> bool:
    """Whether the payload says no more than that there is silence.

    An encoder in DTX gives packets of one or two bytes: a TOC byte and a frame
    of at most one byte, which is nothing to decode (RFC 6716 section 3.2.1: a
    frame of length 0 is "not transmitted").
    """
    return 0 < len(payload) <= 2


def _fail(reason: str, offset: int) -> ParseError:
    return ParseError("opus", reason, offset)


def _parse_length(data: bytes, offset: int, end: int) -> tuple[int, int]:
    """A frame length, RFC 6716 3.2.1, and the offset behind it."""
    if offset >= end:
        raise _fail("frame length missing", offset)
    first = data[offset]
    if first < 252:
        return first, offset + 1
    if offset + 1 >= end:
        raise _fail("second byte of a frame length missing", offset)
    return first + 4 * data[offset + 1], offset + 2


def _build_length(size: int) -> bytes:
    if size < 252:
        return bytes((size,))
    # The first byte is 252 to 255 so that the rest is a multiple of four.
    first = 252 + (size & 3)
    return bytes((first, (size - first) >> 2))


@wire
class OpusPacket:
    """A packet taken apart. Empty frames are frames not transmitted (DTX or lost).

    `vbr` and `padding` (the padding bytes themselves) are those of code 3.
    """

    toc: Toc
    frames: tuple[bytes, ...]
    vbr: bool = False
    padding: bytes = b""

    @property
    def samples(self) -> int:
        """Duration in samples at 48 kHz."""
        return self.toc.frame_samples * len(self.frames)

    @property
    def is_dtx(self) -> bool:
        """Whether no frame has anything to decode."""
        return all(len(frame) <= 1 for frame in self.frames)

    @property
    def has_fec(self) -> bool:
        """Whether the first frame also holds a coarse copy of the one before (LBRR).

        RFC 6716 4.2.3: a SILK frame begins with a voice activity flag per 20 ms
        and one LBRR flag, for the mid and then for the side channel. They are
        coded with probability 1/2, so they are plain bits.
        """
        toc = self.toc
        if toc.mode is Mode.CELT or not self.frames[0]:
            return False
        flags = max(1, toc.frame_samples // 960)
        first = self.frames[0][0]
        found = first >> (7 - flags) & 1
        if toc.stereo:
            found |= first >> (6 - 2 * flags) & 1
        return bool(found)

    @classmethod
    def parse(cls, data: bytes) -> OpusPacket:
        """All of `data` as one packet (not the self-delimiting form). Raises `ParseError`."""
        if not data:
            raise _fail("empty packet", 0)
        toc = _TOCS[data[0]]
        end = len(data)
        match toc.code:
            case 0:
                sizes, offset = [end - 1], 1
            case 1:
                if not end & 1:
                    raise _fail("two equal frames in an odd number of bytes", 1)
                sizes, offset = [end >> 1] * 2, 1
            case 2:
                first, offset = _parse_length(data, 1, end)
                sizes = [first, end - offset - first]
            case _:
                return _parse_code_3(toc, data)
        return cls(toc, _cut(data, offset, sizes))

    def serialize(self) -> bytes:
        """The packet. `UsageError` if the frames do not fit the code or R1 to R7."""
        sizes = [len(frame) for frame in self.frames]
        count = len(sizes)
        if not 0 < self.samples <= MAX_SAMPLES or max(sizes) > MAX_FRAME_SIZE:
            raise UsageError("an Opus packet has 1 to 48 frames, 120 ms, 1275 bytes each")
        toc = self.toc
        equal = sizes.count(sizes[0]) == count
        fits = (count == 1, count == 2 and equal, count == 2, equal or self.vbr)[toc.code]
        if not fits or (toc.code != 3 and (self.padding or self.vbr)):
            raise UsageError("these frames do not fit the frame count code")
        head = bytes((toc.config << 3 | toc.stereo << 2 | toc.code,))
        if toc.code == 2:
            head += _build_length(sizes[0])
        elif toc.code == 3:
            head += bytes((self.vbr << 7 | bool(self.padding) << 6 | count,))
            if self.padding:
                # A length byte of 255 stands for 254 bytes and another length byte.
                chain, last = divmod(len(self.padding) - 1, 254)
                head += b"\xff" * chain + bytes((last + 1,))
            if self.vbr:
                head += b"".join([_build_length(size) for size in sizes[:-1]])
        return b"".join([head, *self.frames, self.padding])


def _cut(data: bytes, offset: int, sizes: list[int]) -> tuple[bytes, ...]:
    frames = []
    for size in sizes:
        if not 0 <= size <= MAX_FRAME_SIZE:
            raise _fail("frame longer than 1275 bytes or than the packet", offset)
        frames.append(data[offset : offset + size])
        offset += size
    return tuple(frames)


def _parse_code_3(toc: Toc, data: bytes) -> OpusPacket:
    end = len(data)
    if end < 2:
        raise _fail("frame count missing", 1)
    vbr, padded, count = bool(data[1] & 0x80), data[1] & 0x40, data[1] & 0x3F
    if not 0 < count * toc.frame_samples <= MAX_SAMPLES:
        raise _fail("no frames, or more than 120 ms of them", 1)
    offset = 2
    padding = 0
    while padded:
        if offset >= end:
            raise _fail("padding length missing", offset)
        byte = data[offset]
        offset += 1
        padding += 254 if byte == 255 else byte
        padded = byte == 255
    end -= padding
    if end < offset:
        raise _fail("padding longer than the packet", offset)
    if vbr:
        sizes = []
        for _ in range(count - 1):
            size, offset = _parse_length(data, offset, end)
            sizes.append(size)
        sizes.append(end - offset - sum(sizes))
    else:
        size, rest = divmod(end - offset, count)
        if rest:
            raise _fail("equal frames in a number of bytes that does not divide", offset)
        sizes = [size] * count
    return OpusPacket(toc, _cut(data, offset, sizes), vbr, data[end:])
