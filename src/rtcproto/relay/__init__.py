"""The forwarding core of a relay: decisions about datagrams, without sockets.

It may know routing tokens, proxy headers and flows, and how to peek at a STUN
message; it knows no session, no key of one, and may not import what does.
"""

from rtcproto.relay.core import FLOW_FIRST, RelayCore
from rtcproto.relay.policy import Drop, RelayConfig, RelayStats

__all__ = ["FLOW_FIRST", "Drop", "RelayConfig", "RelayCore", "RelayStats"]
