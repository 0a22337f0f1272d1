"""What the programs' web server refuses, and how much it logs."""

from __future__ import annotations

import asyncio
import json
import logging
import types
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from examples.lograte import MAX_LINES, LogRate, limit_logs
from examples.webserver import MAX_PATH, _Connection, guard, keep_open


def ask(
    path: str = "/",
    headers: dict[str, str] | None = None,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None,
) -> web.Response:
    """What comes back through the guard."""

    async def fine(request: web.Request) -> web.StreamResponse:
        return web.Response(text="fine")

    async def run() -> web.StreamResponse:
        request = make_mocked_request("POST", path, headers)
        return await guard(request, handler or fine)

    response = asyncio.run(run())
    assert isinstance(response, web.Response)
    return response


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 200),
        ("/", {"Content-Encoding": "Identity"}, 200),
        ("/" + "a" * (MAX_PATH - 1), {}, 200),
        ("/" + "a" * MAX_PATH, {}, 414),
        ("/" + "%C3%A4" * (MAX_PATH // 2), {}, 414),
        ("/", {"Content-Encoding": "gzip"}, 415),
        ("/", {"Content-Encoding": "deflate"}, 415),
        ("/", {"Content-Encoding": "br"}, 415),
        ("/", {"Content-Encoding": "identity, zstd"}, 415),
        ("/", {"Content-Encoding": ""}, 415),
    ],
)
def test_guard(path: str, headers: dict[str, str], status: int) -> None:
    """Names no file can have, and bodies that are not what they weigh, reach no handler."""
    response = ask(path, headers)
    assert response.status == status
    if status != 200:
        assert response.keep_alive is False
        assert response.text is not None
        assert json.loads(response.text)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("error", [web.RequestPayloadError(), ConnectionResetError("lost")])
def test_broken_bodies_are_no_bugs(error: Exception) -> None:
    """Threat P3: what arrives is the client's doing: 400, and the connection ends."""

    async def reads(request: web.Request) -> web.StreamResponse:
        raise error

    response = ask(handler=reads)
    assert response.status == 400
    assert response.keep_alive is False


def test_bugs_stay_bugs() -> None:
    """Nothing else is taken for a client's mistake."""

    async def broken(request: web.Request) -> web.StreamResponse:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        ask(handler=broken)


def test_a_websocket_has_its_own_end() -> None:
    """A connection that is kept open loses its deadline, and nothing else does."""
    loop = asyncio.new_event_loop()
    try:
        deadlines = []
        for kept in (True, False):
            manager = web.Server(lambda request: web.Response(), loop=loop)  # type: ignore[arg-type,return-value]
            connection = _Connection(manager, set(), loop)
            deadline = connection._deadline = loop.call_later(5.0, lambda: None)
            if kept:
                keep_open(cast(web.Request, types.SimpleNamespace(protocol=connection)))
            deadlines.append(deadline.cancelled())
        assert deadlines == [True, False]
    finally:
        loop.close()
    keep_open(make_mocked_request("GET", "/"))  # of another server: nothing to do


def record(at: float) -> logging.LogRecord:
    """A record of that time."""
    made = logging.LogRecord("x", logging.ERROR, __file__, 1, "line %d", (7,), None)
    made.created = at
    return made


def test_p3_a_log_flood_is_counted() -> None:
    """Threat P3: of 100,000 lines in a second, 10 are written; the next one says so."""
    rate = LogRate()
    assert sum(rate.filter(record(100.5)) for _ in range(100_000)) == MAX_LINES
    later = record(102.0)
    assert rate.filter(later)
    assert later.getMessage() == f"{100_000 - MAX_LINES} lines were left out; then: line 7"
    after = record(102.1)
    assert rate.filter(after)
    assert after.getMessage() == "line 7"


def test_loggers_are_limited_once() -> None:
    """A second server in the process changes nothing."""
    logger = logging.getLogger("test.webserver")
    for _ in range(2):
        limit_logs(logger.name)
    assert len(logger.filters) == 1
