"""Faces of a worker on plain sockets: one system call per datagram, on every platform."""

from __future__ import annotations

import socket
from collections.abc import Callable

from examples.relay.columns import BATCH, ROOM
from examples.relay.counters import Counters
from examples.relay.sockets import IP_PKTINFO, IPV6_PKTINFO, Outside
from rtcproto.datagram import Address
from rtcproto.relay import RelayCore

__all__ = ["PlainInside", "PlainOutside", "Send"]

# Room for the control data of one datagram.
CONTROL_ROOM = 128

# Sends (payload, client) from a public address.
Send = Callable[[bytes, Address, Address], None]

# The two loops below run once per packet: everything they use is bound to a local name, and a
# socket's family is decided before.


class PlainOutside:
    """A public socket."""

    def __init__(
        self, outside: Outside, inside: socket.socket, core: RelayCore, counters: Counters
    ) -> None:
        self._outside = outside
        self._send_inside = inside.sendto
        self._core = core
        self._counters = counters
        self._six = outside.sock.family == socket.AF_INET6
        self.turn = self._turn_wildcard if outside.wildcard else self._turn_bound

    @property
    def publics(self) -> tuple[Address, ...]:
        """The addresses that `send` sends from."""
        return self._outside.publics

    def fileno(self) -> int:
        """What wakes the worker up."""
        return self._outside.sock.fileno()

    def _turn_bound(self, now: float) -> int:
        receive, send, six = self._outside.sock.recvfrom, self._send_inside, self._six
        public, route = self._outside.public, self._core.route_outside
        for count in range(BATCH):
            try:
                data, source = receive(ROOM)
            except BlockingIOError:
                return count
            except OSError:
                # An ICMP error for something sent before; nothing to do about it.
                continue
            routed = route(data, source[:2] if six else source, public, now)
            if routed is not None:
                try:
                    send(*routed)
                except OSError:
                    self._counters.send_errors += 1
        return BATCH

    def _turn_wildcard(self, now: float) -> int:
        receive, send, route = (
            self._outside.sock.recvmsg,
            self._send_inside,
            self._core.route_outside,
        )
        for count in range(BATCH):
            try:
                data, control, _, source = receive(ROOM, CONTROL_ROOM)
            except BlockingIOError:
                return count
            except OSError:
                continue
            public = self._outside.public_at(_hit(control))
            if public is None:
                self._counters.wrong_address += 1
                continue
            routed = route(data, source[:2], public, now)
            if routed is not None:
                try:
                    send(*routed)
                except OSError:
                    self._counters.send_errors += 1
        return BATCH

    def send(self, payload: bytes, client: Address, public: Address) -> None:
        """To a client, from the address it knows us by."""
        outside = self._outside
        try:
            if outside.wildcard:
                local = outside.locals_by_public[public]
                control = [_answer_from(local, self._six)] if local is not None else []
                outside.sock.sendmsg([payload], control, 0, client)
            else:
                outside.sock.sendto(payload, client)
        except OSError:
            self._counters.send_errors += 1


class PlainInside:
    """The socket towards transceivers. `ways` holds what sends from each public address."""

    def __init__(self, sock: socket.socket, core: RelayCore, ways: dict[Address, Send]) -> None:
        self._sock = sock
        self._core = core
        self._ways = ways
        self._six = sock.family == socket.AF_INET6

    def fileno(self) -> int:
        """What wakes the worker up."""
        return self._sock.fileno()

    def turn(self, now: float) -> int:
        """Forward a batch of what transceivers sent; its size."""
        receive, six, ways = self._sock.recvfrom, self._six, self._ways
        route = self._core.route_inside
        for count in range(BATCH):
            try:
                data, source = receive(ROOM)
            except BlockingIOError:
                return count
            except OSError:
                continue
            routed = route(data, source[:2] if six else source, now)
            if routed is not None:
                payload, client, public = routed
                ways[public](payload, client, public)
        return BATCH


def _hit(control: list[tuple[int, int, bytes]]) -> str:
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            # struct in_pktinfo: interface, address to answer from, address that was hit.
            return socket.inet_ntop(socket.AF_INET, data[8:12])
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
            return socket.inet_ntop(socket.AF_INET6, data[:16])
    return ""


def _answer_from(local: str, six: bool) -> tuple[int, int, bytes]:
    if six:
        return (
            socket.IPPROTO_IPV6,
            IPV6_PKTINFO,
            socket.inet_pton(socket.AF_INET6, local) + bytes(4),
        )
    return socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + socket.inet_aton(local) + bytes(4)
