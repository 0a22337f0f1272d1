"""ICE restart, machine by machine: which credentials count when, and where media goes meanwhile."""

from __future__ import annotations

from itertools import count

import pytest

from rtcproto.errors import UsageError
from rtcproto.ice import (
    Candidate,
    Credentials,
    IceAgent,
    IceConfig,
    IceGenerations,
    PathLost,
    PathProven,
    PathSelected,
    PathValidated,
    host_candidate,
)
from rtcproto.ice.proving import ALLOWANCE
from rtcproto.stun import Class, Message
from tests.support.contract import NOW, PEER, MachineContract, Subject
from tests.support.ice_peer import CLIENT, SERVER, Peer, counting_entropy, lite

A = ("192.0.2.1", 40000)
B = ("192.0.2.2", 40001)
SERVER_2 = Credentials("secondServerUfragOf23Ls", "secondServerPasswordOf26Ch")
CLIENT_2 = Credentials("cL2T", "secondClientPasswordOf26Ch")
SERVER_3 = Credentials("thirdServerUfragOf23Ltr", "thirdServerPasswordOf25Chr")
CLIENT_3 = Credentials("cL3T", "thirdClientPasswordOf25Chr")
SECOND = Peer(CLIENT_2, SERVER_2)


def connected(now=0.0):
    """Generations with media at A, drained."""
    machine, peer = lite(now=now), Peer()
    peer.exchange(machine, A, now, nominate=True)
    machine.next_events()
    return IceGenerations(machine, SERVER, CLIENT, 30.0, now), peer


def restarted(now=1.0):
    """The same with a restart under way."""
    machine, peer = connected()
    machine.restart(SERVER_2, CLIENT_2, [], now)
    return machine, peer, Peer(CLIENT_2, SERVER_2)


def requests(datagrams):
    """Those that are requests of the agent's own."""
    return [d for d in datagrams if Message.parse(d.data).cls == Class.REQUEST]


def test_media_stays_until_the_new_credentials_have_proven_a_path():
    """RFC 8445 section 9: the previous pair is used until a new one is selected."""
    machine, _, second = restarted()
    assert machine.restarting
    sent = second.exchange(machine, B, 2.0, answer=False)
    assert machine.next_events() == [PathValidated(path=(B, None))]
    assert machine.selected_path == (A, None)
    assert machine.is_validated((A, None))
    assert machine.is_validated((B, None))
    assert not machine.is_proven((B, None))
    [request] = requests(sent)
    assert machine.receive_datagram(second.answer(request.data), B, 2.1)
    assert machine.next_events() == [PathProven(path=(B, None)), PathSelected(path=(B, None))]
    assert machine.selected_path == (B, None)
    assert not machine.restarting
    # The old path went with its credentials.
    assert not machine.is_validated((A, None))


def test_a_restart_on_the_same_path_is_not_seen():
    """Media goes where it went: no event tells of a move, and the proof is a new one."""
    machine, _, second = restarted()
    assert len(requests(second.exchange(machine, A, 2.0, nominate=True))) == 1
    assert not machine.restarting
    assert machine.selected_path == (A, None)
    assert [type(event) for event in machine.next_events()] == [PathValidated, PathProven]


def test_old_credentials_end_with_the_first_good_check_under_new_ones():
    """Until then both are good; afterwards the old ones draw nothing."""
    machine, peer, second = restarted()
    assert machine.receive_datagram(peer.check(), A, 1.1)
    assert len(machine.datagrams_to_send()) == 1
    forged = Peer(CLIENT_2, Credentials(SERVER_2.ufrag, "y" * 22))
    assert not machine.receive_datagram(forged.check(), B, 1.2)
    assert machine.receive_datagram(peer.check(), A, 1.3)
    assert machine.receive_datagram(second.check(), B, 1.4)
    machine.datagrams_to_send()
    assert not machine.receive_datagram(peer.check(nominate=True), A, 1.5)
    assert machine.datagrams_to_send() == []
    assert machine.stats().rejected["retired"] == 1
    # Also with the old path still in use.
    assert machine.selected_path == (A, None)


def test_the_old_path_dies_in_silence_and_with_it_the_call():
    """R11: no old check refreshes it; a restart that comes to nothing ends as ever."""
    machine, peer, second = restarted()
    machine.receive_datagram(second.check(), B, 1.4)
    lost = []
    for tick in range(2, 70):
        machine.receive_datagram(peer.check(), A, float(tick))
        machine.handle_timer(float(tick))
        assert (machine.selected_path is None) is (tick >= 30)
        machine.datagrams_to_send()
        lost += [(tick, e) for e in machine.next_events() if isinstance(e, PathLost)]
    # At 30 s nothing is sent any more; 30 s after the restart it has failed, too.
    assert lost == [(31, PathLost(silent_for=30.0))]


def test_a_path_lost_during_a_restart_is_not_the_end_yet():
    """Restarts are what clients do that lost their path: they have 30 s for it."""
    machine, _ = connected()
    machine.restart(SERVER_2, CLIENT_2, [], 29.0)
    machine.handle_timer(30.0)
    assert machine.next_events() == []
    assert (machine.suspended, machine.selected_path) == (True, None)
    assert machine.get_timer() == 59.0
    second = Peer(CLIENT_2, SERVER_2)
    second.exchange(machine, B, 58.0)
    assert machine.next_events()[-1] == PathSelected(path=(B, None))
    assert (machine.suspended, machine.selected_path) == (False, (B, None))
    assert machine.get_timer() == 88.0


def test_a_path_lost_during_a_restart_that_nobody_takes_up():
    """PathLost comes late, once."""
    machine, _ = connected()
    machine.restart(SERVER_2, CLIENT_2, [], 29.0)
    machine.handle_timer(30.0)
    machine.handle_timer(59.0)
    assert machine.next_events() == [PathLost(silent_for=30.0)]
    assert machine.next_events() == []
    assert machine.get_timer() is None


def test_the_old_path_may_come_back():
    """A restart that is only announced does not end what works."""
    machine, peer = connected()
    machine.restart(SERVER_2, CLIENT_2, [], 29.0)
    machine.handle_timer(30.0)
    peer.exchange(machine, A, 31.0)
    assert (machine.suspended, machine.selected_path) == (False, (A, None))
    machine.handle_timer(59.0)
    assert not any(isinstance(event, PathLost) for event in machine.next_events())


def test_a_further_restart_replaces_one_that_was_not_finished():
    """Two machines at most; what the second generation had begun is void."""
    machine, peer, second = restarted()
    machine.receive_datagram(second.check(), B, 1.5)
    machine.restart(SERVER_3, CLIENT_3, [], 2.0)
    machine.datagrams_to_send()
    for stale in (peer, second):
        assert not machine.receive_datagram(stale.check(), B, 2.1)
    assert machine.datagrams_to_send() == []
    third = Peer(CLIENT_3, SERVER_3)
    third.exchange(machine, B, 2.2)
    assert machine.selected_path == (B, None)
    machine.restart(SERVER_2, CLIENT_2, [], 3.0)
    assert machine.restarting


@pytest.mark.parametrize(
    ("local", "remote"),
    [
        (SERVER, CLIENT_2),
        (SERVER_2, CLIENT),
        (SERVER_2, Credentials(CLIENT.ufrag, CLIENT_2.pwd)),
        (SERVER_2, Credentials(CLIENT_2.ufrag, CLIENT.pwd)),
        (Credentials(SERVER_2.ufrag, SERVER.pwd), CLIENT_2),
        (SERVER_2, Credentials("x" * 600, CLIENT_2.pwd)),
    ],
)
def test_credentials_that_are_not_both_new_are_refused(local, remote):
    """RFC 8839 section 4.4.1.1.1; a refused restart leaves everything as it was."""
    machine, peer = connected()
    with pytest.raises(UsageError):
        machine.restart(local, remote, [], 1.0)
    assert not machine.restarting
    assert machine.receive_datagram(peer.check(), A, 1.1)


def test_a_flood_of_restarts_sends_no_more_than_one_generation():
    """R9: each takes half of what is left of the budget; nobody gets a new one."""
    machine, _ = connected()
    received = sent = 0
    numbers = count()
    for number in range(200):
        local = Credentials(f"server{number:04}", f"{number:04}" + "s" * 22)
        remote = Credentials(f"client{number:04}", f"{number:04}" + "c" * 22)
        machine.restart(local, remote, [], 1.0 + number / 100)
        peer = Peer(remote, local)
        for _ in range(3):
            check = peer.check(transaction_id=next(numbers).to_bytes(12, "big"))
            source = ("203.0.113.9", 1024 + next(numbers))
            assert machine.receive_datagram(check, source, 1.0 + number / 100)
            received += len(check)
            sent += sum(len(datagram.data) for datagram in machine.datagrams_to_send())
            machine.handle_timer(1.0 + number / 100)
    assert sent <= received + ALLOWANCE


def test_counters_survive_their_machines():
    """What three generations counted, together; the round trip is the one in use."""
    machine, peer, second = restarted()
    peer.exchange(machine, A, 5.0)
    second.exchange(machine, B, 6.0)
    machine.receive_datagram(peer.check(), A, 7.0)
    stats = machine.stats()
    assert (stats.requests_received, stats.responses_received) == (3, 3)
    assert stats.rejected["username"] == 1
    assert stats.current_round_trip_time == 0.0


def test_the_full_agent_restarts_as_well():
    """Its successor has its role and its candidates, and checks at once."""
    agent = IceAgent(IceConfig(), CLIENT, True, counting_entropy(), 0.0)
    agent.add_local_candidate(host_candidate(A), 0.0)
    machine = IceGenerations(agent, CLIENT, SERVER, 30.0, 0.0)
    target = Candidate.parse(f"candidate:1 1 udp 2130706431 {B[0]} {B[1]} typ host")
    machine.set_remote(SERVER, [target], 0.0)
    responder = lite()
    [check] = machine.datagrams_to_send()
    assert responder.receive_datagram(check.data, A, 0.0, B)
    machine.restart(CLIENT_2, SERVER_2, [], 1.0)
    machine.add_remote_candidate(target, 1.0)
    fresh = lite(remote=False)
    successor = fresh.successor(SERVER_2, 1.0)
    successor.set_remote(CLIENT_2, [], 1.0)
    [check] = [d for d in machine.datagrams_to_send() if b"secondServer" in d.data]
    assert (check.source, check.destination) == (A, B)
    assert successor.receive_datagram(check.data, A, 1.0, B)
    [answer, _] = successor.datagrams_to_send()
    assert machine.receive_datagram(answer.data, B, 1.05, A)
    assert machine.is_proven((B, A))
    # The same credentials, the same peer: a role is kept (RFC 8445 section 9).
    assert isinstance(machine.successor(CLIENT_3, 2.0), IceAgent)


class TestRestartingGenerations(MachineContract):
    """The Sans-IO contract, with one generation in use and one coming up."""

    def subject(self) -> Subject:
        """An agent in the middle of a restart."""
        old = lite(now=NOW)
        peer = Peer()
        peer.exchange(old, PEER, NOW, nominate=True)
        machine = IceGenerations(old, SERVER, CLIENT, 30.0, NOW)
        machine.next_events()
        machine.restart(SERVER_2, CLIENT_2, [], NOW)
        second = Peer(CLIENT_2, SERVER_2)
        return Subject(
            machine=machine,
            samples=[peer.check(), second.check(), second.check(nominate=True)],
            forged=[Peer(CLIENT_2, Credentials(SERVER_2.ufrag, "y" * 22)).check()],
            close=machine.close,
        )
