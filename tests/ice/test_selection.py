"""Nomination, consent and moving between valid pairs: RFC 8445 section 8.1, RFC 7675."""

import attrs
import pytest

from rtcproto.datagram import Address, Datagram
from rtcproto.ice import IceAgent, IceConfig, IceLite, PathLost, PathSelected, host_candidate
from rtcproto.ice.selection import NOMINATION_HOLD, SUSPICION
from rtcproto.stun import Attribute, Class, Message
from rtcproto.testing import Host, LinkConfig, Network, Packet, World
from tests.support.contract import NOW
from tests.support.ice import LOCAL, OURS, REMOTE, THEIRS, Peer, make_agent

USE_CANDIDATE = (Attribute.USE_CANDIDATE, b"")
RELAYS: list[Address] = [("198.51.100.1", 3478), ("198.51.100.2", 3478), ("198.51.100.3", 3478)]


class Relays:
    """An agent and a lite peer with three addresses, any of which can be switched off."""

    def __init__(self, *, seed: int = 1, loss: float = 0.0, consent_interval: float = 5.0) -> None:
        self.world = World(seed)
        self.dead: set[str] = set()
        network = Network(self.world, LinkConfig(delay=0.02, loss=loss))
        config = IceConfig(consent_interval=consent_interval)
        now = self.world.now
        self.agent = IceAgent(config, OURS, True, self.world.entropy("agent"), now)
        self.lite = IceLite(config, THEIRS, self.world.entropy("lite"), now)
        self.host: Host[IceAgent] = network.attach(self.agent, LOCAL)
        self.peer: Host[IceLite] = network.attach(self.lite, *RELAYS, multihomed=True)
        network.tap(self.pass_living)
        self.agent.add_local_candidate(host_candidate(LOCAL), now)
        self.agent.set_remote(THEIRS, [host_candidate(relay) for relay in RELAYS], now)
        self.lite.set_remote(OURS, [], now)

    def pass_living(self, packet: Packet, now: float) -> list[Packet]:
        """A tap: dead relays swallow everything in both directions."""
        ends = {packet.source[0], packet.destination[0]}
        return [] if ends & self.dead else [packet]

    @property
    def selected(self) -> Address | None:
        """The relay in use."""
        path = self.agent.selected_path
        return None if path is None else path[0]


@pytest.mark.parametrize("seed", range(5))
def test_call_moves_when_its_relay_dies(seed: int) -> None:
    """Of several relays one dies: the call is on another within 7 s, at both ends, and stays."""
    net = Relays(seed=seed)
    net.world.run_for(20)
    first = net.selected
    assert first is not None
    net.dead.add(first[0])
    died = net.world.now
    net.world.run_until(lambda: net.selected != first, 20)
    assert net.world.now - died <= 6 + 2 * SUSPICION + 0.1
    second = net.selected
    net.world.run_for(60)
    assert net.selected == second
    assert net.lite.selected_path == (LOCAL, second)
    assert not net.host.events_of(PathLost)
    net.dead.add(second[0] if second else "")
    net.world.run_for(10)
    assert net.selected not in (first, second, None)


def test_all_relays_die() -> None:
    """With no way left consent expires 30 s after the last answer, and that is the end."""
    net = Relays()
    net.world.run_for(20)
    net.dead.update(relay[0] for relay in RELAYS)
    died = net.world.now
    net.world.run_for(60)
    (lost,) = net.host.events_of(PathLost)
    assert lost.silent_for == pytest.approx(30.0)
    assert max(when for when, _ in net.host.events) <= died + 30
    assert net.selected is None
    assert net.agent.get_timer() is None


def test_loss_alone_moves_nothing() -> None:
    """Lost consent checks are no reason to move: the probe of the selected pair is answered."""
    net = Relays(seed=3, loss=0.02)
    net.world.run_for(600)
    assert len(net.host.events_of(PathSelected)) == 1


def test_revived_relay_is_a_backup_again() -> None:
    """A relay that was dead for less than 30 s is still a valid pair, and can be moved to."""
    net = Relays()
    net.world.run_for(20)
    first = net.selected
    assert first is not None
    net.dead.add(first[0])
    net.world.run_until(lambda: net.selected != first, 20)
    net.dead.clear()
    net.world.run_for(20)
    net.dead.update(relay[0] for relay in RELAYS if relay != first)
    net.world.run_until(lambda: net.selected == first, 20)


def test_only_max_paths_are_kept() -> None:
    """Consent is kept on `max_paths` pairs; the others expire without a word."""
    addresses = [(f"198.51.100.{n}", 1) for n in range(1, 13)]
    agent, peer = make_agent(NOW, remotes=[host_candidate(a) for a in addresses]), Peer()
    now = NOW
    proven = []
    consents = 0
    while now < NOW + 60:
        for request in agent.datagrams_to_send():
            agent.receive_datagram(peer.answer(request), request.destination, now, LOCAL)
        now = agent.get_timer() or NOW + 60
        agent.handle_timer(now)
        if not consents:
            proven = [a for a in addresses if agent.is_proven((a, LOCAL))]
        consents = agent.stats().consent_requests_sent
    assert len(proven) == 12
    assert sum(agent.is_proven((a, LOCAL)) for a in addresses) == IceConfig().max_paths
    assert agent.selected_path is not None
    assert not [e for e in agent.next_events() if isinstance(e, PathLost)]


def two_valid_pairs(*, first_better: bool) -> tuple[IceAgent, Peer, list[Address]]:
    """A controlled agent with two valid pairs."""
    addresses = [REMOTE, ("198.51.100.3", 1)]
    remotes = [
        attrs.evolve(host_candidate(a), priority=2 if (a == REMOTE) is first_better else 1)
        for a in addresses
    ]
    agent, peer = make_agent(NOW, controlling=False, remotes=remotes), Peer()
    requests: list[Datagram] = agent.datagrams_to_send()
    agent.handle_timer(NOW + 0.05)
    requests += agent.datagrams_to_send()
    for request in requests:
        agent.receive_datagram(peer.answer(request), request.destination, NOW + 0.06, LOCAL)
    return agent, peer, addresses


@pytest.mark.parametrize("first_better", [True, False])
def test_nominations_close_together(first_better: bool) -> None:
    """A peer of RFC 5245 nominates every pair: the best of them wins, whatever the order."""
    agent, peer, addresses = two_valid_pairs(first_better=first_better)
    for address in addresses:
        data = peer.request(USE_CANDIDATE, controlling=True)
        agent.receive_datagram(data, address, NOW + 0.1, LOCAL)
    best = addresses[0] if first_better else addresses[1]
    assert agent.selected_path == (best, LOCAL)


def test_later_nomination_moves() -> None:
    """A nomination that comes later is a peer that moves, to a worse pair as well."""
    agent, peer, (first, second) = two_valid_pairs(first_better=True)
    agent.receive_datagram(peer.request(USE_CANDIDATE, controlling=True), first, NOW + 0.1, LOCAL)
    later = NOW + 0.1 + NOMINATION_HOLD
    agent.receive_datagram(peer.request(USE_CANDIDATE, controlling=True), second, later, LOCAL)
    assert agent.selected_path == (second, LOCAL)


def test_controlled_agent_falls_back() -> None:
    """When consent on the selected pair expires another valid pair takes over."""
    agent, peer, (first, second) = two_valid_pairs(first_better=True)
    agent.receive_datagram(peer.request(USE_CANDIDATE, controlling=True), first, NOW + 0.1, LOCAL)
    now = NOW
    while now < NOW + 31:
        for request in agent.datagrams_to_send():
            if request.destination == second and Message.parse(request.data).cls == Class.REQUEST:
                agent.receive_datagram(peer.answer(request), second, now, LOCAL)
        now = agent.get_timer() or NOW + 31
        agent.handle_timer(now)
    assert agent.selected_path == (second, LOCAL)
    assert not agent.is_validated((first, LOCAL))
    assert [e for e in agent.next_events() if isinstance(e, PathLost)] == []


def test_slow_nomination_gives_way() -> None:
    """While a nomination is unanswered, a pair that answers later is nominated instead."""
    other = ("198.51.100.3", 1)
    agent, peer = make_agent(NOW), Peer()
    (check,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.answer(check), REMOTE, NOW + 0.01, LOCAL)
    (first,) = agent.datagrams_to_send()
    assert first.destination == REMOTE
    agent.add_remote_candidate(host_candidate(other), NOW + 1)
    (check,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.answer(check), other, NOW + 1.01, LOCAL)
    (second,) = agent.datagrams_to_send()
    assert second.destination == other
    assert Message.parse(second.data).get(Attribute.USE_CANDIDATE)
    # The answer to the one given up proves its pair still, and selects nothing.
    agent.receive_datagram(peer.answer(first), REMOTE, NOW + 1.02, LOCAL)
    assert agent.selected_path is None
    agent.receive_datagram(peer.answer(second), other, NOW + 1.03, LOCAL)
    assert agent.selected_path == (other, LOCAL)


def test_unanswered_nomination_fails_its_pair() -> None:
    """7.2.5.2.3: a nominating request that times out fails the pair; or consent does, before."""
    config = IceConfig(request_retransmissions=2)
    agent, peer = make_agent(NOW, config=config), Peer()
    (check,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.answer(check), REMOTE, NOW, LOCAL)
    now = NOW
    while (deadline := agent.get_timer()) is not None:
        now = deadline
        agent.handle_timer(now)
    assert now == NOW + 8.5
    assert agent.next_events()[-1] == PathLost(silent_for=8.5)


def test_revoked_consent_moves_at_once() -> None:
    """A controlling agent whose selected pair fails takes the next valid one and nominates it."""
    net = Relays()
    net.world.run_for(20)
    first = net.selected
    pair = net.agent._selection.selected
    assert pair is not None
    net.agent._fail(pair, net.world.now)
    assert net.selected not in (first, None)
    net.world.run_for(10)
    assert net.lite.selected_path is not None
    assert net.lite.selected_path[1] == net.selected
