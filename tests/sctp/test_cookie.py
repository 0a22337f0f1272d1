"""The state cookie: RFC 9260 section 5.1.3."""

from __future__ import annotations

import pytest

from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.sctp.cookie import KEY_SIZE, CookieJar, CookieState

STATE = CookieState(1000.5, 1, 0xFFFFFFFF, 3, 4, 5, 65535, 7, 8, 9, 3)
JAR = CookieJar(bytes(range(KEY_SIZE)))


def test_round_trip() -> None:
    """What was sealed is found again."""
    assert JAR.open(JAR.seal(STATE)) == STATE


def test_c2_every_changed_bit_is_noticed() -> None:
    """C2: a cookie is ours to the last bit or none."""
    cookie = JAR.seal(STATE)
    for bit in range(8 * len(cookie)):
        changed = bytearray(cookie)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AuthenticationError):
            JAR.open(bytes(changed))


def test_c2_the_cookie_of_another_key() -> None:
    """C2: another association's cookie is not ours."""
    with pytest.raises(AuthenticationError):
        CookieJar(bytes(KEY_SIZE)).open(JAR.seal(STATE))


@pytest.mark.parametrize("size", [0, 1, 31, 32, 200])
def test_other_lengths(size: int) -> None:
    """Bytes of another length are no cookie."""
    with pytest.raises(ParseError):
        JAR.open(bytes(size))


def test_the_key_is_whole() -> None:
    """A short key would be a weak one."""
    with pytest.raises(ValueError, match="32"):
        CookieJar(b"short")
