"""MESSAGE-INTEGRITY in both forms, and key derivation: RFC 8489 sections 9, 14.4-14.6."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import AuthenticationError
from rtcproto.stun import (
    Attribute,
    Integrity,
    IntegrityKey,
    LongTermKey,
    Message,
    PasswordAlgorithm,
    ShortTermKey,
    build,
    userhash,
)
from tests.stun import vectors

TRANSACTION = bytes(range(12))
KEY = ShortTermKey("correct horse battery staple")


@given(st.binary(max_size=150), st.binary(max_size=300))
def test_keyed_states_equal_hmac(key, data):
    """RFC 2104: copied states give what `hmac` gives, for keys beyond one block too."""
    states = IntegrityKey(key)
    assert states.sha1(data) == hmac.digest(key, data, "sha1")
    assert states.sha256(data) == hmac.digest(key, data, "sha256")


def test_long_term_keys_of_the_vectors():
    """RFC 8489 section 9.2.2: MD5 or SHA-256 of username:realm:password, as published."""
    text = f"{vectors.USERNAME}:{vectors.REALM}:{vectors.PREPARED_PASSWORD}".encode()
    md5 = bytes.fromhex("e8ca7ad59d5eb0518e312911d2dab2a9")
    sha256 = bytes.fromhex("dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1")
    assert (hashlib.md5(text).digest(), hashlib.sha256(text).digest()) == (md5, sha256)
    arguments = (vectors.USERNAME, vectors.REALM, vectors.PREPARED_PASSWORD)
    assert LongTermKey(*arguments).sha1(b"x") == hmac.digest(md5, b"x", "sha1")
    assert LongTermKey(*arguments, PasswordAlgorithm.SHA256).sha256(b"x") == hmac.digest(
        sha256, b"x", "sha256"
    )


def test_userhash_of_the_vector():
    """RFC 8489 section 14.4 and appendix B.1."""
    assert userhash(vectors.USERNAME, vectors.REALM) == vectors.USERHASH


def test_both_integrity_attributes_verify_and_stand_in_order():
    """MESSAGE-INTEGRITY, then -SHA256, then FINGERPRINT; each covers what precedes it."""
    message = Message.parse(
        build(1, 0, TRANSACTION, [(Attribute.PRIORITY, 1)], KEY, integrity=Integrity.BOTH)
    )
    assert [kind for kind, _ in message.attributes] == [
        Attribute.PRIORITY,
        Attribute.MESSAGE_INTEGRITY,
        Attribute.MESSAGE_INTEGRITY_SHA256,
        Attribute.FINGERPRINT,
    ]
    KEY.verify(message)
    KEY.verify_sha256(message)


def _with_sha256(*values):
    attributes = [(Attribute.MESSAGE_INTEGRITY_SHA256, value) for value in values]
    return Message.parse(build(1, 0, TRANSACTION, attributes, fingerprint=False))


@pytest.mark.parametrize("size", [16, 20, 24, 28, 32])
def test_truncated_sha256_verifies(size):
    """RFC 8489 section 14.6: 16 to 32 bytes, a multiple of 4, taken from the left."""
    prefix = bytes.fromhex("0001") + (4 + size).to_bytes(2, "big") + bytes.fromhex("2112a442")
    mac = KEY.sha256(prefix + TRANSACTION)[:size]
    KEY.verify_sha256(_with_sha256(mac))
    with pytest.raises(AuthenticationError):
        KEY.verify_sha256(_with_sha256(mac[:-1] + bytes([mac[-1] ^ 1])))


@pytest.mark.parametrize("values", [(), (b"",), (bytes(12),), (bytes(36),), (bytes(18),)])
def test_sha256_of_a_wrong_length_fails(values):
    """Absent, empty, too short, too long, or not a multiple of 4."""
    with pytest.raises(AuthenticationError):
        KEY.verify_sha256(_with_sha256(*values))


def test_doubled_sha256_fails():
    """A second MESSAGE-INTEGRITY-SHA256 makes both worthless, even if it matches itself."""
    for first in (b"", bytes(32)):
        data = build(
            1,
            0,
            TRANSACTION,
            [(Attribute.MESSAGE_INTEGRITY_SHA256, first)],
            KEY,
            fingerprint=False,
            integrity=Integrity.SHA256,
        )
        with pytest.raises(AuthenticationError, match="twice"):
            KEY.verify_sha256(Message.parse(data))


def test_doubled_sha1_fails():
    """A second MESSAGE-INTEGRITY makes both worthless, even if it matches itself."""
    data = build(1, 0, TRANSACTION, [(Attribute.MESSAGE_INTEGRITY, bytes(20))], KEY)
    with pytest.raises(AuthenticationError):
        KEY.verify(Message.parse(data))


def test_repr_shows_no_key():
    """K2: neither the password nor a digest of it is in the representation."""
    assert "horse" not in repr(KEY)
