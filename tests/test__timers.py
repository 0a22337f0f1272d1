"""The timer table, against a dictionary."""

import enum

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rtcproto._timers import TimerTable


class Timer(enum.Enum):
    """Three timers."""

    FIRST = "the first"
    SECOND = "the second"
    THIRD = "the third"


TIMERS = st.sampled_from(Timer)
TIMES = st.floats(0, 100)


class TableModel(RuleBasedStateMachine):
    """Every operation on the table and on a plain dictionary, compared after each."""

    def __init__(self) -> None:
        super().__init__()
        self.table: TimerTable[Timer] = TimerTable()
        self.model: dict[Timer, float] = {}

    @rule(timer=TIMERS, deadline=TIMES)
    def set(self, timer: Timer, deadline: float) -> None:
        """Arm or re-arm."""
        self.table.set(timer, deadline)
        self.model[timer] = deadline

    @rule(timer=TIMERS)
    def stop(self, timer: Timer) -> None:
        """Disarm, armed or not."""
        self.table.stop(timer)
        self.model.pop(timer, None)

    @rule()
    def stop_all(self) -> None:
        """Disarm everything."""
        self.table.stop_all()
        self.model.clear()

    @rule(now=TIMES)
    def expire(self, now: float) -> None:
        """What is due comes out, earliest first, and is disarmed; the next deadline is later."""
        due = self.table.expired(now)
        assert set(due) == {t for t, d in self.model.items() if d <= now}
        deadlines = [self.model.pop(timer) for timer in due]
        assert deadlines == sorted(deadlines)
        following = self.table.next()
        assert following is None or following > now

    @invariant()
    def agrees(self) -> None:
        """Deadlines, the earliest, and its reason."""
        assert {t: self.table.get(t) for t in Timer if self.table.get(t) is not None} == self.model
        assert self.table.next() == min(self.model.values(), default=None)
        reason = self.table.reason()
        assert (reason is None) == (not self.model)
        if reason is not None:
            assert self.model[reason] == self.table.next()


TestTable = TableModel.TestCase


@given(st.dictionaries(TIMERS, TIMES), TIMES)
def test_a_handler_may_set_later_deadlines(deadlines: dict[Timer, float], now: float) -> None:
    """The law: timers that fire and are set anew leave no deadline at or before now."""
    table: TimerTable[Timer] = TimerTable()
    for timer, deadline in deadlines.items():
        table.set(timer, deadline)
    for timer in table.expired(now):
        table.set(timer, now + 0.5)
    following = table.next()
    assert following is None or following > now


def test_a_deadline_is_due_at_its_instant() -> None:
    """Deadlines are due when deadline <= now, not a moment later."""
    table: TimerTable[Timer] = TimerTable()
    table.set(Timer.FIRST, 5.0)
    assert table.expired(4.999) == []
    assert table.expired(5.0) == [Timer.FIRST]
    assert table.expired(5.0) == []
