"""The relay program as a process, in front of one transceiver's socket."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from examples.relay.keys import main as keys_main
from rtcproto import stun
from rtcproto.datagram import Address
from rtcproto.routing import TokenCodec, codec_from_text, mint

__all__ = ["PATIENCE", "RTP", "Call", "Relay", "udp", "until"]

# Seconds that a test waits for something before it fails.
PATIENCE = 20.0

RTP = b"\x80\x6f" + bytes(30)


def until(condition: Callable[[], object], what: str) -> None:
    """Return when `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def udp(host: str = "127.0.0.1") -> socket.socket:
    """A bound socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    sock.bind((host, 0))
    return sock


class Call:
    """A client's socket, connected to the relay, and what its owner knows of it."""

    def __init__(self, client: socket.socket, header: bytes, hop: Address) -> None:
        self.client = client
        self.header = header
        self.hop = hop


class Relay:
    """`with Relay(folder, flags) as relay:` runs the program in front of one transceiver."""

    def __init__(self, folder: Path, *flags: str, listen: str = "127.0.0.1:0") -> None:
        self._stack = ExitStack()
        self.keys = folder / "keys"
        assert keys_main(["make", str(self.keys)]) == 0
        self.owner = self._stack.enter_context(udp())
        port = self.owner.getsockname()[1]
        self._command = [
            sys.executable, "-m", "examples.relay", f"--listen={listen}", "--inside=127.0.0.1:0",
            f"--transceiver=0/1=127.0.0.1:{port}", f"--keys={self.keys}", "--allow-loopback",
            "--http=127.0.0.1:0", *flags,
        ]  # fmt: skip
        self._err = folder / "err"

    def __enter__(self) -> Self:
        with self._err.open("wb") as err:
            self.process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=err, text=True
            )
        assert self.process.stdout is not None
        self._stack.callback(self.process.stdout.close)
        self.line = self.process.stdout.readline()
        assert "relay ready" in self.line, self._err.read_text()
        found = re.search(r"clients at (?:.*?):(\d+),", self.line)
        assert found is not None
        self.port = int(found[1])
        self._http = self.line.rpartition("HTTP ")[2].strip()
        until(lambda: self.ask("/readyz")[0] == 200, "not ready")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._stack.close()

    @property
    def codec(self) -> TokenCodec:
        """That of the key file as it is now."""
        return codec_from_text(self.keys.read_text())

    def check(self) -> bytes:
        """A client's check, with a new token."""
        username = mint(self.codec, 0, 1, 0, os.urandom) + ":abcd"
        return stun.build(1, 0, os.urandom(12), [(stun.Attribute.USERNAME, username)])

    def client(self, host: str = "127.0.0.1") -> socket.socket:
        """A client's socket, connected to the relay at `host`: it hears nobody else."""
        sock = self._stack.enter_context(udp("::1" if ":" in host else "127.0.0.1"))
        sock.connect((host, self.port))
        return sock

    def call(self, host: str = "127.0.0.1") -> Call:
        """A check arrives and is answered: a flow, proven."""
        client, check = self.client(host), self.check()
        client.send(check)
        data, hop = self.owner.recvfrom(4096)
        assert data[38:] == check
        self.owner.sendto(data[:38] + RTP, hop)
        assert client.recv(4096) == RTP
        return Call(client, data[:38], hop)

    def drop_what_arrived(self) -> None:
        """Forget what the owner has not looked at."""
        self.owner.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.owner.recv(4096)
        self.owner.settimeout(PATIENCE)

    def workers(self) -> list[int]:
        """The processes that forward, in order of their inner ports."""
        number = self.process.pid
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        return [int(child) for child in children]

    def ask(self, path: str) -> tuple[int, str]:
        """Status and text of an HTTP resource."""
        try:
            with urllib.request.urlopen(f"http://{self._http}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """One value."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.ask("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0
