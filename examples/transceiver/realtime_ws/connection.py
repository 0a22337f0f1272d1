"""Runs a `Bridge` on a WebSocket: the backend that `--backend realtime-ws` names.

Per call one connection, made when the caller's first audio is there, and one task that
makes it, reads from it and makes it again. A second task, as long as a connection lasts,
writes; it waits for a server that takes nothing, and only it. Audio is decoded and encoded
on the event loop, a few frames at a time with room for others in between.

The key goes into one header and nowhere else: errors of the client library are reported by
their kind, since their texts may hold what was sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from socket import SHUT_RDWR
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import attrs

from examples.transceiver.backend import AudioFrame, Emit, ResponseRequest, Turn
from examples.transceiver.realtime_ws.bridge import Bridge
from examples.transceiver.realtime_ws.codec import AvCodec

__all__ = ["MAX_MESSAGE", "RealtimeWs", "Upstream"]

logger = logging.getLogger("transceiver")

# Seconds to connect, TLS and upgrade included.
CONNECT_TIMEOUT: Final = 5.0

# Bytes of a message: a minute of PCM at once, more than any server sends.
MAX_MESSAGE: Final = 4 << 20

# Seconds between two pings; a server that has not answered after half of it is gone.
HEARTBEAT: Final = 20.0

# Seconds that a server has to answer our close.
CLOSE_TIMEOUT: Final = 1.0

# Statuses that no repetition changes: the key, the model or the address is wrong.
_HOPELESS: Final = frozenset({400, 401, 403, 404})


@attrs.frozen(kw_only=True)
class Upstream:
    """The server that answers. Without `model`, a call's session names the model."""

    url: str
    key: str | None = attrs.field(repr=False, default=None)
    model: str | None = None

    def url_for(self, model: str) -> str:
        """Where to connect for a call whose client asks for `model`."""
        parts = urlsplit(self.url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if self.model or model:
            query["model"] = self.model or model
        return parts._replace(query=urlencode(query)).geturl()

    def backend(self, session: Mapping[str, Any], emit: Emit) -> RealtimeWs:
        """A `BackendFactory`."""
        return RealtimeWs(self, emit)


class RealtimeWs:
    """One call's backend."""

    def __init__(self, upstream: Upstream, emit: Emit) -> None:
        self._upstream = upstream
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self.bridge = Bridge(AvCodec(), os.urandom)
        self._wanted = asyncio.Event()
        self._writable = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        # When the task means to connect.
        self._connects_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._telling = False
        self._closed = False
        self._task = self._loop.create_task(self._run())

    # -- What the call says

    def update_session(self, session: Mapping[str, Any]) -> None:
        """Tell the server."""
        self.bridge.update_session(session, self._loop.time())
        self._settle()

    def receive_frame(self, frame: AudioFrame) -> None:
        """Keep or send it."""
        self.bridge.receive_frame(frame, self._loop.time())
        self._settle()

    def speech_started(self, audio_start_ms: int) -> None:
        """Begin to send a turn."""
        self.bridge.speech_started(audio_start_ms, self._loop.time())
        self._settle()

    def commit_turn(self, turn: Turn) -> None:
        """The turn is over."""
        self.bridge.commit_turn(turn, self._loop.time())
        self._settle()

    def create_response(self, request: ResponseRequest) -> None:
        """Ask for an answer."""
        self.bridge.create_response(request, self._loop.time())
        self._settle()

    def cancel_response(self, response_id: str) -> None:
        """Let the server stop."""
        self.bridge.cancel_response(response_id, self._loop.time())
        self._settle()

    def add_item(self, item: Mapping[str, Any], previous_item_id: str | None) -> None:
        """Tell the server."""
        self.bridge.add_item(item, previous_item_id, self._loop.time())
        self._settle()

    def delete_item(self, item_id: str) -> None:
        """Tell the server."""
        self.bridge.delete_item(item_id, self._loop.time())
        self._settle()

    def truncate_item(self, item_id: str, audio_end_ms: int) -> None:
        """Tell the server."""
        self.bridge.truncate_item(item_id, audio_end_ms, self._loop.time())
        self._settle()

    async def close(self) -> None:
        """End the connection and the tasks."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])
        outgoing = self.bridge.outgoing
        if outgoing.dropped or self.bridge.malformed:
            logger.warning(
                "backend: %d frames were too many for the server, %d of its messages unreadable",
                outgoing.dropped,
                self.bridge.malformed,
            )

    # -- What comes of it

    def _settle(self) -> None:
        """Do what is wanted after whatever happened."""
        if self._closed:
            return
        bridge = self.bridge
        if not self._telling:
            # What is told may lead to more to tell.
            self._telling = True
            try:
                while events := bridge.next_events():
                    for event in events:
                        self._emit(event)
            finally:
                self._telling = False
        self._writable.set()
        if bridge.retry.at != self._connects_at:
            self._wanted.set()
        if bridge.outgoing.overflown and self._reader is not None:
            # It takes too little: what waits cannot be left out.
            self._reader.cancel()
        self._arm()

    def _arm(self) -> None:
        at = self.bridge.get_timer()
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        at, self._timer, self._timer_at = self._timer_at, None, None
        now = self._loop.time()
        # Event loops wake a hair early.
        self.bridge.handle_timer(now if at is None else max(now, at))
        self._settle()

    # -- The connection

    async def _run(self) -> None:
        while True:
            await self._until_wanted()
            reason, hopeless = await self._connect()
            logger.warning("backend: %s", reason)
            self.bridge.lost(reason, self._loop.time(), hopeless=hopeless)
            self._settle()

    async def _until_wanted(self) -> None:
        while True:
            self._wanted.clear()
            at, now = self.bridge.retry.at, self._loop.time()
            self._connects_at = at
            if at is not None and at <= now:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout_at(at):
                    await self._wanted.wait()

    async def _connect(self) -> tuple[str, bool]:
        """One connection, from the attempt to its end: why it ended, and whether for good."""
        bridge, upstream = self.bridge, self._upstream
        bridge.retry.begun(self._loop.time())
        headers = {"Authorization": f"Bearer {upstream.key}"} if upstream.key else {}
        try:
            # No environment, no cookies: what is sent is what is set here.
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    socket = await client.ws_connect(
                        upstream.url_for(bridge.model),
                        headers=headers,
                        max_msg_size=MAX_MESSAGE,
                        heartbeat=HEARTBEAT,
                        timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
                        compress=0,
                    )
                try:
                    await self._converse(socket)
                finally:
                    await _close(socket)
        except aiohttp.WSServerHandshakeError as error:
            reason = f"the backend's server refuses the connection: HTTP {error.status}"
            return reason, error.status in _HOPELESS
        except TimeoutError:
            return "the backend's server does not answer", False
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"the backend's server cannot be reached: {type(error).__name__}", False
        except Exception:
            # Of this program; the next connection may fare better.
            logger.exception("backend: the connection failed")
            return "the connection to the backend's server failed", False
        return "the connection to the backend's server is lost", False

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.bridge.opened(self._loop.time())
        reader = self._reader = self._loop.create_task(self._read(socket))
        writer = self._loop.create_task(self._write(socket))
        self._settle()
        try:
            await asyncio.wait([reader, writer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._reader = None
            reader.cancel()
            writer.cancel()
            await asyncio.wait([reader, writer])
        for task in (reader, writer):
            if not task.cancelled():
                task.result()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        bridge, loop = self.bridge, self._loop
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                bridge.receive(message.data, loop.time())
                while bridge.work(loop.time()):
                    self._settle()
                    await asyncio.sleep(0)
                self._settle()

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            text = self.bridge.next_message()
            if text is None:
                self._writable.clear()
                await self._writable.wait()
                continue
            # Waits while the server takes nothing.
            await socket.send_str(text)
            await asyncio.sleep(0)


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Say goodbye, without waiting for a server that does not listen."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await socket.close()
    except TimeoutError:
        raw = socket.get_extra_info("socket")
        if raw is not None:
            with suppress(OSError):
                raw.shutdown(SHUT_RDWR)
