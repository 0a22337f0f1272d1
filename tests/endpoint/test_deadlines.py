"""The heap of deadlines, against a dictionary."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rtcproto.endpoint.deadlines import Deadlines
from rtcproto.endpoint.entries import Entry

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("arm", "disarm", "due")),
        st.integers(0, 4),
        st.integers(0, 50),
    ),
    max_size=200,
)


def entry(number: int) -> Entry:
    """One whose session nobody asks."""
    nobody: Any = None
    return Entry(id=str(number), session=nobody, ufrag=b"")


@given(STEPS)
def test_wakes_each_entry_once_at_its_earliest_deadline(steps: list[tuple[str, int, int]]) -> None:
    """As a dictionary of deadlines would, whatever the order; `next` is always one that counts."""
    entries = [entry(number) for number in range(5)]
    deadlines, model = Deadlines(), dict[str, float]()
    now = 0
    for what, which, time in steps:
        chosen = entries[which]
        if what == "arm" and (chosen.armed is None or time < chosen.armed):
            deadlines.arm(chosen, time, len(entries))
            model[chosen.id] = time
        elif what == "disarm":
            deadlines.disarm(chosen)
            model.pop(chosen.id, None)
        elif what == "due":
            now = max(now, time)
            woken = [each.id for each in deadlines.due(now)]
            assert sorted(woken) == sorted(key for key, at in model.items() if at <= now)
            for key in woken:
                del model[key]
        due = deadlines.next()
        assert due == min(model.values(), default=None)
        assert len(deadlines) <= 64 + 4 * len(entries)


def test_what_no_longer_counts_is_swept_out() -> None:
    """A deadline that comes nearer a thousand times leaves a bounded heap."""
    deadlines, first, second = Deadlines(), entry(1), entry(2)
    deadlines.arm(second, 0.5, 2)
    for number in range(1000):
        deadlines.arm(first, 2000.0 - number, 2)
    assert len(deadlines) <= 64 + 4 * 2
    assert [each.id for each in deadlines.due(5000.0)] == ["2", "1"]
    assert deadlines.next() is None
