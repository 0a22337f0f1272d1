"""The congestion window: RFC 9260 section 7.2, one path, and three departures from it.

Sizes are bytes of DATA chunks with their headers, which makes floods of tiny
messages no cheaper than their packets. Two choices inside the RFC: the window
starts at ten packets (RFC 6928, what browsers do; the RFC's 4,404 bytes cost a
256 KiB message two round trips more) and slow start counts up to two packets per
acknowledgement (section 7.2.1 allows L > 1, RFC 3465 recommends 2 with delayed
acknowledgements). `allowance` limits bursts after silence (section 6.1 rule D).

Two choices beyond it. Slow start ends when round trips grow, before a queue
overflows (HyStart++, RFC 9406, without its phase of slower growth). And a loss
shrinks the window to what the path holds without a queue (`pipe`; the idea of TCP
Westwood), never below the half that the RFC asks for: where losses come from a full
queue, that queue is given up; where they come from a bad radio, there is none, and
halving would help nobody.
"""

from __future__ import annotations

__all__ = ["CongestionWindow"]

# Packets: RFC 6928 section 2; RFC 3465 section 2.3; the loss window of RFC 9260 7.2.3.
INITIAL_PACKETS = 10
SLOW_START_PACKETS = 2
MINIMUM_PACKETS = 4
# RFC 9260 section 6.1 rule D: what may leave on one occasion beyond what is in
# flight. Its Max.Burst of 4 is the initial window of its time; we keep the relation.
BURST_PACKETS = 10
# RFC 9406 section 4.3: samples in a round before it is judged, and bounds in seconds
# for how much longer its shortest round trip must be.
ROUND_SAMPLES = 8
GROWTH_FLOOR = 0.004
GROWTH_CEILING = 0.016
# What our own bursts add to a pipe that is empty otherwise, packets.
SLACK_PACKETS = 3


class CongestionWindow:
    """How much may be in flight."""

    __slots__ = ("_before", "_mtu", "_partial", "_recovery_end", "_round_end", "_samples",
                 "_shortest", "_threshold", "window")  # fmt: skip

    def __init__(self, mtu: int, threshold: int) -> None:
        self._mtu = mtu
        self.window = INITIAL_PACKETS * mtu
        # Slow start up to here; the peer's first a_rwnd (section 7.2.1).
        self._threshold = max(threshold, 2 * mtu)
        # Bytes acknowledged towards the next packet of window, in congestion avoidance.
        self._partial = 0
        # While recovering from a loss: the last TSN sent before it was noticed.
        self._recovery_end: int | None = None
        # Of a round of slow start: its last TSN, its samples, their shortest and that of
        # the round before.
        self._round_end = -1
        self._samples = 0
        self._shortest = 0.0
        self._before: float | None = None

    @property
    def recovering(self) -> bool:
        """Whether a loss was noticed that is not made good yet."""
        return self._recovery_end is not None

    def allowance(self, flight: int) -> int:
        """Bytes that may be in flight after sending now."""
        return min(self.window, flight + BURST_PACKETS * self._mtu)

    def on_acknowledged(self, size: int, flight_before: int, cumulative: int | None) -> None:
        """`size` bytes were newly acknowledged; `cumulative` is the new TSN if it advanced."""
        if self._recovery_end is not None:
            # Section 7.2.4: the window does not grow before the loss is made good.
            if cumulative is None or cumulative < self._recovery_end:
                return
            self._recovery_end = None
        # Only a window that was the limit has been tested by the network.
        used = flight_before + self._mtu > self.window
        if self.window <= self._threshold:
            if used and cumulative is not None:
                self.window += min(size, SLOW_START_PACKETS * self._mtu)
            return
        self._partial += size
        if self._partial >= self.window:
            self._partial = self._partial - self.window if used else 0
            if used:
                self.window += self._mtu

    def on_round_trip(self, round_trip: float, acknowledged: int, last_tsn: int) -> None:
        """A round trip in seconds; TSNs up to `acknowledged` arrived, `last_tsn` was sent last."""
        if self.window > self._threshold or self._recovery_end is not None:
            return
        if acknowledged > self._round_end:
            if self._samples:
                self._before = self._shortest
            self._round_end = last_tsn
            self._samples = 0
        if not self._samples or round_trip < self._shortest:
            self._shortest = round_trip
        self._samples += 1
        if self._before is None or self._samples < ROUND_SAMPLES:
            return
        growth = min(GROWTH_CEILING, max(GROWTH_FLOOR, self._before / 8))
        if self._shortest >= self._before + growth:
            self._threshold = self.window

    def on_loss(self, last_tsn: int, pipe: int) -> bool:
        """Chunks are missing, `last_tsn` is the last one sent; True for the first of an episode.

        `pipe` is what the path holds without a queue, in bytes.
        """
        if self._recovery_end is not None:
            return False
        self._recovery_end = last_tsn
        self._shrink(pipe + SLACK_PACKETS * self._mtu)
        self.window = self._threshold
        return True

    def on_timeout(self) -> None:
        """Section 7.2.3: nothing came back; start again with one packet."""
        self._shrink(0)
        self.window = self._mtu
        self._recovery_end = None

    def _shrink(self, pipe: int) -> None:
        half = max(self.window // 2, MINIMUM_PACKETS * self._mtu)
        self._threshold = max(half, min(pipe, self.window))
        self._partial = 0
