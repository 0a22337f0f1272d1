"""Alerts: RFC 5246 section 7.2, the two bytes of level and description.

Called by `endpoint` for protected alerts and by `handshaker` for the plaintext
kind, which authenticate nothing and end nothing.
"""

from __future__ import annotations

import enum

from rtcproto._attrs import wire
from rtcproto.errors import ParseError

__all__ = ["Alert", "AlertDescription", "AlertLevel"]


class AlertLevel(enum.IntEnum):
    """RFC 5246 section 7.2."""

    WARNING = 1
    FATAL = 2


class AlertDescription(enum.IntEnum):
    """The TLS Alerts registry, as far as DTLS 1.2 uses it.

    https://www.iana.org/assignments/tls-parameters/#tls-parameters-6
    """

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    DECOMPRESSION_FAILURE = 30
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    UNSUPPORTED_EXTENSION = 110


@wire
class Alert:
    """One alert. Both numbers are kept as they came, known or not."""

    level: int
    description: int

    @classmethod
    def parse(cls, payload: bytes) -> Alert:
        """The alert that is all of `payload`; `ParseError` unless that is two bytes."""
        if len(payload) != 2:
            raise ParseError("dtls", "an alert is two bytes")
        return cls(payload[0], payload[1])

    def serialize(self) -> bytes:
        """The payload of an alert record."""
        return bytes((self.level, self.description))

    def __str__(self) -> str:
        """For people: "fatal alert 80 (internal error)"."""
        level = "fatal" if self.level == AlertLevel.FATAL else "warning"
        try:
            name = AlertDescription(self.description).name.lower().replace("_", " ")
        except ValueError:
            name = "unknown"
        return f"{level} alert {self.description} ({name})"
