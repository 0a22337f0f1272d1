"""What an agent counts, in the terms of `IceStats`."""

from __future__ import annotations

import enum

from rtcproto.ice.contract import IceStats

__all__ = ["Counters", "Reason"]


class Reason(enum.Enum):
    """Why a datagram had no effect; the keys of `IceStats.rejected`, a fixed set."""

    MALFORMED = "malformed"  # no STUN message, or not one that can be for us
    METHOD = "method"  # not Binding, or an indication, which says nothing
    AUTHENTICATION = "authentication"  # USERNAME or MESSAGE-INTEGRITY absent or wrong
    REPLAY = "replay"  # a transaction id that came from another path before
    REFUSED = "refused"  # authentic, answered with an error
    PATHS = "paths"  # authentic, from one address too many
    RESPONSE = "response"  # no such request of ours, or not where it was sent


class Counters:
    """Mutable counters; `snapshot` makes a value of them. Times in seconds."""

    __slots__ = (
        "_rejected",
        "_total_round_trip_time",
        "consent_requests_sent",
        "requests_received",
        "requests_sent",
        "responses_received",
        "responses_sent",
        "round_trip_time",
    )

    def __init__(self) -> None:
        # Retransmissions count nowhere, as in webrtc-stats.
        self.requests_received = 0
        self.requests_sent = 0
        self.responses_received = 0
        self.responses_sent = 0
        self.consent_requests_sent = 0
        self.round_trip_time: float | None = None
        self._total_round_trip_time = 0.0
        self._rejected: dict[str, int] = {}

    def reject(self, reason: Reason) -> bool:
        """Count a datagram that had no effect; False, for whoever returns that."""
        self._rejected[reason.value] = self._rejected.get(reason.value, 0) + 1
        return False

    def measured(self, round_trip_time: float) -> None:
        """A request was answered that was sent once."""
        self.round_trip_time = round_trip_time
        self._total_round_trip_time += round_trip_time

    def snapshot(self) -> IceStats:
        """The counters as a value."""
        return IceStats(
            requests_received=self.requests_received,
            requests_sent=self.requests_sent,
            responses_received=self.responses_received,
            responses_sent=self.responses_sent,
            consent_requests_sent=self.consent_requests_sent,
            current_round_trip_time=self.round_trip_time,
            total_round_trip_time=self._total_round_trip_time,
            rejected=dict(self._rejected),
        )
