"""Who may ask for what: API keys, client secrets, or nobody asked.

A token comes as `Authorization: Bearer TOKEN`, RFC 6750 section 2.1. A browser cannot
set that header on a WebSocket, so there it may also come as the subprotocol
`openai-insecure-api-key.TOKEN`. It is looked at before anything else of a request.

API keys may do everything. Client secrets (`ek_...`) may begin calls until they
expire, and end or repair what their API key's callers began, expired or not: a call
may outlive the secret that began it. With `--no-auth` everybody may do everything.

Keys are kept as digests and compared in constant time, all of them, every time.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from examples.transceiver.client_secrets import PREFIX, ClientSecret, Seal

__all__ = [
    "MAX_KEYS",
    "MIN_KEY",
    "WEBSOCKET_KEY",
    "WEBSOCKET_PROTOCOL",
    "Authority",
    "Caller",
    "Unauthorised",
    "api_keys",
    "is_within",
    "source_of",
]

# Characters of an API key: fewer could be guessed, also from a secret made with it.
MIN_KEY, MAX_KEY = 20, 200

# Keys of one file: each costs a comparison per request.
MAX_KEYS = 100

# The subprotocols of a side band: the one that is spoken, and how a key is carried.
WEBSOCKET_PROTOCOL = "realtime"
WEBSOCKET_KEY = "openai-insecure-api-key."

# RFC 6750 section 2.1.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Unauthorised(Exception):
    """No token, or one that is not good here (HTTP: 401). The text has nothing of it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@attrs.frozen(kw_only=True)
class Caller:
    """Who asks.

    `key` names the API key in logs, `token` whose calls are counted together: the API
    key's, the secret's, or, without authentication, the source address's. `session` is
    what a secret says that calls get. `full` is false for secrets.
    """

    key: str
    token: str
    session: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    full: bool = True
    # Which relays are near, if a table of regions says so.
    region: str | None = None


class _Asked(Protocol):
    """What is used of a request."""

    @property
    def headers(self) -> Any: ...


@attrs.frozen
class _Key:
    name: str
    digest: bytes = attrs.field(repr=False)
    seal: Seal = attrs.field(repr=False)


class Authority:
    """Knows the API keys; without any (`None`) everybody may do everything."""

    def __init__(
        self,
        keys: Sequence[str] | None,
        *,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._clock = clock
        self._open = keys is None
        # Without keys a secret proves nothing; it is the envelope of a session, which
        # every transceiver can open.
        named = [("nobody", "")] if keys is None else _named(keys)
        self._keys = [_Key(name, _digest(key), Seal(key, entropy)) for name, key in named]

    def caller(self, request: _Asked, source: str, *, begins: bool = True) -> Caller:
        """Who sent `request` from the address `source`. Raises Unauthorised.

        Only who `begins` something needs a secret that has not expired.
        """
        token = _token(request)
        if token is not None and token.startswith(PREFIX):
            return self._with_secret(token, source, begins)
        if self._open:
            return Caller(key=f"source {source}", token=f"source {source}")
        if token is None:
            raise Unauthorised("missing_api_key", "no API key: send `Authorization: Bearer KEY`")
        digest, found = _digest(token), None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        if found is None:
            raise Unauthorised("invalid_api_key", "the API key is not known here")
        return Caller(key=found.name, token=found.name)

    def issue(self, caller: Caller, secret: ClientSecret) -> str:
        """A client secret made by `caller`, who is `full`. Raises SecretTooLarge."""
        for key in self._keys:
            if self._open or key.name == caller.key:
                return key.seal.make(secret)
        raise AssertionError("a caller has one of our keys")

    def may(self, caller: Caller, key: str) -> bool:
        """Whether `caller` may touch what `key` began."""
        return self._open or caller.key == key

    @property
    def now(self) -> float:
        """Unix time."""
        return self._clock()

    def _with_secret(self, text: str, source: str, begins: bool) -> Caller:
        for key in self._keys:
            secret = key.seal.open(text)
            if secret is None:
                continue
            if begins and secret.expires_at <= self._clock():
                raise Unauthorised("expired_client_secret", "the client secret has expired")
            # Not the secret itself: this is kept as long as its calls.
            token = f"secret {hashlib.sha256(text.encode()).hexdigest()[:16]}"
            name = f"source {source}" if self._open else key.name
            return Caller(key=name, token=token, session=secret.session, full=self._open)
        raise Unauthorised("invalid_client_secret", "the client secret is not one of ours")


def api_keys(text: str) -> list[str]:
    """The keys in a key file: one per line; empty lines and `#` lines say nothing.

    Raises ValueError, with the number of the line and without its text.
    """
    keys: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if not MIN_KEY <= len(key) <= MAX_KEY:
            raise ValueError(f"line {number}: a key has {MIN_KEY} to {MAX_KEY} characters")
        if key.startswith(PREFIX) or not _TOKEN.fullmatch(key):
            raise ValueError(f"line {number}: not a key: letters, digits and -._~+/ only")
        keys.append(key)
    if not keys or len(keys) > MAX_KEYS:
        raise ValueError(f"expected 1 to {MAX_KEYS} keys")
    return keys


def source_of(remote: str | None, forwarded: str | None, proxies: Iterable[str]) -> str:
    """The address that a request came from: what its quota is counted by.

    `forwarded` is the X-Forwarded-For header. Its last address was written by whoever
    sent the request here, so it is believed if that is one of `proxies` (networks). Of
    IPv6 addresses only the /64 counts: one client has all of it.
    """
    address = _address(remote)
    if address is None:
        return "unknown"
    if forwarded is not None and any(_within(address, network) for network in proxies):
        address = _address(forwarded.rpartition(",")[2].strip()) or address
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address)


def is_within(remote: str | None, networks: Iterable[str]) -> bool:
    """Whether a request came from one of `networks`, so that its headers are believed."""
    address = _address(remote)
    return address is not None and any(_within(address, network) for network in networks)


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    return address in ipaddress.ip_network(network)


def _token(request: _Asked) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return str(token.strip())
    for name in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if name.strip().startswith(WEBSOCKET_KEY):
            return str(name.strip().removeprefix(WEBSOCKET_KEY))
    return None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _named(keys: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"key {number}", key) for number, key in enumerate(keys, 1)]
