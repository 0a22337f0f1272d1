"""What the lite responder and the full agent have in common: values, events, contract.

The session's transport plane drives either through `IceMachine` and never
learns which one it has. A *path* is a remote address together with the local
address its datagrams arrive on; behind a relay the latter is the relay's public
address, so one client on two relays has two paths.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import attrs

from rtcproto.datagram import Address, Datagram
from rtcproto.ice.candidate import Candidate

__all__ = [
    "Credentials",
    "IceConfig",
    "IceEvent",
    "IceMachine",
    "IceStats",
    "Path",
    "PathLost",
    "PathProven",
    "PathSelected",
    "PathValidated",
]

Path: TypeAlias = tuple[Address, Address | None]


@attrs.frozen
class Credentials:
    """A ufrag (4 to 256 ice-chars) and a password (22 to 256), RFC 8839 section 5.4."""

    ufrag: str
    pwd: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class IceConfig:
    """Limits and intervals, in seconds where they are times."""

    # RFC 7675 section 5.1: "Consent expires after 30 seconds." The lite
    # responder, which sends no consent checks, applies it to silence.
    consent_timeout: float = 30.0
    # RFC 7675 section 5.1: a check every 5 s, each interval drawn from 0.8-1.2 of it.
    consent_interval: float = 5.0
    # RFC 8445 section 14.2: Ta, the pacing of checks.
    pacing: float = 0.05
    # RFC 8445 section 14.3 and RFC 8489 section 6.2.1: first retransmission and count.
    request_rto: float = 0.5
    request_retransmissions: int = 7
    # How long a controlling agent waits for a better pair after the first valid
    # one before it nominates; RFC 8445 section 8.1.1 leaves it to the agent.
    nomination_delay: float = 0.0
    # A check proves knowledge of the password, not ownership of an address: cap
    # what one peer can make us remember (the oldest unselected path goes first).
    max_paths: int = 8
    max_remote_candidates: int = 64
    # The last transaction ids of a session that are remembered against replay:
    # nearly three hours of a browser's checks; `memory` has the reason and the cost.
    max_transactions: int = 4096


@attrs.frozen(kw_only=True)
class PathValidated:
    """A message with valid MESSAGE-INTEGRITY came on a new path; DTLS may use it."""

    path: Path


@attrs.frozen(kw_only=True)
class PathProven:
    """The peer answered our own Binding request there: it really is at that address."""

    path: Path


@attrs.frozen(kw_only=True)
class PathSelected:
    """Media goes to this proven path from now on."""

    path: Path


@attrs.frozen(kw_only=True)
class PathLost:
    """Consent expired: nothing may be sent any more until a new check succeeds."""

    silent_for: float


IceEvent: TypeAlias = PathValidated | PathProven | PathSelected | PathLost


@attrs.frozen(kw_only=True)
class IceStats:
    """Counters in the terms of webrtc-stats RTCIceCandidatePairStats; times in seconds."""

    requests_received: int = 0
    requests_sent: int = 0
    responses_received: int = 0
    responses_sent: int = 0
    consent_requests_sent: int = 0
    current_round_trip_time: float | None = None
    total_round_trip_time: float = 0.0
    # Why datagrams were dropped: reason -> count, with a fixed set of reasons.
    rejected: dict[str, int] = attrs.field(factory=dict)


class Timer(enum.Enum):
    """Shared by both machines, so that a session can say what it waits for."""

    CHECK = "the next connectivity check, or its retransmission, is due"
    NOMINATION = "a controlling agent stops waiting for a better pair and nominates"
    CONSENT = "the next consent check is due, or consent expires"


class IceMachine(Protocol):
    """The contract that `IceLite` and `IceAgent` share."""

    @property
    def selected_path(self) -> Path | None:
        """Where media goes, or None."""

    @property
    def round_trip_time(self) -> float | None:
        """Seconds of the newest answered request, or None."""

    def is_validated(self, path: Path) -> bool:
        """Whether a message with valid MESSAGE-INTEGRITY came on `path`."""

    def is_proven(self, path: Path) -> bool:
        """Whether the peer answered our own request on `path`."""

    def stats(self) -> IceStats:
        """A snapshot of the counters."""

    def set_remote(
        self, credentials: Credentials, candidates: Sequence[Candidate], now: float
    ) -> None:
        """Set the peer's credentials and first candidates, from its description."""

    def add_remote_candidate(self, candidate: Candidate, now: float) -> None:
        """Add a trickled candidate; dropped beyond `IceConfig.max_remote_candidates`."""

    def successor(self, local: Credentials, now: float) -> IceMachine:
        """A new machine for an ICE restart: nothing learned, `local` the new credentials.

        Its role and its own candidates are this one's, RFC 8445 section 9, and what it may
        send comes out of this one's budget.
        """

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        """Take a datagram that demux calls STUN; True if it is authentic."""

    def handle_timer(self, now: float) -> None:
        """Act on deadlines at or before `now`."""

    def get_timer(self) -> float | None:
        """The next deadline, or None."""

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent."""

    def next_events(self) -> list[IceEvent]:
        """Drain the events."""

    def close(self, now: float) -> None:
        """Stop everything; nothing is sent afterwards."""
