"""The DTLS 1.2 record layer in plaintext form: RFC 6347 section 4.1.

```text
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+---------------+-------------------------------+---------------+
| content type  |            version            |    epoch      |
+---------------+-------------------------------+---------------+
|    epoch      |          sequence number (48 bits)            |
+---------------+-----------------------------------------------+
|          sequence number                      |    length     |
+-----------------------------------------------+---------------+
|    length     |  payload ...
+---------------+
```

Pure functions, called by `engine` on what OpenSSL writes (a stream without
datagram boundaries) and by `endpoint` on what the network brings. Ciphertext is
carried as it is. DTLS 1.3 records (first byte 32 to 63) are refused: no epoch of
ours ever uses them.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable

from rtcproto._attrs import wire
from rtcproto.errors import ParseError

__all__ = [
    "DTLS_1_2",
    "HEADER_SIZE",
    "MAX_CIPHERTEXT",
    "ContentType",
    "Record",
    "build_record",
    "pack_datagrams",
    "parse_records",
    "renumber",
]

# RFC 6347 section 4.1: versions are the ones' complement of the TLS ones.
DTLS_1_2 = 0xFEFD

# RFC 5246 section 6.2.3: a TLSCiphertext is at most 2^14 + 2048 bytes.
MAX_CIPHERTEXT = (1 << 14) + 2048

# A handshake datagram of ours holds at most five records; empty records would
# otherwise let 64 KiB carry five thousand.
MAX_RECORDS = 64

# content type, version, epoch, the two parts of the sequence number, length.
_HEADER = struct.Struct("!BHHHIH")
HEADER_SIZE = _HEADER.size


class ContentType(enum.IntEnum):
    """RFC 5246 section 6.2.1."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


@wire
class Record:
    """One record; `raw` is all of it, header included."""

    content_type: int
    epoch: int
    sequence: int
    payload: bytes
    raw: bytes


def parse_records(data: bytes) -> list[Record]:
    """The records that fill `data` exactly; `ParseError` otherwise."""
    records: list[Record] = []
    offset, size = 0, len(data)
    while offset < size:
        if size - offset < HEADER_SIZE:
            raise ParseError("dtls", "truncated record header", offset)
        content_type, version, epoch, high, low, length = _HEADER.unpack_from(data, offset)
        # RFC 6347 section 4.1: the major version byte 254 is DTLS; the first
        # ClientHello may carry {254, 255} for the sake of old servers.
        if not 20 <= content_type <= 23 or version >> 8 != 0xFE:
            raise ParseError("dtls", "not a DTLS 1.2 record", offset)
        end = offset + HEADER_SIZE + length
        if end > size or length > MAX_CIPHERTEXT:
            raise ParseError("dtls", "record longer than its datagram or the limit", offset)
        if len(records) == MAX_RECORDS:
            raise ParseError("dtls", "too many records in one datagram", offset)
        raw = data[offset:end]
        records.append(Record(content_type, epoch, high << 32 | low, raw[HEADER_SIZE:], raw))
        offset = end
    return records


def build_record(content_type: int, epoch: int, sequence: int, payload: bytes) -> bytes:
    """A record as it is sent."""
    return (
        _HEADER.pack(
            content_type, DTLS_1_2, epoch, sequence >> 32, sequence & 0xFFFFFFFF, len(payload)
        )
        + payload
    )


def renumber(raw: bytes, sequence: int) -> bytes:
    """The record `raw` with another sequence number. Only plaintext survives this."""
    return raw[:5] + sequence.to_bytes(6, "big") + raw[11:]


def pack_datagrams(records: Iterable[bytes], mtu: int) -> list[bytes]:
    """Whole records put together into as few datagrams of at most `mtu` bytes as order allows.

    RFC 6347 section 4.1.1: records do not span datagrams, and several may share
    one. A record beyond `mtu` goes alone.
    """
    datagrams: list[bytes] = []
    current = b""
    for record in records:
        if current and len(current) + len(record) > mtu:
            datagrams.append(current)
            current = b""
        current += record
    if current:
        datagrams.append(current)
    return datagrams
