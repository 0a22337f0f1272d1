"""Durations counted in buckets: bounded, cheap to add to, and to be added up."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

__all__ = ["BOUNDS", "Histogram"]

# Upper bounds in seconds, each 1.19 times the one before: 0.1 ms to 13 s. What is
# longer is counted as that long.
BOUNDS = tuple(0.0001 * 2 ** (step / 4) for step in range(69))


class Histogram:
    """How often a duration came up, by size; quantiles are exact to a bucket's width."""

    __slots__ = ("_counts", "count", "longest", "total")

    def __init__(self) -> None:
        self._counts = [0] * len(BOUNDS)
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration; a negative one as 0."""
        seconds = max(0.0, seconds)
        self._counts[min(bisect_left(BOUNDS, seconds), len(BOUNDS) - 1)] += 1
        self.count += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)

    def merge(self, other: Histogram) -> None:
        """Count all that another one counted as well."""
        if not other.count:
            return
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
        self.count += other.count
        self.total += other.total
        self.longest = max(self.longest, other.longest)

    def quantile(self, share: float) -> float | None:
        """The duration that `share` (0 to 1) of all do not exceed; None before the first."""
        if not self.count:
            return None
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for bound, count in zip(BOUNDS, self._counts, strict=True):
            seen += count
            if seen >= rank:
                return min(bound, self.longest)
        return self.longest

    def as_dict(self) -> dict[str, Any]:
        """The count and the usual quantiles, seconds, for stats."""
        return {
            "count": self.count,
            "p50": self.quantile(0.5),
            "p95": self.quantile(0.95),
            "p99": self.quantile(0.99),
            "max": self.longest if self.count else None,
        }
