"""The counter-mode transform: AES-CM with HMAC-SHA1, RFC 3711 sections 4.1.1 and 4.2.1.

```text
IV:  session salt * 2^16  XOR  SSRC * 2^64  XOR  packet index * 2^16
```

The low 16 bits count blocks. The tag covers the packet as sent and, for SRTP,
the rollover counter behind it; for SRTCP the index word is part of the packet and
stands before the tag. One counter-mode context and one keyed HMAC serve every
packet (a new IV, a copied state): making either anew costs ten times as much.
Called by the contexts, which own indices and replay windows. `AuthenticationError`
if the tag is wrong; nothing else is raised for data of the minimum length.
"""

from __future__ import annotations

from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.hmac import HMAC

from rtcproto.errors import AuthenticationError
from rtcproto.srtp.kdf import SessionKeys

__all__ = ["AesCm"]


class AesCm:
    """One direction's cipher and authenticator for SRTP or for SRTCP."""

    __slots__ = ("_copy_mac", "_reset", "_roc", "_roc_bytes", "_salt", "_update", "tag_length")

    def __init__(self, keys: SessionKeys, tag_length: int) -> None:
        context = Cipher(algorithms.AES(keys.cipher), modes.CTR(bytes(16))).encryptor()
        self._reset = context.reset_nonce
        self._update = context.update
        self._copy_mac = HMAC(keys.authentication, SHA1()).copy  # noqa: S303 - RFC 3711's
        self._salt = int.from_bytes(keys.salt, "big") << 16
        self.tag_length = tag_length
        # The rollover counter changes once in 65536 packets: its bytes are kept.
        self._roc = 0
        self._roc_bytes = bytes(4)

    def base(self, ssrc: int) -> int:
        """The part of the IV that is the same for every packet of `ssrc`."""
        return self._salt ^ ssrc << 64

    def seal(self, header: bytes, payload: bytes, base: int, index: int) -> bytes:
        """The SRTP packet: header in the clear, payload enciphered, tag over both and the ROC."""
        self._reset((base ^ index << 16).to_bytes(16, "big"))
        packet = header + self._update(payload)
        roc = index >> 16
        if roc != self._roc:
            self._roc = roc
            self._roc_bytes = roc.to_bytes(4, "big")
        mac = self._copy_mac()
        mac.update(packet + self._roc_bytes)
        return packet + mac.finalize()[: self.tag_length]

    def open(self, header: bytes, body: bytes, base: int, index: int) -> bytes:
        """The payload of an SRTP packet, of which `body` is what follows the header.

        A body too short for a tag fails like a wrong tag: the lengths differ.
        """
        payload = body[: -self.tag_length]
        roc = index >> 16
        if roc != self._roc:
            self._roc = roc
            self._roc_bytes = roc.to_bytes(4, "big")
        mac = self._copy_mac()
        mac.update(header + payload + self._roc_bytes)
        if not compare_digest(mac.finalize()[: self.tag_length], body[-self.tag_length :]):
            raise AuthenticationError("SRTP tag is wrong")
        self._reset((base ^ index << 16).to_bytes(16, "big"))
        return self._update(payload)

    def seal_rtcp(self, packet: bytes, base: int, index: int) -> bytes:
        """The SRTCP packet, RFC 3711 3.4: eight bytes in the clear, index word, tag."""
        self._reset((base ^ index << 16).to_bytes(16, "big"))
        word = (index | 0x80000000).to_bytes(4, "big")
        sealed = packet[:8] + self._update(packet[8:]) + word
        return sealed + self._tag(sealed)

    def rtcp_word(self, data: bytes) -> int:
        """The E bit and index of an SRTCP packet of at least the minimum length."""
        end = len(data) - self.tag_length
        return int.from_bytes(data[end - 4 : end], "big")

    def open_rtcp(self, data: bytes, base: int, index: int, encrypted: bool) -> bytes:
        """The RTCP packet; `encrypted` is the E bit, without it the body is in the clear."""
        end = len(data) - self.tag_length
        if not compare_digest(self._tag(data[:end]), data[end:]):
            raise AuthenticationError("SRTCP tag is wrong")
        if not encrypted:
            return data[: end - 4]
        self._reset((base ^ index << 16).to_bytes(16, "big"))
        return data[:8] + self._update(data[8 : end - 4])

    def _tag(self, data: bytes) -> bytes:
        mac = self._copy_mac()
        mac.update(data)
        return mac.finalize()[: self.tag_length]
