"""States and deadlines."""

from rtcproto.events import CloseReason
from rtcproto.session.lifecycle import EXPIRED, SessionState, Timer


def test_every_deadline_ends_the_session_for_a_reason_of_its_own() -> None:
    """P4: no deadline passes without effect, and the reason tells which it was."""
    assert set(EXPIRED) == set(Timer)
    assert len(set(EXPIRED.values())) == len(Timer)
    assert CloseReason.LOCAL not in EXPIRED.values()


def test_states_and_timers_say_what_they_mean() -> None:
    """Their values are sentences: they are shown to people who look for a cause."""
    for member in (*SessionState, *Timer):
        assert isinstance(member.value, str)
        assert member.value
