"""The shapes of the realtime event interface: every event, the session, items, responses.

Data in the notation of `schema`. `SERVER` holds what this program sends, closed: a field
that is not here is never sent. `CLIENT` holds what it takes. Names and meanings are those
of the published interface; what differs from it is said beside the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from examples.transceiver.realtime.schema import Problem, Schema

__all__ = ["CLIENT", "MAX_EVENT_ID", "OWN_EVENTS", "SCHEMA", "SERVER", "SHAPES", "check"]

# Characters of a client's event id; the published limit.
MAX_EVENT_ID: Final = 512

# Not in the published interface. Clients pass over types that they do not know.
OWN_EVENTS: Final = frozenset({"session.closed", "session.expiring"})

# What the body of a server event is made of, shared by both directions where they agree.
SHAPES: Final[Mapping[str, str]] = {
    # -- Audio formats
    "pcm": "type='audio/pcm' rate?=int(24000..24000)",
    "pcmu": "type='audio/pcmu'",
    "pcma": "type='audio/pcma'",
    "format": "=@pcm|@pcmu|@pcma",
    # -- Turn detection
    "server_vad": (
        "type='server_vad' threshold?=num(0..1) prefix_padding_ms?=int(0..5000) "
        "silence_duration_ms?=int(20..10000) idle_timeout_ms?=int(5000..30000)|null "
        "create_response?=bool interrupt_response?=bool"
    ),
    "semantic_vad": (
        "type='semantic_vad' eagerness?='low'|'medium'|'high'|'auto' "
        "create_response?=bool interrupt_response?=bool"
    ),
    "turn_detection": "=@server_vad|@semantic_vad",
    # -- Tools
    "tool": ("type='function' name=str(1..64) description?=str parameters?=obj"),
    "chosen_tool": "type='function' name=str(1..64)",
    "tool_choice": "='none'|'auto'|'required'|@chosen_tool",
    "token_limit": "=int(1..4096)|'inf'",
    # -- Parts of the session
    "transcription": (
        "model?=str(128) language?=str(32) languages?=[str(32)](32) keywords?=[str(128)](128) "
        "prompt?=str delay?='minimal'|'low'|'medium'|'high'|'xhigh'"
    ),
    "noise_reduction": "type='near_field'|'far_field'",
    "own_voice": "id=str(1..128)",
    "voice": "=str(1..128)|@own_voice",
    "tracing": "workflow_name?=str(512) group_id?=str(512) metadata?=obj",
    "retention": "type='retention_ratio' retention_ratio=num(0..1) token_limits?=@token_limits",
    "token_limits": "post_instructions?=int(0..)",
    "truncation": "='auto'|'disabled'|@retention",
    "prompt": "id=str(1..128) version?=str(128)|null variables?=obj|null",
    "reasoning": "effort?='minimal'|'low'|'medium'|'high'|'xhigh'",
    "modality": "='audio'|'text'",
    "include": "='item.input_audio_transcription.logprobs'",
    "audio_input": (
        "format?=@format transcription?=@transcription|null "
        "noise_reduction?=@noise_reduction|null turn_detection?=@turn_detection|null"
    ),
    "audio_output": "format?=@format voice?=@voice speed?=num(0.25..1.5)",
    "audio": "input?=@audio_input output?=@audio_output",
    # What `session.update` and a call's creation may hold.
    "session_update": (
        "type?='realtime' model?=str(1..128) output_modalities?=[@modality](1) "
        "instructions?=str audio?=@audio tools?=[@tool](128) tool_choice?=@tool_choice "
        "max_output_tokens?=@token_limit tracing?='auto'|@tracing|null "
        "truncation?=@truncation prompt?=@prompt|null include?=[@include](1)|null "
        "parallel_tool_calls?=bool reasoning?=@reasoning"
    ),
    # What `session.created` and `session.updated` hold.
    "session": (
        "type='realtime' object='realtime.session' id=str expires_at=int model?=str "
        "output_modalities=[@modality](1) instructions=str audio=@audio tools=[@tool](128) "
        "tool_choice=@tool_choice max_output_tokens=@token_limit tracing='auto'|@tracing|null "
        "truncation=@truncation prompt=@prompt|null include=[@include](1)|null "
        "parallel_tool_calls?=bool reasoning?=@reasoning"
    ),
    # -- Items as we send them. A user's audio always has its transcript, null if unknown.
    "status": "='in_progress'|'completed'|'incomplete'",
    "input_text": "type='input_text' text=str",
    "input_audio": "type='input_audio' transcript=str|null",
    "input_image": "type='input_image' image_url=str detail?='auto'|'low'|'high'",
    "output_text": "type='output_text' text=str",
    "output_audio": "type='output_audio' transcript=str",
    "user_message": (
        "id=str object='realtime.item' type='message' status=@status role='user' "
        "content=[@input_text|@input_audio|@input_image]"
    ),
    "system_message": (
        "id=str object='realtime.item' type='message' status=@status role='system' "
        "content=[@input_text]"
    ),
    "assistant_message": (
        "id=str object='realtime.item' type='message' status=@status role='assistant' "
        "content=[@output_text|@output_audio]"
    ),
    "function_call": (
        "id=str object='realtime.item' type='function_call' status=@status call_id=str "
        "name=str arguments=str"
    ),
    "function_call_output": (
        "id=str object='realtime.item' type='function_call_output' status=@status "
        "call_id=str output=str"
    ),
    "item": (
        "=@user_message|@system_message|@assistant_message|@function_call|@function_call_output"
    ),
    # -- Items as a client may write them. Audio in them is not kept.
    "new_input_audio": "type='input_audio' audio?=str|null transcript?=str|null",
    "new_output_audio": "type='output_audio' audio?=str|null transcript?=str|null",
    "new_user_message": (
        "type='message' role='user' content=[@input_text|@new_input_audio|@input_image](64) "
        "id?=str(1..64) object?='realtime.item' status?=@status"
    ),
    "new_system_message": (
        "type='message' role='system' content=[@input_text](64) id?=str(1..64) "
        "object?='realtime.item' status?=@status"
    ),
    "new_assistant_message": (
        "type='message' role='assistant' content=[@output_text|@new_output_audio](64) "
        "id?=str(1..64) object?='realtime.item' status?=@status"
    ),
    "new_function_call": (
        "type='function_call' name=str(1..64) arguments=str call_id?=str(1..64) id?=str(1..64) "
        "object?='realtime.item' status?=@status"
    ),
    "new_function_call_output": (
        "type='function_call_output' call_id=str(1..64) output=str id?=str(1..64) "
        "object?='realtime.item' status?=@status"
    ),
    "new_item": (
        "=@new_user_message|@new_system_message|@new_assistant_message|@new_function_call|"
        "@new_function_call_output"
    ),
    "item_reference": "type='item_reference' id=str(1..64)",
    # -- Responses
    "failure": "type=str code=str",
    "status_details": (
        "type='completed'|'cancelled'|'failed'|'incomplete' "
        "reason?='turn_detected'|'client_cancelled'|'max_output_tokens'|'content_filter' "
        "error?=@failure"
    ),
    "response_output": "format=@format voice?=str",
    "response_audio": "output=@response_output",
    "response": (
        "id=str object='realtime.response' "
        "status='in_progress'|'completed'|'cancelled'|'failed'|'incomplete' "
        "status_details=@status_details|null output=[@item] metadata=obj|null "
        "audio=@response_audio usage=obj|null conversation_id=str|null "
        "output_modalities=[@modality](1) max_output_tokens=@token_limit"
    ),
    "new_response_output": "format?=@format voice?=@voice",
    "new_response_audio": "output?=@new_response_output",
    "new_response": (
        "output_modalities?=[@modality](1) instructions?=str audio?=@new_response_audio "
        "tools?=[@tool](128) tool_choice?=@tool_choice max_output_tokens?=@token_limit "
        "conversation?='auto'|'none' metadata?=obj|null prompt?=@prompt|null "
        "input?=[@new_item|@item_reference](128) parallel_tool_calls?=bool "
        "reasoning?=@reasoning"
    ),
    "part": "type='audio'|'text' text?=str transcript?=str",
    "error": "type=str code=str|null message=str param=str|null event_id=str|null",
    "conversation": "id=str object='realtime.conversation'",
    "duration": "type='duration' seconds=num",
}

# Every one also has `event_id` and `type`.
SERVER: Final[Mapping[str, str]] = {
    "session.created": "session=@session",
    "session.updated": "session=@session",
    # Ours: one minute before the session's time is up, and when it is over.
    "session.expiring": "expires_at=int seconds_left=int",
    "session.closed": "reason=str",
    "conversation.created": "conversation=@conversation",
    "conversation.item.added": "previous_item_id=str|null item=@item",
    "conversation.item.done": "previous_item_id=str|null item=@item",
    "conversation.item.deleted": "item_id=str",
    "conversation.item.retrieved": "item=@item",
    "conversation.item.truncated": "item_id=str content_index=int audio_end_ms=int",
    "conversation.item.input_audio_transcription.completed": (
        "item_id=str content_index=int transcript=str usage=@duration"
    ),
    "input_audio_buffer.speech_started": "audio_start_ms=int item_id=str",
    "input_audio_buffer.speech_stopped": "audio_end_ms=int item_id=str",
    "input_audio_buffer.committed": "previous_item_id=str|null item_id=str",
    "input_audio_buffer.cleared": "",
    "input_audio_buffer.timeout_triggered": "audio_start_ms=int audio_end_ms=int item_id=str",
    "output_audio_buffer.started": "response_id=str",
    "output_audio_buffer.stopped": "response_id=str",
    "output_audio_buffer.cleared": "response_id=str",
    "response.created": "response=@response",
    "response.done": "response=@response",
    "response.output_item.added": "response_id=str output_index=int item=@item",
    "response.output_item.done": "response_id=str output_index=int item=@item",
    "response.content_part.added": (
        "response_id=str item_id=str output_index=int content_index=int part=@part"
    ),
    "response.content_part.done": (
        "response_id=str item_id=str output_index=int content_index=int part=@part"
    ),
    "response.output_audio.done": "response_id=str item_id=str output_index=int content_index=int",
    "response.output_audio_transcript.delta": (
        "response_id=str item_id=str output_index=int content_index=int delta=str"
    ),
    "response.output_audio_transcript.done": (
        "response_id=str item_id=str output_index=int content_index=int transcript=str"
    ),
    "response.output_text.delta": (
        "response_id=str item_id=str output_index=int content_index=int delta=str"
    ),
    "response.output_text.done": (
        "response_id=str item_id=str output_index=int content_index=int text=str"
    ),
    "response.function_call_arguments.delta": (
        "response_id=str item_id=str output_index=int call_id=str delta=str"
    ),
    "response.function_call_arguments.done": (
        "response_id=str item_id=str output_index=int call_id=str name=str arguments=str"
    ),
    "error": "error=@error",
}

# Every one also has `type`, and may have `event_id`.
CLIENT: Final[Mapping[str, str]] = {
    "session.update": "session=@session_update",
    "input_audio_buffer.append": "audio=str",
    "input_audio_buffer.commit": "",
    "input_audio_buffer.clear": "",
    "output_audio_buffer.clear": "",
    "conversation.item.create": "item=@new_item previous_item_id?=str(64)|null",
    "conversation.item.retrieve": "item_id=str(64)",
    "conversation.item.delete": "item_id=str(64)",
    "conversation.item.truncate": "item_id=str(64) content_index=int audio_end_ms=int(0..)",
    "response.create": "response?=@new_response|null",
    "response.cancel": "response_id?=str(64)|null",
}


def _compiled() -> Schema:
    shapes = dict(SHAPES)
    for name, text in SERVER.items():
        shapes[f"server.{name}"] = f"event_id=str type='{name}' {text}"
    for name, text in CLIENT.items():
        event_id = f"event_id?=str({MAX_EVENT_ID})|null"
        shapes[f"client.{name}"] = f"type='{name}' {event_id} {text}"
    return Schema(shapes)


SCHEMA: Final = _compiled()


def check(event: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a server event; an empty list for one that may be sent."""
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in SERVER:
        return [Problem("invalid_value", "type is no event that is sent", "type")]
    return SCHEMA.check(f"server.{kind}", dict(event))
