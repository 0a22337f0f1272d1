"""Data channels, RFC 8831 and RFC 8832: the channels of one SCTP association."""

from rtcproto.datachannel.channel import (
    ChannelState,
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelEvent,
    DataChannelMessage,
    DataChannelOpened,
    DataChannelStats,
    PayloadProtocol,
    ResetStreams,
    SctpCommand,
    SendMessage,
)
from rtcproto.datachannel.dcep import Ack, ChannelMessage, Open, parse_dcep
from rtcproto.datachannel.manager import MAX_CHANNELS, ChannelManager

__all__ = [
    "Ack",
    "ChannelManager",
    "ChannelMessage",
    "ChannelState",
    "DataChannelBufferLow",
    "DataChannelClosed",
    "DataChannelEvent",
    "DataChannelMessage",
    "DataChannelOpened",
    "DataChannelStats",
    "MAX_CHANNELS",
    "Open",
    "PayloadProtocol",
    "ResetStreams",
    "SctpCommand",
    "SendMessage",
    "parse_dcep",
]
