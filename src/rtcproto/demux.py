"""Which protocol a datagram on a shared port belongs to: RFC 7983 as updated by RFC 9443.

Decided by the first byte alone; RTP and RTCP are told apart by the second, as
RFC 5761 section 4 says. Nothing is parsed, nothing is verified.
"""

from __future__ import annotations

import enum

__all__ = ["Kind", "classify"]


class Kind(enum.IntEnum):
    """What the first bytes say a datagram is."""

    UNKNOWN = 0
    STUN = 1
    ZRTP = 2
    DTLS = 3
    TURN_CHANNEL = 4
    QUIC = 5
    RTP = 6
    RTCP = 7


def _kind_of(first: int) -> Kind:
    # RFC 9443 section 2.1 gives these ranges; 128-191 is RTP/RTCP *or* QUIC's
    # fixed-bit-only short header, and we do not speak QUIC.
    if first <= 3:
        return Kind.STUN
    if 16 <= first <= 19:
        return Kind.ZRTP
    if 20 <= first <= 63:
        return Kind.DTLS
    if 64 <= first <= 79:
        return Kind.TURN_CHANNEL
    if 80 <= first <= 127 or first >= 192:
        return Kind.QUIC
    if 128 <= first <= 191:
        return Kind.RTP
    return Kind.UNKNOWN


_KIND_BY_FIRST_BYTE = [_kind_of(first) for first in range(256)]


def classify(data: bytes) -> Kind:
    """The `Kind` of a datagram; `UNKNOWN` for an empty one or an unassigned first byte."""
    if not data:
        return Kind.UNKNOWN
    kind = _KIND_BY_FIRST_BYTE[data[0]]
    # RFC 5761 section 4: RTCP packet types 192-223 fall on RTP payload types
    # 64-95 with the marker bit set, which bundled RTP must not use.
    if kind is Kind.RTP and len(data) > 1 and 192 <= data[1] <= 223:
        return Kind.RTCP
    return kind
