"""Key derivation: RFC 3711 B.3, RFC 6188 section 7, and the layout of RFC 5764 4.2."""

import pytest

from rtcproto.errors import UsageError
from rtcproto.srtp.kdf import derive, session_keys, split_keying_material
from rtcproto.srtp.profiles import MasterKey, Profile


def test_rfc3711_b3():
    """The AES-128 PRF gives the published cipher key, authentication key and salt."""
    master = MasterKey(
        bytes.fromhex("e1f97a0d3e018be0d64fa32c06de4139"),
        bytes.fromhex("0ec675ad498afeebb6960b3aabe6"),
    )
    authentication = bytes.fromhex(
        "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9327ad175578e"
        "f72270986371c10c9a369ac2f94a8c5fbcdddc256d6e919a48b610ef17c2041e474035766b68642c59bbfc2f"
        "34db60dbdfb2"
    )
    assert derive(master, 0, 16) == bytes.fromhex("c61e7a93744f39ee10734afe3ff7a087")
    assert derive(master, 1, 94) == authentication
    assert derive(master, 2, 14) == bytes.fromhex("30cbbc08863d8c85d49db34a9ae1")
    keys = session_keys(Profile.AES_CM_128_HMAC_SHA1_80, master)[0]
    assert keys.cipher == derive(master, 0, 16)
    assert keys.authentication == authentication[:20]
    assert keys.salt == derive(master, 2, 14)
    keys = session_keys(Profile.AES_CM_128_HMAC_SHA1_80, master)[1]
    assert keys.cipher == derive(master, 3, 16)
    assert keys.authentication == derive(master, 4, 20)
    assert keys.salt == derive(master, 5, 14)


@pytest.mark.parametrize(
    ("key", "salt", "cipher", "session_salt", "authentication"),
    [
        (
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
            "3b04803de51ee7c96423ab5b78d2",
            "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
            "fa31791685ca444a9e07c6c64e93",
            "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
        ),
        (
            "73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1",
            "c8522f3acd4ce86d5add78edbb11",
            "31874736a8f1143870c26e4857d8a5b2c4a354407faadabb",
            "2372b82d639b6d8503a47adc0a6c",
            "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb",
        ),
    ],
    ids=["AES-256, 7.2", "AES-192, 7.4"],
)
def test_rfc6188(key, salt, cipher, session_salt, authentication):
    """The longer PRFs give the published keys; the 256-bit GCM profile derives with them."""
    master = MasterKey(bytes.fromhex(key), bytes.fromhex(salt))
    assert derive(master, 0, len(master.key)) == bytes.fromhex(cipher)
    assert derive(master, 1, 20) == bytes.fromhex(authentication)
    assert derive(master, 2, 14) == bytes.fromhex(session_salt)


def test_aead_salt_is_padded():
    """RFC 7714 section 11: the 96-bit master salt counts as 112 bits with zeros behind."""
    key = bytes(range(32))
    salt = bytes(range(12))
    keys = session_keys(Profile.AEAD_AES_256_GCM, MasterKey(key, salt))[0]
    assert keys.cipher == derive(MasterKey(key, salt + b"\0\0"), 0, 32)
    assert keys.salt == derive(MasterKey(key, salt + b"\0\0"), 2, 12)
    assert keys.authentication == b""


@pytest.mark.parametrize("profile", Profile)
def test_split_keying_material(profile):
    """Client key, server key, client salt, server salt; each side sends with its own."""
    material = bytes(range(profile.keying_material_length))
    key, salt = profile.key_length, profile.salt_length
    client = MasterKey(material[:key], material[2 * key : 2 * key + salt])
    server = MasterKey(material[key : 2 * key], material[2 * key + salt :])
    assert split_keying_material(profile, material, True) == (client, server)
    assert split_keying_material(profile, material, False) == (server, client)
    for wrong in (material[:-1], material + b"\0"):
        with pytest.raises(UsageError):
            split_keying_material(profile, wrong, True)


@pytest.mark.parametrize("profile", Profile)
def test_wrong_lengths(profile):
    """A key or salt that is not the profile's length is refused."""
    key, salt = bytes(profile.key_length), bytes(profile.salt_length)
    for master in (MasterKey(key + b"\0", salt), MasterKey(key, salt[1:])):
        with pytest.raises(UsageError):
            session_keys(profile, master)


def test_session_keys_do_not_show_themselves():
    """No key in a repr."""
    keys = session_keys(Profile.AEAD_AES_128_GCM, MasterKey(bytes(16), bytes(12)))[0]
    assert repr(keys) == "SessionKeys()"
