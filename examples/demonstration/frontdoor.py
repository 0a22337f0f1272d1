"""One HTTP address in front of several transceivers.

Offers go to the transceivers in turn; one that is down or full is skipped. An
answer's `Location` is passed on as it is: the call id in it says whose call it
is, so nothing is remembered here and any number of front doors may run.

Tokens are the transceivers' business, so a body is read here before anybody looks at
the token; it has a size and a time limit all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aiohttp
from aiohttp import web

from examples.cli import show
from examples.transceiver.bodies import read_body, read_text
from examples.transceiver.callid import CallId
from examples.transceiver.owners import MAX_HOP_BODY, Hop, Reply, passed_on, silence
from examples.transceiver.responses import (
    REFUSALS,
    RETRY_AFTER,
    error_response,
    no_such_call,
    preflight,
    refusal,
)
from examples.transceiver.signalling import BETA, CALLS, CLIENT_SECRETS
from examples.transceiver.sockets import check_upgrade
from examples.transceiver.whip import ENDPOINT
from rtcproto.datagram import Address

__all__ = ["CALLS", "FrontDoor", "Rotation"]

# Seconds a transceiver has for one answer; it needs milliseconds.
BACKEND_TIMEOUT = 3.0

# Where anything is posted that any transceiver can take, and the addresses of calls.
_ANYBODYS = (CALLS, BETA, CLIENT_SECRETS, ENDPOINT)
_CALL = CALLS + "/{call_id}"
_OWNERS = (_CALL, _CALL + "/hangup", ENDPOINT + "/{call_id}")


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


class FrontDoor:
    """Routes to `backends`, the HTTP addresses of the owners 0, 1, 2 ... in order.

    `start` before the first request, `close` at the end.
    """

    def __init__(self, backends: Sequence[Address]) -> None:
        self._backends = tuple(backends)
        self._rotation = Rotation(len(self._backends))
        self._hop = Hop(BACKEND_TIMEOUT)

    async def start(self) -> None:
        """Open the client that talks to the transceivers."""
        await self._hop.start()

    async def close(self) -> None:
        """Close it."""
        await self._hop.close()

    def routes(self) -> list[web.RouteDef]:
        """What to add to an aiohttp application."""
        return [
            *(web.post(path, self.create) for path in _ANYBODYS),
            *(web.route(method, path, self.about_call)
              for path in _OWNERS for method in ("POST", "PATCH", "DELETE")),
            *(web.options(path, self.preflight) for path in (*_ANYBODYS, *_OWNERS)),
            web.get(BETA, self.side_band, allow_head=False),
        ]  # fmt: skip

    async def create(self, request: web.Request) -> web.Response:
        """Hand an offer to the first transceiver that takes it."""
        try:
            if request.content_type == "application/sdp":
                body = (await read_text(request)).encode()
            else:
                body = await read_body(request)
        except REFUSALS as error:
            return refusal(error)
        headers = passed_on(request)
        if request.remote is not None:
            # Whoever was before us says so first; the transceivers believe the last.
            before = request.headers.get("X-Forwarded-For")
            headers["X-Forwarded-For"] = f"{before}, {request.remote}" if before else request.remote
        for index in self._rotation.order():
            try:
                reply = await self._ask("POST", index, request.path_qs, body, headers)
            except (TimeoutError, aiohttp.ClientError, OSError):
                continue
            if reply.status != 503:
                return reply.response()
        return error_response(
            503,
            "over_capacity",
            "no transceiver can take a call now",
            {"Retry-After": str(RETRY_AFTER)},
        )

    async def about_call(self, request: web.Request) -> web.Response:
        """Hand what is about a call to its owner."""
        call_id = self._known(request.match_info["call_id"])
        if call_id is None:
            return no_such_call()
        try:
            body = await read_body(request, MAX_HOP_BODY)
        except REFUSALS as error:
            return refusal(error)
        try:
            headers = passed_on(request)
            reply = await self._ask(request.method, call_id.owner, request.path_qs, body, headers)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return silence(error)
        return reply.response()

    async def side_band(self, request: web.Request) -> web.StreamResponse:
        """Join a side band to the owner of its call."""
        call_id = self._known(request.query.get("call_id", ""))
        if call_id is None:
            return no_such_call()
        url = self._url(call_id.owner, request.path_qs)
        try:
            check_upgrade(request)
        except REFUSALS as error:
            return refusal(error)
        try:
            return await self._hop.splice(request, url, passed_on(request))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return silence(error)

    async def preflight(self, request: web.Request) -> web.Response:
        """Answer a browser's question before a request from another origin."""
        return preflight()

    def _known(self, name: str) -> CallId | None:
        call_id = CallId.parse(name)
        return call_id if call_id is not None and call_id.owner < len(self._backends) else None

    def _url(self, index: int, path: str) -> str:
        return f"http://{show(self._backends[index])}{path}"

    async def _ask(
        self, method: str, index: int, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        """What a transceiver says. Raises TimeoutError, ClientError or OSError."""
        return await self._hop.ask(method, self._url(index, path), headers, body)
