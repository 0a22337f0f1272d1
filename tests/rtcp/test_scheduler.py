"""RFC 3550 section 6.3: report intervals, randomised, and slower when RTCP is dear."""

import random

import pytest

from rtcproto.rtcp.scheduler import MIN_INTERVAL, RtcpScheduler


def always(byte: int):
    """Entropy of one byte value for ever."""
    return lambda size: bytes([byte]) * size


def test_first_report_is_early():
    """RFC 3550 6.3.2: the first interval is half as long, 0.25 to 0.75 s."""
    assert RtcpScheduler(always(0x00), 100.0).get_timer() == 100.25
    assert RtcpScheduler(always(0xFF), 100.0).get_timer() == pytest.approx(100.75)


def test_intervals_are_spread_around_the_mean():
    """RFC 3550 6.3.1: uniform from half to one and a half times the interval."""
    scheduler = RtcpScheduler(random.Random(1).randbytes, 0.0)
    gaps = []
    last = now = scheduler.get_timer()
    assert scheduler.due(now)
    for _ in range(2000):
        now = scheduler.get_timer()
        gaps.append(now - last)
        last = now
        assert scheduler.due(now)
    assert 0.5 * MIN_INTERVAL <= min(gaps) < 0.51 * MIN_INTERVAL
    assert 1.49 * MIN_INTERVAL < max(gaps) <= 1.5 * MIN_INTERVAL
    assert sum(gaps) / len(gaps) == pytest.approx(MIN_INTERVAL, rel=0.03)


def test_due_once_per_interval():
    """Before the deadline nothing; at it once; then the timer lies ahead."""
    scheduler = RtcpScheduler(always(0), 0.0)
    assert not scheduler.due(0.2499)
    assert scheduler.due(0.25)
    assert not scheduler.due(0.25)
    assert scheduler.get_timer() > 0.25


def test_a_late_wake_up_sends_one_report():
    """After a long sleep one report is due, not one for every interval missed."""
    scheduler = RtcpScheduler(always(0), 0.0)
    assert scheduler.due(60.0)
    assert not scheduler.due(60.0)
    assert scheduler.get_timer() > 60.0


def test_large_compounds_slow_reports_down():
    """RFC 3550 6.2: RTCP keeps to its bandwidth; the average size sets the interval."""
    scheduler = RtcpScheduler(always(0x80), 0.0, bandwidth=400.0)
    assert scheduler.interval == MIN_INTERVAL
    for _ in range(200):
        scheduler.transferred(1200)
    assert scheduler.interval == pytest.approx((1200 + 28) * 2 / 400, rel=0.01)


def test_same_entropy_same_times():
    """Runs with the same seed are the same."""
    one, two = (RtcpScheduler(random.Random(7).randbytes, 5.0) for _ in range(2))
    for _ in range(10):
        assert one.get_timer() == two.get_timer()
        assert one.due(one.get_timer())
        assert two.due(two.get_timer())
