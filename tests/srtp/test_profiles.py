"""The profile table of RFC 5764 4.1.2 and RFC 7714 14.2."""

import pytest

from rtcproto.srtp import MasterKey, Profile


@pytest.mark.parametrize(
    ("code", "name", "key", "salt", "rtp_tag", "rtcp_tag", "material"),
    [
        (1, "AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 10, 60),
        (2, "AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 10, 60),
        (7, "AEAD_AES_128_GCM", 16, 12, 16, 16, 56),
        (8, "AEAD_AES_256_GCM", 32, 12, 16, 16, 88),
    ],
)
def test_table(code, name, key, salt, rtp_tag, rtcp_tag, material):
    """Code points of use_srtp and all lengths; SRTCP keeps its long tag in the _32 profile."""
    profile = Profile(code)
    assert profile.name == name
    assert (profile.key_length, profile.salt_length) == (key, salt)
    assert (profile.rtp_tag_length, profile.rtcp_tag_length) == (rtp_tag, rtcp_tag)
    assert profile.keying_material_length == material
    assert profile.is_aead == name.startswith("AEAD")


def test_master_key_does_not_show_itself():
    """Neither key nor salt appears in a repr."""
    assert repr(MasterKey(b"secret-key", b"secret-salt")) == "MasterKey()"
