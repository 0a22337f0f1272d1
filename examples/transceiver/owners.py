"""Several transceivers behind one HTTP address: requests find the owner of their call.

A call id names its owner. `Owners` is a fixed table of the others' HTTP addresses; what
comes to the wrong transceiver is passed on, whole, and the answer handed back. Nothing
is remembered. The token travels along, and the owner looks at it as if it had come by
itself, so the hop needs no trust; it needs a private network, or https.

A request that was passed on says so in `FORWARDED`, and is not passed on again. An owner
that is not there is 502, one that does not answer in time 504, one unknown to the table
no call (404).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import attrs
from aiohttp import web

from examples.transceiver.auth import WEBSOCKET_KEY, WEBSOCKET_PROTOCOL
from examples.transceiver.bodies import read_body
from examples.transceiver.callid import CallId
from examples.transceiver.responses import CORS_HEADERS, error_response
from examples.transceiver.sockets import HEARTBEAT, MAX_MESSAGE, open_socket, until_first

__all__ = [
    "FORWARDED",
    "MAX_HOP_BODY",
    "Hop",
    "Owners",
    "Reply",
    "passed_on",
    "silence",
    "was_forwarded",
]

# Says that a request was passed on.
FORWARDED = "X-Rtcproto-Forwarded"

# Seconds the owner has to answer; it needs milliseconds. Less than clients wait.
HOP_TIMEOUT = 5.0

# Bytes of one body, either way: descriptions and fragments of them, and error texts.
MAX_HOP_BODY = 128 * 1024

# What is passed on, there and back.
_ASKED = ("Content-Type", "Authorization", "If-Match", "Accept")
_ANSWERED = ("Content-Type", "Location", "ETag", "Retry-After", "WWW-Authenticate", "Accept-Patch")


@attrs.frozen(kw_only=True)
class Reply:
    """What another server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)

    def response(self) -> web.Response:
        """The same, from us."""
        kept = {name: self.headers[name] for name in _ANSWERED if name in self.headers}
        return web.Response(status=self.status, body=self.body, headers={**kept, **CORS_HEADERS})


def was_forwarded(request: web.Request) -> bool:
    """Whether another transceiver passed this request on."""
    return FORWARDED in request.headers


class Hop:
    """An HTTP client for requests between servers; `start` it first, `close` it at the end."""

    def __init__(self, timeout: float = HOP_TIMEOUT) -> None:
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client."""
        connector = aiohttp.TCPConnector(limit=256)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)

    async def close(self) -> None:
        """Close it; what is under way ends."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        limit: int = MAX_HOP_BODY,
    ) -> Reply:
        """What the server at `url` says. Raises TimeoutError, ClientError or OSError.

        An answer of more than `limit` bytes is a ClientError: nothing of ours is so long.
        """
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        async with self._client.request(
            method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            answered = bytearray()
            async for chunk in response.content.iter_any():
                answered += chunk
                if len(answered) > limit:
                    raise aiohttp.ClientPayloadError("the answer is too long")
            return Reply(status=response.status, headers=response.headers, body=bytes(answered))

    async def splice(
        self, request: web.Request, url: str, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Join a client's WebSocket to the one at `url`, until either ends.

        Raises as `ask` while nothing was answered.
        """
        try:
            async with asyncio.timeout(self._timeout):
                inner = await self._client.ws_connect(
                    url,
                    headers=headers,
                    protocols=(WEBSOCKET_PROTOCOL,),
                    max_msg_size=MAX_MESSAGE + 1,
                    heartbeat=HEARTBEAT,
                    autoclose=True,
                )
        except aiohttp.WSServerHandshakeError as error:
            # It was answered, with an error whose text is lost.
            return error_response(error.status, "refused", "the owner of the call refused")
        async with inner:
            outer = await open_socket(request)
            ends: list[tuple[int, str]] = []
            await until_first(_pump(inner, outer, ends), _pump(outer, inner, ends))
            # 1006 and its like are never sent: they say that nothing was.
            code, reason = ends[0] if ends else (aiohttp.WSCloseCode.GOING_AWAY, "")
            for side in (inner, outer):
                await side.close(code=code, message=reason.encode())
            return outer

    @property
    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the hop is not open")
        return self._session


class Owners:
    """`peers` are the HTTP addresses of the other owners of our cluster, by number."""

    def __init__(self, own: CallId, peers: Mapping[int, str]) -> None:
        self._own = own
        self._peers = {number: url.rstrip("/") for number, url in peers.items()}
        self.hop = Hop()

    def knows(self, call_id: CallId) -> bool:
        """Whether the owner of a call that is not ours can be asked."""
        if call_id.cluster != self._own.cluster or call_id.owner == self._own.owner:
            return False
        return call_id.owner in self._peers

    async def forward(self, request: web.Request, call_id: CallId) -> web.StreamResponse:
        """The answer of the call's owner. Raises Refused and TimeoutError (the body)."""
        body = await read_body(request, MAX_HOP_BODY)
        url = self._peers[call_id.owner] + request.path_qs
        try:
            return (
                await self.hop.ask(
                    request.method, url, {**passed_on(request), FORWARDED: "1"}, body
                )
            ).response()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return silence(error)

    async def forward_socket(self, request: web.Request, call_id: CallId) -> web.StreamResponse:
        """Join a side band to the call's owner."""
        url = self._peers[call_id.owner] + request.path_qs
        try:
            return await self.hop.splice(request, url, {**passed_on(request), FORWARDED: "1"})
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return silence(error)


def passed_on(request: web.Request) -> dict[str, str]:
    """The headers of a request that the next server needs."""
    headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
    for name in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if name.strip().startswith(WEBSOCKET_KEY):
            # Servers can say it in the header that is meant for it.
            key = name.strip().removeprefix(WEBSOCKET_KEY)
            headers.setdefault("Authorization", f"Bearer {key}")
    return headers


def silence(error: Exception) -> web.Response:
    """The answer when the next server gave none."""
    if isinstance(error, TimeoutError):
        return error_response(504, "owner_silent", "the call's owner does not answer")
    return error_response(502, "owner_down", "the call's owner cannot be reached")


async def _pump(source: Any, target: Any, ends: list[tuple[int, str]]) -> None:
    """Messages from one WebSocket to another; the code and reason of its end go to `ends`.

    The next message is read when the last one is sent, so a slow reader slows the sender,
    whose own queue has a limit.
    """
    try:
        while True:
            message = await source.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await target.send_str(message.data)
                case aiohttp.WSMsgType.BINARY:
                    await target.send_bytes(message.data)
                case aiohttp.WSMsgType.CLOSE:
                    ends.append((message.data or aiohttp.WSCloseCode.OK, message.extra or ""))
                    return
                case _:
                    return
    except (ConnectionError, aiohttp.ClientError):
        return  # whichever of them is gone, the other is told now
