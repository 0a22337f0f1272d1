"""The HTTP side of the transceiver over real sockets: abuse, side bands, owners, the end."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from examples import webserver
from examples.transceiver import bodies, sockets
from examples.transceiver.callid import CallId
from examples.transceiver.whip import FRAGMENT
from rtcproto import EndpointConfig, Identity, SessionConfig
from rtcproto.asyncio import Call, open_endpoint
from rtcproto.events import Connected
from rtcproto.sdp import MAX_BYTES
from tests.e2e.house import HOST, KEYS, House, client, round_robin
from tests.e2e.programs import free_port
from tests.e2e.test_programs import offer

pytestmark = pytest.mark.live

CALLS = "/v1/realtime/calls"
SDP = {"Content-Type": "application/sdp"}
HEAD = f"POST {CALLS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n"
TOKEN = f"Authorization: Bearer {KEYS[0]}\r\n"

# Seconds until something that is under way must have happened, on a busy machine.
PATIENCE = 30.0


async def post(
    session: aiohttp.ClientSession, url: str, path: str = CALLS
) -> aiohttp.ClientResponse:
    """An offer, and what is answered; the body was read."""
    async with session.post(url + path, data=offer(), headers=SDP) as response:
        await response.read()
        return response


async def until(condition: Any) -> None:
    """Return when `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


# -- Abuse


def test_h4_without_a_token(tmp_path: Path) -> None:
    """Threat H4: 10,000 POST without a token: 401 each, and no session."""
    each, connections = 500, 20

    async def flood(address: tuple[str, int]) -> int:
        reader, writer = await asyncio.open_connection(*address)
        request = f"{HEAD}Content-Length: 5\r\n\r\nv=0\r\n".encode()
        refused = 0
        for _ in range(each // 50):
            writer.write(request * 50)
            for _ in range(50):
                head = await reader.readuntil(b"\r\n\r\n")
                refused += head.startswith(b"HTTP/1.1 401 ")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                await reader.readexactly(int(length))
        writer.close()
        return refused

    async def run() -> tuple[int, int]:
        async with House(tmp_path) as house:
            refused = await asyncio.gather(*(flood(house.http) for _ in range(connections)))
            return sum(refused), house.sessions

    assert asyncio.run(run()) == (10_000, 0)


@pytest.mark.parametrize(
    ("head", "sent", "status"),
    [
        (HEAD + TOKEN + f"Content-Length: {5 << 20}\r\n\r\n", 0, 413),
        (HEAD + TOKEN + f"Content-Length: {5 << 20}\r\n\r\n", MAX_BYTES, 413),
        (
            HEAD.replace("sdp", "json") + TOKEN + f"Content-Length: {5 << 20}\r\n\r\n",
            MAX_BYTES,
            413,
        ),
        (HEAD + TOKEN + "Transfer-Encoding: chunked\r\n\r\n500000\r\n", MAX_BYTES + 1, 413),
        (HEAD + f"Content-Length: {5 << 20}\r\n\r\n", 0, 401),
        (HEAD + "Transfer-Encoding: chunked\r\n\r\n500000\r\n", 0, 401),
    ],
    ids=["length", "length-and-some", "json", "chunked", "no-token", "no-token-chunked"],
)
def test_h4_five_megabytes(tmp_path: Path, head: str, sent: int, status: int) -> None:
    """Threat H4: 413 (or 401) when no more than 64 KiB of 5 MiB were sent, or none at all."""

    async def run() -> bytes:
        async with House(tmp_path) as house:
            reader, writer = await asyncio.open_connection(*house.http)
            writer.write(head.encode() + b"a" * sent)
            # Nothing more is sent: an answer that comes was not waiting for it.
            async with asyncio.timeout(PATIENCE):
                line = await reader.readline()
            writer.close()
            assert house.sessions == 0
            return line

    assert asyncio.run(run()).split()[1] == str(status).encode()


def test_h4_slow_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat H4: 200 bodies that do not come: others are answered meanwhile; then 408 each."""
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 3.0)

    async def run() -> tuple[list[int], int, int]:
        async with House(tmp_path) as house, client() as session:
            slow = []
            for _ in range(200):
                reader, writer = await asyncio.open_connection(*house.http)
                writer.write(f"{HEAD}{TOKEN}Content-Length: 500\r\n\r\nv".encode())
                slow.append((reader, writer))
            answered = [(await post(session, house.url)).status for _ in range(20)]
            # None of the slow ones has been answered yet, so these did not wait for them.
            waiting = sum(not reader._buffer for reader, _ in slow)  # type: ignore[attr-defined]
            async with asyncio.timeout(PATIENCE):
                lines = [await reader.readline() for reader, _ in slow]
            for _, writer in slow:
                writer.close()
            return answered, waiting, sum(b" 408 " in line for line in lines)

    answered, waiting, timed_out = asyncio.run(run())
    assert answered == [201] * 20
    assert waiting == 200
    assert timed_out == 200


def test_h4_one_call_too_many(tmp_path: Path) -> None:
    """Threat H4: N calls per token, then 429; a call that was hung up makes room."""

    async def run() -> list[int]:
        async with House(tmp_path, "--max-calls-per-key=3") as house, client() as session:
            answers = [await post(session, house.url) for _ in range(4)]
            location = house.url + answers[0].headers["Location"]
            async with session.post(location + "/hangup") as ended:
                statuses = [answer.status for answer in answers] + [ended.status]
            await until(lambda: house.sessions == 2)
            return [*statuses, (await post(session, house.url)).status]

    assert asyncio.run(run()) == [201, 201, 201, 429, 200, 201]


# -- Side bands


@asynccontextmanager
async def call_of(session: aiohttp.ClientSession, url: str) -> AsyncIterator[tuple[Call, str]]:
    """A connected call of a client of our own, and its id."""
    config = SessionConfig(
        identity=Identity.generate(time.time()),
        addresses=((HOST, 0),),
        ice_lite=False,
        allow_loopback=True,
    )
    async with await open_endpoint(EndpointConfig(session=config), (HOST, 0)) as driver:
        call, sdp = driver.create_offer()
        async with session.post(url + CALLS, data=sdp, headers=SDP) as response:
            assert response.status == 201
            call.accept_answer(await response.text())
        async with asyncio.timeout(PATIENCE):
            async for event in call:
                if isinstance(event, Connected):
                    break
        yield call, response.headers["Location"].rpartition("/")[2]


async def last_of(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """The last event of a side band that ends."""
    last: dict[str, Any] = {}
    async with asyncio.timeout(PATIENCE):
        async for message in socket:
            last = json.loads(message.data)
    return last


def test_the_side_band_hears_that_the_browser_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last event says so; the side band lives longer than other connections may.

    The key comes as a subprotocol, as browsers send it. Threat K2: no library logs it.
    """
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        async with House(tmp_path) as house, client() as session, client(None) as page:
            async with call_of(session, house.url) as (call, call_id):
                side_band = await page.ws_connect(
                    f"{house.url}/v1/realtime?call_id={call_id}",
                    protocols=("realtime", f"openai-insecure-api-key.{KEYS[0]}"),
                )
                assert side_band.protocol == "realtime"
                # Some deadlines of ordinary connections pass.
                await asyncio.sleep(0.6)
                await side_band.send_str('{"type": "session.update"}')
                call.close()
                last = await last_of(side_band)
            assert last["type"] == "session.closed"
            assert last["reason"] == "remote_hangup"
            assert side_band.close_code == 1000

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webserver, "HEAD_TIMEOUT", 0.1)
        patch.setattr(webserver, "LIFETIME", 0.3)
        patch.setattr(webserver, "KEEP_ALIVE_TIMEOUT", 0.1)
        asyncio.run(run())
    assert "a side band joined" in caplog.text
    assert KEYS[0] not in caplog.text


def test_k2_a_key_among_strange_subprotocols(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Threat K2: without the subprotocol `realtime` there is no side band, and no log line."""
    caplog.set_level(logging.DEBUG)

    async def run() -> int:
        async with House(tmp_path) as house, client() as session:
            location = (await post(session, house.url)).headers["Location"]
            url = f"{house.url}/v1/realtime?call_id={location.rpartition('/')[2]}"
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url, protocols=(f"openai-insecure-api-key.{KEYS[0]}",))
            return caught.value.status

    assert asyncio.run(run()) == 400
    assert KEYS[0] not in caplog.text


@pytest.mark.parametrize("limit", [15 << 20, 60_000])
def test_messages_of_side_bands_have_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """More ends the side band with 1009, but not the call, nor its other side bands."""
    if limit != sockets.MAX_MESSAGE:
        monkeypatch.setattr(sockets, "MAX_MESSAGE", limit)

    async def run() -> None:
        async with House(tmp_path) as house, client() as session:
            location = (await post(session, house.url)).headers["Location"]
            url = f"{house.url}/v1/realtime?call_id={location.rpartition('/')[2]}"
            first, second = [await session.ws_connect(url) for _ in range(2)]
            await first.send_str("x" * limit)
            await first.ping()
            if limit == sockets.MAX_MESSAGE == 60_000:
                await first.send_str("x" * (limit + 1))
                await last_of(first)
                assert first.close_code == 1009
            assert house.sessions == 1
            async with session.delete(house.url + location) as response:
                assert response.status == 200
            assert (await last_of(second))["reason"] == "close_requested"
            if limit == 15 << 20:
                assert (await last_of(first))["reason"] == "close_requested"

    asyncio.run(run())


def test_side_bands_are_told_of_the_end(tmp_path: Path) -> None:
    """A transceiver that ends closes its calls first, and says so beside them."""

    async def run() -> None:
        async with client() as session:
            async with House(tmp_path) as house:
                location = (await post(session, house.url)).headers["Location"]
                url = f"{house.url}/v1/realtime?call_id={location.rpartition('/')[2]}"
                side_band = await session.ws_connect(url)
                hearing = asyncio.create_task(last_of(side_band))
            assert (await hearing)["reason"] == "close_requested"
            assert side_band.close_code == 1000

    asyncio.run(run())


# -- Several transceivers behind one address


@asynccontextmanager
async def houses(folder: Path, *flags: str) -> AsyncIterator[tuple[list[House], str]]:
    """Three transceivers that know each other, and the address in front of them."""
    addresses = [(HOST, free_port(HOST, socket.SOCK_STREAM)) for _ in range(3)]
    peers = [f"--peer={n}=http://{h}:{p}" for n, (h, p) in enumerate(addresses)]
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(
                House(folder, f"--owner={number}", *peers, *flags, http=address)
            )
            for number, address in enumerate(addresses)
        ]
        url = await stack.enter_async_context(round_robin(addresses))
        yield running, url


def test_three_transceivers_behind_one_address(tmp_path: Path) -> None:
    """Whatever is about a call reaches its owner from each of them: end, repair, side band."""

    async def run() -> None:
        async with houses(tmp_path) as (running, url), client() as session:
            answers = [await post(session, url) for _ in range(6)]
            assert [answer.status for answer in answers] == [201] * 6
            assert [house.sessions for house in running] == [2, 2, 2]
            # Of the first three, whose owner is 0, 1, 2, each is ended at the next one.
            await post(session, running[0].url + "/none", "")
            for number, answer in enumerate(answers[:3]):
                at = running[(number + 1) % 3].url
                location = answer.headers["Location"]
                assert CallId.parse(location.rpartition("/")[2]).owner == number  # type: ignore[union-attr]
                ways = (("DELETE", ""), ("POST", "/hangup"), ("DELETE", ""))
                method, more = ways[number]
                async with session.request(method, at + location + more) as response:
                    assert response.status == 200
                await until(lambda number=number: running[number].sessions == 1)
                async with session.request(method, at + location + more) as response:
                    assert response.status == 404
            # The side bands of the rest, through the address: the turn is never the owner's.
            for number, answer in enumerate(answers[3:]):
                call_id = answer.headers["Location"].rpartition("/")[2]
                at = running[(number + 2) % 3].url
                side_band = await session.ws_connect(f"{at}/v1/realtime?call_id={call_id}")
                async with session.delete(f"{url}{CALLS}/{call_id}") as response:
                    assert response.status == 200
                assert (await last_of(side_band))["reason"] == "close_requested"
                assert side_band.close_code == 1000
            await until(lambda: not any(house.sessions for house in running))

    asyncio.run(run())


def test_the_next_transceiver_knows_the_session_of_whip(tmp_path: Path) -> None:
    """A PATCH meets the conditions of the owner wherever it arrives; strangers meet none."""

    async def run() -> None:
        async with houses(tmp_path) as (running, url), client() as session:
            created = await post(session, url, "/whip")
            location, tag = created.headers["Location"], created.headers["ETag"]
            kind = {"Content-Type": FRAGMENT}
            seen = []
            for house in running:
                for headers in ({}, {"If-Match": '"stale"'}):
                    async with session.patch(
                        house.url + location, data="a=mid:0\r\n", headers={**kind, **headers}
                    ) as response:
                        seen.append(response.status)
            assert seen == [428, 412] * 3
            assert tag
            async with (
                client(KEYS[1]) as stranger,
                stranger.delete(running[2].url + location) as response,
            ):
                assert response.status == 404

    asyncio.run(run())


def test_a_secret_is_good_at_every_transceiver(tmp_path: Path) -> None:
    """One mints it, all take it, also when the one that minted it is gone."""

    async def run() -> None:
        async with houses(tmp_path) as (running, url), client() as session:
            async with session.post(f"{url}/v1/realtime/client_secrets", json={}) as response:
                made = await response.json()
            await running[0].transceiver.__aexit__(None, None, None)
            async with client(made["value"]) as page:
                for house in running[1:]:
                    answer = await post(page, house.url)
                    assert answer.status == 201
                    async with page.delete(house.url + answer.headers["Location"]) as ended:
                        assert ended.status == 200
                # Its owner is gone: nobody says that there is no such call.
                gone = f"{running[1].url}{CALLS}/rtc_0.0.0.{'a' * 32}"
                async with page.delete(gone) as response:
                    assert response.status == 502

    asyncio.run(run())


# -- The end


def test_sigterm_lets_calls_end(tmp_path: Path) -> None:
    """No new calls, not ready, but alive; it ends with the last call, not before."""
    http, udp = free_port(HOST, socket.SOCK_STREAM), free_port(HOST)
    command = [sys.executable, "-m", "examples.transceiver", f"--http={HOST}:{http}"]
    command += [f"--udp={HOST}:{udp}", "--no-auth", f"--drain-timeout={PATIENCE:.0f}"]
    url = f"http://{HOST}:{http}"

    async def run(process: subprocess.Popen[str]) -> None:
        async with client(None) as session:
            created = await post(session, url)
            assert created.status == 201
            process.send_signal(signal.SIGTERM)

            async def ready() -> int:
                async with session.get(url + "/readyz") as response:
                    return response.status

            async with asyncio.timeout(PATIENCE):
                while await ready() != 503:
                    await asyncio.sleep(0.02)
            refused = await post(session, url)
            assert refused.status == 503
            assert "Retry-After" in refused.headers
            async with session.get(url + "/livez") as response:
                assert response.status == 200
            assert process.poll() is None
            async with session.delete(url + created.headers["Location"]) as response:
                assert response.status == 200

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "ready" in process.stdout.readline()
            asyncio.run(run(process))
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_sigterm_has_an_end(tmp_path: Path) -> None:
    """The calls' time passes, or it is asked twice."""
    for flag, signals in (("--drain-timeout=0", 1), ("--drain-timeout=3600", 2)):
        http, udp = free_port(HOST, socket.SOCK_STREAM), free_port(HOST)
        command = [sys.executable, "-m", "examples.transceiver", f"--http={HOST}:{http}"]
        command += [f"--udp={HOST}:{udp}", "--no-auth", flag]

        async def call(url: str) -> None:
            async with client(None) as session:
                assert (await post(session, url)).status == 201

        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert "ready" in process.stdout.readline()
                asyncio.run(call(f"http://{HOST}:{http}"))
                for _ in range(signals):
                    process.send_signal(signal.SIGTERM)
                    # Two signals at once would be one.
                    time.sleep(0.3)
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()
