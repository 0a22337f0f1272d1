"""Session descriptions (RFC 8866) and the offer/answer exchange of a voice call.

`parse` turns text into a `SessionDescription`, `str` turns it back.
`build_answer` serves an offer; `build_offer` and `negotiate` are the calling
side; `parse_fragment` reads trickled candidates and ICE restarts. All of it is
pure: no clock, no entropy, no network.

>>> text = "v=0\\r\\no=- 1 1 IN IP4 0.0.0.0\\r\\ns=-\\r\\nt=0 0\\r\\na=ice-lite\\r\\n"
>>> parse(text).ice_lite
True
>>> str(parse(text)) == text
True
"""

from rtcproto.sdp.answer import build_answer
from rtcproto.sdp.attributes import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    Attribute,
    AttributeValue,
    Direction,
    ExtMap,
    Fingerprint,
    Fmtp,
    Group,
    IcePwd,
    IceUfrag,
    MaxMessageSize,
    Mid,
    Msid,
    RtcpFeedback,
    RtpMap,
    SctpInit,
    SctpPort,
    SdpCandidate,
    Setup,
    SetupAttribute,
    Ssrc,
)
from rtcproto.sdp.config import OPUS_PARAMETERS, AnswerConfig, DataConfig, OfferConfig
from rtcproto.sdp.data import DataNegotiated
from rtcproto.sdp.description import (
    MAX_MEDIA,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
    parse,
)
from rtcproto.sdp.fragment import FragmentMedia, SdpFragment, parse_fragment
from rtcproto.sdp.lines import MAX_BYTES, MAX_LINES, Line
from rtcproto.sdp.negotiated import AudioNegotiated, Negotiated, NegotiatedExtension
from rtcproto.sdp.offer import build_offer, negotiate

__all__ = [
    "SessionDescription",
    "parse",
    "build_answer",
    "AnswerConfig",
    "build_offer",
    "OfferConfig",
    "DataConfig",
    "negotiate",
    "Negotiated",
    "AudioNegotiated",
    "DataNegotiated",
    "NegotiatedExtension",
    "SdpFragment",
    "FragmentMedia",
    "parse_fragment",
    "MediaDescription",
    "Origin",
    "Connection",
    "Line",
    "Attribute",
    "AttributeValue",
    "Direction",
    "ExtMap",
    "Fingerprint",
    "Fmtp",
    "Group",
    "IcePwd",
    "IceUfrag",
    "MaxMessageSize",
    "Mid",
    "Msid",
    "RtcpFeedback",
    "RtpMap",
    "SctpInit",
    "SctpPort",
    "SdpCandidate",
    "Setup",
    "SetupAttribute",
    "Ssrc",
    "ABS_SEND_TIME_URI",
    "AUDIO_LEVEL_URI",
    "MID_URI",
    "TRANSPORT_CC_URI",
    "MAX_BYTES",
    "MAX_LINES",
    "MAX_MEDIA",
    "OPUS_PARAMETERS",
]
