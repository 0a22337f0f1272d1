"""Opus without a codec: packets taken apart and put together, and its SDP parameters.

>>> samples_per_packet(SILENCE_MONO)  # at 48 kHz: 20 ms
960
>>> OpusPacket.parse(SILENCE_MONO).toc.mode.name
'CELT'
>>> parse_fmtp("minptime=10;useinbandfec=1").useinbandfec
True
"""

from rtcproto.opus.fmtp import OpusParameters, build_fmtp, parse_fmtp
from rtcproto.opus.packetizer import SILENCE_MONO, SILENCE_STEREO, build_packet, join, split
from rtcproto.opus.toc import (
    Bandwidth,
    Mode,
    OpusPacket,
    Toc,
    is_dtx,
    parse_toc,
    samples_per_packet,
)

__all__ = [
    "SILENCE_MONO",
    "SILENCE_STEREO",
    "Bandwidth",
    "Mode",
    "OpusPacket",
    "OpusParameters",
    "Toc",
    "build_fmtp",
    "build_packet",
    "is_dtx",
    "join",
    "parse_fmtp",
    "parse_toc",
    "samples_per_packet",
    "split",
]
