"""SCTP for WebRTC data channels: RFC 9260 over DTLS (RFC 8261, RFC 8831).

`Association` is one association; `SctpConfig` may be shared by many.
"""

from rtcproto.sctp.association import Association
from rtcproto.sctp.config import SctpConfig
from rtcproto.sctp.events import (
    AssociationClosed,
    AssociationState,
    BufferedAmountLow,
    Established,
    MessageAbandoned,
    MessageReceived,
    ResetDone,
    SctpCloseReason,
    SctpEvent,
    SctpStats,
    StreamsReset,
)
from rtcproto.sctp.handshake import parse_init

__all__ = [
    "Association",
    "AssociationClosed",
    "AssociationState",
    "BufferedAmountLow",
    "Established",
    "MessageAbandoned",
    "MessageReceived",
    "ResetDone",
    "SctpCloseReason",
    "SctpConfig",
    "SctpEvent",
    "SctpStats",
    "StreamsReset",
    "parse_init",
]
