"""What an application sees of a session, as past facts.

Every event carries all that its handler needs; none refers back to the
session. `SessionClosed` is the last one: once it and the farewell datagrams are
drained, nothing ever comes again.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from rtcproto._attrs import wire
from rtcproto.datachannel import (
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
)
from rtcproto.datagram import Address

__all__ = [
    "AudioLost",
    "AudioReceived",
    "CloseReason",
    "Connected",
    "DataChannelBufferLow",
    "DataChannelClosed",
    "DataChannelMessage",
    "DataChannelOpened",
    "Event",
    "PathChanged",
    "SessionClosed",
]


class CloseReason(enum.Enum):
    """Why a session ended. Open: later versions may add reasons."""

    LOCAL = "closed by its owner"
    PEER = "closed by the peer (close_notify)"
    PEER_ERROR = "the peer reported a fatal error in a call under way"
    CONSENT_EXPIRED = "the peer stopped answering connectivity checks"
    NO_CHECK = "no connectivity check arrived in time"
    NO_ANSWER = "the offer was not answered in time"
    SETUP_TIMEOUT = "the session was not connected in time"
    FINGERPRINT_MISMATCH = "the peer's certificate is not the one it described"
    HANDSHAKE_FAILED = "the DTLS handshake failed"
    INTERNAL_ERROR = "an unexpected exception was fenced off"


@attrs.frozen(kw_only=True)
class Connected:
    """DTLS is done and media flows in both directions from now on.

    `remote` is the peer's address; `local` the address it talks to (behind a
    relay: the relay's), or None where there is only one. `srtp_profile` is the
    IANA name of the protection profile.
    """

    remote: Address
    local: Address | None
    srtp_profile: str
    dtls_cipher: str


@attrs.frozen(kw_only=True)
class PathChanged:
    """Media goes to another proven path from now on."""

    remote: Address
    local: Address | None


@wire
class AudioReceived:
    """One audio packet, authenticated and decrypted, as it arrived (no reordering).

    `payload` is one Opus packet. `timestamp` counts 48 kHz samples and
    `sequence` packets; both are unwrapped: they never jump back by 2**32 or
    2**16. `level` is -dBov, 0 (loudest) to 127 (silence), and `voice` the voice
    activity bit, RFC 6464; both None if the packet carried none. `arrival` is
    the `now` it was received at.
    """

    payload: bytes
    timestamp: int
    sequence: int
    level: int | None
    voice: bool | None
    marker: bool
    ssrc: int
    arrival: float

    def __repr__(self) -> str:
        return (
            f"AudioReceived({len(self.payload)} bytes, timestamp={self.timestamp}, "
            f"sequence={self.sequence}, level={self.level})"
        )


@attrs.frozen(kw_only=True)
class AudioLost:
    """`count` packets from `first_sequence` on did not arrive in time.

    One of them may still come late, as an `AudioReceived` with its own, lower
    sequence number.
    """

    first_sequence: int
    count: int
    ssrc: int


@attrs.frozen(kw_only=True)
class SessionClosed:
    """The session is over. `detail` is for people and holds no secret."""

    reason: CloseReason
    detail: str = ""


Event: TypeAlias = (
    Connected
    | PathChanged
    | AudioReceived
    | AudioLost
    | DataChannelOpened
    | DataChannelMessage
    | DataChannelBufferLow
    | DataChannelClosed
    | SessionClosed
)
