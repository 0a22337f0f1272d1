"""One worker of the relay: a core, its sockets, and their turns.

The loop is not asyncio's: waking up costs more than forwarding a packet, so each wake-up
empties the sockets (a batch of each *face* in turn, so that a flood from outside cannot
starve the inside face), and while packets keep coming it looks again after each *drain tick*
instead of being woken up for every one.

A face is anything with sockets that takes turns: public UDP sockets, the inside one, and what
`add_face` adds. Whoever keeps something about flows is told of the core's events (`add_observer`).
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from examples.relay.batched import BatchedInside, BatchedOutside
from examples.relay.cache import Decisions
from examples.relay.columns import (
    BATCH,
    SO_TIMESTAMPNS,
    Kernel,
    SystemKernel,
    is_available,
)
from examples.relay.counters import Counters
from examples.relay.plain import PlainInside, PlainOutside, Send
from examples.relay.settings import RelaySettings
from examples.relay.sockets import Outside, WorkerSockets, address_of
from examples.relay.store import DirectoryReader, FlowStore, connect
from examples.relay.stream import StreamFace
from rtcproto.datagram import Address
from rtcproto.relay import RelayConfig, RelayCore
from rtcproto.routing import LeaseBook
from rtcproto.routing.table import FlowEvent

__all__ = ["Face", "Observer", "PublicFace", "Timer", "Worker", "own_addresses", "uses_batches"]


class Face(Protocol):
    """Something with sockets that a worker takes turns with."""

    def fileno(self) -> int:
        """The descriptor that is readable when there is something to do."""
        ...

    def turn(self, now: float) -> int:
        """Forward up to `BATCH` datagrams; how many there were."""
        ...


class PublicFace(Face, Protocol):
    """A face that clients are behind."""

    @property
    def publics(self) -> Sequence[Address]:
        """The public addresses that it stands for."""
        ...

    def send(self, payload: bytes, client: Address, public: Address) -> None:
        """Send to a client; what cannot be sent is counted."""
        ...


# Seconds for which a worker that starts lets packets wait for the store: it answers in a few
# milliseconds, or refuses to; one that does neither is not worth more.
STORE_PATIENCE = 0.1

# Told of what happened to flows, in order.
Observer = Callable[[Sequence[FlowEvent], float], None]


class Timer(Protocol):
    """Something that has to be called at times."""

    def get_timer(self) -> float | None:
        """When to call `handle_timer`, or None."""
        ...

    def handle_timer(self, now: float) -> None:
        """It is time."""
        ...


def uses_batches(settings: RelaySettings) -> bool:
    """What `--io` means on this machine."""
    return settings.io == "batched" or (settings.io == "auto" and is_available())


class Worker:
    """Forwards from `run` to `stop`.

    `own` are all addresses of the relay, those of other workers too; `publics` are public ones of
    faces that are added later.
    """

    def __init__(
        self,
        settings: RelaySettings,
        sockets: WorkerSockets,
        own: Sequence[Address],
        *,
        publics: Sequence[Address] = (),
        kernel: Kernel | None = None,
    ) -> None:
        self._settings = settings
        self._own = own
        self._inside = sockets.inside
        self._stopping = False
        self.counters = Counters()
        everywhere = {
            public for face in (*sockets.outside, *sockets.tcp) for public in face.publics
        }
        upstream = sockets.upstream
        self.core = RelayCore(
            RelayConfig(
                publics=frozenset(everywhere.union(publics)),
                own=frozenset(own),
                upstream_face=None if upstream is None else upstream.public,
                upstreams=tuple(settings.upstream_networks),
                recovery=settings.redis is not None,
            ),
            settings.codec,
            settings.directory(own),
        )
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._decisions = Decisions(self.core)
        self._observers: list[Observer] = []
        self._sources: list[Callable[[], Mapping[str, int]]] = []
        self._timers: list[Timer] = [self.core]
        self._readers: list[FlowStore | DirectoryReader] = []
        self._faces: list[Face] = []
        self._ways: dict[Address, Send] = {}
        # To the core, relays in front of us are behind one more outside face.
        outside = sockets.outside if upstream is None else (*sockets.outside, upstream)
        if uses_batches(settings):
            self._make_batched(outside, kernel or SystemKernel())
        else:
            self._make_plain(outside)
        self._store: FlowStore | None = None
        if settings.redis is not None:
            self._store = FlowStore(connect(settings.redis), self.core, self.wake)
            self._add_reader(self._store)
        self._book: LeaseBook | None = None
        if settings.owners is not None:
            self._book = LeaseBook(
                settings.owner_networks,
                static=settings.transceivers,
                allow=settings.allow,
                own=own,
            )
            self._add_reader(
                DirectoryReader(
                    connect(settings.owners), self._book, self.core.set_directory, self.wake
                )
            )
        self._stream: StreamFace | None = None
        if sockets.tcp:
            self._stream = StreamFace(sockets.tcp, self.core, self.send_inside)
            self.add_public_face(self._stream)
            self.add_observer(self._stream.observe)
            self.add_timer(self._stream)
            self._sources.append(self._stream.values)

    def run(self) -> None:
        """Forward until `stop`."""
        self._start_readers()
        tick = self._settings.drain_tick
        clock, sleep = time.monotonic, time.sleep
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_reader, selectors.EVENT_READ)
            for face in self._faces:
                selector.register(face, selectors.EVENT_READ)
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
                    deadline = self.get_timer()
                    for key, _ in selector.select(
                        None if deadline is None else max(0.0, deadline - clock())
                    ):
                        if key.fileobj is self._wake_reader:
                            self._empty_wakes()
                most = self.turn(clock())

    def turn(self, now: float) -> int:
        """What is due, and a batch of each face; the size of the largest."""
        for timer in self._timers:
            due = timer.get_timer()
            if due is not None and due <= now:
                timer.handle_timer(now)
        self.settle(now)
        most = 0
        for face in self._faces:
            most = max(most, face.turn(now))
        self.settle(now)
        return most

    def settle(self, now: float) -> None:
        """Act on what the core says: its events, and datagrams that it did not return at once."""
        events = self.core.next_events()
        if events:
            self._decisions.apply(events)
            for observer in self._observers:
                observer(events, now)
        if self._store is not None and (commands := self.core.next_commands()):
            self._store.submit(commands)
        for datagram in self.core.datagrams_to_send():
            if datagram.source is None:
                self.send_inside(datagram.data, datagram.destination)
            else:
                self._ways[datagram.source](datagram.data, datagram.destination, datagram.source)

    def get_timer(self) -> float | None:
        """When a turn is due even if nothing arrives."""
        return min(
            (due for timer in self._timers if (due := timer.get_timer()) is not None), default=None
        )

    def send_inside(self, data: bytes, transceiver: Address) -> None:
        """Send from the inside face; what cannot be sent is counted."""
        try:
            self._inside.sendto(data, transceiver)
        except OSError:
            self.counters.send_errors += 1

    def add_face(self, face: Face) -> None:
        """Take turns with it as well. Before `run`."""
        self._faces.append(face)

    def add_public_face(self, face: PublicFace) -> None:
        """The same, and let it send to clients. Its `publics` must have been given to us."""
        self._faces.append(face)
        for public in face.publics:
            self._ways[public] = face.send

    def add_observer(self, observer: Observer) -> None:
        """Tell it of all events of the core from now on."""
        self._observers.append(observer)

    def add_timer(self, timer: Timer) -> None:
        """Call it when it wants to be called."""
        self._timers.append(timer)

    def add_source(self, source: Callable[[], Mapping[str, int]]) -> None:
        """Report what it counts, too; the names must be in `counters.COUNTERS` or `GAUGES`."""
        self._sources.append(source)

    def drain(self, now: float) -> None:
        """Take no new flows from now on."""
        self.core.drain(now)

    def replace(self, settings: RelaySettings, now: float) -> None:
        """Use the keys and the list of transceivers of other settings; nothing else changes."""
        self.core.set_codec(settings.codec, now)
        directory = settings.directory(self._own)
        if self._book is not None:
            directory = self._book.set_static(settings.transceivers)
        self.core.set_directory(directory, now)
        self.settle(now)

    def wake(self) -> None:
        """Make the loop look around. Safe from other threads, signal handlers, after `close`."""
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            # The pipe is full or closed: the loop is about to look anyway.
            return

    def stop(self) -> None:
        """Make `run` return soon. As safe as `wake`."""
        self._stopping = True
        self.wake()

    def close(self) -> None:
        """Close what it opened itself. Not while `run` is running."""
        if self._stream is not None:
            self._stream.close()
        for reader in self._readers:
            reader.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def values(self) -> Mapping[str, int]:
        """Counters and sizes now, by name; no address and no token is among them."""
        values = self.counters.values(self.core.stats())
        for source in self._sources:
            values.update(source())
        return values

    @property
    def flow_count(self) -> int:
        """Flows now."""
        return self.core.stats().flows

    # Private

    def _start_readers(self) -> None:
        for reader in self._readers:
            reader.start()
        # Clients whose packets are waiting would be asked for in vain, and then not again for a
        # while; and what is found leads nowhere before the directory has been read.
        until = time.monotonic() + STORE_PATIENCE
        for reader in self._readers:
            reader.wait_ready(max(0.0, until - time.monotonic()))

    def _empty_wakes(self) -> None:
        try:
            self._wake_reader.recv(4096)
        except BlockingIOError:
            return

    def _add_reader(self, reader: FlowStore | DirectoryReader) -> None:
        self._readers.append(reader)
        self.add_timer(reader)
        self._sources.append(reader.values)

    def _make_plain(self, outside: Sequence[Outside]) -> None:
        # The inside first: what owners send makes the flows that clients' packets need.
        self.add_face(PlainInside(self._inside, self.core, self._ways))
        for each in outside:
            self.add_public_face(PlainOutside(each, self._inside, self.core, self.counters))

    def _make_batched(self, outside: Sequence[Outside], kernel: Kernel) -> None:
        for sock in (self._inside, *(each.sock for each in outside)):
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        core, counters, decisions = self.core, self.counters, self._decisions
        faces = [
            BatchedOutside(each, self._inside, core, counters, decisions, kernel)
            for each in outside
        ]
        self.add_face(
            BatchedInside(
                self._inside, core, counters, decisions, kernel, self._ways, faces, self.settle
            )
        )
        for face in faces:
            self.add_public_face(face)


def own_addresses(workers: Sequence[WorkerSockets]) -> list[Address]:
    """Every address of a relay: nobody there can be a client or a transceiver."""
    own: list[Address] = []
    for worker in workers:
        inside = address_of(worker.inside)
        own.append(inside)
        upstream = () if worker.upstream is None else (worker.upstream,)
        for face in (*worker.outside, *worker.tcp, *upstream):
            own += [face.bound, *face.publics]
            # A wildcard socket is also at our inside host.
            own.append((inside[0], face.bound[1]))
            own += [(host, face.bound[1]) for host in face.locals_by_public.values() if host]
    return own
