"""From a finished handshake to keys: for SRTP, RFC 5764 section 4.2, and for records, RFC 5246 6.3.

Called by `identity` (names for OpenSSL), `endpoint` (the exporter) and `handshaker`
(the key block). The lengths of SRTP keys are repeated here rather than imported, because
machines do not import each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from OpenSSL import SSL

from rtcproto.dtls.prf import prf
from rtcproto.dtls.protection import RecordKeys, suite_of

__all__ = [
    "derive_record_keys",
    "export_keying_material",
    "openssl_profiles",
    "profile_from_openssl",
    "record_keys",
]

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
# RFC 5246 section 6.3.
_KEY_BLOCK_LABEL = b"key expansion"


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


def record_keys(connection: SSL.Connection, is_client: bool) -> RecordKeys:
    """The keys that `connection` protects records with; from ChangeCipherSpec on it has them."""
    cipher, master_secret = connection.get_cipher_name(), connection.master_key()
    client_random, server_random = connection.client_random(), connection.server_random()
    assert cipher, "asked only once there is a suite"
    assert master_secret, "asked only once it has sealed or opened a record"
    assert client_random, "the hellos came before"
    assert server_random, "the hellos came before"
    return derive_record_keys(cipher, master_secret, client_random, server_random, is_client)


def derive_record_keys(
    cipher: str, master_secret: bytes, client_random: bytes, server_random: bytes, is_client: bool
) -> RecordKeys:
    """The keys that protect records; `cipher` is OpenSSL's name of the suite.

    RFC 5246 section 6.3: client key, server key, client IV, server IV; an AEAD has no MAC keys.
    """
    suite = suite_of(cipher)
    key, iv = suite.key_size, suite.iv_size
    # Here the server's random comes first; in the master secret it was the client's.
    seed = server_random + client_random
    block = prf(suite.hash_name, master_secret, _KEY_BLOCK_LABEL, seed, 2 * (key + iv))
    ivs = 2 * key
    client = (block[:key], block[ivs : ivs + iv])
    server = (block[key:ivs], block[ivs + iv :])
    write, read = (client, server) if is_client else (server, client)
    return RecordKeys(
        suite=suite, write_key=write[0], write_iv=write[1], read_key=read[0], read_iv=read[1]
    )
