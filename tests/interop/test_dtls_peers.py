"""DTLS against implementations that are not ours: aiortc, the openssl program, plain OpenSSL."""

from __future__ import annotations

import asyncio
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
    DtlsState,
    Fingerprint,
    HandshakeCompleted,
    Role,
)
from tests.support.dtls import OpenSslPeer, config, identity

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
    events = []
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and not (events and started.done()):
        for packet in ours.packets_to_send():
            wire.inbox.put_nowait(packet)
        await asyncio.sleep(0.001)
        packets, wire.outbox = wire.outbox, []
        for packet in packets:
            ours.receive_packet(packet, time.monotonic())
        ours.handle_timer(time.monotonic())
        events += ours.next_events()
    assert transport.state == "connected"
    (completed,) = events
    assert isinstance(completed, HandshakeCompleted)
    exported = transport._ssl.export_keying_material(
        b"EXTRACTOR-dtls_srtp", len(completed.keying_material)
    )
    assert exported == completed.keying_material
    await transport.stop()
    return completed


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("profile", [1, 7, 8])
def test_aiortc(role: Role, profile: int) -> None:
    """aiortc's DTLS transport and we agree on keys, in both roles, for each of its profiles."""
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


@pytest.mark.skipif(OPENSSL is None, reason="no openssl program")
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_openssl_s_client(tmp_path: Path, udp: socket.socket, kind: str) -> None:
    """`openssl s_client` calls us: keys agree, data flows both ways, its close is seen."""
    options, fingerprint = _key_files(tmp_path, kind)
    host, port = udp.getsockname()
    ours = Dtls(config(profiles=(7, 1)), Role.SERVER, [fingerprint], time.monotonic())
    ours.start(time.monotonic())
    program = _Program(
        [
            "s_client",
            "-dtls1_2",
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
        program.drive(ours, peer, lambda: b"from us" in program.output)
        program.process.stdin.close()
        program.process.stdin = None
        events = program.drive(ours, peer, lambda: ours.state is DtlsState.CLOSED)
        assert events[-1] == DtlsClosed(reason=DtlsCloseReason.PEER_CLOSED)
    finally:
        program.stop()


@pytest.mark.skipif(OPENSSL is None, reason="no openssl program")
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_openssl_s_server(tmp_path: Path, udp: socket.socket, kind: str) -> None:
    """We call `openssl s_server`, which asks for a cookie first, with either kind of key."""
    options, fingerprint = _key_files(tmp_path, kind)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        peer = free.getsockname()
    program = _Program(
        [
            "s_server",
            "-dtls1_2",
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
        ours.send_data(b"from us\n", time.monotonic())
        program.drive(ours, peer, lambda: b"from us" in program.output)
        # Its HelloVerifyRequest and the five messages of its flight.
        assert ours.stats().messages_processed == 6
    finally:
        program.stop()


# -- plain pyOpenSSL, as other Python code uses it


@pytest.mark.parametrize("role", list(Role))
def test_plain_openssl(role: Role) -> None:
    """A pyOpenSSL connection that knows nothing of our rules: keys agree, data flows."""
    theirs = identity("plain")
    context = theirs.context((7, 1))
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    peer = OpenSslPeer(context, other)
    ours = Dtls(config(), role, [theirs.fingerprint], 0.0)
    ours.start(0.0)
    written = peer.step()
    for _ in range(6):
        if written:
            ours.receive_packet(written, 0.0)
        written = b"".join(peer.step(packet) for packet in ours.packets_to_send())
    assert peer.complete
    (completed,) = ours.next_events()
    assert isinstance(completed, HandshakeCompleted)
    assert completed.keying_material == peer.connection.export_keying_material(
        b"EXTRACTOR-dtls_srtp", 56
    )
    peer.connection.send(b"theirs")
    ours.receive_packet(peer.connection.bio_read(2000), 0.0)
    assert ours.next_events() == [DataReceived(data=b"theirs")]
    ours.send_data(b"ours", 0.0)
    for packet in ours.packets_to_send():
        peer.connection.bio_write(packet)
    assert peer.connection.recv(100) == b"ours"
    ours.close(0.0)
    for packet in ours.packets_to_send():
        peer.connection.bio_write(packet)
    with pytest.raises(SSL.ZeroReturnError):
        peer.connection.recv(100)
