"""What a relay makes of the first byte of a datagram, of its size, and of a client's address.

Tables instead of questions: the relay's core asks them for every packet. Pure values.
"""

from __future__ import annotations

from ipaddress import ip_address

from rtcproto.datagram import MAX_DATAGRAM_IN, Address
from rtcproto.demux import Kind, classify
from rtcproto.routing.proxy import HEADER_SIZE, MAGIC

__all__ = [
    "FLOW",
    "FLOW_FIRST",
    "IS_MEDIA",
    "MAGIC_FIRST",
    "MAX_BEHIND_RELAY",
    "MAX_INSIDE_DATAGRAM",
    "NOWHERE",
    "STUN",
    "WAY",
    "can_be_client",
]

# The largest datagram on the inside face, bytes: two tiers of headers and a payload.
MAX_INSIDE_DATAGRAM = 2 * HEADER_SIZE + MAX_DATAGRAM_IN

# The largest one of a transceiver behind this relay alone.
MAX_BEHIND_RELAY = HEADER_SIZE + MAX_DATAGRAM_IN

# How a proxy header begins; nothing that is forwarded does.
MAGIC_FIRST = MAGIC[0]

# What is done with a client's datagram, by first byte: nothing of ours, perhaps a ufrag, a flow.
NOWHERE, STUN, FLOW = range(3)


def _way_of(first: int) -> int:
    match classify(bytes((first,))):
        case Kind.STUN:
            return STUN
        case Kind.DTLS | Kind.RTP | Kind.RTCP:
            return FLOW
        case _:
            return NOWHERE


WAY = [_way_of(first) for first in range(256)]

# The first bytes of what follows its flow whatever else is in it.
FLOW_FIRST = bytes(first for first, way in enumerate(WAY) if way == FLOW)

# Content type 23 of RFC 6347 section 4.1 is application data.
_DTLS_APPLICATION_DATA = 23

# By first byte: SRTP, SRTCP and DTLS application data, which owners send only to proven addresses.
IS_MEDIA = [
    first == _DTLS_APPLICATION_DATA or classify(bytes((first,))) in (Kind.RTP, Kind.RTCP)
    for first in range(256)
]


def can_be_client(client: Address) -> bool:
    """False for addresses that would make us send to many at once, or to nobody."""
    host = client[0]
    if ":" not in host:
        # 0.0.0.0/8 is nobody (RFC 1122 section 3.2.1.3), 224.0.0.0/4 is multicast, and
        # 240.0.0.0/4 has the broadcast address in it.
        return 0 < int(host.partition(".")[0]) < 224
    ip = ip_address(host)
    return not (ip.is_multicast or ip.is_unspecified)
