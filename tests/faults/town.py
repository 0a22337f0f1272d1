"""A small fleet: clients, relays, two transceivers and a Redis, each on a host of its own."""

from __future__ import annotations

import itertools
import json
import secrets
import shutil
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

from tests.e2e.network import inside
from tests.faults.fabric import Fabric
from tests.faults.program import Program, python

__all__ = ["CLIENTS", "HOME", "MOVED", "Heard", "Party", "Town"]

# Where clients, relays, transceivers and the store are.
CLIENTS = "198.18.0.0/24"
HOME, MOVED = "198.18.0.1", "198.18.0.2"
RELAYS = ("198.18.1.1", "198.18.1.2")
OWNERS = ("198.18.2.1", "198.18.2.2")
STORE = "198.18.3.1"
ATTACKER = "198.18.4.1"
RELAY_NETWORK, OWNER_NETWORK = "198.18.1.0/24", "198.18.2.0/24"

WORKERS = 2

UDP, TCP, INSIDE, MEDIA, HTTP = 3478, 443, 4000, 9000, 8080


@attrs.frozen
class Heard:
    """One call, as its client tells it. Times are the machine's monotonic clock."""

    arrivals: list[float]
    sent: int
    returned: int
    remotes: list[tuple[float, str]]
    closed: str
    # When the client stopped, and looked back.
    ended: float

    @property
    def lost(self) -> bool:
        """Whether the call ended too early, or was silent in its last second."""
        return bool(self.closed) or self.ended - self.arrivals[-1] > 1.0

    def gap(self, since: float) -> float:
        """The longest silence, in seconds, that ended after `since`; to its end if it lasts."""
        pairs = itertools.pairwise(self.arrivals)
        return max((b - a for a, b in pairs if b >= since), default=float("inf"))

    def back(self, since: float) -> float:
        """Seconds from `since` until something arrived."""
        return next((at - since for at in self.arrivals if at >= since), float("inf"))


class Party:
    """Calls under way in one client process."""

    def __init__(self, program: Program) -> None:
        self._program = program
        # A check of each of some calls, as it left.
        self.checks: list[bytes] = []

    def wait(self) -> None:
        """Until every call has heard something."""
        _, line = self._program.wait_for('"connected"')
        self.checks = [bytes.fromhex(check) for check in json.loads(line)["checks"]]

    def rebind(self, host: str) -> None:
        """Go on from other ports, at this address."""
        self._program.send(f"rebind {host}")

    def end(self) -> list[Heard]:
        """Hang up; what was heard."""
        self._program.send("stop")
        _, line = self._program.wait_for("result ")
        calls = json.loads(line.removeprefix("result "))["calls"]
        self._program.kill()
        return [Heard(**call) for call in calls]


class Town:
    """`with Town(folder) as town:` runs all of it; the answers name `relays` relays."""

    def __init__(self, folder: Path, *, relays: int = 1, store: bool = False) -> None:
        self._stack = ExitStack()
        self._keys = folder / "keys"
        self._with_store = store
        self._count = relays
        self._keys.touch(mode=0o600)
        self._keys.write_text(f"A {secrets.token_hex(16)} active\n", encoding="utf-8")
        self.relays: list[Program] = []
        self.store: Program | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for program in self.relays:
            program.kill()
        if self.store is not None:
            self.store.kill()
        self._stack.close()

    @property
    def urls(self) -> list[str]:
        """The bases of the transceivers' HTTP interfaces."""
        return [f"http://{owner}:{HTTP}" for owner in OWNERS]

    @property
    def tcp(self) -> list[tuple[str, int]]:
        """The relays' TCP ports."""
        return [(host.address, TCP) for host in self.relay_hosts]

    def call(self, count: int, *, echo: bool = True) -> Party:
        """Place calls, at each transceiver in turn; `echo`: the owner is silent but for echoes."""
        model = "echo" if echo else "talker"
        urls = [f"{url}/v1/realtime/calls?model={model}" for url in self.urls]
        command = python("tests.faults.client", "--host", HOME, "--calls", str(count), *urls)
        return Party(self._stack.enter_context(Program(self.clients, command)))

    def start_relay(self, number: int) -> float:
        """Start (again) and wait; the time at which it listened."""
        address = RELAYS[number]
        command = python(
            "examples.relay", "--listen", f"{address}:{UDP}", "--workers", str(WORKERS)
        )
        command += ["--tcp", f"{address}:{TCP}", "--inside", f"{address}:{INSIDE}"]
        command += ["--http", f"{address}:{HTTP}", "--keys", str(self._keys)]
        command += ["--socket-buffer", "16384"]
        if self._with_store:
            command += ["--redis", self._redis, "--directory", self._redis]
            command += ["--transceiver-network", OWNER_NETWORK]
        else:
            for owner, host in enumerate(OWNERS):
                command += ["--transceiver", f"0/{owner}={host}:{MEDIA}"]
        program = Program(self.relay_hosts[number], command)
        if number < len(self.relays):
            self.relays[number] = program
        else:
            self.relays.append(program)
        return program.wait_for("relay ready")[0]

    def workers(self, number: int) -> list[int]:
        """The process ids of a relay's workers, which it starts before anything else."""
        return self.relays[number].children()[:WORKERS]

    def flood(self, checks: list[bytes], *, count: int, rate: float, connections: int) -> Program:
        """Flood the first relay from `count` sources that do not exist."""
        command = python("tests.faults.spoof", "--host", RELAYS[0], "--udp", str(UDP))
        command += ["--tcp", str(TCP), "--count", str(count)]
        command += [f"--check={check.hex()}" for check in checks]
        command += ["--rate", str(rate), "--connections", str(connections)]
        return self._stack.enter_context(Program(self.attacker, command))

    def metric(self, number: int, name: str) -> float:
        """The value of one line of a relay's metrics."""
        url = f"http://{RELAYS[number]}:{HTTP}/metrics"
        text: str = inside(self.relay_hosts[number].namespace, lambda: _get(url))
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def packets_from_clients(self, number: int) -> float:
        """How many datagrams a relay has forwarded inward; a second old at most."""
        return self.metric(number, 'rtcproto_relay_packets_total{direction="inward",leg="udp"}')

    def health(self, owner: int) -> dict[str, Any]:
        """What a transceiver says of itself."""
        url = f"http://{OWNERS[owner]}:{HTTP}/healthz"
        answer: dict[str, Any] = json.loads(
            inside(self.owner_hosts[owner].namespace, lambda: _get(url))
        )
        return answer

    # Private

    @property
    def _redis(self) -> str:
        return f"redis://{STORE}:6379"

    def _start(self) -> None:
        fabric = self._stack.enter_context(Fabric())
        self.clients = fabric.host("clients", HOME, MOVED)
        self.relay_hosts = [
            fabric.host(f"relay{n}", address) for n, address in enumerate(RELAYS[: self._count])
        ]
        self.owner_hosts = [fabric.host(f"owner{n}", host) for n, host in enumerate(OWNERS)]
        self.store_host = fabric.host("store", STORE)
        self.attacker = fabric.host("attacker", ATTACKER)
        fabric.know_each_other()
        # Answers to invented sources leave by here, and end there.
        for host in self.relay_hosts:
            host.ip("route", "add", "default", "via", HOME)
        # Browsers look for the interface of the default route.
        self.clients.ip("route", "add", "default", "via", RELAYS[0])
        if self._with_store:
            self._start_store()
        owners = [self._owner(number) for number in range(len(OWNERS))]
        for number in range(self._count):
            self.start_relay(number)
        for owner in owners:
            owner.wait_for("transceiver ready")

    def _start_store(self) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise RuntimeError("neither redis-server nor valkey-server is installed")
        command = [program, "--bind", STORE, "--port", "6379", "--save", "", "--appendonly", "no"]
        self.store = Program(self.store_host, [*command, "--protected-mode", "no"])
        self.store.wait_for("Ready to accept connections")

    def _owner(self, number: int) -> Program:
        host = OWNERS[number]
        command = python("tests.faults.talker", "--http", f"{host}:{HTTP}")
        command += ["--udp", f"{host}:{MEDIA}", "--owner", str(number), "--keys", str(self._keys)]
        for address in RELAYS[: self._count]:
            command += ["--relay", f"{address}:{UDP}", "--relay-tcp", f"{address}:{TCP}"]
        command += ["--relay-network", RELAY_NETWORK, "--no-auth", "--quiet"]
        command += ["--backend", "echo", "--max-connecting-per-source", "500"]
        if self._with_store:
            command += ["--directory", self._redis]
        return self._stack.enter_context(Program(self.owner_hosts[number], command))


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        text: str = response.read().decode()
        return text
