"""Relay rows: CPU per forwarded packet, and the delay a relay adds, for whole programs on loopback.

The relay runs as a process on one core, the load on another. 64 clients send 200-byte packets
inward. Ours is the program as shipped, set up by real checks with tokens and answers of the
transceiver; the peers are plain: they do no more than look the flow up and forward. What
counts is the CPU time of the relay's processes, with their share of the kernel's work, per packet
that arrived at the other end. Every way from client to sink is IPv4, or IPv6 in rows that say so.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from examples.cli import show
from rtcproto import stun
from rtcproto.routing import (
    HEADER_SIZE,
    EncipheredTokenCodec,
    RoutingToken,
    TokenCodec,
    parse_address,
)
from rtcproto.stun.attributes import encode_xor_address
from tests.benchmarks.harness import Candidate, Contest, Row, Sizes, Skipped
from tests.benchmarks.programs import build_c, build_go, cores, cpu_seconds, scratch, started

__all__ = ["ROWS"]

IPV4, IPV6 = "127.0.0.1", "::1"

CLIENTS = 64
SIZE = 200
# Packets of one size can leave in one piece; those of one voice are not of one size.
SPREAD = 80
SECONDS = 1.0
BUFFER = 4 << 20
KEY_ID, OWNER = "A", 1

# What owners send to prove a flow: anything that looks like SRTP.
MEDIA = b"\x80\x6f" + bytes(30)


@attrs.frozen(kw_only=True)
class Rig:
    """One relay with its clients (connected sockets) and the sink behind it."""

    pids: tuple[int, ...]
    sink: socket.socket
    clients: list[socket.socket]
    prefix: bytes = b""

    def traffic(self, program: Path, rate: float, spread: int = 0) -> dict[str, float]:
        """Send for `SECONDS`: what `peers/traffic.c` prints, and the relay's CPU `cost` in us."""
        descriptors = [self.sink.fileno(), *(client.fileno() for client in self.clients)]
        command = [str(program), f"{rate:.1f}", str(SECONDS), str(SIZE), str(spread)]
        command.append(self.prefix.hex() or "-")
        before = sum(map(cpu_seconds, self.pids))
        done = subprocess.run(
            [*command, *map(str, descriptors)],
            pass_fds=descriptors,
            preexec_fn=partial(os.sched_setaffinity, 0, {cores()[1]}),
            stdout=subprocess.PIPE,
            check=True,
            timeout=SECONDS + 30,
        )
        spent = sum(map(cpu_seconds, self.pids)) - before
        seen: dict[str, float] = json.loads(done.stdout)
        if not seen["received"]:
            raise AssertionError("the relay forwarded nothing")
        seen["cost"] = spent * 1e6 / seen["received"]
        return seen


def _socket(host: str) -> socket.socket:
    return socket.socket(_family(host), socket.SOCK_DGRAM)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _sink(host: str) -> socket.socket:
    sock = _socket(host)
    try:
        sock.bind((host, 0))
    except OSError:
        sock.close()
        raise Skipped(f"no {host} here") from None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.settimeout(5)
    return sock


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def _clients(stack: ExitStack, host: str, port: int) -> list[socket.socket]:
    clients = []
    for _ in range(CLIENTS):
        sock = stack.enter_context(_socket(host))
        sock.connect((host, port))
        sock.settimeout(5)
        clients.append(sock)
    return clients


# -- Ours


def _our_rig(
    stack: ExitStack, host: str, folder: Path, workers: int = 1, flags: tuple[str, ...] = ()
) -> Rig:
    sink = stack.enter_context(_sink(host))
    key = secrets.token_bytes(16)
    keys = folder / "keys"
    keys.touch(mode=0o600)
    keys.write_text(f"{KEY_ID} {key.hex()} active\n")
    command = [sys.executable, "-m", "examples.relay", "--listen", show((host, 0))]
    command += ["--inside", show((host, 0)), "--keys", str(keys), "--allow-loopback"]
    command += ["--transceiver", f"0/{OWNER}={show((host, _port(sink)))}"]
    command += flags
    if workers > 1:
        command += ["--workers", str(workers), "--pin"]
    core = cores()[0] if workers == 1 else None
    process, line = stack.enter_context(started(command, core=core))
    # "relay ready: clients at HOST:PORT, inside HOST:PORT, ..."
    outside = parse_address(line.partition("clients at ")[2].partition(",")[0])
    clients = _clients(stack, *outside)
    codec = EncipheredTokenCodec({KEY_ID: key}, KEY_ID)
    for number, client in enumerate(clients):
        _open_flow(client, sink, codec, number)
    return Rig(pids=(process.pid,), sink=sink, clients=clients)


def _open_flow(client: socket.socket, sink: socket.socket, codec: TokenCodec, nonce: int) -> None:
    """A check inward, its answer and one packet of media outward: the flow is known and proven."""
    token = RoutingToken(cluster=0, owner=OWNER, epoch=0, nonce=nonce)
    key = stun.ShortTermKey("the password of the owner")
    transaction = secrets.token_bytes(12)
    client.send(stun.RequestTemplate(f"{codec.encode(token)}:peer", key).build(transaction))
    data, inside = sink.recvfrom(2048)
    header = data[:HEADER_SIZE]
    answer = stun.SuccessTemplate(key).build(transaction, client.getsockname()[:2])
    for packet in (answer, MEDIA):
        sink.sendto(header + packet, inside)
        if client.recv(2048) != packet:
            raise AssertionError("the relay gave the client something else")


# -- Peers


def _plain_rig(stack: ExitStack, host: str, program: Path, workers: int) -> Rig:
    sink = stack.enter_context(_sink(host))
    command = [str(program), host, str(_port(sink))]
    port, pids = 0, []
    for number in range(workers):
        shared = [] if workers == 1 else [str(port)]
        process, line = stack.enter_context(started([*command, *shared], core=cores()[number]))
        port = int(line.removeprefix("ready "))
        pids.append(process.pid)
    return Rig(pids=tuple(pids), sink=sink, clients=_clients(stack, host, port))


def _go_rig(stack: ExitStack, host: str, folder: Path, workers: int) -> Rig:
    return _plain_rig(stack, host, build_go("relay.go", folder), workers)


def _c_rig(stack: ExitStack, host: str, folder: Path, workers: int) -> Rig:
    return _plain_rig(stack, host, build_c("relay.c", folder), workers)


# TURN, RFC 8656 section 18.
ALLOCATE, CHANNEL_BIND = 3, 9
CHANNEL_NUMBER, XOR_PEER_ADDRESS = 0x000C, 0x0012
REQUESTED_FAMILY, REQUESTED_TRANSPORT = 0x0017, 0x0019
UDP = bytes((17, 0, 0, 0))
FAMILY = {IPV4: bytes((1, 0, 0, 0)), IPV6: bytes((2, 0, 0, 0))}
CHANNEL = bytes((0x40, 0))


def _coturn_rig(stack: ExitStack, host: str, folder: Path, workers: int) -> Rig:
    program = shutil.which("turnserver")
    if program is None:
        raise Skipped("turnserver (package coturn) is not installed")
    sink = stack.enter_context(_sink(host))
    with _socket(host) as probe:
        probe.bind((host, 0))
        port = _port(probe)
    command = [program, f"--listening-ip={host}", f"--listening-port={port}", "--no-auth"]
    command += [f"--relay-ip={host}", "--allow-loopback-peers", "--no-tls", "--no-dtls"]
    command += [
        "--no-cli",
        f"--relay-threads={workers}",
        "--no-stdout-log",
        f"--log-file={folder}/turn",
    ]
    command += ["--realm=bench", f"--pidfile={folder}/turn.pid", f"--userdb={folder}/turn.db", "-n"]
    core = cores()[0] if workers == 1 else None
    process, _ = stack.enter_context(started(command, core=core, silent=True))
    clients = _clients(stack, host, port)
    for client in clients:
        client.settimeout(0.2)
        transport = (REQUESTED_TRANSPORT, UDP), (REQUESTED_FAMILY, FAMILY[host])
        _turn(client, ALLOCATE, secrets.token_bytes(12), transport)
        transaction = secrets.token_bytes(12)
        peer = encode_xor_address((host, _port(sink)), transaction)
        number = (CHANNEL_NUMBER, CHANNEL + b"\0\0")
        _turn(client, CHANNEL_BIND, transaction, (number, (XOR_PEER_ADDRESS, peer)))
    prefix = CHANNEL + SIZE.to_bytes(2, "big")
    return Rig(pids=(process.pid,), sink=sink, clients=clients, prefix=prefix)


def _turn(
    client: socket.socket,
    method: int,
    transaction: bytes,
    attributes: tuple[tuple[int, bytes], ...],
) -> None:
    request = stun.build(method, stun.Class.REQUEST, transaction, attributes, fingerprint=False)
    for _ in range(50):
        try:
            client.send(request)
            answer = stun.Message.parse(client.recv(2048))
        except OSError:  # not listening yet, or lost
            time.sleep(0.05)
            continue
        if answer.transaction_id == transaction:
            if answer.cls != stun.Class.SUCCESS:
                raise Skipped(f"coturn refuses TURN method {method}")
            return
    raise Skipped("coturn does not answer")


# -- Rows

PEERS: dict[str, Callable[[ExitStack, str, Path, int], Rig]] = {
    "Go": _go_rig,
    "coturn": _coturn_rig,
    "C recvmmsg": _c_rig,
}


@contextmanager
def _forwarding(
    host: str,
    rate: float,
    spread: int,
    peers: tuple[str, ...],
    workers: int,
    flags: tuple[str, ...],
    sizes: Sizes,
) -> Iterator[Contest]:
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        program = build_c("traffic.c", folder)
        notes: dict[str, Any] = {}
        skipped: dict[str, str] = {}

        def candidate(name: str, rig: Rig) -> Candidate:
            def measure() -> float:
                seen = rig.traffic(program, rate, spread)
                forwarded = seen["received"] / seen["seconds"]
                if rate:
                    delivered = seen["received"] / seen["sent"]
                    worst = min(notes.setdefault(f"{name} least delivered", 1.0), delivered)
                    notes[f"{name} least delivered"] = worst
                    delay = min(notes.setdefault(f"{name} p50 us", seen["p50"]), seen["p50"])
                    notes[f"{name} p50 us"] = delay
                else:
                    best = max(notes.setdefault(f"{name} packets/s", 0.0), forwarded)
                    notes[f"{name} packets/s"] = best
                return seen["cost"]

            return measure

        ours = candidate("rtcproto", _our_rig(stack, host, folder, workers, flags))
        candidates: dict[str, Candidate] = {}
        for name in peers:
            try:
                candidates[name] = candidate(name, PEERS[name](stack, host, folder, workers))
            except Skipped as reason:
                skipped[name] = str(reason)

        def remark() -> str:
            if workers > 1:
                return f"{workers} processes each, the load on a core of theirs"
            if flags:
                return " ".join((*flags, f"p50 {notes['rtcproto p50 us']:,.0f} us"))
            return ""

        yield Contest(ours=ours, peers=candidates, skipped=skipped, notes=notes, remark=remark)


@contextmanager
def _delay(host: str, percentile: str, sizes: Sizes) -> Iterator[Contest]:
    """At half of what the relay forwards in a flood, against a path without a relay."""
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        program = build_c("traffic.c", folder)
        rig = _our_rig(stack, host, folder)
        flood = rig.traffic(program, 0)
        rate = flood["received"] / flood["seconds"] / 2
        sink = stack.enter_context(_sink(host))
        clients = _clients(stack, host, _port(sink))
        straight = Rig(pids=(os.getpid(),), sink=sink, clients=clients)
        yield Contest(
            ours=lambda: rig.traffic(program, rate)[percentile],
            peers={"direct path": lambda: straight.traffic(program, rate)[percentile]},
            notes={"packets/s": rate},
        )


def _forwarding_row(
    name: str,
    host: str,
    rate: float,
    rounds: int,
    bars: dict[str, float | None],
    spread: int = 0,
    workers: int = 1,
    flags: tuple[str, ...] = (),
) -> Row:
    return Row(
        name=name,
        unit="us",
        bars=bars,
        prepare=partial(_forwarding, host, rate, spread, tuple(bars), workers, flags),
        rounds=rounds,
        micro=False,
    )


def _delay_row(name: str, host: str, percentile: str, rounds: int, bar: float | None) -> Row:
    return Row(
        name=name,
        unit="us",
        bars={"direct path": bar},
        prepare=partial(_delay, host, percentile),
        rounds=rounds,
        micro=False,
        difference=True,
    )


FLOOD: dict[str, float | None] = {"Go": 0.75, "coturn": 0.80, "C recvmmsg": 1.25}
PACED: dict[str, float | None] = {"Go": 0.60, "coturn": None, "C recvmmsg": 1.0}
NO_BAR: dict[str, float | None] = dict.fromkeys(FLOOD)
# Not coturn, whose packets say their own length: one that the load does not change.
PLAIN: dict[str, float | None] = {"Go": None, "C recvmmsg": None}
TICK = ("--drain-tick", "2")

ROWS = [
    _forwarding_row("relay flood", IPV4, 0, 5, FLOOD),
    _forwarding_row("relay flood, mixed sizes", IPV4, 0, 3, PLAIN, SPREAD),
    _forwarding_row("relay 50,000/s", IPV4, 50_000, 5, PACED),
    _forwarding_row("relay 2,500/s", IPV4, 2_500, 3, NO_BAR),
    # The default tick is half a millisecond; each row's delay is in its remark.
    _forwarding_row("relay 2,500/s, longer tick", IPV4, 2_500, 3, PLAIN, flags=TICK),
    _forwarding_row("relay flood, two workers", IPV4, 0, 3, NO_BAR, workers=2),
    _forwarding_row("relay 50,000/s, two workers", IPV4, 50_000, 3, NO_BAR, workers=2),
    _delay_row("relay delay p50", IPV4, "p50", 3, None),
    _delay_row("relay delay p99", IPV4, "p99", 5, 1000.0),
    _forwarding_row("relay flood IPv6", IPV6, 0, 5, FLOOD),
    _forwarding_row("relay 50,000/s IPv6", IPV6, 50_000, 5, PACED),
    _delay_row("relay delay p99 IPv6", IPV6, "p99", 5, 1000.0),
]
