"""The relay and the transceiver, as anybody would start them."""

from __future__ import annotations

import json
import socket
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.process import Process

__all__ = ["Server", "free_port"]

# A key for tokens that route to the transceiver; any will do.
KEYS = "a 00112233445566778899aabbccddeeff active\n"

# Seconds within which a call that was hung up is over on the server.
END_TIMEOUT = 3.0


def free_port(host: str, kind: int = socket.SOCK_DGRAM) -> int:
    """A port that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A transceiver, with or without a relay in front, for clients of `host`.

    With a relay, all that is bound to `host` is the relay's port and the HTTP port: the
    transceiver's own UDP port is on 127.0.0.1. `advertise_port` puts another port of
    `host` into the answers: that of something in front of the relay, or of nothing at all.
    With `tcp` the relay takes TCP as well. Everybody may call unless there is an `api_key`.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        *,
        relay: bool = True,
        setup: str = "active",
        advertise_port: int | None = None,
        max_sessions: int = 1000,
        backend: str = "echo",
        api_key: str | None = None,
        tcp: bool = False,
    ) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._keys = folder / "keys"
        self._keys.touch(mode=0o600)
        self._keys.write_text(KEYS, encoding="utf-8")
        self._options = ["--setup", setup, "--max-sessions", str(max_sessions)]
        self._options += ["--backend", backend]
        if api_key is None:
            self._options += ["--no-auth"]
        else:
            keys = folder / "api-keys"
            keys.touch(mode=0o600)
            keys.write_text(f"{api_key}\n", encoding="utf-8")
            self._options += ["--api-key-file", str(keys)]
        self._relay: Process | None = None
        self._starts = 0
        self._inside = ("127.0.0.1", free_port("127.0.0.1"))
        self.relayed = relay
        self.http = (host, free_port(host, socket.SOCK_STREAM))
        self.udp = (("127.0.0.1" if relay else host), free_port(host))
        # Where clients send media.
        self.public = (host, free_port(host)) if relay else self.udp
        self.tcp = (host, free_port(host, socket.SOCK_STREAM)) if tcp else None
        self.advertised = (host, advertise_port or self.public[1])

    @property
    def url(self) -> str:
        """The base of the HTTP interface."""
        return "http://{}:{}".format(*self.http)

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
        self.kill_relay()
        self._stack.close()

    def _start(self) -> None:
        command = ["examples.transceiver", "--http", _show(self.http), "--udp", _show(self.udp)]
        command += self._options
        if self.relayed:
            command += ["--relay", _show(self.advertised), "--relay-network", "127.0.0.0/8"]
            command += ["--keys", str(self._keys)]
        if self.tcp is not None:
            command += ["--relay-tcp", _show(self.tcp)]
        self.transceiver = self._stack.enter_context(
            Process([sys.executable, "-m", *command], self._folder / "transceiver.log")
        )
        if self.relayed:
            self.start_relay()
        self.transceiver.wait_for("transceiver ready")

    def start_relay(self) -> None:
        """Start the relay, always on the same port."""
        self._starts += 1
        command = [sys.executable, "-m", "examples.relay"]
        command += ["--listen", _show(self.public), "--inside", _show(self._inside)]
        command += ["--transceiver", f"0/0={_show(self.udp)}", "--allow-loopback"]
        command += ["--keys", str(self._keys), "--stats", "1"]
        if self.tcp is not None:
            command += ["--tcp", _show(self.tcp)]
        self._relay = Process(command, self._folder / f"relay-{self._starts}.log")
        self._relay.wait_for("relay ready")

    def kill_relay(self) -> None:
        """Kill the relay (SIGKILL)."""
        if self._relay is not None:
            self._relay.kill()
            self._relay = None

    def health(self) -> dict[str, Any]:
        """What the transceiver says about itself."""
        with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def wait_for_no_sessions(self) -> None:
        """Return once every call has ended; TimeoutError if that takes too long."""
        deadline = time.monotonic() + END_TIMEOUT
        while self.health()["sessions"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"calls go on after {END_TIMEOUT} s: {self.health()}")
            time.sleep(0.05)

    def logs(self) -> str:
        """Everything the programs printed, for the report of a failed test."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(encoding='utf-8', errors='replace')}"
            for path in sorted(self._folder.glob("*.log"))
        )


def _show(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"
