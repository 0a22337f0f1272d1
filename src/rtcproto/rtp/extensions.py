"""RTP header extensions: RFC 8285, one-byte and two-byte forms, and five elements.

```text
one-byte, profile 0xBEDE:  | id 4 | length - 1  4 | data ... |    ids 1-14, 1-16 bytes
two-byte, profile 0x100x:  | id 8 | length      8 | data ... |    ids 1-255, 0-255 bytes
```

Called by the media plane, which looks for one negotiated identifier at a time
(`find_extension`), and by senders, which build their layout once. Elements:
audio level (RFC 6464), MID (RFC 9143), RID (RFC 8852), abs-send-time and the
transport-wide sequence number (both libwebrtc's). Identifiers that nobody asks
for stay in the raw block. Where an identifier repeats, the first one counts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from struct import Struct

from rtcproto._attrs import wire
from rtcproto.errors import ParseError, UsageError

__all__ = [
    "AudioLevel",
    "ExtensionUri",
    "ONE_BYTE_PROFILE",
    "TWO_BYTE_PROFILE",
    "build_extensions",
    "decode_abs_send_time",
    "decode_text",
    "decode_transport_sequence",
    "encode_abs_send_time",
    "encode_text",
    "encode_transport_sequence",
    "find_extension",
    "parse_extensions",
]

ONE_BYTE_PROFILE = 0xBEDE
# RFC 8285 4.3: 0x100 followed by four application bits, which mean nothing here.
TWO_BYTE_PROFILE = 0x1000
_TWO_BYTE_MASK = 0xFFF0

_UINT16 = Struct("!H")


class ExtensionUri(enum.StrEnum):
    """The names by which the elements are negotiated.

    https://www.iana.org/assignments/rtp-parameters (RTP compact header extensions);
    the last two are libwebrtc's own.
    """

    AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
    MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
    RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    TRANSPORT_SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


@wire
class AudioLevel:
    """RFC 6464 section 3: `level` in -dBov (0 loudest, 127 silence), `voice` activity."""

    level: int
    voice: bool

    @classmethod
    def parse(cls, data: bytes) -> AudioLevel:
        """From the element's data: its first byte counts, whichever form carried it."""
        if not data:
            raise ParseError("rtp", "empty audio level")
        value = data[0]
        return cls(value & 0x7F, value > 0x7F)

    def serialize(self) -> bytes:
        """The element's single byte; `UsageError` if the level is not 0 to 127."""
        if not 0 <= self.level <= 127:
            raise UsageError("an audio level is 0 to 127 -dBov")
        return bytes((self.level | 0x80 if self.voice else self.level,))


def parse_extensions(profile: int | None, data: bytes) -> dict[int, bytes]:
    """All elements of an extension block by identifier, in wire order.

    Empty for a profile that is neither form. `ParseError` where an element
    reaches beyond the block.
    """
    elements: dict[int, bytes] = {}
    offset = 0
    size = len(data)
    if profile == ONE_BYTE_PROFILE:
        while offset < size:
            head = data[offset]
            offset += 1
            if not head:
                continue
            # RFC 8285 4.2: identifier 15, and 0 with a length, end the processing;
            # what came before still counts.
            if head >= 0xF0 or head < 0x10:
                break
            end = offset + (head & 0x0F) + 1
            if end > size:
                raise ParseError("rtp", "extension element beyond its block", offset)
            elements.setdefault(head >> 4, data[offset:end])
            offset = end
    elif profile is not None and profile & _TWO_BYTE_MASK == TWO_BYTE_PROFILE:
        while offset < size:
            head = data[offset]
            offset += 1
            if not head:
                continue
            end = offset + 1 + data[offset] if offset < size else size + 1
            if end > size:
                raise ParseError("rtp", "extension element beyond its block", offset)
            elements.setdefault(head, data[offset + 1 : end])
            offset = end
    return elements


def find_extension(profile: int | None, data: bytes, identifier: int) -> bytes | None:
    """The data of one element, or None; never raises.

    What lies behind the element is not looked at, so a block that is damaged at
    its end still yields the elements before the damage.
    """
    offset = 0
    size = len(data)
    if profile == 0xBEDE:
        while offset < size:
            head = data[offset]
            if not head:
                offset += 1
                continue
            if head >= 0xF0 or head < 0x10:
                return None
            end = offset + (head & 0x0F) + 2
            if head >> 4 == identifier:
                return data[offset + 1 : end] if end <= size else None
            offset = end
    elif profile is not None and profile & _TWO_BYTE_MASK == TWO_BYTE_PROFILE:
        while offset < size:
            head = data[offset]
            if not head:
                offset += 1
                continue
            if offset + 1 == size:
                return None
            end = offset + 2 + data[offset + 1]
            if head == identifier:
                return data[offset + 2 : end] if end <= size else None
            offset = end
    return None


def build_extensions(elements: Iterable[tuple[int, bytes]]) -> tuple[int | None, bytes]:
    """`(profile, data)` for `RtpPacket`, padded to whole words; (None, b"") for no elements.

    The one-byte form where every element fits it, else the two-byte form.
    `UsageError` for an identifier outside 1 to 255 or data beyond 255 bytes.
    """
    pairs = list(elements)
    if not pairs:
        return None, b""
    if all(0 < identifier < 15 and 0 < len(data) <= 16 for identifier, data in pairs):
        profile = ONE_BYTE_PROFILE
        block = b"".join(
            [bytes((identifier << 4 | len(data) - 1,)) + data for identifier, data in pairs]
        )
    elif all(0 < identifier < 256 and len(data) < 256 for identifier, data in pairs):
        profile = TWO_BYTE_PROFILE
        block = b"".join([bytes((identifier, len(data))) + data for identifier, data in pairs])
    else:
        raise UsageError("extension identifiers are 1 to 255, their data at most 255 bytes")
    if len(block) > 4 * 0xFFFF:
        raise UsageError("an extension block is at most 65535 words")
    return profile, block + bytes(-len(block) % 4)


def encode_text(text: str) -> bytes:
    """A MID or RID as element data: SDES items in UTF-8, RFC 7941 section 4."""
    data = text.encode()
    if not 0 < len(data) < 256:
        raise UsageError("an SDES item is 1 to 255 bytes")
    return data


def decode_text(data: bytes) -> str:
    """A MID or RID from element data."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ParseError("rtp", "an SDES item that is not UTF-8") from None


def encode_abs_send_time(seconds: float) -> bytes:
    """Seconds on any clock as 24 bits of 6.18 fixed point (so modulo 64 seconds)."""
    return (int(seconds * 0x40000) & 0xFFFFFF).to_bytes(3, "big")


def decode_abs_send_time(data: bytes) -> float:
    """The send time in seconds, in [0, 64)."""
    if len(data) != 3:
        raise ParseError("rtp", "abs-send-time is 3 bytes")
    return int.from_bytes(data, "big") / 0x40000


def encode_transport_sequence(sequence: int) -> bytes:
    """The low 16 bits of a transport-wide sequence number."""
    return _UINT16.pack(sequence & 0xFFFF)


def decode_transport_sequence(data: bytes) -> int:
    """The transport-wide sequence number, 16 bits; version 2 may append a feedback request."""
    if len(data) < 2:
        raise ParseError("rtp", "transport sequence shorter than 2 bytes")
    sequence: int = _UINT16.unpack_from(data)[0]
    return sequence
