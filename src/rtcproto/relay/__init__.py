"""The forwarding core of a relay: decisions about datagrams, without sockets.

It may know routing tokens, proxy headers and flows, and how to peek at a STUN
message; it knows no session, no key of one, and may not import what does.
"""

from rtcproto.relay.core import RelayCore
from rtcproto.relay.framing import FrameReader, build_frame
from rtcproto.relay.kinds import FLOW_FIRST, MAX_INSIDE_DATAGRAM
from rtcproto.relay.policy import Drop, RelayConfig, RelayStats
from rtcproto.relay.recovery import Command, ForgetFlow, LookUpFlow, StoreFlow
from rtcproto.relay.stream import StreamConfig, StreamEnd, StreamLeg, StreamStats

__all__ = [
    "FLOW_FIRST",
    "MAX_INSIDE_DATAGRAM",
    "Command",
    "Drop",
    "ForgetFlow",
    "FrameReader",
    "LookUpFlow",
    "RelayConfig",
    "RelayCore",
    "RelayStats",
    "StoreFlow",
    "StreamConfig",
    "StreamEnd",
    "StreamLeg",
    "StreamStats",
    "build_frame",
]
