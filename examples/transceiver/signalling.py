"""The realtime interface over HTTP: an offer comes in, an answer goes out.

- `POST /v1/realtime/calls` (or, as it was in the beta, `POST /v1/realtime?model=`): an
  offer gives 201, the answer, and the call's address in `Location`.
- `DELETE` on that address, or `POST` to its `/hangup`: ends the call.
- `POST /v1/realtime/client_secrets`: a short-lived token for a page, see `client_secrets.py`.

Every request has a size and a time limit (`bodies.py`), needs a token (`auth.py`), and
finds the transceiver that owns its call (`owners.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from examples.transceiver.bodies import Refused, json_object, read_body, read_call
from examples.transceiver.client_secrets import (
    DEFAULT_SECONDS,
    MAX_SECONDS,
    MAX_SECRET,
    MIN_SECONDS,
    ClientSecret,
    SecretTooLarge,
)
from examples.transceiver.desk import Asked, Desk
from examples.transceiver.ports import InvalidSession
from examples.transceiver.responses import CORS_HEADERS, error_response, preflight

__all__ = ["BETA", "CALLS", "CLIENT_SECRETS", "Signalling"]

logger = logging.getLogger("transceiver")

# Where offers are posted, and the calls' own addresses begin.
CALLS = "/v1/realtime/calls"

CLIENT_SECRETS = "/v1/realtime/client_secrets"

# Where the beta of the interface took offers; side bands begin there, too.
BETA = "/v1/realtime"


class Signalling:
    """The routes of the realtime interface, but for side bands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """What to add to an aiohttp application."""
        desk, call = self._desk, CALLS + "/{call_id}"
        begin, end = desk.route(self.create), desk.about_call(self.end)
        return [
            web.post(CALLS, begin),
            web.post(BETA, begin),
            web.delete(call, end),
            web.post(call + "/hangup", end),
            web.post(CLIENT_SECRETS, desk.route(self.client_secret)),
            *(
                web.options(path, self.preflight)
                for path in (CALLS, BETA, call, call + "/hangup", CLIENT_SECRETS)
            ),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Answer an offer."""
        caller = self._desk.caller(request)
        # Before the body is read, and again in `begin`, after it.
        self._desk.admit(caller)
        asked = await read_call(request)
        session = _with_model(asked.session, request.query.get("model"))
        entry, answer = self._desk.begin(caller, asked.offer, session)
        return web.Response(
            status=201,
            text=answer,
            content_type="application/sdp",
            headers={**CORS_HEADERS, "Location": f"{CALLS}/{entry.call_id}"},
        )

    async def end(self, asked: Asked) -> web.Response:
        """End a call."""
        self._desk.calls.hang_up(asked.entry.call_id)
        return web.Response(status=200, headers=CORS_HEADERS)

    async def client_secret(self, request: web.Request) -> web.Response:
        """Make a client secret."""
        desk = self._desk
        caller = desk.caller(request)
        if not caller.full:
            message = "client secrets are made with an API key, not with another secret"
            return error_response(403, "not_allowed", message)
        body = await read_body(request)
        fields = json_object(body) if body.strip() else {}
        seconds = _seconds(fields.get("expires_after"))
        session = fields.get("session")
        if session is not None and not isinstance(session, dict):
            raise InvalidSession("session must be an object", "session")
        whole = desk.check(session)
        expires_at = int(desk.authority.now) + seconds
        try:
            value = desk.authority.issue(caller, ClientSecret(expires_at, session))
        except SecretTooLarge:
            message = (
                f"the session does not fit into a secret of {MAX_SECRET} characters;"
                " send it with the offer, or in a session.update"
            )
            raise InvalidSession(message, "session") from None
        logger.info("a client secret for %s, good for %d s", caller.key, seconds)
        return web.json_response(
            {"value": value, "expires_at": expires_at, "session": whole},
            headers={**CORS_HEADERS, "Cache-Control": "no-store"},
        )

    async def preflight(self, request: web.Request) -> web.Response:
        """Answer a browser's question before a request from another origin."""
        return preflight()


def _with_model(session: Mapping[str, Any] | None, model: str | None) -> Mapping[str, Any] | None:
    """The session, with the model that the address names if it names none itself."""
    if model is None:
        return session
    return {"type": "realtime", "model": model, **(session or {})}


def _seconds(expires_after: object) -> int:
    """How long a secret shall be good for. Raises Refused."""
    if expires_after is None:
        return DEFAULT_SECONDS
    if not isinstance(expires_after, dict):
        raise _refused("expires_after must be an object", "expires_after")
    if expires_after.get("anchor", "created_at") != "created_at":
        raise _refused("the only anchor is created_at", "expires_after.anchor")
    seconds = expires_after.get("seconds", DEFAULT_SECONDS)
    if type(seconds) is not int or not MIN_SECONDS <= seconds <= MAX_SECONDS:
        message = f"seconds must be a whole number from {MIN_SECONDS} to {MAX_SECONDS}"
        raise _refused(message, "expires_after.seconds")
    return seconds


def _refused(message: str, param: str) -> Refused:
    return Refused(400, "invalid_value", message, param)
