"""The HTTP side of a call: `POST application/sdp` gives 201, an answer and a Location."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import aiohttp

from rtcproto.sdp import MAX_BYTES

__all__ = ["CallFailed", "CallRefused", "Signalling"]

# Seconds for one exchange.
TIMEOUT = 10.0

# Characters of a refusal that are shown.
MAX_MESSAGE = 200


class CallFailed(Exception):
    """No call could be placed: nobody answers there, or not in our language. One line."""


class CallRefused(CallFailed):
    """The server answered, but with an error. One line."""


class Signalling:
    """`async with Signalling(url, insecure) as signalling:` places calls at `url`.

    `insecure` accepts any certificate; `key` is an API key or a client secret, if one
    is needed.
    """

    def __init__(self, url: str, insecure: bool, key: str | None = None) -> None:
        self._url = url
        self._insecure = insecure
        self._authorization = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, offer: str) -> tuple[str, str | None]:
        """The answer, and the address of the call if there is one. Raises CallFailed."""
        headers = {"Content-Type": "application/sdp"}
        try:
            async with self._request("POST", self._url, data=offer, headers=headers) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise CallFailed(f"{self._url}: the answer is too long")
                text = body.decode("utf-8", "replace")
                if response.status != 201:
                    # Web servers' own texts often begin with the status, too.
                    said = _message(text).removeprefix(f"{response.status}:").strip()
                    raise CallRefused(f"{self._url}: {response.status}: {said}")
                return text, self._own(response.headers.get("Location"))
        except TimeoutError:
            raise CallFailed(f"{self._url}: no answer in {TIMEOUT:.0f} seconds") from None
        except (aiohttp.ClientError, OSError) as error:
            raise CallFailed(f"{self._url}: {_first_line(str(error))}") from None

    async def end(self, location: str) -> bool:
        """End the call at `location`; whether the server says that it did."""
        try:
            async with self._request("DELETE", location) as response:
                return 200 <= response.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    def _request(
        self, method: str, url: str, data: str | None = None, headers: dict[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("used outside of its `async with` block")
        headers = {**self._authorization, **(headers or {})}
        return self._session.request(
            method, url, data=data, headers=headers, ssl=not self._insecure, allow_redirects=False
        )

    def _own(self, location: str | None) -> str | None:
        """A Location, made absolute; only of the same server: we do not DELETE elsewhere."""
        if location is None:
            return None
        absolute = urljoin(self._url, location)
        ours, theirs = urlsplit(self._url), urlsplit(absolute)
        return absolute if (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc) else None


def _message(text: str) -> str:
    """What an error says, in the interface's JSON or whatever it is."""
    try:
        return _first_line(str(json.loads(text)["error"]["message"]))
    except (ValueError, KeyError, TypeError):
        return _first_line(text)


def _first_line(text: str) -> str:
    line = (text.strip() or "no reason given").splitlines()[0][:MAX_MESSAGE]
    return "".join(character if character.isprintable() else "?" for character in line)
