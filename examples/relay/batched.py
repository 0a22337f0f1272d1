"""Faces of a worker that move whole batches: packets of known flows without a line of Python each.

A batch in which every packet belongs to a known flow is forwarded by moving columns
(`examples.relay.columns`). The others of a batch (checks, unknown clients, junk) go one by one
through the core, which decides; what it decided by a flow is remembered (`examples.relay.cache`).
Between a decision and the next look at what is remembered, the core's events are applied.
"""

from __future__ import annotations

import socket
import time
from array import array
from collections.abc import Callable

from examples.relay.cache import Decisions, Known, Outward
from examples.relay.columns import (
    DATA,
    INFO,
    NAME,
    NAME_SIZE,
    Inbox,
    Kernel,
    Outbox,
    read_info,
    read_name,
    write_info,
)
from examples.relay.counters import Counters
from examples.relay.plain import PlainOutside, Send
from examples.relay.sockets import Outside
from rtcproto.datagram import MAX_DATAGRAM_IN, Address
from rtcproto.relay import FLOW_FIRST, RelayCore
from rtcproto.routing import HEADER_SIZE
from rtcproto.routing.proxy import MAGIC

__all__ = ["BatchedInside", "BatchedOutside", "Settle"]

# One batch in so many is asked how long it waited.
SAMPLE_EVERY = 16

# Largest datagram of a transceiver that is forwarded without asking the core.
MAX_INSIDE = HEADER_SIZE + MAX_DATAGRAM_IN

# Acts on what the core says about flows.
Settle = Callable[[float], None]


class BatchedOutside:
    """A public socket."""

    def __init__(
        self,
        outside: Outside,
        inside: socket.socket,
        core: RelayCore,
        counters: Counters,
        decisions: Decisions,
        kernel: Kernel,
    ) -> None:
        self._outside = outside
        self._core = core
        self._counters = counters
        self._decisions = decisions
        self._send_inside = inside.sendto
        self._known: Known[bytes] = Known()
        known_by = INFO if outside.wildcard else NAME
        self._name_at = NAME - known_by
        self._inbox = Inbox(
            kernel,
            outside.sock.fileno(),
            known_by,
            NAME - known_by + NAME_SIZE,
            outside.wildcard,
        )
        self._outbox = Outbox(
            kernel,
            inside.fileno(),
            self._inbox.bodies,
            head_size=HEADER_SIZE,
            segment=True,
        )
        self._turns = 0
        # For answers, see `BatchedInside`.
        self.family = outside.sock.family
        self.send = PlainOutside(outside, inside, core, counters).send

    @property
    def publics(self) -> tuple[Address, ...]:
        """The addresses that `send` sends from."""
        return self._outside.publics

    def control_for(self, public: Address) -> bytes:
        """Control data that makes answers leave from where `public` is; empty if that is given."""
        if not self._outside.wildcard:
            return b""
        return write_info(self._outside.locals_by_public[public], self.family)

    def fileno(self) -> int:
        """What wakes the worker up."""
        return self._outside.sock.fileno()

    def turn(self, now: float) -> int:
        """Forward a batch of what clients sent; its size."""
        inbox = self._inbox
        count = inbox.receive()
        if not count:
            return 0
        column = inbox.sizes(count)
        sizes = column.tolist()
        keys = inbox.names(count)
        if (
            min(sizes) > 0
            and max(sizes) <= MAX_DATAGRAM_IN
            and not inbox.column(0, count).translate(None, FLOW_FIRST)
        ):
            try:
                words = b"".join(map(self._known.__getitem__, keys))
            except KeyError:
                self._one_by_one(keys, sizes, now)
            else:
                self._send(words, column, None)
                self._core.forwarded_inward(count, sum(sizes))
        else:
            self._one_by_one(keys, sizes, now)
        self._turns += 1
        if not self._turns % SAMPLE_EVERY:
            arrival = inbox.arrival()
            if arrival is not None:
                self._counters.sample_delay(time.time() - arrival)
        return count

    def _send(self, words: bytes, sizes: memoryview, chosen: array[int] | None) -> None:
        columns = memoryview(words).cast("Q")
        self._counters.send_errors += self._outbox.send(columns[0::2], columns[1::2], sizes, chosen)

    def _one_by_one(self, keys: tuple[bytes, ...], sizes: list[int], now: float) -> None:
        inbox, known = self._inbox, self._known
        firsts = inbox.column(0, len(sizes))
        words: list[bytes] = []
        bodies: list[int] = []
        lengths: list[int] = []
        for index, key in enumerate(keys):
            size = sizes[index]
            if 0 < size <= MAX_DATAGRAM_IN and firsts[index] in FLOW_FIRST:
                decided = known.get(key)
                if decided is not None:
                    words.append(decided)
                    bodies.append(inbox.bodies[index])
                    lengths.append(size)
                    continue
            self._ask(inbox.data(index, size), key, now)
        if words:
            self._send(b"".join(words), memoryview(array("Q", lengths)), array("Q", bodies))
            self._core.forwarded_inward(len(words), sum(lengths))

    def _ask(self, data: bytes, key: bytes, now: float) -> None:
        public: Address | None = self._outside.public
        if self._outside.wildcard:
            hit = read_info(key)
            public = None if hit is None else self._outside.public_at(hit)
            if public is None:
                self._counters.wrong_address += 1
                return
        assert public is not None
        source = read_name(key[self._name_at :])
        routed = self._core.route_outside(data, source, public, now)
        if routed is None:
            return
        try:
            self._send_inside(*routed)
        except OSError:
            self._counters.send_errors += 1
        if data[0] in FLOW_FIRST:
            self._decisions.learn_inward(self._known, key, source, public)


class BatchedInside:
    """The socket towards transceivers. `ways` holds what sends from each public address."""

    def __init__(
        self,
        sock: socket.socket,
        core: RelayCore,
        counters: Counters,
        decisions: Decisions,
        kernel: Kernel,
        ways: dict[Address, Send],
        faces: list[BatchedOutside],
        settle: Settle,
    ) -> None:
        self._sock = sock
        self._core = core
        self._counters = counters
        self._decisions = decisions
        self._ways = ways
        self._settle = settle
        self._known: Known[Outward] = Known()
        # Who sent it, nothing, and the header in front of the data.
        self._inbox = Inbox(kernel, sock.fileno(), NAME, DATA - NAME + HEADER_SIZE, False)
        payloads = array("Q", (body + HEADER_SIZE for body in self._inbox.bodies))
        self._payloads = payloads
        self._faces = {public: face for face in faces for public in face.publics}
        self._outboxes: dict[object, Outbox] = {
            face: Outbox(
                kernel,
                face.fileno(),
                payloads,
                control_size=len(face.control_for(face.publics[0])) if face.publics else 0,
            )
            for face in faces
        }
        self._controls = {public: face.control_for(public) for public, face in self._faces.items()}
        self._turns = 0

    def fileno(self) -> int:
        """What wakes the worker up."""
        return self._sock.fileno()

    def turn(self, now: float) -> int:
        """Forward a batch of what transceivers sent; its size."""
        inbox = self._inbox
        count = inbox.receive()
        if not count:
            return 0
        sizes = inbox.sizes(count).tolist()
        keys = inbox.names(count)
        decided = [*map(self._known.get, keys)]
        if (
            None in decided
            or min(sizes) <= HEADER_SIZE
            or max(sizes) > MAX_INSIDE
            or MAGIC[0] in inbox.column(HEADER_SIZE, count)
        ):
            self._one_by_one(keys, sizes, now)
        else:
            self._send_all([outward for outward in decided if outward is not None], sizes, now)
        self._turns += 1
        if not self._turns % SAMPLE_EVERY:
            arrival = inbox.arrival()
            if arrival is not None:
                self._counters.sample_delay(time.time() - arrival)
        return count

    def _send_all(self, decided: list[Outward], sizes: list[int], now: float) -> None:
        face = decided[0].face
        lengths = array("Q", [size - HEADER_SIZE for size in sizes])
        if len(self._outboxes) == 1 or all(outward.face is face for outward in decided):
            self._send(face, [outward.words for outward in decided], lengths, None)
        else:
            self._send_by_face(decided, lengths, self._payloads)
        self._core.forwarded_outward([outward.flow for outward in decided], sum(lengths), now)

    def _send_by_face(
        self, decided: list[Outward], lengths: array[int], payloads: array[int]
    ) -> None:
        for face in self._outboxes:
            chosen = [index for index, outward in enumerate(decided) if outward.face is face]
            if chosen:
                self._send(
                    face,
                    [decided[index].words for index in chosen],
                    array("Q", [lengths[index] for index in chosen]),
                    array("Q", [payloads[index] for index in chosen]),
                )

    def _send(
        self, face: object, words: list[bytes], lengths: array[int], chosen: array[int] | None
    ) -> None:
        columns = memoryview(b"".join(words)).cast("Q")
        self._counters.send_errors += self._outboxes[face].send(
            columns[0::2], columns[1::2], memoryview(lengths), chosen
        )

    def _one_by_one(self, keys: tuple[bytes, ...], sizes: list[int], now: float) -> None:
        # In order: what the core decides about one packet may end what is known for the next.
        inbox = self._inbox
        seconds = inbox.column(HEADER_SIZE, len(sizes))
        decided: list[Outward] = []
        lengths: array[int] = array("Q")
        payloads: array[int] = array("Q")
        for index, key in enumerate(keys):
            size = sizes[index]
            outward = self._known.get(key)
            if (
                outward is not None
                and HEADER_SIZE < size <= MAX_INSIDE
                and seconds[index] != MAGIC[0]
            ):
                # Heard now, so that the next packet of the batch finds it heard.
                self._core.forwarded_outward((outward.flow,), size - HEADER_SIZE, now)
                decided.append(outward)
                lengths.append(size - HEADER_SIZE)
                payloads.append(self._payloads[index])
            else:
                self._ask(inbox.data(index, size), key, now)
        if decided:
            self._send_by_face(decided, lengths, payloads)

    def _ask(self, data: bytes, key: bytes, now: float) -> None:
        source = read_name(key)
        routed = self._core.route_inside(data, source, now)
        self._settle(now)
        if routed is None:
            return
        payload, client, public = routed
        self._ways[public](payload, client, public)
        face = self._faces.get(public)
        if face is not None and len(data) == len(payload) + HEADER_SIZE:
            self._decisions.learn_outward(
                self._known,
                key,
                data[:HEADER_SIZE],
                source,
                (client, public),
                self._controls[public],
                face,
            )
