"""Who may ask: API keys, client secrets, nobody asked; and where requests come from."""

from __future__ import annotations

import logging
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver import auth
from examples.transceiver.auth import MAX_KEYS, Authority, Caller, Unauthorised, api_keys, source_of
from examples.transceiver.client_secrets import ClientSecret
from tests.support.desk import KEY, OTHER_KEY

NOW = 1_800_000_000.0
AUTHORITY = Authority([KEY, OTHER_KEY], clock=lambda: NOW)
OPEN = Authority(None, clock=lambda: NOW)
SESSION = {"type": "realtime"}


def asked(token: str | None = None, **headers: str) -> Any:
    """A request with this token."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return types.SimpleNamespace(headers=headers)


def secret(expires_at: float, key: str = KEY) -> str:
    """A secret made with one of the keys."""
    caller = AUTHORITY.caller(asked(key), "x")
    return AUTHORITY.issue(caller, ClientSecret(int(expires_at), SESSION))


def test_keys() -> None:
    """Each key is known by a name; the name is all that is kept of it in what is passed on."""
    first, second = (AUTHORITY.caller(asked(key), "x") for key in (KEY, OTHER_KEY))
    assert (first, second) == (
        Caller(key="key 1", token="key 1"),
        Caller(key="key 2", token="key 2"),
    )


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"Authorization": ""}, "missing_api_key"),
        ({"Authorization": f"Basic {KEY}"}, "missing_api_key"),
        ({"Authorization": KEY}, "missing_api_key"),
        ({"Authorization": "Bearer "}, "invalid_api_key"),
        ({"Authorization": f"Bearer {KEY[:-1]}"}, "invalid_api_key"),
        ({"Authorization": f"Bearer {KEY}x"}, "invalid_api_key"),
        ({"Authorization": f"Bearer {KEY.upper()}"}, "invalid_api_key"),
        ({"Authorization": "Bearer \udcff"}, "invalid_api_key"),
        ({"Authorization": "Bearer ek_abc"}, "invalid_client_secret"),
        ({"Authorization": "Bearer ek_" + "a" * 9000}, "invalid_client_secret"),
        ({"Sec-WebSocket-Protocol": "realtime"}, "missing_api_key"),
        ({"Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.x"}, "invalid_api_key"),
    ],
)
def test_strangers(headers: dict[str, str], code: str) -> None:
    """Whatever is not exactly a key is refused, without its text."""
    with pytest.raises(Unauthorised) as caught:
        AUTHORITY.caller(asked(**headers), "x")
    assert caught.value.code == code
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"bearer  {KEY} "},
        {"Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{KEY}, other.1"},
    ],
)
def test_other_ways_to_say_it(headers: dict[str, str]) -> None:
    """The scheme in any case; a browser's WebSocket says it as a subprotocol."""
    assert AUTHORITY.caller(asked(**headers), "x").key == "key 1"


def test_secrets() -> None:
    """A secret stands for the session in it and the key behind it, and counts for itself."""
    text = secret(NOW + 10)
    caller = AUTHORITY.caller(asked(text), "x")
    assert (caller.key, caller.full, caller.session) == ("key 1", False, SESSION)
    assert caller.token.startswith("secret ")
    other = AUTHORITY.caller(asked(secret(NOW + 10, OTHER_KEY)), "x")
    assert other.key == "key 2"
    assert other.token != caller.token


def test_secrets_of_other_transceivers() -> None:
    """The same key file, another process: the same secrets; another file: none of them."""
    text = secret(NOW + 10)
    assert Authority([OTHER_KEY, KEY], clock=lambda: NOW).caller(asked(text), "x").key == "key 2"
    with pytest.raises(Unauthorised):
        Authority([OTHER_KEY], clock=lambda: NOW).caller(asked(text), "x")


def test_secrets_expire() -> None:
    """Not before their time, and then only for what begins."""
    assert AUTHORITY.caller(asked(secret(NOW + 1)), "x")
    text = secret(NOW)
    with pytest.raises(Unauthorised) as caught:
        AUTHORITY.caller(asked(text), "x")
    assert caught.value.code == "expired_client_secret"
    assert AUTHORITY.caller(asked(text), "x", begins=False).key == "key 1"


def test_without_keys() -> None:
    """Everybody is their source address; a secret is an envelope that every process opens."""
    for request in (asked(), asked("anything")):
        assert OPEN.caller(request, "192.0.2.1").token == "source 192.0.2.1"
    envelope = OPEN.issue(OPEN.caller(asked(), "x"), ClientSecret(int(NOW) + 9, SESSION))
    caller = Authority(None, clock=lambda: NOW).caller(asked(envelope), "192.0.2.1")
    assert (caller.session, caller.full) == (SESSION, True)
    with pytest.raises(Unauthorised):
        OPEN.caller(asked(envelope[:-4] + "AAAA"), "x")
    with pytest.raises(Unauthorised):
        AUTHORITY.caller(asked(envelope), "x")


def test_whose_calls_one_may_touch() -> None:
    """One's own key's; anybody's where nobody is asked."""
    caller = AUTHORITY.caller(asked(KEY), "x")
    assert AUTHORITY.may(caller, "key 1")
    assert not AUTHORITY.may(caller, "key 2")
    assert OPEN.may(caller, "key 2")


def test_all_keys_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat K1: in constant time, and as many for the first key as for none."""
    compared = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append(left)
        return left == right

    monkeypatch.setattr(auth.hmac, "compare_digest", compare)
    assert AUTHORITY.caller(asked(KEY), "x").key == "key 1"
    assert len(compared) == 2
    with pytest.raises(Unauthorised):
        AUTHORITY.caller(asked("x"), "x")
    assert len(compared) == 4


def test_k2_no_key_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Threat K2: an authority has no key in it that could be shown."""
    caplog.set_level(logging.DEBUG)
    text = secret(NOW + 10)
    caller = AUTHORITY.caller(asked(text), "x")
    said = repr(AUTHORITY) + repr(AUTHORITY._keys) + repr(caller) + caplog.text
    for private in (KEY, OTHER_KEY, text, text[3:20]):
        assert private not in said


def test_key_files() -> None:
    """One key per line; comments and empty lines say nothing."""
    assert api_keys(f"# ours\n\n  {KEY}  \r\n{OTHER_KEY}") == [KEY, OTHER_KEY]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected 1 to"),
        ("# nothing\n", "expected 1 to"),
        (f"{KEY}\nshort-canary", "line 2: a key has"),
        ("a" * 201, "line 1: a key has"),
        ("ek_" + "a" * 30, "line 1: not a key"),
        ("canary with spaces in it", "line 1: not a key"),
        ("ä" * 30, "line 1: not a key"),
        ("\n".join([KEY] * (MAX_KEYS + 1)), "expected 1 to"),
    ],
)
def test_bad_key_files(text: str, said: str) -> None:
    """The line is named, its text is not."""
    with pytest.raises(ValueError, match=said) as caught:
        api_keys(text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("remote", "forwarded", "proxies", "source"),
    [
        ("192.0.2.1", None, [], "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", [], "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", ["10.0.0.0/8"], "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"),
        ("10.0.0.1", "nonsense", ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", "", ["10.0.0.0/8"], "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"),
        ("2001:db8::1:2:3:4", None, [], "2001:db8::/64"),
        ("10.0.0.1", "2001:db8::7", ["2001:db8::/32", "10.0.0.0/8"], "2001:db8::/64"),
        (None, "198.51.100.1", ["0.0.0.0/0"], "unknown"),
    ],
)
def test_sources(
    remote: str | None, forwarded: str | None, proxies: list[str], source: str
) -> None:
    """Who connects, unless that is a proxy of ours; an IPv6 client is all of its /64."""
    assert source_of(remote, forwarded, proxies) == source


@given(st.text(max_size=60))
def test_any_header(text: str) -> None:
    """Any X-Forwarded-For and any token give a source and a refusal."""
    assert source_of("10.0.0.1", text, ["10.0.0.0/8"])
    with pytest.raises(Unauthorised):
        AUTHORITY.caller(asked(text), "x")
