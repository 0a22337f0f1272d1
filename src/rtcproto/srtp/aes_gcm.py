"""The AEAD transform: AES-GCM for SRTP and SRTCP, RFC 7714.

```text
IV:  | 00 00 | SSRC 4 | packet index 6 |  XOR  session salt (12 bytes)
```

For SRTP the index is rollover counter and sequence number, for SRTCP two zero
bytes and the 31-bit SRTCP index (sections 8.1 and 9.1): one integer in both
cases, so the IV is one XOR. `base(ssrc)` is its constant part, kept per stream.
Called by the contexts, which own indices and replay windows. `ParseError` for an
SRTP packet without room for a tag, `AuthenticationError` if the tag is wrong.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.srtp.kdf import SessionKeys

__all__ = ["AesGcm"]

_TAG_LENGTH = 16


class AesGcm:
    """One direction's cipher for SRTP or for SRTCP."""

    __slots__ = ("_decrypt", "_encrypt", "_salt", "tag_length")

    def __init__(self, keys: SessionKeys, tag_length: int = _TAG_LENGTH) -> None:
        aead = AESGCM(keys.cipher)
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt
        self._salt = int.from_bytes(keys.salt, "big")
        self.tag_length = tag_length

    def base(self, ssrc: int) -> int:
        """The part of the IV that is the same for every packet of `ssrc`."""
        return self._salt ^ ssrc << 48

    def seal(self, header: bytes, payload: bytes, base: int, index: int) -> bytes:
        """The SRTP packet, RFC 7714 8.2: the header is authenticated, the payload enciphered."""
        return header + self._encrypt((base ^ index).to_bytes(12, "big"), payload, header)

    def open(self, data: bytes, header: bytes, length: int, base: int, index: int) -> bytes:
        """The payload of an SRTP packet that begins with `header`, `length` bytes of it."""
        if len(data) < length + _TAG_LENGTH:
            raise ParseError("srtp", "no room for the tag")
        try:
            return self._decrypt((base ^ index).to_bytes(12, "big"), data[length:], header)
        except InvalidTag:
            raise AuthenticationError("SRTP tag is wrong") from None

    def seal_rtcp(self, packet: bytes, base: int, index: int) -> bytes:
        """The SRTCP packet, RFC 7714 9.2: the index word follows the tag."""
        head = packet[:8]
        word = (index | 0x80000000).to_bytes(4, "big")
        sealed = self._encrypt((base ^ index).to_bytes(12, "big"), packet[8:], head + word)
        return head + sealed + word

    def rtcp_word(self, data: bytes) -> int:
        """The E bit and index of an SRTCP packet of at least the minimum length."""
        return int.from_bytes(data[-4:], "big")

    def open_rtcp(self, data: bytes, base: int, index: int, encrypted: bool) -> bytes:
        """The RTCP packet; `encrypted` is the E bit, RFC 7714 9.3 says what is covered without."""
        nonce = (base ^ index).to_bytes(12, "big")
        try:
            if encrypted:
                return data[:8] + self._decrypt(nonce, data[8:-4], data[:8] + data[-4:])
            end = -4 - _TAG_LENGTH
            self._decrypt(nonce, data[end:-4], data[:end] + data[-4:])
            return data[:end]
        except InvalidTag:
            raise AuthenticationError("SRTCP tag is wrong") from None
