"""What a server is told of the conversation, and the names that it has for its items."""

from __future__ import annotations

from typing import Any

from examples.transceiver.backend import Turn
from examples.transceiver.realtime.items import function_call, user_turn, with_transcript
from examples.transceiver.realtime_ws import memory as module
from examples.transceiver.realtime_ws.memory import Memory, Piece
from tests.examples.realtime_ws.room import frames


def text_item(item_id: str, role: str, words: str) -> dict[str, Any]:
    """A message in writing."""
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": words}]
    return {"id": item_id, "type": "message", "role": role, "content": content}


def turn(item_id: str, count: int = 10) -> Turn:
    """Something that the caller said."""
    return Turn(item_id, frames(count), 0, count * 20)


def ids(memory: Memory) -> list[str]:
    """What would be told, by our ids."""
    return [item_id for item_id, _ in memory.told()]


def test_items_are_in_their_order() -> None:
    """At the beginning, after another, at the end."""
    memory = Memory()
    memory.add_item(text_item("b", "user", "b"), "b", None)
    memory.add_item(text_item("a", "system", "a"), "a", None)
    memory.add_item(text_item("d", "user", "d"), "d", "b")
    memory.add_item(text_item("c", "user", "c"), "c", "b")
    memory.add_item(text_item("e", "user", "e"), "e", "unknown")
    assert ids(memory) == ["a", "b", "c", "d", "e"]
    memory.delete("c")
    assert ids(memory) == ["a", "b", "d", "e"]


def test_audio_of_items_is_not_kept() -> None:
    """It may have 15 MiB; its words are."""
    memory = Memory()
    part = {"type": "input_audio", "audio": "A" * 1000, "transcript": "Hi."}
    item = {"id": "a", "type": "message", "role": "user", "content": [part]}
    memory.add_item(item, "a", None)
    entry = memory.find("a")
    assert entry is not None
    assert "A" * 1000 not in repr(entry.item)
    (told,) = memory.told()
    assert told[1] == {**item, "content": [{"type": "input_text", "text": "Hi."}]}


def test_turns_are_told_as_words_or_as_audio() -> None:
    """Words, once they are known; audio, as long as it is kept; else not at all."""
    memory = Memory()
    old, middle, new = turn("old", 1000), turn("middle", 1000), turn("new", 10)
    for each in (old, middle, new):
        memory.add_turn(each)
    assert module.MAX_KEPT == 1500 * 960
    assert list(memory.told()) == [("middle", middle), ("new", new)]
    memory.understood("old", "Long ago.")
    (first, _, _) = memory.told()
    assert isinstance(first[1], dict)
    assert first[1]["content"] == [{"type": "input_text", "text": "Long ago."}]


def test_a_call_gets_the_id_that_it_is_shown_with() -> None:
    """And keeps the server's name."""
    memory = Memory()
    memory.add_turn(turn("item_1"))
    memory.add_call("call_1", "weather", "{}", "up_call")
    shown = (
        with_transcript(user_turn("item_1"), "Rain?"),
        function_call("item_2", "completed", "call_1", "weather", "{}"),
    )
    memory.show(shown)
    assert memory.named("up_call") == "item_2"
    assert memory.names() == {"item_2": "up_call"}
    assert len(memory) == 2


def test_an_output_without_its_call_is_not_told() -> None:
    """The newest items are told; the call was before them."""
    memory = Memory()
    memory.add_call("call_1", "weather", "{}", "")
    output = {"id": "out", "type": "function_call_output", "call_id": "call_1", "output": "sun"}
    memory.add_item(output, "out", "call_call_1")
    assert ids(memory) == ["call_call_1", "out"]
    for number in range(module.MAX_TOLD - 1):
        memory.add_item(text_item(f"i{number}", "user", "x"), "", f"i{number - 1}")
    assert "out" not in ids(memory)
    assert len(ids(memory)) == module.MAX_TOLD - 1


def test_of_an_answer_stays_what_was_heard() -> None:
    """In each of its pieces, and of its words their share."""
    memory = Memory()
    pieces = [Piece("a", 0, 0, 1000), Piece("b", 0, 0, 1000)]
    memory.add_answer("item_1", "one two three four", ["a", "b"], pieces)
    cut = memory.heard("item_1", 1500)
    assert [(piece.item_id, piece.audio_ms) for piece in cut] == [("b", 500)]
    (told,) = memory.told()
    assert isinstance(told[1], dict)
    assert told[1]["content"] == [{"type": "output_text", "text": "one two three"}]
    assert [piece.audio_ms for piece in memory.heard("item_1", 0)] == [0, 0]
    assert list(memory.told()) == []
    assert memory.heard("unknown", 5) == []


def test_names_end_with_their_connection() -> None:
    """The next server has others."""
    memory = Memory()
    memory.add_answer("item_1", "Hi.", ["a"], [Piece("a", 0, 0, 1000)])
    memory.lost()
    assert memory.names() == {}
    assert memory.heard("item_1", 500) == []
