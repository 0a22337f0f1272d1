"""What a server knows of the conversation, and what the next one is to be told of it.

Items have our ids and, on each connection, names of the server's: its own for what it makes
itself, that is turns and answers; ours for the rest. A connection that is lost takes its
names with it, and the next is told the conversation anew: the newest `MAX_TOLD` items, in
words; a turn whose words are not known, by its audio, as long as it is among the last
`MAX_KEPT` of it. What fits neither is left out.

The conversation itself is kept by the dialogue, and every request for a response shows it
whole: `show` takes it over. In between this follows what is done to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from examples.transceiver.backend import Turn
from examples.transceiver.realtime.items import heard_text, message, user_turn, with_transcript
from examples.transceiver.realtime_ws.shapes import replayed

__all__ = ["MAX_KEPT", "MAX_TOLD", "Entry", "Memory", "Piece"]

# Items that a new connection is told of, the newest: half an hour of short turns.
MAX_TOLD: Final = 128

# Samples of turns that are kept as they were said: so much may be said while no server is there.
MAX_KEPT: Final = 30 * 48_000


@attrs.define
class Piece:
    """A part of an answer's audio at the server: an item's content, its bytes, its length."""

    item_id: str
    content_index: int
    size: int = 0
    audio_ms: int = 0


@attrs.define
class Entry:
    """An item of ours. `names` are the server's for it; an answer may be several there."""

    item: Mapping[str, Any]
    names: list[str] = attrs.field(factory=list)
    pieces: list[Piece] = attrs.field(factory=list)
    turn: Turn | None = None


class Memory:
    """The conversation of one call as a server has it."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, item_id: str) -> Entry | None:
        """An item by our id."""
        return self._entries.get(item_id)

    def named(self, name: str) -> str | None:
        """Our id of what the server calls so."""
        for item_id, entry in self._entries.items():
            if name in entry.names:
                return item_id
        return None

    def names(self) -> dict[str, str]:
        """The server's names by our ids."""
        return {item_id: each.names[0] for item_id, each in self._entries.items() if each.names}

    # -- What happens to the conversation

    def add_turn(self, turn: Turn) -> None:
        """The caller said something."""
        self._entries[turn.item_id] = Entry(user_turn(turn.item_id), turn=turn)
        kept = 0
        for entry in reversed(self._entries.values()):
            if entry.turn is not None:
                kept += sum(frame.duration for frame in entry.turn.frames)
                if kept > MAX_KEPT:
                    entry.turn = None

    def add_item(self, item: Mapping[str, Any], name: str, previous: str | None) -> None:
        """The client put something into it, after an item, or at the beginning."""
        order = list(self._entries.items())
        ids = list(self._entries)
        place = 0 if previous is None else len(order)
        if previous in self._entries:
            place = ids.index(previous) + 1
        # Audio in it is not kept: it may be large.
        kept = {**item, "content": [_kept(part) for part in item.get("content", ())]}
        entry = Entry(kept if "content" in item else item, [name] if name else [])
        order.insert(place, (item["id"], entry))
        self._entries = dict(order)

    def add_answer(self, item_id: str, words: str, names: list[str], pieces: list[Piece]) -> None:
        """The server answered."""
        item = message(item_id, "completed", [{"type": "output_audio", "transcript": words}])
        self._entries[item_id] = Entry(item, names, pieces)

    def add_call(self, call_id: str, name: str, arguments: str, item_name: str) -> None:
        """The server called a tool. Our id of that item is not known until it is shown."""
        item = {
            "type": "function_call",
            "call_id": call_id,
            "name": name,
            "arguments": arguments,
        }
        self._entries[_of_call(call_id)] = Entry(item, [item_name] if item_name else [])

    def delete(self, item_id: str) -> Entry | None:
        """An item is no more; what it was."""
        return self._entries.pop(item_id, None)

    def understood(self, item_id: str, words: str) -> None:
        """What the caller said is known in words."""
        entry = self._entries.get(item_id)
        if entry is not None and entry.item.get("role") == "user":
            entry.item = with_transcript(entry.item, words)

    def heard(self, item_id: str, audio_end_ms: int) -> list[Piece]:
        """So much of an answer was heard: what to cut, each with the length that stays."""
        entry = self._entries.get(item_id)
        if entry is None:
            return []
        whole = sum(piece.audio_ms for piece in entry.pieces)
        words = "".join(part.get("transcript") or "" for part in entry.item.get("content", ()))
        words = heard_text(words, audio_end_ms, whole) if audio_end_ms else ""
        entry.item = message(item_id, "incomplete", [{"type": "output_audio", "transcript": words}])
        cut, left = [], audio_end_ms
        for piece in entry.pieces:
            stays = max(0, min(left, piece.audio_ms))
            left -= piece.audio_ms
            if stays < piece.audio_ms:
                piece.audio_ms = stays
                cut.append(piece)
        return cut

    def show(self, items: tuple[Mapping[str, Any], ...]) -> None:
        """This is the conversation."""
        old, self._entries = self._entries, {}
        for item in items:
            entry = old.get(item["id"])
            if entry is None and item["type"] == "function_call":
                entry = old.get(_of_call(item["call_id"]))
            known = entry or Entry(item)
            self._entries[item["id"]] = attrs.evolve(known, item=item)

    # -- Connections

    def lost(self) -> None:
        """Nobody knows anything."""
        for entry in self._entries.values():
            entry.names, entry.pieces = [], []

    def told(self) -> Iterator[tuple[str, Turn | dict[str, Any]]]:
        """What to tell a new connection, in order: turns to be said again, and items."""
        calls = set()
        for item_id, entry in list(self._entries.items())[-MAX_TOLD:]:
            item = replayed(entry.item)
            if item is None:
                if entry.turn is not None and entry.turn.frames:
                    yield item_id, entry.turn
                continue
            if item["type"] == "function_call":
                calls.add(item["call_id"])
            elif item["type"] == "function_call_output" and item["call_id"] not in calls:
                continue  # nobody would know what it answers
            yield item_id, item


def _of_call(call_id: str) -> str:
    return f"call_{call_id}"


def _kept(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in part.items() if name != "audio"}
