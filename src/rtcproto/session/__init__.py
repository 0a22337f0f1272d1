"""One WebRTC session: the planes and the class that composes them."""

from rtcproto.session.lifecycle import SessionState
from rtcproto.session.session import Session
from rtcproto.session.stats import (
    OutboundRtpStats,
    RemoteInboundRtpStats,
    SctpTransportStats,
    SessionStats,
    SetupPhases,
    TransportStats,
)

__all__ = [
    "OutboundRtpStats",
    "RemoteInboundRtpStats",
    "SctpTransportStats",
    "Session",
    "SessionState",
    "SessionStats",
    "SetupPhases",
    "TransportStats",
]
