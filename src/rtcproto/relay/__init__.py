"""The forwarding core of a relay: decisions about datagrams, without sockets.

It may know routing tokens, proxy headers and flows, and how to peek at a STUN
message; it knows no session, no key of one, and may not import what does.
"""

from rtcproto.relay.core import MAX_INSIDE_DATAGRAM, RelayCore
from rtcproto.relay.kinds import FLOW_FIRST
from rtcproto.relay.policy import Drop, RelayConfig, RelayStats

__all__ = ["FLOW_FIRST", "MAX_INSIDE_DATAGRAM", "Drop", "RelayConfig", "RelayCore", "RelayStats"]
