"""A small server of the Realtime WebSocket protocol: it says again what it was told.

Turns are the client's: audio is appended and committed, a response is what was committed
last, in pieces of `PIECE`. With tools in the session, the response to a turn calls the first
of them, and the response to its output says that output. Every event that came is kept.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

from aiohttp import WSMsgType, web

__all__ = ["PIECE", "RealtimeServer"]

# Bytes of audio in one event: 200 ms of PCM.
PIECE = 9_600

Event = dict[str, Any]


class RealtimeServer:
    """`async with RealtimeServer() as server:` serves at `server.url`.

    Started again it is at the same one. `key` is what a client has to have. `hold` stops
    responses after so many pieces, until they are cancelled or the connection ends. While
    `hears` is not set it reads nothing.
    """

    def __init__(self, *, key: str | None = None, hold: int | None = None) -> None:
        self.events: list[Event] = []
        self.connections = 0
        self.paths: list[str] = []
        self.hold = hold
        self.hears = asyncio.Event()
        self.hears.set()
        # What was committed, in order.
        self.turns: list[bytes] = []
        self._key = key
        self._numbers = itertools.count(1)
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._transports: set[asyncio.Transport] = set()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self._port}/v1/realtime"

    @property
    def open(self) -> int:
        """Connections there are."""
        return len(self._transports)

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/v1/realtime", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What a client may send to a server that does not read is little.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        listener.bind(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        await web.SockSite(self._runner, listener).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        if self._runner is not None:
            await self._runner.cleanup()

    def kill(self) -> None:
        """End every connection, without a word."""
        for transport in list(self._transports):
            transport.abort()

    def of(self, kind: str) -> list[Event]:
        """The events of one type that came, in order."""
        return [event for event in self.events if event["type"] == kind]

    async def send(self, text: str) -> None:
        """Say anything at all to every client."""
        for line in list(self._sockets):
            # It may be too much for them.
            with suppress(ConnectionError):
                await line.send_str(text)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path_qs)
        if self._key and request.headers.get("Authorization") != f"Bearer {self._key}":
            return web.Response(status=401)
        line = web.WebSocketResponse(max_msg_size=16 << 20)
        await line.prepare(request)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        self.connections += 1
        self._sockets.add(line)
        self._transports.add(transport)
        session = _Session(self, line, self._numbers)
        try:
            await session.begin()
            async for message in line:
                if message.type is WSMsgType.TEXT:
                    event = json.loads(message.data)
                    self.events.append(event)
                    await session.receive(event)
                while not self.hears.is_set():
                    await self.hears.wait()
        except ConnectionError:
            pass  # killed
        finally:
            session.end()
            self._sockets.discard(line)
            self._transports.discard(transport)
        return line


class _Session:
    """One connection."""

    def __init__(
        self, server: RealtimeServer, line: web.WebSocketResponse, numbers: Iterator[int]
    ) -> None:
        self._server = server
        self._line = line
        self._numbers = numbers
        self._session: Event = {
            "type": "realtime",
            "object": "realtime.session",
            "id": self._id("sess"),
            "model": "repeater",
            "output_modalities": ["audio"],
            "instructions": "",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "turn_detection": {"type": "server_vad"},
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"},
            },
            "tools": [],
        }
        self._buffer = bytearray()
        self._turn = b""
        self._items: list[Event] = []
        self._responding: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Greet."""
        await self._say("session.created", session=self._session)

    def end(self) -> None:
        """Stop."""
        if self._responding is not None:
            self._responding.cancel()

    async def receive(self, event: Event) -> None:
        """Do what a client wants."""
        match event["type"]:
            case "session.update":
                self._update(event["session"])
                await self._say("session.updated", session=self._session)
            case "input_audio_buffer.append":
                self._buffer += base64.b64decode(event["audio"])
            case "input_audio_buffer.clear":
                self._buffer.clear()
                await self._say("input_audio_buffer.cleared")
            case "input_audio_buffer.commit":
                await self._commit(event)
            case "conversation.item.create":
                await self._add(event["item"])
            case "conversation.item.delete":
                await self._say("conversation.item.deleted", item_id=event["item_id"])
            case "conversation.item.truncate":
                fields = {
                    name: event[name] for name in ("item_id", "content_index", "audio_end_ms")
                }
                await self._say("conversation.item.truncated", **fields)
            case "response.create":
                if self._responding is not None and not self._responding.done():
                    await self._error(event, "conversation_already_has_active_response")
                else:
                    self._responding = asyncio.create_task(self._respond(event))
            case "response.cancel":
                if self._responding is None or self._responding.done():
                    await self._error(event, "response_cancel_not_active")
                else:
                    self._responding.cancel()
            case _:
                await self._error(event, "unknown_event")

    def _update(self, change: Event) -> None:
        audio = {
            side: {**self._session["audio"][side], **change.get("audio", {}).get(side, {})}
            for side in ("input", "output")
        }
        self._session = {**self._session, **change, "audio": audio}

    async def _commit(self, event: Event) -> None:
        if len(self._buffer) < self._rate * self._width // 10:
            await self._error(event, "input_audio_buffer_commit_empty")
            return
        self._turn, item_id = bytes(self._buffer), self._id("item")
        self._server.turns.append(self._turn)
        self._buffer.clear()
        await self._say("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        part = {"type": "input_audio", "transcript": None}
        await self._add({"id": item_id, "type": "message", "role": "user", "content": [part]})
        if self._session["audio"]["input"].get("transcription"):
            await self._say(
                "conversation.item.input_audio_transcription.completed",
                item_id=item_id,
                content_index=0,
                transcript=f"{len(self._turn)} bytes",
                usage={"type": "duration", "seconds": 1},
            )

    async def _add(self, item: Event) -> None:
        self._items.append(item)
        await self._say("conversation.item.added", item=item, previous_item_id=None)

    async def _respond(self, event: Event) -> None:
        response: Event = {
            "id": self._id("resp"),
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "usage": None,
            "audio": {"output": self._session["audio"]["output"]},
            "output_modalities": ["audio"],
        }
        await self._say("response.created", response=response)
        status = "completed"
        try:
            last = self._items[-1] if self._items else {}
            if self._session["tools"] and last.get("type") != "function_call_output":
                await self._call(response)
            else:
                await self._speak(response, last.get("output") or "I repeat.")
        except asyncio.CancelledError:
            status = "cancelled"
        usage = {"total_tokens": 7, "input_tokens": 3, "output_tokens": 4}
        await self._say("response.done", response={**response, "status": status, "usage": usage})

    async def _call(self, response: Event) -> None:
        item = {
            "id": self._id("item"),
            "object": "realtime.item",
            "type": "function_call",
            "status": "completed",
            "call_id": self._id("call"),
            "name": self._session["tools"][0]["name"],
            "arguments": '{"city":"Paris"}',
        }
        self._items.append(item)
        where = {"response_id": response["id"], "output_index": 0}
        await self._say("response.output_item.added", **where, item={**item, "arguments": ""})
        await self._say("response.output_item.done", **where, item=item)

    async def _speak(self, response: Event, words: str) -> None:
        item: Event = {
            "id": self._id("item"),
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        self._items.append(item)
        where = {"response_id": response["id"], "output_index": 0}
        part = {**where, "item_id": item["id"], "content_index": 0}
        await self._say("response.output_item.added", **where, item=item)
        await self._say("response.output_audio_transcript.delta", **part, delta=words)
        for number, start in enumerate(range(0, len(self._turn), PIECE)):
            if number == self._server.hold:
                await asyncio.Event().wait()
            piece = base64.b64encode(self._turn[start : start + PIECE]).decode()
            await self._say("response.output_audio.delta", **part, delta=piece)
        await self._say("response.output_audio.done", **part)
        await self._say("response.output_item.done", **where, item={**item, "status": "completed"})

    @property
    def _rate(self) -> int:
        return 24000 if self._width == 2 else 8000

    @property
    def _width(self) -> int:
        return 2 if self._session["audio"]["input"]["format"]["type"] == "audio/pcm" else 1

    async def _error(self, event: Event, code: str) -> None:
        error = {
            "type": "invalid_request_error",
            "code": code,
            "message": f"{event['type']}: {code}",
            "param": None,
            "event_id": event.get("event_id"),
        }
        await self._say("error", error=error)

    async def _say(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": self._id("event"), **fields}
        await self._line.send_str(json.dumps(event))

    def _id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"
