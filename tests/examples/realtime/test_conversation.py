"""The conversation: order, bounds, and what was heard of an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.realtime.conversation import (
    MAX_CONVERSATION_BYTES,
    MAX_ITEMS,
    ROOT,
    Conversation,
    Entry,
)
from examples.transceiver.realtime.decode import size_of
from examples.transceiver.realtime.items import MAX_ITEM_BYTES, function_call, message


def answer(item_id: str, words: str = "one two three four", ms: int = 1000) -> Entry:
    """A whole answer of so much audio."""
    item = message(item_id, "completed", [{"type": "output_audio", "transcript": words}])
    return Entry(item, audio_ms=ms, whole=True)


def ids(conversation: Conversation) -> list[str]:
    """The items in their order."""
    return [item["id"] for item in conversation.items()]


def test_items_stand_where_they_were_put() -> None:
    """At the end, after another, at the beginning; and each knows the one before it."""
    conversation = Conversation("conv_1")
    for item_id, after in (("b", None), ("d", None), ("a", ROOT), ("c", "b")):
        assert conversation.insert(answer(item_id), after) is None
    assert ids(conversation) == ["a", "b", "c", "d"]
    assert [conversation.previous(each) for each in "abcd"] == [None, "a", "b", "c"]
    assert conversation.delete("b") is None
    assert conversation.previous("c") == "a"


def test_an_insertion_that_is_refused_changes_nothing() -> None:
    """An id that is taken, a place that is unknown."""
    conversation = Conversation("conv_1")
    conversation.insert(answer("a"))
    for item_id, after in (("a", None), ("b", "x")):
        assert conversation.insert(answer(item_id), after) is not None
    assert ids(conversation) == ["a"]
    assert conversation.size == size_of(conversation.items()[0])


def test_too_many_items_push_the_oldest_out() -> None:
    """By their number; one that is being made stays."""
    conversation = Conversation("conv_1")
    first = answer("item_first")
    first.open = True
    conversation.insert(first)
    gone = []
    for index in range(MAX_ITEMS + 2):
        conversation.insert(answer(f"item_{index}", "", 0))
        gone += list(conversation.evict())
    assert gone == ["item_0", "item_1", "item_2"]
    assert ids(conversation)[0] == "item_first"
    assert len(conversation) == MAX_ITEMS


def test_too_many_bytes_push_the_oldest_out() -> None:
    """By their size on the wire, which is given back by what goes or shrinks."""
    conversation = Conversation("conv_1")
    words = "x" * (MAX_ITEM_BYTES - 1000)
    for index in range(9):
        conversation.insert(answer(f"item_{index}", words))
        gone = list(conversation.evict())
    assert gone == ["item_0"]
    assert conversation.size <= MAX_CONVERSATION_BYTES
    before = conversation.size
    conversation.truncate("item_1", 0, 0)
    assert conversation.size == before - len(words)
    for item_id in ids(conversation):
        conversation.delete(item_id)
    assert conversation.size == 0


def test_a_conversation_of_items_under_way_is_left_alone() -> None:
    """There is nothing that could go."""
    conversation = Conversation("conv_1")
    for index in range(MAX_ITEMS + 1):
        entry = answer(f"item_{index}", "", 0)
        entry.open = True
        conversation.insert(entry)
    assert list(conversation.evict()) == []


def test_function_calls_are_known_by_their_call_id() -> None:
    """An output is for one that is part of the conversation."""
    conversation = Conversation("conv_1")
    conversation.insert(answer("a"))
    assert not conversation.has_call("call_1")
    conversation.insert(Entry(function_call("b", "completed", "call_1", "n", "{}")))
    assert conversation.has_call("call_1")
    conversation.delete("b")
    assert not conversation.has_call("call_1")


@pytest.mark.parametrize(
    ("end", "left"),
    [(1000, "one two three four"), (999, "one two three"), (500, "one two"), (100, ""), (0, "")],
)
def test_words_that_were_not_heard_go(end: int, left: str) -> None:
    """In proportion to the audio, back to the last whole word."""
    conversation = Conversation("conv_1")
    conversation.insert(answer("a"))
    assert conversation.truncate("a", 0, end) is None
    assert conversation.items()[0]["content"][0]["transcript"] == left


def test_words_of_an_answer_that_was_broken_off_all_go() -> None:
    """Nobody knows how far they were ahead of the audio."""
    conversation = Conversation("conv_1")
    entry = answer("a")
    entry.whole = False
    conversation.insert(entry)
    conversation.truncate("a", 0, 1000)
    assert conversation.items()[0]["content"][0]["transcript"] == ""


@given(
    words=st.text(max_size=60),
    ms=st.integers(0, 10_000),
    ends=st.lists(st.integers(0, 10_000), max_size=4),
)
def test_truncation_never_adds(words: str, ms: int, ends: list[int]) -> None:
    """What is left is how the transcript began, is never longer than its share, and shrinks."""
    conversation = Conversation("conv_1")
    conversation.insert(answer("a", words, ms))
    for end in ends:
        before = conversation.items()[0]["content"][0]["transcript"]
        left_ms = conversation.find("a").audio_ms  # type: ignore[union-attr]
        problem = conversation.truncate("a", 0, end)
        after = conversation.items()[0]["content"][0]["transcript"]
        assert (problem is None) == (end <= left_ms)
        assert before.startswith(after)
        if problem is None and left_ms:
            assert len(after) <= len(before) * end / left_ms


def test_an_entry_that_is_shown_is_never_changed() -> None:
    """Events and requests hold the items: what changes is replaced."""
    conversation = Conversation("conv_1")
    conversation.insert(answer("a"))
    shown = conversation.items()[0]
    conversation.truncate("a", 0, 0)
    assert shown["content"][0]["transcript"] == "one two three four"
