"""What a DTLS association tells its owner: events, states, reasons, counters.

Values only. `Counters` is the one mutable thing: `endpoint` and `handshaker`
count in the same one, so that the figures outlive the handshake.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import TypeAlias

import attrs

from rtcproto._attrs import wire

__all__ = [
    "Counters",
    "DataReceived",
    "DtlsCloseReason",
    "DtlsClosed",
    "DtlsEvent",
    "DtlsState",
    "DtlsStats",
    "Drop",
    "HandshakeCompleted",
    "Role",
]


class Role(enum.Enum):
    """Who sends the ClientHello: `active` and `passive` in SDP, RFC 5763 section 5."""

    CLIENT = "client"
    SERVER = "server"


class DtlsState(enum.Enum):
    """Where an association stands; it never goes back."""

    NEW = "made, not started"
    HANDSHAKING = "no keys yet"
    CONNECTED = "the peer is the one that was described; keys are exported"
    CLOSED = "over"


class DtlsCloseReason(enum.Enum):
    """Why an association ended."""

    LOCAL = "closed by us"
    PEER_CLOSED = "the peer sent an authenticated close_notify"
    TIMEOUT = "no handshake within the deadline"
    FINGERPRINT_MISMATCH = "the certificate is not the one that was described"
    NO_SRTP_PROFILE = "the handshake ended without a protection profile"
    PROTOCOL = "the handshake failed: the peer broke the protocol, or refused it"
    PEER_ERROR = "the peer sent an authenticated fatal alert after the handshake"


@attrs.frozen(kw_only=True)
class HandshakeCompleted:
    """The certificate matched and keys exist.

    `keying_material` is RFC 5764 section 4.2 for `profile` (a use_srtp code
    point): client key, server key, client salt, server salt; empty if `profile`
    is None, which happens only when no profiles were configured. `cipher` is
    OpenSSL's name of the suite, `version` the protocol's wire number.
    """

    profile: int | None
    keying_material: bytes = attrs.field(repr=False)
    is_client: bool
    cipher: str
    version: int


@wire
class DataReceived:
    """One record of authenticated application data."""

    data: bytes


@attrs.frozen(kw_only=True)
class DtlsClosed:
    """The final event, exactly one. `detail` is for people."""

    reason: DtlsCloseReason
    detail: str = ""


DtlsEvent: TypeAlias = HandshakeCompleted | DataReceived | DtlsClosed


@attrs.frozen(kw_only=True)
class DtlsStats:
    """Counters since the start. `dropped` has every reason that occurred, by name."""

    packets_received: int
    packets_sent: int
    bytes_sent: int
    # Flights sent, resent ones included.
    flights_sent: int
    # Whole handshake messages that were given to OpenSSL: the work a peer caused.
    messages_processed: int
    # Connections thrown away because a hello that looked good was not.
    restarts: int
    dropped: dict[str, int]


class Drop(enum.Enum):
    """Why something from the network had no effect; refused messages are counted apart."""

    WRONG_STATE = "a packet before start or after the end"
    MALFORMED_PACKET = "not a sequence of DTLS 1.2 records"
    MALFORMED_HANDSHAKE = "not a sequence of handshake fragments"
    UNEXPECTED_RECORD = "a content type or epoch that has no place now"
    PLAINTEXT_ALERT = "an alert that nobody authenticated"
    EARLY_PROTECTED = "a protected record before there can be one, or too many of them"
    REPEATED_MESSAGE = "a message that was delivered earlier"
    CONFLICT = "a fragment that contradicts what is held"
    OVER_LIMIT = "a fragment too long, too far ahead, or without room"
    HELLO_FAILED = "a hello that OpenSSL refused; the connection was made anew"
    REPEATED_FLIGHT = "a handshake record after the handshake"
    UNAUTHENTIC = "a protected record whose tag is wrong"
    REPLAYED = "a protected record that was there before, or is older than the window"
    MALFORMED_RECORD = "an authentic record whose content breaks the protocol"
    RENEGOTIATION = "an authentic handshake message that is not the peer's Finished again"


class Counters:
    """What has been counted so far."""

    __slots__ = (
        "bytes_sent",
        "dropped",
        "flights_sent",
        "messages_processed",
        "packets_received",
        "packets_sent",
        "restarts",
    )

    def __init__(self) -> None:
        self.packets_received = 0
        self.packets_sent = 0
        self.bytes_sent = 0
        self.flights_sent = 0
        self.messages_processed = 0
        self.restarts = 0
        self.dropped: Counter[str] = Counter()

    def drop(self, reason: Drop) -> bool:
        """Count `reason`; False, for the caller to return."""
        self.dropped[reason.name.lower()] += 1
        return False

    @property
    def failed(self) -> int:
        """Protected records that did not open: forged, or seen before."""
        return self.dropped["unauthentic"] + self.dropped["replayed"]

    def stats(self) -> DtlsStats:
        """The figures as a value."""
        return DtlsStats(
            packets_received=self.packets_received,
            packets_sent=self.packets_sent,
            bytes_sent=self.bytes_sent,
            flights_sent=self.flights_sent,
            messages_processed=self.messages_processed,
            restarts=self.restarts,
            dropped=dict(self.dropped),
        )
