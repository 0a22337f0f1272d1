"""SRTP and SRTCP: profiles, key derivation, and the contexts that protect and open packets."""

from rtcproto.srtp.context import MAX_STREAMS, SrtpReceiver, SrtpSender
from rtcproto.srtp.kdf import split_keying_material
from rtcproto.srtp.profiles import MasterKey, Profile

__all__ = [
    "MAX_STREAMS",
    "MasterKey",
    "Profile",
    "SrtpReceiver",
    "SrtpSender",
    "split_keying_material",
]
