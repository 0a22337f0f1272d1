"""Durations counted in buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.histogram import BOUNDS, Histogram

durations = st.lists(st.floats(0, 10), min_size=1, max_size=200)


@given(durations, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_quantiles_are_exact_to_a_bucket(values: list[float], share: float) -> None:
    """At least that share is no longer; a fifth shorter, and it would not be."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    quantile = histogram.quantile(share)
    assert quantile is not None
    assert sum(value <= quantile for value in values) >= share * len(values)
    shorter = quantile / 1.2 if quantile > BOUNDS[0] else -1
    assert sum(value < shorter for value in values) < share * len(values)
    assert quantile <= max(values)


@given(durations, durations)
def test_merging_counts_both(a: list[float], b: list[float]) -> None:
    """The sum of two histograms is the histogram of both."""
    first, second, both = Histogram(), Histogram(), Histogram()
    for value in a:
        first.add(value)
        both.add(value)
    for value in b:
        second.add(value)
        both.add(value)
    first.merge(second)
    assert first.as_dict() == both.as_dict()
    assert first.total == pytest.approx(both.total)


def test_nothing_was_counted() -> None:
    """No duration, no quantile."""
    assert Histogram().as_dict() == {
        "count": 0,
        "p50": None,
        "p95": None,
        "p99": None,
        "max": None,
    }


def test_what_is_beyond_the_buckets() -> None:
    """An hour is counted as long; less than nothing as nothing."""
    histogram = Histogram()
    histogram.add(3600.0)
    assert histogram.quantile(0.5) == BOUNDS[-1]
    assert histogram.longest == 3600.0
    histogram.add(-1.0)
    assert histogram.quantile(0.5) == BOUNDS[0]
