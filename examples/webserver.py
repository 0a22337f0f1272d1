"""An aiohttp application on a TCP port that anybody may connect to.

aiohttp leaves alone a client that connects and says nothing, or reads nothing. Here
every state of a connection has a deadline, there is a cap on connections, bodies are
taken as they are (nothing is inflated, so a small body is a small body), and what a
client does wrong is no traceback and a bounded number of log lines.

A production version would add: quotas per client. Whoever opens connections faster
than their deadlines pass can still fill the cap.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from examples.lograte import limit_logs
from examples.transceiver.responses import error_response

__all__ = [
    "HEAD_TIMEOUT",
    "KEEP_ALIVE_TIMEOUT",
    "LIFETIME",
    "MAX_CONNECTIONS",
    "MAX_PATH",
    "WebServer",
    "guard",
    "keep_open",
]

# Seconds in which a new connection must have brought the head of a request.
HEAD_TIMEOUT = 5.0

# Seconds between two requests of a connection; more than the 15 s for which aiohttp's
# client, the front door's, keeps one, so that it never posts into a connection that ends.
KEEP_ALIVE_TIMEOUT = 20.0

# Seconds after which a connection ends whatever it does: one that takes a response a
# byte at a time has no other deadline. The last request is told to be the last.
LIFETIME = 60.0

# Seconds in which the rest of a refused body is read and thrown away, so that the
# refusal is not lost in a reset.
LINGERING_TIME = 2.0

# Connections at once, and never more than half of the files that the process may open:
# half of the usual 1,024. Beyond that, new ones are closed at once.
MAX_CONNECTIONS = 512

# Seconds that open connections have to finish at the end.
SHUTDOWN_TIMEOUT = 1.0

# Bytes of a request's path. Ours are shorter, and no file's name may be longer.
MAX_PATH = 200

# What a client does, not a bug: a head or a body that is not HTTP, or a connection lost.
_CLIENT_ERRORS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Connection(web.RequestHandler):
    """One connection; `peers` are those that are open."""

    __slots__ = ("_deadline", "_head_arrived", "_made", "_peers")

    def __init__(
        self, manager: web.Server, peers: set[_Connection], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(
            manager,
            loop=loop,
            # There is no access log, which is what None says.
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=KEEP_ALIVE_TIMEOUT,
            lingering_time=LINGERING_TIME,
            auto_decompress=False,
        )
        self._peers = peers
        self._deadline: asyncio.TimerHandle | None = None
        self._made = 0.0
        self._head_arrived = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or end at once where there are too many."""
        assert isinstance(transport, asyncio.Transport)
        if len(self._peers) >= _room():
            transport.abort()
            return
        self._peers.add(self)
        self._made = self._loop.time()
        self._deadline = self._loop.call_later(HEAD_TIMEOUT, self._expire, transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._peers.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def request_began(self) -> bool:
        """Note that a head arrived; False if no other request fits into the lifetime."""
        self._head_arrived = True
        return self._loop.time() < self._made + LIFETIME - KEEP_ALIVE_TIMEOUT

    def keep_open(self) -> None:
        """Take the deadline away: whoever asks sees to it that the connection ends."""
        if self._deadline is not None:
            self._deadline.cancel()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log bugs; clients' mistakes are theirs."""
        if not isinstance(kw.get("exc_info"), _CLIENT_ERRORS):
            super().log_exception(*args, **kw)

    def _expire(self, transport: asyncio.Transport) -> None:
        now, end = self._loop.time(), self._made + LIFETIME
        if self._head_arrived and now < end:
            self._deadline = self._loop.call_at(end, self._expire, transport)
        else:
            transport.abort()


def keep_open(request: web.Request) -> None:
    """Let the connection of a WebSocket live as long as its handler, beyond `LIFETIME`."""
    if isinstance(request.protocol, _Connection):
        request.protocol.keep_open()


def _room() -> int:
    """Connections that may be open now."""
    files = os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else -1
    return MAX_CONNECTIONS if files < 0 else min(MAX_CONNECTIONS, files // 2)


@web.middleware
async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse what no handler should see; keep the deadlines of the connection."""
    connection = request.protocol
    more = not isinstance(connection, _Connection) or connection.request_began()
    try:
        response = _refusal(request) or await handler(request)
    except web.HTTPException as error:
        if not more:
            error.force_close()
        raise
    except _CLIENT_ERRORS:
        response = _last(error_response(400, "malformed_body", "the body cannot be read"))
    return response if more else _last(response)


def _refusal(request: web.Request) -> web.StreamResponse | None:
    if len(request.path.encode(errors="replace")) > MAX_PATH:
        return _last(error_response(414, "path_too_long", f"more than {MAX_PATH} bytes"))
    coding = ", ".join(request.headers.getall("Content-Encoding", ("identity",)))
    if coding.strip().lower() != "identity":
        message = "bodies are taken as they are, without Content-Encoding"
        return _last(error_response(415, "unsupported_content_encoding", message))
    return None


def _last(response: web.StreamResponse) -> web.StreamResponse:
    response.force_close()
    return response


class WebServer:
    """Serves `application` from `start` to `close`; adds `guard` to its middlewares."""

    def __init__(self, application: web.Application) -> None:
        application.middlewares.append(guard)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT
        )
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """Listen on a bound socket. Raises OSError."""
        limit_logs("aiohttp.server", "asyncio")
        await self._runner.setup()
        manager = self._runner.server
        assert manager is not None
        loop = asyncio.get_running_loop()
        peers: set[_Connection] = set()
        self._server = await loop.create_server(
            lambda: _Connection(manager, peers, loop),
            sock=sock,
            ssl=context,
            ssl_handshake_timeout=None if context is None else HEAD_TIMEOUT,
        )

    async def close(self) -> None:
        """Stop listening; end what is open. No effect if nothing was started."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
