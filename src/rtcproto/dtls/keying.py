"""From a finished handshake to SRTP keying material: RFC 5764 sections 4.1.2 and 4.2.

Called by `engine` (names for OpenSSL) and `endpoint` (the exporter). The lengths
are repeated here rather than imported, because machines do not import each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from OpenSSL import SSL

__all__ = ["export_keying_material", "openssl_profiles", "profile_from_openssl"]

# use_srtp code point (IANA "DTLS-SRTP protection profiles"; RFC 5764 section
# 4.1.2, RFC 7714 section 14.2): OpenSSL's name, master key and master salt bytes.
_PROFILES = {
    1: (b"SRTP_AES128_CM_SHA1_80", 16, 14),
    2: (b"SRTP_AES128_CM_SHA1_32", 16, 14),
    7: (b"SRTP_AEAD_AES_128_GCM", 16, 12),
    8: (b"SRTP_AEAD_AES_256_GCM", 32, 12),
}
_BY_NAME = {name: code for code, (name, _, _) in _PROFILES.items()}

# RFC 5764 section 4.2.
_LABEL = b"EXTRACTOR-dtls_srtp"


def openssl_profiles(profiles: Iterable[int]) -> bytes:
    """OpenSSL's list for use_srtp code points, in their order. `KeyError` for others."""
    return b":".join(_PROFILES[profile][0] for profile in profiles)


def profile_from_openssl(name: bytes) -> int | None:
    """The code point of OpenSSL's profile name; None for the empty name."""
    return _BY_NAME.get(name)


def export_keying_material(connection: SSL.Connection, profile: int) -> bytes:
    """Client key, server key, client salt, server salt, as RFC 5764 section 4.2 lays them out."""
    _, key, salt = _PROFILES[profile]
    return connection.export_keying_material(_LABEL, 2 * (key + salt))
