"""The requests of a lite agent: when one is due, what it costs, which answers count."""

import pytest

from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.ice.contract import IceConfig
from rtcproto.ice.paths import PathState
from rtcproto.ice.proving import ALLOWANCE, CONSENT_SPACING, PROVING, RESERVE, Prover
from rtcproto.stun import Attribute, Message, ShortTermKey, build
from tests.support.ice_peer import CLIENT, SERVER, Peer, counting_entropy

SPACING = CONSENT_SPACING * IceConfig().consent_interval


def prover(credit=ALLOWANCE):
    """One that knows its peer."""
    made = Prover(IceConfig(), counting_entropy(), credit)
    made.set_remote(SERVER.ufrag, CLIENT)
    return made


def test_nothing_leaves_before_the_peer_is_known():
    """Its password signs the request."""
    assert Prover(IceConfig(), counting_entropy(), ALLOWANCE).ask(PathState(0.0), 0.0) is None


def test_one_request_at_a_time():
    """The first is repeated on the short schedule and then given up."""
    made, state = prover(), PathState(0.0)
    request = made.ask(state, 0.0)
    assert request is not None
    assert made.ask(state, 0.05) is None
    assert made.repeat(state, 0.05) is None
    times = PROVING.offsets()
    assert [made.repeat(state, at) for at in times[1:5]] == [request] * 4
    assert made.repeat(state, times[5]) is None
    assert state.proving is None
    assert (made.checks, made.repeated) == (5, 0)


def test_a_proven_path_is_asked_once_in_a_while():
    """Not sooner than 4 s after the last request, and then once; in need on the short schedule."""
    made, state = prover(), PathState(0.0, proof=0.0)
    assert made.ask(state, SPACING - 0.1) is None
    assert made.ask(state, SPACING) is not None
    assert made.repeat(state, SPACING + 0.1) is None
    assert made.repeat(state, 2 * SPACING) is None
    assert state.proving is None
    assert made.ask(state, 15.0) is not None
    assert made.repeat(state, 15.1) is not None
    assert (made.checks, made.repeated) == (0, 3)


def test_without_credit_nothing_leaves():
    """Authentic bytes earn it, up to the allowance."""
    made, state = prover(credit=10), PathState(0.0)
    assert made.ask(state, 0.0) is None
    assert not state.asked
    assert made.repeat(state, 0.1) is None
    made.earn(10 * ALLOWANCE)
    assert made.credit == ALLOWANCE
    data = made.repeat(state, 0.31)
    assert data is not None
    assert state.asked
    assert made.credit == ALLOWANCE - len(data)


def test_the_last_of_the_credit_is_for_proven_paths():
    """Whoever draws requests towards new paths cannot keep a proof from being renewed."""
    made, state = prover(credit=RESERVE + 200), PathState(0.0)
    made.read_answer(state, Message.parse(Peer().answer(made.ask(state, 0.0))), 0.1)
    asked = [made.ask(PathState(0.0), 0.1) is not None for _ in range(3)]
    assert asked == [True, False, False]
    assert made.ask(PathState(0.0, proof=0.1), 0.1 + SPACING) is not None


def test_before_there_is_a_proof_nothing_is_kept():
    """What is left of a budget after restarts is for the first path."""
    made = prover(credit=2 * RESERVE)
    assert made.halve() == RESERVE
    assert made.credit == RESERVE
    assert made.ask(PathState(0.0), 0.0) is not None


def test_answers():
    """The right transaction, the right key, nothing that we must understand and do not."""
    made, state = prover(), PathState(0.0)
    assert not made.is_answer(state, Message.parse(Peer().check()))
    request = made.ask(state, 0.0)
    identifier = Message.parse(request).transaction_id
    good = Message.parse(Peer().answer(request))
    assert made.is_answer(state, good)
    mapped = (Attribute.XOR_MAPPED_ADDRESS, ("192.0.2.1", 1))
    forged = build(1, 2, identifier, [mapped], ShortTermKey(SERVER.pwd))
    with pytest.raises(AuthenticationError):
        made.read_answer(state, Message.parse(forged), 0.1)
    strange = build(1, 2, identifier, [mapped, (0x7F01, b"")], ShortTermKey(CLIENT.pwd))
    with pytest.raises(ParseError):
        made.read_answer(state, Message.parse(strange), 0.1)
    before = made.credit
    made.read_answer(state, good, 0.25)
    assert made.credit == before + len(good.raw)
    assert (made.answered, made.round_trip, made.round_trips) == (1, 0.25, 0.25)
    assert not made.is_answer(state, good)
