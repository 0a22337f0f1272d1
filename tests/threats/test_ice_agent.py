"""Threat rows on the full agent: R6, R11, R12, R13, and that forgeries change nothing."""

import itertools

import attrs
import pytest

from rtcproto.datagram import Datagram
from rtcproto.ice import (
    Candidate,
    IceAgent,
    IceConfig,
    PathLost,
    PathProven,
    host_candidate,
    is_routable,
)
from rtcproto.ice.checklist import MAX_PAIRS
from rtcproto.stun import Attribute, Class, Integrity, Message, Method, ShortTermKey, build
from rtcproto.testing import World
from tests.support.contract import NOW, footprint
from tests.support.ice import LOCAL, OURS, REMOTE, THEIRS, Peer, counting_entropy, make_agent


def connected(*, controlling: bool = True) -> tuple[IceAgent, Peer]:
    """An agent with a selected path since `NOW`."""
    entropy = World(11).entropy("agent")
    agent, peer = make_agent(NOW, controlling=controlling, entropy=entropy), Peer()
    for _ in range(2 if controlling else 1):
        (request,) = agent.datagrams_to_send()
        agent.receive_datagram(peer.answer(request), REMOTE, NOW, LOCAL)
    if not controlling:
        data = peer.request((Attribute.USE_CANDIDATE, b""), controlling=True)
        agent.receive_datagram(data, REMOTE, NOW, LOCAL)
        agent.datagrams_to_send()
    assert agent.selected_path == (REMOTE, LOCAL)
    agent.next_events()
    return agent, peer


@pytest.mark.parametrize("answered", [0, 1, 7])
def test_r11_consent_expires_30_seconds_after_the_last_answer(answered: int) -> None:
    """Peer falls silent at t: permission ends by t + 30 s, checks are 4 to 6 s apart until then.

    Answers that come after that do not bring it back; a new check does.
    """
    agent, peer = connected()
    last_answer = now = NOW
    checks: list[tuple[float, Datagram]] = []
    while (deadline := agent.get_timer()) is not None:
        now = deadline
        agent.handle_timer(now)
        for check in agent.datagrams_to_send():
            checks.append((now, check))
            if len(checks) <= answered:
                agent.receive_datagram(peer.answer(check), REMOTE, now, LOCAL)
                last_answer = now
    assert now == last_answer + 30
    assert agent.next_events() == [PathLost(silent_for=30.0)]
    assert agent.selected_path is None
    assert not agent.is_validated((REMOTE, LOCAL))
    times = [NOW, *(when for when, _ in checks)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(4 - 1e-9 <= gap <= 6 + 1e-9 for gap in gaps)
    # Drawn anew each time, or many clients would fall into step.
    assert len({round(gap, 2) for gap in gaps}) > len(gaps) // 2
    assert times[-1] > now - 6
    # Too late, and by RFC 7675 "do not re-establish consent".
    assert not agent.receive_datagram(peer.answer(checks[-1][1]), REMOTE, now + 0.1, LOCAL)
    assert agent.datagrams_to_send() == []
    # A new check of the peer's triggers one of ours, whose answer does.
    agent.receive_datagram(peer.request(), REMOTE, now + 1, LOCAL)
    (_, request) = agent.datagrams_to_send()
    assert not agent.is_proven((REMOTE, LOCAL))
    agent.receive_datagram(peer.answer(request), REMOTE, now + 1.1, LOCAL)
    assert agent.is_proven((REMOTE, LOCAL))
    assert [e for e in agent.next_events() if isinstance(e, PathProven)]


def candidate_bomb(count: int) -> None:
    """Trickle `count` candidates at an agent; check what it keeps."""
    agent = make_agent(NOW, remotes=[], locals_=[LOCAL, ("192.0.2.7", 5000)])
    limit = IceConfig().max_remote_candidates
    lines = [
        f"candidate:{n} 1 udp {n + 1} 198.51.{n >> 8 & 255}.{n & 255} {1 + n % 60000} typ host"
        for n in range(count)
    ]
    for line in lines[: 2 * limit]:
        agent.add_remote_candidate(Candidate.parse(line), NOW)
    size = footprint(agent)
    for line in lines[2 * limit :]:
        agent.add_remote_candidate(Candidate.parse(line), NOW)
    assert len(agent.remote_candidates) == limit
    assert footprint(agent) == size
    sent: set[object] = set()
    now = NOW
    while now < NOW + 10:
        sent |= {datagram.destination for datagram in agent.datagrams_to_send()}
        now = agent.get_timer() or NOW + 10
        agent.handle_timer(now)
    assert len(sent) <= min(limit, MAX_PAIRS)


def test_r12_candidate_bomb() -> None:
    """1,000 trickled candidates: 64 kept, and nothing grows after the first 64."""
    candidate_bomb(1000)


@pytest.mark.threats
def test_r12_candidate_bomb_in_full() -> None:
    """The same with 100,000."""
    candidate_bomb(100_000)


def test_r12_names_are_never_resolved() -> None:
    """`.local` and other names are parsed, then dropped: no check, no look-up, no exception."""
    agent = make_agent(NOW, remotes=[])
    for host in ("a.local", "localhost", "metadata.google.internal", "2130706433", "0x7f.1"):
        line = f"candidate:1 1 udp 1 {host} 5000 typ host"
        candidate = Candidate.parse(line)
        assert str(candidate) == line
        agent.add_remote_candidate(candidate, NOW)
    assert agent.remote_candidates == ()
    assert agent.datagrams_to_send() == []
    assert agent.get_timer() is None


HOSTILE = [
    "169.254.169.254 80 typ host",
    "127.0.0.1 22 typ host",
    "::ffff:10.0.0.1 80 typ host",
    "::ffff:127.0.0.1 80 typ host",
    "::1 80 typ host",
    "0.0.0.0 80 typ host",
    ":: 80 typ host",
    "224.0.0.251 5353 typ host",
    "255.255.255.255 9 typ host",
    "fe80::1 80 typ host",
    "ff02::1 80 typ host",
    "64:ff9b::7f00:1 80 typ host",
    "198.51.100.9 0 typ host",
    "localhost 80 typ host",
]


def test_r13_hostile_candidates() -> None:
    """Candidates that name inside or special addresses: the filter leaves none, 0 packets."""
    candidates = [Candidate.parse(f"candidate:1 1 udp 1 {text}") for text in HOSTILE]
    candidates.append(Candidate.parse("candidate:1 1 tcp 1 198.51.100.9 80 typ host"))
    candidates.append(Candidate.parse("candidate:1 2 udp 1 198.51.100.9 80 typ host"))
    agent = make_agent(NOW, remotes=[c for c in candidates if is_routable(c)])
    agent.handle_timer(NOW + 1)
    assert agent.datagrams_to_send() == []
    # The same agent does check an ordinary one.
    agent.add_remote_candidate(host_candidate(REMOTE), NOW + 1)
    assert [d.destination for d in agent.datagrams_to_send()] == [REMOTE]


def r6_forms() -> list[bytes]:
    """Requests without a valid MESSAGE-INTEGRITY, in the eight forms of the row."""
    peer = Peer()
    good = peer.request((Attribute.USE_CANDIDATE, b""), controlling=True, tie_breaker=2**64 - 1)
    key = ShortTermKey(OURS.pwd)
    plain = [
        (Attribute.USERNAME, f"{OURS.ufrag}:{THEIRS.ufrag}"),
        (Attribute.PRIORITY, 1),
        (Attribute.ICE_CONTROLLING, 2**64 - 1),
        (Attribute.USE_CANDIDATE, b""),
    ]

    def form(attributes: list[tuple[int, object]], **options: object) -> bytes:
        return build(Method.BINDING, Class.REQUEST, b"forged______", attributes, **options)

    mac = Message.parse(good).value(Attribute.MESSAGE_INTEGRITY) or b""
    return [
        form(plain),
        form([*plain, (Attribute.MESSAGE_INTEGRITY, mac[:16])]),
        form([*plain, (Attribute.MESSAGE_INTEGRITY, mac), (Attribute.MESSAGE_INTEGRITY, mac)]),
        good[:2] + (len(good) + 4).to_bytes(2, "big") + good[4:] + good[-32:-8],
        form(plain, key=ShortTermKey("x" * 22)),
        form(plain, key=ShortTermKey(THEIRS.pwd)),
        form(plain, key=key, integrity=Integrity.SHA256),
        form([*plain, (Attribute.MESSAGE_INTEGRITY, mac)]),
    ]


@pytest.mark.parametrize("controlling", [True, False])
def test_r6_absent_or_wrong_integrity_has_no_effect(controlling: bool) -> None:
    """Eight forms, from the peer's address and from another: no answer, no state, no role."""
    agent, _ = connected(controlling=controlling)
    before = (agent.selected_path, agent.controlling, agent.get_timer(), agent.remote_candidates)
    for data in r6_forms():
        for source in (REMOTE, ("203.0.113.66", 666)):
            assert not agent.receive_datagram(data, source, NOW + 1, LOCAL)
    assert agent.datagrams_to_send() == []
    assert agent.next_events() == []
    after = (agent.selected_path, agent.controlling, agent.get_timer(), agent.remote_candidates)
    assert after == before


def test_r6_use_candidate_behind_integrity_is_not_seen() -> None:
    """Attributes that follow MESSAGE-INTEGRITY are anybody's: no nomination by them."""
    agent, peer = make_agent(NOW, controlling=False), Peer()
    (check,) = agent.datagrams_to_send()
    agent.receive_datagram(peer.answer(check), REMOTE, NOW, LOCAL)
    good = peer.request(controlling=True)
    body = good[20:-8] + b"\x00\x25\x00\x00"
    data = good[:2] + len(body).to_bytes(2, "big") + good[4:20] + body
    assert agent.receive_datagram(data, REMOTE, NOW, LOCAL)
    assert agent.selected_path is None


def test_r5_replayed_check_moves_nothing() -> None:
    """A captured nomination from ten other addresses: no answer, no path, no media there."""
    agent, peer = connected(controlling=False)
    data = peer.request((Attribute.USE_CANDIDATE, b""), controlling=True)
    assert agent.receive_datagram(data, REMOTE, NOW + 1, LOCAL)
    agent.datagrams_to_send()
    for n in range(100):
        source = (f"203.0.113.{n % 10}", 666)
        assert not agent.receive_datagram(data, source, NOW + 1 + n / 1000, LOCAL)
        assert not agent.is_validated((source, LOCAL))
    assert agent.datagrams_to_send() == []
    # From its own address it is a retransmission: answered, with no effect.
    assert agent.receive_datagram(data, REMOTE, NOW + 3, LOCAL)
    (answer,) = agent.datagrams_to_send()
    assert len(answer.data) <= len(data)


def test_r5_fresh_checks_from_many_addresses_stay_within_the_cap() -> None:
    """A peer (or whoever has its password) that checks from 1,000 addresses: 8 are remembered."""
    agent, peer = connected(controlling=False)
    sources = [(f"203.0.113.{n % 250}", 1000 + n) for n in range(1000)]
    for n, source in enumerate(sources):
        agent.receive_datagram(peer.request(controlling=True), source, NOW + n / 1000, LOCAL)
    agent.datagrams_to_send()
    assert len(agent.remote_candidates) <= 1 + IceConfig().max_paths
    assert agent.selected_path == (REMOTE, LOCAL)
    assert not any(agent.is_proven((source, LOCAL)) for source in sources)


def test_forged_answers_never_prove_a_path() -> None:
    """Right transaction id, wrong password, or right password, wrong address: nothing is proven."""
    agent, peer = make_agent(NOW), Peer()
    (check,) = agent.datagrams_to_send()
    assert not agent.receive_datagram(peer.answer(check, password="x" * 22), REMOTE, NOW, LOCAL)
    assert not agent.receive_datagram(peer.answer(check), ("203.0.113.66", 666), NOW, LOCAL)
    assert agent.next_events() == []
    assert agent.stats().rejected == {"authentication": 1, "response": 1}


def test_old_ufrag_candidates_are_dropped() -> None:
    """RFC 8838: a candidate of another generation does not draw checks."""
    agent = IceAgent(IceConfig(), OURS, True, counting_entropy(), NOW)
    agent.set_remote(THEIRS, [], NOW)
    stale = attrs.evolve(host_candidate(REMOTE), extensions=(("ufrag", "gone"),))
    agent.add_remote_candidate(stale, NOW)
    assert agent.datagrams_to_send() == []
