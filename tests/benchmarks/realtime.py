"""Rows of conversations: how long a caller waits for the session, for an answer, for silence.

The transceiver is the program with its parrot, in a process and on a core of its own; the
caller is a client of ours over loopback, whose packets carry levels and no speech. Times are
the caller's: from the offer that is posted to `session.created`; from the last loud packet
sent to the first packet of the answer heard, which includes the silence that ends a turn; from
the first loud packet sent into an answer to the last packet of it heard.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import aiohttp
import attrs

from rtcproto import (
    AudioReceived,
    Connected,
    DataChannelMessage,
    DataChannelOpened,
    EndpointConfig,
    Event,
    Identity,
    SessionConfig,
)
from rtcproto.asyncio import Call, Driver, open_endpoint
from tests.benchmarks.harness import Contest, Row, Sizes
from tests.benchmarks.programs import cores, started

__all__ = ["ROWS"]

CONVERSATIONS = 10

# The silence that ends a turn, milliseconds: what voice applications ask for.
SILENCE = 200

# Packets of 20 ms: a turn, and how much of the answer is heard before it is interrupted.
TURN = 40
HEARD = 15

LOUD, QUIET = 20, 100
OPUS = b"\x78\x01\x02"
CHANNEL = "oai-events"
HOST = "127.0.0.1"


@attrs.frozen(kw_only=True)
class Times:
    """Of one conversation, milliseconds."""

    answered: float
    created: float
    answer: float
    barge_in: float


class Caller:
    """One call, and when things happened to it."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.channel = -1
        self.first_audio = self.last_audio = 0.0
        self.packets = 0
        self._news = asyncio.Event()

    def handle(self, call: Call, event: Event) -> None:
        """Take one event."""
        now = time.monotonic()
        match event:
            case Connected():
                self.channel = call.open_channel(CHANNEL)
            case DataChannelOpened():
                session = {
                    "type": "realtime",
                    "audio": {
                        "input": {
                            "turn_detection": {
                                "type": "server_vad",
                                "silence_duration_ms": SILENCE,
                            }
                        }
                    },
                }
                update = {"type": "session.update", "session": session}
                call.send_message(self.channel, json.dumps(update))
            case DataChannelMessage(data=data):
                self.at.setdefault(json.loads(data)["type"], now)
            case AudioReceived():
                self.first_audio = self.first_audio or now
                self.last_audio = now
                self.packets += 1
            case _:
                pass
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when it holds."""
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()


async def _talk(call: Call, level: int, packets: int) -> float:
    """Send packets at their pace; when the first one left."""
    begun = time.monotonic()
    for number in range(packets):
        call.send_audio(OPUS, level=level)
        await asyncio.sleep(max(0.0, begun + 0.02 * (number + 1) - time.monotonic()))
    return begun


async def _converse(driver: Driver, http: aiohttp.ClientSession, url: str) -> Times:
    caller = Caller()
    call, offer = driver.create_offer(caller.handle)
    posted = time.monotonic()
    headers = {"Content-Type": "application/sdp"}
    async with http.post(url, data=offer, headers=headers) as response:
        answer = await response.text()
    answered = time.monotonic()
    call.accept_answer(answer)
    await caller.until(lambda: "session.updated" in caller.at)

    begun = await _talk(call, LOUD, TURN)
    over = begun + 0.02 * (TURN - 1)
    quiet = asyncio.create_task(_talk(call, QUIET, 100))
    await caller.until(lambda: caller.packets >= HEARD)
    quiet.cancel()
    interrupted = await _talk(call, LOUD, 15)
    await caller.until(lambda: "conversation.item.truncated" in caller.at)
    call.close()
    return Times(
        answered=(answered - posted) * 1000,
        created=(caller.at["session.created"] - posted) * 1000,
        answer=(caller.first_audio - over) * 1000,
        barge_in=(caller.last_audio - interrupted) * 1000,
    )


@cache
def _conversations() -> tuple[Times, ...]:
    """Held once, for all rows."""
    core, _ = cores()

    async def hold(url: str) -> list[Times]:
        session = SessionConfig(
            identity=Identity.generate(time.time()),
            addresses=((HOST, 0),),
            ice_lite=False,
            allow_loopback=True,
        )
        async with (
            await open_endpoint(EndpointConfig(session=session), (HOST, 0)) as driver,
            aiohttp.ClientSession() as http,
        ):
            return [await _converse(driver, http, url) for _ in range(CONVERSATIONS)]

    command = [sys.executable, "-m", "examples.transceiver", "--no-auth", "--quiet"]
    ports = ["--http", f"{HOST}:{_free_port()}", "--udp", f"{HOST}:{_free_port()}"]
    with started([*command, *ports], core=core) as (_, line):
        found = re.search(r"offers at (\S+),", line)
        assert found is not None, line
        return tuple(asyncio.run(hold(f"http://{found[1]}/v1/realtime/calls")))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _figures(ours: str, theirs: Callable[[Times], float], peer: str, _: Sizes) -> Iterator[Contest]:
    conversations = _conversations()
    mine, others = iter(conversations), iter(conversations)
    figures = sorted(getattr(times, ours) for times in conversations)
    median, longest = figures[len(figures) // 2], figures[-1]
    yield Contest(
        ours=lambda: float(getattr(next(mine), ours)),
        peers={peer: lambda: theirs(next(others))},
        remark=lambda: f"median {median:.1f}, longest {longest:.1f} ms of {len(figures)}",
    )


def _row(name: str, ours: str, theirs: Callable[[Times], float], peer: str) -> Row:
    return Row(
        name=name,
        unit="ms",
        bars={peer: None},
        prepare=partial(_figures, ours, theirs, peer),
        rounds=CONVERSATIONS,
        micro=False,
        difference=True,
    )


ROWS = [
    _row(
        "POST to session.created",
        "created",
        lambda times: times.answered,
        "the HTTP answer",
    ),
    _row(
        "end of speech to answer",
        "answer",
        lambda times: float(SILENCE),
        f"silence of {SILENCE} ms",
    ),
    _row("barge-in to silence", "barge_in", lambda times: 20.0, "one packet"),
]
