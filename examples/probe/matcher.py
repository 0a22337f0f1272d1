"""Which of the payloads that were sent came back, in order.

Payloads carry no number, and recorded speech repeats some of them, so what came
back is told apart by its place. A *matching* is a set of pairs (sent i,
received j) in which

- the payloads are the same, byte for byte,
- j arrived no earlier than i left, and at most MAX_DELAY after,
- of any two pairs, the one sent later arrived later.

The result is the largest matching; among those, one with the smallest sum of
delays. A lost payload is then one without a partner; of a duplicate one copy
has a partner; of two that changed places one has.

Theory of operation: pairs are visited in the order of arrival and, for one
arrival, from the newest candidate to the oldest, so that no arrival is used
twice. A Fenwick tree over the sent payloads holds the best matching that ends
at or before each of them: n arrivals with k candidates each cost O(n k log n).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import attrs

__all__ = ["MAX_DELAY", "Match", "Stamped", "match"]

# Seconds. An echo that takes longer is of no use to a conversation, and
# recordings are longer than that, so their repetitions are not mistaken.
MAX_DELAY = 3.5

# A payload and when it left or arrived, in seconds of one clock.
Stamped: TypeAlias = tuple[bytes, float]


@attrs.frozen(kw_only=True)
class Match:
    """`pairs` are indexes into what was sent and received, rising in both.

    `returned` counts the payloads that came back in whatever order; `extra`
    those that came more often than they were sent, or were never sent.
    """

    pairs: tuple[tuple[int, int], ...]
    returned: int
    extra: int


# The best matching that ends with a pair: its size, its delays summed and
# negated (so that tuples compare), the pair and what comes before it.
@attrs.frozen(eq=False)
class _Link:
    size: int
    minus_delay: float
    pair: tuple[int, int]
    before: _Link | None


def match(sent: Sequence[Stamped], received: Sequence[Stamped]) -> Match:
    """The largest matching; both sequences are in the order of their times."""
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, (payload, _) in enumerate(sent):
        places[payload].append(index)
    times = [at for _, at in sent]
    tree: list[_Link | None] = [None] * (len(sent) + 1)
    for arrival, (payload, at) in enumerate(received):
        candidates = places.get(payload, [])
        low = bisect_left(candidates, bisect_left(times, at - MAX_DELAY))
        high = bisect_left(candidates, bisect_right(times, at))
        for index in reversed(candidates[low:high]):
            before = _best(tree, index)
            size, minus_delay = (0, 0.0) if before is None else (before.size, before.minus_delay)
            link = _Link(size + 1, minus_delay - (at - times[index]), (index, arrival), before)
            _put(tree, index, link)
    pairs = []
    link_or_none = _best(tree, len(sent))
    while link_or_none is not None:
        pairs.append(link_or_none.pair)
        link_or_none = link_or_none.before
    returned = (Counter(p for p, _ in sent) & Counter(p for p, _ in received)).total()
    return Match(pairs=tuple(reversed(pairs)), returned=returned, extra=len(received) - returned)


def _better(first: _Link | None, second: _Link | None) -> _Link | None:
    if first is None or second is None:
        return second if first is None else first
    better = (second.size, second.minus_delay) > (first.size, first.minus_delay)
    return second if better else first


def _best(tree: list[_Link | None], end: int) -> _Link | None:
    """The best of the links at indexes below `end`."""
    best = None
    while end:
        best = _better(best, tree[end])
        end &= end - 1
    return best


def _put(tree: list[_Link | None], index: int, link: _Link) -> None:
    index += 1
    while index < len(tree):
        tree[index] = _better(tree[index], link)
        index += index & -index
