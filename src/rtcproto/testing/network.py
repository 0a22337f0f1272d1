"""The wires between hosts: links, NATs, and taps for whoever wants to watch or attack.

A datagram goes: host, its NAT, taps at `SENT`, the link between the two public
hosts, taps at `ARRIVED`, the receiver's NAT, receiver. Links are found by the
*public* host names of both ends and fall back to the network's default, so a
spoofed source travels the link of the address it claims.

A tap is a function `(packet, now) -> packets that go on`: `[packet]` passes it,
`[]` drops it, others replace or add to it. `Network.send` injects a datagram
with any source, which is what an off-path attacker can do.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias, TypeVar

import attrs

from rtcproto.datagram import MAX_DATAGRAM_OUT, Address
from rtcproto.testing.host import Host
from rtcproto.testing.link import Link, LinkConfig
from rtcproto.testing.machine import Machine
from rtcproto.testing.nat import Nat
from rtcproto.testing.presets import PERFECT
from rtcproto.testing.world import World

__all__ = ["Capture", "Network", "Packet", "Point", "Tap"]

M = TypeVar("M", bound=Machine)


@attrs.frozen
class Packet:
    """A datagram on the public network, with the addresses seen there."""

    data: bytes
    source: Address
    destination: Address

    def __repr__(self) -> str:
        return f"Packet({len(self.data)} bytes, {self.source} -> {self.destination})"


Tap: TypeAlias = Callable[[Packet, float], Iterable[Packet]]


class Point(enum.Enum):
    """Where a tap sits."""

    SENT = "before the link: sees what is lost later, too"
    ARRIVED = "behind the link: sees what really arrives, when it does"


class Capture:
    """A tap that passes everything and keeps (instant, packet)."""

    __slots__ = ("packets",)

    def __init__(self) -> None:
        self.packets: list[tuple[float, Packet]] = []

    def __call__(self, packet: Packet, now: float) -> Iterable[Packet]:
        """Keep the packet and pass it."""
        self.packets.append((now, packet))
        return (packet,)

    def octets_to(self, host: str) -> int:
        """Payload bytes seen on their way to any port of `host`."""
        return sum(len(p.data) for _, p in self.packets if p.destination[0] == host)


class Network:
    """Hosts on one virtual network; every path behaves as `default` until connected otherwise."""

    __slots__ = ("_default", "_hosts", "_links", "_nats", "_taps", "undeliverable", "world")

    def __init__(self, world: World, default: LinkConfig = PERFECT) -> None:
        self.world = world
        # Datagrams that no host, or no NAT mapping, was there for.
        self.undeliverable = 0
        self._default = default
        self._hosts: dict[Address, Host[Any]] = {}
        self._links: dict[tuple[str, str], Link] = {}
        # By internal address on the way out, by public host on the way in.
        self._nats: dict[Address, Nat] = {}
        self._taps: list[tuple[Point, Tap]] = []
        world.on_run(self._settle)

    # -- Building

    def attach(
        self,
        machine: M,
        *addresses: Address,
        nat: Nat | None = None,
        name: str = "",
        multihomed: bool = False,
        mtu: int = MAX_DATAGRAM_OUT,
        lateness: float = 0.0,
    ) -> Host[M]:
        """Put `machine` at `addresses`, behind `nat` if there is one.

        A `multihomed` machine is told at which address a datagram arrived;
        `mtu` is the largest datagram it may send, in bytes; `lateness` delays
        its wake-ups by up to that many seconds.
        """
        if not addresses:
            raise ValueError("a host needs an address")
        taken = [address for address in addresses if address in self._hosts]
        if taken:
            raise ValueError(f"in use: {taken}")
        host = Host(
            self.world,
            self,
            machine,
            addresses,
            name=name or f"{type(machine).__name__}@{addresses[0][0]}:{addresses[0][1]}",
            multihomed=multihomed,
            mtu=mtu,
            lateness=lateness,
        )
        for address in addresses:
            self._hosts[address] = host
            if nat is not None:
                self._nats[address] = nat
        return host

    def detach(self, host: Host[Any]) -> None:
        """Unplug a host: what is on its way to it is lost, and its timers stop."""
        for address in host.addresses:
            self._hosts.pop(address, None)
            self._nats.pop(address, None)
        host.unplug()

    def connect(
        self, first: str, second: str, config: LinkConfig, back: LinkConfig | None = None
    ) -> tuple[Link, Link]:
        """Join two public hosts by name; `back` is the return direction if it differs.

        May be called again while the world runs: what is in flight stays in flight.
        """
        return (
            self._link(first, second, config),
            self._link(second, first, config if back is None else back),
        )

    def tap(self, tap: Tap, point: Point = Point.SENT) -> None:
        """Add a tap behind those that are there."""
        self._taps.append((point, tap))

    def untap(self, tap: Tap) -> None:
        """Remove a tap wherever it sits."""
        self._taps = [entry for entry in self._taps if entry[1] is not tap]

    # -- Sending

    def send(self, data: bytes, source: Address, destination: Address) -> None:
        """Send a datagram now; `source` need not belong to anyone."""
        nat = self._nats.get(source)
        # Two hosts behind one NAT reach each other directly.
        if nat is not None and nat is not self._nats.get(destination):
            source = nat.outbound(source, destination, self.world.now)
        for packet in self._through_taps(Packet(data, source, destination), Point.SENT):
            self._carry(packet)

    def inject(self, packet: Packet, delay: float = 0.0) -> None:
        """Let a packet arrive after `delay` seconds, past links and `SENT` taps."""
        self.world.call_later(delay, partial(self._arrive, packet))

    # -- Private

    def _settle(self) -> None:
        for host in dict.fromkeys(self._hosts.values()):
            host.settle()

    def _link(self, source: str, destination: str, config: LinkConfig) -> Link:
        rng = self.world.rng(f"link/{source}/{destination}")
        link = self._links[source, destination] = Link(config, rng)
        return link

    def _through_taps(self, packet: Packet, point: Point) -> list[Packet]:
        packets = [packet]
        for where, tap in self._taps:
            if where is point:
                packets = [out for each in packets for out in tap(each, self.world.now)]
        return packets

    def _carry(self, packet: Packet) -> None:
        ends = packet.source[0], packet.destination[0]
        link = self._links.get(ends) or self._link(*ends, self._default)
        for arrival, data in link.transmit(packet.data, self.world.now):
            copy = packet if data is packet.data else attrs.evolve(packet, data=data)
            self.world.call_at(arrival, partial(self._arrive, copy))

    def _arrive(self, packet: Packet) -> None:
        for arrived in self._through_taps(packet, Point.ARRIVED):
            self._deliver(arrived)

    def _deliver(self, packet: Packet) -> None:
        local = self._receiver_of(packet)
        host = None if local is None else self._hosts.get(local)
        if host is None or local is None:
            self.undeliverable += 1
            return
        host.receive(packet.data, packet.source, local)

    def _receiver_of(self, packet: Packet) -> Address | None:
        behind = self._nats.get(packet.destination)
        if behind is not None:  # an inner address: only its neighbours reach it
            return packet.destination if self._nats.get(packet.source) is behind else None
        for nat in dict.fromkeys(self._nats.values()):
            if nat.public == packet.destination[0]:
                return nat.inbound(packet.source, packet.destination, self.world.now)
        return packet.destination
