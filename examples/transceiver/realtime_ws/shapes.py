"""The events that are sent to a server, made of what a call says; and readers for its own.

What a server says is not trusted: the readers give a value of the kind that was asked for,
or an empty one. What a client says was checked before it came here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from examples.transceiver.backend import ResponseRequest

__all__ = [
    "MAX_ITEM_ID",
    "field",
    "format_of",
    "mapping",
    "replayed",
    "response_settings",
    "session_change",
    "text",
    "whole_session",
]

# Characters of an item's id that servers take.
MAX_ITEM_ID: Final = 32

# Fields of a session that are the server's matter.
_FIELDS: Final = (
    "output_modalities",
    "instructions",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "tracing",
    "truncation",
    "prompt",
    "include",
    "parallel_tool_calls",
    "reasoning",
)
_AUDIO: Final = {
    "input": ("format", "transcription", "noise_reduction"),
    "output": ("format", "speed", "voice"),
}

# Of a response, what is not the session's, and what may differ from it.
_OF_RESPONSE: Final = ("conversation", "metadata")
_OVERRIDES: Final = (
    "tools",
    "tool_choice",
    "max_output_tokens",
    "prompt",
    "parallel_tool_calls",
    "reasoning",
)

# Fields of an item that a client may write.
_ITEM_FIELDS: Final = ("id", "type", "role", "call_id", "name", "arguments", "output")

# Not the client's wish, but nothing either: the server's own default is left alone.
_UNSAID: Final[tuple[object, ...]] = (None, "", [])


def whole_session(session: Mapping[str, Any]) -> dict[str, Any]:
    """The session as a server is told of it first. Turns are detected here."""
    found = {name: session.get(name) for name in _FIELDS}
    told = {name: value for name, value in found.items() if value not in _UNSAID}
    audio = {
        side: {name: fields[name] for name in names if fields.get(name) not in _UNSAID}
        for side, names in _AUDIO.items()
        for fields in (session["audio"][side],)
    }
    audio["input"]["turn_detection"] = None
    return {"type": "realtime", **told, "audio": audio}


def session_change(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a server that knows `old` is to be told; None: nothing that concerns it."""
    change = {name: new.get(name) for name in _FIELDS if new.get(name) != old.get(name)}
    audio = {}
    for side, names in _AUDIO.items():
        before, after = old["audio"][side], new["audio"][side]
        fields = {name: after.get(name) for name in names if after.get(name) != before.get(name)}
        if fields:
            audio[side] = fields | ({"turn_detection": None} if side == "input" else {})
    if audio:
        change["audio"] = audio
    return {"type": "realtime", **change} if change else None


def response_settings(
    request: ResponseRequest, session: Mapping[str, Any], ids: Mapping[str, str]
) -> dict[str, Any]:
    """The `response` of a `response.create`: what differs from the session.

    `ids` are the server's names of our items, for references to them.
    """
    given = request.parameters
    settings = {name: given[name] for name in _OF_RESPONSE if given.get(name) is not None}
    for name in _OVERRIDES:
        if given.get(name) is not None and given[name] != session.get(name):
            settings[name] = given[name]
    if request.instructions != session["instructions"]:
        settings["instructions"] = request.instructions
    if list(request.modalities) != session["output_modalities"]:
        settings["output_modalities"] = list(request.modalities)
    voice = given.get("voice")
    if voice is not None and voice != session["audio"]["output"].get("voice"):
        settings["audio"] = {"output": {"voice": voice}}
    if "input" in given:
        settings["input"] = [
            {**each, "id": ids.get(each["id"], each["id"])}
            if each["type"] == "item_reference"
            else dict(each)
            for each in given["input"]
        ]
    return settings


def replayed(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """An item as a new connection is told of it; None if there is nothing left to tell.

    Audio is told by its words: an assistant's cannot be given back, and a caller's is gone.
    """
    told = {name: item[name] for name in _ITEM_FIELDS if name in item}
    if item["type"] != "message":
        return told
    said = "output_text" if item["role"] == "assistant" else "input_text"
    content: list[dict[str, Any]] = []
    for part in item["content"]:
        if part["type"] == "input_image":
            content.append(dict(part))
        elif words := part.get("text") or part.get("transcript"):
            content.append({"type": said, "text": words})
    return {**told, "content": content} if content else None


# -- What a server says


def field(event: object, name: str) -> Any:
    """A field of an event; None if there is none, or no event."""
    return event.get(name) if isinstance(event, dict) else None


def text(event: object, name: str) -> str:
    """A field that is text; else nothing."""
    found = field(event, name)
    return found if isinstance(found, str) else ""


def mapping(event: object, name: str) -> Mapping[str, Any]:
    """A field that is an object; else an empty one."""
    found = field(event, name)
    return found if isinstance(found, dict) else {}


def format_of(event: object, side: str) -> str:
    """The name of the audio format that a session or a response has on one side."""
    return text(mapping(mapping(mapping(event, "audio"), side), "format"), "type")
