"""The relay's TCP port and its two tiers over real sockets (marked live)."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import attrs
import pytest

from examples.relay.server import RelayServer
from examples.relay.settings import RelaySettings
from examples.relay.sockets import Outside
from examples.relay.stream import StreamFace
from rtcproto import (
    Connected,
    Endpoint,
    EndpointConfig,
    RoutingConfig,
    Session,
    SessionConfig,
    stun,
)
from rtcproto.datagram import Address
from rtcproto.dtls import Identity
from rtcproto.events import AudioReceived
from rtcproto.relay import FrameReader, RelayConfig, RelayCore, build_frame
from rtcproto.routing import (
    LOOPBACK_NETWORKS,
    Entry,
    RoutingToken,
    StaticDirectory,
    codec_from_text,
    encode_header,
    parse_header,
    parse_headers,
)
from rtcproto.routing.directory import ANY_OWNER

pytestmark = pytest.mark.live

CODEC = codec_from_text(f"A {bytes(range(16)).hex()}\n")
RTP = b"\x80\x6f" + bytes(100)

# Seconds that a test waits for what must come before it fails.
PATIENCE = 5.0


def check(owner: int = 1) -> bytes:
    """A connectivity check for an owner."""
    ufrag = CODEC.encode(RoutingToken(0, owner, 0, 1))
    return stun.build(1, 0, bytes(12), [(stun.Attribute.USERNAME, f"{ufrag}:abcd")], None)


def udp() -> socket.socket:
    """A socket of a transceiver."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(PATIENCE)
    return sock


@contextmanager
def running(settings: RelaySettings) -> Iterator[RelayServer]:
    """A relay in a thread of its own."""
    with RelayServer(settings) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join(PATIENCE)


def settings(entry: Address, slot: tuple[int, int] = (0, 1), **fields: object) -> RelaySettings:
    """A relay on loopback in front of one address."""
    epoch = None if slot[1] == ANY_OWNER else 0
    values: dict[str, object] = {
        "listen": [("127.0.0.1", 0)],
        "tcp": [("127.0.0.1", 0)],
        "inside": ("127.0.0.1", 0),
        "transceivers": {slot: Entry(entry, epoch)},
        "codec": CODEC,
        "allow": LOOPBACK_NETWORKS,
        **fields,
    }
    return RelaySettings(**values)  # type: ignore[arg-type]


OPENED: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    """Close what clients opened."""
    yield
    for sock in OPENED:
        sock.close()
    OPENED.clear()


class Client:
    """A client whose network blocks UDP."""

    def __init__(self, relay: Address) -> None:
        self.sock = socket.create_connection(relay, PATIENCE)
        OPENED.append(self.sock)
        self.address: Address = self.sock.getsockname()
        self._reader = FrameReader()
        self._packets: list[bytes] = []

    def send(self, packet: bytes) -> None:
        """One packet, as a frame."""
        self.sock.sendall(build_frame(packet))

    def receive(self) -> bytes:
        """The next packet; b"" at the end."""
        while not self._packets:
            try:
                data = self.sock.recv(4096)
            except ConnectionResetError:
                data = b""
            if not data:
                return b""
            self._packets += self._reader.receive(data)
        return self._packets.pop(0)


@pytest.mark.parametrize("io", ["plain", "auto"])
def test_packets_over_tcp(io: str) -> None:
    """The transceiver sees the same header and datagram; its release closes the connection."""
    with udp() as owner, running(settings(owner.getsockname(), io=io)) as server:
        (public,) = server.streams
        client = Client(public)
        client.send(check())
        data, relay = owner.recvfrom(4096)
        assert parse_header(data) == (client.address, public, 38)
        assert data[38:] == check()
        header = data[:38]
        for n in range(100):
            owner.sendto(header + RTP + bytes((n,)), relay)
            assert client.receive() == RTP + bytes((n,))
            client.send(RTP + bytes((n,)))
            assert owner.recv(4096) == header + RTP + bytes((n,))
        owner.sendto(header, relay)
        assert client.receive() == b""
        assert server.worker.values()["stream_end_released"] == 1


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n\r\n", build_frame(RTP), build_frame(b"\xff" * 50)]
)
def test_junk_over_tcp(junk: bytes) -> None:
    """Closed at once; nothing reaches a transceiver; others are served on."""
    with udp() as owner, running(settings(owner.getsockname())) as server:
        client = Client(server.streams[0])
        client.sock.sendall(junk)
        assert client.receive() == b""
        other = Client(server.streams[0])
        other.send(check())
        assert owner.recv(4096)[38:] == check()


def test_connections_are_refused_before_files_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be accepted would wake the worker up for as long as it waits."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (6, 6))
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        public = listener.getsockname()
        core = RelayCore(RelayConfig(publics=frozenset((public,))), CODEC, StaticDirectory({}))
        face = StreamFace([Outside(listener, public, public)], core, lambda data, to: None)
        stack.callback(face.close)
        clients = [stack.enter_context(socket.create_connection(public)) for _ in range(5)]
        while face.turn(time.monotonic()):
            pass
        values = face.values()
        assert values["stream_connections"] == 3
        assert values["stream_end_full"] == 2
        assert [client.recv(1) for client in clients[3:]] == [b"", b""]


def test_a_reader_that_does_not_read() -> None:
    """Its packets are dropped, and another client's are not kept waiting."""
    with udp() as owner, running(settings(owner.getsockname())) as server:
        clients = [Client(server.streams[0]), Client(server.streams[0])]
        headers = []
        for client in clients:
            client.send(check())
            data, relay = owner.recvfrom(4096)
            headers.append(data[:38])
        deadline = time.monotonic() + PATIENCE
        while not server.worker.values()["stream_frames_dropped"]:
            for _ in range(100):
                owner.sendto(headers[0] + RTP[:2] + bytes(1400), relay)
            assert time.monotonic() < deadline
        owner.sendto(headers[1] + RTP, relay)
        assert clients[1].receive() == RTP


@pytest.mark.parametrize("io", ["plain", "auto"])
def test_two_tiers(io: str) -> None:
    """A global relay and a cluster relay, over UDP and over TCP."""
    with ExitStack() as stack:
        owner = stack.enter_context(udp())
        cluster = stack.enter_context(
            running(
                settings(
                    owner.getsockname(),
                    listen=[],
                    tcp=[],
                    upstream=("127.0.0.1", 0),
                    upstream_networks=["127.0.0.0/8"],
                    io=io,
                )
            )
        )
        assert cluster.upstream is not None
        above = stack.enter_context(running(settings(cluster.upstream, slot=(0, ANY_OWNER), io=io)))
        client = stack.enter_context(udp())
        stream = Client(above.streams[0])
        client.sendto(check(), above.publics[0])
        stream.send(check())
        stacks = {}
        for _ in range(2):
            data, relay = owner.recvfrom(4096)
            assert relay == cluster.inside
            headers, offset = parse_headers(data)
            assert headers[0] == (above.inside, cluster.upstream)
            assert data[offset:] == check()
            stacks[headers[1]] = data[:offset]
        assert set(stacks) == {
            (client.getsockname(), above.publics[0]),
            (stream.address, above.streams[0]),
        }
        for (address, _), headers_of in stacks.items():
            for n in range(50):
                packet = RTP + bytes((n,))
                owner.sendto(headers_of + packet, relay)
                if address == stream.address:
                    assert stream.receive() == packet
                    stream.send(packet)
                else:
                    assert client.recv(4096) == packet
                    client.sendto(packet, above.publics[0])
                assert owner.recv(4096) == headers_of + packet
        owner.sendto(stacks[stream.address, above.streams[0]], relay)
        assert stream.receive() == b""


@attrs.define
class Bridge:
    """A call's client over TCP: what a browser does with the TCP candidate of an answer."""

    session: Session
    stream: Client
    relay: Address

    def step(self) -> list[object]:
        """Everything that can be done now; events of the session."""
        now = time.monotonic()
        timer = self.session.get_timer()
        if timer is not None and timer <= now:
            self.session.handle_timer(now)
        for datagram in self.session.datagrams_to_send():
            self.stream.send(datagram.data)
        self.stream.sock.settimeout(0.005)
        try:
            packet = self.stream.receive()
        except TimeoutError:
            packet = b""
        if packet:
            self.session.receive_datagram(packet, self.relay, time.monotonic())
        return list(self.session.next_events())


def test_a_call_over_tcp() -> None:
    """ICE, DTLS and audio with a real endpoint behind a real relay, all over one connection."""
    identity = Identity.generate(time.time())
    with udp() as sock, running(settings(sock.getsockname())) as server:
        sock.settimeout(0.005)
        now = time.monotonic()
        # The client is given the TCP port as if it were a UDP one: its agent speaks UDP only.
        relay = server.streams[0]
        endpoint = Endpoint(
            EndpointConfig(
                session=SessionConfig(identity=identity, addresses=(relay,)),
                routing=RoutingConfig(codec=CODEC, cluster=0, owner=1, epoch=0),
                relays=("127.0.0.0/8",),
            ),
            time.time(),
            now,
        )
        stream = Client(relay)
        session = Session(
            SessionConfig(
                identity=identity, addresses=(stream.address,), ice_lite=False, allow_loopback=True
            ),
            time.time(),
            now,
        )
        _, answer = endpoint.accept_offer(session.create_offer(now), now)
        session.accept_answer(answer, now)
        bridge = Bridge(session, stream, relay)
        heard: list[bytes] = []
        connected: list[Connected] = []
        deadline = now + PATIENCE
        while len(heard) < 20:
            now = time.monotonic()
            assert now < deadline
            events = bridge.step()
            if any(isinstance(event, Connected) for event in events) or connected:
                session.send_audio(b"\xf8" + bytes(60), now)
            try:
                data, source = sock.recvfrom(4096)
                endpoint.receive_datagram(data, source, now)
            except TimeoutError:
                endpoint.handle_timer(now)
            for datagram in endpoint.datagrams_to_send():
                sock.sendto(datagram.data, datagram.destination)
            for _, event in endpoint.next_events():
                if isinstance(event, Connected):
                    connected.append(event)
                elif isinstance(event, AudioReceived):
                    heard.append(event.payload)
        assert (connected[0].remote, connected[0].local) == (stream.address, relay)


def test_a_header_over_tcp_is_not_believed() -> None:
    """Nobody outside speaks for other clients, whatever the transport."""
    with udp() as owner, running(settings(owner.getsockname())) as server:
        client = Client(server.streams[0])
        client.send(check())
        owner.recv(4096)
        client.send(encode_header(("192.0.2.1", 5), server.streams[0]) + check())
        client.send(check())
        assert owner.recv(4096)[38:] == check()
        assert server.core.stats().packets_inward == 2
