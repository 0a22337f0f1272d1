"""When to send the next RTCP report: RFC 3550 section 6.3, RFC 4585 section 3.

Called by the media plane of one session, which is two parties on one transport.
Sends nothing itself.

Theory of operation: RFC 3550 6.3.1 gives the interval as the average size of a
compound times the members over the bandwidth for RTCP, not below a minimum,
and draws each one uniformly from 0.5 to 1.5 times that, so that sessions that
began together do not report together. The first interval is half as long. With
two members that never change, timer reconsideration (6.3.3, 6.3.6) and the
division by 1.21828 that makes up for it have no work to do and are left out.

The AVPF profile (RFC 4585) lets the 5 s minimum of RFC 3550 go. The minimum
here is 1 s: loss and round trip are known within a second, at about 1 kbit/s
each way. So reports come after 0.25-0.75 s, then every 0.5-1.5 s.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["RtcpScheduler"]

# Seconds between reports on average, unless the bandwidth asks for more; see above.
MIN_INTERVAL = 1.0

# Both parties of a session.
MEMBERS = 2

# Bytes per second for the RTCP of both parties: RFC 3550 6.2, 5 % of the session's
# bandwidth, here of two Opus streams with their headers, 64 kbit/s each.
RTCP_BANDWIDTH = 0.05 * 2 * 64_000 / 8

# RFC 3550 6.2: sizes include "lower-layer transport and network protocols": UDP and IPv4.
LOWER_LAYERS = 28

# What the average is taken for before the first compound (RFC 3550 6.3.2, the
# "probable size of the first RTCP packet"): SR, SDES and the SRTCP trailer.
INITIAL_SIZE = 110


class RtcpScheduler:
    """The report timer of one session, started at `now`.

    `entropy(n)` gives n random bytes; `bandwidth` is in bytes per second for
    RTCP in both directions together.
    """

    __slots__ = ("_average_size", "_bandwidth", "_deadline", "_entropy")

    def __init__(
        self, entropy: Callable[[int], bytes], now: float, *, bandwidth: float = RTCP_BANDWIDTH
    ) -> None:
        self._entropy = entropy
        self._bandwidth = bandwidth
        self._average_size = float(INITIAL_SIZE + LOWER_LAYERS)
        self._deadline = now + 0.5 * self._draw()

    @property
    def interval(self) -> float:
        """Seconds between reports on average, RFC 3550 6.3.1 (its "Td")."""
        return max(MIN_INTERVAL, self._average_size * MEMBERS / self._bandwidth)

    def transferred(self, size: int) -> None:
        """A compound of `size` bytes, as in its datagram, was sent or received.

        RFC 3550 6.3.3: "avg_rtcp_size = (1/16) * packet_size + (15/16) * avg_rtcp_size".
        """
        self._average_size += (size + LOWER_LAYERS - self._average_size) / 16

    def due(self, now: float) -> bool:
        """Whether to send a report now. True once per interval: it starts the next one."""
        if now < self._deadline:
            return False
        self._deadline = now + self._draw()
        return True

    def get_timer(self) -> float:
        """When the next report is due; later than the last `due` that was True."""
        return self._deadline

    def _draw(self) -> float:
        fraction = int.from_bytes(self._entropy(4), "big") / 4294967296.0
        return self.interval * (0.5 + fraction)
