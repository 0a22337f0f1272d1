"""DTLS rows: a handshake of both ends, with keys and SRTP contexts, against aiortc's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rtcproto.dtls import Dtls, DtlsConfig, HandshakeCompleted, Identity, Role
from rtcproto.srtp import Profile, SrtpReceiver, SrtpSender, split_keying_material
from tests.benchmarks.harness import Contest, Row, Sizes, Skipped, steady

__all__ = ["ROWS"]


class _Wire:
    """What aiortc's DTLS sits on: a queue to the other end."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.peer = self

    async def _recv(self) -> bytes:
        return await self.inbox.get()

    async def _send(self, data: bytes) -> None:
        self.peer.inbox.put_nowait(data)


def _our_handshake(client: DtlsConfig, server: DtlsConfig) -> None:
    ends = [
        Dtls(client, Role.CLIENT, [server.identity.fingerprint], 0.0),
        Dtls(server, Role.SERVER, [client.identity.fingerprint], 0.0),
    ]
    for end in ends:
        end.start(0.0)
    completed = 0
    while completed < 2:
        for sender, receiver in (ends, reversed(ends)):
            for packet in sender.packets_to_send():
                receiver.receive_packet(packet, 0.0)
            for event in receiver.next_events():
                if not isinstance(event, HandshakeCompleted) or event.profile is None:
                    raise AssertionError(f"the handshake failed: {event}")
                profile = Profile(event.profile)
                local, remote = split_keying_material(
                    profile, event.keying_material, event.is_client
                )
                SrtpSender(profile, local)
                SrtpReceiver(profile, remote)
                completed += 1


@contextmanager
def _handshake(sizes: Sizes) -> Iterator[Contest]:
    try:
        from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
    except ImportError:
        raise Skipped("aiortc is not installed") from None
    count = 2 if sizes.quick else 20
    client, server = (DtlsConfig(identity=Identity.generate(time.time())) for _ in range(2))
    certificates = [RTCCertificate.generateCertificate() for _ in range(2)]
    runner = asyncio.new_event_loop()

    def ours() -> float:
        start = time.thread_time()
        for _ in range(count):
            _our_handshake(client, server)
        return (time.thread_time() - start) * 1000 / count

    async def their_handshake() -> tuple[RTCDtlsTransport, RTCDtlsTransport]:
        wires = _Wire("controlling"), _Wire("controlled")
        wires[0].peer, wires[1].peer = wires[1], wires[0]
        first, second = (
            RTCDtlsTransport(wire, [certificate])
            for wire, certificate in zip(wires, certificates, strict=True)
        )
        await asyncio.gather(
            first.start(second.getLocalParameters()), second.start(first.getLocalParameters())
        )
        if first.state != "connected" or second.state != "connected":
            raise AssertionError("the peer's handshake failed")
        return first, second

    def theirs() -> float:
        spent = 0.0
        for _ in range(count):
            start = time.thread_time()
            pair = runner.run_until_complete(their_handshake())
            spent += time.thread_time() - start
            for transport in pair:
                runner.run_until_complete(transport.stop())
        return spent * 1000 / count

    try:
        with steady():
            yield Contest(ours=ours, peers={"aiortc": theirs})
    finally:
        runner.run_until_complete(asyncio.sleep(0))
        runner.close()


ROWS = [Row(name="dtls handshake", unit="ms", bars={"aiortc": 0.5}, prepare=_handshake, rounds=11)]
