"""Links, NATs and taps between hosts."""

from collections.abc import Iterable

import pytest

from rtcproto.datagram import Address
from rtcproto.testing import Behaviour, Capture, LinkConfig, Nat, Network, Packet, Point, World
from tests.support.toys import Echo, Pinger

CLIENT: Address = ("10.0.0.2", 5000)
SERVER: Address = ("198.51.100.2", 6000)


def scene(
    nat: Nat | None = None, count: int = 1, seed: int = 1
) -> tuple[World, Network, Pinger, Echo]:
    """A pinger (behind `nat`) and an echo."""
    world = World(seed)
    network = Network(world)
    pinger = Pinger(SERVER, world.now, count=count)
    echo = Echo()
    network.attach(pinger, CLIENT, nat=nat)
    network.attach(echo, SERVER)
    return world, network, pinger, echo


def test_the_path_takes_its_time_both_ways() -> None:
    """Directions may differ; a round trip is their sum."""
    world, network, pinger, _ = scene()
    network.connect("10.0.0.2", "198.51.100.2", LinkConfig(delay=0.03), LinkConfig(delay=0.01))
    assert world.run_until(lambda: pinger.done) == pytest.approx(0.04)


def test_behind_a_nat_the_server_sees_the_public_address() -> None:
    """The inner address never shows; links are found by the public one."""
    world, network, pinger, echo = scene(Nat("203.0.113.1"))
    network.connect("203.0.113.1", "198.51.100.2", LinkConfig(delay=0.02))
    assert world.run_until(lambda: pinger.done) == pytest.approx(0.04)
    assert echo.sources[0][0] == "203.0.113.1"


def test_rebinding_in_a_call_shows_a_new_source() -> None:
    """A rebound NAT loses the answer on its way, then goes on from another port."""
    nat = Nat("203.0.113.1")
    world, network, pinger, echo = scene(nat, count=3)
    network.connect("203.0.113.1", "198.51.100.2", LinkConfig(delay=0.02))
    world.run_until(lambda: len(echo.sources) == 1)
    nat.rebind()
    world.run_until(lambda: pinger.done)
    assert network.undeliverable == 1
    assert len(set(echo.sources)) == 2


def test_strangers_are_filtered() -> None:
    """What the NAT does not admit reaches nobody and is counted."""
    nat = Nat("203.0.113.1", filtering=Behaviour.ADDRESS_DEPENDENT)
    world, network, pinger, _ = scene(nat, count=2)
    world.run_until(lambda: pinger.answered == 1)
    public = nat.outbound(CLIENT, SERVER, world.now)
    network.send(b"pong 1", ("192.0.2.66", 1), public)
    world.run_for(0.01)
    assert network.undeliverable == 1
    assert pinger.answered == 1


def test_inner_addresses_are_reached_by_neighbours_only() -> None:
    """A private address means nothing outside; inside, no translation happens."""
    nat = Nat("203.0.113.1")
    world = World(1)
    network = Network(world)
    neighbour: Address = ("10.0.0.3", 7)
    echo, near, far = Echo(), Pinger(neighbour, world.now), Pinger(neighbour, world.now)
    network.attach(echo, neighbour, nat=nat)
    network.attach(near, CLIENT, nat=nat)
    network.attach(far, SERVER)
    world.run_for(0.05)
    assert near.done
    assert echo.sources == [CLIENT]
    assert not far.done


def test_capture_sees_before_or_behind_the_link() -> None:
    """A tap at SENT sees what the link loses; one at ARRIVED does not."""
    world, network, _, _ = scene()
    network.connect("10.0.0.2", "198.51.100.2", LinkConfig(loss=1.0, delay=0.5))
    sent, arrived = Capture(), Capture()
    network.tap(sent)
    network.tap(arrived, Point.ARRIVED)
    world.run_for(1.0)
    assert len(sent.packets) > 5
    assert arrived.packets == []
    assert sent.octets_to("198.51.100.2") == 6 * len(sent.packets)
    assert sent.octets_to("192.0.2.1") == 0
    assert "6 bytes" in repr(sent.packets[0][1])


def test_taps_modify_drop_and_inject() -> None:
    """What a tap returns goes on in place of what it was given; untap ends it."""
    world, network, pinger, echo = scene(count=2)

    def tap(packet: Packet, now: float) -> Iterable[Packet]:
        del now
        if packet.destination == SERVER:
            return [packet, Packet(b"ping 77", ("192.0.2.66", 6), SERVER)]
        return []

    network.tap(tap)
    world.run_for(0.05)
    assert echo.sources == [CLIENT, ("192.0.2.66", 6)]
    assert not pinger.answered
    network.untap(tap)
    world.run_until(lambda: pinger.done)


def test_spoofed_and_injected_packets() -> None:
    """send() takes any source; inject() lets a packet arrive past the link."""
    world, network, _, echo = scene()
    network.connect("192.0.2.5", "198.51.100.2", LinkConfig(delay=1.0))
    network.send(b"ping 5", ("192.0.2.5", 5), SERVER)
    network.inject(Packet(b"ping 6", ("192.0.2.6", 6), SERVER), delay=0.01)
    world.run_for(0.5)
    assert ("192.0.2.6", 6) in echo.sources
    assert ("192.0.2.5", 5) not in echo.sources
    world.run_for(0.5)
    assert ("192.0.2.5", 5) in echo.sources


def test_addresses_are_unique_and_required() -> None:
    """Two hosts at one address, or a host at none, are slips in a scenario."""
    _, network, _, _ = scene()
    with pytest.raises(ValueError, match="in use"):
        network.attach(Echo(), SERVER)
    with pytest.raises(ValueError, match="needs an address"):
        network.attach(Echo())


def test_equal_seeds_give_equal_runs() -> None:
    """A whole scenario repeats packet for packet under its seed, and only under it."""

    def story(seed: int) -> list[tuple[float, Packet]]:
        world, network, _, _ = scene(count=50, seed=seed)
        config = LinkConfig(delay=0.03, jitter=0.02, loss=0.2, duplicate=0.1, corrupt=0.1)
        network.connect("10.0.0.2", "198.51.100.2", config)
        capture = Capture()
        network.tap(capture, Point.ARRIVED)
        world.run_for(5.0)
        return capture.packets

    assert story(1) == story(1)
    assert story(1) != story(2)
