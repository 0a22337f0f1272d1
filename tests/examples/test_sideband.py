"""What a side band is to hear, and who is refused before one begins."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from examples.transceiver import sideband
from examples.transceiver.ports import Over, why_over
from examples.transceiver.sideband import MAX_QUEUED, MAX_QUEUED_BYTES, Line
from rtcproto.events import CloseReason
from tests.support.desk import Bench, error_of

UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Protocol": "realtime"}


def heard(line: Line) -> list[str]:
    """Everything there is to hear of a line that has ended."""

    async def read() -> list[str]:
        texts = []
        while (text := await line.next()) is not None:
            texts.append(text)
        return texts

    return asyncio.run(read())


def test_in_order_and_to_the_end() -> None:
    """Every event, then why the call is over, then nothing, whatever else is said."""
    line = Line()
    for number in range(100):
        line.hear(str(number))
    line.over(Over.CONNECTION_LOST, "the peer stopped answering")
    line.hear("late")
    line.over(Over.ERROR, "late")
    texts = heard(line)
    assert texts[:-1] == [str(number) for number in range(100)]
    last = json.loads(texts[-1])
    assert last.pop("event_id").startswith("event_")
    assert last == {
        "type": "session.closed",
        "reason": "connection_lost",
        "message": "the peer stopped answering",
    }
    assert line.ended == (1000, "connection_lost")


@pytest.mark.parametrize(
    ("text", "fits"),
    [("x", MAX_QUEUED), ("x" * (1 << 20), MAX_QUEUED_BYTES >> 20)],
    ids=["count", "bytes"],
)
def test_slow_readers_are_dropped(text: str, fits: int) -> None:
    """One event more than may wait: all are dropped, and the line ends with "try again"."""
    line = Line()
    for _ in range(fits):
        line.hear(text)
        assert line.ended is None
    line.hear(text)
    assert line.ended == (1013, "too slow")
    line.hear(text)
    assert heard(line) == []


def test_readers_that_keep_up_stay() -> None:
    """What was read does not count."""

    async def run() -> None:
        line = Line()
        for _ in range(5 * MAX_QUEUED):
            line.hear("x" * 5000)
            assert await line.next() == "x" * 5000
        assert line.ended is None

    asyncio.run(run())


def test_a_reader_waits() -> None:
    """It is told when there is something, and when there is nothing any more."""

    async def run() -> list[str | None]:
        line = Line()
        waiting = asyncio.create_task(line.next())
        await asyncio.sleep(0)
        line.hear("a")
        first = await waiting
        waiting = asyncio.create_task(line.next())
        await asyncio.sleep(0)
        line.over(Over.EXPIRED, "")
        last = await waiting
        return [first, last, await line.next()]

    first, last, end = asyncio.run(run())
    assert first == "a"
    assert last is not None
    assert json.loads(last)["reason"] == "expired"
    assert end is None


def test_every_reason_has_a_word() -> None:
    """What the library says at the end of a session, for programs."""
    words = {reason: why_over(reason) for reason in CloseReason}
    assert words[CloseReason.LOCAL] is Over.CLOSE_REQUESTED
    assert words[CloseReason.PEER] is Over.REMOTE_HANGUP
    assert words[CloseReason.CONSENT_EXPIRED] is Over.CONNECTION_LOST
    assert words[CloseReason.NO_CHECK] is Over.CONNECTION_LOST
    assert words[CloseReason.HANDSHAKE_FAILED] is Over.ERROR


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", UPGRADE, 400, "missing_call_id"),
        ("?model=m", UPGRADE, 400, "missing_call_id"),
        ("?call_id=x", UPGRADE, 404, "no_such_call"),
        ("?call_id=rtc_0.1.0.abc", UPGRADE, 404, "no_such_call"),
        ("?call_id=x", {}, 426, "upgrade_required"),
        (
            "?call_id=x",
            {**UPGRADE, "Sec-WebSocket-Protocol": "openai-insecure-api-key.x, other"},
            400,
            "unsupported_subprotocol",
        ),
    ],
)
def test_no_side_band(query: str, headers: dict[str, str], status: int, code: str) -> None:
    """What is not asked for rightly is refused before the upgrade."""
    response = Bench().ask("GET", "/v1/realtime" + query, headers=headers)
    assert response.status == status
    assert error_of(response)["code"] == code


class PaperSocket(web.Response):
    """A WebSocket that notes what is sent, and says what it is given until it is closed."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.ended: tuple[int, bytes] | None = None
        self._said = said
        self._end = asyncio.Event()

    async def send_str(self, text: str) -> None:
        """Note it."""
        self.sent.append(text)

    async def close(self, code: int, message: bytes) -> None:
        """Note it."""
        self.ended = (code, message)
        self._end.set()

    async def __aiter__(self) -> AsyncIterator[aiohttp.WSMessage]:
        for text in self._said:
            yield aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None)
        await self._end.wait()


def test_a_call_that_ends_while_a_side_band_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, though the WebSocket came later; what it says is not lost on the way."""
    bench = Bench()
    call_id = bench.offer().headers["Location"].rpartition("/")[2]
    [call] = bench.calls.calls.values()
    made: list[PaperSocket] = []

    async def open_socket(request: web.Request) -> PaperSocket:
        [listener] = call.listeners
        listener.hear("first")
        listener.over(Over.REMOTE_HANGUP, "")
        made.append(PaperSocket(["said"]))
        return made[-1]

    monkeypatch.setattr(sideband, "open_socket", open_socket)
    socket = bench.ask("GET", f"/v1/realtime?call_id={call_id}", headers=UPGRADE)
    assert isinstance(socket, PaperSocket)
    assert made == [socket]
    assert socket.sent[0] == "first"
    assert json.loads(socket.sent[1])["reason"] == "remote_hangup"
    assert socket.ended == (1000, b"remote_hangup")
    assert call.received == ["said"]
    assert call.listeners == []


@pytest.mark.parametrize("limit", ["MAX_PER_CALL", "MAX_SIDE_BANDS"])
def test_side_bands_have_a_cap(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Of one call, and of all."""
    monkeypatch.setattr(sideband, limit, 0)
    bench = Bench()
    call_id = bench.offer().headers["Location"].rpartition("/")[2]
    response = bench.ask("GET", f"/v1/realtime?call_id={call_id}", headers=UPGRADE)
    assert response.status == 429
