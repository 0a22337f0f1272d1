"""What a data channel is: parameters, state, and what happens to it.

RFC 8831 section 6. Values only; the `ChannelManager` is the machine.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from rtcproto.datachannel.dcep import Open

__all__ = [
    "ChannelClosed",
    "ChannelEvent",
    "ChannelMessageReceived",
    "ChannelOpened",
    "ChannelState",
    "PayloadProtocol",
    "ResetStreams",
    "SctpCommand",
    "SendMessage",
]


class PayloadProtocol(enum.IntEnum):
    """https://www.iana.org/assignments/sctp-parameters (Payload Protocol Identifiers)."""

    DCEP = 50
    STRING = 51
    BINARY = 53
    STRING_EMPTY = 56
    BINARY_EMPTY = 57


class ChannelState(enum.Enum):
    """The life of a channel. RTCDataChannelState has the same four, "closed" included."""

    CONNECTING = "waiting for the association, or for the peer's answer"
    OPEN = "messages flow"
    CLOSING = "our direction is reset, or will be when everything is sent"
    CLOSED = "gone; its id may be used again"


@attrs.frozen(kw_only=True)
class ChannelOpened:
    """Messages may be sent on channel `channel`. `incoming`: the peer asked for it."""

    channel: int
    parameters: Open
    incoming: bool


@attrs.frozen(kw_only=True)
class ChannelMessageReceived:
    """A whole message: `str` if the peer sent text, `bytes` otherwise."""

    channel: int
    data: str | bytes

    def __repr__(self) -> str:
        kind = "characters" if isinstance(self.data, str) else "bytes"
        return f"ChannelMessageReceived(channel={self.channel}, {len(self.data)} {kind})"


@attrs.frozen(kw_only=True)
class ChannelClosed:
    """The channel is gone, by either side; its last event."""

    channel: int


ChannelEvent: TypeAlias = ChannelOpened | ChannelMessageReceived | ChannelClosed


@attrs.frozen(kw_only=True)
class SendMessage:
    """To be sent on the association; `lifetime` in seconds."""

    stream: int
    ppid: int
    data: bytes = attrs.field(repr=False)
    ordered: bool = True
    max_retransmits: int | None = None
    lifetime: float | None = None


@attrs.frozen(kw_only=True)
class ResetStreams:
    """Our outgoing side of these streams is to be reset, once what is queued has been sent."""

    streams: tuple[int, ...]


SctpCommand: TypeAlias = SendMessage | ResetStreams
