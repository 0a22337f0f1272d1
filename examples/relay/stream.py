"""The relay's TCP port, as a face of a worker.

For clients whose network blocks UDP. Which connections live and what they may send is decided by
`rtcproto.relay.StreamLeg`; this module moves bytes. All workers accept from the same listening
sockets, and a connection stays with the worker that accepted it, so the answers, which come to
that worker's own inside socket, find it. The face has a selector of its own, which the worker's
selector watches as one descriptor: however many connections there are, a turn is one call.
"""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence

from examples.relay.sockets import Outside
from rtcproto.datagram import Address
from rtcproto.relay import RelayCore, StreamConfig, StreamLeg
from rtcproto.routing import FlowRemoved, Removal
from rtcproto.routing.table import FlowEvent

__all__ = ["StreamFace"]

# Connections accepted, and connections read from, in one turn.
ACCEPTS = 16
READS = 64

# Bytes read from one connection at once: a few frames, so that one client cannot keep a turn.
CHUNK = 8192


class StreamFace:
    """All TCP listeners of one worker. `send_inside` sends a datagram to a transceiver."""

    def __init__(
        self,
        listeners: Sequence[Outside],
        core: RelayCore,
        send_inside: Callable[[bytes, Address], None],
        config: StreamConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listeners = listeners
        self._core = core
        self._send_inside = send_inside
        self._clock = clock
        self._leg = StreamLeg(config or StreamConfig(max_connections=_room()))
        self._opened = 0
        # Packets and bytes of payload, inward and outward.
        self._inward = [0, 0]
        self._outward = [0, 0]
        # Connection and public address of each client.
        self._open: dict[Address, tuple[socket.socket, Address]] = {}
        self._selector = selectors.DefaultSelector()
        for each in listeners:
            self._selector.register(each.sock, selectors.EVENT_READ, each)

    @property
    def publics(self) -> Sequence[Address]:
        """The public addresses that `send` sends from."""
        return [public for each in self._listeners for public in each.publics]

    def fileno(self) -> int:
        """What wakes the worker up: the selector itself can be watched."""
        return self._selector.fileno()

    def turn(self, now: float) -> int:
        """Accept, read and write what can be; the number of connections that had something."""
        ready = self._selector.select(0)[:READS]
        for key, events in ready:
            if isinstance(key.data, Outside):
                self._accept(key.data, now)
                continue
            client: Address = key.data
            if events & selectors.EVENT_WRITE:
                self._write(client)
            if events & selectors.EVENT_READ and client in self._open:
                self._read(client, now)
        self._close_what_ended()
        return len(ready)

    def send(self, payload: bytes, client: Address, public: Address) -> None:
        """To a client, if it is still connected to that address."""
        connection = self._open.get(client)
        if connection is None or connection[1] != public:
            return
        self._outward[0] += 1
        self._outward[1] += len(payload)
        idle = not self._leg.take(client)
        self._leg.send(client, payload, self._clock())
        if idle:
            self._write(client)

    def observe(self, events: Sequence[FlowEvent], now: float) -> None:
        """An owner that releases a flow has nothing more to say to that connection."""
        for event in events:
            if isinstance(event, FlowRemoved) and event.reason is Removal.RELEASED:
                connection = self._open.get(event.client)
                if connection is not None and connection[1] == event.public:
                    self._leg.released(event.client, now)
        self._close_what_ended()

    def get_timer(self) -> float | None:
        """When the next connection has had its time."""
        return self._leg.get_timer()

    def handle_timer(self, now: float) -> None:
        """Close those that had."""
        self._leg.handle_timer(now)
        self._close_what_ended()

    def values(self) -> Mapping[str, int]:
        """Counters by name; no address is among them."""
        stats = self._leg.stats()
        ends = {f"stream_end_{reason.name.lower()}": n for reason, n in stats.ends.items()}
        return {
            **ends,
            "tcp_packets_inward": self._inward[0],
            "tcp_bytes_inward": self._inward[1],
            "tcp_packets_outward": self._outward[0],
            "tcp_bytes_outward": self._outward[1],
            "stream_connections": stats.connections,
            "stream_opened": self._opened,
            "stream_frames_dropped": stats.frames_dropped,
        }

    def close(self) -> None:
        """Close every connection; the listeners belong to somebody else."""
        for client in list(self._open):
            self._forget(client)
        self._selector.close()

    # Private

    def _accept(self, listener: Outside, now: float) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, source = listener.sock.accept()
            except OSError:
                # Another worker was faster, or the client has gone again.
                return
            client: Address = source[:2]
            public = listener.public_at(sock.getsockname()[0])
            if public is None or not self._leg.connected(client, now):
                sock.close()
                continue
            self._opened += 1
            sock.setblocking(False)
            # Each frame is a packet that somebody waits for.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open[client] = sock, public
            self._selector.register(sock, selectors.EVENT_READ, client)

    def _read(self, client: Address, now: float) -> None:
        sock, public = self._open[client]
        try:
            data = sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leg.disconnected(client)
            self._forget(client)
            return
        for packet in self._leg.receive(client, data, now):
            routed = self._core.route_outside(packet, client, public, now)
            if routed is not None:
                self._inward[0] += 1
                self._inward[1] += len(packet)
                self._send_inside(*routed)
            if not self._leg.judge(client, routed is not None, now):
                return

    def _write(self, client: Address) -> None:
        sock, _ = self._open[client]
        while data := self._leg.take(client):
            try:
                size = sock.send(data)
            except BlockingIOError:
                self._watch(sock, client, selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            except OSError:
                self._leg.disconnected(client)
                self._forget(client)
                return
            self._leg.wrote(client, size)
        self._watch(sock, client, selectors.EVENT_READ)

    def _watch(self, sock: socket.socket, client: Address, events: int) -> None:
        if self._selector.get_key(sock).events != events:
            self._selector.modify(sock, events, client)

    def _close_what_ended(self) -> None:
        for client in self._leg.connections_to_close():
            self._forget(client)

    def _forget(self, client: Address) -> None:
        connection = self._open.pop(client, None)
        if connection is not None:
            self._selector.unregister(connection[0])
            connection[0].close()


def _room() -> int:
    """Connections that may be open: never more than half of the files that the process may open.

    A connection that cannot be accepted is not refused either: it waits, and wakes the worker
    up again and again.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = StreamConfig().max_connections
    return most if files == resource.RLIM_INFINITY else min(most, files // 2)
