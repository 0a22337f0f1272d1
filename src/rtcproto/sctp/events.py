"""What an association tells its owner: events, states, reasons, figures. Values only."""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from rtcproto._attrs import wire

__all__ = [
    "AssociationClosed",
    "AssociationState",
    "BufferedAmountLow",
    "Established",
    "MessageAbandoned",
    "MessageReceived",
    "ResetDone",
    "SctpCloseReason",
    "SctpEvent",
    "SctpStats",
    "StreamsReset",
]


class AssociationState(enum.Enum):
    """RFC 9260 section 4, figure 3; CLOSED stands for before, ENDED for after."""

    CLOSED = "not started; an INIT of the peer is answered"
    COOKIE_WAIT = "our INIT is out"
    COOKIE_ECHOED = "the peer's cookie is on its way back"
    ESTABLISHED = "messages flow"
    SHUTDOWN_PENDING = "closing, once everything sent is acknowledged"
    SHUTDOWN_SENT = "waiting for the peer to finish"
    SHUTDOWN_RECEIVED = "the peer closes; what we have is still sent"
    SHUTDOWN_ACK_SENT = "waiting for the last word"
    ENDED = "over; nothing comes any more"


class SctpCloseReason(enum.Enum):
    """Why an association ended."""

    LOCAL = "closed or aborted by us"
    PEER_CLOSED = "shut down in order by the peer"
    PEER_ABORTED = "aborted by the peer"
    PEER_RESTARTED = "the peer lost its state and began anew"
    NO_ANSWER = "the peer never answered our INIT"
    LOST = "too many retransmissions without an acknowledgement"
    PROTOCOL = "the peer broke the protocol or a limit"


@attrs.frozen(kw_only=True)
class Established:
    """Messages flow. The stream counts are what both sides agree on."""

    inbound_streams: int
    outbound_streams: int


@wire
class MessageReceived:
    """One whole message. `ppid` is RFC 8831's payload protocol identifier."""

    stream: int
    ppid: int
    data: bytes

    def __repr__(self) -> str:
        return f"MessageReceived(stream={self.stream}, ppid={self.ppid}, {len(self.data)} bytes)"


@attrs.frozen(kw_only=True)
class StreamsReset:
    """The peer closed its outgoing side of these streams; nothing of them is still to come."""

    streams: tuple[int, ...]


@attrs.frozen(kw_only=True)
class ResetDone:
    """The peer answered our reset; unless `accepted`, the streams keep their numbering."""

    streams: tuple[int, ...]
    accepted: bool


@attrs.frozen(kw_only=True)
class BufferedAmountLow:
    """What waits on the stream fell to its threshold (0 unless set) or below."""

    stream: int


@attrs.frozen(kw_only=True)
class MessageAbandoned:
    """A message with limited reliability was given up; it may have arrived in part."""

    stream: int


@attrs.frozen(kw_only=True)
class AssociationClosed:
    """The end, and the last event. `detail` is for people."""

    reason: SctpCloseReason
    detail: str = ""


SctpEvent: TypeAlias = (
    Established
    | MessageReceived
    | StreamsReset
    | ResetDone
    | BufferedAmountLow
    | MessageAbandoned
    | AssociationClosed
)


@attrs.frozen(kw_only=True)
class SctpStats:
    """Figures since the start; sizes in bytes, times in seconds, None where not known yet."""

    state: AssociationState
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    # Packets not taken: malformed, or with a verification tag that is not ours.
    packets_dropped: int
    messages_sent: int
    messages_received: int
    messages_abandoned: int
    # DATA chunks sent again, and how often a time-out was the reason.
    retransmissions: int
    timeouts: int
    round_trip_time: float | None
    retransmission_timeout: float | None
    congestion_window: int
    bytes_in_flight: int
    # Waiting to be sent or acknowledged; held to be put together or in order.
    send_buffered: int
    receive_buffered: int
    peer_receive_window: int
