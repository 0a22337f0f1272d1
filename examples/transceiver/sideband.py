"""The side band of a call: a WebSocket that hears and says what the data channel does.

`GET /v1/realtime?call_id=ID` with an API key. Every server event of the call goes out as
one text message; every message that comes in is a client event. Audio does not travel
here. When the call is over the last event is `session.closed` with a `reason` (a word,
`ports.Over`) and a `message` (for people), and the WebSocket ends with 1000.

Limits: messages of `sockets.MAX_MESSAGE` bytes (1009 beyond), `MAX_PER_CALL` side bands of a call
and `MAX_SIDE_BANDS` in all, and `MAX_QUEUED` events or `MAX_QUEUED_BYTES` that wait for
a slow reader: it is dropped with 1013 then, as events with gaps between them are worth
nothing. One that does not answer a ping is gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import deque

import aiohttp
from aiohttp import web

from examples.transceiver.callid import CallId
from examples.transceiver.desk import Asked, Desk
from examples.transceiver.ports import Over
from examples.transceiver.responses import error_response, no_such_call
from examples.transceiver.sockets import check_upgrade, open_socket, until_first

__all__ = ["MAX_PER_CALL", "MAX_QUEUED", "MAX_QUEUED_BYTES", "MAX_SIDE_BANDS", "Line", "SideBand"]

logger = logging.getLogger("transceiver")

# Side bands of one call, and of all: an eighth of the connections that the server takes.
MAX_PER_CALL = 8
MAX_SIDE_BANDS = 64

# What may wait for one reader: some minutes of a talkative call.
MAX_QUEUED = 1000
MAX_QUEUED_BYTES = 4 << 20


class Line:
    """What one side band is to hear, in order. A `ports.Listener`.

    `ended` is the code and reason that the WebSocket is to end with, once it is.
    """

    def __init__(self) -> None:
        self.ended: tuple[int, str] | None = None
        self._texts: deque[str] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()

    def hear(self, text: str) -> None:
        """Queue one event; too many of them end the line."""
        if self.ended is not None:
            return
        self._texts.append(text)
        # In memory; on the wire it may be up to four times as much.
        self._bytes += len(text)
        if len(self._texts) > MAX_QUEUED or self._bytes > MAX_QUEUED_BYTES:
            self._texts.clear()
            self._bytes = 0
            self.ended = (aiohttp.WSCloseCode.TRY_AGAIN_LATER, "too slow")
        self._wake.set()

    def over(self, why: Over, detail: str) -> None:
        """Queue the last event."""
        self.hear(
            json.dumps(
                {
                    "type": "session.closed",
                    "event_id": f"event_{secrets.token_hex(10)}",
                    "reason": why.value,
                    "message": detail,
                }
            )
        )
        if self.ended is None:
            self.ended = (aiohttp.WSCloseCode.OK, why.value)

    async def next(self) -> str | None:
        """The next event; None when there is none to come."""
        while not self._texts:
            if self.ended is not None:
                return None
            self._wake.clear()
            await self._wake.wait()
        text = self._texts.popleft()
        self._bytes -= len(text)
        return text


class SideBand:
    """The route of side bands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lines: dict[CallId, int] = {}

    def routes(self) -> list[web.RouteDef]:
        """What to add to an aiohttp application."""
        return [web.get("/v1/realtime", self._desk.route(self.attach), allow_head=False)]

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """Serve one side band, as long as it or its call lives. Raises Unauthorised."""
        desk = self._desk
        caller = desk.caller(request)
        if not caller.full:
            return error_response(403, "not_allowed", "a side band needs an API key")
        name = request.query.get("call_id")
        if name is None:
            message = "call_id is missing: calls begin with POST /v1/realtime/calls"
            return error_response(400, "missing_call_id", message, param="call_id")
        check_upgrade(request)
        asked = desk.locate(request, caller, name)
        if asked is None:
            return no_such_call()
        call_id = asked if isinstance(asked, CallId) else asked.entry.call_id
        taken = self._lines.get(call_id, 0)
        if taken >= MAX_PER_CALL or sum(self._lines.values()) >= MAX_SIDE_BANDS:
            return error_response(429, "rate_limit_exceeded", "there are too many side bands")
        self._lines[call_id] = taken + 1
        try:
            if isinstance(asked, CallId):
                return await desk.owners.forward_socket(request, asked)
            return await _serve(asked)
        finally:
            left = self._lines[call_id] - 1
            if left:
                self._lines[call_id] = left
            else:
                del self._lines[call_id]


async def _serve(asked: Asked) -> web.WebSocketResponse:
    line, shown = Line(), asked.entry.call_id.shown
    # Before anything is awaited: the call may be over when the WebSocket is there.
    asked.handle.attach(line)
    try:
        socket = await open_socket(asked.request)
        logger.info("call %s: a side band joined", shown)
        await until_first(_write(line, socket), _read(asked, socket))
        if line.ended is not None:
            code, reason = line.ended
            await socket.close(code=code, message=reason.encode())
        logger.info("call %s: a side band left", shown)
    finally:
        asked.handle.detach(line)
    return socket


async def _read(asked: Asked, socket: web.WebSocketResponse) -> None:
    async for incoming in socket:
        if incoming.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            asked.handle.receive_event(incoming.data)


async def _write(line: Line, socket: web.WebSocketResponse) -> None:
    try:
        while (text := await line.next()) is not None:
            await socket.send_str(text)
    except ConnectionError:
        pass  # it left; the reader notices as well
