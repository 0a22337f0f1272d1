"""What the official browser SDK insists on in server events, as its own checks do.

For each type that it knows: the fields that have to be there, with their JSON types. An
event that falls short is passed over by the SDK as if it were of an unknown type. Read in
`@openai/agents-realtime` 0.20.0.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MESSAGE_PARTS", "REQUIRED"]

_PART = "response_id:string item_id:string output_index:integer content_index:integer"

REQUIRED: Final[dict[str, str]] = {
    "conversation.created": "conversation:object",
    "conversation.item.added": "item:object",
    "conversation.item.done": "item:object",
    "conversation.item.deleted": "item_id:string",
    "conversation.item.input_audio_transcription.completed": (
        "item_id:string content_index:integer transcript:string"
    ),
    "conversation.item.retrieved": "item:object",
    "conversation.item.truncated": "item_id:string audio_end_ms:integer content_index:integer",
    "error": "error:object",
    "input_audio_buffer.cleared": "",
    "input_audio_buffer.committed": "item_id:string",
    "input_audio_buffer.speech_started": "item_id:string audio_start_ms:integer",
    "input_audio_buffer.speech_stopped": "item_id:string audio_end_ms:integer",
    "output_audio_buffer.started": "",
    "output_audio_buffer.stopped": "",
    "output_audio_buffer.cleared": "",
    "response.output_audio.done": _PART,
    "response.output_audio_transcript.delta": f"{_PART} delta:string",
    "response.output_audio_transcript.done": f"{_PART} transcript:string",
    "response.content_part.added": f"{_PART} part:object",
    "response.content_part.done": f"{_PART} part:object",
    "response.created": "response:object",
    "response.done": "response:object",
    "response.function_call_arguments.delta": (
        "item_id:string call_id:string delta:string output_index:integer response_id:string"
    ),
    "response.function_call_arguments.done": (
        "item_id:string call_id:string arguments:string output_index:integer response_id:string"
    ),
    "response.output_item.added": "item:object output_index:integer response_id:string",
    "response.output_item.done": "item:object output_index:integer response_id:string",
    "response.output_text.delta": f"{_PART} delta:string",
    "response.output_text.done": f"{_PART} text:string",
    "session.created": "session:object",
    "session.updated": "session:object",
}

# Of a message item, by role: the types of its parts, and what each must have besides.
MESSAGE_PARTS: Final[dict[str, dict[str, str]]] = {
    "user": {"input_text": "text", "input_audio": "transcript", "input_image": "image_url"},
    "system": {"input_text": "text"},
    "assistant": {"output_text": "text", "output_audio": "transcript"},
}
