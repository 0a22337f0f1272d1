"""What the path holds without a queue."""

from __future__ import annotations

import pytest

from rtcproto.sctp.pipe import ROUNDS, Pipe


def fed(*sizes: int, round_trip: float = 0.1, shortest: float = 0.1) -> Pipe:
    """One acknowledgement per round trip of these sizes."""
    pipe = Pipe()
    pipe.measured(shortest)
    now = 50.0
    pipe.arrived(1, round_trip, now)
    for size in sizes:
        now += round_trip
        pipe.arrived(size, round_trip, now)
    return pipe


def test_it_is_the_rate_times_the_shortest_round_trip() -> None:
    """10,000 bytes per 100 ms on a path of 100 ms, and of 40 ms with a queue of 60 ms."""
    assert fed(10_000).size == pytest.approx(10_000, abs=1)
    assert fed(10_000, shortest=0.04).size == pytest.approx(4_000, abs=1)


def test_several_acknowledgements_make_a_round() -> None:
    """What came within a round trip counts together."""
    pipe = Pipe()
    pipe.measured(0.1)
    for step in range(21):
        pipe.arrived(1000, 0.1, 50.0 + step * 0.0101)
    assert pipe.size == pytest.approx(1000 / 0.0101 * 0.1, rel=0.01)


def test_nothing_is_known_at_first() -> None:
    """0, so that a loss costs what RFC 9260 says; as without a measured round trip."""
    assert Pipe().size == 0
    pipe = Pipe()
    pipe.arrived(10_000, None, 1.0)
    pipe.arrived(10_000, None, 2.0)
    assert pipe.size == 0
    assert fed().size == 0


def test_the_best_of_the_last_rounds_counts() -> None:
    """A round with a loss in it delivers less; what was long ago is forgotten."""
    assert fed(10_000, 1000, 1000).size == pytest.approx(10_000, abs=1)
    assert fed(10_000, *[1000] * ROUNDS).size == pytest.approx(1000, abs=1)


def test_silence_is_no_round() -> None:
    """What came before a pause of several round trips says nothing of the rate."""
    pipe = fed(10_000)
    pipe.arrived(10_000, 0.1, 60.0)
    pipe.arrived(10_000, 0.1, 60.1)
    assert pipe.size == pytest.approx(10_000, abs=1)


def test_the_shortest_round_trip_stays() -> None:
    """A path that became longer looks too small: the cautious side."""
    pipe = fed(10_000)
    pipe.measured(0.05)
    pipe.measured(0.5)
    assert pipe.shortest == 0.05


def test_a_clock_that_stands_still() -> None:
    """No division by zero."""
    pipe = Pipe()
    pipe.measured(0.0)
    for _ in range(3):
        pipe.arrived(1000, 0.0, 1.0)
    assert pipe.size == 0
