"""The web server that the browsers under test talk to, in a thread of its own.

It serves the test page and the signals, hands out jobs, and collects events, recordings
and results. Every path that is not its own goes to `upstream`, so that the demonstration's
page can be watched by a page of the same origin.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import numpy as np
from aiohttp import web

from tests.e2e.analysis import Samples, signal

__all__ = ["Job", "Site"]

PAGE = Path(__file__).parent / "page"

# Seconds that a browser's question for work is kept open.
LONG_POLL = 20.0

WATCHER = '<script src="/e2e/watcher.js"></script>'


class Job:
    """Work for one browser, and what it has told so far. Safe to use from any thread."""

    def __init__(self, number: int, order: dict[str, Any]) -> None:
        self.order = {**order, "id": number}
        self.recordings: dict[int, Samples] = {}
        self._events: list[str] = []
        self._result: Any = None
        self._done = False
        self._changed = threading.Condition()

    def wait_for(self, event: str, timeout: float) -> None:
        """Return once the page has told `event`; TimeoutError if it takes too long."""
        self._wait(lambda: event in self._events or self._done, timeout, f"no event {event!r}")
        if event not in self._events:
            raise TimeoutError(f"no event {event!r}, but the result {self._result!r:.2000}")

    def result(self, timeout: float) -> Any:
        """The page's report; TimeoutError if it takes too long."""
        self._wait(lambda: self._done, timeout, "no result")
        return self._result

    def tell(self, event: str) -> None:
        """Called by the site."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def finish(self, result: Any) -> None:
        """Called by the site."""
        with self._changed:
            self._result, self._done = result, True
            self._changed.notify_all()

    def _wait(self, condition: Any, timeout: float, problem: str) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{problem} in {timeout} s; events: {self._events}")
                self._changed.wait(left)


class Site:
    """`with Site(listener) as site:` serves on that socket."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._numbers = itertools.count()
        self._jobs: dict[int, Job] = {}
        self._queues: dict[str, asyncio.Queue[Job | None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="site")
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        # Base of the programs under test, for paths that are not the site's own.
        self.upstream = ""
        # What else there is below /e2e/files/, by name.
        self.files: dict[str, Path] = {}
        # (method, path, status) of what went through to it.
        self.forwarded: list[tuple[str, str, int]] = []

    @property
    def url(self) -> str:
        """The site as the browsers see it."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def submit(self, browser: str, order: dict[str, Any]) -> Job:
        """Give a browser something to do."""
        job = Job(next(self._numbers), order)
        self._jobs[job.order["id"]] = job
        self._loop.call_soon_threadsafe(self._queue(browser).put_nowait, job)
        return job

    # -- The server's thread

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.add_routes(
            [
                web.get("/e2e/", self._index),
                web.get("/e2e/next", self._next),
                web.post("/e2e/event", self._event),
                web.post("/e2e/samples", self._samples),
                web.post("/e2e/result", self._result),
                web.get("/e2e/signal/{seed}/{milliseconds}", self._signal),
                web.get("/e2e/files/{name}", self._file),
                web.static("/e2e", PAGE),
                web.route("*", "/{path:.*}", self._forward),
            ]
        )
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        async with aiohttp.ClientSession() as self._client:
            await web.SockSite(runner, self._listener).start()
            self._ready.set()
            await self._stop.wait()
            for queue in self._queues.values():
                # Whoever still asks for work gets an answer.
                queue.put_nowait(None)
            await runner.cleanup()

    def _queue(self, browser: str) -> asyncio.Queue[Job | None]:
        return self._queues.setdefault(browser, asyncio.Queue())

    def _job(self, request: web.Request) -> Job:
        return self._jobs[int(request.query["job"])]

    async def _index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _next(self, request: web.Request) -> web.Response:
        queue = self._queue(request.query["browser"])
        try:
            job = await asyncio.wait_for(queue.get(), LONG_POLL)
        except TimeoutError:
            job = None
        return web.Response(status=204) if job is None else web.json_response(job.order)

    async def _event(self, request: web.Request) -> web.Response:
        self._job(request).tell(await request.text())
        return web.Response()

    async def _samples(self, request: web.Request) -> web.Response:
        samples = np.frombuffer(await request.read(), dtype="<f4")
        self._job(request).recordings[int(request.query["call"])] = samples
        return web.Response()

    async def _result(self, request: web.Request) -> web.Response:
        self._job(request).finish(json.loads(await request.text()))
        return web.Response()

    async def _signal(self, request: web.Request) -> web.Response:
        seed, milliseconds = (int(request.match_info[k]) for k in ("seed", "milliseconds"))
        samples = signal(seed, milliseconds / 1000).astype("<f4")
        return web.Response(body=samples.tobytes(), content_type="application/octet-stream")

    async def _file(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self.files[request.match_info["name"]])

    async def _forward(self, request: web.Request) -> web.Response:
        headers = {k: v for k, v in request.headers.items() if k in ("Content-Type", "Accept")}
        url = self.upstream + request.path_qs
        body = await request.read()
        async with self._client.request(request.method, url, data=body, headers=headers) as answer:
            self.forwarded.append((request.method, request.path, answer.status))
            content = await answer.read()
            if answer.content_type == "text/html":
                content = content.replace(b"<head>", b"<head>" + WATCHER.encode(), 1)
            kept = ("Content-Type", "Location")
            return web.Response(
                status=answer.status,
                body=content,
                headers={k: v for k, v in answer.headers.items() if k in kept},
            )
