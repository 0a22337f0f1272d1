"""What calls count, added up."""

from __future__ import annotations

import attrs

from examples.transceiver.histogram import Histogram
from examples.transceiver.metrics import Counters


def test_counters_add_up() -> None:
    """Every number and every histogram, none forgotten."""
    one, other = Counters(), Counters()
    for number, field in enumerate(attrs.fields(Counters), start=1):
        for counters in (one, other):
            value = getattr(counters, field.name)
            if isinstance(value, Histogram):
                value.add(0.01)
            else:
                setattr(counters, field.name, number)
    one.merge(other)
    for number, field in enumerate(attrs.fields(Counters), start=1):
        value = getattr(one, field.name)
        assert (value.count if isinstance(value, Histogram) else value) == (
            2 if isinstance(value, Histogram) else 2 * number
        )


def test_remarks_are_about_what_went_wrong() -> None:
    """A call in which nothing did has none."""
    assert Counters(packets_in=5, packets_out=5, turns=1).remarks() == ""
    assert Counters(packets_unsent=3, backend_errors=1).remarks() == (
        "; 3 packets not sent; 1 errors of the backend"
    )


def test_plain_values() -> None:
    """For JSON: numbers and quantiles."""
    counters = Counters(turns=2)
    counters.answer.add(0.5)
    values = counters.as_dict()
    assert values["turns"] == 2
    assert values["answer"]["count"] == 1
    assert values["barge_in"]["p50"] is None
