"""The TLS 1.2 pseudorandom function, RFC 5246 section 5."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from rtcproto.dtls.prf import prf


def test_vector() -> None:
    """P_SHA256, the vector that was circulated on the TLS working group's list."""
    output = prf(
        "sha256",
        bytes.fromhex("9bbe436ba940f017b17652849a71db35"),
        b"test label",
        bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c"),
        100,
    )
    assert output.hex() == (
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
        "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
        "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
        "87347b66"
    )


@pytest.mark.parametrize("hash_name", ["sha256", "sha384"])
def test_by_the_formula(hash_name: str) -> None:
    """Two blocks of P_hash written out, for either hash."""

    def mac(data: bytes) -> bytes:
        return hmac.digest(b"secret", data, hash_name)

    first = mac(b"labelseed")
    second = mac(first)
    expected = mac(first + b"labelseed") + mac(second + b"labelseed")
    size = 2 * hashlib.new(hash_name).digest_size
    assert prf(hash_name, b"secret", b"label", b"seed", size) == expected


def test_length() -> None:
    """A shorter output is the beginning of a longer one."""
    longest = prf("sha384", b"s", b"l", b"x", 200)
    for size in (0, 1, 47, 48, 49, 104):
        assert prf("sha384", b"s", b"l", b"x", size) == longest[:size]
