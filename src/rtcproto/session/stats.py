"""Statistics of a session in the terms of W3C webrtc-stats.

Every field is named as there, in snake case, with the same unit; where a name
is not the standard's, its comment says so. Values, never live objects:
collected when asked for, so a packet pays for no more than its counters.
"""

from __future__ import annotations

from typing import Any

import attrs

from rtcproto.datachannel import DataChannelStats
from rtcproto.rtp.receive_stream import ReceiveStats

__all__ = [
    "OutboundRtpStats",
    "RemoteInboundRtpStats",
    "SctpTransportStats",
    "SessionStats",
    "SetupPhases",
    "TransportStats",
    "camel_case",
]


def camel_case(name: str) -> str:
    """The standard's spelling of a field: `packets_lost` becomes `packetsLost`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@attrs.frozen(kw_only=True)
class SetupPhases:
    """Seconds from the start of a session to each phase; None: not reached. Ours.

    The start is the moment both descriptions were known. `first_check`: the
    first message with a good MAC; `path`: a proven path was selected; `dtls`:
    the handshake and the fingerprint check were done; `first_media`: the first
    packet with a good tag.
    """

    first_check: float | None = None
    path: float | None = None
    dtls: float | None = None
    first_media: float | None = None


@attrs.frozen(kw_only=True)
class TransportStats:
    """RTCTransportStats and RTCIceCandidatePairStats of the selected pair."""

    dtls_state: str
    dtls_role: str | None
    srtp_cipher: str | None
    dtls_cipher: str | None
    current_round_trip_time: float | None
    total_round_trip_time: float
    requests_received: int
    requests_sent: int
    responses_received: int
    responses_sent: int
    consent_requests_sent: int
    # Ours: datagrams dropped, by reason.
    rejected: dict[str, int]


@attrs.frozen(kw_only=True)
class OutboundRtpStats:
    """RTCOutboundRtpStreamStats."""

    ssrc: int
    packets_sent: int
    bytes_sent: int


@attrs.frozen(kw_only=True)
class RemoteInboundRtpStats:
    """RTCRemoteInboundRtpStreamStats: what the peer says of what it hears of us."""

    ssrc: int
    fraction_lost: float
    packets_lost: int
    jitter: float
    round_trip_time: float | None
    total_round_trip_time: float
    round_trip_time_measurements: int


@attrs.frozen(kw_only=True)
class SctpTransportStats:
    """RTCSctpTransportStats; sizes in bytes."""

    # Ours: the name of the association's state in lower case.
    state: str
    smoothed_round_trip_time: float | None
    congestion_window: int
    receiver_window: int
    # Ours.
    bytes_in_flight: int
    retransmissions: int
    messages_abandoned: int
    packets_dropped: int


@attrs.frozen(kw_only=True)
class SessionStats:
    """Everything `Session.stats` knows at one moment."""

    # Ours: the name of the session's state in lower case.
    state: str
    timestamp: float
    transport: TransportStats
    inbound_rtp: tuple[ReceiveStats, ...]
    outbound_rtp: OutboundRtpStats
    remote_inbound_rtp: RemoteInboundRtpStats | None
    # Of channels that exist; both empty where no data section was agreed on.
    data_channels: tuple[DataChannelStats, ...]
    sctp_transport: SctpTransportStats | None
    phases: SetupPhases

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values under the standard's spelling, for JSON."""

        def plain(value: Any) -> Any:
            if attrs.has(type(value)):
                fields = attrs.fields(type(value))
                return {camel_case(f.name): plain(getattr(value, f.name)) for f in fields}
            if isinstance(value, tuple):
                return [plain(item) for item in value]
            return value

        result = plain(self)
        assert isinstance(result, dict), "a stats value has fields"
        return result
