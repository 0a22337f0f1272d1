"""The two kinds of pair."""

import pytest

from rtcproto.testing import (
    FIRST_ADDRESS,
    PRESETS,
    SECOND_ADDRESS,
    LinkConfig,
    PacketPair,
    Pair,
    World,
)
from tests.support.toys import Echo, PacketEcho, Pinger


@pytest.mark.parametrize("profile", sorted(PRESETS))
def test_a_pair_gets_through_every_profile(profile: str) -> None:
    """A machine that repeats itself gets its answers on each named network."""
    world = World(11)
    pair = Pair(
        world, Pinger(SECOND_ADDRESS, world.now, count=5, interval=0.3), Echo(), PRESETS[profile]
    )
    pair.run_until(lambda: pair.first.machine.done, limit=60.0)
    assert pair.first.machine.sent >= 5
    assert pair.second.machine.sources[0] == FIRST_ADDRESS


def test_multihomed_pairs_pass_the_local_address() -> None:
    """Both ends are told which of their addresses was hit."""

    class Listener(Pinger):
        def receive_datagram(self, data, source, now, local=None) -> bool:  # type: ignore[no-untyped-def]
            assert local == FIRST_ADDRESS
            return super().receive_datagram(data, source, now)

    world = World(1)
    pair = Pair(world, Listener(SECOND_ADDRESS, pair_now(world)), Echo(), multihomed=True)
    pair.run_until(lambda: pair.first.machine.done)
    assert pair.second.machine.locals == [SECOND_ADDRESS]


def pair_now(world: World) -> float:
    """The world's instant: what a machine is made with."""
    return world.now


def test_packet_machines_talk_over_the_link() -> None:
    """Machines without addresses meet on a link like any others; time passes between them."""
    world = World(1)
    pair = PacketPair(world, PacketEcho(b"hello"), PacketEcho(limit=2), LinkConfig(delay=0.5))
    pair.run_for(10.0)
    assert pair.second.received == [b"hello"] * 2
    assert pair.first.received == [b"hello"] * 2
    assert pair.now == 1010.0
    assert pair.events_of_first() == pair.events_of_second() == []
