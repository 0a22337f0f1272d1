"""The routing token: cluster, owner and epoch, enciphered inside the server's ICE ufrag.

A client puts `<server ufrag>:<client ufrag>` into the USERNAME of every
connectivity check (RFC 8445 section 7.2.2), so whatever the server's ufrag says
is readable in the first packet of a call. This module makes it say who owns the
call, in a way that only holders of a key can write or read.

Layout, 23 ice-chars (RFC 8839 section 5.4), alphabet `A-Za-z0-9+/` only:

```text
 1 char    configuration id: which key; several may be live, for rotation
22 chars   base64 of ONE enciphered AES-128 block, its 4 spare bits zero

 the block, before it is enciphered (bits):
 | cluster 12 | owner 16 | epoch 12 | nonce 24 | redundancy 64, all zero |
```

The anchor is the single-pass form of draft-ietf-quic-load-balancers: a server id
and a nonce that fill one block exactly, and configuration ids for rotation. A
permutation of one block is as good as a tag: a changed bit anywhere deciphers to
noise, and noise has 64 zero bits once in 2**64. There is one spelling per token:
tails that are not canonical base64 are refused, and two ids may not share a key.

Called by signalling (to write the ufrag of an answer), by the relay (to read it,
per check) and by the transceiver (to check the epoch again). It refuses silently:
`decode` gives None for anything that no key of ours wrote. Tokens are an index
into a configured directory and never carry an address.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Protocol

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rtcproto._attrs import wire
from rtcproto.errors import ParseError, UsageError

__all__ = [
    "CLUSTER_MAX",
    "EPOCH_MAX",
    "KEY_SIZE",
    "NONCE_MAX",
    "NONCE_SIZE",
    "OWNER_MAX",
    "TOKEN_LENGTH",
    "EncipheredTokenCodec",
    "PlaintextTokenCodec",
    "RoutingToken",
    "TokenCodec",
    "TokenKeys",
    "codec_from_text",
    "mint",
]

CLUSTER_MAX = (1 << 12) - 1
OWNER_MAX = (1 << 16) - 1
EPOCH_MAX = (1 << 12) - 1
NONCE_MAX = (1 << 24) - 1

# Bytes of entropy in one nonce: RFC 8445 section 5.3 asks for 24 random bits in a ufrag.
NONCE_SIZE = 3

# AES-128, bytes.
KEY_SIZE = 16

# One configuration id and 22 characters for 128 bits.
TOKEN_LENGTH = 23

_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

# The last character carries 2 bits of the block and 4 spare ones, which must be zero.
_CANONICAL_LAST = frozenset(b"AQgw")

_BLOCK = Struct("!QQ")


@wire
class RoutingToken:
    """Who owns a call: `cluster` 0..4095, `owner` (a slot) 0..65535, `epoch` 0..4095.

    `epoch` counts the uses of a slot, so that a recycled slot rejects late
    packets. `nonce`, 0..2**24-1, makes the ufrags of one owner differ.
    """

    cluster: int
    owner: int
    epoch: int
    nonce: int


class TokenCodec(Protocol):
    """What the relay, the transceiver and signalling need to know of a token format."""

    def encode(self, token: RoutingToken) -> str:
        """The ufrag that carries `token`; UsageError if a field is out of range."""
        ...

    def decode(self, ufrag: bytes) -> RoutingToken | None:
        """The token in a ufrag, or None if this codec did not write it. Never raises."""
        ...


class EncipheredTokenCodec:
    """The production codec: one AES-128 block per token.

    `keys` maps configuration ids (one ice-char each) to 16-byte keys; `active`
    names the one that `encode` uses. All of them decode. To rotate: add the new
    key everywhere, then make it active everywhere, then remove the old one when
    the last call that it named has ended.
    """

    __slots__ = ("_active", "_decipher", "_encipher")

    def __init__(self, keys: Mapping[str, bytes], active: str) -> None:
        if active not in keys:
            raise UsageError("the active configuration id has no key")
        if len(set(keys.values())) != len(keys):
            # Two ids with one key would be two spellings of one token.
            raise UsageError("two configuration ids share a key")
        # ECB over exactly one block keeps no state between calls, so one context per
        # key serves for ever; making one per packet would cost ten times the cipher.
        self._decipher: dict[int, Callable[[bytes], bytes]] = {}
        for config_id, key in keys.items():
            number = _config_number(config_id)
            if len(key) != KEY_SIZE:
                raise UsageError(f"the key of configuration {config_id!r} is not 16 bytes")
            cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - one block, see above
            self._decipher[number] = cipher.decryptor().update
            if config_id == active:
                self._active = active
                self._encipher = cipher.encryptor().update

    def __repr__(self) -> str:
        return f"EncipheredTokenCodec({len(self._decipher)} keys, active {self._active!r})"

    def encode(self, token: RoutingToken) -> str:
        """The ufrag of `token` under the active key; UsageError if a field is out of range."""
        return self._active + _spell(self._encipher(_pack(token)))

    def decode(self, ufrag: bytes) -> RoutingToken | None:
        """The token in `ufrag`, or None. Never raises, whatever the bytes."""
        if len(ufrag) != 23 or ufrag[22] not in _CANONICAL_LAST:
            return None
        decipher = self._decipher.get(ufrag[0])
        if decipher is None:
            return None
        try:
            block = binascii.a2b_base64(ufrag[1:] + b"==", strict_mode=True)
        except ValueError:
            return None
        high, redundancy = _BLOCK.unpack(decipher(block))
        if redundancy:
            return None
        return RoutingToken(high >> 52, high >> 36 & 0xFFFF, high >> 24 & 0xFFF, high & 0xFFFFFF)


class PlaintextTokenCodec:
    """The same layout without a cipher, for debugging. Anybody can forge these tokens.

    Nothing in the library makes one unless it is asked for by this name.
    """

    __slots__ = ("_config_id", "_number")

    def __init__(self, config_id: str = "0") -> None:
        self._number = _config_number(config_id)
        self._config_id = config_id

    def __repr__(self) -> str:
        return f"PlaintextTokenCodec({self._config_id!r})"

    def encode(self, token: RoutingToken) -> str:
        """The readable ufrag of `token`; UsageError if a field is out of range."""
        return self._config_id + _spell(_pack(token))

    def decode(self, ufrag: bytes) -> RoutingToken | None:
        """The token in `ufrag`, or None. Never raises, whatever the bytes."""
        if len(ufrag) != 23 or ufrag[0] != self._number or ufrag[22] not in _CANONICAL_LAST:
            return None
        try:
            high, redundancy = _BLOCK.unpack(
                binascii.a2b_base64(ufrag[1:] + b"==", strict_mode=True)
            )
        except ValueError:
            return None
        if redundancy:
            return None
        return RoutingToken(high >> 52, high >> 36 & 0xFFFF, high >> 24 & 0xFFF, high & 0xFFFFFF)


@attrs.frozen(kw_only=True)
class TokenKeys:
    """A key file, parsed. One key per line, `#` starts a comment:

    ```text
    # id  key, 32 hexadecimal digits        the one that new tokens use
    A     000102030405060708090a0b0c0d0e0f
    B     101112131415161718191a1b1c1d1e1f  active
    ```

    The single line `plaintext` instead of keys names the debugging codec.
    """

    keys: Mapping[str, bytes] = attrs.field(repr=False)
    active: str
    plaintext: bool = False

    @classmethod
    def parse(cls, text: str) -> TokenKeys:
        """Read a key file; ParseError names the line. A single key needs no `active`."""
        keys: dict[str, bytes] = {}
        active = ""
        plaintext = False
        number = 0
        for number, line in enumerate(text.splitlines(), 1):
            fields = line.partition("#")[0].split()
            if not fields:
                continue
            if fields == ["plaintext"]:
                plaintext = True
                continue
            if len(fields) not in (2, 3) or fields[2:] not in ([], ["active"]):
                raise ParseError(
                    "keys", "a line is: id, 32 hex digits, optionally 'active'", number
                )
            config_id = fields[0]
            if len(config_id) != 1 or ord(config_id) not in _ALPHABET:
                raise ParseError("keys", "the id is not one ice-char", number)
            if config_id in keys:
                raise ParseError("keys", "the id appears twice", number)
            try:
                key = bytes.fromhex(fields[1])
            except ValueError:
                raise ParseError("keys", "the key is not hexadecimal", number) from None
            if len(key) != KEY_SIZE:
                raise ParseError("keys", "the key is not 32 hex digits long", number)
            if key in keys.values():
                raise ParseError("keys", "two ids share a key", number)
            keys[config_id] = key
            if len(fields) == 3:
                if active:
                    raise ParseError("keys", "a second active key", number)
                active = config_id
        if plaintext:
            if keys:
                raise ParseError("keys", "plaintext and keys in one file", number)
            return cls(keys={}, active="0", plaintext=True)
        if not active and len(keys) == 1:
            (active,) = keys
        if not active:
            raise ParseError("keys", "no key is active" if keys else "no key in the file", number)
        return cls(keys=keys, active=active)


def codec_from_text(text: str, *, allow_plaintext: bool = False) -> TokenCodec:
    """The codec that a key file describes (format: `TokenKeys`).

    ParseError if the text is no key file; UsageError if it says `plaintext` and
    the caller did not ask for that by name.
    """
    parsed = TokenKeys.parse(text)
    if not parsed.plaintext:
        return EncipheredTokenCodec(parsed.keys, parsed.active)
    if not allow_plaintext:
        raise UsageError("plaintext tokens can be forged by anybody and were not allowed by name")
    return PlaintextTokenCodec(parsed.active)


def mint(
    codec: TokenCodec, cluster: int, owner: int, epoch: int, entropy: Callable[[int], bytes]
) -> str:
    """A fresh ufrag for a call of this owner. Draw again if it is taken."""
    nonce = int.from_bytes(entropy(NONCE_SIZE), "big")
    return codec.encode(RoutingToken(cluster, owner, epoch, nonce))


def _config_number(config_id: str) -> int:
    if len(config_id) != 1 or ord(config_id) not in _ALPHABET:
        raise UsageError("a configuration id is one character of A-Z, a-z, 0-9, + and /")
    return ord(config_id)


def _pack(token: RoutingToken) -> bytes:
    if not (
        0 <= token.cluster <= CLUSTER_MAX
        and 0 <= token.owner <= OWNER_MAX
        and 0 <= token.epoch <= EPOCH_MAX
        and 0 <= token.nonce <= NONCE_MAX
    ):
        raise UsageError("a field of the routing token is out of range")
    high = token.cluster << 52 | token.owner << 36 | token.epoch << 24 | token.nonce
    return _BLOCK.pack(high, 0)


def _spell(block: bytes) -> str:
    return binascii.b2a_base64(block, newline=False)[:22].decode("ascii")
