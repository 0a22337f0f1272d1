"""DTLS 1.2 with SRTP keying: RFC 6347, RFC 5764, RFC 8122.

`Dtls` is one association; `Identity` and `DtlsConfig` are made once and shared.
"""

from rtcproto.dtls.config import DtlsConfig
from rtcproto.dtls.endpoint import Dtls
from rtcproto.dtls.events import (
    DataReceived,
    DtlsClosed,
    DtlsCloseReason,
    DtlsEvent,
    DtlsState,
    DtlsStats,
    HandshakeCompleted,
    Role,
)
from rtcproto.dtls.identity import Fingerprint, Identity

__all__ = [
    "Dtls",
    "DtlsConfig",
    "Identity",
    "Fingerprint",
    "Role",
    "DtlsState",
    "DtlsEvent",
    "HandshakeCompleted",
    "DataReceived",
    "DtlsClosed",
    "DtlsCloseReason",
    "DtlsStats",
]
