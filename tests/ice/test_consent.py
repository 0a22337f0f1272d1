"""Consent freshness: RFC 7675 section 5.1."""

from hypothesis import given
from hypothesis import strategies as st

from rtcproto.ice.consent import Consent


def test_expiry_follows_the_newest_answer() -> None:
    """Consent expires 30 seconds after the newest answer, however often it was asked for."""
    consent = Consent(30.0, 100.0)
    assert consent.expiry == 130.0
    assert consent.deadline == 130.0
    consent.sent(105.0)
    assert consent.expiry == 130.0
    consent.answered(106.0)
    assert consent.expiry == 136.0


def test_unanswered() -> None:
    """A request counts as unanswered until an answer comes after it."""
    consent = Consent(30.0, 100.0)
    assert consent.unanswered is None
    consent.sent(105.0)
    assert consent.unanswered == 105.0
    consent.sent(110.0)
    assert consent.unanswered == 110.0
    consent.answered(110.5)
    assert consent.unanswered is None


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1e6))
def test_interval(fraction: float, now: float) -> None:
    """The next check is 0.8 to 1.2 intervals away, hence never below the RFC's 4 seconds."""
    consent = Consent(30.0, now)
    consent.schedule(5.0, fraction, now)
    assert consent.check is not None
    assert now + 4.0 <= consent.check <= now + 6.0
    assert consent.deadline == consent.check
