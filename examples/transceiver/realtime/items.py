"""Conversation items: made from what a client wrote, a turn, or an answer.

An item is a dict in its shape on the wire and is never changed: what changes is replaced,
so events, requests and the conversation may all hold the same one. No item holds audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from examples.transceiver.realtime.decode import size_of
from examples.transceiver.realtime.schema import Problem

__all__ = [
    "MAX_ITEM_BYTES",
    "Item",
    "client_item",
    "function_call",
    "heard_text",
    "item_problem",
    "message",
    "truncated",
    "user_turn",
    "with_transcript",
]

Item: TypeAlias = Mapping[str, Any]

# Bytes of an item on the wire, so that the event around it is one message that browsers
# take. A client's larger item is refused.
MAX_ITEM_BYTES: Final = 128 * 1024


def client_item(written: Mapping[str, Any], item_id: str, call_id: str) -> Item:
    """The item for what a client wrote; the ids are for where it names none itself."""
    item = {
        **written,
        "id": written.get("id", item_id),
        "object": "realtime.item",
        "status": written.get("status", "completed"),
    }
    if item["type"] == "function_call":
        item.setdefault("call_id", call_id)
    if item["type"] == "message":
        item["content"] = [_kept_part(part) for part in item["content"]]
    return item


def item_problem(item: Item) -> Problem | None:
    """Whether an item is too large to keep."""
    if size_of(item) > MAX_ITEM_BYTES:
        return Problem("item_too_large", f"an item may have {MAX_ITEM_BYTES} bytes", "item")
    return None


def user_turn(item_id: str) -> Item:
    """What the caller said. Its transcript is there from the start, null: clients need it."""
    content = {"type": "input_audio", "transcript": None}
    return _message(item_id, "user", "completed", [content])


def with_transcript(item: Item, transcript: str) -> Item:
    """A caller's turn with its words."""
    return {**item, "content": [{"type": "input_audio", "transcript": transcript}]}


def message(item_id: str, status: str, content: list[dict[str, Any]]) -> Item:
    """An assistant's message."""
    return _message(item_id, "assistant", status, content)


def function_call(item_id: str, status: str, call_id: str, name: str, arguments: str) -> Item:
    """An answer that calls a tool of the client."""
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def truncated(item: Item, content_index: int, transcript: str) -> Item:
    """An assistant's message of which less was heard."""
    content = list(item["content"])
    content[content_index] = {**content[content_index], "transcript": transcript}
    return {**item, "content": content}


def heard_text(transcript: str, audio_end_ms: int, audio_ms: int) -> str:
    """The words of `transcript` that fit into the first part of its audio.

    Nothing tells when a word is spoken, so words are taken to be spread evenly, and the
    one that is under way is left out: better one too few than one that nobody heard.
    """
    if audio_end_ms >= audio_ms or not transcript:
        return transcript
    end = len(transcript) * audio_end_ms // audio_ms
    if not transcript[end].isspace():
        # Back over the word that was cut.
        while end > 0 and not transcript[end - 1].isspace():
            end -= 1
    return transcript[:end].rstrip()


def _message(item_id: str, role: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": status,
        "role": role,
        "content": content,
    }


def _kept_part(part: Mapping[str, Any]) -> dict[str, Any]:
    """A content part without its audio."""
    match part["type"]:
        case "input_audio":
            return {"type": "input_audio", "transcript": part.get("transcript")}
        case "output_audio":
            return {"type": "output_audio", "transcript": part.get("transcript") or ""}
        case _:
            return dict(part)
