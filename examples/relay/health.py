"""Health and metrics over HTTP, in a process of its own.

`/livez` is 200 while the parent and every worker give signs of life. `/readyz` is 200 while all
workers run and new calls are taken. `/metrics` is for Prometheus. This process reads the memory
that the others write to, and nothing else: whatever is done to its port, packets do not wait. The
port is for the private network nevertheless.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time

from aiohttp import web

from examples.relay.counters import Board
from examples.relay.metrics import CONTENT_TYPE, exposition
from examples.webserver import WebServer

__all__ = ["LIVENESS", "is_live", "is_ready", "routes", "serve_http"]

# Seconds without a sign of life after which somebody is taken for dead; longer than the
# parent waits before it replaces a worker, so that one of them is no reason to end all.
LIVENESS = 15.0


def is_live(board: Board, now: float) -> bool:
    """True if the parent and the workers have reported lately."""
    rows = [board.parent, *board.rows]
    return all(now - row.read()["heartbeat"] / 1000 <= LIVENESS for row in rows)


def is_ready(board: Board) -> bool:
    """True if new calls are welcome."""
    parent = board.parent.read()
    reported = all(row.read()["heartbeat"] for row in board.rows)
    return reported and parent["workers"] == len(board.rows) and not parent["draining"]


def routes(board: Board) -> list[web.RouteDef]:
    """The three resources."""

    def answer(good: bool, text: str) -> web.Response:
        return web.Response(status=200 if good else 503, text=text + "\n")

    async def livez(_request: web.Request) -> web.Response:
        good = is_live(board, time.monotonic())
        return answer(good, "live" if good else "no sign of life")

    async def readyz(_request: web.Request) -> web.Response:
        good = is_ready(board)
        return answer(good, "ready" if good else "not ready")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=exposition(board), headers={"Content-Type": CONTENT_TYPE})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]


def serve_http(board: Board, sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGUSR1."""
    asyncio.run(_serve(board, sock))


async def _serve(board: Board, sock: socket.socket) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        loop.add_signal_handler(number, ended.set)
    application = web.Application()
    application.add_routes(routes(board))
    server = WebServer(application)
    await server.start(sock, None)
    try:
        await ended.wait()
    finally:
        await server.close()
