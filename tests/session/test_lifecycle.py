"""States, deadlines and phases."""

import pytest

from rtcproto import SessionConfig
from rtcproto.errors import UsageError
from rtcproto.events import CloseReason
from rtcproto.session.lifecycle import EXPIRED, Lifecycle, SessionState, Timer
from tests.support.calls import identity


def lifecycle(now: float = 100.0) -> Lifecycle:
    """One with easy deadlines."""
    config = SessionConfig(
        identity=identity("any"), answer_timeout=30.0, check_timeout=15.0, setup_timeout=35.0
    )
    return Lifecycle(config, now)


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


def test_each_state_has_its_deadline() -> None:
    """P4: an unanswered offer, an unchecked session, one that never connects; then none."""
    life = lifecycle()
    assert (life.get_timer(), life.timeout_reason) == (130.0, Timer.ANSWER.value)
    life.described(110.0)
    assert (life.get_timer(), life.timeout_reason) == (125.0, Timer.CHECK.value)
    life.checked(111.0)
    assert (life.get_timer(), life.timeout_reason) == (145.0, Timer.SETUP.value)
    assert life.expired(144.9) == []
    assert life.expired(145.0) == [CloseReason.SETUP_TIMEOUT]
    life.connected()
    assert (life.get_timer(), life.timeout_reason) == (None, None)


def test_a_check_before_the_description_counts() -> None:
    """A full agent's peer may check before its answer comes: there is nothing to wait for."""
    life = lifecycle()
    life.checked(101.0)
    life.described(102.0)
    assert life.timeout_reason == Timer.SETUP.value
    assert life.phases.first_check == 0.0


def test_phases_count_from_both_descriptions_and_keep_the_first_time() -> None:
    """Seconds since the set-up started, not since the session was made."""
    life = lifecycle()
    life.described(105.0)
    life.checked(105.5)
    life.reached("dtls", 106.0)
    life.reached("dtls", 107.0)
    phases = life.phases
    assert (phases.first_check, phases.dtls, phases.path) == (0.5, 1.0, None)


def test_time_never_runs_backwards() -> None:
    """A caller that mixes clocks rewinds nothing."""
    life = lifecycle()
    assert life.clamp(101.0) == 101.0
    assert life.clamp(99.0) == 101.0


def test_only_one_description() -> None:
    """A second one, or one after the end, is the caller's mistake."""
    life = lifecycle()
    life.require_new()
    life.described(100.0)
    with pytest.raises(UsageError, match="already has a description"):
        life.require_new()
    life.ended()
    assert life.closed
    assert life.get_timer() is None
    with pytest.raises(UsageError, match="closed"):
        life.require_new()


def test_fragments_come_after_descriptions() -> None:
    """ICE restarts and candidates are refused before both are known, and after the end."""
    life = lifecycle()
    with pytest.raises(UsageError, match="no description"):
        life.require_described()
    life.described(100.0)
    life.require_described()
    life.connected()
    life.require_described()
    life.ended()
    with pytest.raises(UsageError, match="closed"):
        life.require_described()
