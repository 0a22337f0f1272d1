"""Messages from fragments, and their order: RFC 9260 sections 6.5, 6.6, 6.9; RFC 3758 3.6."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import PeerError
from rtcproto.sctp.chunks import Data
from rtcproto.sctp.events import MessageReceived
from rtcproto.sctp.reassembly import ENTRY_OVERHEAD, Reassembly


def fresh(window: int = 100_000, entries: int = 100, message: int = 1000) -> Reassembly:
    """With small limits."""
    return Reassembly(window, entries, message)


def fragments(tsn: int, ssn: int, *parts: bytes, stream: int = 1, unordered: bool = False):  # type: ignore[no-untyped-def]
    """The chunks of one message as (tsn, chunk)."""
    last = len(parts) - 1
    return [
        (tsn + n, Data(tsn + n, stream, ssn, 51, part, n == 0, n == last, unordered))
        for n, part in enumerate(parts)
    ]


def give(reassembly: Reassembly, chunks) -> list[bytes]:  # type: ignore[no-untyped-def]
    """What they complete."""
    return [message.data for tsn, chunk in chunks for message in reassembly.add(tsn, chunk)]


def test_whole_and_in_order_is_not_stored() -> None:
    """The common case costs nothing."""
    reassembly = fresh()
    chunks = fragments(1, 0, b"a") + fragments(2, 1, b"b")
    assert give(reassembly, chunks) == [b"a", b"b"]
    assert reassembly.charge == 0
    assert reassembly.add(3, Data(3, 2, 0, 53, b"c")) == [MessageReceived(2, 53, b"c")]


def test_order_is_kept_per_stream() -> None:
    """6.6: a later message waits for an earlier one, not for another stream."""
    reassembly = fresh()
    late = fragments(1, 0, b"first")
    assert give(reassembly, fragments(2, 1, b"second")) == []
    assert give(reassembly, fragments(3, 0, b"other", stream=2)) == [b"other"]
    assert give(reassembly, fragments(4, 5, b"now", unordered=True)) == [b"now"]
    assert reassembly.charge == 6 + ENTRY_OVERHEAD
    assert give(reassembly, late) == [b"first", b"second"]
    assert reassembly.charge == 0


@given(st.permutations(range(7)), st.booleans())
def test_fragments_in_any_order(order: list[int], unordered: bool) -> None:
    """6.9: one message of three, one of four fragments."""
    chunks = fragments(1, 0, b"a", b"b", b"c", unordered=unordered)
    chunks += fragments(4, 1, b"d", b"e", b"f", b"g", unordered=unordered)
    reassembly = fresh()
    got = give(reassembly, [chunks[n] for n in order])
    assert sorted(got) == [b"abc", b"defg"]
    if not unordered:
        assert got == [b"abc", b"defg"]
    assert (reassembly.charge, reassembly.entries) == (0, 0)


def test_sequence_numbers_wrap() -> None:
    """The SSN after 65535 is 0."""
    reassembly = fresh()
    for ssn in range(65_536):
        reassembly.add(ssn, Data(ssn, 1, ssn, 51, b"x"))
    assert give(reassembly, fragments(70_000, 1, b"b")) == []
    assert give(reassembly, fragments(70_001, 0, b"a")) == [b"a", b"b"]


def test_neighbours_of_other_messages_do_not_join() -> None:
    """A run belongs to one stream and one message."""
    reassembly = fresh()
    give(reassembly, [(1, Data(1, 1, 0, 51, b"a", True, False))])
    assert give(reassembly, [(2, Data(2, 2, 0, 51, b"b", False, True))]) == []
    # What was on the left can never be finished: TSN 2 is not its next one.
    assert reassembly.entries == 1


def test_c8_a_message_over_the_limit() -> None:
    """C8: in one piece or growing, it ends the association."""
    with pytest.raises(PeerError):
        fresh().add(1, Data(1, 1, 0, 51, bytes(1001)))
    reassembly = fresh()
    reassembly.add(1, Data(1, 1, 0, 51, bytes(600), True, False))
    with pytest.raises(PeerError):
        reassembly.add(2, Data(2, 1, 0, 51, bytes(600), False, False))


def test_c5_pieces_are_charged() -> None:
    """C5: a one-byte piece costs what it costs us, and the window shrinks by it."""
    reassembly = fresh(window=10 * (ENTRY_OVERHEAD + 1))
    for number in range(10):
        assert reassembly.has_room
        give(reassembly, [(2 * number, Data(2 * number, 1, 0, 51, b"x", False, False))])
    assert not reassembly.has_room
    assert reassembly.window_left == 0
    for number in range(10, 20):
        give(reassembly, [(2 * number, Data(2 * number, 1, 0, 51, b"x", False, False))])
    assert reassembly.overflows


def test_c5_entries_are_capped() -> None:
    """C5: however small they are."""
    reassembly = fresh(entries=5)
    for number in range(1, 6):
        assert reassembly.has_room
        give(reassembly, fragments(number, number, b"x"))
    assert not reassembly.has_room


def test_skipping_delivers_what_is_whole() -> None:
    """RFC 3758 section 3.6: in order, passing over what is missing."""
    reassembly = fresh()
    give(reassembly, fragments(2, 1, b"b") + fragments(4, 3, b"d") + fragments(6, 5, b"f"))
    messages = reassembly.skip(5, [(1, 4)], next_is_missing=False)
    assert [message.data for message in messages] == [b"b", b"d", b"f"]
    assert reassembly.charge == 0


def test_skipping_drops_what_stays_incomplete() -> None:
    """RFC 3758 section 3.6: fragments up to the new cumulative TSN."""
    reassembly = fresh()
    give(reassembly, fragments(1, 0, b"a", b"b", b"c")[:2])
    give(reassembly, fragments(5, 9, b"x", b"y", unordered=True)[1:])
    assert reassembly.entries == 3
    reassembly.skip(6, [(1, 0)], next_is_missing=True)
    assert (reassembly.entries, reassembly.held) == (0, 0)


def test_skipping_spares_a_message_that_goes_on() -> None:
    """The new cumulative TSN may lie within a message that is alive."""
    for next_is_missing in (True, False):
        reassembly = fresh()
        chunks = fragments(3, 1, b"a", b"b", b"c")
        give(reassembly, chunks[:2] if next_is_missing else chunks[:1] + chunks[1:2])
        reassembly.skip(4 if next_is_missing else 3, [(1, 0)], next_is_missing=next_is_missing)
        assert give(reassembly, chunks[2:]) == [b"abc"]


def test_an_old_skip_changes_nothing() -> None:
    """A stream never goes back."""
    reassembly = fresh()
    give(reassembly, fragments(1, 0, b"a") + fragments(2, 1, b"b"))
    assert reassembly.skip(0, [(1, 0)], next_is_missing=False) == []
    assert give(reassembly, fragments(3, 2, b"c")) == [b"c"]


def test_reset_starts_over() -> None:
    """RFC 6525 section 5.2.2: the next SSN is 0 again."""
    reassembly = fresh()
    give(
        reassembly, fragments(1, 0, b"a") + fragments(3, 2, b"c") + fragments(4, 0, b"x", stream=2)
    )
    assert reassembly.reset((1,)) == (1,)
    assert reassembly.charge == 0
    assert give(reassembly, fragments(5, 0, b"b")) == [b"b"]
    assert sorted(reassembly.reset(())) == [1, 2]


def test_accounts_balance_under_chaos() -> None:
    """Whatever comes, what is held never goes negative and ends at nothing."""
    generator = random.Random(5)
    reassembly = fresh(entries=10_000, window=10_000_000, message=100_000)
    for _ in range(2000):
        tsn = generator.randrange(300)
        chunk = Data(
            tsn, generator.randrange(3), generator.randrange(5), 51,
            bytes(generator.randrange(1, 9)), *(generator.random() < 0.5 for _ in range(3)),
        )  # fmt: skip
        if tsn not in reassembly._by_first and tsn not in reassembly._by_last:
            reassembly.add(tsn, chunk)
        assert reassembly.held >= 0
        assert reassembly.entries >= 0
        if generator.random() < 0.02:
            reassembly.skip(400, [(n, 4) for n in range(3)], next_is_missing=False)
            reassembly.reset(())
            assert (reassembly.held, reassembly.entries) == (0, 0)
