"""RTP: the packet, its header extensions, and the sending and receiving side of a stream.

>>> packet = RtpPacket(111, True, 1, 960, 0x1234, b"payload")
>>> RtpPacket.parse(packet.serialize()) == packet
True
"""

from rtcproto.rtp.extensions import (
    AudioLevel,
    ExtensionUri,
    build_extensions,
    find_extension,
    parse_extensions,
)
from rtcproto.rtp.packet import RtpPacket
from rtcproto.rtp.receive_stream import LostRange, ReceiveStats, ReceiveStream
from rtcproto.rtp.send_stream import SenderInfo, SendStream

__all__ = [
    "AudioLevel",
    "ExtensionUri",
    "LostRange",
    "ReceiveStats",
    "ReceiveStream",
    "RtpPacket",
    "SendStream",
    "SenderInfo",
    "build_extensions",
    "find_extension",
    "parse_extensions",
]
