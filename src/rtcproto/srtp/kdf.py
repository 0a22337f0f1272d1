"""From exported keying material to session keys: RFC 5764 4.2 and RFC 3711 4.3.

The key derivation rate is zero, as DTLS-SRTP requires, so session keys are derived
once. The PRF is AES in counter mode with the master key: AES-128 by RFC 3711
4.3.3, AES-256 by RFC 6188 section 3 for the 256-bit profile (RFC 7714 section 11).
Called when a context is made, never per packet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rtcproto.errors import UsageError
from rtcproto.srtp.profiles import MasterKey, Profile

__all__ = ["SessionKeys", "derive", "session_keys", "split_keying_material"]

# RFC 3711 4.3.1 and 4.3.2: labels of cipher key, authentication key and salt,
# for SRTP; those for SRTCP follow at a distance of three.
_CIPHER_LABEL, _AUTHENTICATION_LABEL, _SALT_LABEL = 0, 1, 2
_RTCP_LABELS = 3

# RFC 3711 5.2: "n_a = 160 bits" for HMAC-SHA1.
_AUTHENTICATION_KEY_LENGTH = 20


@attrs.frozen(kw_only=True)
class SessionKeys:
    """What a transform works with, for SRTP or for SRTCP of one direction."""

    cipher: bytes = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)
    authentication: bytes = attrs.field(repr=False, default=b"")


def split_keying_material(
    profile: Profile, material: bytes, is_client: bool
) -> tuple[MasterKey, MasterKey]:
    """`(local, remote)`: what we send with and what the peer sends with.

    `material` is the DTLS exporter's output in the order of RFC 5764 4.2: client
    key, server key, client salt, server salt. `is_client` is our DTLS role.
    `UsageError` if the length is not the profile's.
    """
    key, salt = profile.key_length, profile.salt_length
    if len(material) != 2 * (key + salt):
        raise UsageError(f"{profile.name} takes {2 * (key + salt)} bytes of keying material")
    salts = 2 * key
    client = MasterKey(material[:key], material[salts : salts + salt])
    server = MasterKey(material[key:salts], material[salts + salt :])
    return (client, server) if is_client else (server, client)


def session_keys(profile: Profile, master: MasterKey) -> tuple[SessionKeys, SessionKeys]:
    """The session keys for SRTP and for SRTCP; `UsageError` if key or salt has a wrong length."""
    if len(master.key) != profile.key_length or len(master.salt) != profile.salt_length:
        raise UsageError(f"master key or salt of the wrong length for {profile.name}")
    prf = _prf(master)
    return _keys(profile, prf, 0), _keys(profile, prf, _RTCP_LABELS)


def derive(master: MasterKey, label: int, length: int) -> bytes:
    """`length` bytes of the PRF for `label`, RFC 3711 4.3.1, with r = 0."""
    return _prf(master)(label, length)


_Prf: TypeAlias = Callable[[int, int], bytes]


def _prf(master: MasterKey) -> _Prf:
    # RFC 7714 section 11: the 96-bit salt of the AES-GCM profiles is used as a
    # 112-bit one by "multiplying" it by 2**16, that is, zeros behind it.
    salt = int.from_bytes(master.salt.ljust(14, b"\0"), "big")
    # One context for all labels: making it costs more than all it computes.
    context = Cipher(algorithms.AES(master.key), modes.CTR(bytes(16))).encryptor()

    def prf(label: int, length: int) -> bytes:
        block = (salt ^ label << 48) << 16
        context.reset_nonce(block.to_bytes(16, "big"))
        return context.update(bytes(length))

    return prf


def _keys(profile: Profile, prf: _Prf, labels: int) -> SessionKeys:
    authentication = b""
    if not profile.is_aead:
        authentication = prf(labels + _AUTHENTICATION_LABEL, _AUTHENTICATION_KEY_LENGTH)
    return SessionKeys(
        cipher=prf(labels + _CIPHER_LABEL, profile.key_length),
        salt=prf(labels + _SALT_LABEL, profile.salt_length),
        authentication=authentication,
    )
