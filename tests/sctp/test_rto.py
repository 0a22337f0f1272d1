"""The time-out: RFC 9260 section 6.3.1."""

from __future__ import annotations

import pytest

from rtcproto.sctp.rto import RetransmissionTimeout


def test_the_first_measurement() -> None:
    """C2: SRTT is R, RTTVAR is R/2, RTO is SRTT + 4 RTTVAR."""
    rto = RetransmissionTimeout(1.0, 0.01, 10.0)
    assert rto.value == 1.0
    rto.observe(0.1)
    assert rto.smoothed == pytest.approx(0.1)
    assert rto.value == pytest.approx(0.3)


def test_the_second_measurement() -> None:
    """C3, with alpha 1/8 and beta 1/4, the variance first."""
    rto = RetransmissionTimeout(1.0, 0.01, 10.0)
    rto.observe(0.1)
    rto.observe(0.2)
    assert rto.smoothed == pytest.approx(0.1125)
    assert rto.value == pytest.approx(0.1125 + 4 * (0.75 * 0.05 + 0.25 * 0.1))


def test_floor_and_ceiling() -> None:
    """C6 and C7."""
    rto = RetransmissionTimeout(1.0, 0.2, 10.0)
    rto.observe(0.001)
    assert rto.value == 0.2
    rto.observe(100.0)
    assert rto.value == 10.0


def test_backing_off_ends_with_a_measurement() -> None:
    """6.3.3 E2: doubled by a time-out up to the maximum."""
    rto = RetransmissionTimeout(1.0, 0.2, 10.0)
    values = []
    for _ in range(5):
        rto.back_off()
        values.append(rto.value)
    assert values == [2.0, 4.0, 8.0, 10.0, 10.0]
    rto.observe(0.1)
    assert rto.value == pytest.approx(0.3)


def test_a_clock_that_stumbled() -> None:
    """A negative round trip counts as none."""
    rto = RetransmissionTimeout(1.0, 0.2, 10.0)
    rto.observe(-5.0)
    assert rto.smoothed == 0.0
