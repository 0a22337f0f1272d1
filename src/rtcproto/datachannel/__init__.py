"""Data channels, RFC 8831 and RFC 8832: the channels of one SCTP association."""

from rtcproto.datachannel.channel import (
    ChannelClosed,
    ChannelEvent,
    ChannelMessageReceived,
    ChannelOpened,
    ChannelState,
    PayloadProtocol,
    ResetStreams,
    SctpCommand,
    SendMessage,
)
from rtcproto.datachannel.dcep import Ack, ChannelMessage, Open, parse_dcep
from rtcproto.datachannel.manager import MAX_CHANNELS, ChannelManager

__all__ = [
    "Ack",
    "ChannelClosed",
    "ChannelEvent",
    "ChannelManager",
    "ChannelMessage",
    "ChannelMessageReceived",
    "ChannelOpened",
    "ChannelState",
    "MAX_CHANNELS",
    "Open",
    "PayloadProtocol",
    "ResetStreams",
    "SctpCommand",
    "SendMessage",
    "parse_dcep",
]
