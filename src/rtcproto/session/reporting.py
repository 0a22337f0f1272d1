"""RTCP of one session: the reports we send, and what the peer's say of us.

Called by the media plane with plain RTCP, after SRTCP. One compound per
interval: SR or RR, SDES, and a DLRR block for a peer that asked for the round
trip with a receiver reference time (RFC 3611 sections 4.4 and 4.5).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from rtcproto.clock import WallClock, ntp_compact
from rtcproto.config import Entropy
from rtcproto.rtcp import (
    Bye,
    Dlrr,
    DlrrEntry,
    ReceiverReferenceTime,
    ReceiverReport,
    ReportBlock,
    ReportTemplate,
    RtcpScheduler,
    SenderReport,
    Xr,
    parse_compound,
    round_trip_time,
)
from rtcproto.rtp import SendStream
from rtcproto.rtp.receive_stream import ReceiveStream
from rtcproto.session.stats import RemoteInboundRtpStats

__all__ = ["Reporter"]

# Blocks in one report: RFC 3550 section 6.4.1 has five bits for the count. A
# session of one audio section has one stream, or two around a change of SSRC.
MAX_BLOCKS = 31

# Receiver reference times remembered, one per SSRC of the peer; the first ones stay.
MAX_REFERENCES = 4


@attrs.define(slots=True)
class _Remote:
    """What the peer's report blocks say of our stream, summed up."""

    block: ReportBlock
    round_trip_time: float | None = None
    total: float = 0.0
    measurements: int = 0


class Reporter:
    """Sends reports for `ssrc` once started; keeps what the peer reports of it."""

    __slots__ = (
        "_clock_rate",
        "_entropy",
        "_references",
        "_remote",
        "_reported_packets",
        "_scheduler",
        "_ssrc",
        "_template",
        "_wall",
    )

    def __init__(
        self, ssrc: int, cname: bytes, clock_rate: int, wall: WallClock, entropy: Entropy
    ) -> None:
        self._ssrc = ssrc
        self._clock_rate = clock_rate
        self._wall = wall
        self._entropy = entropy
        self._template = ReportTemplate(ssrc, cname)
        self._scheduler: RtcpScheduler | None = None
        self._remote: _Remote | None = None
        self._reported_packets = 0
        # By SSRC: the compact NTP time of its RRTR, and when that came.
        self._references: dict[int, tuple[int, float]] = {}

    def remote_inbound_stats(self) -> RemoteInboundRtpStats | None:
        """The peer's view of our stream, or None before its first report block."""
        remote = self._remote
        if remote is None:
            return None
        return RemoteInboundRtpStats(
            ssrc=self._ssrc,
            fraction_lost=remote.block.fraction_lost / 256,
            packets_lost=remote.block.cumulative_lost,
            jitter=remote.block.jitter / self._clock_rate,
            round_trip_time=remote.round_trip_time,
            total_round_trip_time=remote.total,
            round_trip_time_measurements=remote.measurements,
        )

    def start(self, now: float) -> None:
        """The session is connected: reports may leave."""
        self._scheduler = RtcpScheduler(self._entropy, now)

    def receive(
        self, data: bytes, streams: Mapping[int, ReceiveStream], now: float
    ) -> tuple[int, ...]:
        """Take a compound; returns the SSRCs that said BYE. Raises ParseError."""
        if self._scheduler is not None:
            self._scheduler.transferred(len(data))
        gone: tuple[int, ...] = ()
        for packet in parse_compound(data):
            match packet:
                case SenderReport(ssrc=ssrc, ntp=ntp, reports=blocks):
                    stream = streams.get(ssrc)
                    if stream is not None:
                        stream.on_sender_report(ntp, now)
                    self._on_blocks(blocks, now)
                case ReceiverReport(reports=blocks):
                    self._on_blocks(blocks, now)
                case Xr():
                    self._on_extended(packet, now)
                case Bye(ssrcs=ssrcs):
                    gone += tuple(ssrc for ssrc in ssrcs if ssrc in streams)
                case _:
                    pass  # nothing else was negotiated
        return tuple(dict.fromkeys(gone))

    def report_due(
        self, send: SendStream | None, streams: Mapping[int, ReceiveStream], now: float
    ) -> bytes | None:
        """The compound to send at `now`, or None if none is due."""
        scheduler = self._scheduler
        if scheduler is None or not scheduler.due(now):
            return None
        report = self._report(send, streams, now)
        scheduler.transferred(len(report))
        return report

    def goodbye(
        self, send: SendStream | None, streams: Mapping[int, ReceiveStream], now: float
    ) -> bytes:
        """The last compound, with a BYE; no report is due after it."""
        self._scheduler = None
        return self._report(send, streams, now) + Bye((self._ssrc,)).serialize()

    def get_timer(self) -> float | None:
        """When the next report is due, or None."""
        return None if self._scheduler is None else self._scheduler.get_timer()

    def _report(
        self, send: SendStream | None, streams: Mapping[int, ReceiveStream], now: float
    ) -> bytes:
        blocks: list[ReportBlock] = []
        for stream in streams.values():
            block = stream.report_block(now)
            if block is not None and len(blocks) < MAX_BLOCKS:
                blocks.append(block)
        info = None if send is None else send.sender_info(now)
        # RFC 3550 section 6.4: an SR only if we have sent since the last report.
        if info is None or info.packet_count == self._reported_packets:
            report = self._template.receiver_report(tuple(blocks))
        else:
            self._reported_packets = info.packet_count
            report = self._template.sender_report(
                self._wall.ntp(now),
                info.rtp_timestamp,
                info.packet_count,
                info.octet_count,
                tuple(blocks),
            )
        if self._references:
            entries = tuple(
                DlrrEntry(ssrc, reference, int((now - heard) * 65536) & 0xFFFFFFFF)
                for ssrc, (reference, heard) in self._references.items()
            )
            report += Xr(self._ssrc, (Dlrr(entries),)).serialize()
            self._references.clear()
        return report

    def _on_blocks(self, blocks: tuple[ReportBlock, ...], now: float) -> None:
        for block in blocks:
            if block.ssrc != self._ssrc:
                continue
            remote = self._remote
            if remote is None:
                remote = self._remote = _Remote(block)
            remote.block = block
            compact = ntp_compact(self._wall.ntp(now))
            measured = round_trip_time(block.last_sr, block.delay_since_last_sr, compact)
            if measured is not None:
                remote.round_trip_time = measured
                remote.total += measured
                remote.measurements += 1

    def _on_extended(self, packet: Xr, now: float) -> None:
        for block in packet.blocks:
            if isinstance(block, ReceiverReferenceTime) and len(self._references) < MAX_REFERENCES:
                self._references[packet.ssrc] = (ntp_compact(block.ntp), now)
