"""The types that the virtual network drives: the Sans-IO contract, written as protocols.

Anything with these methods can be attached to a `rtcproto.testing.network.Network`:
a session, an endpoint, an ICE machine, a toy of your own. Parameters are
positional so that implementations may name them as their protocol does.

`PacketMachine` is the same contract for machines that own no addresses (DTLS);
`PacketAdapter` gives such a machine the one peer address it talks to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from rtcproto.datagram import Address, Datagram

__all__ = ["Machine", "MultihomedMachine", "PacketAdapter", "PacketMachine"]


class _Timed(Protocol):
    """Deadlines and events, which both kinds of machine have."""

    def handle_timer(self, now: float, /) -> None:
        """Act on every deadline at or before `now` (seconds, monotonic)."""

    def get_timer(self) -> float | None:
        """The next deadline, or None; later than `now` after `handle_timer(now)`."""

    def next_events(self) -> Sequence[Any]:
        """Drain the events."""


class Machine(_Timed, Protocol):
    """A machine that owns addresses."""

    def receive_datagram(self, data: bytes, source: Address, now: float, /) -> object:
        """Take one datagram; raises for nothing that a network can send."""

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent."""


class MultihomedMachine(_Timed, Protocol):
    """A `Machine` that also wants to know which of its addresses a datagram came in on."""

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = ..., /
    ) -> object:
        """Take one datagram that arrived at `local`."""

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent; `Datagram.source` is honoured."""


class PacketMachine(_Timed, Protocol):
    """A machine that sees packets but no addresses."""

    def receive_packet(self, data: bytes, now: float, /) -> object:
        """Take one packet; raises for nothing that a network can send."""

    def packets_to_send(self) -> list[bytes]:
        """Drain what is to be sent, one element per datagram."""


P = TypeVar("P", bound=PacketMachine)


class PacketAdapter(Generic[P]):
    """A `Machine` made of a `PacketMachine` and the one peer address it talks to."""

    __slots__ = ("inner", "peer")

    def __init__(self, inner: P, peer: Address) -> None:
        self.inner = inner
        self.peer = peer

    def receive_datagram(self, data: bytes, source: Address, now: float) -> object:
        """Pass the packet on, wherever it came from."""
        del source  # the machine inside has no notion of it
        return self.inner.receive_packet(data, now)

    def handle_timer(self, now: float) -> None:
        """Pass the tick on."""
        self.inner.handle_timer(now)

    def get_timer(self) -> float | None:
        """The deadline of the machine inside."""
        return self.inner.get_timer()

    def datagrams_to_send(self) -> list[Datagram]:
        """The packets of the machine inside, addressed to the peer."""
        return [Datagram(data, self.peer) for data in self.inner.packets_to_send()]

    def next_events(self) -> Sequence[Any]:
        """The events of the machine inside."""
        return self.inner.next_events()
