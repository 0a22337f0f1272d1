"""DTLS against implementations that are not ours: aiortc, the openssl program, plain OpenSSL."""

from __future__ import annotations

import asyncio
import random
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

from rtcproto.dtls import (
    DataReceived,
    Dtls,
    DtlsClosed,
    DtlsCloseReason,
    DtlsEvent,
    DtlsState,
    Fingerprint,
    HandshakeCompleted,
    Role,
)
from tests.support.dtls import OpenSslPeer, config, identity, permissive_context, plain_record

pytestmark = pytest.mark.interop

LIMIT = 15.0


# -- aiortc


class _Wire:
    """The ICE transport that aiortc's DTLS sits on, as two queues."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.state = "completed"
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.outbox: list[bytes] = []

    async def _recv(self) -> bytes:
        return await self.inbox.get()

    async def _send(self, data: bytes) -> None:
        self.outbox.append(data)

    async def stop(self) -> None:
        """Nothing to stop."""


class _Receiver:
    """What aiortc hands application data to."""

    def __init__(self) -> None:
        self.data: list[bytes] = []

    async def _handle_data(self, data: bytes) -> None:
        self.data.append(data)


def _move(ours: Dtls, wire: _Wire) -> list[DtlsEvent]:
    """Packets in both directions; our events."""
    packets, wire.outbox = wire.outbox, []
    for packet in packets:
        ours.receive_packet(packet, time.monotonic())
    ours.handle_timer(time.monotonic())
    for packet in ours.packets_to_send():
        wire.inbox.put_nowait(packet)
    return ours.next_events()


async def _against_aiortc(role: Role, profiles: tuple[int, ...]) -> HandshakeCompleted:
    from aiortc.rtcdtlstransport import (
        RTCCertificate,
        RTCDtlsFingerprint,
        RTCDtlsParameters,
        RTCDtlsTransport,
    )

    certificate = RTCCertificate.generateCertificate()
    theirs = [Fingerprint(f.algorithm, f.value) for f in certificate.getFingerprints()]
    wire = _Wire("controlled")
    transport = RTCDtlsTransport(wire, [certificate])
    transport._set_role("server" if role is Role.CLIENT else "client")
    fingerprint = identity().fingerprint
    started = asyncio.ensure_future(
        transport.start(
            RTCDtlsParameters(
                fingerprints=[RTCDtlsFingerprint(fingerprint.algorithm, fingerprint.value)]
            )
        )
    )
    ours = Dtls(config(profiles=profiles), role, theirs, time.monotonic())
    ours.start(time.monotonic())
    events: list[DtlsEvent] = []
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and not (events and started.done()):
        events += _move(ours, wire)
        await asyncio.sleep(0.001)
    assert transport.state == "connected"
    (completed,) = events
    assert isinstance(completed, HandshakeCompleted)
    exported = transport._ssl.export_keying_material(
        b"EXTRACTOR-dtls_srtp", len(completed.keying_material)
    )
    assert exported == completed.keying_material
    # Data both ways after the take-over, then its close_notify.
    heard = _Receiver()
    transport._register_data_receiver(heard)
    for number in range(20):
        ours.send_data(bytes([number]) * 1000, time.monotonic())
        await transport._send_data(bytes([100 + number]) * 1000)
    received: list[DtlsEvent] = []
    while time.monotonic() < deadline and (len(heard.data) < 20 or len(received) < 20):
        received += _move(ours, wire)
        await asyncio.sleep(0.001)
    assert heard.data == [bytes([number]) * 1000 for number in range(20)]
    assert received == [DataReceived(bytes([100 + number]) * 1000) for number in range(20)]
    await transport.stop()
    assert _move(ours, wire) == [DtlsClosed(reason=DtlsCloseReason.PEER_CLOSED)]
    return completed


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("profile", [1, 7, 8])
def test_aiortc(role: Role, profile: int) -> None:
    """aiortc's DTLS transport and we: keys agree for each profile, data both ways, its close."""
    completed = asyncio.run(_against_aiortc(role, (profile,)))
    assert completed.profile == profile


# -- the openssl program

OPENSSL = shutil.which("openssl")


class _Program:
    """`openssl s_client` or `s_server`, its output, and a UDP socket that talks to it."""

    def __init__(self, arguments: list[str], sock: socket.socket) -> None:
        self.socket = sock
        assert OPENSSL is not None
        self.process = subprocess.Popen(
            [OPENSSL, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = b""

    def drive(self, ours: Dtls, peer: tuple[str, int] | None, until: Callable[[], bool]) -> list:
        """Move packets until `until` holds; returns our events."""
        events: list = []
        assert self.process.stdout is not None
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            for packet in ours.packets_to_send():
                if peer is not None:
                    self.socket.sendto(packet, peer)
            events += ours.next_events()
            if until():
                return events
            ready, _, _ = select.select([self.socket, self.process.stdout], [], [], 0.02)
            if self.socket in ready:
                data, source = self.socket.recvfrom(65536)
                peer = peer or source
                ours.receive_packet(data, time.monotonic())
            if self.process.stdout in ready:
                self.output += self.process.stdout.read1(65536)
            ours.handle_timer(time.monotonic())
        raise AssertionError(self.output.decode(errors="replace"))

    def stop(self) -> None:
        """End the program."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    """A UDP socket on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


def _key_files(folder: Path, kind: str) -> tuple[list[str], Fingerprint]:
    """A fresh certificate made by the program itself; its options and fingerprint."""
    assert OPENSSL is not None
    key, certificate = folder / "key.pem", folder / "cert.pem"
    algorithm = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(
        [
            OPENSSL,
            "req",
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=peer",
            "-newkey",
            *algorithm,
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    from cryptography import x509

    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(
        serialization.Encoding.DER
    )
    return ["-key", str(key), "-cert", str(certificate)], Fingerprint.of(der)


def _exported(output: bytes) -> bytes | None:
    match = re.search(rb"Keying material: ([0-9A-F]+)", output)
    return bytes.fromhex(match[1].decode()) if match else None


EXPORT = ["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"]


SUITES = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"]


@pytest.mark.skipif(OPENSSL is None, reason="no openssl program")
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("ending", ["close", "renegotiation"])
def test_openssl_s_client(
    tmp_path: Path, udp: socket.socket, kind: str, suite: str, ending: str
) -> None:
    """`openssl s_client` calls us: keys agree, data flows both ways, its close is seen."""
    options, fingerprint = _key_files(tmp_path, kind)
    host, port = udp.getsockname()
    ours = Dtls(config(profiles=(7, 1)), Role.SERVER, [fingerprint], time.monotonic())
    ours.start(time.monotonic())
    program = _Program(
        [
            "s_client",
            "-dtls1_2",
            "-cipher",
            f"ECDHE-ECDSA-{suite}",  # by our certificate, not by the program's
            "-connect",
            f"{host}:{port}",
            *options,
            *EXPORT,
            "-use_srtp",
            "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM",
        ],
        udp,
    )
    try:
        events = program.drive(
            ours,
            None,
            lambda: ours.state is DtlsState.CONNECTED and _exported(program.output) is not None,
        )
        (completed,) = events
        assert completed.profile == 7
        assert completed.keying_material == _exported(program.output)
        assert program.process.stdin is not None
        program.process.stdin.write(b"from the program\n")
        program.process.stdin.flush()
        peer: tuple[str, int] | None = None
        ours.send_data(b"from us\n", time.monotonic())
        data, peer = udp.recvfrom(65536)
        ours.receive_packet(data, time.monotonic())
        events = program.drive(ours, peer, lambda: b"from us" in program.output)
        assert events == [DataReceived(b"from the program\n")]
        if ending == "renegotiation":
            # Ignored; the program waits for an answer for ever, and fails if data comes instead.
            program.process.stdin.write(b"R\n")
            program.process.stdin.flush()
            program.drive(ours, peer, lambda: "renegotiation" in ours.stats().dropped)
            assert ours.state is DtlsState.CONNECTED
            return
        program.process.stdin.close()
        program.process.stdin = None
        events = program.drive(ours, peer, lambda: ours.state is DtlsState.CLOSED)
        assert events[-1] == DtlsClosed(reason=DtlsCloseReason.PEER_CLOSED)
    finally:
        program.stop()


@pytest.mark.skipif(OPENSSL is None, reason="no openssl program")
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize("suite", SUITES)
def test_openssl_s_server(tmp_path: Path, udp: socket.socket, kind: str, suite: str) -> None:
    """We call `openssl s_server`, which asks for a cookie first, with either kind of key."""
    options, fingerprint = _key_files(tmp_path, kind)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        peer = free.getsockname()
    program = _Program(
        [
            "s_server",
            "-dtls1_2",
            "-cipher",
            f"ECDHE-{kind.upper()}-{suite}",
            "-4",
            "-accept",
            f"{peer[0]}:{peer[1]}",
            *options,
            *EXPORT,
            "-Verify",
            "1",
            "-use_srtp",
            "SRTP_AEAD_AES_128_GCM",
        ],
        udp,
    )
    ours = Dtls(config(profiles=(1, 7)), Role.CLIENT, [fingerprint], time.monotonic())
    try:
        while b"ACCEPT" not in program.output:
            assert program.process.stdout is not None
            program.output += program.process.stdout.read1(65536)
        ours.start(time.monotonic())
        events = program.drive(
            ours,
            peer,
            lambda: ours.state is DtlsState.CONNECTED and _exported(program.output) is not None,
        )
        (completed,) = events
        assert completed.profile == 7
        assert completed.keying_material == _exported(program.output)
        assert ("RSA" in completed.cipher) == (kind == "rsa")
        assert suite in completed.cipher
        ours.send_data(b"from us\n", time.monotonic())
        program.drive(ours, peer, lambda: b"from us" in program.output)
        assert program.process.stdin is not None
        program.process.stdin.write(b"from the program\n")
        program.process.stdin.flush()
        received: list[DtlsEvent] = []
        while not received:
            seen = ours.stats().packets_received + 1
            received += program.drive(
                ours, peer, lambda seen=seen: ours.stats().packets_received >= seen
            )
        assert received == [DataReceived(b"from the program\n")]
        # Its HelloVerifyRequest and the five messages of its flight.
        assert ours.stats().messages_processed == 6
    finally:
        program.stop()


# -- plain pyOpenSSL, as other Python code uses it


class _Plain:
    """A pyOpenSSL connection that knows nothing of our rules, and our end, on virtual time."""

    def __init__(self, role: Role, cipher: str = "ECDHE") -> None:
        other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
        self.peer = OpenSslPeer(permissive_context("plain", cipher), other)
        self.ours = Dtls(config(profiles=(7, 1)), role, [identity("plain").fingerprint], 0.0)
        self.ours.start(0.0)
        self.outgoing = self.ours.packets_to_send()

    def handshake(self) -> HandshakeCompleted:
        """Until both are done."""
        written = self.peer.step()
        for _ in range(6):
            for packet in self.outgoing:
                written += self.peer.step(packet)
            if written:
                self.ours.receive_packet(written, 0.0)
            self.outgoing, written = self.ours.packets_to_send(), b""
        assert self.peer.complete
        (completed,) = self.ours.next_events()
        assert isinstance(completed, HandshakeCompleted)
        return completed

    def send(self, data: bytes) -> bytes:
        """The peer's record with `data`."""
        self.peer.connection.send(data)
        return self.peer.connection.bio_read(65536)

    def hear(self, packet: bytes) -> bytes | None:
        """What the peer reads from `packet`."""
        self.peer.connection.bio_write(packet)
        try:
            return self.peer.connection.recv(65536)
        except SSL.WantReadError:
            return None


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("suite", SUITES)
def test_plain_openssl(role: Role, suite: str) -> None:
    """Keys agree; data of all sizes both ways, shuffled and doubled; our close_notify."""
    pair = _Plain(role, f"ECDHE-ECDSA-{suite}")
    completed = pair.handshake()
    assert suite in completed.cipher
    assert completed.keying_material == pair.peer.connection.export_keying_material(
        b"EXTRACTOR-dtls_srtp", 56
    )
    generator = random.Random(1)
    texts = [bytes([n]) * size for n, size in enumerate([1, 15, 16, 17, 1000, 1225, 16384] * 4)]
    theirs = [pair.send(text) for text in texts] * 2
    for text in texts:
        pair.ours.send_data(text, 0.0)
    ours = pair.ours.packets_to_send() * 2
    generator.shuffle(theirs)
    generator.shuffle(ours)
    for packet in theirs:
        pair.ours.receive_packet(packet, 0.0)
    received = [e.data for e in pair.ours.next_events() if isinstance(e, DataReceived)]
    assert sorted(received) == sorted(texts)
    heard = [text for packet in ours if (text := pair.hear(packet)) is not None]
    assert sorted(heard) == sorted(texts)
    pair.ours.close(0.0)
    (goodbye,) = pair.ours.packets_to_send()
    with pytest.raises(SSL.ZeroReturnError):
        pair.hear(goodbye)


@pytest.mark.parametrize("role", list(Role))
def test_plain_openssl_closes(role: Role) -> None:
    """Its close_notify is understood, and answered in kind."""
    pair = _Plain(role)
    pair.handshake()
    assert not pair.peer.connection.shutdown()
    pair.ours.receive_packet(pair.peer.connection.bio_read(2000), 0.0)
    assert pair.ours.next_events() == [DtlsClosed(reason=DtlsCloseReason.PEER_CLOSED)]
    (answer,) = pair.ours.packets_to_send()
    with pytest.raises(SSL.ZeroReturnError):
        pair.hear(answer)
    assert pair.peer.connection.shutdown()


def test_our_final_flight_is_lost() -> None:
    """We are the server: the client's repeat draws the same bytes, and then data flows."""
    pair = _Plain(Role.SERVER)
    pair.ours.receive_packet(pair.peer.step(), 0.0)
    flight = b"".join(pair.peer.step(packet) for packet in pair.ours.packets_to_send())
    pair.ours.receive_packet(flight, 0.0)
    lost = pair.ours.packets_to_send()
    pair.ours.send_data(b"early", 0.0)
    (early,) = pair.ours.packets_to_send()
    assert pair.hear(early) is None  # it has no keys yet, or keeps it for later
    assert not pair.peer.complete
    # OpenSSL's timer reads the wall clock: its first period is 1 s.
    time.sleep(1.1)
    repeat = pair.peer.step()
    assert not pair.ours.receive_packet(repeat, 1.1)
    assert pair.ours.packets_to_send() == lost
    for packet in lost:
        pair.peer.step(packet)
    assert pair.peer.complete
    pair.ours.receive_packet(pair.send(b"theirs"), 1.1)
    assert DataReceived(b"theirs") in pair.ours.next_events()
    pair.ours.send_data(b"ours", 1.2)
    (packet,) = pair.ours.packets_to_send()
    heard = pair.hear(packet)
    if heard == b"early":
        heard = pair.peer.connection.recv(65536)
    assert heard == b"ours"


def test_the_peers_final_flight_is_lost() -> None:
    """We are the client: we repeat ourselves, it answers, and data that came early is there."""
    pair = _Plain(Role.CLIENT)
    for _ in range(2):
        lost = b"".join(pair.peer.step(packet) for packet in pair.outgoing)
        if not pair.peer.complete:
            pair.ours.receive_packet(lost, 0.0)
            pair.outgoing = pair.ours.packets_to_send()
    assert pair.peer.complete
    pair.ours.receive_packet(pair.send(b"early"), 0.0)
    assert pair.ours.state is DtlsState.HANDSHAKING
    pair.ours.handle_timer(0.1)
    for packet in pair.ours.packets_to_send():
        assert pair.hear(packet) is None
    pair.ours.receive_packet(pair.peer.connection.bio_read(65536), 0.1)
    completed, *received = pair.ours.next_events()
    assert isinstance(completed, HandshakeCompleted)
    assert received == [DataReceived(b"early")]
    pair.ours.send_data(b"ours", 0.2)
    (packet,) = pair.ours.packets_to_send()
    assert pair.hear(packet) == b"ours"


@pytest.mark.parametrize("role", list(Role))
def test_plain_openssl_forged_in_between(role: Role) -> None:
    """Forgeries of every type among real records, in both directions: only the real ones count."""
    pair = _Plain(role)
    pair.handshake()
    for number in range(20):
        for content_type in (20, 21, 22, 23):
            for epoch in (0, 1, 2):
                forged = plain_record(content_type, bytes(number * 2), 2**48 - 1, epoch)
                assert not pair.ours.receive_packet(forged, 0.0)
        text = bytes([number]) * 10
        assert pair.ours.receive_packet(pair.send(text), 0.0)
        assert pair.ours.next_events() == [DataReceived(text)]
