"""Two machines and the path between them: the shortest way to a test.

`Pair` joins two machines that own addresses, `PacketPair` two that do not
(DTLS). Both make a world and a network of their own; taps, NATs and changes of
the link are there through `pair.network`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rtcproto.datagram import Address
from rtcproto.testing.host import Host
from rtcproto.testing.link import LinkConfig
from rtcproto.testing.machine import Machine, PacketAdapter, PacketMachine
from rtcproto.testing.nat import Nat
from rtcproto.testing.network import Network
from rtcproto.testing.presets import PERFECT
from rtcproto.testing.world import World

__all__ = ["FIRST_ADDRESS", "SECOND_ADDRESS", "PacketPair", "Pair"]

# RFC 5737 documentation addresses.
FIRST_ADDRESS: Address = ("192.0.2.1", 5000)
SECOND_ADDRESS: Address = ("198.51.100.2", 6000)

A = TypeVar("A", bound=Machine)
B = TypeVar("B", bound=Machine)
P = TypeVar("P", bound=PacketMachine)
Q = TypeVar("Q", bound=PacketMachine)


class _Ends:
    """World, network and what both kinds of pair do with them."""

    __slots__ = ("network", "world")

    def __init__(
        self,
        world: World,
        config: LinkConfig,
        back: LinkConfig | None,
        public_host: str = FIRST_ADDRESS[0],
    ) -> None:
        self.world = world
        self.network = Network(world)
        self.network.connect(public_host, SECOND_ADDRESS[0], config, back)

    @property
    def now(self) -> float:
        """The virtual instant, for verbs."""
        return self.world.now

    def run_until(self, predicate: Callable[[], object], limit: float = 60.0) -> float:
        """See `World.run_until`."""
        return self.world.run_until(predicate, limit)

    def run_for(self, seconds: float) -> None:
        """See `World.run_for`."""
        self.world.run_for(seconds)


class Pair(_Ends, Generic[A, B]):
    """Two machines at `FIRST_ADDRESS` and `SECOND_ADDRESS`, the first one behind `nat` if given."""

    __slots__ = ("first", "second")

    def __init__(
        self,
        world: World,
        first: A,
        second: B,
        config: LinkConfig = PERFECT,
        back: LinkConfig | None = None,
        *,
        nat: Nat | None = None,
        multihomed: bool = False,
    ) -> None:
        super().__init__(world, config, back, FIRST_ADDRESS[0] if nat is None else nat.public)
        attach = self.network.attach
        self.first: Host[A] = attach(
            first, FIRST_ADDRESS, nat=nat, name="first", multihomed=multihomed
        )
        self.second: Host[B] = attach(second, SECOND_ADDRESS, name="second", multihomed=multihomed)


class PacketPair(_Ends, Generic[P, Q]):
    """Two machines without addresses; `first` and `second` are the machines themselves."""

    __slots__ = ("first", "first_host", "second", "second_host")

    def __init__(
        self,
        world: World,
        first: P,
        second: Q,
        config: LinkConfig = PERFECT,
        back: LinkConfig | None = None,
    ) -> None:
        super().__init__(world, config, back)
        self.first = first
        self.second = second
        self.first_host = self.network.attach(
            PacketAdapter(first, SECOND_ADDRESS), FIRST_ADDRESS, name="first"
        )
        self.second_host = self.network.attach(
            PacketAdapter(second, FIRST_ADDRESS), SECOND_ADDRESS, name="second"
        )

    def events_of_first(self) -> list[Any]:
        """What `first` reported so far."""
        return [event for _, event in self.first_host.events]

    def events_of_second(self) -> list[Any]:
        """What `second` reported so far."""
        return [event for _, event in self.second_host.events]
