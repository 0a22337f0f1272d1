"""Builds the compound that one source sends all its life: a report and its CNAME.

RFC 3550 section 6.1 wants a report first and a CNAME in every compound. Both
the source and its name are constant, so the description is packed once and
each report costs one `struct` call. Called by the media plane; what needs
another layout goes through `rtcproto.rtcp.packet.build_compound`, which gives
the same bytes.
"""

from __future__ import annotations

import struct

from rtcproto.errors import UsageError
from rtcproto.rtcp.reports import ReceiverReport, ReportBlock, SenderReport
from rtcproto.rtcp.sdes_bye import Sdes

__all__ = ["ReportTemplate"]

# header, ssrc, ntp, rtp, packets, octets; one report block with its loss in two parts
_pack_one = struct.Struct("!LLQLLLLBbHLLLL").pack
_HEADER_ONE = 0x80 << 24 | 1 << 24 | 200 << 16 | 12


class ReportTemplate:
    """Reports of `ssrc` with the canonical name `cname` (up to 255 bytes), ready to send."""

    __slots__ = ("_description", "_ssrc")

    def __init__(self, ssrc: int, cname: bytes) -> None:
        self._ssrc = ssrc
        self._description = Sdes.of(ssrc, cname).serialize()

    def sender_report(
        self,
        ntp: int,
        rtp_timestamp: int,
        packets: int,
        octets: int,
        reports: tuple[ReportBlock, ...] = (),
    ) -> bytes:
        """SR and SDES as one datagram; the arguments are the fields of `SenderReport`.

        `UsageError` if a field is out of range.
        """
        try:
            if len(reports) != 1:
                report = SenderReport(self._ssrc, ntp, rtp_timestamp, packets, octets, reports)
                return report.serialize() + self._description
            block = reports[0]
            lost = block.cumulative_lost
            if not -0x800000 <= lost <= 0x7FFFFF:
                lost = 0x7FFFFF if lost > 0 else -0x800000
            return (
                _pack_one(
                    _HEADER_ONE,
                    self._ssrc,
                    ntp,
                    rtp_timestamp,
                    packets & 0xFFFFFFFF,
                    octets & 0xFFFFFFFF,
                    block.ssrc,
                    block.fraction_lost,
                    lost >> 16,
                    lost & 0xFFFF,
                    block.highest_sequence,
                    block.jitter,
                    block.last_sr,
                    block.delay_since_last_sr,
                )
                + self._description
            )
        except struct.error as error:
            raise UsageError(f"an RTCP field is out of range: {error}") from error

    def receiver_report(self, reports: tuple[ReportBlock, ...] = ()) -> bytes:
        """RR and SDES as one datagram. `UsageError` if a field is out of range."""
        try:
            return ReceiverReport(self._ssrc, reports).serialize() + self._description
        except struct.error as error:
            raise UsageError(f"an RTCP field is out of range: {error}") from error
