"""A seeded mutator of the standard library: what to try when no coverage guides us."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["mutate"]

MAX_SIZE = 4096

# Values at which lengths and counters break, as one, two and four bytes.
INTERESTING = [
    value.to_bytes(size, "big")
    for size, values in {
        1: (0, 1, 0x7F, 0x80, 0xFF),
        2: (0, 1, 4, 0x7FFF, 0x8000, 0xFFFC, 0xFFFF),
        4: (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    }.items()
    for value in values
]


def mutate(samples: Sequence[bytes], dictionary: Sequence[bytes], rng: random.Random) -> bytes:
    """One input: a sample after one to six changes; now and then plain random bytes."""
    if not samples or rng.random() < 0.05:
        return rng.randbytes(rng.randrange(64))
    data = bytearray(rng.choice(samples))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _change(data, samples, dictionary, rng)
    return bytes(data[:MAX_SIZE])


def _change(
    data: bytearray, samples: Sequence[bytes], dictionary: Sequence[bytes], rng: random.Random
) -> None:
    at = rng.randrange(len(data) + 1)
    choice = rng.randrange(9)
    if choice <= 1 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif choice == 2 and at < len(data):
        data[at] = rng.randrange(256)
    elif choice == 3:
        value = rng.choice(INTERESTING)
        data[at : at + len(value)] = value
    elif choice == 4:
        del data[at : at + rng.randrange(1, 33)]
    elif choice == 5:  # a piece of itself, over or in between
        start = rng.randrange(len(data) + 1)
        piece = data[start : start + rng.randrange(1, 65)]
        data[at : at + (len(piece) if rng.random() < 0.5 else 0)] = piece
    elif choice == 6 and dictionary:
        word = rng.choice(dictionary)
        data[at : at + (len(word) if rng.random() < 0.5 else 0)] = word
    elif choice == 7:  # two halves of two samples
        other = rng.choice(samples)
        data[at:] = other[rng.randrange(len(other) + 1) :]
    elif rng.random() < 0.5:
        del data[at:]
    else:
        data[at:at] = rng.randbytes(rng.randrange(1, 17))
