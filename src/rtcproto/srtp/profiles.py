"""The SRTP protection profiles: RFC 5764 section 4.1.2 and RFC 7714 section 14.2.

The code points are those of the DTLS `use_srtp` extension. Called by DTLS set-up
(which lengths to export) and by the contexts (which transform, how long a tag).
NULL ciphers are not here: a profile that does not encrypt cannot be chosen.
"""

from __future__ import annotations

import enum

import attrs

__all__ = ["MasterKey", "Profile"]


@attrs.frozen(kw_only=True)
class _Parameters:
    """A row of the profile table; lengths in bytes."""

    key_length: int
    salt_length: int
    rtp_tag_length: int
    rtcp_tag_length: int
    is_aead: bool


class Profile(enum.IntEnum):
    """https://www.iana.org/assignments/srtp-protection (DTLS-SRTP protection profiles)."""

    AES_CM_128_HMAC_SHA1_80 = 1
    AES_CM_128_HMAC_SHA1_32 = 2
    AEAD_AES_128_GCM = 7
    AEAD_AES_256_GCM = 8

    @property
    def key_length(self) -> int:
        """Bytes of the master key (and of the session encryption keys)."""
        return _TABLE[self].key_length

    @property
    def salt_length(self) -> int:
        """Bytes of the master salt (and of the session salts)."""
        return _TABLE[self].salt_length

    @property
    def rtp_tag_length(self) -> int:
        """Bytes by which an SRTP packet is longer than its RTP packet."""
        return _TABLE[self].rtp_tag_length

    @property
    def rtcp_tag_length(self) -> int:
        """Bytes of the SRTCP tag, apart from the index word."""
        return _TABLE[self].rtcp_tag_length

    @property
    def is_aead(self) -> bool:
        """True for the AES-GCM profiles."""
        return _TABLE[self].is_aead

    @property
    def keying_material_length(self) -> int:
        """Bytes to export from DTLS: two keys and two salts, RFC 5764 4.2."""
        return 2 * (self.key_length + self.salt_length)


_TABLE = {
    Profile.AES_CM_128_HMAC_SHA1_80: _Parameters(
        key_length=16, salt_length=14, rtp_tag_length=10, rtcp_tag_length=10, is_aead=False
    ),
    # RFC 5764 4.1.2: the short tag is for SRTP only, SRTCP keeps 80 bits.
    Profile.AES_CM_128_HMAC_SHA1_32: _Parameters(
        key_length=16, salt_length=14, rtp_tag_length=4, rtcp_tag_length=10, is_aead=False
    ),
    Profile.AEAD_AES_128_GCM: _Parameters(
        key_length=16, salt_length=12, rtp_tag_length=16, rtcp_tag_length=16, is_aead=True
    ),
    Profile.AEAD_AES_256_GCM: _Parameters(
        key_length=32, salt_length=12, rtp_tag_length=16, rtcp_tag_length=16, is_aead=True
    ),
}


@attrs.frozen
class MasterKey:
    """A master key and master salt: the secret of one direction."""

    key: bytes = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)
