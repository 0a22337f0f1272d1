"""Two associations on a virtual path, ready to talk."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from rtcproto.sctp import (
    Association,
    AssociationClosed,
    AssociationState,
    MessageReceived,
    SctpConfig,
    SctpEvent,
)
from rtcproto.testing import LinkConfig, PacketPair, World

__all__ = ["CONFIG", "AssociationPair", "seeded"]

E = TypeVar("E")

# Both sides announce 256 KiB.
CONFIG = SctpConfig(remote_max_message_size=262_144)


def seeded(seed: int) -> Callable[[int], bytes]:
    """Entropy that is the same in every run."""
    return random.Random(seed).randbytes


class AssociationPair(PacketPair[Association, Association]):
    """`first` and `second`; verbs are called on them, then `settle`."""

    def __init__(
        self,
        link: LinkConfig,
        seed: int = 1,
        first: SctpConfig = CONFIG,
        second: SctpConfig = CONFIG,
    ) -> None:
        world = World(seed)
        super().__init__(
            world,
            Association(first, seeded(seed), world.now),
            Association(second, seeded(seed + 1000), world.now),
            link,
        )

    def settle(self) -> None:
        """Let out what verbs produced."""
        self.first_host.settle()
        self.second_host.settle()

    def connect(self, limit: float = 60.0) -> None:
        """Both sides send INIT, as WebRTC does, until both are established."""
        self.first.start(self.now)
        self.second.start(self.now)
        self.settle()
        self.run_until(lambda: self.is_established, limit)

    def connect_by_description(self) -> None:
        """SNAP: no handshake at all."""
        ours, theirs = self.first.local_init(), self.second.local_init()
        self.first.start_with(theirs, self.now)
        self.second.start_with(ours, self.now)
        self.settle()

    @property
    def is_established(self) -> bool:
        """Whether messages flow both ways."""
        states = {self.first.state, self.second.state}
        return states == {AssociationState.ESTABLISHED}

    def send(self, *messages: bytes, stream: int = 1, **options: object) -> None:
        """From first to second."""
        for message in messages:
            self.first.send_message(stream, 51, message, self.now, **options)  # type: ignore[arg-type]
            self.first_host.settle()

    def events(self, kind: type[E], *, second: bool = True) -> list[E]:
        """The events of one kind at one end."""
        events: list[SctpEvent] = self.events_of_second() if second else self.events_of_first()
        return [event for event in events if isinstance(event, kind)]

    def heard(self) -> list[bytes]:
        """The messages that reached second."""
        return [event.data for event in self.events(MessageReceived)]

    def ends(self) -> list[AssociationClosed]:
        """How it ended, first's view and second's."""
        return [
            event
            for second in (False, True)
            for event in self.events(AssociationClosed, second=second)
        ]
