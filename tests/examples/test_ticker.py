"""One timer for all calls, on virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.ticker import TICK, Ticker
from tests.support.virtual_loop import VirtualLoop


class Worker:
    """Wants to be called every `step` seconds, `left` times."""

    def __init__(self, ticker: Ticker, step: float = 0.02, left: int = 0) -> None:
        self.called: list[float] = []
        self._ticker = ticker
        self._step = step
        self._left = left

    def handle_timer(self, now: float) -> None:
        """Note it, and go on."""
        self.called.append(now)
        if self._left:
            self._left -= 1
            self._ticker.at(self, now + self._step)


def start() -> tuple[VirtualLoop, Ticker]:
    """A loop and its ticker."""
    loop = VirtualLoop()
    return loop, Ticker(loop.clock, loop.later)


def test_deadlines_of_many_calls_are_one_wake_up() -> None:
    """A hundred calls at 20 ms, begun whenever: at most 200 wake-ups a second, not 5,000."""
    loop, ticker = start()
    workers = [Worker(ticker, left=1000) for _ in range(100)]
    for number, worker in enumerate(workers):
        ticker.at(worker, loop.now + number * 0.0002)
    loop.run(1.0)
    assert loop.woken <= 1 / TICK + 1
    assert all(49 <= len(worker.called) <= 51 for worker in workers)


@given(st.floats(0, 10))
def test_nobody_is_called_early_or_much_later(delay: float) -> None:
    """At the deadline or up to a tick behind it."""
    loop, ticker = start()
    worker = Worker(ticker)
    when = loop.now + delay
    ticker.at(worker, when)
    loop.run(11)
    assert len(worker.called) == 1
    assert when - 1e-5 <= worker.called[0] <= when + TICK + 1e-5


class Strict(Worker):
    """Not done before its time: it asks again for whatever is left."""

    def __init__(self, ticker: Ticker, when: float) -> None:
        super().__init__(ticker)
        self._when = when

    def handle_timer(self, now: float) -> None:
        """Done, or the same deadline again."""
        super().handle_timer(now)
        if now < self._when:
            self._ticker.at(self, self._when)


@given(st.integers(1, 2000), st.floats(-2e-3, 2e-3))
def test_a_deadline_beside_a_point_is_served_once(point: int, beside: float) -> None:
    """A hair beyond a point of the grid is that point, and not before its time."""
    loop, ticker = start()
    first = (round(loop.now / TICK) + point) * TICK
    worker = Strict(ticker, max(loop.now, first + beside * TICK))
    ticker.at(worker, worker._when)
    loop.run(11)
    assert len(worker.called) == 1


def test_the_last_word_counts() -> None:
    """A deadline that moves is served once, at its new place; None is nowhere."""
    loop, ticker = start()
    moved, dropped = Worker(ticker), Worker(ticker)
    for worker in (moved, dropped):
        ticker.at(worker, loop.now + 0.1)
    ticker.at(moved, loop.now + 0.5)
    ticker.at(dropped, None)
    assert loop.pending == 1
    loop.run(0.4)
    assert moved.called == []
    assert loop.woken == 0
    loop.run(0.2)
    assert len(moved.called) == 1
    assert dropped.called == []
    assert len(ticker) == 0
    assert loop.pending == 0


def test_one_that_raises_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in one call is logged; the audio of the others goes on."""
    loop, ticker = start()

    class Broken(Worker):
        def handle_timer(self, now: float) -> None:
            raise ZeroDivisionError

    fine = Worker(ticker, left=2)
    ticker.at(Broken(ticker), loop.now + 0.02)
    ticker.at(fine, loop.now + 0.02)
    loop.run(1.0)
    assert len(fine.called) == 3
    assert "the deadline of a call raised" in caplog.text


def test_p3_deadlines_that_raise_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Threat P3: fifty calls that raise at every point of the grid are a line a second."""
    loop, ticker = start()

    class Broken(Worker):
        def handle_timer(self, now: float) -> None:
            ticker.at(self, now + 0.02)
            raise ZeroDivisionError

    for _ in range(50):
        ticker.at(Broken(ticker), loop.now + 0.02)
    loop.run(5.0)
    assert 4 <= len(caplog.records) <= 6


def test_closing_serves_nobody() -> None:
    """At the end no timer is left behind."""
    loop, ticker = start()
    worker = Worker(ticker)
    ticker.at(worker, loop.now + 1)
    ticker.close()
    assert loop.pending == 0
    loop.run(2)
    assert worker.called == []
