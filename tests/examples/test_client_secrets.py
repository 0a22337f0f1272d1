"""Client secrets: sealed, bounded, good with the key that made them and no other."""

from __future__ import annotations

import base64
import json
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.client_secrets import (
    MAX_SECRET,
    MAX_SESSION,
    PREFIX,
    ClientSecret,
    Seal,
    SecretTooLarge,
)
from tests.support.desk import KEY, OTHER_KEY

SEAL = Seal(KEY, os.urandom)
SECRET = ClientSecret(1_800_000_600, {"type": "realtime", "instructions": "canary"})


def test_round_trip() -> None:
    """A secret says what it stands for, to every transceiver with its key."""
    assert Seal(KEY, os.urandom).open(SEAL.make(SECRET)) == SECRET
    nothing = ClientSecret(7, None)
    assert SEAL.open(SEAL.make(nothing)) == nothing


def test_two_secrets_differ() -> None:
    """Each has a nonce of its own."""
    assert SEAL.make(SECRET) != SEAL.make(SECRET)


def test_another_key_opens_nothing() -> None:
    """A secret dies with its API key."""
    assert Seal(OTHER_KEY, os.urandom).open(SEAL.make(SECRET)) is None


def test_every_change_is_noticed() -> None:
    """Any other character anywhere: not ours. The last one has bits that say nothing."""
    text = SEAL.make(SECRET)
    for place in range(len(text) - 1):
        other = "A" if text[place] != "A" else "B"
        assert SEAL.open(text[:place] + other + text[place + 1 :]) is None
        assert SEAL.open(text[:place]) is None


def test_it_can_be_sent() -> None:
    """The alphabet of bearer tokens (RFC 6750) and of subprotocol names (RFC 6455)."""
    text = SEAL.make(SECRET)
    assert text.startswith(PREFIX)
    assert text.replace("_", "").replace("-", "").isalnum()
    assert "canary" not in text
    assert b"canary" not in base64.urlsafe_b64decode(text[3:] + "==")


def test_sessions_have_to_fit() -> None:
    """Long instructions fit if they are text; noise and novels do not."""
    prose = " ".join(f"Sentence {n} says what to do in case {n * 7}." for n in range(300))
    assert len(prose) > 10_000
    assert len(SEAL.make(ClientSecret(0, {"instructions": prose}))) <= MAX_SECRET
    with pytest.raises(SecretTooLarge):
        SEAL.make(ClientSecret(0, {"instructions": os.urandom(8000).hex()}))
    with pytest.raises(SecretTooLarge):
        SEAL.make(ClientSecret(0, {"instructions": "a" * MAX_SESSION}))


@pytest.mark.parametrize(
    "plain",
    [
        b"not deflated",
        zlib.compress(b"[]"),
        zlib.compress(b"{}"),
        zlib.compress(b'{"x": "soon", "s": null}'),
        zlib.compress(b'{"x": true, "s": null}'),
        zlib.compress(b'{"x": 1, "s": []}'),
        zlib.compress(b"[" * 60_000),
        zlib.compress(b'{"x": 1, "s": {"a": "' + b"a" * 3_000_000 + b'"}}'),
    ],
    ids=["raw", "list", "empty", "text", "bool", "session", "deep", "bomb"],
)
def test_envelopes_of_others(plain: bytes) -> None:
    """Without API keys anybody can seal an envelope; what is in it may be anything."""
    nonce = bytes(12)
    sealed = nonce + SEAL._aead.encrypt(nonce, plain, b"rtcproto transceiver client secret 1")
    text = PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")
    assert SEAL.open(text) is None


@given(st.text(max_size=100))
def test_any_text(text: str) -> None:
    """Is not ours."""
    assert SEAL.open(text) is None
    assert SEAL.open(PREFIX + text) is None


def test_k2_nothing_is_shown() -> None:
    """Threat K2: neither the key nor the session is in any text about them."""
    for value in (SEAL, SECRET):
        assert "canary" not in repr(value) + str(value)


def test_the_compressed_form_is_what_is_sealed() -> None:
    """What is documented of the layout."""
    text = SEAL.make(SECRET)
    sealed = base64.urlsafe_b64decode(text[3:] + "=" * (-len(text[3:]) % 4))
    plain = SEAL._aead.decrypt(sealed[:12], sealed[12:], b"rtcproto transceiver client secret 1")
    assert json.loads(zlib.decompress(plain)) == {"x": SECRET.expires_at, "s": SECRET.session}
