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
    Msid,
    SdpCandidate,
    Setup,
    SetupAttribute,
    Ssrc,
)
from rtcproto.sdp.config import AnswerConfig, OfferConfig
from rtcproto.sdp.description import Connection, Origin

__all__ = ["default_destination", "origin", "source_attributes", "transport_attributes"]

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


def transport_attributes(config: AnswerConfig | OfferConfig, setup: Setup) -> list[AttributeValue]:
    """ICE and DTLS parameters, and every candidate, for one section."""
    attributes: list[AttributeValue] = [
        IceUfrag(config.ufrag),
        IcePwd(config.pwd),
        Fingerprint(*config.fingerprint),
        SetupAttribute(setup),
        *config.candidates,
    ]
    if config.candidates:
        # RFC 8840: so that the peer need not wait for more.
        attributes.append(Attribute("end-of-candidates"))
    return attributes


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
