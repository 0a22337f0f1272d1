"""The forwarding core of a relay: decisions about datagrams, without sockets.

It may know routing tokens, proxy headers and flows, and how to peek at a STUN
message; it knows no session, no key of one, and may not import what does.
"""

from rtcproto.relay.core import RelayCore
from rtcproto.relay.kinds import FLOW_FIRST, MAX_INSIDE_DATAGRAM
from rtcproto.relay.policy import Drop, RelayConfig, RelayStats
from rtcproto.relay.recovery import Command, ForgetFlow, LookUpFlow, StoreFlow

__all__ = [
    "FLOW_FIRST",
    "MAX_INSIDE_DATAGRAM",
    "Command",
    "Drop",
    "ForgetFlow",
    "LookUpFlow",
    "RelayConfig",
    "RelayCore",
    "RelayStats",
    "StoreFlow",
]
