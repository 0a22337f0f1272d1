"""The SCTP packet: common header, CRC32c, and a list of chunks. RFC 9260 section 3.

```text
 | source port (2) | destination port (2) | verification tag (4) | checksum (4) | chunks ... |
chunk: | type (1) | flags (1) | length (2), header included, padding not | body | 0-3 zero bytes |
```

The checksum is CRC32c, least significant byte first (RFC 9260 appendix A); RFC
9653 lets it be zero where both sides said so, because DTLS protects the packet
already. Called by the association for every DTLS message. Refused: a wrong
checksum, a chunk length below 4 or beyond the packet, more than `MAX_CHUNKS`.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias

from crc32c import crc32c

from rtcproto._attrs import wire
from rtcproto.errors import ParseError
from rtcproto.sctp.chunks import (
    Data,
    ForwardTsn,
    Sack,
    parse_data,
    parse_forward_tsn,
    parse_sack,
)
from rtcproto.sctp.control_chunks import ChunkType, ControlChunk, parse_control

__all__ = ["Chunk", "HEADER_SIZE", "Packet"]

Chunk: TypeAlias = Data | Sack | ForwardTsn | ControlChunk

_HEADER = Struct("!HHLL")
_unpack_header = _HEADER.unpack_from
_unpack_chunk = Struct("!BBH").unpack_from

# Bytes of the common header.
HEADER_SIZE = 12

# A datagram of 1,200 bytes holds at most 59 one-byte DATA chunks; one more than
# the largest datagram we take could hold is a sign of nothing good.
MAX_CHUNKS = 128


@wire
class Packet:
    """One SCTP packet; `checksum_was_zero` says that it came without a CRC."""

    source_port: int
    destination_port: int
    tag: int
    chunks: tuple[Chunk, ...]
    checksum_was_zero: bool = False

    @classmethod
    def parse(cls, data: bytes, zero_checksum: bool = False) -> Packet:
        """The packet in `data`; `zero_checksum` accepts one without CRC. Raises ParseError."""
        total = len(data)
        if total < HEADER_SIZE + 4:
            raise ParseError("sctp", "shorter than a header and a chunk")
        source, destination, tag, checksum = _unpack_header(data)
        if (checksum or not zero_checksum) and checksum != _checksum(data):
            raise ParseError("sctp", "wrong checksum", 8)
        chunks: list[Chunk] = []
        offset = HEADER_SIZE
        while total - offset >= 4:
            kind, flags, length = _unpack_chunk(data, offset)
            end = offset + length
            if length < 4 or end > total:
                raise ParseError("sctp", "chunk longer than the packet, or too short", offset)
            if len(chunks) >= MAX_CHUNKS:
                raise ParseError("sctp", "too many chunks", offset)
            body = offset + 4
            if kind == 0:
                chunks.append(parse_data(data, body, end, flags))
            elif kind == ChunkType.SACK:
                chunks.append(parse_sack(data, body, end, flags))
            elif kind == ChunkType.FORWARD_TSN:
                chunks.append(parse_forward_tsn(data, body, end, flags))
            else:
                chunks.append(parse_control(kind, data, body, end, flags))
            offset = end + (-length & 3)
        if offset < total:
            raise ParseError("sctp", "bytes behind the last chunk", offset)
        return cls(source, destination, tag, tuple(chunks), checksum == 0)

    def serialize(self, zero_checksum: bool = False) -> bytes:
        """The packet, with its CRC unless `zero_checksum`."""
        parts = bytearray(_HEADER.pack(self.source_port, self.destination_port, self.tag, 0))
        for chunk in self.chunks:
            parts += chunk.serialize()
        if not zero_checksum:
            parts[8:12] = crc32c(parts).to_bytes(4, "little")
        return bytes(parts)


def _checksum(data: bytes) -> int:
    # The field itself counts as zero. Chaining the CRC over the pieces spares the
    # copy with the field zeroed, which would cost more than the CRC.
    crc = crc32c(data[12:], crc32c(b"\0\0\0\0", crc32c(data[:8])))
    return int.from_bytes(crc.to_bytes(4, "little"), "big")
