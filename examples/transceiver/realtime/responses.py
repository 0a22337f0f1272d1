"""One response, from `response.created` to `response.done`: its items, parts and events.

A response has at most one message, whose audio and text are parts in the order in which
they began, and any number of function calls; items come in the order in which they began.
The methods return the events to send, as (type, fields). What is part of the conversation
is put there meanwhile: one that is out of band has no conversation, and its items go
nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from examples.transceiver.realtime.conversation import Conversation, Entry
from examples.transceiver.realtime.items import Item, function_call, message

__all__ = ["MAX_RESPONSE_AUDIO_MS", "MAX_RESPONSE_BYTES", "Emission", "Response"]

Emission: TypeAlias = tuple[str, dict[str, Any]]

# UTF-8 bytes of a response's text, transcript and arguments together, so that
# `response.done` is one message that browsers take; and its audio, which waits for the
# playout. At either end the response is incomplete, as one that has no tokens left.
MAX_RESPONSE_BYTES: Final = 64 * 1024
MAX_RESPONSE_AUDIO_MS: Final = 10 * 60 * 1000

# Opus counts in 48 kHz samples.
_SAMPLES_PER_MS: Final = 48

# What a function call adds to `response.done` besides its own text, bytes.
_CALL_OVERHEAD: Final = 256


class Response:
    """One response under way. `conversation` is None for one that is out of band."""

    __slots__ = (
        "_bytes",
        "_conversation",
        "_message_index",
        "_metadata",
        "_output",
        "_parts",
        "_samples",
        "_settings",
        "id",
        "item_id",
    )

    def __init__(
        self,
        response_id: str,
        item_id: str,
        settings: Mapping[str, Any],
        conversation: Conversation | None,
    ) -> None:
        self.id = response_id
        self.item_id = item_id
        self._settings = settings
        self._conversation = conversation
        self._metadata = settings.get("metadata")
        self._output: list[Item] = []
        # Of the message: its place in the output, and its parts, (kind, pieces of text).
        self._message_index: int | None = None
        self._parts: list[tuple[str, list[str]]] = []
        self._samples = 0
        self._bytes = 0

    @property
    def speaks(self) -> bool:
        """Whether audio was asked for."""
        return bool(self._settings["output_modalities"] == ["audio"])

    @property
    def voice(self) -> object:
        """The voice that was asked for; None: the backend's own."""
        return self._settings["audio"]["output"].get("voice")

    @property
    def audio_ms(self) -> int:
        """How much audio it has so far."""
        return self._samples // _SAMPLES_PER_MS

    @property
    def full(self) -> bool:
        """Whether it has reached one of its limits."""
        return self._bytes > MAX_RESPONSE_BYTES or self.audio_ms > MAX_RESPONSE_AUDIO_MS

    def created(self) -> Iterator[Emission]:
        """The response exists."""
        yield "response.created", {"response": self._value("in_progress", None, None)}

    def audio(self, samples: int) -> Iterator[Emission]:
        """A packet of audio, so many samples long."""
        self._samples += samples
        _, events = self._part("audio")
        yield from events

    def transcript(self, delta: str) -> Iterator[Emission]:
        """Some words of the audio."""
        yield from self._delta("audio", "response.output_audio_transcript.delta", delta)

    def text(self, delta: str) -> Iterator[Emission]:
        """Some text."""
        yield from self._delta("text", "response.output_text.delta", delta)

    def function_call(
        self, item_id: str, call_id: str, name: str, arguments: str
    ) -> Iterator[Emission]:
        """A call of a tool; it is complete at once."""
        self._bytes += len((arguments + name + call_id).encode()) + _CALL_OVERHEAD
        index = len(self._output)
        begun = function_call(item_id, "in_progress", call_id, name, "")
        done = function_call(item_id, "completed", call_id, name, arguments)
        yield from self._item_added(begun)
        where = {
            "response_id": self.id,
            "item_id": item_id,
            "output_index": index,
            "call_id": call_id,
        }
        yield "response.function_call_arguments.delta", {**where, "delta": arguments}
        yield (
            "response.function_call_arguments.done",
            {**where, "name": name, "arguments": arguments},
        )
        yield from self._item_done(index, done, Entry(done))

    def finish(
        self, status: str, details: Mapping[str, Any], usage: Mapping[str, Any] | None
    ) -> Iterator[Emission]:
        """The response is over, for whatever reason."""
        if self._message_index is not None:
            content = []
            for index, (kind, pieces) in enumerate(self._parts):
                words = "".join(pieces)
                yield from self._part_done(index, kind, words)
                content.append(
                    {"type": "output_audio", "transcript": words}
                    if kind == "audio"
                    else {"type": "output_text", "text": words}
                )
            complete = status == "completed"
            item = message(self.item_id, "completed" if complete else "incomplete", content)
            entry = Entry(item, audio_ms=self.audio_ms, whole=complete)
            yield from self._item_done(self._message_index, item, entry)
        yield "response.done", {"response": self._value(status, details, usage)}

    # -- The message and its parts

    def _delta(self, kind: str, event: str, delta: str) -> Iterator[Emission]:
        self._bytes += len(delta.encode())
        index, events = self._part(kind)
        yield from events
        self._parts[index][1].append(delta)
        yield event, {**self._where(index), "delta": delta}

    def _part(self, kind: str) -> tuple[int, list[Emission]]:
        """The index of the message's part of a kind, and what begins with it."""
        events: list[Emission] = []
        for index, (each, _) in enumerate(self._parts):
            if each == kind:
                return index, events
        if self._message_index is None:
            self._message_index = len(self._output)
            events += self._item_added(message(self.item_id, "in_progress", []))
        self._parts.append((kind, []))
        index = len(self._parts) - 1
        part = _part_value(kind, "")
        events.append(("response.content_part.added", {**self._where(index), "part": part}))
        return index, events

    def _part_done(self, index: int, kind: str, words: str) -> Iterator[Emission]:
        where = self._where(index)
        if kind == "audio":
            yield "response.output_audio.done", dict(where)
            yield "response.output_audio_transcript.done", {**where, "transcript": words}
        else:
            yield "response.output_text.done", {**where, "text": words}
        yield "response.content_part.done", {**where, "part": _part_value(kind, words)}

    def _where(self, content_index: int) -> dict[str, Any]:
        return {
            "response_id": self.id,
            "item_id": self.item_id,
            "output_index": self._message_index,
            "content_index": content_index,
        }

    # -- Items

    def _item_added(self, item: Item) -> Iterator[Emission]:
        self._output.append(item)
        index = len(self._output) - 1
        yield (
            "response.output_item.added",
            {"response_id": self.id, "output_index": index, "item": item},
        )
        if self._conversation is not None:
            self._conversation.insert(Entry(item, open=True))
            yield "conversation.item.added", self._placed(item)

    def _item_done(self, index: int, item: Item, state: Entry) -> Iterator[Emission]:
        """`state` is what the conversation is to know of the finished item."""
        self._output[index] = item
        if self._conversation is not None:
            entry = self._conversation.find(item["id"])
            if entry is not None:
                entry.open, entry.whole, entry.audio_ms = False, state.whole, state.audio_ms
                self._conversation.replace(item["id"], item)
                yield "conversation.item.done", self._placed(item)
        yield (
            "response.output_item.done",
            {"response_id": self.id, "output_index": index, "item": item},
        )

    def _placed(self, item: Item) -> dict[str, Any]:
        assert self._conversation is not None, "only items of a conversation have a place"
        return {"previous_item_id": self._conversation.previous(item["id"]), "item": item}

    def _value(
        self, status: str, details: Mapping[str, Any] | None, usage: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        shown = {"format": self._settings["audio"]["output"]["format"]}
        if self.voice is not None:
            # A voice of the client's own is shown by its id: clients expect a text.
            shown["voice"] = self.voice["id"] if isinstance(self.voice, Mapping) else self.voice
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": list(self._output),
            "metadata": self._metadata,
            "audio": {"output": shown},
            "usage": usage,
            "conversation_id": None if self._conversation is None else self._conversation.id,
            "output_modalities": list(self._settings["output_modalities"]),
            "max_output_tokens": self._settings["max_output_tokens"],
        }


def _part_value(kind: str, words: str) -> dict[str, Any]:
    if kind == "audio":
        return {"type": "audio", "transcript": words}
    return {"type": "text", "text": words}
