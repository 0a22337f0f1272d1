"""Source description, goodbye and application packets, RFC 3550 sections 6.5 to 6.7.

```text
header(count, 202)  chunks: ssrc, items (type, length, text)..., zero bytes to a whole word
header(count, 203)  ssrcs   [length, reason, zero bytes to a whole word]
header(subtype, 204)  ssrc  name(4)  data
```

Called by the compound codec. Item texts stay bytes: RFC 3550 says UTF-8, peers
are not held to it, and a CNAME is compared, not shown. Refuses counts that the
length does not cover, items without an end, and bytes after the last chunk.
"""

from __future__ import annotations

import enum
import struct

from rtcproto._attrs import wire
from rtcproto.errors import UsageError
from rtcproto.rtcp.header import PacketType, build_packet, malformed, words

__all__ = [
    "App",
    "Bye",
    "Sdes",
    "SdesChunk",
    "SdesItem",
    "parse_app",
    "parse_bye",
    "parse_sdes",
]

_SSRC = struct.Struct("!L")
_parse_ssrc = _SSRC.unpack_from


class SdesItem(enum.IntEnum):
    """Item types; https://www.iana.org/assignments/rtp-parameters (RTP SDES Item Types)."""

    CNAME = 1
    NAME = 2
    EMAIL = 3
    PHONE = 4
    LOC = 5
    TOOL = 6
    NOTE = 7
    PRIV = 8
    MID = 15


@wire
class SdesChunk:
    """What is said of one source: (item type, text) in order. Texts are up to 255 bytes."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...] = ()


@wire
class Sdes:
    """A source description packet."""

    chunks: tuple[SdesChunk, ...] = ()

    @classmethod
    def of(cls, ssrc: int, cname: bytes) -> Sdes:
        """The packet that every compound needs, RFC 3550 section 6.5.1."""
        return cls((SdesChunk(ssrc, ((1, cname),)),))

    def cname(self, ssrc: int) -> bytes | None:
        """The canonical name given for `ssrc`, or None."""
        for chunk in self.chunks:
            if chunk.ssrc == ssrc:
                for kind, text in chunk.items:
                    if kind == SdesItem.CNAME:
                        return text
        return None

    def serialize(self) -> bytes:
        """The whole packet. `UsageError` for item type 0 or a text over 255 bytes."""
        parts = bytearray()
        for chunk in self.chunks:
            parts += _SSRC.pack(chunk.ssrc)
            for kind, text in chunk.items:
                if not 0 < kind < 256 or len(text) > 255:
                    raise UsageError("an SDES item has a type of 1-255 and up to 255 bytes")
                parts.append(kind)
                parts.append(len(text))
                parts += text
            # RFC 3550 6.5: the list ends with at least one null byte, up to a word.
            parts += b"\0\0\0\0"[len(parts) & 3 :]
        return build_packet(PacketType.SOURCE_DESCRIPTION, len(self.chunks), bytes(parts))


@wire
class Bye:
    """Sources that have left. `reason` is up to 255 bytes; none and empty are the same."""

    ssrcs: tuple[int, ...] = ()
    reason: bytes = b""

    def serialize(self) -> bytes:
        """The whole packet."""
        body = b"".join([_SSRC.pack(ssrc) for ssrc in self.ssrcs])
        if self.reason:
            if len(self.reason) > 255:
                raise UsageError("a BYE reason is at most 255 bytes")
            body += words(bytes((len(self.reason),)) + self.reason)
        return build_packet(PacketType.BYE, len(self.ssrcs), body)


@wire
class App:
    """Application-defined: kept and passed on, never interpreted. `name` is four bytes."""

    subtype: int
    ssrc: int
    name: bytes
    data: bytes = b""

    def serialize(self) -> bytes:
        """The whole packet."""
        if len(self.name) != 4:
            raise UsageError("an APP name is four bytes")
        return build_packet(
            PacketType.APP, self.subtype, _SSRC.pack(self.ssrc) + self.name + self.data
        )


def parse_sdes(data: bytes, offset: int, end: int, count: int) -> Sdes:
    """The body of a packet of type 202. Linear: every item takes its bytes once."""
    start = offset
    chunks = []
    try:
        # Reads may go beyond `end` by the fixed part of a chunk or an item; what
        # comes of that is compared with `end` before it is used.
        for _ in range(count):
            ssrc = _parse_ssrc(data, offset)[0]
            offset += 4
            items = []
            while kind := data[offset]:
                text = offset + 2
                offset = text + data[text - 1]
                if offset > end:
                    break
                items.append((kind, data[text:offset]))
            # Past the null byte, to the next word; `end - start` is whole words.
            offset += 4 - ((offset - start) & 3)
            if offset > end:
                raise malformed("SDES chunk longer than the packet", end)
            chunks.append(SdesChunk(ssrc, tuple(items)))
    except (IndexError, struct.error):
        raise malformed("SDES chunk longer than the packet", end) from None
    if offset != end:
        raise malformed("bytes after the last SDES chunk", offset)
    return Sdes(tuple(chunks))


def parse_bye(data: bytes, offset: int, end: int, count: int) -> Bye:
    """The body of a packet of type 203."""
    reason_at = offset + 4 * count
    if reason_at > end:
        raise malformed("fewer BYE sources than counted", offset)
    ssrcs = struct.unpack_from(f"!{count}L", data, offset)
    reason = b""
    if reason_at < end:
        reason_end = reason_at + 1 + data[reason_at]
        if reason_end > end:
            raise malformed("BYE reason longer than the packet", reason_at)
        reason = data[reason_at + 1 : reason_end]
    return Bye(ssrcs, reason)


def parse_app(data: bytes, offset: int, end: int, count: int) -> App:
    """The body of a packet of type 204; `count` is the subtype."""
    if offset + 8 > end:
        raise malformed("APP packet without a name", offset)
    (ssrc,) = _parse_ssrc(data, offset)
    return App(count, ssrc, data[offset + 4 : offset + 8], data[offset + 8 : end])
