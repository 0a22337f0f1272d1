"""MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT: RFC 8489 sections 9 and 14.5-14.7.

A key keeps its HMAC as two keyed hash states and copies them for each message:
`hmac.new` spends most of its time in set-up. ICE uses short-term credentials
with SHA-1 (RFC 8445 section 7.2.2); the long-term helpers serve TURN.

Called by `message` (to build) and by whoever authenticates a parsed message.
Refuses to take an absent MAC for a good one, and does no string preparation:
passwords, user names and realms must already be in the form that SASLprep or
OpaqueString (RFC 8265) gives; ICE credentials are plain ASCII.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from struct import Struct
from typing import TYPE_CHECKING

from rtcproto.errors import AuthenticationError

if TYPE_CHECKING:
    from rtcproto.stun.message import Message

__all__ = [
    "IntegrityKey",
    "LongTermKey",
    "PasswordAlgorithm",
    "ShortTermKey",
    "userhash",
]

# RFC 8489 section 14.7: the CRC-32 is "XOR'ed with the 32-bit value 0x5354554e".
FINGERPRINT_XOR = 0x5354554E

_BLOCK = 64  # bytes, of SHA-1 and SHA-256 alike
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))

_pack_length = Struct("!H").pack

_HEADER_SIZE = 20
_MESSAGE_INTEGRITY_SHA256 = 0x001C

SHA1_SIZE = 20
SHA256_SIZE = 32


class PasswordAlgorithm(enum.IntEnum):
    """RFC 8489 section 18.5: how a long-term key is derived."""

    MD5 = 1
    SHA256 = 2


class IntegrityKey:
    """A key for either MESSAGE-INTEGRITY; `repr` shows nothing of it."""

    __slots__ = ("_inner", "_inner256", "_outer", "_outer256")

    def __init__(self, key: bytes) -> None:
        # SHA-1 here is HMAC-SHA1, which the wire format fixes.
        if len(key) > _BLOCK:
            short, short256 = hashlib.sha1(key).digest(), hashlib.sha256(key).digest()  # noqa: S324
        else:
            short = short256 = key
        padded, padded256 = short.ljust(_BLOCK, b"\0"), short256.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha1(padded.translate(_INNER))  # noqa: S324
        self._outer = hashlib.sha1(padded.translate(_OUTER))  # noqa: S324
        self._inner256 = hashlib.sha256(padded256.translate(_INNER))
        self._outer256 = hashlib.sha256(padded256.translate(_OUTER))

    def sha1(self, data: bytes) -> bytes:
        """HMAC-SHA1 of `data`, 20 bytes."""
        inner = self._inner.copy()
        inner.update(data)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def sha256(self, data: bytes) -> bytes:
        """HMAC-SHA256 of `data`, 32 bytes."""
        inner = self._inner256.copy()
        inner.update(data)
        outer = self._outer256.copy()
        outer.update(inner.digest())
        return outer.digest()

    def verify(self, message: Message) -> None:
        """Check MESSAGE-INTEGRITY (HMAC-SHA1, RFC 8489 section 14.5).

        Raises `AuthenticationError` if it is absent, of the wrong length,
        there twice, or wrong.
        """
        offset = message.integrity_offset
        if offset <= 0:
            raise AuthenticationError("MESSAGE-INTEGRITY is absent, doubled or of a wrong length")
        raw = message.raw
        # "The Length field in the STUN header is adjusted to point to the end
        # of the MESSAGE-INTEGRITY attribute": offset + 4 + 20, less the header.
        inner = self._inner.copy()
        inner.update(raw[:2] + _pack_length(offset + 4) + raw[4:offset])
        outer = self._outer.copy()
        outer.update(inner.digest())
        if not hmac.compare_digest(outer.digest(), raw[offset + 4 : offset + 24]):
            raise AuthenticationError("MESSAGE-INTEGRITY does not match")

    def verify_sha256(self, message: Message) -> None:
        """Check MESSAGE-INTEGRITY-SHA256 (RFC 8489 section 14.6), truncated forms included.

        Raises `AuthenticationError` like `verify`.
        """
        offset, end = 0, _HEADER_SIZE
        received = b""
        for kind, value in message.attributes:
            if kind == _MESSAGE_INTEGRITY_SHA256:
                if offset:
                    raise AuthenticationError("MESSAGE-INTEGRITY-SHA256 twice")
                offset, received = end, value
            end += 4 + (len(value) + 3 & -4)
        size = len(received)
        # "The value will be at most 32 bytes, but it MUST be at least 16 bytes
        # and MUST be a multiple of 4 bytes."
        if not 16 <= size <= SHA256_SIZE or size % 4:
            raise AuthenticationError("MESSAGE-INTEGRITY-SHA256 of a wrong length")
        raw = message.raw
        expected = self.sha256(raw[:2] + _pack_length(offset + size - 16) + raw[4:offset])
        if not hmac.compare_digest(expected[:size], received):
            raise AuthenticationError("MESSAGE-INTEGRITY-SHA256 does not match")


class ShortTermKey(IntegrityKey):
    """RFC 8489 section 9.1.1: the key is the password. In ICE: one side's `ice-pwd`."""

    __slots__ = ()

    def __init__(self, password: str | bytes) -> None:
        super().__init__(password.encode() if isinstance(password, str) else password)


class LongTermKey(IntegrityKey):
    """RFC 8489 section 9.2.2: the hash of user name, realm and (prepared) password."""

    __slots__ = ()

    def __init__(
        self,
        username: str,
        realm: str,
        password: str,
        algorithm: PasswordAlgorithm = PasswordAlgorithm.MD5,
    ) -> None:
        text = f"{username}:{realm}:{password}".encode()
        if algorithm is PasswordAlgorithm.MD5:
            key = hashlib.md5(text).digest()  # noqa: S324 - what RFC 5389 peers share
        else:
            key = hashlib.sha256(text).digest()
        super().__init__(key)


def userhash(username: str, realm: str) -> bytes:
    """RFC 8489 section 14.4: SHA-256(OpaqueString(username) ":" OpaqueString(realm))."""
    return hashlib.sha256(f"{username}:{realm}".encode()).digest()
