"""A network namespace for the browsers, joined to ours by one link.

`host` is our end of the link and all that a browser can reach; what a server binds to
127.0.0.1 is out of its sight. Sockets can be made on the far side (`udp_socket`,
`listener`), which lets this process serve pages on the browser's own 127.0.0.1: a
secure context, as AudioWorklet needs.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

__all__ = ["Namespace", "inside", "why_no_namespace"]

Made = TypeVar("Made")

CLONE_NEWNET = 0x40000000


def why_no_namespace() -> str | None:
    """Why there can be no namespace on this machine, or None."""
    if shutil.which("ip") is None:
        return "the tool `ip` (iproute2) is missing"
    if os.geteuid() != 0:
        return "making a network namespace needs root"
    probe = f"rtcproto-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", probe], check=True)
    return None


class Namespace:
    """`with Namespace() as namespace:` removes it at the end."""

    def __init__(self) -> None:
        number = os.getpid()
        self.name = f"rtcproto-{number}"
        self._link = f"rtcp{number}"
        # 198.18.0.0/15 is set aside for tests of networks (RFC 2544).
        net = f"198.{18 + (number >> 14) % 2}.{(number >> 6) % 256}"
        low = (number % 64) * 4
        self.host = f"{net}.{low + 1}"
        self.client = f"{net}.{low + 2}"

    def __enter__(self) -> Self:
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._link, "type", "veth",
                "peer", "name", "eth0", "netns", self.name)  # fmt: skip
            _ip("address", "add", f"{self.host}/30", "dev", self._link)
            _ip("link", "set", self._link, "up")
            _ip("-n", self.name, "address", "add", f"{self.client}/30", "dev", "eth0")
            _ip("-n", self.name, "link", "set", "lo", "up")
            _ip("-n", self.name, "link", "set", "eth0", "up")
            # Browsers look for the interface of the default route.
            _ip("-n", self.name, "route", "add", "default", "via", self.host)
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
        # Takes the link with it.
        _ip("netns", "delete", self.name)

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs `arguments` inside."""
        return ["ip", "netns", "exec", self.name, *arguments]

    def udp_socket(self) -> socket.socket:
        """A UDP socket inside."""
        return inside(self.name, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def listener(self) -> socket.socket:
        """A TCP socket that listens on 127.0.0.1 inside."""
        return inside(self.name, lambda: socket.create_server(("127.0.0.1", 0)))


def inside(namespace: str, make: Callable[[], Made]) -> Made:
    """What `make` returns when it is called in that namespace."""
    made: list[Made] = []
    errors: list[OSError] = []

    def work() -> None:
        # A namespace belongs to a thread; this one does not live to need ours again.
        try:
            handle = os.open(Path("/run/netns", namespace), os.O_RDONLY)
            try:
                if _libc.setns(handle, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns failed")
            finally:
                os.close(handle)
            made.append(make())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return made[0]


_libc = ctypes.CDLL(None, use_errno=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
