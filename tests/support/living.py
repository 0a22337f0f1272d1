"""How many objects of a kind are alive, asked cheaply late in a long run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["alive", "apart"]


@contextmanager
def apart() -> Iterator[None]:
    """Leave out what lives already: the tests before this one left millions of objects."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def alive(*kinds: type) -> int:
    """Objects of these classes that are not freed, garbage apart."""
    gc.collect()
    return sum(isinstance(value, kinds) for value in gc.get_objects())
