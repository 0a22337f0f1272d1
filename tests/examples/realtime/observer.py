"""A client that believes nothing: it checks the order of all events that it is sent."""

from __future__ import annotations

from typing import Any

__all__ = ["Observer"]

# What is said about a response between `response.created` and `response.done`.
_OF_ACTIVE = (
    "response.output_item.",
    "response.content_part.",
    "response.output_audio.",
    "response.output_audio_transcript.",
    "response.output_text.",
    "response.function_call_arguments.",
)


class Observer:
    """`items` is the conversation as the events tell it, in order."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.open: set[str] = set()
        self.active: str | None = None
        self.done: set[str] = set()
        self.event_ids: set[str] = set()
        # By response: its items, its parts that are open, and the state of its audio.
        self.outputs: list[str] = []
        self.parts: set[tuple[str, int]] = set()
        self.audio: dict[str, str] = {}
        self.speech: str | None = None

    def see(self, event: dict[str, Any]) -> None:
        """One more event."""
        assert event["event_id"] not in self.event_ids
        self.event_ids.add(event["event_id"])
        kind = event["type"]
        if kind.startswith(_OF_ACTIVE):
            assert event["response_id"] == self.active, event
            self._of_response(kind, event)
        elif kind.startswith("output_audio_buffer."):
            self._of_audio(kind.rpartition(".")[2], event["response_id"])
        elif kind.startswith("conversation.item."):
            self._of_item(kind, event)
        elif kind == "response.created":
            response = event["response"]
            assert self.active is None
            assert response["id"] not in self.done
            self.active, self.outputs = response["id"], []
        elif kind == "response.done":
            response = event["response"]
            assert response["id"] == self.active
            assert response["status"] != "in_progress"
            assert [item["id"] for item in response["output"]] == self.outputs
            assert not self.parts
            assert not self.open
            self.done.add(response["id"])
            self.active = None
        elif kind == "input_audio_buffer.speech_started":
            assert self.speech is None
            self.speech = event["item_id"]
        elif kind == "input_audio_buffer.speech_stopped":
            self.speech = None
        elif kind == "session.updated":
            if event["session"]["audio"]["input"]["turn_detection"] is None:
                self.speech = None  # nobody looks for its end any more
        elif kind == "input_audio_buffer.committed":
            assert event["previous_item_id"] == (self.items[-1] if self.items else None)

    def _of_response(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "response.output_item.added":
            assert event["output_index"] == len(self.outputs)
            self.outputs.append(event["item"]["id"])
            return
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        assert self.outputs[event["output_index"]] == item_id
        part = (item_id, event.get("content_index", -1))
        if kind == "response.content_part.added":
            assert part not in self.parts
            self.parts.add(part)
            if event["part"]["type"] == "audio":
                self.audio.setdefault(event["response_id"], "queued")
        elif kind == "response.content_part.done":
            self.parts.remove(part)
        elif part[1] >= 0:
            assert part in self.parts

    def _of_audio(self, what: str, response_id: str) -> None:
        if what == "started":
            assert self.audio[response_id] == "queued"
        elif what == "stopped":
            assert self.audio[response_id] == "started"
            assert response_id in self.done
        else:
            assert self.audio[response_id] in ("queued", "started")
        self.audio[response_id] = what

    def _of_item(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "conversation.item.added":
            item_id, previous = event["item"]["id"], event["previous_item_id"]
            assert item_id not in self.items
            self.items.insert(self.items.index(previous) + 1 if previous else 0, item_id)
            if event["item"]["status"] == "in_progress" and item_id in self.outputs:
                self.open.add(item_id)
            return
        item_id = event["item"]["id"] if "item" in event else event["item_id"]
        assert item_id in self.items, event
        if kind == "conversation.item.done":
            index = self.items.index(item_id)
            assert event["previous_item_id"] == (self.items[index - 1] if index else None)
            self.open.discard(item_id)
        elif kind == "conversation.item.deleted":
            assert item_id not in self.open
            self.items.remove(item_id)
        elif kind == "conversation.item.truncated":
            assert item_id not in self.open
