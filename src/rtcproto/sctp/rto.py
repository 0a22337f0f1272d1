"""The retransmission time-out: RFC 9260 section 6.3.1, Jacobson's estimator.

Fed with round trips of chunks that were sent once (Karn's rule is the caller's),
doubled by every time-out, back to the estimate with the next measurement.
"""

from __future__ import annotations

__all__ = ["RetransmissionTimeout"]

# RFC 9260 section 16: RTO.Alpha and RTO.Beta.
_ALPHA = 1 / 8
_BETA = 1 / 4


class RetransmissionTimeout:
    """Seconds to wait for an acknowledgement."""

    __slots__ = ("_maximum", "_minimum", "_variance", "smoothed", "value")

    def __init__(self, initial: float, minimum: float, maximum: float) -> None:
        self._minimum = minimum
        self._maximum = maximum
        # The smoothed round trip and its mean deviation, None before the first one.
        self.smoothed: float | None = None
        self._variance = 0.0
        self.value = initial

    def observe(self, round_trip: float) -> None:
        """Take a measured round trip; a clock that stumbled counts as 0."""
        round_trip = max(0.0, round_trip)
        if self.smoothed is None:
            self.smoothed = round_trip
            self._variance = round_trip / 2
        else:
            deviation = abs(self.smoothed - round_trip)
            self._variance += _BETA * (deviation - self._variance)
            self.smoothed += _ALPHA * (round_trip - self.smoothed)
        estimate = self.smoothed + 4 * self._variance
        self.value = min(self._maximum, max(self._minimum, estimate))

    def back_off(self) -> None:
        """Rule E2 of section 6.3.3: a time-out doubles the next one."""
        self.value = min(self._maximum, 2 * self.value)
