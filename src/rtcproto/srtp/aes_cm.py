"""The counter-mode transform: AES-CM with HMAC-SHA1, RFC 3711 sections 4.1.1 and 4.2.1.

```text
IV:  session salt * 2^16  XOR  SSRC * 2^64  XOR  packet index * 2^16
```

The low 16 bits count blocks. The tag covers the packet as sent and, for SRTP,
the rollover counter behind it; for SRTCP the index word is part of the packet and
stands before the tag. Called by the contexts, which own indices and replay windows.
`ParseError` for an SRTP packet without room for a tag, `AuthenticationError` if the
tag is wrong.

One counter-mode context serves every packet (a new IV each time), and so does one
keyed HMAC (a copy of its state each time): making either anew costs ten times as
much. `seal` and `open` are closures over these, which saves a twentieth of a
packet's cost; they hold constants of the key and no state.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.hmac import HMAC

from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.srtp.kdf import SessionKeys

__all__ = ["AesCm"]

_ZERO_ROC = bytes(4)


class AesCm:
    """One direction's cipher and authenticator for SRTP or for SRTCP."""

    __slots__ = ("_salt", "_tag", "_transcode", "open", "seal", "tag_length")

    def __init__(self, keys: SessionKeys, tag_length: int) -> None:
        context = Cipher(algorithms.AES(keys.cipher), modes.CTR(bytes(16))).encryptor()
        reset, update = context.reset_nonce, context.update
        copy_mac = HMAC(keys.authentication, SHA1()).copy  # noqa: S303 - RFC 3711's

        def seal(header: bytes, payload: bytes, base: int, index: int) -> bytes:
            """The SRTP packet: header in the clear, payload enciphered, tag over both and ROC."""
            reset((base ^ index << 16).to_bytes(16, "big"))
            packet = header + update(payload)
            roc = (index >> 16).to_bytes(4, "big") if index > 0xFFFF else _ZERO_ROC
            mac = copy_mac()
            mac.update(packet + roc)
            return packet + mac.finalize()[:tag_length]

        def open_(data: bytes, header: bytes, length: int, base: int, index: int) -> bytes:
            """The payload of an SRTP packet that begins with `header`, `length` bytes of it."""
            end = len(data) - tag_length
            if end < length:
                raise ParseError("srtp", "no room for the tag")
            roc = (index >> 16).to_bytes(4, "big") if index > 0xFFFF else _ZERO_ROC
            mac = copy_mac()
            mac.update(data[:end] + roc)
            if not compare_digest(mac.finalize()[:tag_length], data[end:]):
                raise AuthenticationError("SRTP tag is wrong")
            reset((base ^ index << 16).to_bytes(16, "big"))
            return update(data[length:end])

        def tag(data: bytes) -> bytes:
            mac = copy_mac()
            mac.update(data)
            return mac.finalize()[:tag_length]

        def transcode(body: bytes, base: int, index: int) -> bytes:
            reset((base ^ index << 16).to_bytes(16, "big"))
            return update(body)

        self.seal = seal
        self.open = open_
        self.tag_length = tag_length
        self._tag: Callable[[bytes], bytes] = tag
        self._transcode: Callable[[bytes, int, int], bytes] = transcode
        self._salt = int.from_bytes(keys.salt, "big") << 16

    def base(self, ssrc: int) -> int:
        """The part of the IV that is the same for every packet of `ssrc`."""
        return self._salt ^ ssrc << 64

    def seal_rtcp(self, packet: bytes, base: int, index: int) -> bytes:
        """The SRTCP packet, RFC 3711 3.4: eight bytes in the clear, index word, tag."""
        word = (index | 0x80000000).to_bytes(4, "big")
        sealed = packet[:8] + self._transcode(packet[8:], base, index) + word
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
        return data[:8] + self._transcode(data[8 : end - 4], base, index)
