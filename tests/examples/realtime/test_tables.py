"""The contract: our shapes against the published description and the SDK's expectations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.transceiver.backend import (
    InputTranscript,
    ResponseFunctionCall,
    ResponseText,
)
from examples.transceiver.realtime.tables import (
    CLIENT,
    OWN_EVENTS,
    SCHEMA,
    SERVER,
    SHAPES,
    check,
)
from tests.examples.realtime.published import Shape, event_shapes, kinds_of, published, shape
from tests.examples.realtime.scene import Event, Scene
from tests.examples.realtime.sdk_expectations import MESSAGE_PARTS, REQUIRED

# Published server events that are never sent, and why.
NOT_SENT = {
    "conversation.item.created": "the name before .added and .done",
    "conversation.item.input_audio_transcription.delta": "transcripts come whole",
    "conversation.item.input_audio_transcription.failed": "a backend says nothing instead",
    "conversation.item.input_audio_transcription.segment": "no speakers are told apart",
    "input_audio_buffer.dtmf_event_received": "telephony",
    "mcp_list_tools.completed": "no MCP tools are taken",
    "mcp_list_tools.failed": "no MCP tools are taken",
    "mcp_list_tools.in_progress": "no MCP tools are taken",
    "rate_limits.updated": "there are none",
    "response.mcp_call.completed": "no MCP tools are taken",
    "response.mcp_call.failed": "no MCP tools are taken",
    "response.mcp_call.in_progress": "no MCP tools are taken",
    "response.mcp_call_arguments.delta": "no MCP tools are taken",
    "response.mcp_call_arguments.done": "no MCP tools are taken",
    "response.output_audio.delta": "audio goes over the media connection",
    "transcription_session.updated": "only sessions that answer",
}

# Published client events that are answered with an error.
NOT_TAKEN = {"transcription_session.update": "only sessions that answer"}

# Where one of our fields may be null and the published one says nothing of that: what is
# not known is null, which the SDKs allow.
NULLABLE = {
    ("response", "status_details"),
    ("response", "metadata"),
    ("response", "usage"),
    ("response", "conversation_id"),
    ("input_audio", "transcript"),
    ("session", "include"),
    ("session_update", "include"),
    ("audio_input", "transcription"),
    ("audio_input", "noise_reduction"),
    ("new_input_audio", "audio"),
    ("new_input_audio", "transcript"),
    ("new_output_audio", "audio"),
    ("new_output_audio", "transcript"),
    ("new_response", "metadata"),
    ("session_update", "tracing"),
    ("client.conversation.item.create", "previous_item_id"),
    ("client.response.cancel", "response_id"),
    ("client.response.create", "response"),
    *((f"client.{kind}", "event_id") for kind in CLIENT),
}

# Our shapes that are published under a name of their own.
NAMED = {
    "session": "RealtimeSessionCreateResponseGA",
    "session_update": "RealtimeSessionCreateRequestGA",
    "response": "RealtimeResponse",
    "new_response": "RealtimeResponseCreateParams",
    "tool": "RealtimeFunctionTool",
    "chosen_tool": "ToolChoiceFunction",
    "transcription": "AudioTranscription",
    "reasoning": "RealtimeReasoning",
    "user_message": "RealtimeConversationItemMessageUser",
    "system_message": "RealtimeConversationItemMessageSystem",
    "assistant_message": "RealtimeConversationItemMessageAssistant",
    "function_call": "RealtimeConversationItemFunctionCall",
    "function_call_output": "RealtimeConversationItemFunctionCallOutput",
    "new_user_message": "RealtimeConversationItemMessageUser",
    "new_system_message": "RealtimeConversationItemMessageSystem",
    "new_assistant_message": "RealtimeConversationItemMessageAssistant",
    "new_function_call": "RealtimeConversationItemFunctionCall",
    "new_function_call_output": "RealtimeConversationItemFunctionCallOutput",
}

# Published, and passed over by the SDK, as are events of our own.
UNKNOWN_TO_THE_SDK = {"input_audio_buffer.timeout_triggered"}

# Shown in `session` since the session shows what it was told.
NOT_IN_RESPONSE_GA = {("session", "parallel_tool_calls")}


def compare(name: str, theirs: Shape, *, required: bool) -> Iterator[str]:
    """How a shape of ours differs from a published one.

    `required` asks that we always have what is required there: true for what we send. Of
    what a client sends we may not require more than they do.
    """
    ours = SCHEMA.fields(name)
    properties = theirs["properties"]
    wanted = set(theirs.get("required", ()))
    for field, must in ours.items():
        if field not in properties:
            if (name, field) not in NOT_IN_RESPONSE_GA:
                yield f"{name}.{field} is not published"
            continue
        kinds, published_kinds = SCHEMA.kinds(name, field), kinds_of(properties[field])
        if (name, field) in NULLABLE:
            kinds = kinds - {"null"}
        if "number" in published_kinds:
            kinds = kinds - {"integer"}
        if not kinds <= published_kinds and published_kinds:
            yield f"{name}.{field} is {sorted(kinds)}, published as {sorted(published_kinds)}"
        enum = shape(properties[field]).get("enum")
        literals = SCHEMA.literals(name, field)
        if enum is not None and literals and not literals <= set(enum):
            yield f"{name}.{field} may be {sorted(literals - set(enum))}, which is not published"
        if not required and must and field not in wanted:
            yield f"{name}.{field} is asked for, but optional where published"
    if required:
        yield from (f"{name} lacks {each}" for each in wanted if not ours.get(each, False))


def test_every_server_event_has_its_published_shape() -> None:
    """Required fields are there, no others are, and types and texts agree."""
    theirs = event_shapes("RealtimeServerEvent")
    assert set(SERVER) - OWN_EVENTS <= set(theirs)
    assert set(theirs) - set(SERVER) == set(NOT_SENT)
    found = [
        problem
        for kind in sorted(set(SERVER) - OWN_EVENTS)
        for problem in compare(f"server.{kind}", theirs[kind], required=True)
    ]
    assert found == []


def test_every_client_event_has_its_published_shape() -> None:
    """All that are published are taken or listed as refused; none asks for more."""
    theirs = event_shapes("RealtimeClientEvent")
    assert set(theirs) - set(CLIENT) == set(NOT_TAKEN)
    assert set(CLIENT) <= set(theirs)
    found = [
        problem
        for kind in sorted(CLIENT)
        for problem in compare(f"client.{kind}", theirs[kind], required=False)
    ]
    assert found == []


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_object_has_its_published_shape(name: str) -> None:
    """Sessions, responses, items, tools."""
    sent = not name.startswith("new_") and name not in ("session_update", "tool", "transcription")
    theirs = published()[NAMED[name]]
    found = list(compare(name, theirs, required=sent))
    if name == "tool":
        # Optional there; a tool without a name cannot be called.
        found = [each for each in found if "asked for" not in each]
    assert found == []


SESSION = "RealtimeSessionCreateRequestGA"
INSIDE = [
    ("audio_input", f"{SESSION}.audio.input"),
    ("audio_output", f"{SESSION}.audio.output"),
    ("noise_reduction", f"{SESSION}.audio.input.noise_reduction"),
    ("own_voice", f"{SESSION}.audio.output.voice"),
    ("pcm", f"{SESSION}.audio.input.format"),
    ("tracing", f"{SESSION}.tracing"),
    ("retention", f"{SESSION}.truncation"),
    ("token_limits", f"{SESSION}.truncation.token_limits"),
    ("prompt", f"{SESSION}.prompt"),
    ("status_details", "RealtimeResponse.status_details"),
    ("failure", "RealtimeResponse.status_details.error"),
    ("response_output", "RealtimeResponse.audio.output"),
    ("new_response_output", "RealtimeResponseCreateParams.audio.output"),
    ("part", "RealtimeServerEventResponseContentPartAdded.part"),
    ("part", "RealtimeServerEventResponseContentPartDone.part"),
    ("conversation", "RealtimeServerEventConversationCreated.conversation"),
    ("input_text", "RealtimeConversationItemMessageUser.content"),
    ("input_audio", "RealtimeConversationItemMessageUser.content"),
    ("input_image", "RealtimeConversationItemMessageUser.content"),
    ("input_text", "RealtimeConversationItemMessageSystem.content"),
    ("output_text", "RealtimeConversationItemMessageAssistant.content"),
    ("output_audio", "RealtimeConversationItemMessageAssistant.content"),
    ("new_input_audio", "RealtimeConversationItemMessageUser.content"),
    ("new_output_audio", "RealtimeConversationItemMessageAssistant.content"),
    (
        "duration",
        "RealtimeServerEventConversationItemInputAudioTranscriptionCompleted.usage",
    ),
]


@pytest.mark.parametrize(("name", "path"), INSIDE)
def test_what_is_inside_has_its_published_shape(name: str, path: str) -> None:
    """The nested objects; of several alternatives the one with our fields."""
    begin, *parts = path.split(".")
    found = published()[begin]
    for part in parts:
        found = an_object(found["properties"][part], set())
    if "properties" not in found or not set(SCHEMA.fields(name)) <= set(found["properties"]):
        *_, last = path.split(".")
        outer = published()[begin]
        for part in parts[:-1]:
            outer = an_object(outer["properties"][part], set())
        found = an_object(outer["properties"][last], set(SCHEMA.fields(name)))
    # Where nothing is required, what we ask for is what makes the object of any use.
    assert list(compare(name, found, required=True)) == []


def an_object(value: Shape, fields: set[str]) -> Shape:
    """The first object with these fields among what a schema allows."""
    value = shape(value)
    if value.get("type") == "array":
        return an_object(value["items"], fields)
    for each in ("anyOf", "oneOf"):
        for alternative in value.get(each, ()):
            found = an_object(alternative, fields)
            if found:
                return found
    return value if "properties" in value and fields <= set(value["properties"]) else {}


def test_turn_detection_has_its_published_shape() -> None:
    """Both kinds, their fields and types."""
    (objects,) = (
        each["oneOf"] for each in published()["RealtimeTurnDetection"]["anyOf"] if "oneOf" in each
    )
    for name, theirs in zip(("server_vad", "semantic_vad"), objects, strict=True):
        assert list(compare(name, theirs, required=False)) == []
        assert set(SCHEMA.fields(name)) == set(theirs["properties"])


def test_an_error_has_its_published_shape() -> None:
    """What is inside an error event."""
    theirs = published()["RealtimeServerEventError"]["properties"]["error"]
    assert list(compare("error", theirs, required=True)) == []
    assert set(SCHEMA.fields("error")) == set(theirs["properties"])


# -- The SDK


@pytest.mark.parametrize("kind", sorted(SERVER))
def test_the_sdk_reads_every_event(kind: str) -> None:
    """What it insists on is always there, and of the type it takes; own events are unknown."""
    if kind in OWN_EVENTS | UNKNOWN_TO_THE_SDK:
        assert kind not in REQUIRED
        return
    fields = SCHEMA.fields(f"server.{kind}")
    assert fields["event_id"]
    for each in REQUIRED[kind].split():
        name, _, wanted = each.partition(":")
        assert fields.get(name), f"{kind} may lack {name}"
        assert SCHEMA.kinds(f"server.{kind}", name) == {wanted}


def every_event() -> list[Event]:
    """A conversation in which every event of ours occurs."""
    scene = Scene({"audio": {"input": {"transcription": {}}}})
    scene.open()
    item_id = scene.turn()[0]["item_id"]
    scene.backend(InputTranscript(item_id, "hi"))
    scene.speak()
    scene.backend(ResponseFunctionCall(scene.active, "c", "n", "{}"))
    scene.backend(ResponseText(scene.active, "t"))
    scene.finish()
    scene.play()
    scene.client("response.create")
    scene.speak()
    scene.play(100)
    scene.client("output_audio_buffer.clear")
    scene.client("session.update", session={})
    scene.client("conversation.item.retrieve", item_id=item_id)
    scene.client("conversation.item.delete", item_id=item_id)
    scene.client("conversation.item.delete", item_id=item_id)
    scene.client("input_audio_buffer.clear")
    scene.dialogue.idle_timeout(0, 5000, scene.now)
    scene.drain()
    for after in (3540.0, 3600.0):
        scene.dialogue.handle_timer(100.0 + after)
        scene.drain()
    return scene.events


def test_every_event_of_the_table_is_sent() -> None:
    """The table has no entry that nothing sends. (The scene has checked each shape.)"""
    assert {event["type"] for event in every_event()} == set(SERVER)


def test_the_sdk_reads_every_message() -> None:
    """Parts have the types that it knows for their role, with what it insists on."""
    seen = set()
    for event in every_event():
        item = event.get("item", {})
        if item.get("type") != "message":
            continue
        assert item["status"] in ("in_progress", "completed", "incomplete")
        for part in item["content"]:
            assert MESSAGE_PARTS[item["role"]][part["type"]] in part
            seen.add((item["role"], part["type"]))
    assert seen == {
        ("user", "input_audio"),
        ("assistant", "output_audio"),
        ("assistant", "output_text"),
    }


@pytest.mark.parametrize("role", sorted(MESSAGE_PARTS))
def test_the_sdk_knows_the_parts_of_messages(role: str) -> None:
    """The table allows no others, and requires what the SDK does."""
    content = SHAPES[f"{role}_message"].partition("content=[")[2].partition("]")[0]
    parts = [each.lstrip("@") for each in content.split("|")]
    assert set(parts) == set(MESSAGE_PARTS[role])
    for part in parts:
        assert SCHEMA.fields(part)[MESSAGE_PARTS[role][part]]


# -- The checker


def test_an_event_of_an_unknown_type_is_a_problem() -> None:
    """As is one without any."""
    assert check({"type": "session.destroyed", "event_id": "x"})
    assert check({"event_id": "x"})
    assert check({"type": []})


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"item_id": None}, "item_id"),
        ({"audio_start_ms": "0"}, "audio_start_ms"),
        ({"audio_start_ms": True}, "audio_start_ms"),
        ({"surprise": 1}, "surprise"),
        ({"event_id": 7}, "event_id"),
    ],
)
def test_a_wrong_field_is_a_problem(change: dict[str, object], param: str) -> None:
    """Wrong types, and fields that are not in the table."""
    event = {
        "type": "input_audio_buffer.speech_started",
        "event_id": "e",
        "item_id": "i",
        "audio_start_ms": 0,
    }
    assert check(event) == []
    assert [problem.param for problem in check(event | change)] == [param]


def test_a_missing_field_is_a_problem() -> None:
    """Every field of an event of ours has to be there."""
    event = {"type": "conversation.item.deleted", "event_id": "e"}
    assert [problem.code for problem in check(event)] == ["missing_required_parameter"]
