"""Client secrets: `ek_...`, short-lived tokens that a page may have.

A secret carries what it stands for, sealed: when it expires and the session that calls
made with it get. AES-256-GCM under a key that is derived (HKDF-SHA256) from the API key
that asked for it. So every transceiver with the same key file takes it, whichever made
it and whether that one still runs; none remembers it; and it dies with its API key.

    ek_ base64url( nonce (12 bytes) | AES-GCM( zlib( JSON {"x": expiry, "s": session} ) ) )

The price: it is as long as its session is large, so there is a limit, `MAX_SECRET`.
Who has more to say says it in the body of the call, or in a `session.update`.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from examples.transceiver.bodies import Refused, json_object

__all__ = [
    "DEFAULT_SECONDS",
    "MAX_SECONDS",
    "MAX_SECRET",
    "MIN_SECONDS",
    "PREFIX",
    "ClientSecret",
    "SecretTooLarge",
    "Seal",
]

PREFIX = "ek_"

# How long a secret can be used, in seconds: the interface's own numbers.
MIN_SECONDS, DEFAULT_SECONDS, MAX_SECONDS = 10, 600, 7200

# Characters of a secret. It travels in a header, and 8 KiB is what servers and proxies
# commonly take of one line.
MAX_SECRET = 7800

# Bytes of the JSON in a secret: a short text can inflate to a thousand times its size.
MAX_SESSION = 64 * 1024

_NONCE = 12
_INFO = b"rtcproto transceiver client secret 1"


class SecretTooLarge(Exception):
    """The session does not fit into a secret."""


@attrs.frozen
class ClientSecret:
    """What a secret stands for: the end of its use (Unix time) and a session, or none."""

    expires_at: int
    session: Mapping[str, Any] | None = attrs.field(repr=False)


class Seal:
    """Makes and opens the secrets of one API key; `entropy` gives random bytes."""

    __slots__ = ("_aead", "_entropy")

    def __init__(self, api_key: str, entropy: Callable[[int], bytes]) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO)
        self._aead = AESGCM(derived.derive(api_key.encode()))
        self._entropy = entropy

    def make(self, secret: ClientSecret) -> str:
        """The text of a secret. Raises SecretTooLarge."""
        session = None if secret.session is None else dict(secret.session)
        said = json.dumps({"x": secret.expires_at, "s": session}, separators=(",", ":")).encode()
        if len(said) > MAX_SESSION:
            raise SecretTooLarge
        nonce = self._entropy(_NONCE)
        sealed = nonce + self._aead.encrypt(nonce, zlib.compress(said, 9), _INFO)
        text = PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        if len(text) > MAX_SECRET:
            raise SecretTooLarge
        return text

    def open(self, text: str) -> ClientSecret | None:
        """What a secret of ours says, expired or not; None for any other text."""
        if not text.startswith(PREFIX) or len(text) > MAX_SECRET or not text.isascii():
            return None
        encoded = text[len(PREFIX) :]
        try:
            sealed = base64.b64decode(
                encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True
            )
            if len(sealed) < _NONCE:
                return None
            plain = self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], _INFO)
        except (binascii.Error, InvalidTag):
            return None
        return _said(plain)


def _said(plain: bytes) -> ClientSecret | None:
    """What is in an envelope. Without API keys anybody can seal one: nothing is taken on trust."""
    inflate = zlib.decompressobj()
    try:
        said = json_object(inflate.decompress(plain, MAX_SESSION))
    except (zlib.error, Refused):
        return None
    expires_at, session = said.get("x"), said.get("s")
    if type(expires_at) is not int or not (session is None or isinstance(session, dict)):
        return None
    return ClientSecret(expires_at, session)
