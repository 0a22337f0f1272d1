"""The checklist: RFC 8445 sections 6.1.2 and 6.1.4."""

import attrs
import pytest

from rtcproto.datagram import Address
from rtcproto.ice.candidate import Candidate, host_candidate
from rtcproto.ice.checklist import Checklist
from rtcproto.ice.pair import CandidatePair, PairEvent, PairState
from tests.support.ice import LOCAL


def remote(number: int, priority: int, foundation: str = "") -> tuple[Candidate, Address]:
    """A remote candidate with an address of its own."""
    address = (f"198.51.100.{number}", 6000)
    candidate = host_candidate(address)
    foundation = foundation or candidate.foundation
    return attrs.evolve(candidate, priority=priority, foundation=foundation), address


def add(checklist: Checklist, number: int, priority: int, foundation: str = "") -> CandidatePair:
    """Form the pair of `LOCAL` and `remote(...)`."""
    candidate, address = remote(number, priority, foundation)
    pair = checklist.add(host_candidate(LOCAL), LOCAL, candidate, address)
    assert pair is not None
    return pair


def test_pairs_are_sorted() -> None:
    """6.1.2.3: highest pair priority first."""
    checklist = Checklist(True)
    pairs = [add(checklist, n, priority) for n, priority in ((1, 5), (2, 9), (3, 7))]
    assert checklist.pairs == [pairs[1], pairs[2], pairs[0]]


def test_freezing() -> None:
    """6.1.2.6: of each foundation the pair of highest priority waits, the others are frozen."""
    checklist = Checklist(True)
    low, high = add(checklist, 1, 5, "f"), add(checklist, 2, 9, "f")
    other = add(checklist, 3, 1, "g")
    checklist.unfreeze()
    assert [low.state, high.state] == [PairState.FROZEN, PairState.WAITING]
    assert other.state is PairState.WAITING


def test_success_unfreezes_its_foundation() -> None:
    """7.2.5.3.3: frozen pairs with the foundation of a valid pair become waiting, all of them."""
    checklist = Checklist(True)
    pairs = [add(checklist, n, 10 - n, "f") for n in range(1, 4)]
    checklist.unfreeze()
    assert checklist.take() is pairs[0]
    checklist.unfreeze()
    assert pairs[1].state is PairState.FROZEN
    pairs[0].advance(PairEvent.SUCCEED)
    checklist.unfreeze()
    assert [pair.state for pair in pairs[1:]] == [PairState.WAITING, PairState.WAITING]
    assert checklist.valid == [pairs[0]]


def test_failure_lets_the_next_go() -> None:
    """6.1.4.2: once nothing of a foundation waits or is in progress, the next frozen pair goes."""
    checklist = Checklist(True)
    first, second, third = (add(checklist, n, 10 - n, "f") for n in range(1, 4))
    checklist.unfreeze()
    assert checklist.take() is first
    first.advance(PairEvent.FAIL)
    checklist.unfreeze()
    assert [second.state, third.state] == [PairState.WAITING, PairState.FROZEN]


def test_order_of_checks() -> None:
    """6.1.4.2: triggered checks first, in their order; then waiting pairs by priority."""
    checklist = Checklist(True)
    pairs = [add(checklist, n, n) for n in range(1, 5)]
    checklist.unfreeze()
    checklist.trigger(pairs[1])
    checklist.trigger(pairs[0])
    checklist.trigger(pairs[1])
    assert checklist.has_work()
    taken = [checklist.take() for _ in range(5)]
    assert taken == [pairs[1], pairs[0], pairs[3], pairs[2], None]
    assert all(pair.state is PairState.IN_PROGRESS for pair in pairs)
    assert not checklist.has_work()


def test_triggered_pair_that_became_valid_is_not_checked_again() -> None:
    """7.3.1.4: an answer to the cancelled check may overtake the queued one."""
    checklist = Checklist(True)
    pair = add(checklist, 1, 1)
    checklist.unfreeze()
    checklist.take()
    checklist.trigger(pair)
    pair.advance(PairEvent.SUCCEED)
    assert checklist.take() is None


def test_redundant_and_impossible_pairs() -> None:
    """6.1.2.2 and 6.1.2.4: one pair per base and remote address, of one address family."""
    checklist = Checklist(True)
    add(checklist, 1, 1)
    candidate, address = remote(1, 99)
    local = host_candidate(LOCAL)
    assert checklist.add(local, LOCAL, candidate, address) is None
    six = host_candidate(("2001:db8::1", 5))
    assert checklist.add(local, LOCAL, six, ("2001:db8::1", 5)) is None
    assert checklist.add(local, None, six, ("2001:db8::1", 5)) is not None


def test_limit() -> None:
    """6.1.2.5: beyond the limit the untried pair of lowest priority gives way, or the new one."""
    checklist = Checklist(True, limit=3)
    pairs = [add(checklist, n, n) for n in range(2, 5)]
    candidate, address = remote(9, 1)
    assert checklist.add(host_candidate(LOCAL), LOCAL, candidate, address) is None
    better = add(checklist, 10, 10)
    assert checklist.pairs == [better, pairs[2], pairs[1]]
    for pair in checklist.pairs:
        pair.state = PairState.SUCCEEDED
    candidate, address = remote(11, 11)
    assert checklist.add(host_candidate(LOCAL), LOCAL, candidate, address) is None
    pairs[1].advance(PairEvent.FAIL)
    newest = add(checklist, 11, 1)
    assert checklist.get(pairs[1].address, LOCAL) is None
    assert len(checklist) == 3
    assert newest in checklist.pairs


def test_evicted_pair_is_not_taken() -> None:
    """A pair that gave way is not checked, also if it was queued."""
    checklist = Checklist(True, limit=1)
    pair = add(checklist, 1, 1)
    checklist.unfreeze()
    checklist.trigger(pair)
    better = add(checklist, 2, 2)
    checklist.unfreeze()
    assert checklist.take() is better
    assert checklist.take() is None


@pytest.mark.parametrize("controlling", [True, False])
def test_roles(controlling: bool) -> None:
    """6.1.2.3: G is the controlling agent's priority, whichever of the two we are."""
    checklist = Checklist(controlling)
    pair = add(checklist, 1, 1)
    before = pair.priority
    checklist.set_controlling(not controlling)
    assert before - pair.priority == (1 if controlling else -1)


def test_signalled_candidate_replaces_the_learned_one() -> None:
    """7.3.1.3: a later candidate exchange brings the real foundation and priority."""
    checklist = Checklist(True)
    pair = add(checklist, 1, 1, "prflx1")
    candidate, address = remote(1, 9, "real")
    before = pair.priority
    checklist.signalled(candidate, address)
    assert pair.remote.foundation == "real"
    assert pair.priority > before
