"""The notation of shapes, and what the checker finds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.realtime.schema import Schema

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "type", "role", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)

SCHEMA = Schema(
    {
        "point": "x=int y?=num|null",
        "dog": "type='dog' name=str(1..3)",
        "cat": "type='cat' lives=int(1..9)",
        "pet": "=@dog|@cat",
        "house": "pet=@pet|null rooms?=[@point](2) mood?='good'|'bad' free?=any bag?=obj",
        "old": "type='man' role='old' age=int",
        "young": "type='man' role='young'",
        "man": "=@old|@young",
        "nested": "lists=[[bool]]",
    }
)


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("point", {"x": 1}),
        ("point", {"x": -(10**400), "y": 10**400}),
        ("point", {"x": 1, "y": 0.5}),
        ("point", {"x": 1, "y": None}),
        ("pet", {"type": "dog", "name": "abc"}),
        ("house", {"pet": None, "rooms": [], "mood": "bad", "free": [1, {}], "bag": {"a": 1}}),
        ("house", {"pet": {"type": "cat", "lives": 9}, "rooms": [{"x": 1}, {"x": 2}]}),
        ("man", {"type": "man", "role": "old", "age": 7}),
        ("nested", {"lists": [[True], []]}),
    ],
)
def test_what_fits(shape: str, value: object) -> None:
    """No problem is found."""
    assert SCHEMA.check(shape, value) == []
    assert SCHEMA.first(shape, value) is None


@pytest.mark.parametrize(
    ("shape", "value", "code", "param"),
    [
        ("point", {}, "missing_required_parameter", "x"),
        ("point", {"x": 1.0}, "invalid_type", "x"),
        ("point", {"x": True}, "invalid_type", "x"),
        ("point", {"x": 1, "y": math.nan}, "invalid_type", "y"),
        ("point", {"x": 1, "y": math.inf}, "invalid_type", "y"),
        ("point", {"x": 1, "z": 1}, "unknown_parameter", "z"),
        ("point", [], "invalid_type", None),
        ("point", None, "invalid_type", None),
        ("pet", {"type": "cow"}, "invalid_value", "type"),
        ("pet", {"type": {}}, "invalid_value", "type"),
        ("pet", {}, "missing_required_parameter", "type"),
        ("pet", {"type": "dog", "name": ""}, "invalid_value", "name"),
        ("pet", {"type": "dog", "name": "abcd"}, "invalid_value", "name"),
        ("pet", {"type": "cat", "lives": 0}, "invalid_value", "lives"),
        ("pet", {"type": "cat", "lives": 10}, "invalid_value", "lives"),
        ("house", {"pet": 7}, "invalid_type", "pet"),
        ("house", {"pet": None, "mood": "so so"}, "invalid_value", "mood"),
        ("house", {"pet": None, "mood": 7}, "invalid_type", "mood"),
        (
            "house",
            {"pet": None, "rooms": [{"x": 1}, {}]},
            "missing_required_parameter",
            "rooms[1].x",
        ),
        ("house", {"pet": None, "rooms": [{"x": 1}] * 3}, "array_above_max_length", "rooms"),
        ("house", {"pet": None, "bag": []}, "invalid_type", "bag"),
        ("man", {"type": "man", "role": "wise"}, "invalid_value", "role"),
        ("man", {"type": "man"}, "missing_required_parameter", "role"),
        ("man", {"type": "man", "role": "old"}, "missing_required_parameter", "age"),
        ("nested", {"lists": [[True, 1]]}, "invalid_type", "lists[0][1]"),
    ],
)
def test_what_does_not_fit(shape: str, value: object, code: str, param: str | None) -> None:
    """One problem, with the code of the interface and where it is."""
    (problem,) = SCHEMA.check(shape, value)
    assert (problem.code, problem.param) == (code, param)
    assert problem.message
    assert SCHEMA.first(shape, value) == problem


def test_the_message_names_what_would_fit() -> None:
    """Literals, ranges, types."""
    messages = [
        SCHEMA.check("house", {"pet": None, "mood": "x"})[0].message,
        SCHEMA.check("cat", {"type": "cat", "lives": 0})[0].message,
        SCHEMA.check("point", {"x": ""})[0].message,
    ]
    assert "'good', 'bad'" in messages[0]
    assert "1 to 9" in messages[1]
    assert "integer" in messages[2]


def test_a_message_quotes_little_of_what_the_client_wrote() -> None:
    """Names of fields are as long as a client likes."""
    (problem,) = SCHEMA.check("point", {"x": 1, "z" * 10_000: 1})
    assert len(problem.message) < 200


@given(value=VALUES)
def test_any_value_can_be_checked(value: Any) -> None:
    """Nothing is raised, and `first` agrees with `check`."""
    for shape in ("point", "pet", "house", "man", "nested"):
        problems = SCHEMA.check(shape, value)
        assert SCHEMA.first(shape, value) == (problems[0] if problems else None)


@pytest.mark.parametrize(
    "text",
    ["x", "x=", "x=strange", "x=@nowhere", "x=[int", "x=int y", "X=int", "=int)", "x='a", "x=str|"],
)
def test_a_notation_that_cannot_be_read(text: str) -> None:
    """A mistake in a table shows when it is compiled."""
    with pytest.raises(ValueError, match=r"."):
        Schema({"shape": text})


def test_what_a_shape_says() -> None:
    """Its fields, their types and their texts."""
    assert SCHEMA.fields("point") == {"x": True, "y": False}
    assert SCHEMA.kinds("point", "y") == {"number", "null"}
    assert SCHEMA.kinds("house", "pet") == {"object", "null"}
    assert SCHEMA.kinds("nested", "lists") == {"array"}
    assert SCHEMA.literals("house", "mood") == {"good", "bad"}
    assert "house" in SCHEMA
    assert "pet" in SCHEMA
    assert "cow" not in SCHEMA
