"""What happens to the conversation, and what clients and the backend are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.transceiver.realtime.commands import (
    AddItem,
    CommitTurn,
    DeleteItem,
    TruncateItem,
)
from examples.transceiver.realtime.conversation import Conversation, Entry
from examples.transceiver.realtime.items import (
    Item,
    client_item,
    item_problem,
    user_turn,
    with_transcript,
)
from examples.transceiver.realtime.outbox import Outbox
from examples.transceiver.realtime.schema import Problem

__all__ = ["History"]


class History:
    """The conversation of one call, whose changes go to the outbox."""

    __slots__ = ("_outbox", "conversation")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.conversation = Conversation(outbox.new_id("conv"))

    # -- What a client asks for

    def create(
        self, written: Mapping[str, Any], after: str | None, reserved: tuple[str | None, ...]
    ) -> Problem | None:
        """Put in what a client wrote. The `reserved` ids are of items to come."""
        item = client_item(written, self._outbox.new_id("item"), self._outbox.new_id("call"))
        problem = self._item_problem(item)
        if item["id"] in reserved:
            problem = Problem("item_already_exists", "an item has that id", "item.id")
        problem = problem or self.conversation.insert(Entry(item), after)
        if problem is not None:
            return problem
        previous = self._placed(item)
        # The backend gets what the client wrote: audio in it is not kept here.
        self._outbox.command(AddItem({**item, **written, "id": item["id"]}, previous))
        self.evict()
        return None

    def retrieve(self, item_id: str) -> Problem | None:
        """Show an item."""
        entry = self.conversation.find(item_id)
        if entry is None:
            return Problem("item_not_found", "no item of the conversation has that id", "item_id")
        self._outbox.emit("conversation.item.retrieved", item=entry.item)
        return None

    def delete(self, item_id: str) -> Problem | None:
        """Take an item out."""
        problem = self.conversation.delete(item_id)
        if problem is None:
            self._deleted(item_id)
        return problem

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> Problem | None:
        """Cut an answer to what was heard of it."""
        problem = self.conversation.truncate(item_id, content_index, audio_end_ms)
        if problem is None:
            self._truncated(item_id, content_index, audio_end_ms)
        return problem

    # -- What the call does

    def commit(self, item_id: str, start: int | None, end: int | None, audio_ms: int) -> None:
        """The caller's turn becomes an item; no start and end: all that is buffered."""
        item = user_turn(item_id)
        self.conversation.insert(Entry(item, audio_ms=max(audio_ms, 0), turn=True))
        self._outbox.emit(
            "input_audio_buffer.committed",
            previous_item_id=self.conversation.previous(item_id),
            item_id=item_id,
        )
        self._placed(item)
        self._outbox.command(CommitTurn(item_id, start, end))
        self.evict()

    def transcribed(self, item_id: str, transcript: str, *, tell: bool) -> None:
        """The words of a turn are known; clients that asked for them are told."""
        entry = self.conversation.find(item_id)
        if entry is None or not entry.turn:
            return
        self.conversation.replace(item_id, with_transcript(entry.item, transcript))
        if tell:
            self._outbox.emit(
                "conversation.item.input_audio_transcription.completed",
                item_id=item_id,
                content_index=0,
                transcript=transcript,
                usage={"type": "duration", "seconds": entry.audio_ms / 1000},
            )
        self.evict()

    def heard(self, item_id: str, audio_ms: int, *, broken_off: bool) -> None:
        """Playing an answer was stopped after so much of it."""
        entry = self.conversation.find(item_id)
        # A client may have put something else in its place.
        kinds = [] if entry is None else [part["type"] for part in entry.item.get("content", ())]
        if entry is None or "output_audio" not in kinds:
            return
        audio_end_ms = max(min(audio_ms, entry.audio_ms), 0)
        if audio_end_ms < entry.audio_ms or broken_off:
            self.truncate(item_id, kinds.index("output_audio"), audio_end_ms)

    def evict(self) -> None:
        """Keep the conversation within its bounds."""
        for item_id in self.conversation.evict():
            self._deleted(item_id)

    # -- What is said about it

    def _placed(self, item: Item) -> str | None:
        """Tell of a new item that is complete; the id of the one before it."""
        previous = self.conversation.previous(item["id"])
        self._outbox.emit("conversation.item.added", previous_item_id=previous, item=item)
        self._outbox.emit("conversation.item.done", previous_item_id=previous, item=item)
        return previous

    def _deleted(self, item_id: str) -> None:
        self._outbox.emit("conversation.item.deleted", item_id=item_id)
        self._outbox.command(DeleteItem(item_id))

    def _truncated(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        self._outbox.emit(
            "conversation.item.truncated",
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=audio_end_ms,
        )
        self._outbox.command(TruncateItem(item_id, audio_end_ms))

    def _item_problem(self, item: Item) -> Problem | None:
        """Why a client's item cannot be used, beyond its shape."""
        if item["type"] == "function_call_output" and not self.conversation.has_call(
            item["call_id"]
        ):
            return Problem(
                "tool_call_not_found", "no function call has that call_id", "item.call_id"
            )
        return item_problem(item)
