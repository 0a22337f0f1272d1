"""A machine with addresses on a virtual network, driven as an integrator would drive it.

After every input the host drains events and datagrams until both are empty,
then arms one wake-up for `get_timer()`. While doing so it holds the machine to
the contract and raises `LawBroken` when

- `get_timer()` is not later than t after `handle_timer(t)` (a busy loop),
- a datagram is longer than the MTU, or leaves from an address that is not ours,
- a machine that said its last event keeps talking (see `final`).

Verbs may be called on `host.machine` directly: whatever they produced is picked
up when the world runs next, or at once by `host.settle()`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, cast

from rtcproto.datagram import MAX_DATAGRAM_OUT, Address
from rtcproto.testing.machine import Machine, MultihomedMachine
from rtcproto.testing.world import LawBroken, World

__all__ = ["Host", "Wire"]

M = TypeVar("M", bound=Machine)

# A machine that answers each drain with more to drain never comes to rest.
MAX_DRAINS = 10_000


class Wire(Protocol):
    """What a host sends into; a `Network` is one."""

    def send(self, data: bytes, source: Address, destination: Address, /) -> None:
        """Take one datagram that leaves `source`."""


class Host(Generic[M]):
    """One machine at one or several addresses; made by `Network.attach`."""

    __slots__ = (
        "_armed",
        "_finished",
        "_plugged",
        "_rng",
        "_wire",
        "_world",
        "addresses",
        "events",
        "final",
        "lateness",
        "machine",
        "mtu",
        "multihomed",
        "name",
        "on_event",
    )

    def __init__(
        self,
        world: World,
        wire: Wire,
        machine: M,
        addresses: tuple[Address, ...],
        *,
        name: str,
        multihomed: bool = False,
        mtu: int = MAX_DATAGRAM_OUT,
        lateness: float = 0.0,
    ) -> None:
        self.machine = machine
        self.addresses = addresses
        self.name = name
        self.multihomed = multihomed
        self.mtu = mtu
        # Wake-ups come up to this many seconds late, as on a busy computer.
        self.lateness = lateness
        # Everything the machine reported: (virtual instant, event).
        self.events: list[tuple[float, Any]] = []
        # Called for each event as it is drained; may call verbs.
        self.on_event: Callable[[Any], None] | None = None
        # Tells the machine's closing event, after which it must stay silent.
        self.final: Callable[[Any], bool] | None = None
        self._finished = False
        self._plugged = True
        self._world = world
        self._wire = wire
        self._rng = world.rng(f"host/{name}")
        # The deadline for which a wake-up is planned; stale wake-ups find another here.
        self._armed: float | None = None

    def __repr__(self) -> str:
        return f"Host({self.name}, {type(self.machine).__name__} at {self.addresses})"

    # -- Getters

    @property
    def address(self) -> Address:
        """The first address."""
        return self.addresses[0]

    def events_of(self, kind: type) -> list[Any]:
        """The events of one type, in the order in which they came."""
        return [event for _, event in self.events if isinstance(event, kind)]

    # -- Inputs

    def receive(self, data: bytes, source: Address, local: Address) -> None:
        """Give the machine a datagram that arrived at `local`, then settle."""
        now = self._world.now
        if self.multihomed:
            machine = cast(MultihomedMachine, self.machine)
            machine.receive_datagram(data, source, now, local)
        else:
            self.machine.receive_datagram(data, source, now)
        self.settle()

    # -- Verbs

    def settle(self) -> None:
        """Drain events and datagrams until both are empty, then arm the timer."""
        if not self._plugged:
            return
        for _ in range(MAX_DRAINS):
            events = self.machine.next_events()
            for event in events:
                self._record(event)
            datagrams = self.machine.datagrams_to_send()
            for datagram in datagrams:
                source = self.addresses[0] if datagram.source is None else datagram.source
                if len(datagram.data) > self.mtu:
                    raise LawBroken(
                        f"{self.name} sent {len(datagram.data)} bytes, the MTU is {self.mtu}"
                    )
                if source not in self.addresses:
                    raise LawBroken(f"{self.name} sent from {source}, which is not its address")
                self._wire.send(datagram.data, source, datagram.destination)
            if not events and not datagrams:
                break
        else:
            raise LawBroken(f"{self.name} did not come to rest in {MAX_DRAINS} drains")
        self._arm()

    def unplug(self) -> None:
        """Stop driving the machine: planned wake-ups find nothing to do."""
        self._armed = None
        self._plugged = False

    # -- Private

    def _record(self, event: Any) -> None:
        if self._finished:
            raise LawBroken(f"{self.name} reported {event!r} after its closing event")
        self.events.append((self._world.now, event))
        if self.final is not None and self.final(event):
            self._finished = True
        if self.on_event is not None:
            self.on_event(event)

    def _arm(self) -> None:
        deadline = self.machine.get_timer()
        if deadline is None:
            self._armed = None
            return
        if self._finished:
            raise LawBroken(f"{self.name} has a deadline after its closing event")
        if deadline == self._armed:
            return
        self._armed = deadline
        late = self._rng.uniform(0.0, self.lateness) if self.lateness else 0.0
        self._world.call_at(deadline + late, lambda: self._wake(deadline))

    def _wake(self, planned: float) -> None:
        if planned != self._armed:
            return
        self._armed = None
        now = self._world.now
        self.machine.handle_timer(now)
        deadline = self.machine.get_timer()
        if deadline is not None and deadline <= now:
            raise LawBroken(f"{self.name}: deadline {deadline} after handle_timer({now})")
        self.settle()
