"""When to connect again."""

from __future__ import annotations

import pytest

from examples.transceiver.realtime_ws.retry import FIRST_DELAY, MAX_DELAY, Retry


def always(value: int) -> Retry:
    """Attempts whose chance is always the same."""
    return Retry(lambda size: bytes((value,)) * size)


def test_the_first_attempt_is_made_when_it_is_wanted() -> None:
    """And not before."""
    retry = always(0)
    assert retry.at is None
    retry.want(5.0, hurried=False)
    assert retry.at == 5.0
    retry.begun(5.0)
    retry.want(6.0, hurried=True)
    assert retry.at is None


@pytest.mark.parametrize(("value", "share"), [(0, 0.5), (255, 1.0)])
def test_failures_wait_twice_as_long_each(value: int, share: float) -> None:
    """Up to a limit; by half of it they differ."""
    retry, delays = always(value), []
    for _ in range(10):
        retry.failed(0.0)
        assert retry.at is not None
        delays.append(retry.at)
    expected = [min(FIRST_DELAY * 2**n, MAX_DELAY) * share for n in range(10)]
    assert delays == pytest.approx(expected, rel=0.01)
    retry.succeeded()
    retry.failed(0.0)
    assert retry.at == pytest.approx(FIRST_DELAY * share, rel=0.01)


def test_whoever_waits_is_not_kept_waiting() -> None:
    """The next attempt comes half a second after the last."""
    retry = always(255)
    for _ in range(10):
        retry.begun(100.0)
        retry.failed(100.0)
    retry.want(0.0, hurried=False)
    assert retry.at is not None
    assert retry.at > 110
    retry.want(100.2, hurried=True)
    assert retry.at == 100.5
    retry.want(103.0, hurried=True)
    assert retry.at == 100.5


def test_what_is_hopeless_takes_its_time() -> None:
    """A wrong key does not become right."""
    retry = always(255)
    retry.failed(0.0, hopeless=True)
    assert retry.at == pytest.approx(MAX_DELAY, rel=0.01)
