"""Serial number arithmetic, RFC 1982, and the way out of it.

Wrapped numbers live only in packets. A receiver turns each into an unwrapped
integer as it arrives and never compares wrapped values again.
"""

from __future__ import annotations

__all__ = ["after", "distance", "unwrap"]


def distance(first: int, second: int, bits: int) -> int:
    """Signed steps from `first` to `second` modulo 2**bits, in [-2**(bits-1), 2**(bits-1))."""
    half = 1 << (bits - 1)
    return ((second - first + half) & ((1 << bits) - 1)) - half


def after(first: int, second: int, bits: int) -> bool:
    """True if `first` is later than `second`; half the space apart counts as earlier."""
    return distance(second, first, bits) > 0


def unwrap(wrapped: int, reference: int, bits: int) -> int:
    """The integer congruent to `wrapped` that lies nearest to the unwrapped `reference`."""
    return reference + distance(reference, wrapped, bits)
