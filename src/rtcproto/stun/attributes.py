"""The STUN attribute registry: code points, and how each value is encoded and decoded.

RFC 8489 section 14 and 18.3, RFC 8445 section 16.1 (ICE). One row per
attribute in `_CODECS`; an attribute without a row is carried as raw bytes, so
unknown ones survive a parse and a rebuild. Called by `message`, which owns the
walk over a message; nothing here knows where an attribute stands or whether it
is covered by MESSAGE-INTEGRITY.

Refuses: values of the wrong length, address families other than IPv4 and IPv6,
text that is not UTF-8 or is longer than the RFC allows (`ParseError` when
decoding, `UsageError` when encoding).
"""

from __future__ import annotations

import enum
import functools
import ipaddress
from collections.abc import Callable
from struct import Struct
from struct import error as struct_error
from typing import Any, Final, TypeAlias

from rtcproto._attrs import wire
from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError

__all__ = [
    "MAGIC_COOKIE",
    "Attribute",
    "AttributeValue",
    "ErrorCode",
    "decode_value",
    "decode_xor_address",
    "encode_value",
    "encode_xor_address",
    "is_understood",
]

# RFC 8489 section 5: "The Magic Cookie field MUST contain the fixed value 0x2112A442".
MAGIC_COOKIE: Final = 0x2112A442

_COOKIE_BYTES = MAGIC_COOKIE.to_bytes(4, "big")


class Attribute(enum.IntEnum):
    """https://www.iana.org/assignments/stun-parameters (the attributes understood here).

    Below 0x8000 an attribute is comprehension-required: a request that carries
    one which is not listed here must not be processed (RFC 8489 section 6.3.1).
    """

    MAPPED_ADDRESS = 0x0001
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    REALM = 0x0014
    NONCE = 0x0015
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    PASSWORD_ALGORITHM = 0x001D
    USERHASH = 0x001E
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    PASSWORD_ALGORITHMS = 0x8002
    ALTERNATE_DOMAIN = 0x8003
    SOFTWARE = 0x8022
    ALTERNATE_SERVER = 0x8023
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


@wire
class ErrorCode:
    """RFC 8489 section 14.8: a `code` in 300-699 and a reason phrase for people."""

    code: int
    reason: str = ""


AttributeValue: TypeAlias = bytes | str | int | Address | ErrorCode | tuple[int, ...]

Encode: TypeAlias = Callable[[Any, bytes], bytes]
Decode: TypeAlias = Callable[[bytes, bytes], Any]


def encode_value(attribute: int, value: AttributeValue, transaction_id: bytes) -> bytes:
    """The value bytes (no header, no padding) of one attribute.

    Bytes are taken as they are, whatever the attribute; everything else goes
    through the registry. Raises `UsageError` for a value that does not fit.
    """
    if isinstance(value, bytes):
        return value
    codec = _CODECS.get(attribute)
    if codec is None:
        raise UsageError(f"attribute {attribute:#06x} takes bytes only")
    try:
        return codec[0](value, transaction_id)
    except (TypeError, AttributeError) as error:
        kind = type(value).__name__
        raise UsageError(f"attribute {attribute:#06x} takes no value of type {kind}") from error
    except (ValueError, OverflowError, struct_error) as error:
        raise UsageError(f"attribute {attribute:#06x}: {error}") from error


def decode_value(attribute: int, value: bytes, transaction_id: bytes) -> AttributeValue:
    """The typed value of an attribute's bytes; raw bytes for one without a row.

    Raises `ParseError` for a value that its attribute cannot have.
    """
    codec = _CODECS.get(attribute)
    if codec is None:
        return value
    decoded: AttributeValue = codec[1](value, transaction_id)
    return decoded


def is_understood(attribute: int) -> bool:
    """Whether a comprehension-required attribute is one that this library knows."""
    return attribute in _UNDERSTOOD


# --- addresses: RFC 8489 sections 14.1 and 14.2 -------------------------------
#
#  0                   1                   2                   3
#  |0 0 0 0 0 0 0 0|    Family     |           Port                |
#  |                 Address (32 bits or 128 bits)                 |
#
# The XOR form XORs the port with the upper half of the magic cookie and the
# address with the cookie followed by the transaction id, so that address
# translators do not recognise and rewrite it.

_FAMILY_PORT = Struct("!xBH")
_IPV4 = 1
_IPV6 = 2


@functools.lru_cache(maxsize=1024)
def _packed_host(host: str) -> bytes:
    """The 4 or 16 bytes of a textual address (textual parsing is slow, peers repeat)."""
    return ipaddress.ip_address(host).packed


def encode_xor_address(address: Address, transaction_id: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS for `address` in the given transaction."""
    host = _packed_host(address[0])
    size = len(host)
    mask = _COOKIE_BYTES if size == 4 else _COOKIE_BYTES + transaction_id
    xored = int.from_bytes(host, "big") ^ int.from_bytes(mask, "big")
    family = _IPV4 if size == 4 else _IPV6
    return _FAMILY_PORT.pack(family, address[1] ^ (MAGIC_COOKIE >> 16)) + xored.to_bytes(
        size, "big"
    )


def decode_xor_address(value: bytes, transaction_id: bytes) -> Address:
    """The address in an XOR-MAPPED-ADDRESS value."""
    size = _address_size(value)
    port = _FAMILY_PORT.unpack_from(value)[1] ^ (MAGIC_COOKIE >> 16)
    mask = _COOKIE_BYTES if size == 4 else _COOKIE_BYTES + transaction_id
    packed = int.from_bytes(value[4:], "big") ^ int.from_bytes(mask, "big")
    return str(ipaddress.ip_address(packed.to_bytes(size, "big"))), port


def _encode_address(address: Address, _: bytes) -> bytes:
    host = _packed_host(address[0])
    return _FAMILY_PORT.pack(_IPV4 if len(host) == 4 else _IPV6, address[1]) + host


def _decode_address(value: bytes, _: bytes) -> Address:
    _address_size(value)
    return str(ipaddress.ip_address(value[4:])), _FAMILY_PORT.unpack_from(value)[1]


def _address_size(value: bytes) -> int:
    match len(value), value[1:2]:
        case 8, b"\x01":
            return 4
        case 20, b"\x02":
            return 16
        case _:
            raise ParseError("stun", "address attribute of unknown family or wrong length")


# --- numbers, text, flags, lists -----------------------------------------------


def _integer(size: int) -> tuple[Encode, Decode]:
    def encode(value: int, _: bytes) -> bytes:
        return value.to_bytes(size, "big")

    def decode(value: bytes, _: bytes) -> int:
        if len(value) != size:
            raise ParseError("stun", f"integer attribute of {len(value)} bytes, not {size}")
        return int.from_bytes(value, "big")

    return encode, decode


def _text(limit: int) -> tuple[Encode, Decode]:
    """UTF-8 of at most `limit` bytes."""

    def encode(value: str, _: bytes) -> bytes:
        encoded = value.encode()
        if len(encoded) > limit:
            raise ValueError(f"{len(encoded)} bytes, the limit is {limit}")
        return encoded

    def decode(value: bytes, _: bytes) -> str:
        if len(value) > limit:
            raise ParseError("stun", f"text attribute of {len(value)} bytes, limit {limit}")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ParseError("stun", "text attribute is not UTF-8", error.start) from None

    return encode, decode


def _encode_flag(value: bool, _: bytes) -> bytes:
    if value is not True:
        raise ValueError("a flag is present or left out")
    return b""


def _decode_flag(value: bytes, _: bytes) -> bool:
    # RFC 8445 section 16.1: "The attribute has no content (the Length field of
    # the attribute is zero)". Content is tolerated: presence is what counts.
    return True


def _encode_error_code(value: ErrorCode, _: bytes) -> bytes:
    if not 300 <= value.code <= 699:
        raise ValueError("an error code is 300 to 699")
    return bytes((0, 0, value.code // 100, value.code % 100)) + value.reason.encode()


def _decode_error_code(value: bytes, _: bytes) -> ErrorCode:
    if len(value) < 4:
        raise ParseError("stun", "ERROR-CODE shorter than 4 bytes")
    # RFC 8489 section 14.8: "The Reserved bits SHOULD be 0 and are for
    # alignment on 32-bit boundaries. Receivers MUST ignore these bits."
    hundreds, number = value[2] & 7, value[3]
    if not 3 <= hundreds <= 6 or number > 99:
        raise ParseError("stun", "ERROR-CODE out of range")
    return ErrorCode(hundreds * 100 + number, value[4:].decode(errors="replace"))


def _encode_codes(value: tuple[int, ...], _: bytes) -> bytes:
    return b"".join(code.to_bytes(2, "big") for code in value)


def _decode_codes(value: bytes, _: bytes) -> tuple[int, ...]:
    if len(value) % 2:
        raise ParseError("stun", "UNKNOWN-ATTRIBUTES of odd length")
    return tuple(int.from_bytes(value[i : i + 2], "big") for i in range(0, len(value), 2))


# RFC 8489 section 14.3 (USERNAME: fewer than 509 bytes), 14.9, 14.10 and 14.14
# (REALM, NONCE, SOFTWARE: "fewer than 128 characters", as long as 763 bytes,
# 509 in the RFC 3489 days; the larger figure is tolerated).
_CODECS: dict[int, tuple[Encode, Decode]] = {
    Attribute.MAPPED_ADDRESS: (_encode_address, _decode_address),
    Attribute.USERNAME: _text(508),
    Attribute.ERROR_CODE: (_encode_error_code, _decode_error_code),
    Attribute.UNKNOWN_ATTRIBUTES: (_encode_codes, _decode_codes),
    Attribute.REALM: _text(763),
    Attribute.NONCE: _text(763),
    Attribute.XOR_MAPPED_ADDRESS: (encode_xor_address, decode_xor_address),
    Attribute.PRIORITY: _integer(4),
    Attribute.USE_CANDIDATE: (_encode_flag, _decode_flag),
    Attribute.ALTERNATE_DOMAIN: _text(255),
    Attribute.SOFTWARE: _text(763),
    Attribute.ALTERNATE_SERVER: (_encode_address, _decode_address),
    Attribute.FINGERPRINT: _integer(4),
    Attribute.ICE_CONTROLLED: _integer(8),
    Attribute.ICE_CONTROLLING: _integer(8),
}

_UNDERSTOOD = frozenset(int(attribute) for attribute in Attribute)
