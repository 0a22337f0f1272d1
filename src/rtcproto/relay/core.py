"""The relay: many transceivers behind one public port, without a session key or a store.

```text
            outside face                                    inside face
 clients ──▶ receive_outside ── token or flow ── header + datagram ──▶ transceivers
 clients ◀── datagram ── header names client and face ── receive_inside ◀── transceivers
```

Inward, every STUN packet that carries a server ufrag goes where that ufrag says, whatever
else is known, and leaves nothing behind. A ufrag that no key of ours wrote, an
unknown owner or another epoch: dropped. Everything without a ufrag (DTLS, SRTP, STUN responses
and indications) follows the flow that its owner's replies made (`rtcproto.routing.table`).

Outward, the proxy header says it all: client, and the public address to answer from. So replies
are forwarded even where the table gives the flow to somebody else: what is protected is where
the client's packets *go*.

**Two tiers** are the same code. A relay that others stand in front of has an *upstream face* on
its private side: there, and only from configured relays, a datagram starts with one header. It is
routed by what is behind that header, as if a client had sent it, and leaves with a second header
in front: client = the relay it came from, proxy = the face it came to. On the way back that
outer header is taken off again. Flows of this kind are keyed by both headers. A third is refused,
so relays that point at each other send nothing in circles.

What it refuses is `rtcproto.relay.policy.Drop`. It originates nothing, answers nothing,
logs nothing; one datagram in is at most one out, of the same payload. Bindings
are hints, because no integrity is verified here: the transceiver does that.

Called by the driver of a program with one datagram at a time. `receive_outside`, `receive_inside`
with `datagrams_to_send` are the contract of every machine; `route_outside` and `route_inside`
are the same two decisions returned at once, for a loop that forwards each packet before
it reads the next. An upstream face is an outside face to them: its address is the `local` of
`receive_outside`, and the `source` of what `receive_inside` sends to an upstream relay.

A driver that forwards whole batches may remember what the core has decided for a flow, until
an event says that the flow ended: that packets of its client which begin with one of `FLOW_FIRST`
go to `Flow.owner` behind `Flow.header`, and, once it is proven, that non-empty packets of that
owner behind that header go to the client, unless they begin like a header. It tells the core
what it has forwarded by `forwarded_inward` and `forwarded_outward`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from rtcproto.datagram import MAX_DATAGRAM_IN, Address, Datagram
from rtcproto.errors import ParseError, UsageError
from rtcproto.relay.kinds import (
    FLOW,
    IS_MEDIA,
    MAGIC_FIRST,
    MAX_BEHIND_RELAY,
    MAX_INSIDE_DATAGRAM,
    NOWHERE,
    STUN,
    WAY,
    can_be_client,
)
from rtcproto.relay.policy import Drop, RelayConfig, RelayStats
from rtcproto.relay.recovery import Command, Recovery, Waiting
from rtcproto.relay.upstream import Upstreams
from rtcproto.relay.vetting import inner_header, owner_in
from rtcproto.routing.directory import Directory
from rtcproto.routing.proxy import (
    HEADER_SIZE,
    HeaderCache,
    encode_header,
    has_header,
)
from rtcproto.routing.table import Flow, FlowEvent, FlowKey, FlowTable, Reply
from rtcproto.routing.token import TokenCodec
from rtcproto.stun.peek import peek_server_ufrag

__all__ = ["RelayCore"]

# (datagram, destination, our address to send it from).
Outward: TypeAlias = tuple[bytes, Address, Address]


class RelayCore:
    """The forwarding decisions of one relay process. All times are the caller's seconds."""

    __slots__ = (
        "_by_client", "_by_header", "_bytes_inward", "_bytes_outward", "_codec", "_config",
        "_directory", "_draining", "_drops", "_face", "_flows_refused", "_headers", "_ours", "_out",
        "_packets_inward", "_packets_outward", "_recovery", "_table", "_takeovers_refused",
        "_upstreams",
    )  # fmt: skip

    def __init__(self, config: RelayConfig, codec: TokenCodec, directory: Directory) -> None:
        if not config.publics and config.upstream_face is None:
            raise UsageError("a relay needs a public address or an upstream face")
        self._config = config
        self._codec = codec
        self._directory = directory
        self._face = config.upstream_face
        self._upstreams = Upstreams(config.upstreams, config.upstream_face)
        self._ours = config.ours
        self._headers = HeaderCache()
        self._table = FlowTable(
            max_flows=config.max_flows,
            idle_timeout=config.idle_timeout,
            takeover_silence=config.takeover_silence,
            report_used=config.recovery,
        )
        self._recovery = Recovery(config.idle_timeout) if config.recovery else None
        # The table's own indices, bound once for the per-packet paths.
        self._by_client = self._table.by_client
        self._by_header = self._table.by_header
        self._out: list[Datagram] = []
        self._draining = False

        self._packets_inward = 0
        self._bytes_inward = 0
        self._packets_outward = 0
        self._bytes_outward = 0
        self._takeovers_refused = 0
        self._flows_refused = 0
        self._drops = [0] * len(Drop)

    # Getters

    @property
    def flows(self) -> Mapping[FlowKey, Address]:
        """Every flow (client, public address, upstream relay if any) and its owner, as a copy."""
        return {key: flow.owner for key, flow in self._by_client.items()}

    def owner_of(self, client: Address, public: Address) -> Address | None:
        """Where packets of `client` to `public` go that carry no ufrag, or None."""
        return self._table.owner_of(client, public)

    def is_proven(self, client: Address, public: Address) -> bool:
        """True if the flow exists and its owner has sent media through it."""
        return self._table.is_proven(client, public)

    def flow_of(self, client: Address, public: Address) -> Flow | None:
        """The flow itself, for a driver that remembers decisions; only to be read."""
        return self._by_client.get((client, public))

    @property
    def flow_events_dropped(self) -> int:
        """Events that nobody drained in time, as in `stats`, for who must know before each use."""
        return self._table.events_dropped

    def stats(self) -> RelayStats:
        """Counters and sizes now."""
        return RelayStats(
            flows=len(self._table),
            flows_unproven=self._table.unproven,
            packets_inward=self._packets_inward,
            bytes_inward=self._bytes_inward,
            packets_outward=self._packets_outward,
            bytes_outward=self._bytes_outward,
            takeovers_refused=self._takeovers_refused,
            flows_refused=self._flows_refused,
            flow_events_dropped=self._table.events_dropped,
            commands_dropped=0 if self._recovery is None else self._recovery.commands_dropped,
            drops={reason: count for reason, count in zip(Drop, self._drops, strict=True) if count},
        )

    # Verbs

    def set_directory(self, directory: Directory, now: float) -> None:
        """Use another list of transceivers; flows of those that are gone end at once."""
        self._directory = directory
        self._table.retain_owners(directory.lists)

    def set_codec(self, codec: TokenCodec, now: float) -> None:
        """Use other token keys. Flows are not affected."""
        self._codec = codec

    def drain(self, now: float) -> None:
        """Take no new flows from now on: checks of unknown clients are dropped. For good."""
        self._draining = True
        self._table.close()

    # Inputs

    def receive_outside(self, data: bytes, source: Address, local: Address, now: float) -> None:
        """A datagram of a client at `source` to our public address `local`."""
        routed = self.route_outside(data, source, local, now)
        if routed is not None:
            self._out.append(Datagram(*routed))

    def receive_inside(self, data: bytes, source: Address, now: float) -> None:
        """A datagram that reached the inside face from `source`."""
        routed = self.route_inside(data, source, now)
        if routed is not None:
            self._out.append(Datagram(*routed))

    def forwarded_inward(self, packets: int, size: int) -> None:
        """The driver forwarded so many packets, `size` bytes in all, of clients that have flows."""
        self._packets_inward += packets
        self._bytes_inward += size

    def forwarded_outward(self, flows: Collection[Flow], size: int, now: float) -> None:
        """The driver forwarded one packet of an owner for each of `flows`, `size` bytes in all."""
        for flow in flows:
            flow.sent = now
        self._packets_outward += len(flows)
        self._bytes_outward += size

    def handle_timer(self, now: float) -> None:
        """Let idle flows go, and what waited for the store too long."""
        self._table.handle_timer(now)
        recovery = self._recovery
        if recovery is not None:
            for flow in self._table.take_used():
                recovery.store(flow.key, flow.owner)
            for key, waiting in recovery.overdue(now):
                self._settle(key, waiting, None, now)

    def flow_found(self, key: FlowKey, owner: Address | None, now: float) -> None:
        """The store's answer to a `LookUpFlow`; None, or an owner not in the directory: nobody.

        Packets that have waited are among `datagrams_to_send` afterwards.
        """
        waiting = None if self._recovery is None else self._recovery.answered(key)
        if waiting is not None:
            self._settle(key, waiting, owner, now)

    # Outputs

    def datagrams_to_send(self) -> list[Datagram]:
        """What to send. `source` is a public address for clients, None for the inside face."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[FlowEvent]:
        """What happened to flows since the last call, in order."""
        return self._table.next_events()

    def next_commands(self) -> list[Command]:
        """What to tell or to ask the store, in order; nothing without `RelayConfig.recovery`."""
        return [] if self._recovery is None else self._recovery.next_commands()

    def get_timer(self) -> float | None:
        """When to call `handle_timer`, or None."""
        waiting = None if self._recovery is None else self._recovery.get_timer()
        return min((t for t in (self._table.get_timer(), waiting) if t is not None), default=None)

    # The two decisions

    def route_outside(
        self, data: bytes, source: Address, local: Address, now: float
    ) -> tuple[bytes, Address] | None:
        """As `receive_outside`, but gives (datagram, transceiver) to send from the inside face."""
        size = len(data)
        if local == self._face:
            return self._route_downwards(data, source, now)
        if not 0 < size <= MAX_DATAGRAM_IN:
            self._drop(Drop.OVERSIZED if size else Drop.EMPTY)
            return None
        way = WAY[data[0]]
        if way != FLOW:
            if way != STUN:
                self._drop(Drop.HEADER_OUTSIDE if has_header(data) else Drop.NOT_ROUTABLE)
                return None
            ufrag = peek_server_ufrag(data)
            if ufrag is not None:
                return self._route_by_ufrag(ufrag, data, source, local)
            # RFC 8489 section 5: both class bits are clear in a request.
            if not data[0] & 1 and (size < 2 or not data[1] & 0x10):
                self._drop(Drop.STUN_WITHOUT_UFRAG)
                return None
        flow = self._by_client.get((source, local))
        if flow is None:
            self._miss((source, local), b"", data, now)
            return None
        self._packets_inward += 1
        self._bytes_inward += size
        return flow.header + data, flow.owner

    def route_inside(self, data: bytes, source: Address, now: float) -> Outward | None:
        """As `receive_inside`, but gives (datagram, destination, address to send from)."""
        flow = self._by_header.get(data[:38])
        # The common case: the flow's owner sends something that tells the table nothing new.
        # An owner in the table is a listed one, see `set_directory`.
        if (
            flow is not None
            and flow.proven
            and flow.owner == source
            and 38 < len(data) <= MAX_BEHIND_RELAY
            and data[38] != MAGIC_FIRST
        ):
            flow.sent = now
            self._packets_outward += 1
            self._bytes_outward += len(data) - 38
            return data[38:], flow.client, flow.public
        return self._route_inside_slowly(data, source, now)

    # Private

    def _drop(self, reason: Drop) -> None:
        self._drops[reason] += 1

    def _route_by_ufrag(
        self, ufrag: bytes, data: bytes, source: Address, local: Address
    ) -> tuple[bytes, Address] | None:
        owner = owner_in(ufrag, self._codec, self._directory)
        if isinstance(owner, Drop):
            self._drop(owner)
            return None
        if source in self._ours or self._directory.lists(source):
            self._drop(Drop.LOOP)
            return None
        flow = self._by_client.get((source, local))
        if flow is not None:
            header = flow.header
        elif self._draining:
            self._drop(Drop.DRAINING)
            return None
        else:
            try:
                header = encode_header(source, local)
            except UsageError:
                # Source port 0: it could never be answered.
                self._drop(Drop.NOT_ROUTABLE)
                return None
        self._packets_inward += 1
        self._bytes_inward += len(data)
        return header + data, owner

    def _route_downwards(
        self, data: bytes, source: Address, now: float
    ) -> tuple[bytes, Address] | None:
        """From an upstream relay: one header, and what its client sent."""
        outer = self._upstreams.header_of(source)
        if outer is None or self._directory.lists(source):
            self._drop(Drop.UNLISTED_UPSTREAM)
            return None
        size = len(data) - HEADER_SIZE
        if size < 0 or not has_header(data):
            self._drop(Drop.BAD_HEADER)
            return None
        if not size:
            # An upstream relay forwards nothing empty; an owner would take it for a release.
            self._drop(Drop.EMPTY)
            return None
        if size > MAX_DATAGRAM_IN:
            self._drop(Drop.OVERSIZED)
            return None
        first = data[HEADER_SIZE]
        way = WAY[first]
        if way == NOWHERE:
            self._drop(Drop.NESTED_HEADER if first == MAGIC_FIRST else Drop.NOT_ROUTABLE)
            return None
        flow = self._by_header.get(outer + data[:HEADER_SIZE])
        ufrag = peek_server_ufrag(data[HEADER_SIZE:]) if way == STUN else None
        if ufrag is not None:
            owner = owner_in(ufrag, self._codec, self._directory)
            if isinstance(owner, Drop):
                self._drop(owner)
                return None
            if flow is None and self._draining:
                self._drop(Drop.DRAINING)
                return None
            if flow is None:
                pair = inner_header(data, 0, self._ours, self._directory)
                if isinstance(pair, Drop):
                    self._drop(pair)
                    return None
        elif flow is not None:
            owner = flow.owner
        else:
            pair = inner_header(data, 0, self._ours, self._directory)
            if isinstance(pair, Drop):
                self._drop(pair)
                return None
            stack = outer + data[:HEADER_SIZE]
            self._miss((*pair, source), stack, data[HEADER_SIZE:], now)
            return None
        self._packets_inward += 1
        self._bytes_inward += size
        return outer + data, owner

    def _route_upwards(
        self, data: bytes, source: Address, via: Address, face: Address, now: float
    ) -> Outward | None:
        """From an owner behind two headers: take the outer one off, for the relay in front."""
        flow = self._by_header.get(data[:76])
        if (
            flow is not None
            and flow.proven
            and flow.owner == source
            and 76 < len(data) <= MAX_INSIDE_DATAGRAM
            and data[76] != MAGIC_FIRST
        ):
            flow.sent = now
            self._packets_outward += 1
            self._bytes_outward += len(data) - 76
            return data[38:], via, face
        if self._upstreams.header_of(via) is None or self._directory.lists(via):
            self._drop(Drop.UNLISTED_UPSTREAM)
            return None
        size = len(data) - 2 * HEADER_SIZE
        if size > MAX_DATAGRAM_IN:
            self._drop(Drop.OVERSIZED)
            return None
        pair = inner_header(data, HEADER_SIZE, self._ours, self._directory)
        if isinstance(pair, Drop):
            self._drop(pair)
            return None
        client, public = pair
        if not size:
            if not self._release((client, public, via), source):
                return None
        elif data[2 * HEADER_SIZE] == MAGIC_FIRST:
            self._drop(Drop.NESTED_HEADER)
            return None
        else:
            media = IS_MEDIA[data[2 * HEADER_SIZE]]
            stack = data[: 2 * HEADER_SIZE]
            self._note((client, public, via), stack, source, media, now)
        self._packets_outward += 1
        self._bytes_outward += size
        return data[HEADER_SIZE:], via, face

    def _note(self, key: FlowKey, header: bytes, owner: Address, media: bool, now: float) -> None:
        """`owner` has answered: the table decides what that makes of the flow."""
        via = key[2] if len(key) > 2 else None
        reply = self._table.reply(owner, key[0], key[1], header, media, now, via=via)
        if reply is Reply.REFUSED:
            self._takeovers_refused += 1
        elif reply is Reply.FULL:
            self._flows_refused += 1
        elif reply is not Reply.REFRESHED and self._recovery is not None:
            self._recovery.store(key, owner)

    def _release(self, key: FlowKey, owner: Address) -> bool:
        released = self._table.release(owner, *key)
        if not released:
            self._drop(Drop.FOREIGN_RELEASE)
        elif self._recovery is not None:
            self._recovery.forget(key, owner)
        return released

    def _miss(self, key: FlowKey, header: bytes, payload: bytes, now: float) -> None:
        """A packet of a client without a flow: drop it, or let it wait for the store."""
        client = key[0]
        nobody = not client[1] or client in self._ours or self._directory.lists(client)
        if self._recovery is None or nobody:
            self._drop(Drop.NO_FLOW)
        elif not self._recovery.wait(key, header, payload, now):
            self._drop(Drop.NOT_WAITING)

    def _settle(self, key: FlowKey, waiting: Waiting, owner: Address | None, now: float) -> None:
        """A question is answered (None: by nothing, or in vain): its packets go, or are dropped."""
        # The store is not believed: only the directory says who can be an owner.
        if key not in self._by_client and owner is not None and self._directory.lists(owner):
            self._note(key, waiting.header or encode_header(*key[:2]), owner, False, now)
        # The owner may also have answered in the meantime.
        flow = self._by_client.get(key)
        for payload in waiting.packets:
            if flow is None:
                self._drop(Drop.NO_FLOW)
                continue
            self._packets_inward += 1
            self._bytes_inward += len(payload)
            self._out.append(Datagram(flow.header + payload, flow.owner))
        if flow is None and self._recovery is not None:
            self._recovery.absent(key, now)

    def _route_inside_slowly(self, data: bytes, source: Address, now: float) -> Outward | None:
        if not self._directory.lists(source):
            self._drop(Drop.UNLISTED_PEER)
            return None
        try:
            client, public, _ = self._headers.parse(data)
        except ParseError:
            self._drop(Drop.BAD_HEADER)
            return None
        if public == self._face:
            return self._route_upwards(data, source, client, public, now)
        size = len(data) - HEADER_SIZE
        if size > MAX_DATAGRAM_IN:
            self._drop(Drop.OVERSIZED)
            return None
        if public not in self._config.publics:
            self._drop(Drop.FOREIGN_PUBLIC)
            return None
        if client in self._ours or self._directory.lists(client):
            self._drop(Drop.LOOP)
            return None
        if not size:
            self._release((client, public), source)
            return None
        if data[HEADER_SIZE] == MAGIC_FIRST:
            self._drop(Drop.NESTED_HEADER)
            return None
        if not can_be_client(client):
            self._drop(Drop.BAD_HEADER)
            return None
        media = IS_MEDIA[data[HEADER_SIZE]]
        self._note((client, public), data[:HEADER_SIZE], source, media, now)
        self._packets_outward += 1
        self._bytes_outward += size
        return data[HEADER_SIZE:], client, public
