"""The decorator of per-packet values."""

import attrs
import pytest

from rtcproto._attrs import wire


@wire
class Point:
    """Two numbers."""

    x: int
    y: int = 0


def test_values_are_slotted_and_compare_by_content() -> None:
    """No dictionary per packet; no attribute by a slip of the pen."""
    point = Point(1)
    assert point == Point(1, 0)
    assert point != Point(1, 1)
    assert not hasattr(point, "__dict__")
    with pytest.raises(AttributeError):
        point.z = 1  # type: ignore[attr-defined]


def test_the_price_of_frozen_is_not_paid() -> None:
    """At run time the class is a plain one: building it does not go through object.__setattr__."""
    assert attrs.has(Point)
    assert Point.__setattr__ is object.__setattr__
    assert attrs.evolve(Point(1), y=5) == Point(1, 5)
