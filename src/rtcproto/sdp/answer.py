"""From an offer to our answer.

RFC 3264 section 6, RFC 8843 section 7.3, RFC 9429 section 5.3.1. Called by the
session with a parsed offer and its own side of things.

Theory of operation: the first audio section that can be served is accepted,
every other section is rejected where it stands (port 0) and left out of the
BUNDLE group. That group is then one section, so all of its transport belongs
to it. If no audio section can be served, `DescriptionRefused` carries the
reason of the first. The answer follows the offer's payload type and mirrors
its direction; of header extensions and feedback it repeats only what is acted
on, because every line agreed to is bytes on the wire or work per packet.

What it refuses beyond that: an offer without BUNDLE, one from an ICE-lite peer
(it would wait for checks from us, who wait for its), and DTLS roles other than
active, passive and actpass.
"""

from __future__ import annotations

import attrs

from rtcproto.errors import DescriptionRefused
from rtcproto.sdp.attributes import (
    Attribute,
    AttributeValue,
    Direction,
    ExtMap,
    Fmtp,
    Group,
    Mid,
    RtcpFeedback,
    RtpMap,
    Setup,
)
from rtcproto.sdp.config import AnswerConfig
from rtcproto.sdp.description import (
    Connection,
    MediaDescription,
    SessionDescription,
)
from rtcproto.sdp.local import (
    default_destination,
    origin,
    source_attributes,
    transport_attributes,
)
from rtcproto.sdp.negotiated import (
    AudioNegotiated,
    Negotiated,
    NegotiatedExtension,
    RemoteTransport,
    find_opus,
    read_transport,
    refuse_unsafe,
    remote_fmtp,
    remote_ssrcs,
    usable_extensions,
    usable_feedback,
)

__all__ = ["build_answer"]

# What an offered role leaves us; actpass leaves the choice to the configuration.
_SETUP_ANSWERS = {Setup.ACTIVE: Setup.PASSIVE, Setup.PASSIVE: Setup.ACTIVE}


@attrs.frozen(kw_only=True)
class _Accepted:
    """The offered section we serve, and what we read in it."""

    media: MediaDescription
    mid: str
    payload_type: int
    transport: RemoteTransport


def build_answer(
    offer: SessionDescription, config: AnswerConfig
) -> tuple[SessionDescription, Negotiated]:
    """The answer to `offer`, and what the two settle.

    Raises `DescriptionRefused` with the reason if the offer cannot be served.
    """
    if offer.ice_lite:
        raise DescriptionRefused("the peer is an ICE-lite agent; it would wait for our checks")
    accepted = _accept(offer)
    setup = _local_setup(accepted.transport.setup, config)
    section, audio = _answer_audio(offer, accepted, config, setup)
    session: list[AttributeValue] = [Group("BUNDLE", (accepted.mid,))]
    if config.ice_lite:
        session.append(Attribute("ice-lite"))
    answer = SessionDescription(
        origin=origin(config),
        attributes=tuple(session),
        media=tuple(
            section if media is accepted.media else _rejected(media) for media in offer.media
        ),
    )
    transport = accepted.transport
    return answer, Negotiated(
        remote_ufrag=transport.ufrag,
        remote_pwd=transport.pwd,
        remote_ice_lite=False,
        remote_fingerprints=transport.fingerprints,
        remote_candidates=transport.candidates,
        remote_trickle=transport.trickle,
        local_setup=setup,
        audio=audio,
        rejected_mids=tuple(
            media.mid
            for media in offer.media
            if media is not accepted.media and media.mid is not None
        ),
    )


def _accept(offer: SessionDescription) -> _Accepted:
    """The first audio section that can be served; the first one's reason if none can."""
    bundle = offer.group("BUNDLE")
    if bundle is None:
        raise DescriptionRefused("no BUNDLE group")
    by_mid = {media.mid: media for media in offer.media}
    # RFC 8843 7.2.1: the first section of the group speaks for it.
    tagged = next((by_mid[mid] for mid in bundle.mids if mid in by_mid), None)
    refusal: DescriptionRefused | None = None
    for media in offer.media:
        if media.kind != "audio" or _is_disabled(media):
            continue
        try:
            return _accept_audio(offer, media, frozenset(bundle.mids), tagged or media)
        except DescriptionRefused as reason:
            refusal = refusal or reason
    raise refusal or DescriptionRefused("no audio")


def _is_disabled(media: MediaDescription) -> bool:
    # RFC 8843 6: port 0 with bundle-only is a section that lives in the group. We
    # serve it even if the tagged section is one we reject, where 7.3.1 would have
    # us refuse the offer: the group's transport is the same either way.
    return media.port == 0 and not media.has("bundle-only")


def _accept_audio(
    offer: SessionDescription,
    media: MediaDescription,
    bundled: frozenset[str],
    tagged: MediaDescription,
) -> _Accepted:
    refuse_unsafe(media)
    mid = media.mid
    if mid is None or mid not in bundled:
        raise DescriptionRefused("audio is not in the BUNDLE group")
    payload_type = find_opus(media)
    if payload_type is None:
        raise DescriptionRefused("no known codec: Opus (opus/48000/2) is needed")
    return _Accepted(
        media=media,
        mid=mid,
        payload_type=payload_type,
        transport=read_transport(offer, media, tagged),
    )


def _local_setup(remote: Setup, config: AnswerConfig) -> Setup:
    # RFC 4145 4.1; holdconn would mean no connection at all for now.
    if remote is Setup.ACTPASS:
        return config.setup
    if remote not in _SETUP_ANSWERS:
        raise DescriptionRefused(f"DTLS role {remote} cannot be answered")
    return _SETUP_ANSWERS[remote]


def _answer_audio(
    offer: SessionDescription, accepted: _Accepted, config: AnswerConfig, setup: Setup
) -> tuple[MediaDescription, AudioNegotiated]:
    media, payload_type = accepted.media, accepted.payload_type
    flow = offer.direction_of(media).mirrored
    extensions = _answer_extensions(media, config.extensions)
    feedback = usable_feedback(media, payload_type, config.feedback)
    rtcp_rsize = media.has("rtcp-rsize")

    attributes: list[AttributeValue] = [Mid(accepted.mid)]
    attributes += transport_attributes(config, setup)
    attributes += extensions
    attributes += [Attribute(flow.value), Attribute("rtcp-mux")]
    if rtcp_rsize:
        attributes.append(Attribute("rtcp-rsize"))
    attributes.append(RtpMap(payload_type, "opus", 48000, "2"))
    attributes.append(Fmtp(str(payload_type), config.opus_parameters))
    attributes += [RtcpFeedback(str(payload_type), name) for name in feedback]
    if flow.sends:
        attributes += source_attributes(config)

    port, connection = default_destination(config.candidates)
    section = MediaDescription(
        kind=media.kind,
        port=port,
        protocol=media.protocol,
        formats=(str(payload_type),),
        connections=(connection,),
        attributes=tuple(attributes),
    )
    return section, AudioNegotiated(
        mid=accepted.mid,
        payload_type=payload_type,
        send_allowed=flow.sends,
        receive_allowed=flow.receives,
        rtcp_rsize=rtcp_rsize,
        extensions=tuple(
            NegotiatedExtension(
                uri=extension.uri,
                id=extension.id,
                send_allowed=extension.direction.sends,
                receive_allowed=extension.direction.receives,
            )
            for extension in extensions
        ),
        feedback=feedback,
        remote_fmtp=remote_fmtp(media, payload_type),
        remote_ssrcs=remote_ssrcs(media),
    )


def _answer_extensions(media: MediaDescription, wanted: tuple[str, ...]) -> list[ExtMap]:
    """Our extmap lines: ids and attributes as offered, directions mirrored."""
    return [
        attrs.evolve(extension, direction=extension.direction.mirrored)
        for extension in usable_extensions(media, wanted)
        # RFC 8285 section 6: an inactive one is only a placeholder for its id.
        if extension.direction is not Direction.INACTIVE
    ]


def _rejected(media: MediaDescription) -> MediaDescription:
    """RFC 3264 section 6: same media, protocol and formats, port zero.

    A data section (UDP/DTLS/SCTP) is rejected like any other, GStreamer's
    `m=application 0` with `bundle-only` included: that one is an offer.
    """
    mid = media.mid
    attributes: list[AttributeValue] = [] if mid is None else [Mid(mid)]
    attributes.append(Attribute(Direction.INACTIVE.value))
    return MediaDescription(
        kind=media.kind,
        port=0,
        protocol=media.protocol,
        formats=media.formats,
        connections=(Connection("0.0.0.0"),),  # noqa: S104  (nowhere, not a bind)
        attributes=tuple(attributes),
    )
