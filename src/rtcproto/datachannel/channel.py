"""What a data channel is: parameters, state, and what happens to it.

RFC 8831 section 6. Values only; the `ChannelManager` is the machine.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from rtcproto.datachannel.dcep import Open

__all__ = [
    "ChannelState",
    "DataChannelBufferLow",
    "DataChannelClosed",
    "DataChannelEvent",
    "DataChannelMessage",
    "DataChannelOpened",
    "DataChannelStats",
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
class DataChannelOpened:
    """Messages may be sent on channel `channel`. `incoming`: the peer asked for it."""

    channel: int
    parameters: Open
    incoming: bool

    @property
    def label(self) -> str:
        """What the opener calls the channel."""
        return self.parameters.label

    @property
    def protocol(self) -> str:
        """What is spoken on the channel, by the opener's word; often empty."""
        return self.parameters.protocol


@attrs.frozen(kw_only=True)
class DataChannelMessage:
    """A whole message: `str` if the peer sent text, `bytes` otherwise."""

    channel: int
    data: str | bytes

    def __repr__(self) -> str:
        kind = "characters" if isinstance(self.data, str) else "bytes"
        return f"DataChannelMessage(channel={self.channel}, {len(self.data)} {kind})"


@attrs.frozen(kw_only=True)
class DataChannelBufferLow:
    """What waits on the channel fell to the threshold that was set for it, or below."""

    channel: int


@attrs.frozen(kw_only=True)
class DataChannelClosed:
    """The channel is gone, by either side; its last event."""

    channel: int


DataChannelEvent: TypeAlias = (
    DataChannelOpened | DataChannelMessage | DataChannelBufferLow | DataChannelClosed
)


@attrs.frozen(kw_only=True)
class DataChannelStats:
    """RTCDataChannelStats of a channel that exists; sizes in bytes, of messages as given."""

    data_channel_identifier: int
    label: str
    protocol: str
    # The name of its `ChannelState`, in lower case.
    state: str
    messages_sent: int
    bytes_sent: int
    messages_received: int
    bytes_received: int


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
