"""What the table of faults says of a call follows from what its client heard."""

from __future__ import annotations

import math

import pytest

from tests.faults.report import as_table, measure
from tests.faults.town import Heard


def heard(*arrivals: float, sent: int = 0, returned: int = 0, closed: str = "") -> Heard:
    """A call that was looked back on at 10 s."""
    return Heard(list(arrivals), sent, returned, [], closed, 10.0)


def test_the_gap_is_the_longest_silence_that_ended_after_the_fault() -> None:
    """Not one before it, and one that began before it counts from its beginning."""
    assert heard(0.0, 3.0, 3.02, 3.5, 9.9).gap(3.1) == pytest.approx(6.4)
    assert heard(0.0, 3.0, 3.02, 3.5).gap(3.1) == pytest.approx(0.48)
    assert heard(0.0, 3.0).gap(5.0) == math.inf
    assert heard(1.0, 4.0, 5.0).back(3.0) == pytest.approx(1.0)


def test_a_call_that_ended_or_fell_silent_is_lost() -> None:
    """However small the gaps before were."""
    assert not heard(9.5).lost
    assert heard(8.5).lost
    assert heard(9.5, closed="PEER").lost
    row = measure("f", [heard(9.0, 9.5), heard(9.0, 9.5, closed="PEER")], 9.2, goal="")
    assert (row.lost_calls, row.met) == (1, False)


@pytest.mark.parametrize(
    ("limits", "met"),
    [
        ({"gap": 501.0}, True),
        ({"gap": 499.0}, False),
        ({"listening": 9.4, "after_listening": 101.0}, True),
        ({"listening": 9.4, "after_listening": 99.0}, False),
        ({"packets": 2}, True),
        ({"packets": 1}, False),
    ],
)
def test_goals(limits: dict[str, float], met: bool) -> None:
    """Each is for the worst call, in milliseconds, or for all packets."""
    calls = [heard(9.0, 9.5, sent=5, returned=3), heard(9.3, 9.45, sent=5, returned=5)]
    row = measure("f", calls, 9.2, goal="", **limits)  # type: ignore[arg-type]
    assert row.met is met
    assert ("yes" if met else "NO") in as_table([row])
