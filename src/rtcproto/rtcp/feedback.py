"""Feedback messages: NACK, PLI, FIR and REMB.

```text
header(format, 205 or 206)  sender ssrc  media ssrc  feedback control information
205/1  generic NACK (RFC 4585 6.2.1): words of (first lost sequence, bit mask of the next 16)
206/1  PLI (RFC 4585 6.3.1): nothing
206/4  FIR (RFC 5104 4.3.1): pairs of (ssrc, sequence, 3 reserved bytes)
206/15 REMB (draft-alvestrand-rmcat-remb-03): "REMB", count, exponent, mantissa, ssrcs
```

Called by the compound codec, which keeps every other format as `Unknown`.
Refuses information that is not whole entries.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable

from rtcproto._attrs import wire
from rtcproto.errors import UsageError
from rtcproto.rtcp.header import PacketType, build_packet, malformed

__all__ = [
    "Fir",
    "Nack",
    "PayloadFormat",
    "Pli",
    "Remb",
    "TransportFormat",
    "is_remb",
    "parse_fir",
    "parse_nack",
    "parse_pli",
    "parse_remb",
]

_SSRCS = struct.Struct("!LL")
_FIR_ENTRY = struct.Struct("!LB3x")
_REMB_NAME = b"REMB"
_MANTISSA_BITS = 18


class TransportFormat(enum.IntEnum):
    """Formats of packet type 205; https://www.iana.org/assignments/rtp-parameters."""

    NACK = 1
    TRANSPORT_CC = 15


class PayloadFormat(enum.IntEnum):
    """Formats of packet type 206; https://www.iana.org/assignments/rtp-parameters."""

    PLI = 1
    FIR = 4
    APPLICATION = 15


@wire
class Nack:
    """Packets reported lost: `entries` of (sequence, bit mask), as on the wire.

    Bit i of the mask (the lowest is 0) says that sequence + i + 1 is lost too.
    """

    sender_ssrc: int
    media_ssrc: int
    entries: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, sender_ssrc: int, media_ssrc: int, lost: Iterable[int]) -> Nack:
        """A NACK for the 16-bit sequence numbers `lost`, given oldest first."""
        entries: list[tuple[int, int]] = []
        first, mask = -1, 0
        for sequence in lost:
            ahead = (sequence - first - 1) & 0xFFFF
            if first >= 0 and ahead < 16:
                mask |= 1 << ahead
                continue
            if first >= 0:
                entries.append((first, mask))
            first, mask = sequence, 0
        if first >= 0:
            entries.append((first, mask))
        return cls(sender_ssrc, media_ssrc, tuple(entries))

    def sequences(self) -> list[int]:
        """Every 16-bit sequence number named, in order; at most 17 for four bytes received."""
        return [
            sequence
            for first, mask in self.entries
            for sequence in (
                first,
                *[(first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1],
            )
        ]

    def serialize(self) -> bytes:
        """The whole packet. `UsageError` without entries."""
        if not self.entries:
            raise UsageError("a NACK names at least one packet")
        body = _SSRCS.pack(self.sender_ssrc, self.media_ssrc)
        body += b"".join([struct.pack("!HH", *entry) for entry in self.entries])
        return build_packet(PacketType.TRANSPORT_FEEDBACK, TransportFormat.NACK, body)


@wire
class Pli:
    """Picture loss indication. Kept for bridges; an audio session does not act on it."""

    sender_ssrc: int
    media_ssrc: int

    def serialize(self) -> bytes:
        """The whole packet."""
        body = _SSRCS.pack(self.sender_ssrc, self.media_ssrc)
        return build_packet(PacketType.PAYLOAD_FEEDBACK, PayloadFormat.PLI, body)


@wire
class Fir:
    """Full intra request: `entries` of (ssrc, 8-bit command sequence number)."""

    sender_ssrc: int
    media_ssrc: int
    entries: tuple[tuple[int, int], ...]

    def serialize(self) -> bytes:
        """The whole packet. `UsageError` without entries."""
        if not self.entries:
            raise UsageError("a FIR names at least one source")
        body = _SSRCS.pack(self.sender_ssrc, self.media_ssrc)
        body += b"".join([_FIR_ENTRY.pack(*entry) for entry in self.entries])
        return build_packet(PacketType.PAYLOAD_FEEDBACK, PayloadFormat.FIR, body)


@wire
class Remb:
    """The receiver's estimate of the largest total `bitrate`, bit/s, of the streams `ssrcs`.

    The wire carries an 18-bit mantissa and a 6-bit exponent, so building rounds
    `bitrate` down to 18 significant bits.
    """

    sender_ssrc: int
    media_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...] = ()

    def serialize(self) -> bytes:
        """The whole packet."""
        exponent = max(0, self.bitrate.bit_length() - _MANTISSA_BITS)
        if self.bitrate < 0 or exponent > 63 or len(self.ssrcs) > 255:
            raise UsageError("a REMB has up to 255 sources and a bitrate of up to 81 bits")
        word = len(self.ssrcs) << 24 | exponent << 18 | self.bitrate >> exponent
        body = _SSRCS.pack(self.sender_ssrc, self.media_ssrc) + _REMB_NAME
        body += struct.pack(f"!L{len(self.ssrcs)}L", word, *self.ssrcs)
        return build_packet(PacketType.PAYLOAD_FEEDBACK, PayloadFormat.APPLICATION, body)


def _ssrcs(data: bytes, offset: int, end: int) -> tuple[int, int]:
    if offset + 8 > end:
        raise malformed("feedback without its two sources", offset)
    sender, media = _SSRCS.unpack_from(data, offset)
    return sender, media


def parse_nack(data: bytes, offset: int, end: int) -> Nack:
    """The body of 205/1. RFC 4585 6.2: at least one entry."""
    sender, media = _ssrcs(data, offset, end)
    size = end - offset - 8
    if not size or size & 3:
        raise malformed("NACK without whole entries", offset)
    fields = struct.unpack_from(f"!{size >> 1}H", data, offset + 8)
    return Nack(sender, media, tuple(zip(fields[::2], fields[1::2], strict=True)))


def parse_pli(data: bytes, offset: int, end: int) -> Pli:
    """The body of 206/1. RFC 4585 6.3.1: "there MUST NOT be any Feedback Control Information"."""
    sender, media = _ssrcs(data, offset, end)
    if end - offset != 8:
        raise malformed("PLI with information", offset)
    return Pli(sender, media)


def parse_fir(data: bytes, offset: int, end: int) -> Fir:
    """The body of 206/4."""
    sender, media = _ssrcs(data, offset, end)
    size = end - offset - 8
    if not size or size & 7:
        raise malformed("FIR without whole entries", offset)
    return Fir(sender, media, tuple(_FIR_ENTRY.iter_unpack(data[offset + 8 : end])))


def is_remb(data: bytes, offset: int, end: int) -> bool:
    """Whether a body of 206/15 carries REMB rather than another application's layer."""
    return end - offset >= 16 and data[offset + 8 : offset + 12] == _REMB_NAME


def parse_remb(data: bytes, offset: int, end: int) -> Remb:
    """The body of 206/15 for which `is_remb` holds."""
    sender, media, word = struct.unpack_from("!LL4xL", data, offset)
    count = word >> 24
    if end - offset != 16 + 4 * count:
        raise malformed("REMB count and length differ", offset)
    bitrate = (word & 0x3FFFF) << (word >> 18 & 0x3F)
    return Remb(sender, media, bitrate, struct.unpack_from(f"!{count}L", data, offset + 16))
