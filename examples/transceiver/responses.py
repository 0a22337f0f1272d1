"""What every answer of the HTTP side has in common: CORS, and the shape of errors.

Errors are JSON as realtime clients expect it: `{"error": {message, type, code, param}}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from examples.transceiver.auth import Unauthorised
from examples.transceiver.bodies import Refused
from examples.transceiver.ports import InvalidSession
from examples.transceiver.register import TooManyCalls
from rtcproto.errors import (
    CapacityExceeded,
    DescriptionRefused,
    DescriptionTooLarge,
    ParseError,
)

__all__ = [
    "CORS_HEADERS",
    "REFUSALS",
    "RETRY_AFTER",
    "error_response",
    "json_errors",
    "no_such_call",
    "preflight",
    "refusal",
]

# What a full server tells a client to wait before it tries again, in seconds.
RETRY_AFTER = 5

# Any page may call: the caller is whoever holds the token or the offer, not a cookie.
CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Content-Type, Authorization, X-OpenAI-Agents-SDK, If-Match, OpenAI-Beta"
    ),
    "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After",
    "Access-Control-Max-Age": "86400",
}


def error_response(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    param: str | None = None,
) -> web.Response:
    """An error in the interface's JSON shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "code": code, "param": param}
    return web.json_response(
        {"error": error}, status=status, headers={**CORS_HEADERS, **(headers or {})}
    )


# What is raised for what a client did, on the way from its token to an answer.
REFUSALS = (
    Unauthorised,
    Refused,
    InvalidSession,
    TooManyCalls,
    DescriptionTooLarge,
    ParseError,
    DescriptionRefused,
    CapacityExceeded,
    TimeoutError,
)


def refusal(error: Exception) -> web.Response:
    """The answer to a request that caused one of `REFUSALS`."""
    match error:
        case Unauthorised():
            return error_response(401, error.code, error.message, {"WWW-Authenticate": "Bearer"})
        case Refused():
            return error_response(
                error.status, error.code, error.message, error.headers, param=error.param
            )
        case InvalidSession():
            return error_response(400, error.code, error.message, param=error.param)
        case TooManyCalls():
            headers = {"Retry-After": str(RETRY_AFTER)}
            return error_response(429, "rate_limit_exceeded", str(error), headers)
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


def preflight(headers: Mapping[str, str] | None = None, status: int = 204) -> web.Response:
    """The answer to OPTIONS: what a page of another origin may do."""
    return web.Response(status=status, headers={**CORS_HEADERS, **(headers or {})})


def no_such_call() -> web.Response:
    """The answer to whoever asks for a call that is not, or is not theirs."""
    return error_response(404, "no_such_call", "there is no call with this id")


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def json_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Say in JSON, too, that there is no such path or method."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        headers = {"Allow": error.headers["Allow"]}
        return error_response(405, "method_not_allowed", "not with this method", headers)
    except web.HTTPNotFound:
        if not request.path.startswith("/v1/"):
            raise
        return error_response(404, "unknown_url", "there is nothing at this path")
