"""RTCP compounds: RFC 3550 section 6.1, RFC 5506 reduced size.

Called by the media plane with plain RTCP, that is after SRTCP, and to build
what it sends. `parse_compound` is total and linear: any bytes give a list of
typed packets or `ParseError`. Types and formats not known here are kept as
`Unknown`, so that what is parsed can be built again.

One malformed packet discards the whole compound, also the good ones before it,
as the validity checks of RFC 3550 A.2 do: what arrives here is authenticated,
so a malformed part means that the sender or we misread the rest, too.

Refuses: anything but version 2, lengths beyond the datagram, more than
`MAX_PACKETS`, padding before the last packet, and, unless `reduced_size`, a
compound that does not begin with a report.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TypeAlias

from rtcproto._attrs import wire
from rtcproto.errors import UsageError
from rtcproto.rtcp.feedback import (
    Fir,
    Nack,
    Pli,
    Remb,
    is_remb,
    parse_fir,
    parse_nack,
    parse_pli,
    parse_remb,
)
from rtcproto.rtcp.header import build_packet, malformed
from rtcproto.rtcp.reports import (
    ReceiverReport,
    SenderReport,
    parse_receiver_report,
    parse_sender_report,
)
from rtcproto.rtcp.sdes_bye import App, Bye, Sdes, parse_app, parse_bye, parse_sdes
from rtcproto.rtcp.twcc import TransportFeedback, parse_transport_feedback
from rtcproto.rtcp.xr import Xr, parse_xr

__all__ = ["RtcpPacket", "Unknown", "build_compound", "parse_compound"]

# A compound of a call holds two to four packets; a datagram of empty ones could
# hold 512. Beyond this the compound is refused.
MAX_PACKETS = 64


@wire
class Unknown:
    """A packet of a type or format not known here. `body` is whole words after the header."""

    packet_type: int
    count: int
    body: bytes

    def serialize(self) -> bytes:
        """The whole packet."""
        return build_packet(self.packet_type, self.count, self.body)


RtcpPacket: TypeAlias = (
    SenderReport
    | ReceiverReport
    | Sdes
    | Bye
    | App
    | Nack
    | Pli
    | Fir
    | Remb
    | TransportFeedback
    | Xr
    | Unknown
)

_parse_header = struct.Struct("!BBH").unpack_from

# By packet type: these need the count field as well.
_COUNTED: dict[int, Callable[[bytes, int, int, int], RtcpPacket]] = {
    200: parse_sender_report,
    201: parse_receiver_report,
    202: parse_sdes,
    203: parse_bye,
    204: parse_app,
}

_REPORTS = frozenset((200, 201))

# By packet type and format (the count field).
_FORMATTED: dict[tuple[int, int], Callable[[bytes, int, int], RtcpPacket]] = {
    (205, 1): parse_nack,
    (205, 15): parse_transport_feedback,
    (206, 1): parse_pli,
    (206, 4): parse_fir,
}


def parse_compound(data: bytes, reduced_size: bool = True) -> list[RtcpPacket]:
    """The packets of one RTCP datagram, at least one, in order; padding is dropped.

    With `reduced_size` False the first must be a report, RFC 3550 section 6.1;
    RFC 5506 lifts that where it was negotiated. Raises `ParseError`.
    """
    total = len(data)
    # Every packet is whole words, so the four header bytes below are always there.
    if not total or total & 3:
        raise malformed("not whole 32-bit words", total)
    if not reduced_size and data[1] not in _REPORTS:
        raise malformed("compound does not begin with a report", 0)
    packets: list[RtcpPacket] = []
    body = 4
    for _ in range(MAX_PACKETS):
        first, packet_type, length = _parse_header(data, body - 4)
        end = packet_end = body + 4 * length
        if end > total:
            raise malformed("packet longer than the datagram", body - 4)
        count = first & 0x1F
        # Version 2 and no padding in one comparison; the rest is told apart below.
        if first >> 5 != 4:
            if first >> 6 != 2:
                raise malformed("not version 2", body - 4)
            end -= _padding(data, body, end, total, packet_type == 205 and count == 15)
        parse = _COUNTED.get(packet_type)
        if parse is not None:
            packets.append(parse(data, body, end, count))
        else:
            packets.append(_parse_other(data, body, end, packet_type, count))
        if packet_end == total:
            return packets
        body = packet_end + 4
    raise malformed("too many packets", body - 4)


def _padding(data: bytes, body: int, end: int, total: int, transport_cc: bool) -> int:
    """How many padding bytes the packet `data[body:end]` ends with.

    RFC 3550 6.4.1: padding is "only required on the last individual packet",
    and its last byte counts it in multiples of four. libwebrtc fills transport
    feedback to a whole word with 1 to 3 bytes counted as padding, in any
    packet of a compound, so there neither is asked.
    """
    size = data[end - 1] if end > body else 0
    if not 0 < size <= end - body:
        raise malformed("padding count beyond the packet", end - 1)
    if not transport_cc and (size & 3 or end != total):
        raise malformed("padding inside the compound or not whole words", end - 1)
    return size


def _parse_other(data: bytes, body: int, end: int, packet_type: int, count: int) -> RtcpPacket:
    parse = _FORMATTED.get((packet_type, count))
    if parse is not None:
        return parse(data, body, end)
    if packet_type == 206 and count == 15 and is_remb(data, body, end):
        return parse_remb(data, body, end)
    if packet_type == 207:
        return parse_xr(data, body, end)
    return Unknown(packet_type, count, data[body:end])


def build_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """One RTCP datagram. `UsageError` if a field does not fit, or there are too many packets."""
    try:
        parts = [packet.serialize() for packet in packets]
    except (struct.error, ValueError) as error:
        raise UsageError(f"an RTCP field is out of range: {error}") from error
    if not 0 < len(parts) <= MAX_PACKETS:
        raise UsageError(f"a compound has 1 to {MAX_PACKETS} packets")
    return b"".join(parts)
