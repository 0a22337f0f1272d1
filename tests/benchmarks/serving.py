"""A server whose CPU and memory are watched: `python -m tests.benchmarks.serving ours|aiortc`.

Answers every offer on its standard input and echoes audio; offers and answers are lines of
JSON. `{"offer": SDP}` gives `{"answer": SDP}`; `{"first": true}` gives the monotonic time at
which the newest session's first audio packet came (null: none yet).

Ours is what the transceiver program runs with `--backend echo`, less its HTTP.
aiortc's track is echoed back by `addTrack`, with the decoder replaced by a pass-through of
packets, so that no codec is measured; its encoder packs packets as they are by itself.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from examples.transceiver.backend import AudioFrame, Emit
from examples.transceiver.callid import CallId
from examples.transceiver.calls import Calls
from examples.transceiver.echo import Echo
from rtcproto import EndpointConfig, Identity, SessionConfig
from rtcproto.asyncio import Driver, open_endpoint

__all__ = ["aiortc_connection", "free_port"]

HOST = "127.0.0.1"


class Server(Protocol):
    """What a line on standard input is given to."""

    # When the newest session's first audio packet came, monotonic seconds.
    first: float | None

    async def answer(self, offer: str) -> str:
        """Accept a session."""
        ...


def free_port() -> int:
    """A UDP port that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


class OurServer:
    """The transceiver without its HTTP."""

    def __init__(self, driver: Driver) -> None:
        self.first: float | None = None
        self._calls = Calls(driver, CallId(0, 0, 0, ""), self._backend)

    @classmethod
    async def open(cls) -> OurServer:
        """Listen."""
        address = HOST, free_port()
        session = SessionConfig(identity=Identity.generate(time.time()), addresses=(address,))
        config = EndpointConfig(session=session, max_sessions=5000, max_connecting=5000)
        return cls(await open_endpoint(config, address))

    async def answer(self, offer: str) -> str:
        self.first = None
        return self._calls.create(offer, None, None)[1]

    def _backend(self, session: Mapping[str, Any], emit: Emit) -> Echo:
        backend = Echo(session, emit)

        def first_frame(frame: AudioFrame) -> None:
            # Until the first packet, so that echoing costs what it costs in the program.
            self.first = time.monotonic()
            del backend.receive_frame
            backend.receive_frame(frame)

        backend.receive_frame = first_frame
        return backend


def aiortc_connection() -> Any:
    """An RTCPeerConnection of aiortc on loopback, with packets where audio frames would be."""
    import aioice.ice
    import av
    from aiortc import RTCConfiguration, RTCPeerConnection, rtcrtpreceiver

    class PassThrough:
        """The decoder that hands on what it gets."""

        def decode(self, encoded_frame: Any) -> list[Any]:
            packet = av.Packet(encoded_frame.data)
            packet.pts = encoded_frame.timestamp
            packet.time_base = TIME_BASE
            return [packet]

    from aiortc.codecs.opus import TIME_BASE

    # aioice leaves out loopback, where everybody else is in this comparison.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [HOST]
    rtcrtpreceiver.get_decoder = lambda codec: PassThrough()
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


class AiortcServer:
    """The same with aiortc."""

    def __init__(self) -> None:
        self.first: float | None = None
        self._connections: list[Any] = []

    async def answer(self, offer: str) -> str:
        from aiortc import RTCSessionDescription

        self.first = None
        connection = aiortc_connection()
        self._connections.append(connection)

        @connection.on("track")
        def on_track(track: Any) -> None:
            connection.addTrack(track)

        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        self._watch(connection.getReceivers()[0])
        text: str = connection.localDescription.sdp
        return text

    def _watch(self, receiver: Any) -> None:
        handle = receiver._handle_rtp_packet

        async def first_packet(packet: Any, arrival_time_ms: int) -> None:
            self.first = time.monotonic()
            receiver._handle_rtp_packet = handle
            await handle(packet, arrival_time_ms=arrival_time_ms)

        receiver._handle_rtp_packet = first_packet


async def _serve(server: Server) -> None:
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while line := await reader.readline():
        request = json.loads(line)
        if "offer" in request:
            reply: dict[str, Any] = {"answer": await server.answer(request["offer"])}
        else:
            reply = {"first": server.first}
        print(json.dumps(reply), flush=True)


async def _main(name: str) -> None:
    await _serve(await OurServer.open() if name == "ours" else AiortcServer())


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
