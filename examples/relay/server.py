"""The relay's sockets and its loop.

The loop is not asyncio's: waking up costs more than forwarding a packet, so each wake-up
empties the sockets (a batch of each in turn, so that a flood from outside cannot
starve the inside face), and while packets keep coming it looks again after each *drain tick*
instead of being woken up for every one. `RelayServer.run` blocks; call it in the main
thread, in any other, or by `asyncio.to_thread`. `stop` may be called from anywhere, also
from a signal handler.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from examples.cli import show
from examples.relay.settings import RelaySettings, SettingsError
from rtcproto.datagram import MAX_DATAGRAM_IN, Address
from rtcproto.relay import RelayConfig, RelayCore
from rtcproto.routing import HEADER_SIZE

__all__ = ["RelayServer"]

# Datagrams taken from one socket before the next has its turn.
BATCH = 64

# Bytes of kernel buffer asked for (the kernel may give less): 50 ms of 100,000 packets a second.
SOCKET_BUFFER = 4 * 1024 * 1024

# One byte more than is accepted, so that what was cut off shows as too large.
RECEIVE_SIZE = HEADER_SIZE + MAX_DATAGRAM_IN + 1

# linux/in.h and linux/in6.h; not in Python's socket module.
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT = 23, 0

# Takes a batch from one socket; gives its size.
Drain = Callable[[float], int]

Send = Callable[[bytes, Address], int]


class RelayServer:
    """A running relay. Sockets are bound when it is made; SettingsError if they cannot be.

    Port 0 in the settings takes a free port; `publics` and `inside` say which.
    """

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        self._stopping = False
        self._sockets: list[socket.socket] = []
        # Datagrams that the kernel did not take: no route, buffer full, host unreachable.
        self.send_errors = 0
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        try:
            outside = [self._bind(address, "--listen") for address in settings.listen]
            inside = self._bind(settings.inside, "--inside")
            _allow_fragments(inside)
            bound = [_address_of(sock) for sock in outside]
            self.publics = tuple(settings.public_of(address) for address in bound)
            self.inside = _address_of(inside)
            own = [*bound, *self.publics, self.inside]
            # A wildcard socket is also at our inside host.
            own += [(self.inside[0], port) for _, port in bound]
            self.core = RelayCore(
                RelayConfig(publics=frozenset(self.publics), own=frozenset(own)),
                settings.codec,
                settings.directory(own),
            )
        except BaseException:
            self.close()
            raise
        send_by_public: dict[Address, Send] = {
            public: sock.sendto for public, sock in zip(self.publics, outside, strict=True)
        }
        self._drains = [
            self._inside_drain(inside, send_by_public),
            *(
                self._outside_drain(sock, public, inside)
                for sock, public in zip(outside, self.publics, strict=True)
            ),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def run(self) -> None:
        """Forward until `stop`."""
        tick = self._settings.drain_tick
        interval = self._settings.stats_interval
        core, drains, clock, sleep = self.core, self._drains, time.monotonic, time.sleep
        next_stats = None if interval is None else clock() + interval
        with selectors.DefaultSelector() as selector:
            for sock in (self._wake_reader, *self._sockets):
                selector.register(sock, selectors.EVENT_READ)
            most = 0
            while not self._stopping:
                if most == BATCH:
                    # More is waiting: neither ask nor wait.
                    pass
                elif most and tick:
                    # Somebody is talking, so it is cheaper to look again after a while than to
                    # be woken up for each packet.
                    sleep(tick)
                else:
                    deadlines = [d for d in (core.get_timer(), next_stats) if d is not None]
                    selector.select(max(0.0, min(deadlines) - clock()) if deadlines else None)
                now = clock()
                core.handle_timer(now)
                # Nothing here acts on flow events; a kernel fast path would.
                core.next_events()
                most = 0
                for drain in drains:
                    most = max(most, drain(now))
                if next_stats is not None and now >= next_stats and interval is not None:
                    next_stats = now + interval
                    self._print_stats()

    def stop(self) -> None:
        """Make `run` return soon. Safe from other threads, signal handlers, and after `close`."""
        self._stopping = True
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            # The pipe is full or closed: the loop is about to see the flag anyway.
            return

    def close(self) -> None:
        """Close the sockets. Not while `run` is running."""
        for sock in (*self._sockets, self._wake_reader, self._wake_writer):
            sock.close()

    def stats(self) -> dict[str, object]:
        """Counters as plain values, for JSON. No address and no token is among them."""
        stats = self.core.stats()
        return {
            "flows": stats.flows,
            "flows_unproven": stats.flows_unproven,
            "packets_inward": stats.packets_inward,
            "bytes_inward": stats.bytes_inward,
            "packets_outward": stats.packets_outward,
            "bytes_outward": stats.bytes_outward,
            "takeovers_refused": stats.takeovers_refused,
            "flows_refused": stats.flows_refused,
            "send_errors": self.send_errors,
            "drops": {reason.label: count for reason, count in stats.drops.items()},
        }

    # Private

    def _bind(self, address: Address, flag: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sockets.append(sock)
        sock.setblocking(False)
        if family == socket.AF_INET6:
            # One family per socket: addresses then never appear in the mapped form.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        try:
            sock.bind(address)
        except OSError as error:
            raise SettingsError(f"{flag} {show(address)}: {error.strerror}") from None
        return sock

    # The two loops below run once per packet: everything they use is bound to a local name, and
    # a socket's family is decided here instead of there.

    def _outside_drain(self, sock: socket.socket, public: Address, inside: socket.socket) -> Drain:
        receive, send, route = sock.recvfrom, inside.sendto, self.core.route_outside
        six = sock.family == socket.AF_INET6

        def drain(now: float) -> int:
            for count in range(BATCH):
                try:
                    data, source = receive(RECEIVE_SIZE)
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
                        self.send_errors += 1
            return BATCH

        return drain

    def _inside_drain(
        self,
        sock: socket.socket,
        send_by_public: dict[Address, Send],
    ) -> Drain:
        receive, route = sock.recvfrom, self.core.route_inside
        six = sock.family == socket.AF_INET6

        def drain(now: float) -> int:
            for count in range(BATCH):
                try:
                    data, source = receive(RECEIVE_SIZE)
                except BlockingIOError:
                    return count
                except OSError:
                    continue
                routed = route(data, source[:2] if six else source, now)
                if routed is not None:
                    payload, client, public = routed
                    try:
                        send_by_public[public](payload, client)
                    except OSError:
                        self.send_errors += 1
            return BATCH

        return drain

    def _print_stats(self) -> None:
        json.dump(self.stats(), sys.stdout)
        print(flush=True)


def _allow_fragments(sock: socket.socket) -> None:
    # A full-size datagram of a client plus our header can exceed the path's 1,500 bytes.
    if not sys.platform.startswith("linux"):
        return
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)


def _address_of(sock: socket.socket) -> Address:
    host, port = sock.getsockname()[:2]
    return host, port
