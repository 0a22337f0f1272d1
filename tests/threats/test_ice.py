"""Threats R3, R5-R9, R11-R13 against the lite responder.

"0 effect" means: no output, no event, no deadline moved, no state but a counter.
Every test here runs at full size except R7, whose full size has the marker.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from rtcproto.ice import Candidate, CandidateType
from rtcproto.ice.contract import Credentials, IceConfig, PathLost
from rtcproto.ice.lite import REASONS
from rtcproto.ice.memory import MAX_ANSWERS
from rtcproto.ice.proving import ALLOWANCE
from rtcproto.stun import Attribute, Class, Message, ShortTermKey, build
from tests.support.ice_peer import CLIENT, SERVER, Peer, lite

VICTIM = ("192.0.2.1", 40000)
RELAY = ("198.51.100.1", 3478)
ROAMED = ("192.0.2.9", 40009)
ATTACKERS = [("203.0.113.7", 1024 + n) for n in range(100)]
SERVER_KEY = ShortTermKey(SERVER.pwd)
USERNAME = f"{SERVER.ufrag}:{CLIENT.ufrag}"


def connected(now=0.0):
    """A lite agent with one proven, nominated path, drained."""
    machine, peer = lite(now=now), Peer()
    peer.exchange(machine, VICTIM, now, RELAY, nominate=True)
    machine.next_events()
    assert machine.selected_path == (VICTIM, RELAY)
    return machine, peer


def run_timers(machine, until):
    """Call the machine at each of its deadlines, which always lie ahead."""
    while (deadline := machine.get_timer()) is not None and deadline <= until:
        machine.handle_timer(deadline)
        assert machine.get_timer() is None or machine.get_timer() > deadline


def state_of(machine):
    """Everything of a machine except its counters and the clock."""
    paths = [(path, repr(state)) for path, state in machine._paths.items()]
    return (
        paths,
        machine.selected_path,
        dict(machine._memory._recent),
        len(machine._memory),
        machine._prover.credit,
        machine.get_timer(),
    )


def assert_no_effect(machine, before):
    """Nothing was sent or reported, and the state is the one before."""
    assert machine.datagrams_to_send() == []
    assert machine.next_events() == []
    assert state_of(machine) == before


def test_r3_hijack_with_both_ufrags_but_no_password():
    """10,000 checks with USE-CANDIDATE and top priority from 100 addresses: 0 effect."""
    machine, _ = connected()
    before = state_of(machine)
    guess = Peer(Credentials(CLIENT.ufrag, "x" * 22), Credentials(SERVER.ufrag, "y" * 22))
    for number in range(10_000):
        check = guess.check(nominate=True, extra=[(Attribute.PRIORITY, 0xFFFFFFFF)])
        assert not machine.receive_datagram(check, ATTACKERS[number % 100], 0.1, RELAY)
    assert_no_effect(machine, before)
    assert machine.stats().rejected["integrity"] == 10_000


def test_r5_replays_draw_no_second_answer():
    """1,000 replays from 10 addresses at +1 s and at +60 s: the client's answer stays the only one.

    From the client's own address (spoofed, so the answer goes to the client): no more
    than a client that loses every answer would draw, and nothing at +60 s.
    """
    machine, peer = connected()
    captured = peer.check(nominate=True)
    drawn = {"client": 0, "elsewhere": 0}

    def replay(source, at):
        machine.receive_datagram(captured, source, at, RELAY)
        for datagram in machine.datagrams_to_send():
            message = Message.parse(datagram.data)
            if message.transaction_id == Message.parse(captured).transaction_id:
                drawn["client" if datagram.destination == VICTIM else "elsewhere"] += 1
                assert len(datagram.data) <= len(captured)

    replay(VICTIM, 10.0)
    for at in (11.0, 70.0):
        peer.exchange(machine, VICTIM, at, RELAY)
        for number in range(1_000):
            replay(ATTACKERS[number % 10], at)
        assert drawn == {"client": 1, "elsewhere": 0}
    peer.exchange(machine, VICTIM, 71.0, RELAY)
    replay(VICTIM, 71.0)
    assert drawn == {"client": 1, "elsewhere": 0}
    captured = peer.check(nominate=True)
    for number in range(1_000):
        replay(VICTIM, 72.0 + number / 100)
    assert drawn == {"client": 1 + MAX_ANSWERS, "elsewhere": 0}


def test_r5_replayed_check_moves_nothing():
    """One captured check, replayed 1,000 times from 10 addresses at +1 s and +60 s: 0 effect."""
    machine, peer = connected()
    captured = peer.check(nominate=True)
    assert machine.receive_datagram(captured, VICTIM, 1.0, RELAY)
    assert len(machine.datagrams_to_send()) == 1
    for at in (2.0, 61.0):
        while machine.get_timer() is not None and machine.get_timer() <= at:
            machine.handle_timer(machine.get_timer())
        if at > 60:
            peer.exchange(machine, VICTIM, at, RELAY, nominate=True)
        machine.next_events()
        before = state_of(machine)
        for number in range(1_000):
            source = ATTACKERS[number % 10]
            assert not machine.receive_datagram(captured, source, at, RELAY)
        assert_no_effect(machine, before)
    assert machine.selected_path == (VICTIM, RELAY)


def test_r5_replay_older_than_the_memory():
    """A check older than 4,096 others may draw one answer, no larger than itself, and no media."""
    machine, peer = connected()
    captured = peer.check(nominate=True)
    machine.receive_datagram(captured, VICTIM, 1.0, RELAY)
    for number in range(IceConfig().max_transactions):
        machine.receive_datagram(peer.check(nominate=True), VICTIM, 1.0 + number, RELAY)
    machine.datagrams_to_send()
    drawn = Counter()
    for number in range(1_000):
        machine.receive_datagram(captured, ATTACKERS[number % 10], 300.0, RELAY)
        for datagram in machine.datagrams_to_send():
            message = Message.parse(datagram.data)
            if message.cls == Class.SUCCESS:
                drawn[message.transaction_id] += 1
                assert len(datagram.data) <= len(captured)
    assert list(drawn.values()) == [1]
    assert len(list(machine._paths.items())) <= IceConfig().max_paths
    assert machine.selected_path == (VICTIM, RELAY)
    assert not any(machine.is_proven((attacker, RELAY)) for attacker in ATTACKERS)


def roam_under_replay(config, recorded, rate):
    """Seconds until media follows a client to a new address, a second into a replay."""
    machine, peer = lite(config), Peer()
    peer.exchange(machine, VICTIM, 0.0, nominate=True)
    now, checks = 0.0, []
    for _ in range(recorded):
        now += 2.5
        checks.append(peer.check(nominate=True))
        machine.receive_datagram(checks[-1], VICTIM, now)
        machine.datagrams_to_send()
    started, replays, steps = now, 0, 0
    answers = []
    while now < started + 10.0:
        # A millisecond at a time; 50 ms from our request to its answer.
        now, steps = now + 0.001, steps + 1
        while replays < steps * rate / 1000:
            source = ("203.0.113.66", 1024 + replays % 60_000)
            machine.receive_datagram(checks[replays % recorded], source, now)
            replays += 1
        if steps % 500 == 0 and steps >= 1000:
            machine.receive_datagram(peer.check(nominate=True), ROAMED, now)
        while answers and answers[0][0] <= now:
            machine.receive_datagram(peer.answer(answers.pop(0)[1]), ROAMED, now)
        if machine.get_timer() <= now:
            machine.handle_timer(now)
        answers += [
            (now + 0.05, datagram.data)
            for datagram in machine.datagrams_to_send()
            if datagram.destination == ROAMED and Message.parse(datagram.data).cls == Class.REQUEST
        ]
        if machine.selected_path == (ROAMED, None):
            return now - started - 1.0
    return None


def test_r5_replays_do_not_keep_a_client_from_roaming():
    """300 recorded checks, replayed at 400 a second: all are remembered, media moves at once."""
    assert roam_under_replay(IceConfig(), 300, 400) < 0.1


def test_r5_replays_older_than_the_memory_do_not_either():
    """The same with a memory of 8: each replay is a new path, and the proof outlives its place."""
    assert roam_under_replay(IceConfig(max_transactions=8), 300, 400) < 3.0


def test_r5_replays_older_than_the_memory_starve_no_proof():
    """100 paths a second drawn out of recorded checks: the client's path is renewed as ever."""
    machine, peer = lite(IceConfig(max_transactions=8)), Peer()
    peer.exchange(machine, VICTIM, 0.0, nominate=True)
    recorded = [peer.check(nominate=True) for _ in range(300)]
    for check in recorded:
        machine.receive_datagram(check, VICTIM, 0.5)
    machine.datagrams_to_send()
    for step in range(1, 61):
        now = step * 1.0
        run_timers(machine, now)
        for number in range(100):
            source = ("203.0.113.66", 1024 + 100 * step + number)
            machine.receive_datagram(recorded[(100 * step + number) % 300], source, now)
        machine.datagrams_to_send()
        if step % 3 == 0:
            peer.exchange(machine, VICTIM, now)
        assert machine.selected_path == (VICTIM, None)
        assert machine.is_proven((VICTIM, None))
    assert machine.stats().consent_requests_sent >= 10


def _without_valid_integrity():
    """The forms of row R6, by name."""
    mac = (Attribute.MESSAGE_INTEGRITY, bytes(20))
    base = [
        (Attribute.USERNAME, USERNAME),
        (Attribute.PRIORITY, 1),
        (Attribute.USE_CANDIDATE, True),
    ]
    signed = build(1, 0, bytes(12), base, SERVER_KEY, fingerprint=False)
    good_mac = (Attribute.MESSAGE_INTEGRITY, signed[-20:])
    behind_fingerprint = build(1, 0, bytes(12), base)
    length = len(behind_fingerprint) - 20 + 24
    behind_fingerprint = (
        behind_fingerprint[:2]
        + length.to_bytes(2, "big")
        + behind_fingerprint[4:]
        + b"\0\x08\0\x14"
        + SERVER_KEY.sha1(behind_fingerprint)
    )
    return {
        "none": build(1, 0, bytes(12), base),
        "short": build(1, 0, bytes(12), [*base, (Attribute.MESSAGE_INTEGRITY, signed[-20:-4])]),
        "empty": build(1, 0, bytes(12), [*base, (Attribute.MESSAGE_INTEGRITY, b"")]),
        "doubled": build(1, 0, bytes(12), [*base, good_mac, good_mac]),
        "doubled, first wrong": build(1, 0, bytes(12), [*base, mac], SERVER_KEY),
        "after FINGERPRINT": behind_fingerprint,
        "wrong key": Peer(remote=Credentials(SERVER.ufrag, "y" * 22)).check(nominate=True),
        "peer's own key": Peer().check(nominate=True, key=ShortTermKey(CLIENT.pwd)),
        "other session": Peer(remote=Credentials("otherUfragOf23LettersXX", SERVER.pwd)).check(),
        "SHA-256 only": build(
            1,
            0,
            bytes(12),
            [*base, (Attribute.MESSAGE_INTEGRITY_SHA256, SERVER_KEY.sha256(signed))],
        ),
    }


@pytest.mark.parametrize("form", _without_valid_integrity())
def test_r6_absent_or_odd_integrity_is_failed_integrity(form):
    """R6: every form but one MESSAGE-INTEGRITY in its place has 0 effect."""
    machine, _ = connected()
    before = state_of(machine)
    assert not machine.receive_datagram(_without_valid_integrity()[form], VICTIM, 0.1, RELAY)
    assert_no_effect(machine, before)
    assert sum(machine.stats().rejected.values()) == 1


def test_r6_use_candidate_behind_integrity_does_not_nominate():
    """R6: an attribute that the MAC does not cover is not there."""
    machine, peer = connected()
    plain = build(
        1,
        0,
        bytes(11) + b"\1",
        [(Attribute.USERNAME, USERNAME), (Attribute.PRIORITY, 1)],
        SERVER_KEY,
        fingerprint=False,
    )
    forged = plain[:2] + (len(plain) - 20 + 4).to_bytes(2, "big") + plain[4:] + b"\0\x25\0\0"
    other = ("192.0.2.2", 5)
    peer.exchange(machine, other, 0.1, RELAY)
    assert machine.receive_datagram(forged, other, 0.2, RELAY)
    assert machine.selected_path == (VICTIM, RELAY)


def _forgeries(number):
    """One packet of each of six kinds that no key holder made."""
    peer = Peer(remote=Credentials(SERVER.ufrag, "y" * 22))
    transaction_id = number.to_bytes(12, "big")
    return [
        peer.check(transaction_id=transaction_id),
        build(1, 2, transaction_id, [(Attribute.XOR_MAPPED_ADDRESS, VICTIM)], SERVER_KEY),
        build(1, 3, transaction_id, [(Attribute.ERROR_CODE, b"\0\0\4\x57")], SERVER_KEY),
        build(1, 1, transaction_id, [(Attribute.USERNAME, USERNAME)]),
        peer.check(transaction_id=transaction_id)[:-5],
        transaction_id * 5,
    ]


def _flood(count):
    machine, peer = connected()
    machine.receive_datagram(peer.check(), ("192.0.2.2", 5), 0.0, RELAY)
    machine.datagrams_to_send(), machine.next_events()
    before = state_of(machine)
    for number in range(count):
        for data in _forgeries(number):
            assert not machine.receive_datagram(data, VICTIM, 0.05, RELAY)
    assert_no_effect(machine, before)
    assert set(machine.stats().rejected) == set(REASONS)


def test_r7_forged_packets_end_nothing():
    """500 of each of six kinds into a live session, from its own address: 0 effect."""
    _flood(500)


@pytest.mark.threats
def test_r7_forged_packets_end_nothing_full_size():
    """100,000 of each of six kinds."""
    _flood(100_000)


def test_r8_voice_hammer_gets_no_media():
    """A valid peer that checks from a forged source but cannot answer there selects nothing."""
    machine, peer = connected()
    for number in range(20):
        peer.exchange(machine, ATTACKERS[0], number * 0.5, RELAY, nominate=True, answer=False)
        peer.exchange(machine, VICTIM, number * 0.5, RELAY)
        deadline = machine.get_timer()
        machine.handle_timer(deadline)
        assert machine.selected_path == (VICTIM, RELAY)
    assert not machine.is_proven((ATTACKERS[0], RELAY))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["gone", "elsewhere"])
def test_r8_voice_hammer_on_an_address_proven_once(elsewhere):
    """A peer proves an address, leaves it, and goes on checking in its name: 30 s of media at most.

    Also if it stays at another address of its own: media goes there instead.
    """
    machine, peer = connected()
    at_victim = received = sent = 0
    for number in range(1, 60):
        now = number * 2.5
        run_timers(machine, now)
        drawn = machine.datagrams_to_send()
        if elsewhere:
            peer.exchange(machine, ROAMED, now, RELAY)
        check = peer.check(nominate=True)
        received += len(check)
        assert machine.receive_datagram(check, VICTIM, now, RELAY)
        drawn += machine.datagrams_to_send()
        assert {datagram.destination for datagram in drawn} == {VICTIM}, now
        sent += sum(len(datagram.data) for datagram in drawn)
        if machine.selected_path == (VICTIM, RELAY):
            at_victim = now
    assert at_victim < 30.0
    assert machine.selected_path == ((ROAMED, RELAY) if elsewhere else None)
    assert not machine.is_proven((VICTIM, RELAY))
    # What comes from elsewhere earns, too.
    assert elsewhere or sent <= received + ALLOWANCE


def _corpus():
    root = os.environ.get("RTCPROTO_CORPORA")
    if not root:
        return []
    folders = ("coturn-fuzzstun", "coturn-fuzzstunclient", "mediasoup-worker-crashes")
    return [
        path.read_bytes() for folder in folders for path in sorted(Path(root, folder).glob("*"))
    ]


def _foreign_inputs():
    """Well-formed messages that are not for this session, and mutations of a valid check."""
    check = Peer(remote=Credentials(SERVER.ufrag, "y" * 22)).check(nominate=True)
    inputs = [check, b"", bytes(20), build(1, 0, bytes(12), [])]
    inputs += [build(method, cls, bytes(12), []) for method in (1, 3, 4) for cls in range(4)]
    inputs += [check[:size] for size in range(0, len(check), 3)]
    inputs += [check[:i] + bytes([check[i] ^ 0x41]) + check[i + 1 :] for i in range(len(check))]
    return inputs


def test_r9_nothing_is_reflected():
    """About 190 inputs (and the corpora, if present) from each of 100 sources: 0 bytes out."""
    for data in _foreign_inputs() + _corpus():
        machine = lite()
        for source in ATTACKERS:
            assert not machine.receive_datagram(data, source, 0.0, RELAY)
        assert machine.datagrams_to_send() == []
        assert machine.get_timer() is None


def test_r9_valid_checks_are_not_amplified():
    """Bytes out / bytes in <= 1.0: each answer, a browser's call, and any client plus a constant.

    The proof of the first path is paid in advance: after the third check of a
    call the ratio is below 1 for good.
    """
    machine, peer = lite(), Peer()
    received = sent = 0
    for number in range(200):
        machine.handle_timer(number * 2.5)
        check = peer.check(nominate=True)
        machine.receive_datagram(check, VICTIM, number * 2.5, RELAY)
        received += len(check)
        for datagram in machine.datagrams_to_send():
            sent += len(datagram.data)
            message = Message.parse(datagram.data)
            if message.cls == Class.REQUEST:
                proof = peer.answer(datagram.data)
                machine.receive_datagram(proof, VICTIM, number * 2.5, RELAY)
                received += len(proof)
            else:
                assert len(datagram.data) <= len(check)
        assert number < 2 or sent <= received

    machine = lite()
    received = sent = 0
    for number in range(1_000):  # a peer that spoofs a new source in every check
        check = peer.check(nominate=True)
        machine.receive_datagram(check, ("203.0.113.9", 1024 + number), number * 0.2, RELAY)
        machine.handle_timer(number * 0.2)
        received += len(check)
        sent += sum(len(datagram.data) for datagram in machine.datagrams_to_send())
    assert sent <= received + ALLOWANCE


@pytest.mark.parametrize("forged", [False, True], ids=["silence", "replays"])
def test_r11_consent_expires_after_silence(forged):
    """30 s after the last fresh authentic message sending stops, replays notwithstanding."""
    machine, peer = connected()
    peer.exchange(machine, VICTIM, 10.0, RELAY)
    last = peer.check(nominate=True)
    machine.receive_datagram(last, VICTIM, 10.0, RELAY)
    machine.datagrams_to_send()
    for tick in range(101, 400):
        now = tick / 10
        if forged:
            machine.receive_datagram(last, VICTIM, now, RELAY)
        machine.handle_timer(now)
        assert machine.is_validated((VICTIM, RELAY)) is (now < 40.0)
    machine.handle_timer(40.0)
    assert machine.next_events() == [PathLost(silent_for=30.0)]
    assert machine.selected_path is None
    # Resuming needs a new check; the old one does not do.
    machine.datagrams_to_send()
    machine.receive_datagram(last, VICTIM, 41.0, RELAY)
    assert machine.selected_path is None
    assert not machine.is_validated((VICTIM, RELAY))
    peer.exchange(machine, VICTIM, 42.0, RELAY)
    assert machine.selected_path == (VICTIM, RELAY)


def _candidate(host, port=9):
    return Candidate.parse(f"candidate:1 1 udp 2130706431 {host} {port} typ host")


def test_r12_candidate_bomb_is_cut_off():
    """100,000 trickled candidates: at most 64 are kept, nothing is sent or resolved."""
    machine = lite()
    candidate = _candidate("3f1c4f0a-1d2e-4c5b-8a7f-0123456789ab.local")
    assert candidate.type is CandidateType.HOST
    for _ in range(100_000):
        machine.add_remote_candidate(candidate, 0.0)
    assert len(machine.remote_candidates) == 64
    machine.set_remote(CLIENT, [candidate] * 1_000, 0.0)
    assert len(machine.remote_candidates) == 64
    assert machine.datagrams_to_send() == []
    assert machine.get_timer() is None


def test_r13_nothing_is_sent_where_a_candidate_says():
    """Metadata service, loopback, mapped and private addresses in an offer: 0 packets."""
    machine, peer = lite(remote=False), Peer()
    hosts = ("169.254.169.254", "127.0.0.1", "::ffff:10.0.0.1", "10.0.0.1", "::1")
    machine.set_remote(CLIENT, [_candidate(host, 80) for host in hosts], 0.0)
    machine.handle_timer(100.0)
    assert machine.datagrams_to_send() == []
    sent = peer.exchange(machine, VICTIM, 101.0, RELAY)
    assert {datagram.destination for datagram in sent} == {VICTIM}
