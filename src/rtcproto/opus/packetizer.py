"""Opus payloads from frames and back, RFC 6716 section 3.2 and RFC 7587 section 4.2.

Regroups whole frames; nothing is decoded or encoded. Called by programs that
change the packet time, and by the session for its silence. Refuses to join
what does not share mode, bandwidth, frame size and channels, because one TOC
byte speaks for all frames of a packet.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcproto.errors import ParseError, UsageError
from rtcproto.opus.toc import OpusPacket, Toc, parse_toc

__all__ = ["SILENCE_MONO", "SILENCE_STEREO", "build_packet", "join", "split"]

# 20 ms of digital silence, CELT fullband: what libopus encodes zeros to.
SILENCE_MONO = b"\xf8\xff\xfe"
SILENCE_STEREO = b"\xfc\xff\xfe"


def build_packet(toc: Toc, frames: Sequence[bytes]) -> bytes:
    """The smallest packet of these frames; of `toc` everything but the code is used.

    `UsageError` for no frames, more than 120 ms, or a frame over 1275 bytes.
    """
    equal = len({len(frame) for frame in frames}) == 1
    match len(frames):
        case 1:
            code = 0
        case 2:
            code = 1 if equal else 2
        case _:
            code = 3
    toc = parse_toc(toc.config << 3 | toc.stereo << 2 | code)
    return OpusPacket(toc, tuple(frames), vbr=code == 3 and not equal).serialize()


def split(payload: bytes) -> list[bytes]:
    """One packet per frame, in order. Raises `ParseError`."""
    packet = OpusPacket.parse(payload)
    return [build_packet(packet.toc, (frame,)) for frame in packet.frames]


def join(payloads: Sequence[bytes]) -> bytes:
    """One packet with the frames of all `payloads`, in order; padding is dropped.

    `UsageError` if a payload does not parse, if they do not share their
    configuration and channels, or if together they exceed 120 ms.
    """
    try:
        packets = [OpusPacket.parse(payload) for payload in payloads]
    except ParseError as error:
        raise UsageError(f"not an Opus packet: {error}") from error
    if not packets:
        raise UsageError("nothing to join")
    toc = packets[0].toc
    for packet in packets:
        if packet.toc.config != toc.config or packet.toc.stereo != toc.stereo:
            raise UsageError("joined Opus packets must share their configuration and channels")
    return build_packet(toc, [frame for packet in packets for frame in packet.frames])
