"""The probe's matcher: the largest matching in order, and the quickest of those."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.probe.matcher import MAX_DELAY, Stamped, match

FRAME = 0.02


def stamp(payloads: Sequence[bytes], delay: float = 0.0) -> list[Stamped]:
    """One payload every 20 ms."""
    return [(payload, number * FRAME + delay) for number, payload in enumerate(payloads)]


def names(text: str) -> list[bytes]:
    """A payload per character."""
    return [character.encode() for character in text]


@pytest.mark.parametrize(
    ("received", "in_order", "returned", "extra"),
    [
        ("abcdef", 6, 6, 0),
        ("", 0, 0, 0),
        ("acdf", 4, 4, 0),  # loss
        ("abccdef", 6, 6, 1),  # a duplicate
        ("abdcef", 5, 6, 0),  # two changed places
        ("fabcde", 5, 6, 0),  # one overtook all
        ("abXdef", 5, 5, 1),  # altered
        ("fedcba", 1, 6, 0),  # reversed
    ],
)
def test_counts(received: str, in_order: int, returned: int, extra: int) -> None:
    """Loss, duplicates, reordering and foreign payloads each have their own count."""
    found = match(stamp(names("abcdef")), stamp(names(received), delay=1.0))
    assert (len(found.pairs), found.returned, found.extra) == (in_order, returned, extra)


def test_repeated_payloads() -> None:
    """Of payloads that are alike, each arrival is given to one that it may be."""
    sent = stamp(names("aabab"))
    assert match(sent, stamp(names("aabab"), 0.001)).pairs == tuple((n, n) for n in range(5))
    # The first b was lost: nothing else changes.
    received = [(p, at + 0.001) for n, (p, at) in enumerate(sent) if n != 2]
    assert match(sent, received).pairs == ((0, 0), (1, 1), (3, 2), (4, 3))


def test_shortest_delays() -> None:
    """Where a lost payload could have been any of several, the quickest explanation holds."""
    sent = stamp([b"tone"] * 6)
    received = [(b"tone", at + 0.01) for _, at in sent[3:]]
    assert [i for i, _ in match(sent, received).pairs] == [3, 4, 5]


def test_nothing_comes_back_before_it_left() -> None:
    """An arrival is never explained by a payload that had not been sent."""
    assert not match([(b"a", 1.0)], [(b"a", 0.999)]).pairs
    assert match([(b"a", 1.0)], [(b"a", 1.0)]).pairs == ((0, 0),)


def test_late_echo() -> None:
    """What comes back after MAX_DELAY is no echo of that payload."""
    assert match([(b"a", 1.0)], [(b"a", 1.0 + MAX_DELAY)]).pairs == ((0, 0),)
    assert not match([(b"a", 1.0)], [(b"a", 1.01 + MAX_DELAY)]).pairs


def best(sent: Sequence[Stamped], received: Sequence[Stamped]) -> tuple[int, float]:
    """Size and least delay of the best matching, by trying everything."""
    if not sent or not received:
        return 0, 0.0
    (payload, left), (back, arrived) = sent[0], received[0]
    options = [best(sent[1:], received), best(sent, received[1:])]
    if payload == back and left <= arrived <= left + MAX_DELAY:
        size, delay = best(sent[1:], received[1:])
        options.append((size + 1, delay + arrived - left))
    return max(options, key=lambda option: (option[0], -option[1]))


payloads = st.sampled_from(names("abc"))
# Times in eighths of a second: their sums are exact.
times = st.integers(0, 40).map(lambda n: n / 8)


@given(
    st.lists(st.tuples(payloads, times), max_size=6),
    st.lists(st.tuples(payloads, times), max_size=6),
)
def test_is_the_best(sent: list[Stamped], received: list[Stamped]) -> None:
    """The result is a matching, and no other is larger, or as large and quicker."""
    sent.sort(key=lambda item: item[1])
    received.sort(key=lambda item: item[1])
    found = match(sent, received)
    for (i, j), (k, m) in pairwise(found.pairs):
        assert i < k
        assert j < m
    delays = [received[j][1] - sent[i][1] for i, j in found.pairs]
    assert all(sent[i][0] == received[j][0] for i, j in found.pairs)
    assert all(0 <= delay <= MAX_DELAY for delay in delays)
    assert (len(found.pairs), sum(delays)) == best(sent, received)
    assert len(found.pairs) <= found.returned == len(received) - found.extra


@given(st.lists(st.binary(min_size=1, max_size=2), max_size=60), st.data())
def test_any_loss_is_counted_exactly(sent: list[bytes], data: st.DataObject) -> None:
    """Whatever is lost, all that arrives in order is found."""
    kept = data.draw(st.lists(st.booleans(), min_size=len(sent), max_size=len(sent)))
    stamped = stamp(sent)
    received = [(p, at + 0.03) for (p, at), keep in zip(stamped, kept, strict=True) if keep]
    found = match(stamped, received)
    assert len(found.pairs) == found.returned == sum(kept)
    assert found.extra == 0
