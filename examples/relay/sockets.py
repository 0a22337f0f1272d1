"""The relay's sockets: how they are bound, and which public address a datagram was sent to.

A wildcard bind hears all addresses of the machine. The kernel says with each datagram which one
was hit (`IP_PKTINFO`, `IPV6_RECVPKTINFO`), and is told with each answer which one to use,
because clients take an answer from another address for a stranger's. What transceivers and clients
call that address may be another one yet (1:1 NAT, containers): `Outside` knows both.

Several workers share a public port (SO_REUSEPORT: the kernel spreads clients over them, each
client always to the same one). The first socket of a port is bound without that option, so
that a port of another program is an error and not shared by accident.
"""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address

import attrs

from examples.cli import show
from examples.relay.settings import RelaySettings, SettingsError
from rtcproto.datagram import Address

__all__ = [
    "IPV6_PKTINFO",
    "IP_PKTINFO",
    "Outside",
    "WorkerSockets",
    "address_of",
    "open_sockets",
    "set_buffers",
]

# linux/in.h and linux/in6.h; not all are in Python's socket module.
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT = 23, 0
IP_PKTINFO = 8
IPV6_RECVPKTINFO, IPV6_PKTINFO = 49, 50
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33

# TCP connections that wait to be accepted.
BACKLOG = 256

LINUX = sys.platform.startswith("linux")

# How often, and how many seconds apart, a port in use is tried again: processes of a relay
# that was killed may still be on their way out.
BIND_ATTEMPTS, BIND_PAUSE = 24, 0.05


@attrs.frozen
class Outside:
    """A public socket. `public` is what clients call it; of a wildcard bind, what they may.

    `locals_by_public` says for a wildcard bind which address of the machine stands for which
    public one; None is the kernel's choice, for one that the machine does not have itself.
    """

    sock: socket.socket
    bound: Address
    public: Address
    wildcard: bool = False
    locals_by_public: Mapping[Address, str | None] = attrs.field(factory=dict)

    @property
    def publics(self) -> tuple[Address, ...]:
        """Every public address of it."""
        return tuple(self.locals_by_public) if self.wildcard else (self.public,)

    def public_at(self, host: str) -> Address | None:
        """What a client called us who hit `host`, one of this machine's addresses.

        None if nobody was told that address.
        """
        if not self.wildcard:
            return self.public
        other = None
        for public, local in self.locals_by_public.items():
            if local == host:
                return public
            if local is None:
                other = public
        return other


@attrs.frozen
class WorkerSockets:
    """What one worker works with."""

    outside: tuple[Outside, ...]
    inside: socket.socket
    # Listening ones, the same in all workers: whoever is faster accepts.
    tcp: tuple[Outside, ...] = ()
    # Towards relays in front of this one.
    upstream: Outside | None = None

    def close(self) -> None:
        """Close all of them."""
        upstream = [] if self.upstream is None else [self.upstream]
        for face in (*self.outside, *self.tcp, *upstream):
            face.sock.close()
        self.inside.close()


def open_sockets(settings: RelaySettings) -> list[WorkerSockets]:
    """The sockets of every worker. Raises SettingsError, with nothing left open."""
    opened: list[socket.socket] = []

    def bind(
        address: Address, flag: str, shared: bool, kind: int = socket.SOCK_DGRAM
    ) -> socket.socket:
        sock = _bind(address, flag, settings.socket_buffer, shared, kind)
        opened.append(sock)
        return sock

    try:
        workers: list[WorkerSockets] = []
        addresses: Sequence[Address] = settings.listen
        tcp = tuple(
            _outside(bind(address, "--tcp", shared=False, kind=socket.SOCK_STREAM), settings)
            for address in settings.tcp
        )
        above = settings.upstream
        upstream: Outside | None = None
        for index in range(settings.workers):
            outside = [bind(address, "--listen", shared=index > 0) for address in addresses]
            if settings.workers > 1 and not index:
                for sock in outside:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # A free port that the first socket took is everybody's.
            addresses = [address_of(sock) for sock in outside]
            host, port = settings.inside
            inside = bind((host, port + index if port else 0), "--inside", shared=False)
            _allow_fragments(inside)
            faces = tuple(_outside(sock, settings) for sock in outside)
            if above is not None:
                sock = bind(above, "--upstream", shared=index > 0)
                if settings.workers > 1:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                _allow_fragments(sock)
                above = address_of(sock)
                upstream = Outside(sock, above, above)
            workers.append(WorkerSockets(faces, inside, tcp, upstream))
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return workers


def set_buffers(sock: socket.socket, size: int) -> None:
    """Ask for so many bytes of kernel buffer each way; beyond the system's cap where we may."""
    for option, forced in (
        (socket.SO_RCVBUF, SO_RCVBUFFORCE),
        (socket.SO_SNDBUF, SO_SNDBUFFORCE),
    ):
        sock.setsockopt(socket.SOL_SOCKET, option, size)
        if LINUX:
            # Without the privilege, what the system gives to everybody has to do.
            with suppress(PermissionError):
                sock.setsockopt(socket.SOL_SOCKET, forced, size)


def address_of(sock: socket.socket) -> Address:
    """Where a socket is bound."""
    host, port = sock.getsockname()[:2]
    return host, port


def _bind(address: Address, flag: str, size: int, shared: bool, kind: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            # One family per socket: addresses then never appear in the mapped form.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            # Connections of an earlier process may linger on the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            set_buffers(sock, size)
        _patiently(lambda: sock.bind(address))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise SettingsError(f"{flag} {show(address)}: {error.strerror}") from None
    return sock


def _patiently(bind: Callable[[], None]) -> None:
    for _ in range(BIND_ATTEMPTS - 1):
        try:
            return bind()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        time.sleep(BIND_PAUSE)
    return bind()


def _outside(sock: socket.socket, settings: RelaySettings) -> Outside:
    bound = address_of(sock)
    public = settings.public_of(bound)
    if not LINUX or not ip_address(bound[0]).is_unspecified:
        return Outside(sock, bound, public)
    if sock.type == socket.SOCK_STREAM:
        # A connection knows which address it is for.
        pass
    elif sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    stands_for: dict[Address, str | None] = {
        (host, bound[1]): local
        for local, host in settings.advertised_at(ip_address(bound[0]).version).items()
    }
    if settings.has_default_public(bound):
        stands_for.setdefault(public, public[0] if _is_ours(public[0]) else None)
    return Outside(sock, bound, public, True, stands_for)


def _is_ours(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True


def _allow_fragments(sock: socket.socket) -> None:
    # A full-size datagram of a client plus our header can exceed the path's 1,500 bytes.
    if not LINUX:
        return
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
