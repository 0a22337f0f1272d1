"""DTLS 1.2 handshake messages, as far as we must read them: RFC 6347 section 4.2.

```text
 handshake header, before every fragment of a message
+---------------+-----------------------------------------------+
|   msg type    |           length of the whole message         |
+---------------+---------------+-------------------------------+
|          message seq          |        fragment offset        |
+---------------+---------------+-------------------------------+
| (fragm. off.) |             fragment length                   |
+---------------+-----------------------------------------------+
```

OpenSSL does the handshake; these readers exist so that nothing unauthenticated
reaches it unseen (`vetting`) and so that fragments can be put together first
(`reassembly`). Hellos are RFC 5246 section 7.4.1 with the cookie of RFC 6347
section 4.2.1; extensions are kept as a table of raw bodies.
"""

from __future__ import annotations

import enum
import struct

from rtcproto._attrs import wire
from rtcproto._wire import Reader
from rtcproto.errors import ParseError

__all__ = [
    "HANDSHAKE_HEADER_SIZE",
    "ClientHello",
    "Extension",
    "Fragment",
    "HandshakeType",
    "ServerHello",
    "build_fragment",
    "parse_certificates",
    "parse_fragments",
    "parse_use_srtp",
]

# type and total length, message sequence, the fragment's place (24 bits twice).
_HEADER = struct.Struct("!IHBHBH")
HANDSHAKE_HEADER_SIZE = _HEADER.size
# extension type, length
_EXTENSION = struct.Struct("!HH")

# 64 one-byte fragments in a record are already far beyond what any stack sends.
MAX_FRAGMENTS = 64


class HandshakeType(enum.IntEnum):
    """RFC 5246 section 7.4 and RFC 6347 section 4.3.2: what a full handshake is made of."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20


class Extension(enum.IntEnum):
    """The hello extensions that decide anything here."""

    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    USE_SRTP = 14
    ENCRYPT_THEN_MAC = 22
    EXTENDED_MASTER_SECRET = 23
    SUPPORTED_VERSIONS = 43
    RENEGOTIATION_INFO = 0xFF01


@wire
class Fragment:
    """One fragment of the message `sequence`, whose whole length is `total`."""

    message_type: int
    total: int
    sequence: int
    offset: int
    body: bytes


def parse_fragments(payload: bytes) -> list[Fragment]:
    """The fragments that fill a handshake record's plaintext exactly."""
    fragments: list[Fragment] = []
    offset, size = 0, len(payload)
    while offset < size:
        if size - offset < HANDSHAKE_HEADER_SIZE:
            raise ParseError("dtls", "truncated handshake header", offset)
        head, sequence, at_high, at_low, length_high, length_low = _HEADER.unpack_from(
            payload, offset
        )
        at, length, total = at_high << 16 | at_low, length_high << 16 | length_low, head & 0xFFFFFF
        start = offset + HANDSHAKE_HEADER_SIZE
        if start + length > size or at + length > total:
            raise ParseError("dtls", "fragment beyond its record or its message", offset)
        if len(fragments) == MAX_FRAGMENTS:
            raise ParseError("dtls", "too many fragments in one record", offset)
        fragments.append(Fragment(head >> 24, total, sequence, at, payload[start : start + length]))
        offset = start + length
    if not fragments:
        raise ParseError("dtls", "empty handshake record")
    return fragments


def build_fragment(message_type: int, total: int, sequence: int, offset: int, body: bytes) -> bytes:
    """A handshake header and the piece of a message behind it."""
    return (
        _HEADER.pack(
            message_type << 24 | total,
            sequence,
            offset >> 16,
            offset & 0xFFFF,
            len(body) >> 16,
            len(body) & 0xFFFF,
        )
        + body
    )


def _parse_extensions(reader: Reader) -> dict[int, bytes]:
    extensions: dict[int, bytes] = {}
    if not reader.remaining:
        return extensions
    block = reader.vector(2)
    reader.finish()
    offset, size = 0, len(block)
    while offset < size:
        if size - offset < 4:
            raise ParseError("dtls", "truncated extension header", offset)
        code, length = _EXTENSION.unpack_from(block, offset)
        start = offset + 4
        offset = start + length
        if offset > size:
            raise ParseError("dtls", "extension beyond the hello", start)
        # RFC 5246 section 7.4.1.4: "There MUST NOT be more than one extension
        # of the same type."
        if code in extensions:
            raise ParseError("dtls", "extension given twice", start)
        extensions[code] = block[start:offset]
    return extensions


def _numbers(data: bytes) -> tuple[int, ...]:
    if len(data) % 2:
        raise ParseError("dtls", "list of 16-bit numbers with an odd length")
    return struct.unpack(f"!{len(data) // 2}H", data)


@wire
class ClientHello:
    """RFC 6347 section 4.2.1; `extensions` by code point, bodies as they came."""

    version: int
    cookie: bytes
    suites: tuple[int, ...]
    compressions: bytes
    extensions: dict[int, bytes]

    @classmethod
    def parse(cls, body: bytes) -> ClientHello:
        """The hello in a whole message body; `ParseError` if it is not one."""
        reader = Reader(body, "dtls")
        version = reader.uint(2)
        reader.take(32)
        if len(reader.vector(1)) > 32:
            raise reader.fail("session id longer than 32 bytes")
        cookie = reader.vector(1)
        suites = _numbers(reader.vector(2))
        compressions = reader.vector(1)
        return cls(version, cookie, suites, compressions, _parse_extensions(reader))

    def numbers(self, extension: int, length_size: int) -> tuple[int, ...] | None:
        """The 16-bit list in `extension` behind a length of `length_size` bytes, or None."""
        body = self.extensions.get(extension)
        if body is None:
            return None
        reader = Reader(body, "dtls")
        numbers = _numbers(reader.vector(length_size))
        reader.finish()
        return numbers


@wire
class ServerHello:
    """RFC 5246 section 7.4.1.3; `extensions` by code point, bodies as they came."""

    version: int
    suite: int
    compression: int
    extensions: dict[int, bytes]

    @classmethod
    def parse(cls, body: bytes) -> ServerHello:
        """The hello in a whole message body; `ParseError` if it is not one."""
        reader = Reader(body, "dtls")
        version = reader.uint(2)
        reader.take(32)
        if len(reader.vector(1)) > 32:
            raise reader.fail("session id longer than 32 bytes")
        suite = reader.uint(2)
        compression = reader.uint(1)
        return cls(version, suite, compression, _parse_extensions(reader))


def parse_use_srtp(body: bytes) -> tuple[int, ...]:
    """The protection profiles of a use_srtp extension, RFC 5764 section 4.1.1."""
    reader = Reader(body, "dtls")
    profiles = _numbers(reader.vector(2))
    reader.vector(1)  # srtp_mki, which WebRTC leaves empty
    reader.finish()
    return profiles


def parse_certificates(body: bytes) -> list[bytes]:
    """The DER certificates of a Certificate message, leaf first, RFC 5246 section 7.4.2."""
    outer = Reader(body, "dtls")
    reader = Reader(outer.vector(3), "dtls")
    outer.finish()
    certificates: list[bytes] = []
    while reader.remaining:
        certificates.append(reader.vector(3))
    return certificates
