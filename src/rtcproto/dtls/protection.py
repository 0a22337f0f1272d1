"""Protected records of DTLS 1.2: RFC 6347 section 4.1, RFC 5288, RFC 7905.

```text
            +--------+---------+------------------+--------+----------------------+
AES-GCM     |  type  | version | epoch + sequence | length | explicit nonce (8)   |
            +--------+---------+------------------+--------+----------------------+
            | ciphertext ...                               | tag (16)             |
            +----------------------------------------------+----------------------+
ChaCha20    the same without the explicit nonce

nonce, AES-GCM    write IV (4) + explicit nonce; ours is epoch + sequence, RFC 5288 section 3
nonce, ChaCha20   write IV (12) XOR epoch + sequence, RFC 7905 section 2
covered by tag    epoch + sequence, type, version, length of the plaintext
```

`RecordLayer` takes over from OpenSSL when the handshake is complete and serves
epoch 1, the only protected one, to its end: `connected` seals and opens with it.
A client's begins earlier, since `flight` seals Finished anew to repeat it.

Theory of operation. A key must never see a nonce twice. OpenSSL has sealed with
our key before us, under explicit nonces that begin at a random 64-bit number and
count up; ours have the epoch, 1, in the upper 16 bits. So whatever OpenSSL wrote
in epoch 1 is passed to `sequence_after`, and we begin beyond its sequence
numbers and beyond each of its nonces that could be one of ours. From there the
sequence rises by one per record, and is refused at its end instead of wrapping.
On the way in, the window is asked before the tag and moved only after it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from rtcproto.dtls.record import DTLS_1_2, HEADER_SIZE, ContentType, Record
from rtcproto.dtls.window import ReplayWindow
from rtcproto.errors import AuthenticationError, ParseError, UsageError

__all__ = [
    "EPOCH",
    "MAX_PLAINTEXT",
    "RecordKeys",
    "RecordLayer",
    "Suite",
    "sequence_after",
    "suite_of",
]

# RFC 5246 section 6.2.1: the most one record carries.
MAX_PLAINTEXT = 1 << 14

EPOCH = 1
_NUMBERS = EPOCH << 48
_LAST = (1 << 48) - 1
_DATA = ContentType.APPLICATION_DATA.value

_TAG_SIZE = 16
_EXPLICIT_SIZE = 8

# type, version, epoch and sequence, length; then the explicit nonce.
_PREFIX = struct.Struct("!BHQH")
_PREFIX_EXPLICIT = struct.Struct("!BHQHQ")
# epoch and sequence, type, version, length of the plaintext.
_COVERED = struct.Struct("!QBHH")

# nonce, data, what is covered besides it
_Aead: TypeAlias = Callable[[bytes, bytes, bytes], bytes]


@attrs.frozen(kw_only=True)
class Suite:
    """What protects records, and the hash of the suite's PRF."""

    aead: type[AESGCM | ChaCha20Poly1305]
    key_size: int
    # The part of the nonce that comes from the key block; 12 bytes is all of it.
    iv_size: int
    hash_name: str


# By the end of OpenSSL's name of the suite, behind key exchange and signature.
_SUITES = {
    # RFC 5289 section 3.2
    "AES128-GCM-SHA256": Suite(aead=AESGCM, key_size=16, iv_size=4, hash_name="sha256"),
    "AES256-GCM-SHA384": Suite(aead=AESGCM, key_size=32, iv_size=4, hash_name="sha384"),
    # RFC 7905 section 2
    "CHACHA20-POLY1305": Suite(aead=ChaCha20Poly1305, key_size=32, iv_size=12, hash_name="sha256"),
}


def suite_of(cipher: str) -> Suite:
    """The suite with OpenSSL's name `cipher`; `KeyError` for one that is never offered."""
    return _SUITES["-".join(cipher.split("-")[2:])]


@attrs.frozen(kw_only=True)
class RecordKeys:
    """Keys of both directions; "write" is ours, "read" the peer's."""

    suite: Suite
    write_key: bytes = attrs.field(repr=False)
    write_iv: bytes = attrs.field(repr=False)
    read_key: bytes = attrs.field(repr=False)
    read_iv: bytes = attrs.field(repr=False)

    def mirrored(self) -> RecordKeys:
        """The peer's view: what we wrote can be read with it."""
        return RecordKeys(
            suite=self.suite,
            write_key=self.read_key,
            write_iv=self.read_iv,
            read_key=self.write_key,
            read_iv=self.write_iv,
        )


def sequence_after(record: Record) -> int:
    """The lowest sequence number that is beyond `record` and its explicit nonce.

    `record` is of epoch 1 and not ours. Where there is no explicit nonce, what
    stands in its place is taken for one: at worst that skips numbers.
    """
    nonce = int.from_bytes(record.payload[:_EXPLICIT_SIZE], "big")
    clashing = nonce & _LAST if nonce >> 48 == EPOCH else -1
    return max(record.sequence, clashing) + 1


class RecordLayer:
    """Both directions of epoch 1. Its state is `keys`, `next_sequence` and `window`."""

    __slots__ = (
        "_decrypt",
        "_encrypt",
        "_explicit",
        "_overhead",
        "_read_base",
        "_read_iv",
        "_write_base",
        "keys",
        "next_sequence",
        "window",
    )

    def __init__(
        self, keys: RecordKeys, next_sequence: int, window: ReplayWindow | None = None
    ) -> None:
        """`next_sequence` must be beyond all that `sequence_after` says of this write key."""
        self.keys = keys
        self.next_sequence = next_sequence
        self.window = ReplayWindow() if window is None else window
        suite = keys.suite
        self._encrypt: _Aead = suite.aead(keys.write_key).encrypt
        self._decrypt: _Aead = suite.aead(keys.read_key).decrypt
        self._explicit = suite.iv_size == 4
        self._overhead = _TAG_SIZE + (_EXPLICIT_SIZE if self._explicit else 0)
        # XOR with epoch and sequence makes either kind of nonce.
        self._write_base = int.from_bytes(keys.write_iv.ljust(12, b"\0"), "big")
        self._read_iv = keys.read_iv
        self._read_base = int.from_bytes(keys.read_iv.ljust(12, b"\0"), "big")

    @property
    def exhausted(self) -> bool:
        """True once every sequence number of the epoch is used."""
        return self.next_sequence > _LAST

    def seal(self, content_type: int, data: bytes) -> bytes:
        """The record that carries `data`, at most 2^14 bytes.

        `UsageError` when the 2^48 sequence numbers are used up. RFC 6347 section
        4.1: they "MUST NOT be allowed to wrap".
        """
        sequence = self.next_sequence
        if sequence > _LAST:
            raise UsageError("the sequence numbers of this key are used up")
        self.next_sequence = sequence + 1
        number = _NUMBERS | sequence
        size = len(data)
        nonce = (self._write_base ^ number).to_bytes(12, "big")
        covered = _COVERED.pack(number, content_type, DTLS_1_2, size)
        size += self._overhead
        if self._explicit:
            prefix = _PREFIX_EXPLICIT.pack(content_type, DTLS_1_2, number, size, number)
        else:
            prefix = _PREFIX.pack(content_type, DTLS_1_2, number, size)
        return prefix + self._encrypt(nonce, data, covered)

    def open_data(self, packet: bytes) -> bytes | None:
        """The plaintext of `packet` if that is one record of data beyond all opened so far.

        None for anything else, and then nothing has changed: `parse_records` and
        `open` say what it is. They come to the same; this is the way of most packets.
        """
        length = len(packet) - HEADER_SIZE
        size = length - self._overhead
        if not 0 <= size <= MAX_PLAINTEXT:
            return None
        content_type, version, number, said = _PREFIX.unpack_from(packet)
        window = self.window
        if (
            content_type != _DATA
            or version != DTLS_1_2
            or not window.top < number - _NUMBERS <= _LAST
            or said != length
        ):
            return None
        if self._explicit:
            nonce, sealed = self._read_iv + packet[13:21], packet[21:]
        else:
            nonce, sealed = (self._read_base ^ number).to_bytes(12, "big"), packet[13:]
        try:
            data = self._decrypt(nonce, sealed, _COVERED.pack(number, _DATA, DTLS_1_2, size))
        except InvalidTag:
            return None
        window.commit(number - _NUMBERS)
        return data

    def open(self, record: Record) -> bytes:
        """The plaintext of a record of epoch 1, each only once; then the window has moved.

        `AuthenticationError` if the tag is wrong, or for a replay or a record older
        than the window; `ParseError` if an authentic one carries more than 2^14 bytes.
        """
        sequence = record.sequence
        if not self.window.accepts(sequence):
            raise AuthenticationError("DTLS record replayed or too old")
        data = self.decrypt(record)
        self.window.commit(sequence)
        if len(data) > MAX_PLAINTEXT:
            raise ParseError("dtls", "more plaintext than a record may carry")
        return data

    def decrypt(self, record: Record) -> bytes:
        """The same without regard to the window, and without moving it."""
        raw = record.raw
        size = len(raw) - HEADER_SIZE - self._overhead
        if size < 0:
            raise AuthenticationError("DTLS record without room for a tag")
        number = _NUMBERS | record.sequence
        if self._explicit:
            nonce, sealed = self._read_iv + raw[13:21], raw[21:]
        else:
            nonce, sealed = (self._read_base ^ number).to_bytes(12, "big"), raw[13:]
        try:
            return self._decrypt(
                nonce, sealed, _COVERED.pack(number, record.content_type, DTLS_1_2, size)
            )
        except InvalidTag:
            raise AuthenticationError("DTLS record tag is wrong") from None
