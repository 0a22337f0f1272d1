"""Fragments of a session: what a restart needs, what candidates must belong to."""

from __future__ import annotations

import pytest

from rtcproto.config import SessionConfig
from rtcproto.dtls import Identity
from rtcproto.errors import DescriptionRefused, DescriptionTooLarge, ParseError, UsageError
from rtcproto.ice import Credentials
from rtcproto.sdp import parse_fragment
from rtcproto.session.trickle import Trickle, draw_credentials
from rtcproto.testing.session_pair import UNIX_TIME
from tests.support.ice_peer import counting_entropy
from tests.support.restart import new_fragment

IDENTITY = Identity.generate(UNIX_TIME)
LOCAL = Credentials("ours", "our password of 22 let")
REMOTE = Credentials("them", "theirPasswordOf24Letters")
RENEWED = Credentials("thm2", "theirSecondPasswordOf26Ch")
LINES = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\n"
    "a=candidate:2 1 udp 2130706431 127.0.0.1 5000 typ host\r\n"
    "a=candidate:3 1 udp 2130706431 6d1c4f0a.local 5000 typ host\r\n"
)


def trickle(*, lite: bool = True) -> Trickle:
    """That of a session with one address."""
    config = SessionConfig(
        identity=IDENTITY,
        addresses=(("198.51.100.2", 6000),),
        ice_lite=lite,
        entropy=counting_entropy(),
    )
    return Trickle(config, LOCAL, REMOTE, "audio")


def test_a_restart_changes_both_sides() -> None:
    """The answer has new credentials, the section's mid and our candidates, and ends them."""
    subject = trickle()
    restart, text = subject.restart(new_fragment(RENEWED), None)
    assert restart.previous == (LOCAL, REMOTE)
    assert restart.remote == RENEWED
    answer = parse_fragment(text)
    assert (answer.ufrag, answer.pwd) == (restart.local.ufrag, restart.local.pwd)
    assert answer.ufrag != LOCAL.ufrag
    assert (answer.ice_lite, answer.end_of_candidates) == (True, True)
    assert [section.mid for section in answer.media] == ["audio"]
    assert ["198.51.100.2 6000" in str(c) for c in answer.candidates] == [True]
    # The next one starts from there.
    again, _ = subject.restart(new_fragment(REMOTE), "ourNextUfrag")
    assert again.previous == (restart.local, RENEWED)
    assert again.local.ufrag == "ourNextUfrag"


@pytest.mark.parametrize(
    "credentials",
    [
        REMOTE,
        Credentials(REMOTE.ufrag, RENEWED.pwd),
        Credentials(RENEWED.ufrag, REMOTE.pwd),
    ],
    ids=["neither", "password only", "ufrag only"],
)
def test_a_restart_with_old_credentials_is_refused(credentials: Credentials) -> None:
    """RFC 8839 section 4.4.1.1.1: both must change. A refusal changes nothing."""
    subject = trickle()
    with pytest.raises(DescriptionRefused):
        subject.restart(new_fragment(credentials), None)
    assert subject.restart(new_fragment(RENEWED), None)[0].previous == (LOCAL, REMOTE)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", DescriptionRefused),
        ("a=ice-ufrag:thm2\r\n", DescriptionRefused),
        (LINES, DescriptionRefused),
        ("a=ice-lite\r\n" + new_fragment(RENEWED), DescriptionRefused),
        ("a=ice-pwd:theirSecondPasswordOf26Ch\r\n", ParseError),
        ("a=ice-ufrag:no\r\n", ParseError),
        ("a=x\r\n" * 20_000, DescriptionTooLarge),
    ],
)
def test_what_is_no_restart(text: str, error: type[Exception]) -> None:
    """Each by its own error, and nothing is changed."""
    subject = trickle()
    with pytest.raises(error):
        subject.restart(text, None)
    with pytest.raises(UsageError):
        subject.restart(text.encode(), None)  # type: ignore[arg-type]
    assert subject.restart(new_fragment(RENEWED), None)[0].previous == (LOCAL, REMOTE)


def test_our_own_credentials_must_be_new_too() -> None:
    """A ufrag given by the caller is the caller's mistake if it is the present one."""
    subject = trickle()
    for ufrag in (LOCAL.ufrag, "no", "not ice"):
        with pytest.raises(UsageError):
            subject.restart(new_fragment(RENEWED), ufrag)
    assert subject.restart(new_fragment(RENEWED), None)[0].previous == (LOCAL, REMOTE)


def test_candidates_of_the_newest_generation() -> None:
    """With its ufrag, or with none; others are refused."""
    subject = trickle(lite=False)
    (found,) = subject.candidates(LINES)
    assert (found.host, found.port) == ("192.0.2.1", 5000)
    named = f"a=ice-ufrag:{REMOTE.ufrag}\r\na=ice-pwd:{REMOTE.pwd}\r\n{LINES}"
    assert subject.candidates(named) == (found,)
    subject.restart(new_fragment(RENEWED), None)
    with pytest.raises(DescriptionRefused):
        subject.candidates(named)
    with pytest.raises(DescriptionRefused):
        subject.candidates(f"a=ice-ufrag:{REMOTE.ufrag}\r\n{LINES}")
    with pytest.raises(DescriptionRefused):
        subject.candidates(f"a=ice-ufrag:{RENEWED.ufrag}\r\na=ice-pwd:{REMOTE.pwd}\r\n{LINES}")
    assert subject.candidates(f"a=ice-ufrag:{RENEWED.ufrag}\r\n{LINES}") == (found,)


def test_a_lite_agent_only_reads_candidates() -> None:
    """R13: it has no use for an address that somebody names, but malformed is malformed."""
    assert trickle().candidates(LINES) == ()
    with pytest.raises(ParseError):
        trickle().candidates("a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\n")


def test_credentials_are_long_enough() -> None:
    """RFC 8839 section 5.4: 24 and 128 random bits at least."""
    config = SessionConfig(identity=IDENTITY, entropy=counting_entropy())
    drawn = draw_credentials(config, None)
    assert (len(drawn.ufrag), len(drawn.pwd)) == (8, 32)
    assert draw_credentials(config, "given").ufrag == "given"
