"""The section of data channels: `m=application`, SCTP over DTLS (RFC 8841).

Called by `answer` and `offer`, which hold a peer's section to the same law and
write ours alike. There is one form: `UDP/DTLS/SCTP webrtc-datachannel` in the
BUNDLE group, with an SCTP port. The forms of old drafts (`DTLS/SCTP 5000` and
`a=sctpmap`) and SCTP over TCP are refused; browsers gave them up in 2019.

`a=sctp-init` carries an INIT chunk (draft-hancke-tsvwg-snap): where both sides
give one, the association needs no handshake of its own. The bytes are handed
on as they are; whether they are an INIT chunk is for SCTP to say.
"""

from __future__ import annotations

import attrs

from rtcproto.errors import DescriptionRefused
from rtcproto.sdp.attributes import AttributeValue, MaxMessageSize, SctpInit, SctpPort
from rtcproto.sdp.config import DataConfig
from rtcproto.sdp.description import MediaDescription

__all__ = [
    "DATA_FORMAT",
    "DATA_PROTOCOL",
    "DEFAULT_MAX_MESSAGE_SIZE",
    "DataNegotiated",
    "RemoteData",
    "data_attributes",
    "read_data",
    "settle_data",
]

# RFC 8841 4.1, 4.2; RFC 8832 names the format.
DATA_PROTOCOL = "UDP/DTLS/SCTP"
DATA_FORMAT = "webrtc-datachannel"

# RFC 8841 6.1: 'If the SDP "max-message-size" attribute is not present, the
# default value is 64K.' Pion and GStreamer leave it out.
DEFAULT_MAX_MESSAGE_SIZE = 65536


@attrs.frozen(kw_only=True)
class DataNegotiated:
    """The accepted data section.

    `remote_max_message_size` is the largest message, in bytes, that the peer
    takes; 0 means that it sets no limit (RFC 8841 section 6). `remote_init` is
    the peer's INIT chunk, not yet looked into; None unless both sides gave one.
    """

    mid: str
    local_port: int
    remote_port: int
    remote_max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    remote_init: bytes | None = None


@attrs.frozen
class RemoteData:
    """What a peer's data section says."""

    port: int
    max_message_size: int
    init: bytes | None


def read_data(media: MediaDescription) -> RemoteData:
    """What a section of kind `application` says; `DescriptionRefused` if it is of no use."""
    if media.protocol != DATA_PROTOCOL:
        raise DescriptionRefused(f"data is not {DATA_PROTOCOL}")
    if media.formats != (DATA_FORMAT,):
        raise DescriptionRefused(f"data is not {DATA_FORMAT}")
    # As for audio: DTLS makes the keys here, nobody else.
    if media.has("crypto"):
        raise DescriptionRefused("keys in the description (a=crypto) are not accepted")
    # RFC 8841 5.1: there is no default, a section without the attribute is invalid;
    # 5.2: zero asks for no association.
    port = media.first(SctpPort)
    if port is None or port.value == 0:
        raise DescriptionRefused("data names no SCTP port (sctp-port)")
    size, init = media.first(MaxMessageSize), media.first(SctpInit)
    return RemoteData(
        port.value,
        DEFAULT_MAX_MESSAGE_SIZE if size is None else size.value,
        None if init is None else init.chunk,
    )


def data_attributes(config: DataConfig, *, init: bool) -> list[AttributeValue]:
    """The lines of our section that speak of SCTP; the INIT chunk only if `init`."""
    lines: list[AttributeValue] = [
        SctpPort(config.port),
        MaxMessageSize(config.max_message_size),
    ]
    if init and config.init is not None:
        lines.append(SctpInit(config.init))
    return lines


def settle_data(mid: str, port: int, ours: bytes | None, theirs: RemoteData) -> DataNegotiated:
    """What our port and INIT chunk and the peer's section make together."""
    return DataNegotiated(
        mid=mid,
        local_port=port,
        remote_port=theirs.port,
        remote_max_message_size=theirs.max_message_size,
        remote_init=None if ours is None else theirs.init,
    )
