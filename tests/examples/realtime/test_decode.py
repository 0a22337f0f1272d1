"""Client events from bytes: what is refused once, so that nothing below meets it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.realtime.decode import (
    MAX_CHANNEL_EVENT,
    MAX_DEPTH,
    decode,
    encode,
    load,
    size_of,
)
from examples.transceiver.realtime.tables import CLIENT

SEED = json.dumps(
    {
        "type": "conversation.item.create",
        "event_id": "e",
        "item": {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "hello"}],
        },
    }
).encode()


def nested(depth: int) -> str:
    """Lists within lists."""
    return "[" * depth + "]" * depth


def test_an_event_that_is_right() -> None:
    """It comes with its id, and as text or bytes."""
    for data in (SEED, SEED.decode()):
        event, event_id, problem = decode(data, MAX_CHANNEL_EVENT)
        assert event == json.loads(SEED)
        assert event_id == "e"
        assert problem is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[Infinity]",
        "-1e999",
        '"\\udfff"',
        '{"\\ud800": 1}',
        nested(MAX_DEPTH + 1),
        nested(100_000),
        "1" * 5000,
        "\x00",
    ],
)
def test_what_is_no_json_for_us(text: str) -> None:
    """Numbers without end, half characters, depth: one exception for all of it."""
    with pytest.raises(ValueError, match=r"."):
        load(text)


@pytest.mark.parametrize(
    "value", [None, 5, "ä\U0001f600", [1.5, {"a": []}], json.loads(nested(30))]
)
def test_what_is_read_can_be_sent(value: object) -> None:
    """The same value comes back."""
    assert load(json.dumps(value)) == value
    assert load(json.dumps(value, ensure_ascii=False).encode()) == value


def test_depth_is_counted_to_the_limit() -> None:
    """As deep as is allowed, and one deeper."""
    load(nested(MAX_DEPTH - 1))
    with pytest.raises(ValueError, match="deep"):
        load(nested(MAX_DEPTH + 1))


@given(st.binary(max_size=64) | st.text(max_size=64) | st.sampled_from(sorted(CLIENT)))
def test_any_data_is_an_event_or_a_problem(data: str | bytes) -> None:
    """Never both, never neither; the id that is found can be sent."""
    event, event_id, problem = decode(data, 60)
    assert (event is None) != (problem is None)
    encode({"event_id": event_id})


@given(data=st.data())
def test_changed_events_are_events_or_problems(data: Any) -> None:
    """A right event with some bytes overwritten, removed or doubled."""
    changed = bytearray(SEED)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        width = data.draw(st.integers(0, 3))
        new = data.draw(st.binary(max_size=3) | st.sampled_from([b"{", b"[", b'"', b"\\u", b"1e9"]))
        changed[at : at + width] = new
    event, _, problem = decode(bytes(changed), MAX_CHANNEL_EVENT)
    assert (event is None) != (problem is None)


@pytest.mark.parametrize("place", ["first", "last"])
def test_the_id_of_an_event_that_is_too_large_is_found(place: str) -> None:
    """At either end, where clients write it."""
    fields: dict[str, str] = {"type": "x", "audio": "A" * 5000}
    both = {"event_id": "mine", **fields} if place == "first" else {**fields, "event_id": "mine"}
    _, event_id, problem = decode(json.dumps(both), 4096)
    assert problem is not None
    assert (problem.code, event_id) == ("event_too_large", "mine")


def test_the_size_limit_is_in_bytes() -> None:
    """Of UTF-8, and reached exactly."""
    text = '"ä"'
    assert decode(text, 3)[2].code == "event_too_large"  # type: ignore[union-attr]
    assert decode(text, 4)[2].code == "invalid_type"  # type: ignore[union-attr]


def test_events_are_sent_compact() -> None:
    """Without escapes that would make them several times as large."""
    assert encode({"a": ["ä", 1]}) == '{"a":["ä",1]}'
    assert size_of({"a": ["ä", 1]}) == 14
