"""The events that are made of what a call says."""

from __future__ import annotations

import pytest

from examples.transceiver.realtime_ws.shapes import (
    field,
    format_of,
    mapping,
    replayed,
    session_change,
    text,
    whole_session,
)
from tests.examples.realtime_ws.room import session


def test_what_the_client_left_open_is_the_servers() -> None:
    """No empty instructions over the server's own; a voice and a transcription if asked for."""
    told = whole_session(session())
    assert "instructions" not in told
    assert "tools" not in told
    assert "voice" not in told["audio"]["output"]
    asked = {"input": {"transcription": {"model": "m"}}, "output": {"voice": "v"}}
    told = whole_session(session(audio=asked))
    assert told["audio"]["input"]["transcription"] == {"model": "m"}
    assert told["audio"]["output"]["voice"] == "v"


def test_turn_detection_stays_off() -> None:
    """Whatever changes in the caller's audio."""
    new = session(audio={"input": {"noise_reduction": {"type": "near_field"}}})
    assert session_change(session(), new) == {
        "type": "realtime",
        "audio": {"input": {"noise_reduction": {"type": "near_field"}, "turn_detection": None}},
    }


def test_what_was_cleared_is_cleared() -> None:
    """A client that takes its instructions and tools back means it."""
    tool = {"type": "function", "name": "f"}
    old = session(instructions="x", tools=[tool])
    assert session_change(old, session()) == {"type": "realtime", "instructions": "", "tools": []}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"type": "input_audio", "transcript": None}], None),
        ([{"type": "input_image", "image_url": "u"}], [{"type": "input_image", "image_url": "u"}]),
        (
            [{"type": "input_text", "text": "a"}, {"type": "input_audio", "transcript": "b"}],
            [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
        ),
    ],
)
def test_what_is_left_of_an_item(content: list[object], expected: list[object] | None) -> None:
    """Words and pictures; without any there is no item."""
    item = {"id": "i", "object": "realtime.item", "status": "completed", "type": "message"}
    told = replayed({**item, "role": "user", "content": content})
    assert told == (
        None
        if expected is None
        else {"id": "i", "type": "message", "role": "user", "content": expected}
    )


@pytest.mark.parametrize("event", [None, 7, "x", [], {}, {"a": None}, {"a": 1}, {"a": []}])
def test_readers_take_anything(event: object) -> None:
    """There is always a value of the kind that was asked for."""
    assert text(event, "a") == ""
    assert mapping(event, "a") == {}
    assert format_of(event, "a") == ""
    assert not field(event, "b")
