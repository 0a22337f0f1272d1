"""The lite responder on virtual time: RFC 8445 sections 7.3 and 8.2, and our departures."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import UsageError
from rtcproto.ice.contract import (
    Credentials,
    IceConfig,
    PathLost,
    PathProven,
    PathSelected,
    PathValidated,
)
from rtcproto.ice.lite import REASONS, IceLite
from rtcproto.ice.memory import ANSWER_WINDOW, MAX_ANSWERS
from rtcproto.ice.paths import SILENCE_BEFORE_MOVE
from rtcproto.ice.proving import ALLOWANCE, PROVING
from rtcproto.stun import Attribute, Class, ErrorCode, Message, ShortTermKey, build
from tests.support.contract import NOW, PEER, MachineContract, Subject
from tests.support.ice_peer import CLIENT, SERVER, Peer, counting_entropy, lite

A = ("192.0.2.1", 40000)
B = ("192.0.2.2", 40001)
C = ("2001:db8::3", 40002)
RELAY_1 = ("198.51.100.1", 3478)
RELAY_2 = ("198.51.100.2", 3478)


def requests(datagrams):
    """Those of the datagrams that are the agent's own requests."""
    return [d for d in datagrams if Message.parse(d.data).cls == Class.REQUEST]


def answers(datagrams):
    """Those of the datagrams that answer a check."""
    return [d for d in datagrams if Message.parse(d.data).cls != Class.REQUEST]


def rejected(machine):
    """The reasons that were counted, without the zeros."""
    return {reason: n for reason, n in machine.stats().rejected.items() if n}


def run_timers(machine, until):
    """Call the machine at each of its deadlines; returns (time, datagrams) of those that sent."""
    sent = []
    while (deadline := machine.get_timer()) is not None and deadline <= until:
        machine.handle_timer(deadline)
        following = machine.get_timer()
        assert following is None or following > deadline
        if out := machine.datagrams_to_send():
            sent.append((deadline, out))
    return sent


# RFC 8445 section 7.3: answering


@pytest.mark.parametrize("source", [A, C])
def test_check_is_answered_with_its_source_address(source):
    """A check draws one verified success response with XOR-MAPPED-ADDRESS = its source."""
    machine, peer = lite(), Peer()
    check = peer.check()
    assert machine.receive_datagram(check, source, 1.0, RELAY_1)
    [answer] = answers(machine.datagrams_to_send())
    assert (answer.destination, answer.source) == (source, RELAY_1)
    message = peer.verify(answer.data)
    assert message.transaction_id == Message.parse(check).transaction_id
    assert message.get(Attribute.XOR_MAPPED_ADDRESS) == source
    assert message.get(Attribute.FINGERPRINT) is not None


def test_first_check_validates_its_path_at_once():
    """DTLS may start on the first validated path: no nomination, no proof is waited for."""
    machine, peer = lite(), Peer()
    machine.receive_datagram(peer.check(), A, 0.0, RELAY_1)
    assert machine.next_events() == [PathValidated(path=(A, RELAY_1))]
    assert machine.is_validated((A, RELAY_1))
    assert not machine.is_validated((A, None))
    assert not machine.is_proven((A, RELAY_1))
    assert machine.selected_path is None


def test_check_before_the_peers_credentials_is_answered_then_proven():
    """RFC 8445 section 7.3: the answer does not wait for the peer's password, the proof does."""
    machine, peer = lite(remote=False), Peer()
    machine.receive_datagram(peer.check(nominate=True), A, 0.0)
    first = machine.datagrams_to_send()
    assert len(answers(first)) == 1
    assert requests(first) == []
    machine.set_remote(CLIENT, [], 0.5)
    [request] = machine.datagrams_to_send()
    assert request.destination == A
    assert machine.receive_datagram(peer.answer(request.data), A, 0.6)
    assert machine.selected_path == (A, None)


def test_username_must_name_both_halves_once_they_are_known():
    """Only `local:remote` is ours; before the peer is known any client half passes."""
    peer = Peer()
    other = f"{SERVER.ufrag}:other"
    assert lite(remote=False).receive_datagram(peer.check(username=other), A, 0.0)
    for username in ("other:half", "x", f"x{SERVER.ufrag}:other", SERVER.ufrag):
        assert not lite(remote=False).receive_datagram(peer.check(username=username), A, 0.0)
    machine = lite()
    for username in (
        other,
        SERVER.ufrag,
        f"x{SERVER.ufrag}:{CLIENT.ufrag}",
        f"{SERVER.ufrag}x:{CLIENT.ufrag}",
        f"{SERVER.ufrag}:{CLIENT.ufrag}x",
        f"{CLIENT.ufrag}:{SERVER.ufrag}",
    ):
        assert not machine.receive_datagram(peer.check(username=username), A, 0.0)
    assert rejected(machine) == {"username": 6}
    assert machine.datagrams_to_send() == []


def test_unknown_required_attribute_gets_420_without_processing():
    """RFC 8489 section 6.3.1: an authentic request that we cannot understand is refused."""
    machine, peer = lite(), Peer()
    check = peer.check(extra=[(0x7F01, b"?")])
    assert not machine.receive_datagram(check, A, 0.0)
    [answer] = machine.datagrams_to_send()
    message = peer.verify(answer.data)
    assert message.cls == Class.ERROR
    assert message.get(Attribute.ERROR_CODE) == ErrorCode(420)
    assert message.get(Attribute.UNKNOWN_ATTRIBUTES) == (0x7F01,)
    assert machine.next_events() == []
    assert rejected(machine) == {"attributes": 1}


def test_datagram_beyond_the_limit_is_dropped():
    """Longer than any check: dropped unread, even if it is authentic."""
    machine, peer = lite(), Peer()
    assert machine.receive_datagram(peer.check(extra=[(0xC000, bytes(1900))]), A, 0.0)
    assert not machine.receive_datagram(peer.check(extra=[(0xC000, bytes(2000))]), A, 0.0)
    assert rejected(machine) == {"oversized": 1}


def test_role_conflict_is_not_repaired():
    """RFC 8445 section 7.3.1.1 is for full agents: ICE-CONTROLLED is answered like any check."""
    machine = lite()
    check = build(
        1,
        0,
        bytes(12),
        [
            (Attribute.USERNAME, f"{SERVER.ufrag}:{CLIENT.ufrag}"),
            (Attribute.ICE_CONTROLLED, 1),
            (Attribute.PRIORITY, 1),
        ],
        ShortTermKey(SERVER.pwd),
    )
    assert machine.receive_datagram(check, A, 0.0)
    assert Peer().verify(machine.datagrams_to_send()[0].data).cls == Class.SUCCESS


def test_indications_are_ignored_silently():
    """RFC 8445 section 11: a Binding indication keeps a binding alive and asks for nothing."""
    machine = lite()
    assert not machine.receive_datagram(build(1, Class.INDICATION, bytes(12), []), A, 0.0)
    assert rejected(machine) == {}
    assert machine.datagrams_to_send() == []


# The proving request


def test_each_new_path_is_proven_once():
    """One request with the peer's credentials and ICE-CONTROLLED; its answer is the proof."""
    machine, peer = lite(), Peer()
    machine.receive_datagram(peer.check(), A, 0.0, RELAY_1)
    [request] = requests(machine.datagrams_to_send())
    assert (request.destination, request.source) == (A, RELAY_1)
    message = Message.parse(request.data)
    ShortTermKey(CLIENT.pwd).verify(message)
    assert message.get(Attribute.USERNAME) == f"{CLIENT.ufrag}:{SERVER.ufrag}"
    assert message.get(Attribute.ICE_CONTROLLED) is not None
    assert message.get(Attribute.USE_CANDIDATE) is None
    assert message.get(Attribute.PRIORITY) == (110 << 24) + (65535 << 8) + 255

    machine.next_events()
    assert machine.receive_datagram(peer.answer(request.data), A, 0.040, RELAY_1)
    assert machine.next_events() == [
        PathProven(path=(A, RELAY_1)),
        PathSelected(path=(A, RELAY_1)),
    ]
    assert machine.is_proven((A, RELAY_1))
    assert machine.round_trip_time == pytest.approx(0.040)
    assert requests(peer.exchange(machine, A, 2.5, RELAY_1)) == []


def test_proving_request_is_repeated_on_a_short_schedule_and_given_up():
    """0.1, 0.3, 0.7 and 1.5 s after the first, the same bytes; then silence."""
    machine, peer = lite(), Peer()
    machine.receive_datagram(peer.check(), A, 10.0)
    [first] = requests(machine.datagrams_to_send())
    sent = run_timers(machine, 20.0)
    assert [round(at - 10.0, 6) for at, _ in sent] == [0.1, 0.3, 0.7, 1.5]
    assert all(out == [first] for _, out in sent)
    # The next fresh check starts another proof: a lossy second is not for ever.
    assert len(requests(peer.exchange(machine, A, 20.0))) == 1
    assert machine.is_proven((A, None))


def test_a_proven_path_is_asked_again_when_the_peer_checks():
    """RFC 7675 section 5.1: 4 s between two requests at least, each sent once."""
    machine, peer = lite(), Peer()
    asked = []
    for number in range(40):
        now = number * 2.5
        assert run_timers(machine, now) == []
        if requests(peer.exchange(machine, A, now)):
            asked.append(now)
    assert asked == [number * 5.0 for number in range(20)]
    stats = machine.stats()
    assert (stats.requests_sent, stats.consent_requests_sent) == (1, 19)
    assert stats.responses_received == 20
    # No check, no request: an endpoint of many sessions is not woken for them.
    assert machine.get_timer() == 95.0 + 30.0


def test_a_proof_that_fails_to_renew_is_tried_harder_before_it_ends():
    """One request per 4 s for half the consent time, then the short schedule; then PathLost."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 0.0)
    machine.next_events()
    left, lost = [], []
    for number in range(1, 17):
        now = number * 2.5
        left += [at for at, out in run_timers(machine, now) for _ in requests(out)]
        lost += [(now, event) for event in machine.next_events()]
        machine.receive_datagram(peer.check(), A, now)
        left += [now for _ in requests(machine.datagrams_to_send())]
    # The check at 12.5 s came less than 4 s after the request of 10 s.
    assert left[:3] == [5.0, 10.0, 15.0]
    assert [round(at - 15.0, 6) for at in left[3:7]] == [0.1, 0.3, 0.7, 1.5]
    assert left[7] == 20.0
    assert lost == [(30.0, PathLost(silent_for=30.0))]
    # It is validated as ever, and an answer proves it anew.
    assert machine.is_validated((A, None))
    assert not machine.is_proven((A, None))
    run_timers(machine, 45.0)
    peer.exchange(machine, A, 45.0)
    assert machine.is_proven((A, None))
    assert machine.selected_path == (A, None)


def test_round_trip_of_a_repeated_request_is_not_measured():
    """Karn: it cannot be known which transmission was answered."""
    machine, peer = lite(), Peer()
    machine.receive_datagram(peer.check(), A, 0.0)
    [request] = requests(machine.datagrams_to_send())
    run_timers(machine, 0.1)
    assert machine.receive_datagram(peer.answer(request.data), A, 0.15)
    assert machine.round_trip_time is None
    assert machine.is_proven((A, None))


@pytest.mark.parametrize(
    ("source", "local"), [(B, RELAY_1), (A, RELAY_2), (A, None)], ids=["source", "local", "none"]
)
def test_answer_from_another_address_proves_nothing(source, local):
    """RFC 8445 section 7.2.5.2.1: a response must mirror the request's addresses."""
    machine, peer = lite(), Peer()
    machine.receive_datagram(peer.check(), A, 0.0, RELAY_1)
    [request] = requests(machine.datagrams_to_send())
    machine.next_events()
    assert not machine.receive_datagram(peer.answer(request.data), source, 0.1, local)
    assert machine.next_events() == []
    assert rejected(machine) == {"response": 1}


def test_answer_needs_the_peers_key():
    """A response signed with our own password (or none) is no proof."""
    machine, peer = lite(), Peer()
    machine.receive_datagram(peer.check(), A, 0.0)
    [request] = requests(machine.datagrams_to_send())
    transaction_id = Message.parse(request.data).transaction_id
    for key in (None, ShortTermKey(SERVER.pwd)):
        forged = build(1, 2, transaction_id, [(Attribute.XOR_MAPPED_ADDRESS, A)], key)
        assert not machine.receive_datagram(forged, A, 0.1)
    assert not machine.is_proven((A, None))
    assert rejected(machine) == {"integrity": 2}


def test_answer_must_belong_to_the_request_under_way():
    """An authentic response to another transaction, or one we cannot understand, proves nothing."""
    machine, peer = lite(), Peer()
    machine.receive_datagram(peer.check(), A, 0.0)
    [request] = requests(machine.datagrams_to_send())
    key, mapped = ShortTermKey(CLIENT.pwd), (Attribute.XOR_MAPPED_ADDRESS, A)
    assert not machine.receive_datagram(build(1, 2, b"elsewhere...", [mapped], key), A, 0.1)
    transaction_id = Message.parse(request.data).transaction_id
    strange = build(1, 2, transaction_id, [mapped, (0x7F01, b"")], key)
    assert not machine.receive_datagram(strange, A, 0.1)
    assert rejected(machine) == {"response": 1, "attributes": 1}
    assert not machine.is_proven((A, None))


def test_answer_counts_once():
    """A second copy of a proof has no effect."""
    machine, peer = lite(), Peer()
    machine.receive_datagram(peer.check(), A, 0.0)
    [request] = requests(machine.datagrams_to_send())
    answer = peer.answer(request.data)
    assert machine.receive_datagram(answer, A, 0.1)
    machine.next_events()
    assert not machine.receive_datagram(answer, A, 0.2)
    assert machine.next_events() == []


# Selection, as a table of scenarios


@attrs.frozen
class Step:
    """At `at`, a check comes from `source`; its proof is answered or not."""

    at: float
    source: tuple
    nominate: bool = False
    answer: bool = True


SCENARIOS = {
    "first proven path is taken without nomination": ([Step(0, A)], [(0, A)]),
    "an unproven path is never selected": ([Step(0, A, True, False)], []),
    "Firefox: the first check nominates": ([Step(0, A, True), Step(4.3, A, True)], [(0, A)]),
    "Chromium: nominates on the second check": ([Step(0, A), Step(0.06, A, True)], [(0, A)]),
    "nomination moves media": ([Step(0, A, True), Step(1, B, True)], [(0, A), (1, B)]),
    "nomination is granted when the proof comes": (
        [Step(0, A, True), Step(1, B, True, False), Step(9, B), Step(9.1, A)],
        [(0, A), (9, B)],
    ),
    "a check without nomination moves nothing": ([Step(0, A, True), Step(1, B)], [(0, A)]),
    "media moves back when the peer insists": (
        [Step(0, A, True), Step(1, B, True), Step(2, A, True), Step(3, A, True)],
        [(0, A), (1, B), (3, A)],
    ),
    "a peer that nominates everything does not make media flap": (
        [
            Step(0, A, True),
            Step(0.1, B, True),
            *[Step(t, (A, B)[t % 2], True) for t in range(1, 9)],
        ],
        [(0, A), (0.1, B)],
    ),
    "a silent path yields to one that is heard": (
        [Step(0, A, True), Step(0.1, B), Step(2.5, B), Step(5, B), Step(7.5, B)],
        [(0, A), (SILENCE_BEFORE_MOVE, B)],
    ),
    "a check on a spare path ends a long silence": (
        [Step(0, A, True), Step(0.5, B), Step(1, A, True), Step(9, B)],
        [(0, A), (9, B)],
    ),
    "a path heard once at the same time is no better": (
        [Step(0, B), Step(0.1, A, True)],
        [(0, B), (0.1, A)],
    ),
    "after rebinding media follows without nomination": (
        [Step(0, A, True), Step(8, B)],
        [(0, A), (8, B)],
    ),
}


@pytest.mark.parametrize(("steps", "expected"), SCENARIOS.values(), ids=SCENARIOS)
def test_selection(steps, expected):
    """Which path media goes to, step by step."""
    machine, peer = lite(), Peer()
    selected = []

    def note(now):
        for event in machine.next_events():
            if isinstance(event, PathSelected):
                assert machine.is_proven(event.path)
                selected.append((now, event.path[0]))

    for step in steps:
        while (deadline := machine.get_timer()) is not None and deadline <= step.at:
            machine.handle_timer(deadline)
            note(deadline)
            machine.datagrams_to_send()
        peer.exchange(machine, step.source, step.at, nominate=step.nominate, answer=step.answer)
        note(step.at)
    assert selected == expected
    assert machine.selected_path == ((expected[-1][1], None) if expected else None)


def test_one_client_on_two_relays_has_two_paths():
    """A path is remote and local address: two relays give the same client two paths."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 0.0, RELAY_1)
    peer.exchange(machine, A, 0.1, RELAY_2)
    assert machine.is_proven((A, RELAY_1))
    assert machine.is_proven((A, RELAY_2))
    assert machine.selected_path == (A, RELAY_1)
    peer.exchange(machine, A, 0.2, RELAY_2, nominate=True)
    assert machine.selected_path == (A, RELAY_2)


def test_oldest_unselected_path_makes_room():
    """At most `max_paths`: unproven ones go first, the selected one never."""
    machine, peer = lite(IceConfig(max_paths=3)), Peer()
    sources = [("192.0.2.9", port) for port in range(1, 6)]
    peer.exchange(machine, sources[0], 0.0)
    peer.exchange(machine, sources[1], 0.1)
    peer.exchange(machine, sources[2], 0.2, answer=False)
    peer.exchange(machine, sources[3], 0.3)
    known = [machine.is_validated((source, None)) for source in sources]
    assert known == [True, True, False, True, False]
    peer.exchange(machine, sources[4], 0.4)
    known = [machine.is_validated((source, None)) for source in sources]
    assert known == [True, False, False, True, True]


# Replays and retransmissions


def test_retransmission_is_answered_again_and_changes_nothing():
    """The same id from the same address: same answer, no event, no refresh, and only so often."""
    machine, peer = lite(), Peer()
    check = peer.check(nominate=True)
    assert machine.receive_datagram(check, A, 0.0)
    [first] = answers(machine.datagrams_to_send())
    machine.next_events()
    for _ in range(MAX_ANSWERS - 1):
        assert machine.receive_datagram(check, A, 20.0)
        assert machine.datagrams_to_send() == [first]
    assert not machine.receive_datagram(check, A, 20.0)
    assert machine.datagrams_to_send() == []
    assert machine.next_events() == []
    run_timers(machine, 30.0)
    assert machine.next_events() == [PathLost(silent_for=30.0)]


def test_retransmission_is_answered_while_its_sender_may_retransmit():
    """RFC 8489 section 6.2.1: the seventh sending leaves at 31.5 s, all is over at 39.5 s."""
    machine, peer = lite(IceConfig(consent_timeout=100.0)), Peer()
    check = peer.check()
    for at in (0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        assert machine.receive_datagram(check, A, at)
        assert len(answers(machine.datagrams_to_send())) == 1
    late = peer.check()
    assert machine.receive_datagram(late, A, 100.0)
    assert machine.receive_datagram(late, A, 100.0 + ANSWER_WINDOW - 0.1)
    machine.datagrams_to_send()
    assert not machine.receive_datagram(late, A, 100.0 + ANSWER_WINDOW)
    assert machine.datagrams_to_send() == []
    assert rejected(machine) == {"replay": 1}


def test_same_transaction_from_another_address_is_ignored():
    """Neither address nor time is under the MAC: the id decides."""
    machine, peer = lite(), Peer()
    check = peer.check(nominate=True)
    machine.receive_datagram(check, A, 0.0, RELAY_1)
    machine.datagrams_to_send(), machine.next_events()
    for source, local in ((B, RELAY_1), (A, RELAY_2)):
        assert not machine.receive_datagram(check, source, 0.1, local)
    assert machine.datagrams_to_send() == []
    assert machine.next_events() == []
    assert rejected(machine) == {"replay": 2}


def test_memory_of_transactions_is_bounded():
    """The newest `max_transactions` are remembered, and no more."""
    machine, peer = lite(IceConfig(max_transactions=4)), Peer()
    checks = [peer.check() for _ in range(5)]
    for check in checks:
        machine.receive_datagram(check, A, 0.0)
    assert len(machine._memory) == 4
    assert machine.receive_datagram(checks[0], B, 0.0)
    assert not machine.receive_datagram(checks[4], B, 0.0)


# Consent: RFC 7675 applied to silence


def test_silence_ends_consent_and_a_new_check_restores_it():
    """30 s after the last authentic message sending must stop; a new check starts again."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 0.0, nominate=True)
    peer.exchange(machine, A, 5.0, nominate=True)
    machine.next_events()
    run_timers(machine, 34.999)
    assert machine.next_events() == []
    run_timers(machine, 35.0)
    assert machine.next_events() == [PathLost(silent_for=30.0)]
    assert machine.selected_path is None
    assert not machine.is_validated((A, None))
    assert machine.get_timer() is None
    peer.exchange(machine, A, 60.0)
    assert machine.next_events() == [
        PathValidated(path=(A, None)),
        PathProven(path=(A, None)),
        PathSelected(path=(A, None)),
    ]


def test_unproven_path_that_falls_silent_is_lost_too():
    """A client that checks once and goes away leaves nothing behind."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 0.0, answer=False)
    machine.next_events()
    run_timers(machine, 100.0)
    assert machine.next_events() == [PathLost(silent_for=30.0)]
    assert machine.get_timer() is None


def test_spare_path_is_forgotten_without_an_event():
    """Only the selected path and the last one matter to whoever sends."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, B, 0.0)
    peer.exchange(machine, A, 0.1, nominate=True)
    for now in range(5, 35, 5):
        peer.exchange(machine, A, float(now), nominate=True)
    machine.next_events()
    run_timers(machine, 31.0)
    assert not machine.is_validated((B, None))
    assert machine.next_events() == []
    assert machine.selected_path == (A, None)


# Byte budget


def test_answers_and_proofs_stay_within_the_budget():
    """Checks from ever new addresses: bytes out never exceed bytes in plus the allowance."""
    machine, peer = lite(), Peer()
    received = sent = 0
    for number in range(500):
        check = peer.check()
        received += len(check)
        assert machine.receive_datagram(check, ("192.0.2.7", 1024 + number), number * 0.05)
        machine.handle_timer(number * 0.05)
        sent += sum(len(d.data) for d in machine.datagrams_to_send())
        assert sent <= received + ALLOWANCE


def test_a_long_session_saves_up_no_budget():
    """Bytes that came in hours do not pay for a burst: each second keeps to the allowance."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 0.0, nominate=True)
    for number in range(1, 1000):
        peer.exchange(machine, A, number * 2.5)
    received = sent = 0
    for number in range(500):
        check = peer.check()
        received += len(check)
        assert machine.receive_datagram(check, ("192.0.2.7", 1024 + number), 2500.0)
        sent += sum(len(d.data) for d in machine.datagrams_to_send())
        assert sent <= received + ALLOWANCE


def test_request_smaller_than_its_answer_is_not_answered():
    """R9: an answer is never larger than its request."""
    machine = lite()
    attributes = [(Attribute.USERNAME, f"{SERVER.ufrag}:{CLIENT.ufrag}")]
    bare = build(1, 0, bytes(12), attributes, ShortTermKey(SERVER.pwd), fingerprint=False)
    assert len(bare) == 76
    assert machine.receive_datagram(bare, C, 0.0)
    short = lite(remote=False)
    bare = build(
        1,
        0,
        bytes(12),
        [(Attribute.USERNAME, f"{SERVER.ufrag}:")],
        ShortTermKey(SERVER.pwd),
        fingerprint=False,
    )
    assert len(bare) == 72
    assert not short.receive_datagram(bare, C, 0.0)
    assert short.datagrams_to_send() == []
    assert rejected(short) == {"short": 1}


# Verbs and getters


def test_new_remote_credentials_replace_the_old_ones():
    """A second `set_remote`: checks need the new ufrag, proofs start again, proven paths stay."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 0.0)
    peer.exchange(machine, B, 0.1, answer=False)
    machine.next_events()
    renewed = Credentials("neWw", "anotherPasswordOf24Char+")
    machine.set_remote(renewed, [], 0.2)
    [request] = machine.datagrams_to_send()
    assert request.destination == B
    assert machine.is_proven((A, None))
    assert not machine.receive_datagram(peer.check(), A, 0.3)
    second = Peer(renewed)
    assert machine.receive_datagram(second.answer(request.data), B, 0.3)
    assert machine.receive_datagram(second.check(), A, 0.4)
    machine.set_remote(renewed, [], 0.5)
    assert len(machine.datagrams_to_send()) == 1


def test_close_is_silent_and_final():
    """After `close` nothing is answered, sent, reported or waited for."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 0.0)
    machine.close(1.0)
    assert not machine.receive_datagram(peer.check(), A, 1.1)
    machine.handle_timer(2.0)
    assert machine.datagrams_to_send() == []
    assert machine.next_events() == []
    assert machine.get_timer() is None
    assert machine.selected_path is None
    with pytest.raises(UsageError):
        machine.set_remote(CLIENT, [], 3.0)


def test_credentials_are_checked():
    """Too short a password is the caller's mistake, told at once."""
    for credentials in (Credentials("abc", "x" * 22), Credentials("abcd", "x" * 21)):
        with pytest.raises(UsageError):
            IceLite(IceConfig(), credentials, counting_entropy(), 0.0)
    with pytest.raises(UsageError):
        lite(remote=False).set_remote(Credentials("x" * 600, "y" * 22), [], 0.0)


def test_stats_count_messages():
    """Counters in webrtc-stats terms, and every reason even at zero."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 0.0)
    peer.exchange(machine, A, 2.5)
    stats = machine.stats()
    assert (stats.requests_received, stats.responses_sent) == (2, 2)
    assert (stats.requests_sent, stats.responses_received) == (1, 1)
    assert stats.consent_requests_sent == 0
    assert stats.rejected == dict.fromkeys(REASONS, 0)


def test_time_that_runs_backwards_is_held():
    """An earlier `now` counts as the latest one seen."""
    machine, peer = lite(), Peer()
    peer.exchange(machine, A, 10.0)
    peer.exchange(machine, A, 3.0)
    assert machine.get_timer() == 40.0


# Properties


class TestFreshLite(MachineContract):
    """The Sans-IO contract, before anything came."""

    def subject(self) -> Subject:
        """An agent that waits for its first check."""
        machine, peer = lite(now=NOW), Peer()
        wrong = ShortTermKey("x" * 22)
        return Subject(
            machine=machine,
            samples=[peer.check(), peer.check(nominate=True)],
            forged=[peer.check(key=wrong), peer.check(username="other:half")],
            close=machine.close,
        )


class TestConnectedLite(MachineContract):
    """The Sans-IO contract, with one path in use and one being proven."""

    def subject(self) -> Subject:
        """An agent with a selected path and a request under way."""
        machine, peer = lite(now=NOW), Peer()
        peer.exchange(machine, PEER, NOW, nominate=True)
        assert machine.receive_datagram(peer.check(nominate=True), A, NOW)
        [request] = requests(machine.datagrams_to_send())
        return Subject(
            machine=machine,
            samples=[peer.check(), peer.check(nominate=True), peer.answer(request.data)],
            forged=[peer.check(key=ShortTermKey("x" * 22)), request.data],
            close=machine.close,
        )


@given(st.lists(st.tuples(st.binary(max_size=120), st.floats(0, 100)), max_size=8))
def test_any_bytes_at_any_time_have_no_effect(inputs):
    """Total: no exception, no output, no event, no deadline from what is not authentic."""
    machine = lite()
    for data, now in inputs:
        assert not machine.receive_datagram(data, A, now)
        machine.handle_timer(now)
    assert machine.datagrams_to_send() == []
    assert machine.next_events() == []
    assert machine.get_timer() is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["check", "nominate", "replay", "answer", "timer", "forged"]),
            st.integers(0, 11),
            st.floats(0, 12),
        ),
        max_size=40,
    )
)
def test_invariants_hold_in_any_order(operations):
    """Selected implies proven implies validated; limits hold; deadlines lie ahead."""
    machine, peer = lite(), Peer()
    now, received, sent = 0.0, 0, 0
    checks, asked = [], []
    for operation, number, pause in operations:
        source = ("192.0.2.5", 5000 + number)
        data = b""
        match operation:
            case "check" | "nominate":
                data = peer.check(nominate=operation == "nominate")
                checks.append(data)
            case "replay" if checks:
                data = checks[number % len(checks)]
            case "answer" if asked:
                request = asked[number % len(asked)]
                data, source = peer.answer(request.data), request.destination
            case "forged":
                data = peer.check(key=ShortTermKey("x" * 22), nominate=True)
            case _:
                now += pause
                machine.handle_timer(now)
                deadline = machine.get_timer()
                assert deadline is None or deadline > now
        if data and machine.receive_datagram(data, source, now):
            received += len(data)
        out = machine.datagrams_to_send()
        sent += sum(len(datagram.data) for datagram in out)
        asked += requests(out)
        paths = [path for path, _ in machine._paths.items()]
        assert len(paths) <= 8
        assert sent <= received + ALLOWANCE
        selected = machine.selected_path
        if selected is not None:
            assert machine.is_proven(selected)
            assert machine.is_validated(selected)
        for event in machine.next_events():
            if isinstance(event, PathSelected):
                assert event.path == selected or machine.is_proven(event.path)
    assert PROVING.offsets()[-1] < IceConfig().consent_timeout
