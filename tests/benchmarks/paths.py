"""One transfer over a simulated path, ours and aiortc's, in virtual time on equal links.

Two associations of ours are joined by two links of `rtcproto.testing`; so are two SCTP
transports of aiortc, on an event loop whose clock is virtual and which `time.time` follows.
No DTLS on either side, and no computing time: what is compared is what the protocol
makes of the path. The same seeds lose the same shares of either side's packets.
"""

from __future__ import annotations

import asyncio
import random
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rtcproto.sctp import Association, AssociationState, MessageReceived, SctpConfig
from rtcproto.testing import LinkConfig, PacketPair, World
from rtcproto.testing.link import Link
from tests.support.virtual_asyncio import VirtualLoop

__all__ = ["transfer_ours", "transfer_theirs"]

MESSAGE = 65_536  # what both sides may send at once: aiortc says that it takes no more

# Virtual seconds after which a transfer counts as stuck.
LIMIT = 3600.0

BINARY = 53


def transfer_ours(link: LinkConfig, size: int, seed: int) -> float:
    """Seconds from the first of `size` bytes until the last has arrived."""
    world = World(seed)
    # The send buffer is no part of the comparison: aiortc's has no limit.
    config = SctpConfig(send_buffer=2 * size)
    ends = [
        Association(config, random.Random(seed + side).randbytes, world.now) for side in range(2)
    ]
    pair = PacketPair(world, ends[0], ends[1], link)
    hosts = (pair.first_host, pair.second_host)
    for end, host in zip(ends, hosts, strict=True):
        end.start(world.now)
        host.settle()
    pair.run_until(lambda: {end.state for end in ends} == {AssociationState.ESTABLISHED}, LIMIT)
    start = world.now
    for _ in range(size // MESSAGE):
        ends[0].send_message(0, BINARY, bytes(MESSAGE), world.now)
    hosts[0].settle()
    heard = 0
    seen = 0

    def is_done() -> bool:
        nonlocal heard, seen
        events = hosts[1].events
        for _, event in events[seen:]:
            heard += isinstance(event, MessageReceived)
        seen = len(events)
        return heard == size // MESSAGE

    pair.run_until(is_done, LIMIT)
    return world.now - start


def transfer_theirs(link: LinkConfig, size: int, seed: int) -> float:
    """The same for aiortc."""
    from aiortc import rtcsctptransport as theirs
    from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters

    loop = VirtualLoop({})

    async def run() -> float:
        pipes = [_Pipe(loop, Link(link, random.Random(seed + side)), side) for side in range(2)]
        for pipe, other in zip(pipes, reversed(pipes), strict=True):
            pipe.other = other
        transports = [theirs.RTCSctpTransport(pipe) for pipe in pipes]  # type: ignore[arg-type]
        heard = 0
        done = loop.create_future()

        def on_message(data: bytes) -> None:
            nonlocal heard
            heard += len(data)
            if heard == size:
                done.set_result(None)

        def on_channel(channel: RTCDataChannel) -> None:
            channel.on("message", on_message)

        transports[1].on("datachannel", on_channel)
        for transport in transports:
            await transport.start(theirs.RTCSctpCapabilities(maxMessageSize=MESSAGE), 5000)
        channel = RTCDataChannel(transports[0], RTCDataChannelParameters(label="x"))
        while channel.readyState != "open":
            await asyncio.sleep(0.001)
        start = loop.now
        for _ in range(size // MESSAGE):
            channel.send(bytes(MESSAGE))
        await asyncio.wait_for(done, LIMIT)
        elapsed = loop.now - start
        for transport in transports:
            await transport.stop()
        return elapsed

    with _clock_of(theirs, lambda: loop.now):
        try:
            return loop.run_until_complete(run())
        finally:
            loop.close()


class _Pipe:
    """What aiortc's transport wants of DTLS, over one link."""

    state = "connected"

    def __init__(self, loop: VirtualLoop, link: Link, side: int) -> None:
        self.other: _Pipe | None = None
        self._loop = loop
        self._link = link
        self._role = "client" if side else "server"
        self._receiver: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Its controlling side sends INIT.
        self.transport = types.SimpleNamespace(role="controlling" if side else "controlled")

    def _register_data_receiver(self, receiver: Any) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, receiver: Any) -> None:
        self._receiver = None

    async def _send_data(self, data: bytes) -> None:
        for arrival, copy in self._link.transmit(data, self._loop.now):
            self._loop.call_at(arrival, self._deliver, copy)

    def _deliver(self, data: bytes) -> None:
        receiver = None if self.other is None else self.other._receiver
        if receiver is not None:
            task = self._loop.create_task(receiver._handle_data(data))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


@contextmanager
def _clock_of(module: Any, clock: Callable[[], float]) -> Iterator[None]:
    """Let a module's `time.time` be `clock`."""
    before = module.time
    module.time = types.SimpleNamespace(time=clock)
    try:
        yield
    finally:
        module.time = before
