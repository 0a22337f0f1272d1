"""Our own offer, and what a peer's answer to it settles.

RFC 3264 sections 5 and 7, RFC 9429 sections 5.2.1 and 5.11. Called by the
session when it is the one that calls, as our own client does.

The offer is one Opus section in a BUNDLE group, RTCP multiplexed, both DTLS
roles open; with `OfferConfig.data` a section of data channels follows. That one
may be rejected, the audio may not. `negotiate` holds the answer to it: same
sections in the same order, nothing that was not offered, nothing less safe than
what was offered. Anything else is `DescriptionRefused`, since an answer cannot
be answered.
"""

from __future__ import annotations

from rtcproto.errors import DescriptionRefused
from rtcproto.sdp.attributes import (
    AUDIO_LEVEL_URI,
    MID_URI,
    Attribute,
    AttributeValue,
    Direction,
    ExtMap,
    Fmtp,
    Group,
    Mid,
    RtcpFeedback,
    RtpMap,
    SctpInit,
    SctpPort,
    Setup,
    SetupAttribute,
    direction,
)
from rtcproto.sdp.config import OfferConfig
from rtcproto.sdp.data import DataNegotiated, read_data, settle_data
from rtcproto.sdp.description import MediaDescription, SessionDescription
from rtcproto.sdp.local import (
    data_section,
    default_destination,
    origin,
    source_attributes,
    transport_attributes,
)
from rtcproto.sdp.negotiated import (
    AUDIO_PROTOCOL,
    AudioNegotiated,
    Negotiated,
    NegotiatedExtension,
    find_opus,
    read_transport,
    refuse_unsafe,
    remote_fmtp,
    remote_ssrcs,
)

__all__ = ["build_offer", "negotiate"]


def build_offer(config: OfferConfig) -> SessionDescription:
    """An offer of one Opus section and, with `config.data`, one of data channels."""
    payload_type = str(config.payload_type)
    attributes: list[AttributeValue] = [Mid(config.mid)]
    attributes += transport_attributes(config, config.setup, tagged=True)
    uris = dict.fromkeys((AUDIO_LEVEL_URI, MID_URI, *config.extensions))
    attributes += [ExtMap(number, uri) for number, uri in enumerate(uris, 1)]
    attributes += [Attribute(config.direction.value), Attribute("rtcp-mux")]
    attributes.append(Attribute("rtcp-rsize"))
    attributes.append(RtpMap(config.payload_type, "opus", 48000, "2"))
    attributes.append(Fmtp(payload_type, config.opus_parameters))
    attributes += [RtcpFeedback(payload_type, name) for name in config.feedback]
    if config.direction.sends:
        attributes += source_attributes(config)
    port, connection = default_destination(config.candidates)
    media = [
        MediaDescription(
            kind="audio",
            port=port,
            protocol=AUDIO_PROTOCOL,
            formats=(payload_type,),
            connections=(connection,),
            attributes=tuple(attributes),
        )
    ]
    mids = [config.mid]
    if config.data is not None:
        mids.append(config.data_mid)
        media.append(
            data_section(
                config, config.data, config.data_mid, config.setup, tagged=False, init=True
            )
        )
    return SessionDescription(
        origin=origin(config),
        attributes=(Group("BUNDLE", tuple(mids)),),
        media=tuple(media),
    )


def negotiate(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """What `answer` settles for us, who sent `offer`.

    Raises `DescriptionRefused` with the reason if it does not answer the offer.
    """
    _match_sections(offer, answer)
    index = next((i for i, media in enumerate(offer.media) if media.kind == "audio"), None)
    if index is None:
        raise DescriptionRefused("no audio was offered")
    offered, answered = offer.media[index], answer.media[index]
    if answered.port == 0:
        raise DescriptionRefused("the audio section was rejected")
    refuse_unsafe(answered)
    sections = _bundled(offer, answer)
    payload_type = find_opus(answered)
    if payload_type is None or str(payload_type) not in offered.formats:
        raise DescriptionRefused("the answer holds no codec that was offered")
    transport = read_transport(answer, sections)
    return Negotiated(
        remote_ufrag=transport.ufrag,
        remote_pwd=transport.pwd,
        remote_ice_lite=answer.ice_lite,
        remote_fingerprints=transport.fingerprints,
        remote_candidates=transport.candidates,
        remote_trickle=transport.trickle,
        local_setup=_local_setup(offered, transport.setup),
        audio=_audio(offer, answer, offered, answered, payload_type),
        data=_data(offer, answer),
        rejected_mids=tuple(
            media.mid
            for media, reply in zip(offer.media, answer.media, strict=True)
            if reply.port == 0 and media.mid is not None
        ),
    )


def _match_sections(offer: SessionDescription, answer: SessionDescription) -> None:
    # RFC 3264 6: 'The answer MUST contain exactly the same number of "m=" lines as
    # the offer.  This allows for streams to be matched up based on their order.'
    if len(answer.media) != len(offer.media):
        raise DescriptionRefused("the answer has another number of m-lines than the offer")
    for offered, answered in zip(offer.media, answer.media, strict=True):
        if answered.kind != offered.kind:
            raise DescriptionRefused("an m-line of the answer is of another kind than offered")
        if answered.protocol != offered.protocol:
            raise DescriptionRefused("an m-line of the answer has another protocol than offered")
        # RFC 5888 9.1 has an answerer that knows mid repeat it; others say none.
        if answered.mid not in (None, offered.mid):
            raise DescriptionRefused("an m-line of the answer has another mid than offered")


def _bundled(offer: SessionDescription, answer: SessionDescription) -> list[MediaDescription]:
    """The live sections of the answer, the one that speaks for the group first."""
    # By the offer's mids: an answer need not repeat them.
    live = {
        offered.mid: answered
        for offered, answered in zip(offer.media, answer.media, strict=True)
        if answered.port != 0
    }
    # Without a group an offer of one section still has one transport: nothing is
    # lost. A group that leaves a section out would be a second transport.
    group = answer.group("BUNDLE")
    if group is None:
        if len(live) > 1:
            raise DescriptionRefused("the answer has no BUNDLE group")
        return list(live.values())
    if not live.keys() <= set(group.mids):
        raise DescriptionRefused("a section is not in the answer's BUNDLE group")
    return [live[mid] for mid in dict.fromkeys(group.mids) if mid in live]


def _local_setup(offered: MediaDescription, remote: Setup) -> Setup:
    ours = offered.first(SetupAttribute)
    # RFC 4145 4.1: "active" where an offer says nothing; ours always says.
    role = Setup.ACTIVE if ours is None else ours.role
    match remote, role:
        case Setup.ACTIVE, Setup.ACTPASS | Setup.PASSIVE:
            return Setup.PASSIVE
        case Setup.PASSIVE, Setup.ACTPASS | Setup.ACTIVE:
            return Setup.ACTIVE
        case _:
            raise DescriptionRefused(f"DTLS role {remote} does not answer {role}")


def _audio(
    offer: SessionDescription,
    answer: SessionDescription,
    offered: MediaDescription,
    answered: MediaDescription,
    payload_type: int,
) -> AudioNegotiated:
    ours, theirs = offer.direction_of(offered), answer.direction_of(answered)
    # RFC 3264 6.1: an answer may only take away from what was offered.
    if (theirs.sends and not ours.receives) or (theirs.receives and not ours.sends):
        raise DescriptionRefused("the answer's direction goes beyond the offer's")
    flow = direction(sends=ours.sends and theirs.receives, receives=ours.receives and theirs.sends)
    offered_feedback = [entry.feedback for entry in offered.all(RtcpFeedback)]
    names = (str(payload_type), "*")
    taken = {e.feedback for e in answered.all(RtcpFeedback) if e.payload_type in names}
    return AudioNegotiated(
        mid=offered.mid or "",
        payload_type=payload_type,
        send_allowed=flow.sends,
        receive_allowed=flow.receives,
        rtcp_rsize=offered.has("rtcp-rsize") and answered.has("rtcp-rsize"),
        extensions=_extensions(offered, answered),
        feedback=tuple(name for name in offered_feedback if name in taken),
        remote_fmtp=remote_fmtp(answered, payload_type),
        remote_ssrcs=remote_ssrcs(answered),
    )


def _data(offer: SessionDescription, answer: SessionDescription) -> DataNegotiated | None:
    """The data channels we offered, None if we offered none or they were rejected."""
    for offered, answered in zip(offer.media, answer.media, strict=True):
        port, init = offered.first(SctpPort), offered.first(SctpInit)
        if offered.kind != "application" or port is None or answered.port == 0:
            continue
        return settle_data(
            offered.mid or "",
            port.value,
            None if init is None else init.chunk,
            read_data(answered),
        )
    return None


def _extensions(
    offered: MediaDescription, answered: MediaDescription
) -> tuple[NegotiatedExtension, ...]:
    ids = {extension.uri: extension.id for extension in offered.all(ExtMap)}
    agreed: dict[str, NegotiatedExtension] = {}
    for extension in answered.all(ExtMap):
        # RFC 8285 6: the answerer must not add to what was offered; one that does,
        # or moves an id, would have us read one extension as another.
        if ids.get(extension.uri) != extension.id:
            raise DescriptionRefused("the answer has a header extension that was not offered")
        if extension.direction is not Direction.INACTIVE:
            agreed[extension.uri] = NegotiatedExtension(
                uri=extension.uri,
                id=extension.id,
                send_allowed=extension.direction.receives,
                receive_allowed=extension.direction.sends,
            )
    return tuple(agreed.values())
