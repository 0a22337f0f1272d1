"""The conversation: items in their order, bounded, and what may be done to them.

It is bounded twice, by items and by bytes. Beyond, the oldest finished items go: that is
what the published interface does to a context that is full, and here the client is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from examples.transceiver.realtime.decode import size_of
from examples.transceiver.realtime.items import Item, heard_text, truncated
from examples.transceiver.realtime.schema import Problem

__all__ = ["MAX_CONVERSATION_BYTES", "MAX_ITEMS", "ROOT", "Conversation", "Entry"]

# Items of a conversation, and their bytes on the wire: an hour of short turns, and what
# one call may make a server keep.
MAX_ITEMS: Final = 512
MAX_CONVERSATION_BYTES: Final = 1024 * 1024

# As `previous_item_id` of a new item: before all others.
ROOT: Final = "root"


@attrs.define
class Entry:
    """An item, and what is known about it that is not on the wire.

    `audio_ms` is how much audio it stands for. `whole` says that all of an answer's audio
    was made, so that its words can be laid over it. `open` is an answer under way, `turn`
    something that the caller said.
    """

    item: Item
    audio_ms: int = 0
    whole: bool = False
    open: bool = False
    turn: bool = False
    size: int = 0


class Conversation:
    """One call's items. Problems are returned, and then nothing has changed."""

    __slots__ = ("_bytes", "_entries", "_order", "id")

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._order: list[str] = []
        self._entries: dict[str, Entry] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._order)

    @property
    def size(self) -> int:
        """The bytes of all finished items on the wire."""
        return self._bytes

    def items(self) -> tuple[Item, ...]:
        """All items, in order."""
        return tuple(self._entries[item_id].item for item_id in self._order)

    def find(self, item_id: str) -> Entry | None:
        """The entry of an item, if it is there."""
        return self._entries.get(item_id)

    def previous(self, item_id: str) -> str | None:
        """The item before this one; None for the first."""
        index = self._order.index(item_id)
        return self._order[index - 1] if index else None

    def has_call(self, call_id: str) -> bool:
        """Whether a function call of that id is part of the conversation."""
        return any(
            entry.item["type"] == "function_call" and entry.item["call_id"] == call_id
            for entry in self._entries.values()
        )

    def insert(self, entry: Entry, after: str | None = None) -> Problem | None:
        """Put an item at the end, or after another, or after ROOT: at the beginning."""
        item_id = entry.item["id"]
        if item_id in self._entries:
            return Problem("item_already_exists", "an item has that id", "item.id")
        if after is not None and after != ROOT and after not in self._entries:
            return _not_found("previous_item_id")
        if after is None:
            self._order.append(item_id)
        else:
            self._order.insert(0 if after == ROOT else self._order.index(after) + 1, item_id)
        self._entries[item_id] = entry
        self._measure(entry)
        return None

    def replace(self, item_id: str, item: Item) -> None:
        """Let an item that is there be this from now on."""
        entry = self._entries[item_id]
        entry.item = item
        self._measure(entry)

    def delete(self, item_id: str) -> Problem | None:
        """Take an item out."""
        entry = self._entries.get(item_id)
        if entry is None:
            return _not_found("item_id")
        if entry.open:
            return Problem("item_in_progress", "the item belongs to an active response", "item_id")
        self._drop(item_id)
        return None

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> Problem | None:
        """Cut an answer to what was heard of it: its audio, and the words after that."""
        entry = self._entries.get(item_id)
        if entry is None:
            return _not_found("item_id")
        if entry.open:
            return Problem("item_in_progress", "the item belongs to an active response", "item_id")
        if entry.item.get("role") != "assistant":
            return Problem("invalid_value", "only an assistant's message is truncated", "item_id")
        content = entry.item["content"]
        if not 0 <= content_index < len(content) or content[content_index]["type"] != (
            "output_audio"
        ):
            return Problem("invalid_value", "no audio has that index", "content_index")
        if audio_end_ms > entry.audio_ms:
            return Problem(
                "invalid_value",
                f"the item has {entry.audio_ms} ms of audio, fewer than audio_end_ms",
                "audio_end_ms",
            )
        # Words of an answer that was broken off may be ahead of its audio by any amount.
        words = content[content_index]["transcript"] if entry.whole else ""
        words = heard_text(words, audio_end_ms, entry.audio_ms)
        entry.audio_ms = audio_end_ms
        self.replace(item_id, truncated(entry.item, content_index, words))
        return None

    def evict(self) -> Iterator[str]:
        """Drop the oldest items until the conversation is within its bounds; their ids."""
        while len(self._order) > MAX_ITEMS or self._bytes > MAX_CONVERSATION_BYTES:
            closed = (each for each in self._order if not self._entries[each].open)
            oldest = next(closed, None)
            if oldest is None:
                return
            self._drop(oldest)
            yield oldest

    def _drop(self, item_id: str) -> None:
        self._order.remove(item_id)
        self._bytes -= self._entries.pop(item_id).size

    def _measure(self, entry: Entry) -> None:
        self._bytes -= entry.size
        entry.size = size_of(entry.item)
        self._bytes += entry.size


def _not_found(param: str) -> Problem:
    return Problem("item_not_found", "no item of the conversation has that id", param)
