"""Which TSNs arrived, and when to say so: RFC 9260 sections 6.2 and 6.7.

TSNs are unwrapped integers. What lies beyond the cumulative TSN is kept as
disjoint ranges in order, so in-order traffic costs nothing and a gap costs one
entry. A SACK is due at once when something is missing, came twice, or the
sender asked for it; otherwise with every second packet or after a delay, which
the owner's timer keeps. Called by the transfer for every DATA chunk.
"""

from __future__ import annotations

import enum
from bisect import bisect_right

from rtcproto._serial import unwrap
from rtcproto.sctp.chunks import Sack

__all__ = ["Acknowledge", "DataTracker"]

# A gap block counts from the cumulative TSN in 16 bits; a TSN further away could
# not be reported and is not taken.
MAX_AHEAD = 0xFFFF
# Gap blocks per SACK, so that it fits a packet next to other chunks; with more
# gaps than that the sender has the first ones to repair anyway.
MAX_BLOCKS = 128
# TSNs reported as duplicates per SACK; a sender counts them, no more.
MAX_DUPLICATES = 16
# RFC 9260 section 6.2: an acknowledgement for at least every second packet.
PACKETS_PER_SACK = 2


class Acknowledge(enum.Enum):
    """How urgent a SACK is."""

    NOT = "nothing new arrived"
    DELAYED = "within the delay"
    NOW = "with this round of packets"


class DataTracker:
    """The receiver's view of the TSN sequence."""

    __slots__ = ("_duplicates", "_ends", "_gap_before", "_packets", "_starts", "cumulative", "due")

    def __init__(self, first: int) -> None:
        # Everything up to and including this one arrived.
        self.cumulative = first - 1
        # Ranges beyond it, inclusive: two lists in step, for bisection.
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._duplicates: list[int] = []
        # Packets with DATA since the last SACK, and whether that SACK showed a gap.
        self._packets = 0
        self._gap_before = False
        self.due = Acknowledge.NOT

    @property
    def gaps(self) -> int:
        """The number of ranges behind the first missing TSN."""
        return len(self._starts)

    def unwrapped(self, tsn: int) -> int:
        """The integer meant by a TSN on the wire."""
        return unwrap(tsn, self.cumulative, 32)

    def is_new(self, tsn: int) -> bool:
        """Whether it is within reach and did not arrive yet; a duplicate is noted."""
        if self.cumulative < tsn <= self.cumulative + MAX_AHEAD:
            at = bisect_right(self._starts, tsn) - 1
            if at < 0 or tsn > self._ends[at]:
                return True
        self.due = Acknowledge.NOW
        if tsn <= self.cumulative + MAX_AHEAD and len(self._duplicates) < MAX_DUPLICATES:
            self._duplicates.append(tsn)
        return False

    def record(self, tsn: int) -> None:
        """Note that it arrived; only after `is_new`."""
        starts, ends = self._starts, self._ends
        if tsn == self.cumulative + 1:
            if starts and starts[0] == tsn + 1:
                del starts[0]
                tsn = ends.pop(0)
            self.cumulative = tsn
            return
        at = bisect_right(starts, tsn)
        joins_left = at > 0 and ends[at - 1] == tsn - 1
        joins_right = at < len(starts) and starts[at] == tsn + 1
        if joins_left and joins_right:
            ends[at - 1] = ends.pop(at)
            del starts[at]
        elif joins_left:
            ends[at - 1] = tsn
        elif joins_right:
            starts[at] = tsn
        else:
            starts.insert(at, tsn)
            ends.insert(at, tsn)

    def skip_to(self, tsn: int) -> None:
        """FORWARD-TSN: count everything up to `tsn` as arrived."""
        self.due = Acknowledge.NOW
        if tsn <= self.cumulative:
            return
        while self._starts and self._starts[0] <= tsn + 1:
            del self._starts[0]
            tsn = max(tsn, self._ends.pop(0))
        self.cumulative = tsn

    def end_packet(self, immediate: bool) -> None:
        """A packet with DATA is done; `immediate` if a chunk asked for an answer (I bit)."""
        self._packets += 1
        gap = bool(self._starts)
        # The packet that fills the last gap is reported at once as well: the
        # sender waits for nothing more eagerly.
        if immediate or gap or self._gap_before or self._packets >= PACKETS_PER_SACK:
            self.due = Acknowledge.NOW
        elif self.due is Acknowledge.NOT:
            self.due = Acknowledge.DELAYED

    def sack(self, a_rwnd: int) -> Sack:
        """The acknowledgement; nothing is due afterwards."""
        base = self.cumulative
        gaps = tuple(
            (start - base, end - base)
            for start, end in zip(self._starts[:MAX_BLOCKS], self._ends, strict=False)
        )
        duplicates = tuple(tsn & 0xFFFFFFFF for tsn in self._duplicates)
        self._duplicates.clear()
        self._packets = 0
        self._gap_before = bool(gaps)
        self.due = Acknowledge.NOT
        return Sack(base & 0xFFFFFFFF, a_rwnd, gaps, duplicates)
