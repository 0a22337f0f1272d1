"""The relay's store: a real Redis server (marked live), and what happens without one."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from examples.cli import SettingsError
from examples.relay.server import RelayServer
from examples.relay.settings import RelaySettings, parse_arguments
from examples.relay.store import CHANGED, MAX_QUEUE, OWNERS, FlowStore, connect, flow_name
from examples.transceiver.lease import Registration
from rtcproto import stun
from rtcproto.datagram import Address
from rtcproto.relay import Drop, RelayConfig, RelayCore, StoreFlow
from rtcproto.routing import (
    LOOPBACK_NETWORKS,
    Entry,
    RoutingToken,
    StaticDirectory,
    build_lease,
    codec_from_text,
)

CODEC = codec_from_text(f"A {bytes(range(16)).hex()}\n")
RTP = b"\x80\x6f" + bytes(100)

# Seconds that a test waits for what must come before it fails.
PATIENCE = 10.0


class Server:
    """A Redis server on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, empty; return when it answers."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                   "--appendonly", "no", "--dir", str(self._folder)]  # fmt: skip
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        with self.client() as client:
            until(lambda: answers(client))

    def kill(self) -> None:
        """As kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> redis.Redis:
        """For looking at what is in it."""
        return redis.Redis(port=self.port, decode_responses=True)


def answers(client: redis.Redis) -> bool:
    """Whether the server is there."""
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def until(condition: Callable[[], object]) -> None:
    """Wait for it; fail if it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running server."""
    if shutil.which("redis-server") is None and shutil.which("valkey-server") is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def udp(port: int = 0) -> socket.socket:
    """A socket of a client or a transceiver."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    sock.settimeout(PATIENCE)
    return sock


@contextmanager
def running(**fields: object) -> Iterator[RelayServer]:
    """A relay in a thread of its own."""
    values: dict[str, object] = {
        "listen": [("127.0.0.1", 0)],
        "inside": ("127.0.0.1", 0),
        "transceivers": {},
        "codec": CODEC,
        "allow": LOOPBACK_NETWORKS,
        **fields,
    }
    with RelayServer(RelaySettings(**values)) as relay:  # type: ignore[arg-type]
        thread = threading.Thread(target=relay.run)
        thread.start()
        try:
            yield relay
        finally:
            relay.stop()
            thread.join(PATIENCE)


def check(owner: int = 1, epoch: int = 0) -> bytes:
    """A connectivity check for an owner."""
    ufrag = CODEC.encode(RoutingToken(0, owner, epoch, 1))
    return stun.build(1, 0, bytes(12), [(stun.Attribute.USERNAME, f"{ufrag}:abcd")], None)


def store_is_up(relay: RelayServer) -> Callable[[], bool]:
    """Whether the relay has found its store."""
    return lambda: bool(relay.worker.values()["store_up"])


@pytest.mark.live
def test_flows_survive_their_relay(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another relay at the same address forwards what only the client sends, from the very first
    packet on: it has found its store before.
    """
    monkeypatch.setattr("examples.relay.worker.STORE_PATIENCE", PATIENCE)
    with udp() as owner, udp() as client:
        transceivers = {(0, 1): Entry(owner.getsockname())}
        with running(transceivers=transceivers, redis=server.url) as relay:
            until(store_is_up(relay))
            public = relay.publics[0]
            client.sendto(check(), public)
            data, inside = owner.recvfrom(4096)
            owner.sendto(data[:38] + RTP, inside)
            assert client.recv(4096) == RTP
            key = (client.getsockname(), public)
            with server.client() as store:
                until(lambda: store.get(flow_name(key)))
                assert store.get(flow_name(key)) == f"127.0.0.1:{owner.getsockname()[1]}"
                assert 30_000 < int(store.pttl(flow_name(key))) < 45_000
        with running(transceivers=transceivers, redis=server.url, listen=[public]) as relay:
            client.sendto(RTP, public)
            assert owner.recv(4096) == data[:38] + RTP
            assert not relay.core.is_proven(*key)
            # A release is a release there, too.
            owner.sendto(data[:38], relay.inside)
            with server.client() as store:
                until(lambda: store.get(flow_name(key)) is None)


@pytest.mark.live
def test_the_store_leads_nowhere_else(server: Server) -> None:
    """A record that names a host outside the directory is worth nothing."""
    with udp() as owner, udp() as elsewhere:
        transceivers = {(0, 1): Entry(owner.getsockname())}
        with running(transceivers=transceivers, redis=server.url) as relay:
            until(store_is_up(relay))
            values = (f"127.0.0.1:{elsewhere.getsockname()[1]}", "nonsense", "", b"\xff\xfe",
                      f"127.0.0.1:{'9' * 5000}")  # fmt: skip
            with server.client() as store:
                for value in values:
                    with udp() as client:
                        name = flow_name((client.getsockname(), relay.publics[0]))
                        store.set(name, value)
                        client.sendto(RTP, relay.publics[0])
            until(lambda: relay.worker.values()["store_lookups"] == len(values))
            until(lambda: relay.core.stats().drops.get(Drop.NO_FLOW, 0) == len(values))
            elsewhere.setblocking(False)
            with pytest.raises(BlockingIOError):
                elsewhere.recv(4096)
            assert relay.core.flows == {}


@pytest.mark.live
def test_without_its_store_a_relay_is_a_relay(server: Server) -> None:
    """Killed in the middle, absent for a while, back: calls do not notice."""
    with udp() as owner, udp() as client:
        transceivers = {(0, 1): Entry(owner.getsockname())}
        with running(transceivers=transceivers, redis=server.url) as relay:
            until(store_is_up(relay))
            server.kill()
            client.sendto(check(), relay.publics[0])
            data, inside = owner.recvfrom(4096)
            for _ in range(50):
                owner.sendto(data[:38] + RTP, inside)
                assert client.recv(4096) == RTP
                client.sendto(RTP, relay.publics[0])
                assert owner.recv(4096) == data[:38] + RTP
            until(lambda: not relay.worker.values()["store_up"])
            server.start()
            until(store_is_up(relay))


@pytest.mark.live
def test_a_relay_starts_without_its_store(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that refuses is not waited for, however patient the relay is."""
    monkeypatch.setattr("examples.relay.worker.STORE_PATIENCE", 10 * PATIENCE)
    server.kill()
    with udp() as owner, udp() as client:
        transceivers = {(0, 1): Entry(owner.getsockname())}
        with running(transceivers=transceivers, redis=server.url, owners=server.url,
                     owner_networks=["127.0.0.0/8"]) as relay:  # fmt: skip
            client.sendto(check(), relay.publics[0])
            assert owner.recv(4096)[38:] == check()


@pytest.mark.live
def test_transceivers_register_and_move(server: Server) -> None:
    """A new address is followed at once; while the store is down the last entries stay."""
    with udp() as first, udp() as second, udp() as client:

        def register(where: Address, epoch: int) -> None:
            with server.client() as store:
                store.hset(OWNERS, *build_lease((0, 1), Entry(where, epoch), time.time() + 60))
                store.publish("rtcproto:owners:changed", "0/1")

        fields = {"owners": server.url, "owner_networks": ["127.0.0.0/8"]}
        with running(**fields) as relay:
            with server.client() as store:
                # Records and messages that are no text at all change nothing.
                store.hset(OWNERS, mapping={b"\xff": b"\xff", "0/2": f"127.0.0.1:{'9' * 5000}@0 1"})
                store.publish(CHANGED, b"\xff")
            until(lambda: relay.worker.values()["directory_refused"])
            register(first.getsockname(), 0)
            until(lambda: relay.worker.values()["directory_entries"])
            client.sendto(check(), relay.publics[0])
            assert first.recv(4096)[38:] == check()
            register(second.getsockname(), 1)
            until(lambda: relay.core._directory.lists(second.getsockname()))
            client.sendto(check(epoch=0), relay.publics[0])
            client.sendto(check(epoch=1), relay.publics[0])
            assert second.recv(4096)[38:] == check(epoch=1)
            server.kill()
            until(lambda: not relay.worker.values()["directory_up"])
            client.sendto(check(epoch=1), relay.publics[0])
            assert second.recv(4096)[38:] == check(epoch=1)
            server.start()
            until(lambda: relay.worker.values()["directory_up"])
            client.sendto(check(epoch=1), relay.publics[0])
            assert second.recv(4096)[38:] == check(epoch=1)


@pytest.mark.live
def test_registration(server: Server) -> None:
    """A transceiver's entry is there, renewed, and again after the store was lost."""

    async def register() -> None:
        entry = Entry(("10.0.0.7", 9000), 3)
        loop = asyncio.get_running_loop()
        with server.client() as store:
            # Whatever is in its place, a transceiver takes it.
            store.hset(OWNERS, "2/7", b"\xff ")
            async with Registration(server.url, (2, 7), entry) as registration:
                await loop.run_in_executor(None, until, lambda: registration.is_registered)
                for _ in range(2):
                    await loop.run_in_executor(None, until, lambda: store.hget(OWNERS, "2/7"))
                    value = str(store.hget(OWNERS, "2/7"))
                    where, expires = value.split(" ")
                    assert where == "10.0.0.7:9000@3"
                    assert 0 < float(expires) - time.time() <= 15.1
                    store.flushall()
                    registration.renew_now()

    asyncio.run(register())


def test_k2_settings_show_no_password(tmp_path: Path) -> None:
    """Threat K2: whoever prints settings must not print how to write to the store."""
    keys = tmp_path / "keys"
    keys.touch(mode=0o600)
    keys.write_text(f"A {bytes(range(16)).hex()}\n")
    settings = parse_arguments(
        ["--listen=203.0.113.1:3478", "--inside=10.0.0.100:4000", f"--keys={keys}",
         "--redis=redis://:hush@10.0.0.9:6379", "--directory=redis://:hush@10.0.0.9:6379",
         "--transceiver-network=10.0.0.0/24"]
    )  # fmt: skip
    assert settings.redis == settings.owners == "redis://:hush@10.0.0.9:6379"
    assert "hush" not in repr(settings)
    assert settings.files == [str(keys)]


def test_what_is_no_text_can_be_read() -> None:
    """Whoever writes to the store must not be able to end the threads that read it."""
    encoder: Any = connect("redis://127.0.0.1:1").get_encoder()
    assert encoder.decode(b"\xff") == "\ufffd"


@pytest.mark.parametrize(
    "url", ["redis://:secret/x@127.0.0.1", "redis://:secret[@127.0.0.1", "http://:secret@127.0.0.1"]
)
def test_k2_what_is_no_address_is_not_repeated(url: str) -> None:
    """Threat K2: parsers quote what they stumble over, and it may be a password."""
    with pytest.raises(SettingsError) as caught:
        connect(url)
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.__cause__)


def make_core() -> RelayCore:
    """A core with recovery."""
    config = RelayConfig(publics=frozenset((("203.0.113.1", 3478),)), recovery=True)
    return RelayCore(config, CODEC, StaticDirectory({}))


def test_nothing_is_queued_for_a_store_that_is_down() -> None:
    """What it would have to catch up with later is not worth the memory now."""
    store = FlowStore(connect("redis://127.0.0.1:1"), make_core(), lambda: None)
    command = StoreFlow(key=(("192.0.2.1", 1), ("203.0.113.1", 3478)), owner=("10.0.0.1", 1), ttl=9)
    store.submit([command] * 10)
    assert store.values()["store_dropped"] == 10
    store.is_connected = True
    store.submit([command] * (MAX_QUEUE + 5))
    assert store.values()["store_dropped"] == 15
    assert store.get_timer() is None


def test_names_of_records() -> None:
    """Both families, and the hop of two tiers."""
    client, public, via = ("2001:db8::1", 5), ("203.0.113.1", 3478), ("10.0.0.1", 4000)
    assert flow_name((client, public)) == "rtcproto:flow:[2001:db8::1]:5|203.0.113.1:3478"
    assert flow_name((client, public, via)).endswith("|203.0.113.1:3478|10.0.0.1:4000")


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--redis=http://127.0.0.1"], "redis://"),
        (["--redis=redis://:secret@"], "redis://"),
        (["--directory=redis://:secret@"], "redis://"),
        (["--redis=redis://:secret[@127.0.0.1"], "redis://"),
        (["--directory=Redis://:secret@"], "redis://"),
        (["--redis=redis://:secret/@127.0.0.1"], "redis://"),
        (["--directory=redis://127.0.0.1:6379"], "--transceiver-network"),
        (["--transceiver-network=10.0.0.0/8"], "--transceiver-network"),
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, extra: list[str], said: str) -> None:
    """One line each, and no password in it."""
    keys = tmp_path / "keys"
    keys.touch(mode=0o600)
    keys.write_text(f"A {bytes(range(16)).hex()}\n")
    given = ["--listen=203.0.113.1:3478", "--inside=10.0.0.100:4000",
             "--transceiver=0/1=10.0.0.1:9000", f"--keys={keys}"]  # fmt: skip
    with pytest.raises(SettingsError) as caught:
        parse_arguments([*given, *extra])
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
