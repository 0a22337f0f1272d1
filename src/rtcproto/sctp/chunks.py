"""The chunks that carry data and acknowledge it: DATA, SACK, FORWARD-TSN.

RFC 9260 sections 3.3.1 and 3.3.4, RFC 3758 section 3.2.

```text
DATA         flags I U B E | tsn (4) | stream (2) | ssn (2) | ppid (4) | user data ...
SACK         cumulative tsn (4) | a_rwnd (4) | gaps n (2) | duplicates m (2)
             n x (start offset (2), end offset (2))    m x tsn (4)
FORWARD-TSN  new cumulative tsn (4) | (stream (2), ssn (2)) ...
```

Numbers are wrapped here, as on the wire; the association unwraps them. Called by
the packet codec. Refused: lengths and counts that disagree, and DATA without data
(RFC 9260 section 3.3.1: "a receiver ... MUST abort", which is the association's).
"""

from __future__ import annotations

from struct import Struct

from rtcproto._attrs import wire
from rtcproto.errors import ParseError

__all__ = [
    "DATA_OVERHEAD",
    "Data",
    "ForwardTsn",
    "IMMEDIATE",
    "Sack",
    "parse_data",
    "parse_forward_tsn",
    "parse_sack",
]

_DATA = Struct("!BBHLHHL")
_unpack_data = Struct("!LHHL").unpack_from
_SACK = Struct("!LLHH")
_PAIR = Struct("!HH")

# Flags of DATA.
IMMEDIATE, _UNORDERED, _BEGINNING, _ENDING = 8, 4, 2, 1

# DATA header and its fixed fields, bytes.
DATA_OVERHEAD = 16


@wire
class Data:
    """One fragment of a message, RFC 9260 section 3.3.1; `ppid` is RFC 8831's in WebRTC."""

    tsn: int
    stream: int
    ssn: int
    ppid: int
    data: bytes
    beginning: bool = True
    ending: bool = True
    unordered: bool = False
    immediate: bool = False

    def __repr__(self) -> str:
        return f"Data(tsn={self.tsn}, stream={self.stream}, {len(self.data)} bytes)"

    def serialize(self) -> bytes:
        """The chunk, padded."""
        flags = (
            (IMMEDIATE if self.immediate else 0)
            | (_UNORDERED if self.unordered else 0)
            | (_BEGINNING if self.beginning else 0)
            | (_ENDING if self.ending else 0)
        )
        length = DATA_OVERHEAD + len(self.data)
        header = _DATA.pack(0, flags, length, self.tsn, self.stream, self.ssn, self.ppid)
        return header + self.data + b"\0\0\0"[: -length & 3]


@wire
class Sack:
    """What arrived: everything up to `cumulative`, and `gaps` as offsets from it, inclusive."""

    cumulative: int
    a_rwnd: int
    gaps: tuple[tuple[int, int], ...] = ()
    duplicates: tuple[int, ...] = ()

    def serialize(self) -> bytes:
        """The chunk."""
        length = 16 + 4 * len(self.gaps) + 4 * len(self.duplicates)
        parts = bytearray(_PAIR.pack(3 << 8, length))
        parts += _SACK.pack(self.cumulative, self.a_rwnd, len(self.gaps), len(self.duplicates))
        for start, end in self.gaps:
            parts += _PAIR.pack(start, end)
        for tsn in self.duplicates:
            parts += tsn.to_bytes(4, "big")
        return bytes(parts)


@wire
class ForwardTsn:
    """Everything up to `cumulative` is given up; ordered `streams` resume behind each ssn."""

    cumulative: int
    streams: tuple[tuple[int, int], ...] = ()

    def serialize(self) -> bytes:
        """The chunk."""
        parts = bytearray(_PAIR.pack(192 << 8, 8 + 4 * len(self.streams)))
        parts += self.cumulative.to_bytes(4, "big")
        for stream, ssn in self.streams:
            parts += _PAIR.pack(stream, ssn)
        return bytes(parts)


def parse_data(data: bytes, offset: int, end: int, flags: int) -> Data:
    """The body `data[offset:end]` of a DATA chunk. Raises ParseError."""
    if end - offset < 12:
        raise ParseError("sctp", "DATA too short", offset)
    tsn, stream, ssn, ppid = _unpack_data(data, offset)
    return Data(
        tsn,
        stream,
        ssn,
        ppid,
        data[offset + 12 : end],
        flags & _BEGINNING != 0,
        flags & _ENDING != 0,
        flags & _UNORDERED != 0,
        flags & IMMEDIATE != 0,
    )


def parse_sack(data: bytes, offset: int, end: int, flags: int) -> Sack:
    """The body of a SACK chunk. Raises ParseError."""
    if end - offset < 12:
        raise ParseError("sctp", "SACK too short", offset)
    cumulative, a_rwnd, gap_count, duplicate_count = _SACK.unpack_from(data, offset)
    gaps_end = offset + 12 + 4 * gap_count
    if gaps_end + 4 * duplicate_count != end:
        raise ParseError("sctp", "SACK counts do not fit its length", offset)
    gaps = tuple(_PAIR.iter_unpack(data[offset + 12 : gaps_end]))
    duplicates = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(gaps_end, end, 4))
    return Sack(cumulative, a_rwnd, gaps, duplicates)


def parse_forward_tsn(data: bytes, offset: int, end: int, flags: int) -> ForwardTsn:
    """The body of a FORWARD-TSN chunk. Raises ParseError."""
    if end - offset < 4 or (end - offset) & 3:
        raise ParseError("sctp", "FORWARD-TSN of a wrong length", offset)
    cumulative = int.from_bytes(data[offset : offset + 4], "big")
    return ForwardTsn(cumulative, tuple(_PAIR.iter_unpack(data[offset + 4 : end])))
