"""A tone as samples, and how high it is. Needs nothing but Python: peers use it as well."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["FRAME", "FREQUENCY", "RATE", "frequency", "samples"]

RATE = 48_000

# Samples in 20 ms.
FRAME = 960

# Hertz of every tone here.
FREQUENCY = 440.0


def samples(hertz: float, first: int, count: int) -> array[int]:
    """`count` samples of a tone from number `first` on, 16 bits."""
    step = 2 * math.pi * hertz / RATE
    return array("h", (int(12_000 * math.sin(step * n)) for n in range(first, first + count)))


def frequency(heard: Sequence[int], rate: int = RATE) -> float | None:
    """Hertz of the second half, None if it is silent.

    By the median time between upward zero crossings: the splices of a jitter buffer do not count.
    """
    loud = heard[len(heard) // 2 :]
    # A tenth of the peak as hysteresis: noise around zero is no crossing either.
    threshold = max(map(abs, loud), default=0) / 10
    low, crossings = False, []
    for index, sample in enumerate(loud):
        if sample < -threshold:
            low = True
        elif low and sample > threshold:
            low = False
            crossings.append(index)
    periods = sorted(after - before for before, after in pairwise(crossings))
    return rate / periods[len(periods) // 2] if periods else None
