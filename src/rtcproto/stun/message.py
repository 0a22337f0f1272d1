"""The STUN message: parse, look into, build. RFC 8489 sections 5, 6 and 14.

```text
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
|0 0|     STUN Message Type     |         Message Length        |
|                         Magic Cookie                          |
|                     Transaction ID (96 bits)                  |
|         Type                  |            Length             |  attributes, each
|                         Value (padded to 4)               ....   padded to 4 bytes
```

`Message.parse` walks the attributes once, keeps every value as bytes in order
(unknown ones too) and checks FINGERPRINT if there is one. It authenticates
nothing: that is `ShortTermKey.verify`, and until it has passed the content is
anybody's. Values are decoded when `get` asks for them. `RequestTemplate` and
`SuccessTemplate` build the two messages that connectivity checks consist of,
with everything constant for a pair of credentials joined beforehand.

Refuses: anything that is not one whole message (wrong cookie, length, or
alignment), more than `MAX_ATTRIBUTES` attributes, an attribute beyond the end,
anything after FINGERPRINT, RFC 3489 messages without the cookie.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from struct import Struct
from typing import Literal, Self, overload
from zlib import crc32

from rtcproto._attrs import wire
from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError
from rtcproto.stun.attributes import (
    MAGIC_COOKIE,
    Attribute,
    AttributeValue,
    ErrorCode,
    decode_value,
    encode_value,
    encode_xor_address,
    is_understood,
)
from rtcproto.stun.integrity import FINGERPRINT_XOR, SHA1_SIZE, SHA256_SIZE, IntegrityKey

__all__ = [
    "Class",
    "Integrity",
    "Message",
    "Method",
    "RequestTemplate",
    "SuccessTemplate",
    "build",
]

HEADER_SIZE = 20
TRANSACTION_ID_SIZE = 12

# Attributes of one message. Real checks carry 5 to 10. Nothing is authenticated
# before the walk is over, and a datagram has room for 500 empty attributes: a
# forger's 2 KB would cost twenty times what an honest check costs.
MAX_ATTRIBUTES = 32

_HEADER = Struct("!HHI12s")
_TYPE_LENGTH = Struct("!HH")
_FINGERPRINT = Struct("!HHI")
_unpack_header = _HEADER.unpack_from
_unpack_type_length = _TYPE_LENGTH.unpack_from
_unpack_uint = Struct("!I").unpack_from
_pack_fingerprint = _FINGERPRINT.pack

_MESSAGE_INTEGRITY = int(Attribute.MESSAGE_INTEGRITY)
_MESSAGE_INTEGRITY_SHA256 = int(Attribute.MESSAGE_INTEGRITY_SHA256)
_FINGERPRINT_TYPE = int(Attribute.FINGERPRINT)
# What the walk over a message looks at; what hides the attributes behind it; and
# what may stand behind it all the same (RFC 8489 section 14.5).
_SPECIAL = frozenset((_MESSAGE_INTEGRITY, _FINGERPRINT_TYPE))
_INTEGRITIES = frozenset((_MESSAGE_INTEGRITY, _MESSAGE_INTEGRITY_SHA256))
_SEEN_BEHIND_INTEGRITY = _INTEGRITIES | {_FINGERPRINT_TYPE}


class Method(enum.IntEnum):
    """RFC 8489 section 18.2. Open: other methods are kept as integers."""

    BINDING = 1


class Class(enum.IntEnum):
    """RFC 8489 section 5: C1 and C0 of the message type, as a two-bit number."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Integrity(enum.Enum):
    """Which integrity attributes `build` adds."""

    SHA1 = enum.auto()
    SHA256 = enum.auto()
    BOTH = enum.auto()


_Addresses = Literal[
    Attribute.MAPPED_ADDRESS, Attribute.XOR_MAPPED_ADDRESS, Attribute.ALTERNATE_SERVER
]
_Integers = Literal[
    Attribute.PRIORITY,
    Attribute.ICE_CONTROLLED,
    Attribute.ICE_CONTROLLING,
    Attribute.FINGERPRINT,
]
_Texts = Literal[
    Attribute.USERNAME,
    Attribute.REALM,
    Attribute.NONCE,
    Attribute.SOFTWARE,
    Attribute.ALTERNATE_DOMAIN,
]


@wire
class Message:
    """One STUN message as received.

    `attributes` holds every attribute as (type, value bytes) in wire order.
    `integrity_offset` says where in `raw` MESSAGE-INTEGRITY starts: 0 if there
    is none, -1 if it cannot be right (there twice, or not of 20 bytes).
    """

    method: int
    cls: int
    transaction_id: bytes
    attributes: list[tuple[int, bytes]]
    raw: bytes = b""
    integrity_offset: int = 0

    def __repr__(self) -> str:
        names = ", ".join(_name(kind) for kind, _ in self.attributes)
        return (
            f"Message(method={self.method}, cls={self.cls}, {len(self.raw)} bytes,"
            f" attributes=[{names}])"
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The message in `data`, which must be exactly one. Raises `ParseError`."""
        size = len(data)
        if size < HEADER_SIZE:
            raise ParseError("stun", "shorter than a header", size)
        kind, length, cookie, transaction_id = _unpack_header(data)
        if cookie != MAGIC_COOKIE:
            raise ParseError("stun", "wrong magic cookie", 4)
        if kind & 0xC000:
            raise ParseError("stun", "the first two bits are not zero", 0)
        if length != size - HEADER_SIZE or length & 3:
            raise ParseError("stun", "the length field is not that of the message", 2)
        attributes: list[tuple[int, bytes]] = []
        add = attributes.append
        offset = HEADER_SIZE
        integrity = 0
        # `size` and `offset` are multiples of 4, so a type and a length can be
        # read; a value that is not all there is noticed when the walk is over.
        for _ in range(MAX_ATTRIBUTES):
            if offset >= size:
                break
            attribute, value_size = _unpack_type_length(data, offset)
            offset += 4
            end = offset + value_size
            add((attribute, data[offset:end]))
            if attribute in _SPECIAL:
                if attribute == _MESSAGE_INTEGRITY:
                    integrity = -1 if integrity or value_size != SHA1_SIZE else offset - 4
                # RFC 8489 section 14.7: it "MUST be the last attribute".
                elif end != size or value_size != 4:
                    raise ParseError("stun", "FINGERPRINT is not the last attribute", offset - 4)
                elif crc32(data[: offset - 4]) ^ FINGERPRINT_XOR != _unpack_uint(data, offset)[0]:
                    raise ParseError("stun", "FINGERPRINT does not match", offset - 4)
            offset = end + 3 & -4
        if offset < size:
            raise ParseError("stun", "too many attributes", offset)
        if offset != size:
            raise ParseError("stun", "attribute beyond the end of the message", size)
        method, message_class = _METHOD_AND_CLASS.get(kind) or _split_type(kind)
        return cls(method, message_class, transaction_id, attributes, data, integrity)

    @overload
    def get(self, attribute: _Addresses) -> Address | None: ...
    @overload
    def get(self, attribute: _Integers) -> int | None: ...
    @overload
    def get(self, attribute: _Texts) -> str | None: ...
    @overload
    def get(self, attribute: Literal[Attribute.USE_CANDIDATE]) -> bool | None: ...
    @overload
    def get(self, attribute: Literal[Attribute.ERROR_CODE]) -> ErrorCode | None: ...
    @overload
    def get(self, attribute: Literal[Attribute.UNKNOWN_ATTRIBUTES]) -> tuple[int, ...] | None: ...
    @overload
    def get(self, attribute: int) -> AttributeValue | None: ...
    def get(self, attribute: int) -> AttributeValue | None:
        """The decoded value of the first such attribute, or None.

        Attributes that stand behind an integrity attribute are not seen, except
        integrity and FINGERPRINT themselves: RFC 8489 section 14.5, "agents
        MUST ignore all other attributes that follow MESSAGE-INTEGRITY".
        Raises `ParseError` if the value is malformed.
        """
        value = self.value(attribute)
        if value is None:
            return None
        return decode_value(attribute, value, self.transaction_id)

    def value(self, attribute: int) -> bytes | None:
        """Like `get`, but the value's bytes as they came; never raises."""
        for kind, value in self.attributes:
            if kind == attribute:
                return value
            if kind in _INTEGRITIES and attribute not in _SEEN_BEHIND_INTEGRITY:
                return None
        return None

    @property
    def unknown_required(self) -> tuple[int, ...]:
        """Comprehension-required attributes before integrity that this library does not know."""
        unknown = []
        for kind, _ in self.attributes:
            if kind in _INTEGRITIES:
                break
            if kind < 0x8000 and not is_understood(kind):
                unknown.append(kind)
        return tuple(unknown)


def build(
    method: int,
    cls: int,
    transaction_id: bytes,
    attributes: Iterable[tuple[int, AttributeValue]],
    key: IntegrityKey | None = None,
    fingerprint: bool = True,
    *,
    integrity: Integrity = Integrity.SHA1,
    padding: bytes = b"\0",
) -> bytes:
    """A message with `attributes` in the given order, then integrity, then FINGERPRINT.

    Values are bytes, used as they are, or what `Message.get` returns for that
    attribute. `padding` is the byte that fills values up to 4 (receivers ignore
    it). Raises `UsageError` for values that do not fit.
    """
    if len(transaction_id) != TRANSACTION_ID_SIZE or len(padding) != 1:
        raise UsageError("a transaction id has 12 bytes, padding is one")
    parts = []
    for attribute, given in attributes:
        value = encode_value(attribute, given, transaction_id)
        if len(value) > 0xFFFF:
            raise UsageError("attribute value longer than 65,535 bytes")
        parts.append(_TYPE_LENGTH.pack(attribute, len(value)))
        parts.append(value + padding * (-len(value) % 4))
    body = b"".join(parts)
    kind = _message_type(method, cls)
    if len(body) > 0xFF00:
        raise UsageError("message longer than 65,535 bytes")
    if key is not None and integrity is not Integrity.SHA256:
        prefix = _HEADER.pack(kind, len(body) + 4 + SHA1_SIZE, MAGIC_COOKIE, transaction_id) + body
        body += _TYPE_LENGTH.pack(_MESSAGE_INTEGRITY, SHA1_SIZE) + key.sha1(prefix)
    if key is not None and integrity is not Integrity.SHA1:
        length = len(body) + 4 + SHA256_SIZE
        prefix = _HEADER.pack(kind, length, MAGIC_COOKIE, transaction_id) + body
        body += _TYPE_LENGTH.pack(_MESSAGE_INTEGRITY_SHA256, SHA256_SIZE) + key.sha256(prefix)
    if not fingerprint:
        return _HEADER.pack(kind, len(body), MAGIC_COOKIE, transaction_id) + body
    return _with_fingerprint(_HEADER.pack(kind, len(body) + 8, MAGIC_COOKIE, transaction_id) + body)


class RequestTemplate:
    """Connectivity checks of one pair of credentials: only the transaction id changes.

    `username` is `<peer's ufrag>:<our ufrag>`, `key` the peer's password.
    `attributes` are what else the check carries (PRIORITY, ICE-CONTROLLED ...).
    """

    __slots__ = ("_body", "_head", "_key", "_mac_head", "_signed_body")

    def __init__(
        self,
        username: str,
        key: IntegrityKey,
        attributes: Iterable[tuple[int, AttributeValue]] = (),
    ) -> None:
        whole = build(
            Method.BINDING,
            Class.REQUEST,
            bytes(TRANSACTION_ID_SIZE),
            [(Attribute.USERNAME, username), *attributes],
            fingerprint=False,
        )
        self._key = key
        self._body = whole[HEADER_SIZE:]
        self._signed_body = self._body + _TYPE_LENGTH.pack(_MESSAGE_INTEGRITY, SHA1_SIZE)
        kind = _message_type(Method.BINDING, Class.REQUEST)
        signed = len(self._body) + 4 + SHA1_SIZE
        self._mac_head = _HEADER.pack(kind, signed, MAGIC_COOKIE, b"")[:8]
        self._head = _HEADER.pack(kind, signed + 8, MAGIC_COOKIE, b"")[:8]

    def build(self, transaction_id: bytes) -> bytes:
        """The request with MESSAGE-INTEGRITY and FINGERPRINT; 12 bytes of transaction id."""
        mac = self._key.sha1(self._mac_head + transaction_id + self._body)
        return _with_fingerprint(self._head + transaction_id + self._signed_body + mac)


# Success response: XOR-MAPPED-ADDRESS (8 or 20 bytes), MESSAGE-INTEGRITY, FINGERPRINT.
_SUCCESS_TYPE = 0x0101
_SUCCESS_HEADS = {
    size: (
        _HEADER.pack(_SUCCESS_TYPE, 4 + size + 24, MAGIC_COOKIE, b"")[:8],
        _HEADER.pack(_SUCCESS_TYPE, 4 + size + 32, MAGIC_COOKIE, b"")[:8],
        _TYPE_LENGTH.pack(Attribute.XOR_MAPPED_ADDRESS, size),
    )
    for size in (8, 20)
}
_INTEGRITY_HEAD = _TYPE_LENGTH.pack(_MESSAGE_INTEGRITY, SHA1_SIZE)


class SuccessTemplate:
    """Binding success responses under one password; `key` is our own."""

    __slots__ = ("_key",)

    def __init__(self, key: IntegrityKey) -> None:
        self._key = key

    def build(self, transaction_id: bytes, mapped: Address) -> bytes:
        """The response to a request that came from `mapped`: 64 bytes, 76 for IPv6."""
        value = encode_xor_address(mapped, transaction_id)
        mac_head, head, attribute = _SUCCESS_HEADS[len(value)]
        body = transaction_id + attribute + value
        mac = self._key.sha1(mac_head + body)
        return _with_fingerprint(head + body + _INTEGRITY_HEAD + mac)


def _with_fingerprint(data: bytes) -> bytes:
    return data + _pack_fingerprint(_FINGERPRINT_TYPE, 4, crc32(data) ^ FINGERPRINT_XOR)


def _message_type(method: int, cls: int) -> int:
    if not 0 <= method <= 0xFFF or not 0 <= cls <= 3:
        raise UsageError("a method has 12 bits, a class two")
    return (
        (method & 0xF)
        | (method & 0x70) << 1
        | (method & 0xF80) << 2
        | (cls & 1) << 4
        | (cls & 2) << 7
    )


def _split_type(kind: int) -> tuple[int, int]:
    method = (kind & 0xF) | (kind >> 1 & 0x70) | (kind >> 2 & 0xF80)
    return method, (kind >> 4 & 1) | (kind >> 7 & 2)


# The four types that nearly every message has.
_METHOD_AND_CLASS = {
    kind: _split_type(kind) for kind in (_message_type(Method.BINDING, cls) for cls in Class)
}


def _name(kind: int) -> str:
    try:
        return Attribute(kind).name
    except ValueError:
        return f"{kind:#06x}"
