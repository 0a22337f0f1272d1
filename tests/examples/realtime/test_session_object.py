"""The session object: defaults, what an update changes, and what it may not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.realtime.session_object import (
    MAX_SESSION_BYTES,
    SESSION_SECONDS,
    InvalidSession,
    SessionObject,
)
from examples.transceiver.realtime.tables import SCHEMA
from tests.examples.realtime.scene import UNIX_TIME

TOOL = {"type": "function", "name": "look", "description": "", "parameters": {"type": "object"}}

# One of each field, all of them different from the defaults.
EVERYTHING: dict[str, Any] = {
    "type": "realtime",
    "model": "m",
    "output_modalities": ["text"],
    "instructions": "i",
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "t", "language": "de"},
            "noise_reduction": {"type": "near_field"},
            "turn_detection": None,
        },
        "output": {"format": {"type": "audio/pcma"}, "voice": "v", "speed": 1.5},
    },
    "tools": [TOOL],
    "tool_choice": {"type": "function", "name": "look"},
    "max_output_tokens": 4096,
    "tracing": {"workflow_name": "w"},
    "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
    "prompt": {"id": "p", "version": None},
    "include": ["item.input_audio_transcription.logprobs"],
    "parallel_tool_calls": True,
    "reasoning": {"effort": "low"},
}

FIELDS = st.fixed_dictionaries(
    {}, optional={name: st.just(value) for name, value in EVERYTHING.items() if name != "audio"}
)


def session(config: object = None) -> SessionObject:
    """A session object."""
    return SessionObject(config, session_id="sess_1", unix_time=UNIX_TIME)


def detection(**fields: Any) -> dict[str, Any]:
    """An update of the turn detection."""
    return {"audio": {"input": {"turn_detection": fields}}}


def test_the_defaults() -> None:
    """What the published description names, and an end after 60 minutes."""
    value = session().value()
    assert SCHEMA.check("session", value) == []
    assert value["id"] == "sess_1"
    assert value["expires_at"] == UNIX_TIME + SESSION_SECONDS
    assert SESSION_SECONDS == 3600
    assert value["output_modalities"] == ["audio"]
    assert value["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


def test_every_field_can_be_set_at_the_beginning_and_by_an_update() -> None:
    """Both by the same rules, and the result is shown."""
    created, updated = session(EVERYTHING), session()
    assert updated.update(EVERYTHING) is None
    assert created.value() == updated.value()
    assert SCHEMA.check("session", created.value()) == []
    for name, value in EVERYTHING.items():
        assert created.value()[name] == value


@given(first=FIELDS, second=FIELDS)
def test_only_fields_that_are_present_change(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Whatever an update does not name stays as it was; objects that were shown stay too."""
    one = session(first)
    shown = one.value()
    before = copy.deepcopy(shown)
    assert one.update(second) is None
    assert shown == before
    assert one.value() == {**before, **second}


def test_audio_changes_field_by_field() -> None:
    """An update of one side or field leaves the others."""
    one = session(EVERYTHING)
    one.update({"audio": {"output": {"speed": 0.25}}})
    audio = one.value()["audio"]
    assert audio["output"] == {"format": {"type": "audio/pcma"}, "voice": "v", "speed": 0.25}
    assert audio["input"] == EVERYTHING["audio"]["input"]


def test_turn_detection_changes_field_by_field_while_its_type_stays() -> None:
    """Of another type it begins with that type's defaults."""
    one = session(detection(type="server_vad", threshold=0.7))
    one.update(detection(type="server_vad", silence_duration_ms=200))
    found = one.turn_detection
    assert found is not None
    assert (found["threshold"], found["silence_duration_ms"]) == (0.7, 200)
    one.update(detection(type="semantic_vad"))
    one.update(detection(type="server_vad"))
    found = one.turn_detection
    assert found is not None
    assert (found["threshold"], found["silence_duration_ms"]) == (0.5, 500)


@pytest.mark.parametrize(
    ("eagerness", "silence"), [("low", 1200), ("medium", 700), ("auto", 700), ("high", 400)]
)
def test_eagerness_is_how_long_a_silence_ends_a_turn(eagerness: str, silence: int) -> None:
    """semantic_vad is shown as it was asked for, and detected as server_vad."""
    asked = {
        "type": "semantic_vad",
        "eagerness": eagerness,
        "create_response": False,
        "interrupt_response": True,
    }
    one = session(detection(**asked))
    assert one.value()["audio"]["input"]["turn_detection"] == asked
    found = one.turn_detection
    assert found is not None
    assert found["type"] == "server_vad"
    assert found["silence_duration_ms"] == silence
    assert found["create_response"] is False
    assert found["idle_timeout_ms"] is None


@pytest.mark.parametrize(
    ("update", "path", "cleared"),
    [
        ({"instructions": ""}, ("instructions",), ""),
        ({"tools": []}, ("tools",), []),
        ({"tracing": None}, ("tracing",), None),
        ({"prompt": None}, ("prompt",), None),
        ({"include": None}, ("include",), None),
        ({"audio": {"input": {"transcription": None}}}, ("audio", "input", "transcription"), None),
        (
            {"audio": {"input": {"noise_reduction": None}}},
            ("audio", "input", "noise_reduction"),
            None,
        ),
        (
            {"audio": {"input": {"turn_detection": None}}},
            ("audio", "input", "turn_detection"),
            None,
        ),
    ],
)
def test_fields_are_cleared(update: Any, path: tuple[str, ...], cleared: object) -> None:
    """With "", [] or null."""
    one = session(EVERYTHING | detection(type="server_vad"))
    assert one.update(update) is None
    found: Any = one.value()
    for name in path:
        found = found[name]
    assert found == cleared


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        (None, "invalid_type", "session"),
        ([], "invalid_type", "session"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"colour": "red"}, "unknown_parameter", "session.colour"),
        ({"instructions": None}, "invalid_type", "session.instructions"),
        (
            {"output_modalities": ["audio", "text"]},
            "array_above_max_length",
            "session.output_modalities",
        ),
        ({"max_output_tokens": 4097}, "invalid_value", "session.max_output_tokens"),
        ({"max_output_tokens": "all"}, "invalid_value", "session.max_output_tokens"),
        ({"tool_choice": "sometimes"}, "invalid_value", "session.tool_choice"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        (
            {"tools": [{"type": "mcp", "server_label": "x"}]},
            "invalid_value",
            "session.tools[0].type",
        ),
        ({"audio": {"output": {"speed": 1.6}}}, "invalid_value", "session.audio.output.speed"),
        ({"audio": {"output": {"speed": 0.2}}}, "invalid_value", "session.audio.output.speed"),
        (
            {"audio": {"input": {"format": {"type": "audio/opus"}}}},
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            detection(type="server_vad", threshold=1.01),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            detection(type="server_vad", idle_timeout_ms=4999),
            "invalid_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            detection(type="server_vad", idle_timeout_ms=30001),
            "invalid_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            detection(type="server_vad", eagerness="low"),
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            detection(type="semantic_vad", eagerness="very"),
            "invalid_value",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            detection(threshold=0.5),
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        ({"instructions": "x" * MAX_SESSION_BYTES}, "session_too_large", "session"),
        (
            {"tools": [{"type": "function", "name": "n", "parameters": {"a": float("nan")}}]},
            "invalid_value",
            "session",
        ),
        ({"instructions": "\ud800"}, "invalid_value", "session"),
    ],
)
def test_what_is_refused_changes_nothing(update: object, code: str, param: str) -> None:
    """The same problem at the beginning (HTTP 400) and in an update, which is all or nothing."""
    one = session()
    before = one.value()
    problem = one.update(update)
    assert problem is not None
    assert (problem.code, problem.param) == (code, param)
    assert one.value() == before
    if update is not None:
        with pytest.raises(InvalidSession) as refused:
            session(update)
        assert refused.value.problem == problem


def test_the_model_is_fixed_once_it_is_named() -> None:
    """An update may name it again; a first name may come late, as browser clients do it."""
    one = session()
    assert "model" not in one.value()
    assert one.update({"model": "a"}) is None
    assert one.update({"model": "a"}) is None
    problem = one.update({"model": "b", "instructions": "x"})
    assert problem is not None
    assert problem.code == "cannot_update_model"
    assert one.value()["instructions"] == ""


def test_the_voice_is_fixed_by_the_first_audio() -> None:
    """Before it any voice may be chosen; after it only the same."""
    one = session()
    voices = [{"audio": {"output": {"voice": each}}} for each in ("a", "b")]
    assert [one.update(each) for each in voices] == [None, None]
    one.audio_sent("b")
    one.audio_sent("a")  # only the first counts
    problem = one.update(voices[0])
    assert problem is not None
    assert problem.code == "cannot_update_voice"
    assert one.update(voices[1]) is None
    assert one.voice_problem("a") is not None
    assert one.voice_problem("b") is None


def test_what_responses_take_from_the_session() -> None:
    """Everything that shapes an answer, and nothing that was not set."""
    assert set(session().response_defaults()) == {
        "audio",
        "instructions",
        "max_output_tokens",
        "output_modalities",
        "tool_choice",
        "tools",
    }
    full = session(EVERYTHING).response_defaults()
    assert full["reasoning"] == {"effort": "low"}
    assert full["audio"] == {"output": EVERYTHING["audio"]["output"]}
    assert session(EVERYTHING).transcribes
    assert not session().transcribes
    assert session(EVERYTHING).input_format == "audio/pcmu"
