"""Extended reports, RFC 3611: receiver reference time and its answer.

```text
header(0, 207)  ssrc  blocks: type, type-specific byte, length in words, contents
4  RRTR (4.4): ntp(64), sent by one that sends no sender reports
5  DLRR (4.5): sub-blocks (ssrc, last RR, delay since last RR), the answer
```

With both, a receiver learns the round trip (`reports.round_trip_time`). Other
block types are kept raw. Called by the compound codec. Refuses blocks that
exceed the packet, and more than `MAX_XR_BLOCKS`.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from rtcproto._attrs import wire
from rtcproto.errors import UsageError
from rtcproto.rtcp.header import PacketType, build_packet, malformed

__all__ = [
    "Dlrr",
    "DlrrEntry",
    "ReceiverReferenceTime",
    "UnknownXrBlock",
    "Xr",
    "XrBlock",
    "parse_xr",
]

# RFC 3611 defines seven block types and a report holds one or two of them; the
# limit bounds the values that one datagram of empty blocks can make.
MAX_XR_BLOCKS = 64

_BLOCK = struct.Struct("!BBH")
_RRTR = struct.Struct("!BBHQ")
_ENTRY = struct.Struct("!LLL")
_SSRC = struct.Struct("!L")

_RRTR_TYPE = 4
_DLRR_TYPE = 5


@wire
class ReceiverReferenceTime:
    """RRTR: the 64-bit NTP time at which this was sent."""

    ntp: int

    def serialize(self) -> bytes:
        """The block, header included."""
        return _RRTR.pack(_RRTR_TYPE, 0, 2, self.ntp)


@wire
class DlrrEntry:
    """For the receiver `ssrc`: `last_rr` compact NTP (0: none yet), `delay` in 1/65536 s."""

    ssrc: int
    last_rr: int
    delay: int


@wire
class Dlrr:
    """DLRR: for each receiver, its last reference time and how long ago it came."""

    entries: tuple[DlrrEntry, ...]

    def serialize(self) -> bytes:
        """The block, header included."""
        parts = [_BLOCK.pack(_DLRR_TYPE, 0, 3 * len(self.entries))]
        parts += [_ENTRY.pack(entry.ssrc, entry.last_rr, entry.delay) for entry in self.entries]
        return b"".join(parts)


@wire
class UnknownXrBlock:
    """A block of another type, as it came."""

    block_type: int
    specific: int
    data: bytes

    def serialize(self) -> bytes:
        """The block, header included."""
        if len(self.data) & 3 or self.block_type in (_RRTR_TYPE, _DLRR_TYPE):
            raise UsageError("an unknown XR block is whole words of a type not known here")
        return _BLOCK.pack(self.block_type, self.specific, len(self.data) >> 2) + self.data


XrBlock: TypeAlias = ReceiverReferenceTime | Dlrr | UnknownXrBlock


@wire
class Xr:
    """An extended report of the source `ssrc`."""

    ssrc: int
    blocks: tuple[XrBlock, ...] = ()

    def serialize(self) -> bytes:
        """The whole packet."""
        if len(self.blocks) > MAX_XR_BLOCKS:
            raise UsageError(f"an extended report has at most {MAX_XR_BLOCKS} blocks here")
        body = b"".join([_SSRC.pack(self.ssrc), *[block.serialize() for block in self.blocks]])
        return build_packet(PacketType.EXTENDED_REPORT, 0, body)


def parse_xr(data: bytes, offset: int, end: int) -> Xr:
    """The body of a packet of type 207."""
    if offset + 4 > end:
        raise malformed("extended report without a source", offset)
    (ssrc,) = _SSRC.unpack_from(data, offset)
    offset += 4
    blocks: list[XrBlock] = []
    while offset < end:
        # `end - offset` is whole words, so the four bytes are there.
        block_type, specific, length = _BLOCK.unpack_from(data, offset)
        body = offset + 4
        block_end = body + 4 * length
        if block_end > end:
            raise malformed("XR block longer than the packet", offset)
        if len(blocks) == MAX_XR_BLOCKS:
            raise malformed("too many XR blocks", offset)
        if block_type == _RRTR_TYPE:
            if length != 2:
                raise malformed("RRTR block of a wrong length", offset)
            blocks.append(ReceiverReferenceTime(int.from_bytes(data[body:block_end], "big")))
        elif block_type == _DLRR_TYPE:
            if length % 3:
                raise malformed("DLRR block without whole sub-blocks", offset)
            entries = _ENTRY.iter_unpack(data[body:block_end])
            blocks.append(Dlrr(tuple([DlrrEntry(*entry) for entry in entries])))
        else:
            blocks.append(UnknownXrBlock(block_type, specific, data[body:block_end]))
        offset = block_end
    return Xr(ssrc, tuple(blocks))
