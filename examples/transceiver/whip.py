"""WHIP, RFC 9725: the same calls, with an address that can repair them.

`POST /whip` with an offer gives 201, the answer, the call's address, and an ETag that
names its ICE session. `PATCH` of that address with a fragment (RFC 8840,
`application/trickle-ice-sdpfrag`) adds candidates if `If-Match` has that ETag (204), or
restarts ICE if it is `*` (200, our new fragment, a new ETag; the call's owner stays).
`DELETE` ends the call. The address is that of one transceiver; see `owners.py`.

Departure: an answer may be `sendrecv`, where section 4.2 wants `recvonly`: a voice agent
that may not answer is none.
"""

from __future__ import annotations

import logging

from aiohttp import web

from examples.transceiver.bodies import Refused, read_text
from examples.transceiver.desk import Asked, Desk
from examples.transceiver.register import new_etag
from examples.transceiver.responses import CORS_HEADERS, error_response, preflight
from rtcproto.errors import UsageError

__all__ = ["ENDPOINT", "FRAGMENT", "Whip"]

logger = logging.getLogger("transceiver")

ENDPOINT = "/whip"
FRAGMENT = "application/trickle-ice-sdpfrag"

_ACCEPT_POST = {"Accept-Post": "application/sdp"}
_ACCEPT_PATCH = {"Accept-Patch": FRAGMENT}


class Whip:
    """The routes of WHIP."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """What to add to an aiohttp application."""
        session = ENDPOINT + "/{call_id}"
        desk = self._desk
        return [
            web.post(ENDPOINT, desk.route(self.create)),
            web.patch(session, desk.about_call(self.patch)),
            web.delete(session, desk.about_call(self.delete)),
            # Section 4.1: there is nothing to represent, and that is no error.
            web.get(ENDPOINT, self.nothing),
            web.get(session, self.nothing),
            web.options(ENDPOINT, self.options),
            web.options(session, self.options_of_session),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Answer an offer."""
        caller = self._desk.caller(request)
        self._desk.admit(caller)
        if request.content_type != "application/sdp":
            message = "the body must be application/sdp"
            return error_response(415, "unsupported_media_type", message, _ACCEPT_POST)
        entry, answer = self._desk.begin(caller, await read_text(request), None)
        return web.Response(
            status=201,
            text=answer,
            content_type="application/sdp",
            headers={
                **CORS_HEADERS,
                **_ACCEPT_PATCH,
                "Location": f"{ENDPOINT}/{entry.call_id}",
                "ETag": entry.etag,
            },
        )

    async def patch(self, asked: Asked) -> web.Response:
        """Add candidates, or restart ICE."""
        request, entry = asked.request, asked.entry
        if request.content_type != FRAGMENT:
            message = f"the body must be {FRAGMENT}"
            return error_response(415, "unsupported_media_type", message, _ACCEPT_PATCH)
        wanted = _etags(request)
        if not wanted:
            # RFC 6585 section 3.
            message = "If-Match is needed: the ETag of the ICE session, or * for a restart"
            return error_response(428, "precondition_required", message)
        # RFC 9725 writes a restart's tag as `"*"` in its example, RFC 9110 as `*`.
        restart = bool({"*", '"*"'} & set(wanted))
        fragment = await read_text(request)
        # Now, and not before: ICE may have been restarted while the fragment arrived.
        if not restart and entry.etag not in wanted:
            return error_response(412, "precondition_failed", "this ICE session is over")
        try:
            if not restart:
                asked.handle.add_candidates(fragment)
                return web.Response(status=204, headers=CORS_HEADERS)
            ours = asked.handle.restart_ice(fragment)
        except UsageError as error:
            # Well-formed, but not now or not so; the ICE session goes on as it was.
            raise Refused(422, "unacceptable_fragment", str(error)) from None
        entry.etag = new_etag()
        logger.info("call %s: ICE restarts", entry.call_id.shown)
        return web.Response(
            status=200,
            body=ours.encode(),
            headers={**CORS_HEADERS, "Content-Type": FRAGMENT, "ETag": entry.etag},
        )

    async def delete(self, asked: Asked) -> web.Response:
        """End a call. Entity tags do not matter here."""
        self._desk.calls.hang_up(asked.entry.call_id)
        return web.Response(status=200, headers=CORS_HEADERS)

    async def nothing(self, request: web.Request) -> web.Response:
        """No content, of which there is none."""
        return web.Response(status=204, headers=CORS_HEADERS)

    async def options(self, request: web.Request) -> web.Response:
        """What may be posted, and by whom."""
        return preflight(_ACCEPT_POST, 200)

    async def options_of_session(self, request: web.Request) -> web.Response:
        """What a call's address takes."""
        return preflight(_ACCEPT_PATCH, 200)


def _etags(request: web.Request) -> list[str]:
    """The tags of If-Match as they are written; weak ones never match (RFC 9110 13.1.1)."""
    fields = request.headers.getall("If-Match", [])
    return [tag.strip() for field in fields for tag in field.split(",") if tag.strip()]
