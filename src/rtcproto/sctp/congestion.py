"""The congestion window: RFC 9260 section 7.2, one path.

Sizes are bytes of DATA chunks with their headers, which makes floods of tiny
messages no cheaper than their packets. Two choices inside the RFC: the window
starts at ten packets (RFC 6928, what browsers do; the RFC's 4,404 bytes cost a
256 KiB message two round trips more) and slow start counts up to two packets per
acknowledgement (section 7.2.1 allows L > 1, RFC 3465 recommends 2 with delayed
acknowledgements). `allowance` limits bursts after silence (section 6.1 rule D).
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


class CongestionWindow:
    """How much may be in flight."""

    __slots__ = ("_mtu", "_partial", "_recovery_end", "_threshold", "window")

    def __init__(self, mtu: int, threshold: int) -> None:
        self._mtu = mtu
        self.window = INITIAL_PACKETS * mtu
        # Slow start up to here; the peer's first a_rwnd (section 7.2.1).
        self._threshold = max(threshold, 2 * mtu)
        # Bytes acknowledged towards the next packet of window, in congestion avoidance.
        self._partial = 0
        # While recovering from a loss: the last TSN sent before it was noticed.
        self._recovery_end: int | None = None

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

    def on_loss(self, last_tsn: int) -> bool:
        """Chunks are missing, `last_tsn` is the last one sent; True for the first of an episode."""
        if self._recovery_end is not None:
            return False
        self._recovery_end = last_tsn
        self._shrink()
        self.window = self._threshold
        return True

    def on_timeout(self) -> None:
        """Section 7.2.3: nothing came back; start again with one packet."""
        self._shrink()
        self.window = self._mtu
        self._recovery_end = None

    def _shrink(self) -> None:
        self._threshold = max(self.window // 2, MINIMUM_PACKETS * self._mtu)
        self._partial = 0
