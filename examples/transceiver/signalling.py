"""The HTTP side of a transceiver: an offer comes in, an answer goes out.

`POST /v1/realtime/calls` with `application/sdp` gives 201, the answer, and the
call's address in `Location`; `DELETE` on that address ends the call. Errors are
JSON in the shape that realtime clients expect: `{"error": {...}}`.

Every request has a size and a time limit; a body that is too large is refused
as soon as that is known, a body that is too slow is given up.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from examples.transceiver.callid import CallId
from rtcproto.asyncio import Driver, EventHandler
from rtcproto.errors import (
    CapacityExceeded,
    DescriptionRefused,
    DescriptionTooLarge,
    ParseError,
)
from rtcproto.sdp import MAX_BYTES

__all__ = [
    "CORS_HEADERS",
    "REFUSALS",
    "RETRY_AFTER",
    "Signalling",
    "error_response",
    "read_text",
    "refusal",
]

logger = logging.getLogger("transceiver")

# Seconds a client has to send its whole offer.
BODY_TIMEOUT = 5.0

# What a full server tells a client to wait before it tries again, in seconds.
RETRY_AFTER = 5

# Any page may call: the caller is whoever holds the offer, not a cookie.
CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, X-OpenAI-Agents-SDK",
    "Access-Control-Expose-Headers": "Location",
    "Access-Control-Max-Age": "86400",
}


def error_response(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    """An error in the interface's JSON shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "code": code, "param": None}
    return web.json_response(
        {"error": error}, status=status, headers={**CORS_HEADERS, **(headers or {})}
    )


# What `read_text` and `Driver.accept_offer` raise for what a client did.
REFUSALS = (DescriptionTooLarge, ParseError, DescriptionRefused, CapacityExceeded, TimeoutError)


def refusal(error: Exception) -> web.Response:
    """The answer to an offer that caused one of `REFUSALS`."""
    match error:
        case DescriptionTooLarge():
            return error_response(413, "offer_too_large", str(error))
        case ParseError():
            return error_response(400, "malformed_offer", str(error))
        case DescriptionRefused():
            return error_response(422, "unacceptable_offer", str(error))
        case CapacityExceeded():
            headers = {"Retry-After": str(RETRY_AFTER)}
            return error_response(503, "over_capacity", str(error), headers)
        case TimeoutError():
            return error_response(408, "body_timeout", "the body did not arrive in time")
        case _:
            raise error


class Signalling:
    """Routes for one driver. `handler` gets every call's events."""

    def __init__(self, driver: Driver, owner: CallId, handler: EventHandler) -> None:
        self._driver = driver
        self._owner = owner
        self._handler = handler

    def routes(self) -> list[web.RouteDef]:
        """What to add to an aiohttp application."""
        return [
            web.post("/v1/realtime/calls", self.create),
            web.delete("/v1/realtime/calls/{call_id}", self.delete),
            web.route("OPTIONS", "/v1/realtime/calls", self.preflight),
            web.route("OPTIONS", "/v1/realtime/calls/{call_id}", self.preflight),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Answer an offer."""
        if request.content_type != "application/sdp":
            return error_response(415, "unsupported_media_type", "the body must be application/sdp")
        try:
            offer = await read_text(request)
            call, answer = self._driver.accept_offer(offer, self._handler)
        except REFUSALS as error:
            return refusal(error)
        call_id = self._owner.of(call.id)
        logger.info("call %s: answered", call_id.shown)
        return web.Response(
            status=201,
            text=answer,
            content_type="application/sdp",
            headers={**CORS_HEADERS, "Location": f"/v1/realtime/calls/{call_id}"},
        )

    async def delete(self, request: web.Request) -> web.Response:
        """End a call."""
        call_id = CallId.parse(request.match_info["call_id"])
        call = None
        if call_id is not None and call_id == self._owner.of(call_id.session):
            call = self._driver.call(call_id.session)
        if call is None:
            return error_response(404, "no_such_call", "there is no call with this id")
        logger.info("call %s: ended by request", self._owner.of(call.id).shown)
        call.close()
        return web.Response(status=200, headers=CORS_HEADERS)

    async def preflight(self, request: web.Request) -> web.Response:
        """Answer a browser's question before a request from another origin."""
        return web.Response(status=204, headers=CORS_HEADERS)


async def read_text(request: web.Request) -> str:
    """The body as text. Raises DescriptionTooLarge, ParseError (not UTF-8) or TimeoutError."""
    if request.content_length is not None and request.content_length > MAX_BYTES:
        raise DescriptionTooLarge("sdp", f"more than {MAX_BYTES} bytes")
    body = bytearray()
    async with asyncio.timeout(BODY_TIMEOUT):
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_BYTES:
                raise DescriptionTooLarge("sdp", f"more than {MAX_BYTES} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("sdp", "not UTF-8", error.start) from None
