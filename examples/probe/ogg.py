"""Opus packets out of an Ogg file: RFC 3533 pages, RFC 7845 headers.

For recordings of our own making, yet total: any bytes give an `OggOpus` or a
ValueError that says what is wrong, in linear time. One logical stream of one
or two channels is read; a second one, chained or multiplexed, is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import attrs

__all__ = ["OggOpus", "read_ogg_opus"]

# An hour of speech at 24 kbit/s is 11 MB; more than that is not a test recording.
MAX_FILE = 16 << 20

# RFC 7845 section 6: what a decoder should accept at least, per packet.
MAX_PACKET = 61_440

# RFC 3533 section 6: capture pattern, version, header type, granule position,
# serial number, page sequence number, CRC, number of segments.
_PAGE = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4

# RFC 7845 section 5.1: magic, version, channels, pre-skip, input rate, output
# gain, mapping family.
_HEAD = struct.Struct("<8sBBHIhB")


@attrs.frozen(kw_only=True)
class OggOpus:
    """A recording. `pre_skip` counts 48 kHz samples that a player drops at the start."""

    channels: int
    pre_skip: int
    packets: tuple[bytes, ...]


def read_ogg_opus(data: bytes) -> OggOpus:
    """The recording in `data`. Raises ValueError for anything that is not one."""
    if len(data) > MAX_FILE:
        raise ValueError(f"more than {MAX_FILE} bytes")
    packets = _packets(data)
    head = next(packets, b"")
    if len(head) < _HEAD.size or not head.startswith(b"OpusHead"):
        raise ValueError("not Opus: the first packet is not OpusHead")
    _, version, channels, pre_skip, _, _, family = _HEAD.unpack_from(head)
    # RFC 7845 section 5.1: the upper four bits are the major version.
    if version >> 4:
        raise ValueError("OpusHead: unknown version")
    if family != 0 or channels not in (1, 2):
        raise ValueError("OpusHead: not a mono or stereo recording")
    if not next(packets, b"").startswith(b"OpusTags"):
        raise ValueError("the second packet is not OpusTags")
    audio = tuple(packets)
    if not audio:
        raise ValueError("no audio in it")
    if not all(audio):
        raise ValueError("an empty audio packet")
    return OggOpus(channels=channels, pre_skip=pre_skip, packets=audio)


def _packets(data: bytes) -> Iterator[bytes]:
    """Packets reassembled from lacing values: 255 goes on, less ends the packet."""
    parts: list[bytes] = []
    size = 0
    for continued, lacing, body in _pages(data):
        if continued != bool(parts):
            raise ValueError("a packet is continued where none was open, or the reverse")
        start = 0
        for length in lacing:
            parts.append(body[start : start + length])
            start += length
            size += length
            if size > MAX_PACKET:
                raise ValueError(f"a packet of more than {MAX_PACKET} bytes")
            if length < 255:
                yield b"".join(parts)
                parts, size = [], 0
    if parts:
        raise ValueError("the last packet is not complete")


def _pages(data: bytes) -> Iterator[tuple[bool, bytes, bytes]]:
    """Of each page: whether it continues a packet, its lacing values, its body."""
    offset = expected = 0
    stream: int | None = None
    ended = False
    while offset < len(data):
        if len(data) - offset < _PAGE.size:
            raise ValueError(f"byte {offset}: a page header is cut off")
        pattern, version, kind, _, serial, number, crc, count = _PAGE.unpack_from(data, offset)
        if pattern != b"OggS" or version != 0:
            raise ValueError(f"byte {offset}: not an Ogg page")
        start = offset + _PAGE.size + count
        lacing = data[offset + _PAGE.size : start]
        end = start + sum(lacing)
        if len(lacing) < count or end > len(data):
            raise ValueError(f"byte {offset}: the page is cut off")
        page = data[offset:end]
        # The checksum is computed with its own field zero.
        if _crc(page[:22] + bytes(4) + page[26:]) != crc:
            raise ValueError(f"byte {offset}: the page's checksum is wrong")
        if ended or bool(kind & _FIRST) != (stream is None) or stream not in (None, serial):
            raise ValueError(f"byte {offset}: more than one stream")
        if number != expected:
            raise ValueError(f"byte {offset}: page {expected} is missing")
        stream, expected, ended = serial, expected + 1, bool(kind & _LAST)
        yield bool(kind & _CONTINUED), lacing, data[start:end]
        offset = end
    if not ended:
        raise ValueError("the last page is missing")


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        remainder = value << 24
        for _ in range(8):
            # RFC 3533 section 6: generator polynomial 0x04c11db7, not reflected.
            remainder = (remainder << 1) ^ (0x04C11DB7 if remainder & 0x80000000 else 0)
        table.append(remainder & 0xFFFFFFFF)
    return tuple(table)


_TABLE = _crc_table()


def _crc(page: bytes) -> int:
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _TABLE[(crc >> 24) ^ byte]
    return crc
