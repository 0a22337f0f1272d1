"""The lines that say where and who we are, the same in an answer and in an offer.

RFC 8839 (ICE), 8122 (fingerprint), 5763 (setup), 8830 (msid), 5576 (cname).
Called by `answer` and `offer`; the values were checked when the configuration
was made.
"""

from __future__ import annotations

from rtcproto.sdp.attributes import (
    Attribute,
    AttributeValue,
    Fingerprint,
    IcePwd,
    IceUfrag,
    Mid,
    Msid,
    SdpCandidate,
    Setup,
    SetupAttribute,
    Ssrc,
)
from rtcproto.sdp.config import AnswerConfig, DataConfig, OfferConfig
from rtcproto.sdp.data import DATA_FORMAT, DATA_PROTOCOL, data_attributes
from rtcproto.sdp.description import Connection, MediaDescription, Origin

__all__ = [
    "data_section",
    "default_destination",
    "origin",
    "source_attributes",
    "transport_attributes",
]

# RFC 9429 section 5.2.1: what to write where no default candidate is known.
_NOWHERE = (9, "0.0.0.0")  # noqa: S104  (the discard port of no address, not a bind)


def origin(config: AnswerConfig | OfferConfig) -> Origin:
    """The `o=` line."""
    return Origin(session_id=config.session_id, version=config.session_version)


def default_destination(candidates: tuple[SdpCandidate, ...]) -> tuple[int, Connection]:
    """Port of the m-line and its `c=` line: the default candidate (RFC 8839 section 4.2.1).

    Names are passed over: a `c=` line with a name would make the peer resolve it.
    """
    port, host = _NOWHERE
    for candidate in candidates:
        if candidate.transport.lower() == "udp" and _is_address(candidate.host):
            port, host = candidate.port, candidate.host
            break
    return port, Connection.to(host)


def transport_attributes(
    config: AnswerConfig | OfferConfig, setup: Setup, *, tagged: bool
) -> list[AttributeValue]:
    """ICE and DTLS parameters for one section, with every candidate if it is the tagged one.

    RFC 8843 section 7.1.3 wants all of it in the tagged section alone. Peers
    that read section by section look for credentials in each, so those are
    repeated; candidates listed twice would be checked twice.
    """
    attributes: list[AttributeValue] = [
        IceUfrag(config.ufrag),
        IcePwd(config.pwd),
        Fingerprint(*config.fingerprint),
        SetupAttribute(setup),
    ]
    if tagged and config.candidates:
        attributes += config.candidates
        # RFC 8840: so that the peer need not wait for more.
        attributes.append(Attribute("end-of-candidates"))
    return attributes


def data_section(
    config: AnswerConfig | OfferConfig,
    data: DataConfig,
    mid: str,
    setup: Setup,
    *,
    tagged: bool,
    init: bool,
) -> MediaDescription:
    """Our section of data channels; our INIT chunk, if there is one, only if `init`."""
    port, connection = default_destination(config.candidates)
    return MediaDescription(
        kind="application",
        port=port,
        protocol=DATA_PROTOCOL,
        formats=(DATA_FORMAT,),
        connections=(connection,),
        attributes=(
            Mid(mid),
            *transport_attributes(config, setup, tagged=tagged),
            *data_attributes(data, init=init),
        ),
    )


def source_attributes(config: AnswerConfig | OfferConfig) -> list[AttributeValue]:
    """Who sends here: stream and track, and the SSRC with its CNAME."""
    return [
        Msid(config.stream_id, config.track_id),
        Ssrc(config.ssrc, "cname", config.cname),
    ]


def _is_address(host: str) -> bool:
    if ":" in host:
        return True
    return host.replace(".", "").isdigit()
