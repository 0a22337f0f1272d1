"""Hosts with addresses of their own, as network namespaces on one bridge.

The bridge is in a namespace as well: nothing of the machine's own network is touched or
can be reached, so addresses are fixed and every program finds its port free. Only
namespaces made here are ever changed or deleted.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from tests.e2e.network import inside, why_no_namespace

__all__ = ["NETWORK", "Fabric", "Host", "why_no_fabric"]

# 198.18.0.0/15 is set aside for tests of networks (RFC 2544); half of it is the bridge's.
NETWORK = "198.18.0.0/16"

_numbers = itertools.count()


def why_no_fabric() -> str | None:
    """Why there can be no hosts on this machine, or None."""
    reason = why_no_namespace()
    if reason is not None:
        return reason
    try:
        with Fabric() as fabric:
            fabric.host("probe", "198.18.0.1")
    except subprocess.CalledProcessError as error:
        return f"no bridge can be made: {error.stderr.decode().strip()}"
    return None


class Host:
    """One host: a namespace with one interface. Made by `Fabric.host`."""

    def __init__(self, namespace: str, port: str, switch: str, addresses: Sequence[str]) -> None:
        self.namespace = namespace
        self.addresses = tuple(addresses)
        self._port = port
        self._switch = switch

    @property
    def address(self) -> str:
        """Its first address."""
        return self.addresses[0]

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs `arguments` here."""
        return ["ip", "netns", "exec", self.namespace, *arguments]

    def ip(self, *arguments: str) -> None:
        """Configure it with iproute2."""
        _ip("-n", self.namespace, *arguments)

    def unplug(self) -> None:
        """A black hole: nothing comes or goes, and nobody is told."""
        _ip("-n", self._switch, "link", "set", self._port, "down")

    def plug(self) -> None:
        """Undo `unplug`."""
        _ip("-n", self._switch, "link", "set", self._port, "up")

    @contextmanager
    def refusing_udp_from(self, network: str) -> Iterator[None]:
        """Meanwhile datagrams from these hosts are dropped without a word; all else passes."""
        # Ours must be asked before the kernel's own rule, which takes what is for this host.
        self.ip("rule", "add", "pref", "20", "lookup", "local")
        self.ip("rule", "del", "pref", "0")
        self.ip("rule", "add", "pref", "10", "from", network, "ipproto", "udp", "blackhole")
        try:
            yield
        finally:
            self.ip("rule", "add", "pref", "0", "lookup", "local")
            self.ip("rule", "del", "pref", "10")
            self.ip("rule", "del", "pref", "20")


class Fabric:
    """`with Fabric() as fabric:` deletes every namespace at the end."""

    def __init__(self) -> None:
        self._prefix = f"rtcproto-{os.getpid()}-{next(_numbers)}"
        self._switch = f"{self._prefix}-switch"
        self._made: list[str] = []
        self._hosts: list[Host] = []

    def __enter__(self) -> Self:
        try:
            self._add(self._switch)
            _ip("-n", self._switch, "link", "add", "name", "bridge", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "bridge", "up")
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
        for name in reversed(self._made):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", name)
        self._made.clear()

    def host(self, name: str, *addresses: str) -> Host:
        """Add a host with these addresses of `NETWORK`."""
        namespace, port = f"{self._prefix}-{name}", f"port{len(self._hosts)}"
        host = Host(namespace, port, self._switch, addresses)
        self._add(namespace)
        _ip("-n", self._switch, "link", "add", "name", port, "type", "veth",
            "peer", "name", "eth0", "netns", namespace)  # fmt: skip
        _ip("-n", self._switch, "link", "set", port, "master", "bridge", "up")
        for address in addresses:
            host.ip("address", "add", f"{address}/{NETWORK.rpartition('/')[2]}", "dev", "eth0")
        host.ip("link", "set", "lo", "up")
        host.ip("link", "set", "eth0", "up")
        self._hosts.append(host)
        return host

    def know_each_other(self) -> None:
        """Let no host ask for another's link address: one that is gone is silence, not an error."""
        links = {host: inside(host.namespace, _link_address) for host in self._hosts}
        for host, (other, link) in itertools.product(self._hosts, links.items()):
            for address in other.addresses if other is not host else ():
                host.ip("neigh", "replace", address, "lladdr", link, "dev", "eth0")

    def _add(self, namespace: str) -> None:
        _ip("netns", "add", namespace)
        self._made.append(namespace)


def _link_address() -> str:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        return ":".join(f"{octet:02x}" for octet in sock.getsockname()[4])


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
