"""DTLS rows: a handshake of both ends, with keys and SRTP contexts, and records of 1,000 bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from OpenSSL import SSL

from rtcproto.dtls import Dtls, DtlsConfig, HandshakeCompleted, Identity, Role
from rtcproto.srtp import Profile, SrtpReceiver, SrtpSender, split_keying_material
from tests.benchmarks.harness import Contest, Row, Sizes, Skipped, each, loop, steady

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


def _our_handshake(client: DtlsConfig, server: DtlsConfig) -> list[Dtls]:
    """Both ends, connected."""
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
    return ends


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


DATA = bytes(1000)
READ = 1 << 16


def _openssl_pair(identity: Identity) -> tuple[SSL.Connection, SSL.Connection]:
    """Two connections of pyOpenSSL over memory, with our settings, connected."""
    client, server = (SSL.Connection(identity.context((7,))) for _ in range(2))
    client.set_connect_state()
    server.set_accept_state()
    for end in (client, server):
        end.set_ciphertext_mtu(1200)
    ends = [client, server]
    for _ in range(6):
        for sender, receiver in (ends, reversed(ends)):
            with suppress(SSL.WantReadError):
                sender.do_handshake()
            with suppress(SSL.WantReadError):
                receiver.bio_write(sender.bio_read(READ))
    for end in ends:
        end.do_handshake()
    return client, server


@contextmanager
def _seal(sizes: Sizes) -> Iterator[Contest]:
    identity = Identity.generate(time.time())
    config = DtlsConfig(identity=identity)
    sender, peer = _our_handshake(config, config)[0], _openssl_pair(identity)[0]

    def ours() -> list[bytes]:
        sender.send_data(DATA, 0.0)
        return sender.packets_to_send()

    def theirs() -> bytes:
        peer.send(DATA)
        return peer.bio_read(READ)

    if len(ours()[0]) != len(theirs()):
        raise AssertionError("we and the peer use different ciphers")
    with steady():
        yield Contest(
            ours=loop(ours, sizes.operations), peers={"pyOpenSSL": loop(theirs, sizes.operations)}
        )


@contextmanager
def _open(sizes: Sizes) -> Iterator[Contest]:
    identity = Identity.generate(time.time())
    config = DtlsConfig(identity=identity)
    sender, receiver = _our_handshake(config, config)
    peer_sender, peer_receiver = _openssl_pair(identity)

    def our_records() -> list[bytes]:
        for _ in range(sizes.operations):
            sender.send_data(DATA, 0.0)
        return sender.packets_to_send()

    def their_records() -> list[bytes]:
        records = []
        for _ in range(sizes.operations):
            peer_sender.send(DATA)
            records.append(peer_sender.bio_read(READ))
        return records

    def ours(record: bytes) -> None:
        receiver.receive_packet(record, 0.0)
        (event,) = receiver.next_events()
        if event.data != DATA:
            raise AssertionError("the record holds something else")

    def theirs(record: bytes) -> None:
        peer_receiver.bio_write(record)
        if peer_receiver.recv(READ) != DATA:
            raise AssertionError("the peer's record holds something else")

    with steady():
        yield Contest(
            ours=each(ours, our_records), peers={"pyOpenSSL": each(theirs, their_records)}
        )


ROWS = [
    Row(name="dtls handshake", unit="ms", bars={"aiortc": 0.5}, prepare=_handshake, rounds=21),
    Row(name="dtls record seal 1000", unit="ns", bars={"pyOpenSSL": 0.60}, prepare=_seal),
    Row(name="dtls record open 1000", unit="ns", bars={"pyOpenSSL": 0.75}, prepare=_open),
]
