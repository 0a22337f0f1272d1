"""The receiving side of one RTP stream: order, loss, jitter and the report about it.

RFC 3550 sections 6.4.1, A.1, A.3 and A.8. One object per authenticated SSRC,
owned by the media plane, which calls it for every packet that SRTP let
through. It holds no payload and delays nothing: reordering for playout is
another's work.

Theory of operation: SRTP gives unwrapped sequence numbers and has dropped
duplicates, so a packet is either the next one, a newer one (it opens a *gap*)
or an older one (it fills a gap, or is *late*). A gap is declared lost, once,
when `REORDER_DEPTH` newer packets have come since, or `REORDER_TIME` has
passed. What arrives for it afterwards is late: counted, still delivered. Only
sequence numbers make gaps: a jump of the timestamp alone is silence that the
sender did not send (DTX), not loss.

Refuses nothing: whatever an authenticated peer sends has a meaning here, and
state is bounded by `MAX_GAPS` ranges whatever they span.
"""

from __future__ import annotations

from rtcproto._attrs import wire
from rtcproto.clock import ntp_compact
from rtcproto.rtcp.reports import ReportBlock

__all__ = ["LostRange", "ReceiveStats", "ReceiveStream"]

# A gap is lost when this many newer packets have come, the one that opened it
# included. Three, as TCP (RFC 5681) and QUIC (RFC 9002 6.1.1) take for reordering.
REORDER_DEPTH = 3

# Seconds after which a gap is lost though few packets followed: five packets of
# 20 ms, beyond what a listener would wait for.
REORDER_TIME = 0.1

# A jump by more packets than this is no reordering: the range is declared lost at
# once. RFC 3550 A.1: MAX_DROPOUT = 3000.
MAX_DROPOUT = 3000

# Gaps waiting at one time. Newer packets open at most REORDER_DEPTH; more come only
# from late packets that split a long gap. Beyond it the oldest is declared lost.
MAX_GAPS = 64

# Seconds by which transit may change from packet to packet before it is taken for
# a new start of the sender's clock and left out of the jitter.
MAX_TRANSIT_STEP = 5.0

_HALF = 1 << 31
_MASK = 0xFFFFFFFF


@wire
class LostRange:
    """`count` packets from the unwrapped sequence number `first` on are declared lost."""

    first: int
    count: int


@wire
class ReceiveStats:
    """What RTCReceivedRtpStreamStats and RTCInboundRtpStreamStats say, and two of our own.

    `packets_lost` is expected less received, RFC 3550 A.3, so late packets lower
    it again and it may be negative; `jitter` is in seconds;
    `last_packet_received` is the `arrival` of the newest packet. Ours:
    `packets_declared_lost` never falls, `packets_late` came after that.
    """

    ssrc: int
    packets_received: int
    packets_lost: int
    jitter: float
    bytes_received: int
    last_packet_received: float | None
    packets_declared_lost: int
    packets_late: int


@wire
class _Gap:
    """Missing sequence numbers `first` up to before `end`."""

    first: int
    end: int
    newest_limit: int
    deadline: float


class ReceiveStream:
    """Accounting for the source `ssrc`, whose timestamps count `clock_rate` per second."""

    __slots__ = (
        "_arrival",
        "_clock_rate",
        "_declared_lost",
        "_first_sequence",
        "_gaps",
        "_jitter",
        "_late",
        "_lost",
        "_max_step",
        "_newer",
        "_next",
        "_octets",
        "_packets",
        "_prior_expected",
        "_prior_packets",
        "_sender_report",
        "_sender_report_at",
        "_timestamp",
        "_transit",
        "ssrc",
    )

    def __init__(self, ssrc: int, clock_rate: int = 48000) -> None:
        self.ssrc = ssrc
        self._clock_rate = clock_rate
        self._max_step = MAX_TRANSIT_STEP * clock_rate

        # Order. `_next` is the sequence number after the newest packet, -1 before the
        # first one; `_newer` counts the packets that were newer than all before.
        self._next = -1
        self._first_sequence = 0
        self._newer = 0
        self._gaps: list[_Gap] = []
        self._lost: list[LostRange] = []

        # Time. `_timestamp` is the newest packet's, unwrapped.
        self._timestamp = 0
        self._transit = 0.0
        self._jitter = 0.0
        self._arrival: float | None = None

        # Counts, and what they were at the last report.
        self._packets = 0
        self._octets = 0
        self._declared_lost = 0
        self._late = 0
        self._prior_expected = 0
        self._prior_packets = 0

        # The last sender report: its compact NTP time (0: none) and when it came.
        self._sender_report = 0
        self._sender_report_at = 0.0

    # Inputs

    def receive(self, sequence: int, timestamp: int, size: int, arrival: float) -> tuple[int, bool]:
        """Account for a packet; returns its unwrapped timestamp and whether it is late.

        `sequence` is unwrapped (the SRTP index), `timestamp` as in the packet,
        `size` the payload in bytes, `arrival` the caller's `now`. Losses are
        declared into `lost_ranges()`.
        """
        if not self._packets:
            self._start(sequence, timestamp, arrival)
        self._packets += 1
        self._octets += size
        self._arrival = arrival
        newest = self._timestamp
        extended = newest + ((timestamp - newest + _HALF) & _MASK) - _HALF

        # RFC 3550 A.8, in ticks: "J += (1/16) * (D - J)". Silence adds to both clocks
        # alike, so DTX does not show; a clock that starts anew does not count.
        transit = arrival * self._clock_rate - extended
        step = transit - self._transit
        self._transit = transit
        if step < 0:
            step = -step
        if step < self._max_step:
            self._jitter += (step - self._jitter) * 0.0625

        late = False
        if sequence >= self._next:
            if sequence > self._next:
                self._open_gap(sequence, arrival)
            self._next = sequence + 1
            self._timestamp = extended
            self._newer += 1
            if self._gaps:
                self._declare_passed()
        else:
            late = not self._fill(sequence)
        return extended, late

    def on_sender_report(self, ntp: int, now: float) -> None:
        """A sender report of this source with the 64-bit `ntp` time came in."""
        self._sender_report = ntp_compact(ntp)
        self._sender_report_at = now

    def handle_timer(self, now: float) -> None:
        """Declare lost the gaps that have waited for `REORDER_TIME`."""
        while self._gaps and self._gaps[0].deadline <= now:
            self._declare(self._gaps.pop(0))

    # Outputs

    def lost_ranges(self) -> list[LostRange]:
        """What was declared lost since the last call, oldest first."""
        lost = self._lost
        if lost:
            self._lost = []
            return lost
        return []

    def get_timer(self) -> float | None:
        """When the oldest gap is lost, or None without one."""
        return self._gaps[0].deadline if self._gaps else None

    def report_block(self, now: float) -> ReportBlock | None:
        """The block for the next report, and the start of a new interval.

        None if no packet came since the last one: RFC 3550 6.4 has blocks for
        sources "from which this receiver has received RTP data packets since
        the last report".
        """
        received = self._packets - self._prior_packets
        if not received:
            return None
        expected = self._next - self._first_sequence
        lost = expected - self._prior_expected - received
        # RFC 3550 A.3: a loss below zero, from late packets, is reported as none.
        # The quotient is below 1 because a packet came in.
        fraction = (lost << 8) // (expected - self._prior_expected) if lost > 0 else 0
        self._prior_expected = expected
        self._prior_packets = self._packets
        delay = 0
        if self._sender_report:
            delay = min(int((now - self._sender_report_at) * 65536.0), _MASK)
        return ReportBlock(
            self.ssrc,
            fraction,
            expected - self._packets,
            (self._next - 1) & _MASK,
            min(int(self._jitter), _MASK),
            self._sender_report,
            delay,
        )

    # Getters

    @property
    def jitter(self) -> float:
        """Interarrival jitter in seconds, RFC 3550 6.4.1."""
        return self._jitter / self._clock_rate

    def stats(self) -> ReceiveStats:
        """The figures so far."""
        return ReceiveStats(
            self.ssrc,
            self._packets,
            self._next - self._first_sequence - self._packets if self._packets else 0,
            self.jitter,
            self._octets,
            self._arrival,
            self._declared_lost,
            self._late,
        )

    # Order

    def _start(self, sequence: int, timestamp: int, arrival: float) -> None:
        self._first_sequence = self._next = sequence
        self._timestamp = timestamp
        self._transit = arrival * self._clock_rate - timestamp

    def _open_gap(self, sequence: int, arrival: float) -> None:
        limit = self._newer + REORDER_DEPTH
        gap = _Gap(self._next, sequence, limit, arrival + REORDER_TIME)
        if sequence - self._next <= MAX_DROPOUT:
            self._gaps.append(gap)
            return
        # Older gaps first, so that what is declared is in order.
        for older in self._gaps:
            self._declare(older)
        self._gaps.clear()
        self._declare(gap)

    def _declare_passed(self) -> None:
        gaps = self._gaps
        while gaps and gaps[0].newest_limit <= self._newer:
            self._declare(gaps.pop(0))

    def _declare(self, gap: _Gap) -> None:
        count = gap.end - gap.first
        self._declared_lost += count
        self._lost.append(LostRange(gap.first, count))

    def _fill(self, sequence: int) -> bool:
        """Take `sequence` out of the gap it lies in; False if in none, then it is late."""
        gaps = self._gaps
        for position, gap in enumerate(gaps):
            if gap.first <= sequence < gap.end:
                pieces = [
                    _Gap(first, end, gap.newest_limit, gap.deadline)
                    for first, end in ((gap.first, sequence), (sequence + 1, gap.end))
                    if first < end
                ]
                gaps[position : position + 1] = pieces
                if len(gaps) > MAX_GAPS:
                    self._declare(gaps.pop(0))
                return True
        self._late += 1
        return False
