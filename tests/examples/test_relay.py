"""The relay program: its settings, and (marked live) the running process."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from examples.relay.counters import Board
from examples.relay.explain import explain
from examples.relay.explain import main as explain_main
from examples.relay.main import main
from examples.relay.metrics import exposition
from examples.relay.server import RelayServer
from examples.relay.settings import RelaySettings, SettingsError, parse_arguments
from rtcproto import stun
from rtcproto.datagram import Address
from rtcproto.routing import (
    LOOPBACK_NETWORKS,
    EncipheredTokenCodec,
    Entry,
    PlaintextTokenCodec,
    RoutingToken,
    codec_from_text,
    encode_header,
    mint,
    parse_header,
)

ROOT = Path(__file__).parent.parent.parent

KEYS = f"A {bytes(range(16)).hex()}\n"
CODEC = codec_from_text(KEYS)
RTP = b"\x80\x6f" + bytes(100)

# Seconds that a live test waits for a datagram before it fails.
PATIENCE = 5.0


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """The path of a good key file."""
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(KEYS)
    return str(path)


@pytest.fixture
def arguments(keys: str) -> list[str]:
    """Arguments that are complete."""
    return [
        "--listen=203.0.113.1:3478",
        "--inside=10.0.0.100:4000",
        "--transceiver=0/1=10.0.0.1:9000@3",
        f"--keys={keys}",
    ]


def test_settings(arguments: list[str], tmp_path: Path) -> None:
    """Flags and files end up in one value."""
    directory = tmp_path / "directory"
    directory.write_text("0/2=10.0.0.2:9000\n")
    settings = parse_arguments(
        [*arguments, "--listen=[2001:db8::1]:3478", f"--directory={directory}", "--drain-tick=2"]
    )
    assert settings.listen == [("203.0.113.1", 3478), ("2001:db8::1", 3478)]
    assert settings.inside == ("10.0.0.100", 4000)
    assert settings.transceivers == {
        (0, 1): Entry(("10.0.0.1", 9000), 3),
        (0, 2): Entry(("10.0.0.2", 9000)),
    }
    assert settings.drain_tick == 0.002
    assert isinstance(settings.codec, EncipheredTokenCodec)
    assert bytes(range(16)).hex() not in repr(settings)


def test_every_flag_is_in_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    """The page has a row for each, and so has every metric."""
    page = (ROOT / "docs/pages/reference/relay-program.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    flags = set(re.findall(r"(?<!\S)--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert len(flags) > 15
    rows = set(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE))
    assert flags <= rows
    named = set(re.findall(r"^# TYPE (\w+)", exposition(Board(1)).decode(), re.MULTILINE))
    assert named <= set(re.findall(r"^\| `(rtcproto_\w+)`", page, re.MULTILINE))


def test_flags_of_the_processes(arguments: list[str]) -> None:
    """What they are by default, and what they say."""
    settings = parse_arguments(arguments)
    assert (settings.workers, settings.pin, settings.io, settings.http) == (1, False, "auto", None)
    assert (settings.drain_timeout, settings.socket_buffer) == (0.0, 4 << 20)
    settings = parse_arguments([
        *arguments, "--workers=4", "--pin", "--io=plain", "--http=[::1]:9100",
        "--drain-timeout=90", "--socket-buffer=8192",
        "--advertise=10.0.0.1=198.51.100.1", "--advertise=10.0.0.2=198.51.100.2",
    ])  # fmt: skip
    assert (settings.workers, settings.pin, settings.io) == (4, True, "plain")
    assert (settings.http, settings.drain_timeout) == (("::1", 9100), 90.0)
    assert settings.socket_buffer == 8 << 20
    assert settings.advertised_at(4) == {"10.0.0.1": "198.51.100.1", "10.0.0.2": "198.51.100.2"}
    assert settings.advertised_at(6) == {}


def test_advertised_hosts(arguments: list[str]) -> None:
    """Each family has its own; ports are the bound ones."""
    settings = parse_arguments(
        [*arguments, "--listen=[::]:3479", "--advertise=198.51.100.1", "--advertise=[2001:DB8::9]"]
    )
    assert settings.public_of(("203.0.113.1", 3478)) == ("198.51.100.1", 3478)
    assert settings.public_of(("::", 3479)) == ("2001:db8::9", 3479)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--nonsense"], "unrecognized"),
        (["--listen=localhost:3478"], "not an IP address"),
        (["--listen=203.0.113.1"], "expected host:port"),
        (["--listen=0.0.0.0:3478"], "needs --advertise"),
        (["--listen=[::]:3478"], "needs --advertise"),
        (["--listen=[::]:3478", "--advertise=198.51.100.1"], "needs --advertise"),
        (["--advertise=example.org"], "not an IP address"),
        (["--advertise=0.0.0.0"], "not the address of a host"),
        (["--advertise=198.51.100.1", "--advertise=198.51.100.2"], "at most one"),
        (["--inside=0.0.0.0:4000"], "private network"),
        (["--inside=[fd00::1]:4000"], "address family"),
        (["--transceiver=0/1=10.0.0.9:9000"], "twice"),
        (["--transceiver=nonsense"], "expected cluster/owner"),
        (["--transceiver=0/9=127.0.0.1:9000"], "--allow-loopback"),
        (["--transceiver=0/9=169.254.169.254:80", "--allow-loopback"], "special"),
        (["--transceiver=5000/9=10.0.0.1:9000"], "no such slot"),
        (["--directory=/nonexistent"], "No such file"),
        (["--keys=/nonexistent"], "No such file"),
        (["--drain-tick=-1"], "expected 0 to 100"),
        (["--drain-tick=soon"], "expected 0 to 100"),
        (["--drain-tick=nan"], "expected 0 to 100"),
        (["--stats=0"], "expected 0.1"),
        (["--workers=0"], "expected 1 to 128"),
        (["--workers=2", "--inside=10.0.0.100:65535"], "no port for each"),
        (["--io=fast"], "invalid choice"),
        (["--socket-buffer=1"], "expected 64"),
        (["--drain-timeout=-1"], "expected 0"),
        (["--http=8080"], "expected host:port"),
        (["--advertise=10.0.0.1=2001:db8::1"], "one address family"),
        (["--advertise=10.0.0.1=198.51.100.1", "--advertise=10.0.0.1=198.51.100.2"], "twice"),
        (["--advertise=10.0.0.1=198.51.100.1", "--advertise=10.0.0.2=198.51.100.1"], "twice"),
        (["--advertise=10.0.0.1=0.0.0.0"], "not the address of a host"),
        (["--advertise=here=198.51.100.1"], "not an IP address"),
    ],
)
def test_bad_flags(
    arguments: list[str], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what is wrong, and the exit status is 2."""
    assert main([*arguments, *more]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("relay: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err


@pytest.mark.parametrize(
    ("content", "said"),
    [("A 00", "line 1"), ("plaintext", "by name"), ("", "no key"), (b"\xff\xfe\0", "text file")],
)
def test_bad_key_files(
    arguments: list[str],
    keys: str,
    content: str | bytes,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The line number is named, the content is not shown."""
    Path(keys).write_bytes(content.encode() if isinstance(content, str) else content)
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_missing_flags(capsys: pytest.CaptureFixture[str]) -> None:
    """A relay without any address, key or transceiver does not start."""
    assert main([]) == 2
    assert "--inside" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ([], "--listen"),
        (["--upstream=10.0.0.100:4100"], "--upstream-network"),
        (["--listen=203.0.113.1:3478", "--upstream-network=10.0.0.0/8"], "--upstream"),
        (["--upstream=0.0.0.0:4100", "--upstream-network=10.0.0.0/8"], "private"),
        (["--upstream=10.0.0.100:4100", "--upstream-network=10.0.0.1/8"], "not a network"),
        (["--listen=203.0.113.1:443", "--tcp=203.0.113.1:443"], "--tcp"),
        (["--listen=203.0.113.1:443", "--tcp=0.0.0.0:443"], "--advertise"),
    ],
)
def test_faces_that_cannot_work(
    keys: str, extra: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody could reach such a relay, or anybody could lie to it."""
    given = ["--inside=10.0.0.100:4000", "--transceiver=0/1=10.0.0.1:9000", f"--keys={keys}"]
    assert main([*given, *extra]) == 2
    assert said in capsys.readouterr().err


def test_tiers_and_tcp(keys: str) -> None:
    """A cluster relay that also takes TCP."""
    settings = parse_arguments([
        "--inside=10.7.0.1:4000", "--transceiver=7/*=10.7.1.1:4100", f"--keys={keys}",
        "--upstream=10.7.0.1:4100", "--upstream-network=10.0.0.0/24", "--tcp=203.0.113.1:443",
    ])  # fmt: skip
    assert settings.upstream == ("10.7.0.1", 4100)
    assert settings.upstream_networks == ["10.0.0.0/24"]
    assert settings.tcp == [("203.0.113.1", 443)]
    assert settings.directory(()).lookup(7, 99) == Entry(("10.7.1.1", 4100), None)


def test_no_transceivers(arguments: list[str]) -> None:
    """An empty list is a mistake."""
    with pytest.raises(SettingsError, match="no transceivers"):
        parse_arguments([a for a in arguments if not a.startswith("--transceiver")])


def test_plaintext_by_name(arguments: list[str], keys: str) -> None:
    """The debugging codec needs the key file and the flag."""
    Path(keys).write_text("plaintext")
    settings = parse_arguments([*arguments, "--allow-plaintext-tokens"])
    assert isinstance(settings.codec, PlaintextTokenCodec)


def test_explain(keys: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A ufrag or a whole USERNAME is explained; a foreign one is status 1, a bad file 2."""
    ufrag = CODEC.encode(RoutingToken(1, 2, 3, 0xABCDEF))
    said = "configuration A, cluster 1, owner 2, epoch 3, nonce abcdef"
    assert explain(ufrag, CODEC) == said
    assert explain_main(["--keys", keys, f"{ufrag}:abcd"]) == 0
    assert capsys.readouterr().out == said + "\n"
    assert explain_main(["--keys", keys, ufrag[:-2] + "AA"]) == 1
    assert explain_main(["--keys", keys, "\N{SNOWMAN}"]) == 1
    assert explain_main(["--keys", "/nonexistent", ufrag]) == 2


# The running program


@attrs.frozen
class Stage:
    """A transceiver's socket, and what makes a client's."""

    transceiver: socket.socket
    client: Callable[[Address], socket.socket]

    @property
    def entry(self) -> Entry:
        """The transceiver's place in a directory."""
        host, port = self.transceiver.getsockname()
        return Entry((host, port))

    def call(self, public: Address) -> tuple[socket.socket, bytes, Address]:
        """Send a check; the client's socket, the header that arrived, and the relay's face."""
        client = self.client(public)
        client.send(check(1))
        data, relay = self.transceiver.recvfrom(4096)
        assert parse_header(data) == (client.getsockname()[:2], public, 38)
        assert data[38:] == check(1)
        return client, data[:38], relay


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Sockets that are closed in the end."""
    sockets: list[socket.socket] = []

    def client(public: Address) -> socket.socket:
        family = socket.AF_INET6 if ":" in public[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sockets.append(sock)
        sock.settimeout(PATIENCE)
        sock.connect(public)
        return sock

    transceiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sockets.append(transceiver)
    transceiver.settimeout(PATIENCE)
    transceiver.bind(("127.0.0.1", 0))
    yield Stage(transceiver, client)
    for sock in sockets:
        sock.close()


def check(owner: int) -> bytes:
    """A check for a session of `owner`."""
    username = mint(CODEC, 0, owner, 0, lambda size: bytes(size)) + ":abcd"
    return stun.build(1, 0, bytes(12), [(stun.Attribute.USERNAME, username)])


def spawn(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start the program."""
    return subprocess.Popen(
        [sys.executable, "-m", "examples.relay", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.live
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_live_call_over_both_families(stage: Stage, keys: str, number: int) -> None:
    """Ready line, a check and media both ways over IPv4 and IPv6, counters, clean exit."""
    process = spawn([
        "--listen=127.0.0.1:0", "--listen=[::1]:0", "--inside=127.0.0.1:0", f"--keys={keys}",
        f"--transceiver=0/1=127.0.0.1:{stage.entry.address[1]}", "--allow-loopback",
        "--stats=0.1",
    ])  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    ready = re.fullmatch(
        r"relay ready: clients at 127\.0\.0\.1:(\d+), \[::1\]:(\d+),"
        r" inside 127\.0\.0\.1:\d+, 1 transceiver, 1 worker, batched I/O\n",
        process.stdout.readline(),
    )
    assert ready is not None
    for public in (("127.0.0.1", int(ready[1])), ("::1", int(ready[2]))):
        client, header, relay = stage.call(public)
        stage.transceiver.sendto(header + RTP, relay)
        assert client.recv(4096) == RTP
        client.send(b"\x80" + bytes(1999))
        assert stage.transceiver.recv(4096) == header + b"\x80" + bytes(1999)
        client.send(b"")
        client.send(b"junk")
        client.send(header + RTP)
    for line in process.stdout:
        stats = json.loads(line)
        if stats["flows"] == 2 and stats["drops"].get("header_outside") == 2:
            break
    assert stats["packets_inward"] == 4
    assert stats["drops"] == {"empty": 2, "not_routable": 2, "header_outside": 2}
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""
    process.stdout.close()
    process.stderr.close()


@pytest.mark.live
def test_live_port_in_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line and status 2, also for an address that is not ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert main([*arguments[1:], f"--listen=127.0.0.1:{port}"]) == 2
    assert "in use" in capsys.readouterr().err
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.live
def test_live_own_address_as_transceiver(keys: str) -> None:
    """A transceiver at the relay's own address is refused once the ports are known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = RelaySettings(
        listen=[("127.0.0.1", port)],
        inside=("127.0.0.1", 0),
        transceivers={(0, 1): Entry(("127.0.0.1", port))},
        codec=CODEC,
        allow=LOOPBACK_NETWORKS,
    )
    with pytest.raises(SettingsError, match="own addresses"):
        RelayServer(settings)


@pytest.mark.live
@pytest.mark.parametrize("tick", [0.0, 0.002])
def test_live_in_a_thread(stage: Stage, tick: float) -> None:
    """`RelayServer` runs in a thread, advertises another host, and stops when told."""
    settings = RelaySettings(
        listen=[("127.0.0.1", 0)],
        advertise=["203.0.113.9"],
        inside=("127.0.0.1", 0),
        transceivers={(0, 1): stage.entry},
        codec=CODEC,
        allow=LOOPBACK_NETWORKS,
        drain_tick=tick,
    )
    with RelayServer(settings) as server:
        public = server.publics[0]
        assert public[0] == "203.0.113.9"
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            client = stage.client(("127.0.0.1", public[1]))
            client.send(check(1))
            data, relay = stage.transceiver.recvfrom(4096)
            assert relay == server.inside
            assert parse_header(data) == (client.getsockname(), public, 38)
            for _ in range(200):
                stage.transceiver.sendto(data[:38] + RTP, relay)
                assert client.recv(4096) == RTP
                client.send(RTP)
                assert stage.transceiver.recv(4096) == data[:38] + RTP
            # A client that cannot be reached is a counter, not the end.
            broadcast = encode_header(("127.255.255.255", 9), public)
            stage.transceiver.sendto(broadcast + RTP, relay)
            stage.transceiver.sendto(data[:38] + RTP, relay)
            assert client.recv(4096) == RTP
            assert server.counters.send_errors == 1
        finally:
            server.stop()
            thread.join(PATIENCE)
        assert not thread.is_alive()
        assert server.core.stats().packets_inward == 201
    server.stop()
