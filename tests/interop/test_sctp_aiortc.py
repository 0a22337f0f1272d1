"""SCTP with aiortc's, over an in-memory stand-in for DTLS: both directions, large and many, reset.

aiortc drives its data channels itself; ours are spoken here by hand with the three
DCEP messages that matter (RFC 8832), since the association knows nothing of them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from rtcproto.sctp import (
    Association,
    AssociationState,
    MessageReceived,
    ResetDone,
    SctpConfig,
    SctpEvent,
    StreamsReset,
)
from rtcproto.sctp.control_chunks import ChunkType
from rtcproto.sctp.packet import Packet

aiortc = pytest.importorskip("aiortc", reason="aiortc is not installed")

from aiortc import rtcsctptransport as theirs  # noqa: E402 - only with it
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters  # noqa: E402

pytestmark = pytest.mark.interop

CONFIG = SctpConfig(remote_max_message_size=262_144)
DCEP, STRING, BINARY = 50, 51, 53


class FakeDtls:
    """What aiortc's transport wants of DTLS; its packets go to the shell's association."""

    def __init__(self, role: str) -> None:
        self.state = "connected"
        self._role = role
        self._receiver: Any = None
        self.shell: Shell | None = None
        self.seen: list[bytes] = []

    def _register_data_receiver(self, receiver: Any) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, receiver: Any) -> None:
        self._receiver = None

    async def _send_data(self, data: bytes) -> None:
        self.seen.append(data)
        assert self.shell is not None
        asyncio.get_running_loop().call_soon(self.shell.receive, data)

    async def deliver(self, data: bytes) -> None:
        """A packet of ours."""
        if self._receiver is not None:
            await self._receiver._handle_data(data)


class Shell:
    """Drives our association on the event loop."""

    def __init__(self, dtls: FakeDtls, config: SctpConfig = CONFIG) -> None:
        self.association = Association(config, os.urandom, time.monotonic())
        self.dtls = dtls
        dtls.shell = self
        self.events: list[SctpEvent] = []
        self.sent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.drop: Callable[[bytes], bool] = lambda packet: False

    def receive(self, data: bytes) -> None:
        """A packet of theirs."""
        self.association.receive_packet(data, time.monotonic())
        self.settle()

    def settle(self) -> None:
        """Drain and arm."""
        self.events += self.association.next_events()
        packets = self.association.packets_to_send()
        self.sent += packets
        kept = [packet for packet in packets if not self.drop(packet)]
        if kept:
            task = asyncio.get_running_loop().create_task(self._deliver(kept))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.association.get_timer()
        if deadline is not None:
            wait = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._wake)

    def close(self) -> None:
        """No more wake-ups."""
        if self._timer is not None:
            self._timer.cancel()

    async def _deliver(self, packets: list[bytes]) -> None:
        for packet in packets:
            await self.dtls.deliver(packet)

    def _wake(self) -> None:
        self.association.handle_timer(time.monotonic())
        self.settle()

    def messages(self, stream: int) -> list[bytes]:
        """What came on a stream, but for DCEP."""
        return [
            event.data
            for event in self.events
            if isinstance(event, MessageReceived) and event.stream == stream and event.ppid != DCEP
        ]

    def send(self, stream: int, ppid: int, data: bytes, **options: Any) -> None:
        """One message."""
        self.association.send_message(stream, ppid, data, time.monotonic(), **options)
        self.settle()


async def until(condition: Callable[[], object], limit: float = 20.0) -> None:
    """Wait for it."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.002)


async def connect(role: str = "client") -> tuple[Shell, Any]:
    """An association with aiortc's, theirs in that DTLS role."""
    dtls = FakeDtls(role)
    transport = theirs.RTCSctpTransport(dtls)  # type: ignore[arg-type]
    shell = Shell(dtls)
    shell.association.start(time.monotonic())
    await transport.start(theirs.RTCSctpCapabilities(maxMessageSize=262_144), 5000)
    shell.settle()
    await until(lambda: shell.association.state is AssociationState.ESTABLISHED)
    return shell, transport


def test_packets_mean_the_same_to_both() -> None:
    """Every packet of a conversation, ours and theirs, parses and serialises alike."""

    async def scene() -> tuple[list[bytes], list[bytes]]:
        shell, transport = await connect()
        channel = RTCDataChannel(transport, RTCDataChannelParameters(label="x"))
        await until(lambda: channel.readyState == "open" or answer(shell))
        channel.send(b"y" * 5000)
        shell.send(0, BINARY, b"z" * 5000)
        await until(lambda: shell.messages(0))
        await transport.stop()
        shell.close()
        return shell.dtls.seen, shell.sent

    seen, sent = asyncio.run(scene())
    kinds = set()
    for data in seen:
        packet = Packet.parse(data)
        assert packet.serialize() == data
        kinds |= {type(chunk).__name__ for chunk in packet.chunks}
    assert {"Init", "InitAck", "CookieEcho", "CookieAck", "Data", "Sack"} <= kinds
    for data in sent:
        source, destination, tag, chunks = theirs.parse_packet(data)
        assert (source, destination) == (5000, 5000)
        assert b"".join(bytes(chunk) for chunk in chunks) == data[12:]
        assert theirs.serialize_packet(source, destination, tag, chunks[0])[:8] == data[:8]
    assert ChunkType.DATA in {data[12] for data in sent}


def answer(shell: Shell) -> bool:
    """DCEP: accept what they open."""
    for event in shell.events:
        if isinstance(event, MessageReceived) and event.ppid == DCEP and event.data[0] == 3:
            shell.events.remove(event)
            shell.send(event.stream, DCEP, b"\2")
    return False


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("loss", [0, 20])
def test_messages_both_ways(role: str, loss: int) -> None:
    """Small and 256 KiB messages arrive whole and in order, with every 20th packet lost too."""

    async def scene() -> None:
        shell, transport = await connect(role)
        channel = RTCDataChannel(transport, RTCDataChannelParameters(label="talk"))
        await until(lambda: answer(shell) or channel.readyState == "open")
        stream = channel.id
        assert stream is not None
        heard: list[Any] = []
        channel.on("message", heard.append)
        count = 0

        def drop(packet: bytes) -> bool:
            nonlocal count
            count += 1
            return bool(loss) and count % loss == 0

        shell.drop = drop
        payloads = [os.urandom(size) for size in (1, 1200, 262_144, 3, 70_000)]
        for payload in payloads:
            shell.send(stream, BINARY, payload)
            channel.send(payload)
        await until(lambda: len(heard) == len(shell.messages(stream)) == len(payloads))
        assert heard == shell.messages(stream) == payloads
        await transport.stop()
        shell.close()

    asyncio.run(scene())


def test_streams_are_reset_by_either_side() -> None:
    """RFC 8831 section 6.7: one closes its side, the other follows; then the number is free."""

    async def scene() -> None:
        shell, transport = await connect()
        for by_us in (True, False):
            channel = RTCDataChannel(transport, RTCDataChannelParameters(label="short"))
            await until(lambda channel=channel: answer(shell) or channel.readyState == "open")  # type: ignore[misc]
            stream = channel.id
            assert stream is not None
            shell.events.clear()
            channel.send("hello")
            await until(lambda stream=stream: shell.messages(stream))  # type: ignore[misc]
            if by_us:
                shell.association.reset_streams([stream], time.monotonic())
                shell.settle()
            else:
                channel.close()
            await until(lambda: any(isinstance(e, StreamsReset) for e in shell.events))
            if not by_us:
                shell.association.reset_streams([stream], time.monotonic())
                shell.settle()
            await until(lambda: any(isinstance(e, ResetDone) for e in shell.events))
            assert ResetDone(streams=(stream,), accepted=True) in shell.events
            await until(lambda channel=channel: channel.readyState == "closed")  # type: ignore[misc]
        await transport.stop()
        await until(lambda: shell.association.state is AssociationState.ENDED)
        shell.close()

    asyncio.run(scene())


def test_limited_reliability() -> None:
    """RFC 3758: what we give up, aiortc passes over."""

    async def scene() -> None:
        shell, transport = await connect()
        channel = RTCDataChannel(transport, RTCDataChannelParameters(label="lossy"))
        await until(lambda: answer(shell) or channel.readyState == "open")
        stream = channel.id
        assert stream is not None
        heard: list[Any] = []
        channel.on("message", heard.append)
        shell.drop = lambda packet: b"lost" in packet
        shell.send(stream, BINARY, b"lost", max_retransmits=0)
        for number in range(5):
            shell.send(stream, BINARY, b"kept%d" % number)
        await until(lambda: len(heard) == 5)
        assert heard == [b"kept%d" % number for number in range(5)]
        await transport.stop()
        shell.close()

    asyncio.run(scene())
