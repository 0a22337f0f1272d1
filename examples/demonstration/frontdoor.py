"""One HTTP address in front of several transceivers.

Offers go to the transceivers in turn; one that is down or full is skipped. An
answer's `Location` is passed on as it is: the call id in it says whose call it
is, so nothing is remembered here and any number of front doors may run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aiohttp
import attrs
from aiohttp import web

from examples.cli import show
from examples.transceiver.callid import CallId
from examples.transceiver.signalling import (
    CORS_HEADERS,
    REFUSALS,
    RETRY_AFTER,
    error_response,
    read_text,
    refusal,
)
from rtcproto.datagram import Address
from rtcproto.sdp import MAX_BYTES

__all__ = ["CALLS", "FrontDoor", "Rotation"]

# Where offers are posted, and the calls' own addresses begin.
CALLS = "/v1/realtime/calls"

# Seconds a transceiver has for one answer; it needs milliseconds.
BACKEND_TIMEOUT = 3.0

# What is passed on of a transceiver's headers; the CORS headers are ours.
PASSED_ON = ("Content-Type", "Location", "Retry-After")


class Rotation:
    """Whose turn it is."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._next = 0

    def order(self) -> list[int]:
        """Everybody once, beginning with the one whose turn it is; the turn passes on."""
        first = self._next
        self._next = (first + 1) % self._count
        return [(first + step) % self._count for step in range(self._count)]


@attrs.frozen(kw_only=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class FrontDoor:
    """Routes to `backends`, the HTTP addresses of the owners 0, 1, 2 ... in order.

    `start` before the first request, `close` at the end.
    """

    def __init__(self, backends: Sequence[Address]) -> None:
        self._backends = tuple(backends)
        self._rotation = Rotation(len(self._backends))
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client that talks to the transceivers."""
        timeout = aiohttp.ClientTimeout(total=BACKEND_TIMEOUT)
        self._session = aiohttp.ClientSession(timeout=timeout)

    async def close(self) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    def routes(self) -> list[web.RouteDef]:
        """What to add to an aiohttp application."""
        return [
            web.post(CALLS, self.create),
            web.delete(CALLS + "/{call_id}", self.delete),
            web.route("OPTIONS", CALLS, self.preflight),
            web.route("OPTIONS", CALLS + "/{call_id}", self.preflight),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Hand an offer to the first transceiver that takes it."""
        try:
            offer = await read_text(request)
        except REFUSALS as error:
            return refusal(error)
        headers = {"Content-Type": request.headers.get("Content-Type", "")}
        for index in self._rotation.order():
            reply = await self._ask("POST", index, CALLS, offer.encode(), headers)
            if reply is not None and reply.status != 503:
                return _pass_on(reply)
        return error_response(
            503,
            "over_capacity",
            "no transceiver can take a call now",
            {"Retry-After": str(RETRY_AFTER)},
        )

    async def delete(self, request: web.Request) -> web.Response:
        """Hand the end of a call to its owner."""
        call_id = CallId.parse(request.match_info["call_id"])
        if call_id is None or call_id.owner >= len(self._backends):
            return error_response(404, "no_such_call", "there is no call with this id")
        reply = await self._ask("DELETE", call_id.owner, f"{CALLS}/{call_id}")
        if reply is None:
            message = "the transceiver that owns this call does not answer"
            return error_response(503, "owner_down", message, {"Retry-After": str(RETRY_AFTER)})
        return _pass_on(reply)

    async def preflight(self, request: web.Request) -> web.Response:
        """Answer a browser's question before a request from another origin."""
        return web.Response(status=204, headers=CORS_HEADERS)

    async def _ask(
        self,
        method: str,
        index: int,
        path: str,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> _Reply | None:
        """What a transceiver says, or None if it says nothing sensible in time."""
        if self._session is None:
            raise RuntimeError("the front door is not open")
        url = f"http://{show(self._backends[index])}{path}"
        try:
            async with self._session.request(method, url, data=data, headers=headers) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        return None
                return _Reply(status=response.status, headers=response.headers, body=bytes(body))
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None


def _pass_on(reply: _Reply) -> web.Response:
    kept = {name: reply.headers[name] for name in PASSED_ON if name in reply.headers}
    return web.Response(status=reply.status, body=reply.body, headers={**kept, **CORS_HEADERS})
