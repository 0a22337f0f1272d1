"""The full agent: RFC 8445 sections 6 to 8, RFC 7675, RFC 8838."""

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rtcproto.datagram import Address, Datagram
from rtcproto.errors import UsageError
from rtcproto.ice import (
    CandidateType,
    IceAgent,
    IceConfig,
    IceLite,
    PathLost,
    PathProven,
    PathSelected,
    PathValidated,
    host_candidate,
)
from rtcproto.stun import (
    Attribute,
    Class,
    ErrorCode,
    Message,
    Method,
    ShortTermKey,
    build,
)
from rtcproto.testing import (
    FIRST_ADDRESS,
    SECOND_ADDRESS,
    LinkConfig,
    Nat,
    Network,
    Pair,
    World,
)
from tests.support.contract import NOW, PEER, MachineContract, Subject
from tests.support.ice import LOCAL, OURS, REMOTE, THEIRS, Peer, make_agent

USE_CANDIDATE = (Attribute.USE_CANDIDATE, b"")
LINKS = [
    LinkConfig(),
    LinkConfig(delay=0.02),
    LinkConfig(delay=0.05, jitter=0.04, loss=0.2, duplicate=0.1),
]


def connect(
    world: World,
    *,
    controlling: tuple[bool, bool] = (True, False),
    link: LinkConfig | None = None,
    config: IceConfig | None = None,
) -> Pair[IceAgent, IceAgent]:
    """Two full agents that know each other's candidates."""
    first, second = (
        IceAgent(config or IceConfig(), own, role, world.entropy(own.ufrag), world.now)
        for own, role in zip((OURS, THEIRS), controlling, strict=True)
    )
    pair = Pair(world, first, second, link or LinkConfig(delay=0.02))
    candidates = host_candidate(FIRST_ADDRESS), host_candidate(SECOND_ADDRESS)
    first.add_local_candidate(candidates[0], world.now)
    second.add_local_candidate(candidates[1], world.now)
    first.set_remote(THEIRS, [candidates[1]], world.now)
    second.set_remote(OURS, [candidates[0]], world.now)
    return pair


def selected(pair: Pair[IceAgent, IceAgent]) -> bool:
    """Whether both ends have selected a path."""
    ends = pair.first.machine, pair.second.machine
    return all(end.selected_path is not None for end in ends)


def kind_of(datagram: Datagram) -> int:
    """The class of a STUN message to be sent."""
    return Message.parse(datagram.data).cls


def prove(agent: IceAgent, peer: Peer, now: float) -> Datagram:
    """Answer the first check; the nominating request that follows."""
    (check,) = agent.datagrams_to_send()
    assert agent.receive_datagram(peer.answer(check), REMOTE, now, LOCAL)
    (nomination,) = agent.datagrams_to_send()
    return nomination


# Two agents.


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("roles", [(True, False), (False, True), (True, True), (False, False)])
def test_two_agents_connect(link: LinkConfig, roles: tuple[bool, bool]) -> None:
    """Whatever roles they start in and what the link does, both select and roles differ."""
    world = World(7)
    pair = connect(world, controlling=roles, link=link)
    pair.run_until(lambda: selected(pair), 30)
    pair.run_for(2)
    ends = pair.first, pair.second
    assert sorted(end.machine.controlling for end in ends) == [False, True]
    for end in ends:
        (path,) = {event.path for event in end.events_of(PathSelected)}
        assert end.machine.selected_path == path
        assert end.machine.is_proven(path)
        assert end.machine.is_validated(path)
        kinds = [type(event) for _, event in end.events]
        assert kinds.index(PathValidated) < kinds.index(PathProven) < kinds.index(PathSelected)


def test_set_up_takes_two_round_trips() -> None:
    """No waiting anywhere: the path is proven after one round trip and selected after two."""
    world = World(1)
    pair = connect(world, link=LinkConfig(delay=0.02))
    start = world.now
    pair.run_for(1)
    times = {type(event): when - start for when, event in pair.first.events}
    assert times[PathProven] == pytest.approx(0.04)
    assert times[PathSelected] == pytest.approx(0.08)


def test_against_the_lite_responder() -> None:
    """The same with a lite peer, whose proving request is answered."""
    world = World(1)
    agent = IceAgent(IceConfig(), OURS, True, world.entropy("a"), world.now)
    lite = IceLite(IceConfig(), THEIRS, world.entropy("b"), world.now)
    pair = Pair(world, agent, lite, LinkConfig(delay=0.02))
    agent.add_local_candidate(host_candidate(FIRST_ADDRESS), world.now)
    agent.set_remote(THEIRS, [host_candidate(SECOND_ADDRESS)], world.now)
    lite.set_remote(OURS, [], world.now)
    pair.run_for(120)
    assert agent.selected_path == (SECOND_ADDRESS, None)
    assert lite.selected_path == (FIRST_ADDRESS, None)
    assert not pair.first.events_of(PathLost)
    assert not pair.second.events_of(PathLost)


def test_behind_a_nat() -> None:
    """A peer that cannot be reached as signalled is learned as peer-reflexive, and so are we."""
    world = World(3)
    network = Network(world)
    inside, public = ("10.0.0.5", 5000), "203.0.113.9"
    nat = Nat(public)
    agents = [
        IceAgent(IceConfig(), own, role, world.entropy(own.ufrag), world.now)
        for own, role in ((OURS, True), (THEIRS, False))
    ]
    network.attach(agents[0], inside, nat=nat)
    network.attach(agents[1], REMOTE)
    agents[0].add_local_candidate(host_candidate(inside), world.now)
    agents[1].add_local_candidate(host_candidate(REMOTE), world.now)
    agents[1].set_remote(OURS, [], world.now)
    agents[0].set_remote(THEIRS, [host_candidate(REMOTE)], world.now)
    world.run_for(5)
    path = agents[1].selected_path
    assert path is not None
    assert path[0][0] == public
    (learned,) = agents[1].remote_candidates
    assert (learned.type, learned.host) == (CandidateType.PEER_REFLEXIVE, public)
    (_, reflexive) = agents[0].local_candidates
    assert (reflexive.type, reflexive.host) == (CandidateType.PEER_REFLEXIVE, public)


def test_trickle_in_any_order() -> None:
    """RFC 8838: candidates may come before the credentials, and own ones after everything."""
    world = World(1)
    now = world.now
    first = IceAgent(IceConfig(), OURS, True, world.entropy("a"), now)
    second = IceAgent(IceConfig(), THEIRS, False, world.entropy("b"), now)
    pair = Pair(world, first, second, LinkConfig(delay=0.01))
    first.add_remote_candidate(host_candidate(SECOND_ADDRESS), now)
    assert first.datagrams_to_send() == []
    first.set_remote(THEIRS, [], now)
    second.set_remote(OURS, [], now)
    pair.run_until(lambda: selected(pair), 5)
    assert first.local_candidates[0].host == "unknown.invalid"


def test_consent_keeps_a_call_alive() -> None:
    """RFC 7675: checks every 4 to 6 seconds in both directions, for as long as it lasts."""
    world = World(1)
    pair = connect(world)
    pair.run_for(3600)
    for end in (pair.first, pair.second):
        stats = end.machine.stats()
        assert 3600 / 6 - 1 <= stats.consent_requests_sent <= 3600 / 4
        assert stats.current_round_trip_time == pytest.approx(0.04)
        assert not end.events_of(PathLost)


# One agent and a peer played by hand.


def test_first_check_leaves_at_once() -> None:
    """`set_remote` itself sends the first check; the next follow every Ta, best pair first."""
    remotes = [host_candidate((REMOTE[0], port), local_preference=port) for port in (1, 2, 3)]
    # Distinct foundations, or the others would be frozen.
    remotes = [attrs.evolve(c, foundation=str(c.port)) for c in remotes]
    agent = make_agent(NOW, remotes=remotes)
    ports = [d.destination[1] for d in agent.datagrams_to_send()]
    times = []
    for _ in range(2):
        deadline = agent.get_timer()
        assert deadline is not None
        times.append(deadline)
        agent.handle_timer(deadline)
        ports += [d.destination[1] for d in agent.datagrams_to_send()]
    assert ports == [3, 2, 1]
    assert times == [pytest.approx(NOW + 0.05), pytest.approx(NOW + 0.1)]


def test_retransmission_and_failure() -> None:
    """RFC 8489 section 6.2.1: seven requests with the interval doubling, then the pair fails."""
    agent = make_agent(NOW)
    times = []
    now = NOW
    while True:
        times += [now - NOW] * len(agent.datagrams_to_send())
        deadline = agent.get_timer()
        if deadline is None:
            break
        now = deadline
        agent.handle_timer(now)
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert now == NOW + 39.5
    assert agent.next_events() == []
    # A check of the peer's brings the pair back to life: 7.3.1.4.
    assert agent.receive_datagram(Peer().request(), REMOTE, now, LOCAL)
    assert [kind_of(d) for d in agent.datagrams_to_send()] == [Class.SUCCESS, Class.REQUEST]


def test_triggered_check() -> None:
    """7.3.1.4: a check for a pair in progress cancels ours and triggers another."""
    agent, peer = make_agent(NOW), Peer()
    (first,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.request(), REMOTE, NOW + 0.01, LOCAL)
    (answer,) = agent.datagrams_to_send()
    assert kind_of(answer) == Class.SUCCESS
    assert Message.parse(answer.data).get(Attribute.XOR_MAPPED_ADDRESS) == REMOTE
    agent.handle_timer(NOW + 0.05)
    (second,) = agent.datagrams_to_send()
    assert kind_of(second) == Class.REQUEST
    assert Message.parse(second.data).transaction_id != Message.parse(first.data).transaction_id
    agent.handle_timer(NOW + 0.5)
    assert agent.datagrams_to_send() == []
    # The answer to the cancelled one still counts.
    assert agent.receive_datagram(peer.answer(first), REMOTE, NOW + 0.51, LOCAL)
    assert agent.is_proven((REMOTE, LOCAL))


def test_nomination() -> None:
    """8.1.1: regular nomination; the pair is selected when the nominating request is answered."""
    agent, peer = make_agent(NOW), Peer()
    nomination = prove(agent, peer, NOW + 0.01)
    assert agent.selected_path is None
    assert Message.parse(nomination.data).get(Attribute.USE_CANDIDATE)
    agent.receive_datagram(peer.answer(nomination), REMOTE, NOW + 0.02, LOCAL)
    assert agent.selected_path == (REMOTE, LOCAL)
    assert [type(e) for e in agent.next_events()] == [PathValidated, PathProven, PathSelected]


def test_nomination_delay() -> None:
    """With `nomination_delay` the best pair that is valid by then is nominated."""
    better = attrs.evolve(host_candidate(("198.51.100.3", 1)), priority=2**31 - 1)
    agent = make_agent(NOW, config=IceConfig(nomination_delay=0.2))
    peer = Peer()
    (check,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.answer(check), REMOTE, NOW + 0.01, LOCAL)
    agent.add_remote_candidate(better, NOW + 0.1)
    (check,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.answer(check), ("198.51.100.3", 1), NOW + 0.12, LOCAL)
    assert agent.datagrams_to_send() == []
    assert agent.get_timer() == pytest.approx(NOW + 0.21)
    agent.handle_timer(NOW + 0.21)
    (nomination,) = agent.datagrams_to_send()
    assert nomination.destination == ("198.51.100.3", 1)


def test_controlled_waits_for_a_valid_pair() -> None:
    """7.3.1.5: USE-CANDIDATE on a pair that is not valid yet is granted when it is."""
    agent, peer = make_agent(NOW, controlling=False), Peer()
    (check,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.request(USE_CANDIDATE, controlling=True), REMOTE, NOW, LOCAL)
    assert agent.selected_path is None
    agent.receive_datagram(peer.answer(check), REMOTE, NOW, LOCAL)
    assert agent.selected_path == (REMOTE, LOCAL)


def test_use_candidate_means_nothing_to_the_controlling_agent() -> None:
    """8.1.1: only the controlling agent nominates."""
    agent, peer = make_agent(NOW), Peer()
    prove(agent, peer, NOW)
    agent.receive_datagram(peer.request(USE_CANDIDATE), REMOTE, NOW, LOCAL)
    assert agent.selected_path is None


@pytest.mark.parametrize("controlling", [True, False])
def test_role_conflict_is_refused(controlling: bool) -> None:
    """7.3.1.1: whoever has the better tiebreaker answers 487 and does nothing else."""
    agent, peer = make_agent(NOW, controlling=controlling), Peer()
    agent.datagrams_to_send()
    losing = 0 if controlling else 2**64 - 1
    data = peer.request(controlling=controlling, tie_breaker=losing)
    assert agent.receive_datagram(data, REMOTE, NOW, LOCAL)
    (answer,) = agent.datagrams_to_send()
    error = Message.parse(answer.data).get(Attribute.ERROR_CODE)
    assert error is not None
    assert error.code == 487
    assert agent.controlling is controlling
    assert not agent.is_validated((REMOTE, LOCAL))


def test_role_conflict_answer_switches() -> None:
    """7.2.5.1: a 487 switches the role; the check is repeated in the new one."""
    agent, peer = make_agent(NOW), Peer()
    (check,) = agent.datagrams_to_send()
    conflict = peer.answer(check, (Attribute.ERROR_CODE, ErrorCode(487)), cls=Class.ERROR)
    agent.receive_datagram(conflict, REMOTE, NOW + 0.06, LOCAL)
    assert not agent.controlling
    (again,) = agent.datagrams_to_send()
    message = Message.parse(again.data)
    assert message.get(Attribute.ICE_CONTROLLED) is not None
    assert message.get(Attribute.ICE_CONTROLLING) is None


@pytest.mark.parametrize("code", [400, 500])
def test_error_fails_the_pair(code: int) -> None:
    """7.2.5.2.4: an unrecoverable error fails the check; nothing is left to do."""
    agent, peer = make_agent(NOW), Peer()
    (check,) = agent.datagrams_to_send()
    error = peer.answer(check, (Attribute.ERROR_CODE, ErrorCode(code)), cls=Class.ERROR)
    assert agent.receive_datagram(error, REMOTE, NOW, LOCAL)
    assert agent.get_timer() is None


def test_consent_revoked() -> None:
    """RFC 7675 section 5.2: an authentic 403 ends consent at once."""
    agent, peer = make_agent(NOW), Peer()
    nomination = prove(agent, peer, NOW)
    agent.receive_datagram(peer.answer(nomination), REMOTE, NOW, LOCAL)
    now = agent.get_timer()
    assert now is not None
    agent.handle_timer(now)
    (check,) = agent.datagrams_to_send()
    error = peer.answer(check, (Attribute.ERROR_CODE, ErrorCode(403)), cls=Class.ERROR)
    agent.receive_datagram(error, REMOTE, now, LOCAL)
    assert agent.selected_path is None
    assert agent.next_events()[-1] == PathLost(silent_for=now - NOW)


@pytest.mark.parametrize(
    ("extra", "priority", "code"), [(((0x7777, b""),), 1, 420), ((), None, 400)]
)
def test_bad_requests(
    extra: tuple[tuple[int, bytes], ...], priority: int | None, code: int
) -> None:
    """RFC 8489 section 6.3.1 and RFC 8445 section 7.1.1: answered with an error, no effect."""
    agent, peer = make_agent(NOW), Peer()
    agent.datagrams_to_send()
    # Padded, for an answer is never larger than its request.
    pad = (Attribute.SOFTWARE, "x" * 40)
    data = peer.request(*extra, pad, priority=priority)
    assert agent.receive_datagram(data, REMOTE, NOW, LOCAL)
    (answer,) = agent.datagrams_to_send()
    error = Message.parse(answer.data).get(Attribute.ERROR_CODE)
    assert error is not None
    assert error.code == code
    assert agent.next_events() == []


def test_answer_from_elsewhere_is_ignored() -> None:
    """7.2.5.2.1, departed from: a copied answer must not fail the pair."""
    agent, peer = make_agent(NOW), Peer()
    (check,) = agent.datagrams_to_send()
    answer = peer.answer(check)
    assert not agent.receive_datagram(answer, (REMOTE[0], 1), NOW, LOCAL)
    assert agent.receive_datagram(answer, REMOTE, NOW, LOCAL)


def test_checks_before_the_description() -> None:
    """A check may come before the answer: it is answered, and triggers a check once it may."""
    agent = IceAgent(IceConfig(), OURS, True, World(1).entropy("a"), NOW)
    agent.add_local_candidate(host_candidate(LOCAL), NOW)
    assert agent.receive_datagram(Peer().request(), REMOTE, NOW, LOCAL)
    assert [kind_of(d) for d in agent.datagrams_to_send()] == [Class.SUCCESS]
    assert agent.next_events() == [PathValidated(path=(REMOTE, LOCAL))]
    assert agent.get_timer() is None
    agent.set_remote(THEIRS, [], NOW + 1)
    (check,) = agent.datagrams_to_send()
    assert check.destination == REMOTE


def test_answer_is_never_larger_than_its_request() -> None:
    """A minimal authentic request over IPv6 is shorter than a success: it is not answered."""
    base, source = ("2001:db8::1", 5), ("2001:db8::2", 6)
    agent = make_agent(NOW, remotes=[], locals_=[base])
    attributes = [
        (Attribute.USERNAME, f"{OURS.ufrag}:{THEIRS.ufrag}"),
        (Attribute.PRIORITY, 1),
    ]
    data = build(
        Method.BINDING, Class.REQUEST, bytes(12), attributes, ShortTermKey(OURS.pwd), False
    )
    assert agent.receive_datagram(data, source, NOW, base)
    assert [kind_of(d) for d in agent.datagrams_to_send()] == [Class.REQUEST]
    assert agent.is_validated((source, base))


def test_pending_nomination_is_void_after_a_role_switch() -> None:
    """8.1.1: once we are controlling, what the peer asked for before selects nothing."""
    agent, peer = make_agent(NOW, controlling=False), Peer()
    (check,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.request(USE_CANDIDATE, controlling=True), REMOTE, NOW, LOCAL)
    agent.receive_datagram(peer.request(controlling=False, tie_breaker=0), REMOTE, NOW, LOCAL)
    assert agent.controlling
    agent.datagrams_to_send()
    agent.receive_datagram(peer.answer(check), REMOTE, NOW, LOCAL)
    assert agent.selected_path is None
    nomination = agent.datagrams_to_send()[-1]
    assert Message.parse(nomination.data).get(Attribute.USE_CANDIDATE)


def test_indications_and_other_methods_say_nothing() -> None:
    """RFC 8445 section 11: a Binding indication is a keepalive; other methods are not ours."""
    agent = make_agent(NOW)
    agent.datagrams_to_send()
    for method, cls in ((Method.BINDING, Class.INDICATION), (3, Class.REQUEST)):
        data = build(method, cls, bytes(12), [], ShortTermKey(OURS.pwd))
        assert not agent.receive_datagram(data, REMOTE, NOW, LOCAL)
    assert agent.stats().rejected == {"method": 2}
    assert agent.datagrams_to_send() == []


def test_several_sockets() -> None:
    """Every base makes pairs of its own; datagrams leave from it; strange sockets are refused."""
    other = ("192.0.2.7", 5000)
    agent, peer = make_agent(NOW, locals_=[LOCAL, other]), Peer()
    agent.handle_timer(NOW + 0.05)
    checks = agent.datagrams_to_send()
    assert {check.source for check in checks} == {LOCAL, other}
    for check in checks:
        wrong = other if check.source == LOCAL else LOCAL
        answer = peer.answer(check)
        assert not agent.receive_datagram(answer, REMOTE, NOW + 0.06, wrong)
        assert not agent.receive_datagram(answer, REMOTE, NOW + 0.06, REMOTE)
        assert agent.receive_datagram(answer, REMOTE, NOW + 0.06, check.source)
        assert agent.is_proven((REMOTE, check.source))
    assert not agent.is_proven((REMOTE, REMOTE))
    assert agent.round_trip_time == pytest.approx(0.01)


def test_full_tables_refuse_new_paths() -> None:
    """With every pair valid and the table full, one more address is answered and no more."""
    remotes = [host_candidate((f"198.51.100.{n}", 1)) for n in range(1, 65)]
    config = IceConfig(max_paths=100, pacing=0.001)
    agent, peer = make_agent(NOW, remotes=remotes, config=config), Peer()
    now = NOW
    for n in range(1, 200):
        for request in agent.datagrams_to_send():
            if kind_of(request) == Class.REQUEST:
                agent.receive_datagram(peer.answer(request), request.destination, now, LOCAL)
        agent.receive_datagram(peer.request(), ("203.0.113.1", n), now, LOCAL)
        now += 0.001
        agent.handle_timer(now)
    assert agent.stats().rejected["paths"] > 0


def test_usage_errors() -> None:
    """Caller mistakes are refused at once; after `close` every verb but `close` is one."""
    agent = make_agent(NOW)
    with pytest.raises(UsageError):
        agent.set_remote(THEIRS, [], NOW)
    with pytest.raises(UsageError):
        IceAgent(IceConfig(), OURS, True, bytes, NOW).set_remote(
            attrs.evolve(THEIRS, pwd=""), [], NOW
        )
    with pytest.raises(UsageError):
        agent.add_local_candidate(attrs.evolve(host_candidate(LOCAL), host="x.local"), NOW)
    agent.close(NOW)
    agent.close(NOW)
    for verb in (agent.add_local_candidate, agent.add_remote_candidate):
        with pytest.raises(UsageError):
            verb(host_candidate(LOCAL), NOW)
    with pytest.raises(UsageError):
        agent.set_remote(THEIRS, [], NOW)
    assert not agent.receive_datagram(Peer().request(), REMOTE, NOW, LOCAL)
    agent.handle_timer(NOW + 100)
    assert (agent.datagrams_to_send(), agent.next_events(), agent.get_timer()) == ([], [], None)


# Laws and models.


class TestFreshAgent(MachineContract):
    """An agent that has sent its first check."""

    def subject(self) -> Subject:
        """Samples: checks of the peer's in both roles, and the answer to the first check."""
        agent = make_agent(NOW, remotes=[host_candidate(PEER)])
        (check,) = agent.datagrams_to_send()
        peer = Peer()
        return Subject(
            machine=agent,
            samples=[
                peer.request(),
                peer.request(USE_CANDIDATE, controlling=True, tie_breaker=2**63),
                peer.answer(check),
            ],
            close=agent.close,
            forged=[peer.request(password="x" * 22), peer.answer(check, password="x" * 22)],
        )


class TestSelectedAgent(MachineContract):
    """An agent with a selected path."""

    def subject(self) -> Subject:
        """Samples: a check, and one with another role."""
        agent, peer = make_agent(NOW, remotes=[host_candidate(PEER)]), Peer()
        for _ in range(2):
            (check,) = agent.datagrams_to_send()
            agent.receive_datagram(peer.answer(check), PEER, NOW)
        assert agent.selected_path == (PEER, None)
        return Subject(
            machine=agent,
            samples=[peer.request(), peer.request(controlling=True, tie_breaker=2**63)],
            close=agent.close,
            forged=[peer.request(password="x" * 22)],
        )


class Nomination(RuleBasedStateMachine):
    """One agent, a peer at four addresses, and a small model of what may be selected.

    The model: an address is proven from the first answer on until 30 s after the
    last one; only a proven address is selected.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.peer = Peer()
        self.addresses: list[Address] = [(f"198.51.100.{n}", 6000) for n in range(1, 5)]
        self.agent = make_agent(
            NOW, remotes=[host_candidate(address) for address in self.addresses[:3]]
        )
        self.pending: list[Datagram] = []
        self.answered: dict[Address, float] = {}
        self.selected: Address | None = None
        self.collect()

    def collect(self) -> None:
        """Take what the agent produced; check each event against the model."""
        self.pending += [d for d in self.agent.datagrams_to_send() if kind_of(d) == Class.REQUEST]
        self.pending = self.pending[-50:]
        for event in self.agent.next_events():
            match event:
                case PathSelected(path=path):
                    assert path[0] in self.answered
                    self.selected = path[0]
                case PathLost():
                    assert all(self.now - t >= 30 for t in self.answered.values())
                    self.selected = None
                case _:
                    pass

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.05, 0.5, 1.0, 5.0, 31.0]))
    def advance(self, seconds: float) -> None:
        """Time passes, deadline by deadline."""
        end = self.now + seconds
        while (deadline := self.agent.get_timer()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.agent.handle_timer(self.now)
            self.collect()
        self.now = end

    @rule(
        index=st.integers(0, 3),
        use=st.booleans(),
        controlling=st.booleans(),
        tie_breaker=st.sampled_from([0, 2**64 - 1]),
    )
    def check(self, index: int, use: bool, controlling: bool, tie_breaker: int) -> None:
        """The peer sends a check from one of its addresses."""
        extra = [USE_CANDIDATE] if use else []
        data = self.peer.request(*extra, controlling=controlling, tie_breaker=tie_breaker)
        assert self.agent.receive_datagram(data, self.addresses[index], self.now, LOCAL)
        self.collect()

    @precondition(lambda self: self.pending)
    @rule(data=st.data(), forged=st.booleans())
    def answer(self, data: st.DataObject, forged: bool) -> None:
        """One of the agent's requests is answered, or a forger tries."""
        index = data.draw(st.integers(0, len(self.pending) - 1))
        request = self.pending[index]
        password = "x" * 22 if forged else None
        answer = self.peer.answer(request, password=password)
        if self.agent.receive_datagram(answer, request.destination, self.now, LOCAL):
            assert not forged
            del self.pending[index]
            self.answered[request.destination] = self.now
        self.collect()

    @invariant()
    def selection_is_proven(self) -> None:
        """The selected path is the one announced, proven, and was answered within 30 s."""
        path = self.agent.selected_path
        assert (None if path is None else path[0]) == self.selected
        if path is not None:
            assert self.agent.is_proven(path)
            assert self.now - self.answered[path[0]] <= 31

    @invariant()
    def proven_is_validated(self) -> None:
        """A proven path is validated; one never answered is not proven."""
        for address in self.addresses:
            if self.agent.is_proven((address, LOCAL)):
                assert address in self.answered
                assert self.agent.is_validated((address, LOCAL))


TestNomination = Nomination.TestCase
TestNomination.settings = settings(max_examples=50, stateful_step_count=30)
