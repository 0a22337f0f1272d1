"""Keys out of a handshake: for SRTP, RFC 5764 section 4.2, and for records, RFC 5246 6.3."""

import pytest

from rtcproto.dtls.keying import derive_record_keys, openssl_profiles, profile_from_openssl
from rtcproto.dtls.prf import prf
from tests.support.dtls import DtlsPair, config

LENGTHS = {1: 60, 2: 60, 7: 56, 8: 88}


@pytest.mark.parametrize(("profile", "length"), LENGTHS.items())
def test_both_ends_export_the_same(profile: int, length: int) -> None:
    """Two keys and two salts of the profile's sizes, equal on both ends."""
    pair = DtlsPair(config("client", profiles=(profile,)), config("server", profiles=(profile,)))
    pair.connect()
    client, server = pair.completed(pair.client), pair.completed(pair.server)
    assert client.keying_material == server.keying_material
    assert len(client.keying_material) == length
    assert client.profile == server.profile == profile


def test_sessions_do_not_share_keys() -> None:
    """The same two identities get other keys every time."""
    materials = set()
    for _ in range(3):
        pair = DtlsPair()
        pair.connect()
        materials.add(pair.completed(pair.client).keying_material)
    assert len(materials) == 3


def test_names() -> None:
    """Order is kept on the way to OpenSSL; names come back as code points."""
    assert openssl_profiles((8, 1)) == b"SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80"
    assert [profile_from_openssl(openssl_profiles((p,))) for p in LENGTHS] == list(LENGTHS)
    assert profile_from_openssl(b"") is None


def test_keys_are_not_printed() -> None:
    """The event's representation has no key in it."""
    pair = DtlsPair()
    pair.connect()
    event = pair.completed(pair.client)
    assert "keying_material" not in repr(event)


@pytest.mark.parametrize(
    ("cipher", "key", "iv", "hash_name"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", 16, 4, "sha256"),
        ("ECDHE-RSA-AES256-GCM-SHA384", 32, 4, "sha384"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", 32, 12, "sha256"),
    ],
)
def test_the_key_block(cipher: str, key: int, iv: int, hash_name: str) -> None:
    """Client key, server key, client IV, server IV; each side writes with its own."""
    secrets = bytes(48), b"c" * 32, b"s" * 32
    client = derive_record_keys(cipher, *secrets, True)
    server = derive_record_keys(cipher, *secrets, False)
    block = prf(hash_name, bytes(48), b"key expansion", b"s" * 32 + b"c" * 32, 2 * (key + iv))
    assert (
        client.write_key + client.read_key + client.write_iv + client.read_iv
        == server.read_key + server.write_key + server.read_iv + server.write_iv
        == block
    )
    assert (len(client.write_key), len(client.write_iv)) == (key, iv)
