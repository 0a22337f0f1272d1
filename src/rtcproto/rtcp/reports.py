"""Sender and receiver reports, RFC 3550 sections 6.4.1 and 6.4.2.

```text
header(count, 200)  ssrc  ntp(64)  rtp  packets  octets   report blocks   extension
header(count, 201)  ssrc                                  report blocks   extension
```

Called by the compound codec; the values are built by the media plane, report
blocks by `rtcproto.rtp.receive_stream`. A profile-specific extension is kept
as it is. Refuses a count that the length does not cover.
"""

from __future__ import annotations

import struct

from rtcproto._attrs import wire
from rtcproto.errors import UsageError
from rtcproto.rtcp.header import MAX_COUNT, malformed

__all__ = [
    "ReceiverReport",
    "ReportBlock",
    "SenderReport",
    "parse_receiver_report",
    "parse_sender_report",
    "round_trip_time",
]

_SENDER = struct.Struct("!LQLLL")
_SSRC = struct.Struct("!L")
# The 24-bit signed loss is read as its signed high byte and its low 16 bits.
_BLOCK = struct.Struct("!LBbHLLLL")
_SENDER_ONE = struct.Struct("!LQLLLLBbHLLLL")
_SENDER_PACKET = struct.Struct("!BBHLQLLL")
_RECEIVER_PACKET = struct.Struct("!BBHL")

_SENDER_ONE_SIZE = _SENDER_ONE.size
_parse_sender_one = _SENDER_ONE.unpack_from

# RFC 3550 6.4.1: the cumulative number of packets lost has 24 bits, signed.
_MAX_LOST = 0x7FFFFF
_MIN_LOST = -0x800000


@wire
class ReportBlock:
    """What one receiver says about one source, RFC 3550 section 6.4.1.

    `fraction_lost` is in 1/256 since the report before; `cumulative_lost` is
    signed, duplicates can make it negative; `highest_sequence` is extended
    (cycles above the low 16 bits); `jitter` is in RTP time ticks; `last_sr` is
    a compact NTP time (0: no sender report yet) and `delay_since_last_sr` is
    in 1/65536 seconds.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int = 0
    delay_since_last_sr: int = 0

    def serialize(self) -> bytes:
        """24 bytes. A cumulative loss beyond 24 bits is clamped, as RFC 3550 A.3 does."""
        lost = self.cumulative_lost
        if lost > _MAX_LOST:
            lost = _MAX_LOST
        elif lost < _MIN_LOST:
            lost = _MIN_LOST
        return _BLOCK.pack(
            self.ssrc,
            self.fraction_lost,
            lost >> 16,
            lost & 0xFFFF,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        )


@wire
class SenderReport:
    """What a sender says of itself. `ntp` has 64 bits, `packets` and `octets` wrap at 2**32."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    def serialize(self) -> bytes:
        """The whole packet."""
        blocks, extension = self.reports, self.extension
        _check(blocks, extension)
        head = _SENDER_PACKET.pack(
            0x80 | len(blocks),
            200,
            6 + 6 * len(blocks) + (len(extension) >> 2),
            self.ssrc,
            self.ntp,
            self.rtp_timestamp,
            self.packets & 0xFFFFFFFF,
            self.octets & 0xFFFFFFFF,
        )
        if len(blocks) == 1 and not extension:
            return head + blocks[0].serialize()
        return b"".join([head, *[block.serialize() for block in blocks], extension])


@wire
class ReceiverReport:
    """The report of one that has sent nothing since the report before."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    def serialize(self) -> bytes:
        """The whole packet."""
        blocks, extension = self.reports, self.extension
        _check(blocks, extension)
        head = _RECEIVER_PACKET.pack(
            0x80 | len(blocks), 201, 1 + 6 * len(blocks) + (len(extension) >> 2), self.ssrc
        )
        return b"".join([head, *[block.serialize() for block in blocks], extension])


def _check(blocks: tuple[ReportBlock, ...], extension: bytes) -> None:
    if len(blocks) > MAX_COUNT or len(extension) & 3:
        raise UsageError("a report has at most 31 blocks and an extension of whole words")


def _parse_blocks(data: bytes, offset: int, end: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for ssrc, fraction, high, low, highest, jitter, last, delay in _BLOCK.iter_unpack(
        data[offset:end]
    ):
        lost = high << 16 | low
        blocks.append(ReportBlock(ssrc, fraction, lost, highest, jitter, last, delay))
    return tuple(blocks)


def parse_sender_report(data: bytes, offset: int, end: int, count: int) -> SenderReport:
    """The body `data[offset:end]` of a packet of type 200. `ParseError` if it is too short."""
    if count == 1 and end - offset == _SENDER_ONE_SIZE:
        # What two parties of a call send each other, in one read.
        (
            ssrc, ntp, rtp_timestamp, packets, octets,
            source, fraction, high, low, highest, jitter, last, delay,
        ) = _parse_sender_one(data, offset)  # fmt: skip
        block = ReportBlock(source, fraction, high << 16 | low, highest, jitter, last, delay)
        return SenderReport(ssrc, ntp, rtp_timestamp, packets, octets, (block,))
    blocks = offset + _SENDER.size
    extension = blocks + count * _BLOCK.size
    if extension > end:
        raise malformed("sender report shorter than its count says", offset)
    ssrc, ntp, rtp_timestamp, packets, octets = _SENDER.unpack_from(data, offset)
    reports = _parse_blocks(data, blocks, extension)
    return SenderReport(ssrc, ntp, rtp_timestamp, packets, octets, reports, data[extension:end])


def parse_receiver_report(data: bytes, offset: int, end: int, count: int) -> ReceiverReport:
    """The body `data[offset:end]` of a packet of type 201. `ParseError` if it is too short."""
    blocks = offset + 4
    extension = blocks + count * _BLOCK.size
    if extension > end:
        raise malformed("receiver report shorter than its count says", offset)
    (ssrc,) = _SSRC.unpack_from(data, offset)
    return ReceiverReport(ssrc, _parse_blocks(data, blocks, extension), data[extension:end])


# The largest round trip that is believed, in 1/65536 s. The difference is taken
# modulo 2**32, so a report that claims more delay than has passed would read as
# some 18 hours.
_MAX_ROUND_TRIP = 60 << 16


def round_trip_time(last: int, delay: int, now_compact: int) -> float | None:
    """Seconds of round trip by RFC 3550 section 6.4.1, or None if it cannot be said.

    `last` and `delay` are LSR and DLSR of a report block about our stream, or
    LRR and DLRR of an RFC 3611 section 4.5 sub-block; `now_compact` is the
    compact NTP time of arrival by the clock that `last` was taken from. None:
    the peer has seen no report of ours (`last` is 0), or the figures give a
    time outside 0 to 60 s. Up to 1 ms below zero is rounding and counts as 0.
    """
    if not last:
        return None
    ticks = (now_compact - last - delay) & 0xFFFFFFFF
    if ticks <= _MAX_ROUND_TRIP:
        return ticks / 65536.0
    # Three roundings to 1/65536 s meet here; a fast path gives a few ticks below zero.
    return 0.0 if ticks >= 0xFFFFFFFF - 65 else None
