"""The four bytes that begin every RTCP packet, RFC 3550 section 6.4.1.

```text
|V=2|P|  count  |  packet type  |   length in words, minus one  |
```

The neighbours parse and build packet bodies with this; `rtcproto.rtcp.packet`
walks a compound. Nothing here looks at a body.
"""

from __future__ import annotations

import enum
import struct

from rtcproto.errors import ParseError, UsageError

__all__ = ["PacketType", "build_packet", "malformed", "words"]

# The count field has five bits.
MAX_COUNT = 31

_HEADER = struct.Struct("!BBH")
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")


class PacketType(enum.IntEnum):
    """Second byte; https://www.iana.org/assignments/rtp-parameters (RTCP Control Packet Types)."""

    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    SOURCE_DESCRIPTION = 202
    BYE = 203
    APP = 204
    TRANSPORT_FEEDBACK = 205
    PAYLOAD_FEEDBACK = 206
    EXTENDED_REPORT = 207


def build_packet(packet_type: int, count: int, body: bytes) -> bytes:
    """One packet without padding. `UsageError`: `body` not whole words, `count` out of range."""
    size = len(body)
    if size & 3 or size > 0x3FFFC:
        raise UsageError("an RTCP body is at most 65535 whole 32-bit words")
    if not 0 <= count <= MAX_COUNT:
        raise UsageError("an RTCP count or format is at most 31")
    return _HEADER.pack(0x80 | count, packet_type, size >> 2) + body


def words(data: bytes) -> bytes:
    """`data` with zero bytes appended up to a whole number of 32-bit words."""
    return data + _PAD[len(data) & 3]


def malformed(reason: str, offset: int) -> ParseError:
    """The error of every RTCP parser."""
    return ParseError("rtcp", reason, offset)
