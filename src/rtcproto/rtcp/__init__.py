"""RTCP: codec (RFC 3550, 4585, 5104, 5506, 3611, transport-cc) and report timing."""

from rtcproto.rtcp.feedback import Fir, Nack, Pli, Remb
from rtcproto.rtcp.packet import RtcpPacket, Unknown, build_compound, parse_compound
from rtcproto.rtcp.reports import ReceiverReport, ReportBlock, SenderReport, round_trip_time
from rtcproto.rtcp.scheduler import RtcpScheduler
from rtcproto.rtcp.sdes_bye import App, Bye, Sdes, SdesChunk, SdesItem
from rtcproto.rtcp.template import ReportTemplate
from rtcproto.rtcp.twcc import TransportFeedback
from rtcproto.rtcp.xr import Dlrr, DlrrEntry, ReceiverReferenceTime, UnknownXrBlock, Xr

__all__ = [
    "App",
    "Bye",
    "Dlrr",
    "DlrrEntry",
    "Fir",
    "Nack",
    "Pli",
    "ReceiverReferenceTime",
    "ReceiverReport",
    "Remb",
    "ReportBlock",
    "ReportTemplate",
    "RtcpPacket",
    "RtcpScheduler",
    "Sdes",
    "SdesChunk",
    "SdesItem",
    "SenderReport",
    "TransportFeedback",
    "Unknown",
    "UnknownXrBlock",
    "Xr",
    "build_compound",
    "parse_compound",
    "round_trip_time",
]
