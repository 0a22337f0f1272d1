"""The handshake without its timer: RFC 9260 sections 5.1 and 5.2."""

from __future__ import annotations

import pytest

from rtcproto.errors import AuthenticationError, ParseError, PeerError
from rtcproto.sctp import SctpConfig
from rtcproto.sctp.control_chunks import CookieEcho, Init, InitAck
from rtcproto.sctp.handshake import Verdict
from rtcproto.sctp.parameters import Cause, Parameter, ParameterType, find
from rtcproto.sctp.setup import MAX_COOKIE, Setup
from tests.support.sctp import seeded

NOW = 1000.0


def pair() -> tuple[Setup, Setup]:
    """Two sides."""
    return Setup(SctpConfig(), seeded(1)), Setup(SctpConfig(), seeded(2))


def test_the_four_ways() -> None:
    """INIT, INIT-ACK, COOKIE-ECHO: then both know the same."""
    ours, theirs = pair()
    answer = theirs.answer(ours.init, None, NOW)
    first = ours.take_answer(answer)
    verdict, cookie = theirs.take_cookie(ours.echo(), theirs.tag, None, NOW)
    assert verdict is Verdict.ESTABLISH
    assert (first.our_tag, first.their_tag) == (cookie.their_tag, cookie.our_tag)
    assert (first.our_tsn, first.their_tsn) == (cookie.their_tsn, cookie.our_tsn)
    assert ours.tentative == first
    ours.done()
    assert ours.tentative is None


def test_answering_changes_nothing() -> None:
    """5.1 B: no state before the cookie returns; INITs that cross get our own numbers."""
    ours, theirs = pair()
    answers = [theirs.answer(ours.init, None, NOW) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0].initiate_tag == theirs.init.initiate_tag
    assert theirs.tentative is None


def test_an_init_for_what_exists_gets_another_tag() -> None:
    """5.2.2: and the tags of what exists as tie tags."""
    ours, theirs = pair()
    known = theirs.agree(ours.init)
    again = Setup(SctpConfig(), seeded(3))
    answer = theirs.answer(again.init, known, NOW)
    assert answer.initiate_tag != theirs.init.initiate_tag
    cookie = find(answer.parameters, ParameterType.STATE_COOKIE)
    assert cookie is not None
    tag = answer.initiate_tag.to_bytes(4, "big")
    verdict, state = theirs.take_cookie(CookieEcho(cookie), tag, known, NOW)
    assert (state.our_tie, state.their_tie) == (known.our_tag, known.their_tag)
    assert verdict is Verdict.RESTART


def test_the_same_init_again_is_for_what_exists() -> None:
    """A repetition, or a peer that did not know of SNAP: the same tag, so 5.2.4 D follows."""
    ours, theirs = pair()
    known = theirs.agree(ours.init)
    ours.take_answer(theirs.answer(ours.init, known, NOW))
    verdict, _ = theirs.take_cookie(ours.echo(), theirs.tag, known, NOW)
    assert verdict is Verdict.REPEAT


def test_c2_a_cookie_under_a_wrong_tag() -> None:
    """C2: the packet's tag must be the one in the cookie."""
    ours, theirs = pair()
    ours.take_answer(theirs.answer(ours.init, None, NOW))
    with pytest.raises(ParseError):
        theirs.take_cookie(ours.echo(), ours.tag, None, NOW)
    with pytest.raises(AuthenticationError):
        theirs.take_cookie(CookieEcho(bytes(len(ours.echo().cookie))), theirs.tag, None, NOW)


def test_a_cookie_that_is_too_old() -> None:
    """5.1.5 step 4 and 3.3.10.3: by how many microseconds."""
    ours, theirs = pair()
    ours.take_answer(theirs.answer(ours.init, None, NOW))
    verdict, state = theirs.take_cookie(ours.echo(), theirs.tag, None, NOW + 61.5)
    assert verdict is Verdict.STALE
    assert theirs.complain(state, NOW + 61.5).causes == (
        Parameter(Cause.STALE_COOKIE, (1_500_000).to_bytes(4, "big")),
    )


def test_an_init_that_cannot_be_ends_nothing() -> None:
    """3.3.2: "MUST be silently discarded"."""
    _, theirs = pair()
    with pytest.raises(ParseError):
        theirs.answer(Init(0, 1, 1, 1, 1), None, NOW)


@pytest.mark.parametrize("size", [None, MAX_COOKIE + 1])
def test_an_answer_without_a_usable_cookie(size: int | None) -> None:
    """What cannot be returned ends the attempt."""
    ours, _ = pair()
    cookie = () if size is None else (Parameter(ParameterType.STATE_COOKIE, bytes(size)),)
    with pytest.raises(PeerError):
        ours.take_answer(InitAck(1, 1, 1, 1, 1, cookie))


def test_no_tag_is_zero() -> None:
    """5.3.1: even if the entropy says so."""
    assert Setup(SctpConfig(), bytes).tag == b"\0\0\0\1"
