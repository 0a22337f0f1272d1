"""The RTP packet: RFC 3550 section 5.1, header extension as section 5.3.1.

```text
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|V=2|P|X|  CC   |M|     PT      |       sequence number         |
|                           timestamp                           |
|                             SSRC                              |
|               CSRC x CC ...                                   |
|      extension profile        |   length in 32-bit words      |  if X
|               extension data ...                              |
|  payload ...                     padding, its count last      |  if P
```

`RtpPacket.parse` is what the media plane and SRTP call for every packet that
arrives, so it takes the fixed part in one unpack and leaves the extension block
as one slice; `rtcproto.rtp.extensions` looks into it on demand. Refused: a
version other than 2, and any count (CSRC, extension words, padding) that claims
more than is there.
"""

from __future__ import annotations

from struct import Struct

from rtcproto._attrs import wire
from rtcproto.errors import ParseError, UsageError

__all__ = ["RtpPacket", "header_length", "padding_length"]

_HEADER = Struct("!BBHLL")
_WORDS = Struct("!HH")
# From the second byte on, with the extension's profile and length behind the SSRC.
_unpack_extended = Struct("!xBHLLHH").unpack_from
_unpack_header = _HEADER.unpack_from
_unpack_words = _WORDS.unpack_from

_MAX_CSRCS = 15


@wire
class RtpPacket:
    """One RTP packet in plain form.

    `payload` excludes the padding, of which `padding` counts the bytes (0: none;
    its content means nothing and is not kept). `extension_data` is the raw block
    after its length word, as `rtcproto.rtp.extensions` reads it;
    `extension_profile` is None where there is no block.
    """

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    csrcs: tuple[int, ...] = ()
    extension_profile: int | None = None
    extension_data: bytes = b""
    padding: int = 0

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """The packet in `data`, RFC 3550 5.1; `ParseError` for anything malformed."""
        size = len(data)
        if size < 12:
            raise ParseError("rtp", "shorter than the fixed header")
        if data[0] == 0x90 and size >= 16:
            second, sequence, timestamp, ssrc, profile, words = _unpack_extended(data)
            end = 16 + 4 * words
            if end > size:
                raise ParseError("rtp", "extension longer than the packet", 14)
            return cls(
                second & 0x7F,
                second > 0x7F,
                sequence,
                timestamp,
                ssrc,
                data[end:],
                (),
                profile,
                data[16:end],
            )
        first, second, sequence, timestamp, ssrc = _unpack_header(data)
        if first == 0x80:
            return cls(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[12:])
        end = header_length(data)
        return cls.from_parts(data[:end], data[end:])

    @classmethod
    def from_parts(cls, header: bytes, payload: bytes) -> RtpPacket:
        """The packet of a header, as `header_length` measures it, and what follows.

        For SRTP, which finds the header in the packet and the payload by deciphering.
        Padding is taken off `payload` where the header announces it (`ParseError` if
        its count is wrong).
        """
        first, second, sequence, timestamp, ssrc = _unpack_header(header)
        if first == 0x80:
            return cls(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, payload)
        if first == 0x90:
            return cls(
                second & 0x7F,
                second > 0x7F,
                sequence,
                timestamp,
                ssrc,
                payload,
                (),
                header[12] << 8 | header[13],
                header[16:],
            )
        padding = 0
        if first & 0x20:
            padding = padding_length(payload)
            payload = payload[:-padding]
        csrcs: tuple[int, ...] = ()
        offset = 12
        if count := first & 0x0F:
            offset += 4 * count
            csrcs = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(12, offset, 4))
        profile: int | None = None
        extension = b""
        if first & 0x10:
            profile = _unpack_words(header, offset)[0]
            extension = header[offset + 4 :]
        return cls(
            second & 0x7F,
            second > 0x7F,
            sequence,
            timestamp,
            ssrc,
            payload,
            csrcs,
            profile,
            extension,
            padding,
        )

    def serialize(self) -> bytes:
        """The bytes of this packet; `UsageError` if a field does not fit its place."""
        first = 0x80 | len(self.csrcs)
        tail = b""
        if len(self.csrcs) > _MAX_CSRCS:
            raise UsageError("at most 15 CSRCs")
        if self.csrcs:
            tail = b"".join([_uint32(csrc) for csrc in self.csrcs])
        if self.extension_profile is not None:
            words, rest = divmod(len(self.extension_data), 4)
            if rest or words > 0xFFFF or not 0 <= self.extension_profile <= 0xFFFF:
                raise UsageError("extension data must be whole 32-bit words, at most 65535")
            first |= 0x10
            tail += _WORDS.pack(self.extension_profile, words) + self.extension_data
        tail += self.payload
        if self.padding:
            if not 0 < self.padding <= 255:
                raise UsageError("padding is 0 to 255 bytes")
            first |= 0x20
            tail += bytes(self.padding - 1) + bytes((self.padding,))
        if not (
            0 <= self.payload_type <= 0x7F
            and 0 <= self.sequence <= 0xFFFF
            and 0 <= self.timestamp <= 0xFFFFFFFF
            and 0 <= self.ssrc <= 0xFFFFFFFF
        ):
            raise UsageError("an RTP header field is out of range")
        second = self.payload_type | 0x80 if self.marker else self.payload_type
        return _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc) + tail


def header_length(data: bytes) -> int:
    """Bytes up to the payload: fixed part, CSRCs and extension; `ParseError` if cut short.

    Looks at nothing behind the header, so it serves encrypted packets as well.
    """
    size = len(data)
    if size < 12:
        raise ParseError("rtp", "shorter than the fixed header")
    first = data[0]
    if first >> 6 != 2:
        raise ParseError("rtp", "not version 2")
    length = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if length + 4 > size:
            raise ParseError("rtp", "CSRCs or extension longer than the packet", 12)
        length += 4 + 4 * (data[length + 2] << 8 | data[length + 3])
    if length > size:
        raise ParseError("rtp", "CSRCs or extension longer than the packet", 12)
    return length


def padding_length(payload: bytes) -> int:
    """How many bytes at the end of `payload` are padding, for a packet with the P bit.

    RFC 3550 5.1: "The last octet of the padding contains a count of how many
    padding octets should be ignored, including itself." So zero is a lie as well.
    """
    padding = payload[-1] if payload else 0
    if not 0 < padding <= len(payload):
        raise ParseError("rtp", "padding longer than the payload, or none")
    return padding


def _uint32(value: int) -> bytes:
    if not 0 <= value <= 0xFFFFFFFF:
        raise UsageError("a CSRC is 32 bits")
    return value.to_bytes(4, "big")
