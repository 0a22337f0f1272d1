"""Candidate pairs: RFC 8445 sections 6.1.2.3, 6.1.2.6 and 7.1.1."""

import pytest

from rtcproto.ice.candidate import CandidateType, compute_priority, host_candidate
from rtcproto.ice.pair import TRANSITIONS, CandidatePair, PairEvent, PairState, pair_priority
from tests.support.ice import LOCAL, REMOTE


def make_pair() -> CandidatePair:
    """A fresh pair, frozen."""
    return CandidatePair(host_candidate(LOCAL), LOCAL, host_candidate(REMOTE), REMOTE)


def test_priority_formula() -> None:
    """6.1.2.3: 2^32*MIN(G,D) + 2*MAX(G,D) + (G>D?1:0), so that both agents sort alike."""
    assert pair_priority(3, 2) == 2 * 2**32 + 6 + 1
    assert pair_priority(2, 3) == 2 * 2**32 + 6
    assert pair_priority(3, 3) == 3 * 2**32 + 6


@pytest.mark.parametrize("state", PairState)
@pytest.mark.parametrize("event", PairEvent)
def test_table(state: PairState, event: PairEvent) -> None:
    """`advance` takes the transitions of the table; what is not in it raises, moving nothing."""
    pair = make_pair()
    pair.state = state
    following = TRANSITIONS[state].get(event)
    if following is None:
        with pytest.raises(KeyError):
            pair.advance(event)
        assert pair.state is state
    else:
        pair.advance(event)
        assert pair.state is following


def test_every_state_has_a_way_on() -> None:
    """No state is a trap: from each of them a pair can become valid."""
    for start in PairState:
        reached, frontier = {start}, [start]
        while frontier:
            for following in TRANSITIONS[frontier.pop()].values():
                if following not in reached:
                    reached.add(following)
                    frontier.append(following)
        assert PairState.SUCCEEDED in reached


def test_reflexive_priority() -> None:
    """7.1.1: type preference of a peer-reflexive candidate, our own local preference."""
    pair = make_pair()
    pair.local = host_candidate(LOCAL, local_preference=77)
    assert pair.reflexive_priority == compute_priority(
        CandidateType.PEER_REFLEXIVE, local_preference=77
    )


def test_foundation_and_repr() -> None:
    """6.1.2.6: a pair's foundation is both candidates'; its repr names the path and the state."""
    pair = make_pair()
    assert pair.foundation == (pair.local.foundation, pair.remote.foundation)
    assert "198.51.100.2" in repr(pair)
    assert "FROZEN" in repr(pair)
