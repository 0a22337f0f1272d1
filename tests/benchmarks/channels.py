"""Data channel rows: transfers over simulated paths, and both stacks whole over loopback.

The simulated rows are in virtual seconds (`paths.py`): what the protocols make of a path of
50 Mb/s with a queue of 128 KiB. The loopback rows run both ends of a call in this process,
with sockets, DTLS and the event loop: there the CPU is the limit.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from rtcproto import (
    DataChannelBufferLow,
    DataChannelMessage,
    DataChannelOpened,
    EndpointConfig,
    Event,
    Identity,
    SessionConfig,
)
from rtcproto.asyncio import Call, open_endpoint
from rtcproto.testing import LinkConfig
from tests.benchmarks.harness import Contest, Row, Sizes, Skipped
from tests.benchmarks.paths import transfer_ours, transfer_theirs
from tests.benchmarks.serving import HOST, aiortc_connection, free_port

__all__ = ["ROWS"]

RATE = 50e6
QUEUE = 128 * 1024
SIZE = 4 << 20

# Of the loopback rows: bytes in all, in a message, and kept waiting; round trips.
LOOPBACK = 4 << 20
MESSAGE = 65_536
AHEAD = 1 << 20
ROUND_TRIPS = 200


def _need_aiortc() -> None:
    try:
        import aiortc  # noqa: F401
    except ImportError:
        raise Skipped("aiortc is not installed") from None


# -- Simulated paths


@contextmanager
def _path(round_trip: float, loss: float, sizes: Sizes) -> Iterator[Contest]:
    _need_aiortc()
    link = LinkConfig(delay=round_trip / 2, loss=loss, rate=RATE, queue=QUEUE)
    ours, theirs = itertools.count(1), itertools.count(1)
    yield Contest(
        ours=lambda: transfer_ours(link, SIZE, next(ours)),
        peers={"aiortc": lambda: transfer_theirs(link, SIZE, next(theirs))},
        remark=lambda: f"{SIZE >> 20} MiB, 50 Mb/s",
    )


# -- Loopback


class _Ours:
    """Two endpoints of ours in this process and a channel between them, echoed or counted."""

    def __init__(self, echo: bool) -> None:
        self._echo = echo
        self._identity = Identity.generate(time.time())
        self.came = 0
        self.changed = asyncio.Event()

    async def run(self, work: Callable[[_Ours], Awaitable[float]]) -> float:
        """Connect, measure, hang up."""
        address = HOST, free_port()
        client = SessionConfig(
            identity=self._identity, addresses=(address,), ice_lite=False, allow_loopback=True
        )
        server = SessionConfig(identity=self._identity, addresses=((HOST, 0),), allow_loopback=True)
        async with (
            await open_endpoint(EndpointConfig(session=client), address) as calling,
            await open_endpoint(EndpointConfig(session=server), (HOST, 0)) as called,
        ):
            self.call, offer = calling.create_offer(self._on_event)
            _, answer = called.accept_offer(offer, self._on_server_event)
            self.call.accept_answer(answer)
            self.channel = self.call.open_channel("bench")
            self._opened = asyncio.Event()
            await self._opened.wait()
            return await work(self)

    def send(self, data: bytes) -> None:
        """One message."""
        self.call.send_message(self.channel, data)

    @property
    def waiting(self) -> int:
        """Bytes that have not left."""
        return self.call.buffered_amount(self.channel)

    def _on_event(self, call: Call, event: Event) -> None:
        if isinstance(event, DataChannelOpened):
            call.set_buffered_amount_low_threshold(event.channel, AHEAD // 2)
            self._opened.set()
        elif isinstance(event, DataChannelMessage):
            self._count(event)
        elif isinstance(event, DataChannelBufferLow):
            self.changed.set()

    def _on_server_event(self, call: Call, event: Event) -> None:
        if isinstance(event, DataChannelMessage):
            if self._echo:
                call.send_message(event.channel, event.data)
            else:
                self._count(event)

    def _count(self, event: DataChannelMessage) -> None:
        self.came += len(event.data)
        self.changed.set()


class _Theirs:
    """The same with aiortc."""

    def __init__(self, echo: bool) -> None:
        self._echo = echo
        self.came = 0
        self.changed = asyncio.Event()

    async def run(self, work: Callable[[_Theirs], Awaitable[float]]) -> float:
        """Connect, measure, hang up."""
        calling, called = aiortc_connection(), aiortc_connection()

        def on_channel(channel: Any) -> None:
            channel.on("message", channel.send if self._echo else self._count)

        called.on("datachannel", on_channel)
        self._channel = channel = calling.createDataChannel("bench")
        channel.bufferedAmountLowThreshold = AHEAD // 2
        channel.on("bufferedamountlow", self.changed.set)
        if self._echo:
            channel.on("message", self._count)
        await calling.setLocalDescription(await calling.createOffer())
        await called.setRemoteDescription(calling.localDescription)
        await called.setLocalDescription(await called.createAnswer())
        await calling.setRemoteDescription(called.localDescription)
        try:
            while channel.readyState != "open":
                await asyncio.sleep(0.01)
            return await work(self)
        finally:
            await calling.close()
            await called.close()

    def send(self, data: bytes) -> None:
        """One message."""
        self._channel.send(data)

    @property
    def waiting(self) -> int:
        """Bytes that have not left."""
        waiting: int = self._channel.bufferedAmount
        return waiting

    def _count(self, data: bytes) -> None:
        self.came += len(data)
        self.changed.set()


async def _transfer(end: _Ours | _Theirs) -> float:
    """CPU milliseconds of both ends for each MiB."""
    start = time.process_time()
    sent = 0
    while end.came < LOOPBACK:
        while sent < LOOPBACK and end.waiting < AHEAD:
            end.send(bytes(MESSAGE))
            sent += MESSAGE
        end.changed.clear()
        await end.changed.wait()
    return (time.process_time() - start) * 1000 / (LOOPBACK >> 20)


async def _ping(end: _Ours | _Theirs) -> float:
    """Milliseconds from a message of 100 bytes to its echo, 5 ms of rest between them."""
    spent = 0.0
    for number in range(ROUND_TRIPS):
        start = time.monotonic()
        end.send(bytes(100))
        while end.came < 100 * (number + 1):
            end.changed.clear()
            await end.changed.wait()
        spent += time.monotonic() - start
        await asyncio.sleep(0.005)
    return spent * 1000 / ROUND_TRIPS


@contextmanager
def _loopback(
    work: Callable[[Any], Awaitable[float]], echo: bool, sizes: Sizes
) -> Iterator[Contest]:
    _need_aiortc()

    async def run(kind: Callable[[bool], Any]) -> float:
        result: float = await kind(echo).run(work)
        return result

    yield Contest(
        ours=lambda: asyncio.run(run(_Ours)), peers={"aiortc": lambda: asyncio.run(run(_Theirs))}
    )


ROWS = [
    *(
        Row(
            name=f"data channel {round_trip} ms {loss} % loss",
            unit="s",
            # Several times aiortc where packets are lost; without a loss the line is the limit.
            bars={"aiortc": 0.5 if loss else 1.0},
            prepare=partial(_path, round_trip / 1000, loss / 100),
            rounds=3,
            micro=False,
        )
        for round_trip in (20, 100)
        for loss in (0, 1, 5)
    ),
    Row(
        name="data channel CPU per MiB, loopback",
        unit="ms",
        bars={"aiortc": 1.0},
        prepare=partial(_loopback, _transfer, False),
        rounds=3,
        micro=False,
    ),
    Row(
        name="data channel round trip, loopback",
        unit="ms",
        bars={"aiortc": None},
        prepare=partial(_loopback, _ping, True),
        rounds=3,
        micro=False,
    ),
]
