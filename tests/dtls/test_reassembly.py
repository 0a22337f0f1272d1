"""Handshake reassembly, RFC 6347 section 4.2.3: any order, any cut, bounded."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.dtls.handshake import Fragment
from rtcproto.dtls.reassembly import (
    MAX_AHEAD,
    MAX_BUFFERED,
    MAX_MESSAGE,
    MAX_PIECES,
    Added,
    Message,
    Reassembler,
)

BODY = bytes(i * 7 & 0xFF for i in range(4096))


def fragment(start: int, end: int, body: bytes = BODY, sequence: int = 0) -> Fragment:
    """body[start:end] as a fragment of message `sequence`."""
    return Fragment(1, len(body), sequence, start, body[start:end])


def test_whole_messages_in_sequence() -> None:
    """Messages come out by their sequence numbers, whatever the order they came in."""
    reassembler = Reassembler()
    assert reassembler.add(fragment(0, 5, b"later", 1)) is Added.NEW
    assert reassembler.peek() is None
    assert reassembler.add(fragment(0, 5, b"first", 0)) is Added.NEW
    assert reassembler.peek() == Message(1, 0, b"first")
    reassembler.accept()
    assert reassembler.peek() == Message(1, 1, b"later")
    reassembler.accept()
    assert reassembler.peek() is None
    assert reassembler.expected == 2
    assert reassembler.buffered == 0


@given(st.data())
def test_any_cut_any_order(data: st.DataObject) -> None:
    """Overlapping, repeated, shuffled pieces that cover a message give that message."""
    size = data.draw(st.integers(1, 200))
    body = BODY[:size]
    cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=20))})
    pieces = list(itertools.pairwise(cuts))
    for _ in range(data.draw(st.integers(0, 5))):
        start = data.draw(st.integers(0, size - 1))
        pieces.append((start, data.draw(st.integers(start + 1, size))))
    reassembler = Reassembler()
    for start, end in data.draw(st.permutations(pieces)):
        assert reassembler.add(fragment(start, end, body)) is Added.NEW
    assert reassembler.peek() == Message(1, 0, body)


def test_an_empty_message() -> None:
    """ServerHelloDone has no body; an empty fragment completes only such a message."""
    reassembler = Reassembler()
    assert reassembler.add(Fragment(14, 0, 0, 0, b"")) is Added.NEW
    assert reassembler.peek() == Message(14, 0, b"")
    assert Reassembler().add(Fragment(14, 9, 0, 3, b"")) is Added.OVER_LIMIT


def test_what_was_delivered_is_repeated() -> None:
    """A fragment of an earlier message is told apart, for the flight timer."""
    reassembler = Reassembler()
    reassembler.add(fragment(0, 3, b"abc"))
    reassembler.accept()
    assert reassembler.add(fragment(0, 3, b"abc")) is Added.REPEATED


@pytest.mark.parametrize(
    "other",
    [
        Fragment(2, 10, 0, 5, b"fghij"),  # another type
        Fragment(1, 11, 0, 5, b"fghijk"),  # another total
        Fragment(1, 10, 0, 2, b"XX"),  # other bytes
        Fragment(1, 10, 0, 3, b"Xe"),  # other bytes where they overlap
    ],
)
def test_contradictions_are_dropped(other: Fragment) -> None:
    """What is held stays; the message is completed by a fragment that agrees."""
    reassembler = Reassembler()
    reassembler.add(fragment(0, 4, b"abcdefghij"))
    assert reassembler.add(other) is Added.CONFLICT
    assert reassembler.add(fragment(4, 10, b"abcdefghij")) is Added.NEW
    assert reassembler.peek() == Message(1, 0, b"abcdefghij")


def test_one_forged_fragment_does_not_block() -> None:
    """After a second contradiction the older claim goes, and repeats fill the place."""
    reassembler = Reassembler()
    reassembler.add(Fragment(1, 9999, 0, 5, b"forged"))
    halves = [fragment(0, 6, b"abcdefghij"), fragment(6, 10, b"abcdefghij")]
    for _ in range(2):
        for half in halves:
            reassembler.add(half)
    assert reassembler.peek() == Message(1, 0, b"abcdefghij")


def test_a_whole_message_replaces_an_unfinished_one() -> None:
    """A forged first piece loses at once against a message that came in one fragment."""
    reassembler = Reassembler()
    reassembler.add(Fragment(1, 9999, 0, 5, b"forged"))
    assert reassembler.add(fragment(0, 10, b"abcdefghij")) is Added.NEW
    assert reassembler.peek() == Message(1, 0, b"abcdefghij")


def test_a_waiting_message_is_not_replaced() -> None:
    """A whole message that waits for its turn stays; the same again is no news, another is."""
    reassembler = Reassembler()
    reassembler.add(fragment(0, 3, b"abc", 1))
    assert reassembler.add(fragment(0, 3, b"abd", 1)) is Added.CONFLICT
    assert reassembler.add(fragment(1, 3, b"abc", 1)) is Added.NEW
    reassembler.add(fragment(0, 1, b"x", 0))
    reassembler.accept()
    assert reassembler.peek() == Message(1, 1, b"abc")


def test_a_refused_message_leaves_its_place() -> None:
    """After `reject` another message with the same number can come."""
    reassembler = Reassembler()
    reassembler.add(fragment(0, 3, b"bad"))
    reassembler.reject()
    assert reassembler.peek() is None
    reassembler.add(fragment(0, 4, b"good"))
    assert reassembler.peek() == Message(1, 0, b"good")


def test_limits() -> None:
    """A message too long, and one too far ahead."""
    reassembler = Reassembler()
    assert reassembler.add(Fragment(1, MAX_MESSAGE + 1, 0, 0, b"x")) is Added.OVER_LIMIT
    assert reassembler.add(Fragment(1, 5, MAX_AHEAD, 0, b"x")) is Added.OVER_LIMIT
    assert reassembler.add(Fragment(1, MAX_MESSAGE, MAX_AHEAD - 1, 0, b"x")) is Added.NEW


def test_pieces_are_bounded() -> None:
    """Separate pieces cost more than bytes: there may be 256 of a message."""
    reassembler = Reassembler()
    results = [reassembler.add(fragment(at, at + 1)) for at in range(0, 2 * MAX_PIECES + 2, 2)]
    assert results == [Added.NEW] * MAX_PIECES + [Added.OVER_LIMIT]


def test_room_goes_to_the_earlier_message() -> None:
    """When all room is taken, the message that is due displaces later ones, not the reverse."""
    reassembler = Reassembler()
    big = bytes(MAX_MESSAGE)
    assert reassembler.add(fragment(0, MAX_MESSAGE, big, 1)) is Added.NEW
    assert reassembler.add(fragment(0, MAX_MESSAGE, big, 2)) is Added.NEW
    assert reassembler.buffered == MAX_BUFFERED
    assert reassembler.add(fragment(0, 3, b"abc", 3)) is Added.OVER_LIMIT
    assert reassembler.add(fragment(0, 3, b"abc", 0)) is Added.NEW
    assert reassembler.buffered == MAX_MESSAGE + 3
    assert reassembler.peek() == Message(1, 0, b"abc")


def test_random_fragments_never_exceed_the_limit() -> None:
    """Whatever comes, what is held stays within 64 KiB."""
    generator = random.Random(5)
    reassembler = Reassembler()
    for _ in range(2000):
        total = generator.choice([10, 5000, MAX_MESSAGE])
        start = generator.randrange(total)
        body = generator.randbytes(min(generator.choice([1, 100, 20000]), total - start))
        message = Fragment(generator.choice([1, 11]), total, generator.randrange(9), start, body)
        reassembler.add(message)
        assert reassembler.buffered <= MAX_BUFFERED
