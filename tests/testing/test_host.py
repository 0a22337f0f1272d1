"""How a host drives its machine, and which broken laws it notices."""

import pytest

from rtcproto.datagram import Address, Datagram
from rtcproto.testing import LawBroken, Network, World
from tests.support.toys import Echo, Pinger, Pong

HOME: Address = ("192.0.2.1", 5000)
PEER: Address = ("198.51.100.2", 6000)


def test_a_timer_is_armed_and_served() -> None:
    """The machine's deadline wakes it at that instant, again and again."""
    world = World(1)
    network = Network(world)
    pinger = Pinger(PEER, world.now, count=1, interval=0.5)
    network.attach(pinger, HOME)
    world.run_for(2.0)
    assert pinger.sent == 5  # at 0.0, 0.5, 1.0, 1.5 and 2.0
    assert network.undeliverable == 5


def test_lateness_delays_wake_ups_but_not_for_long() -> None:
    """A slow computer is late by at most what was asked; the machine copes."""
    world = World(1)
    pinger = Pinger(PEER, world.now, interval=1.0)
    Network(world).attach(pinger, HOME, lateness=0.1)
    world.run_for(20.0)
    assert 18 <= pinger.sent <= 20


def test_events_are_collected_with_their_instant() -> None:
    """What the machine reports is kept, and handed to the callback as it is drained."""
    world = World(1)
    network = Network(world)
    pinger = Pinger(PEER, world.now)
    host = network.attach(pinger, HOME, name="client")
    seen: list[object] = []
    host.on_event = seen.append
    network.attach(Echo(), PEER)
    world.run_until(lambda: pinger.done)
    assert [(at, type(event)) for at, event in host.events] == [(1000.0, Pong)]
    assert host.events_of(Pong) == seen
    assert host.events_of(int) == []
    assert host.address == HOME
    assert "client" in repr(host)


def test_multihomed_machines_learn_the_local_address_and_answer_from_it() -> None:
    """`local` is the address the datagram hit; `Datagram.source` is honoured."""
    world = World(1)
    network = Network(world)
    echo = Echo()
    second: Address = ("192.0.2.1", 5001)
    network.attach(echo, HOME, second, multihomed=True)
    pinger = Pinger(second, world.now)  # takes answers from `second` only
    network.attach(pinger, PEER)
    world.run_until(lambda: pinger.done)
    assert echo.locals == [second]


def test_a_detached_host_is_dead() -> None:
    """Neither timers nor datagrams reach a machine that was unplugged."""
    world = World(1)
    network = Network(world)
    pinger = Pinger(PEER, world.now, interval=0.5)
    host = network.attach(pinger, HOME)
    world.run_for(0.2)
    network.detach(host)
    world.run_for(5.0)
    host.settle()
    assert pinger.sent == 1


class BusyLoop(Pinger):
    """Is due again at once."""

    def handle_timer(self, now: float) -> None:
        self._deadline = now


class TooLong(Echo):
    """Sends one byte over the MTU."""

    def datagrams_to_send(self) -> list[Datagram]:
        return [Datagram(bytes(1201), PEER)]


class Spoofing(Echo):
    """Sends from an address that is not its own."""

    def datagrams_to_send(self) -> list[Datagram]:
        return [Datagram(b"x", PEER, ("203.0.113.9", 1))]


class Endless(Echo):
    """Never stops sending."""

    def datagrams_to_send(self) -> list[Datagram]:
        return [Datagram(b"x", PEER)]


class Restless(Pinger):
    """Goes on after its closing event."""

    def next_events(self) -> list[Pong]:
        return [Pong(0, 0.0), Pong(1, 0.0)]


@pytest.mark.parametrize(
    ("machine", "law"),
    [
        (BusyLoop(PEER, 1000.0), "after handle_timer"),
        (TooLong(), "the MTU is 1200"),
        (Spoofing(), "not its address"),
        (Endless(), "come to rest"),
        (Restless(PEER, 1000.0), "after its closing event"),
    ],
)
def test_broken_laws_are_noticed(machine: Echo | Pinger, law: str) -> None:
    """Each breach of the contract raises LawBroken with what happened."""
    world = World(3)
    host = Network(world).attach(machine, HOME)
    host.final = lambda event: isinstance(event, Pong)
    with pytest.raises(LawBroken, match=law) as caught:
        world.run_for(1.0)
    assert "seed=3" in caught.value.__notes__[0]


def test_a_deadline_after_the_closing_event_is_a_breach() -> None:
    """A machine that said its last event may not ask for more time."""

    class Lingering(Pinger):
        def get_timer(self) -> float | None:
            return 2000.0

    world = World(1)
    network = Network(world)
    host = network.attach(Lingering(PEER, world.now), HOME)
    host.final = lambda event: isinstance(event, Pong)
    host.machine._events.append(Pong(0, 0.0))
    with pytest.raises(LawBroken, match="deadline after its closing event"):
        world.run_for(1.0)
