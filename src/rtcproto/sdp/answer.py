"""From an offer to our answer.

RFC 3264 section 6, RFC 8843 section 7.3, RFC 9429 section 5.3.1. Called by the
session with a parsed offer and its own side of things.

Theory of operation: the first audio section that can be served is accepted,
and with `AnswerConfig.data` the first section of data channels; every other
section is rejected where it stands (port 0) and left out of the BUNDLE group.
What is accepted shares one transport, the one of the first accepted section
that the offered group names. If no audio section can be served,
`DescriptionRefused` carries the reason of the first: a call without audio is
not served, data channels alone included. A data section that cannot be served
costs the call nothing but its channels. The answer follows the offer's payload
type and mirrors its direction; of header extensions and feedback it repeats
only what is acted on, because every line agreed to is bytes on the wire or
work per packet.

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
from rtcproto.sdp.config import AnswerConfig, DataConfig
from rtcproto.sdp.data import DataNegotiated, RemoteData, read_data, settle_data
from rtcproto.sdp.description import (
    Connection,
    MediaDescription,
    SessionDescription,
)
from rtcproto.sdp.local import (
    data_section,
    default_destination,
    origin,
    source_attributes,
    transport_attributes,
)
from rtcproto.sdp.negotiated import (
    AudioNegotiated,
    Negotiated,
    NegotiatedExtension,
    find_opus,
    in_bundle_order,
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


@attrs.frozen
class _Audio:
    """The offered audio section we serve, and what we read in it."""

    media: MediaDescription
    mid: str
    payload_type: int


@attrs.frozen
class _Data:
    """The offered data section we serve, and both sides of it."""

    media: MediaDescription
    mid: str
    remote: RemoteData
    config: DataConfig

    def negotiated(self) -> DataNegotiated:
        """Ours and theirs."""
        return settle_data(self.mid, self.config.port, self.config.init, self.remote)


def build_answer(
    offer: SessionDescription, config: AnswerConfig
) -> tuple[SessionDescription, Negotiated]:
    """The answer to `offer`, and what the two settle.

    Raises `DescriptionRefused` with the reason if the offer cannot be served;
    an offer of data channels alone is refused as well.
    """
    if offer.ice_lite:
        raise DescriptionRefused("the peer is an ICE-lite agent; it would wait for our checks")
    bundle = offer.group("BUNDLE")
    if bundle is None:
        raise DescriptionRefused("no BUNDLE group")
    audio = _accept_audio(offer, bundle.mids)
    data = None if config.data is None else _accept_data(offer, bundle.mids, config.data)
    accepted = [audio.media] if data is None else [audio.media, data.media]
    # RFC 8843 7.3.2: the first accepted section of the group is the tagged one.
    accepted = in_bundle_order(bundle.mids, accepted)
    # RFC 8843 7.2.1: the first section of the offered group speaks for it, also
    # where we reject that section: what others leave out stands there.
    transport = read_transport(offer, [*accepted, *in_bundle_order(bundle.mids, offer.media)[:1]])
    setup = _local_setup(transport.setup, config)
    tagged = accepted[0].mid
    section, settled = _answer_audio(offer, audio, config, setup, tagged=audio.mid == tagged)
    answered = {audio.mid: section}
    if data is not None:
        answered[data.mid] = data_section(
            config,
            data.config,
            data.mid,
            setup,
            tagged=data.mid == tagged,
            # draft-hancke-tsvwg-snap: in an answer only if the offer had it.
            init=data.remote.init is not None,
        )
    session: list[AttributeValue] = [
        Group("BUNDLE", tuple(media.mid for media in accepted if media.mid is not None))
    ]
    if config.ice_lite:
        session.append(Attribute("ice-lite"))
    answer = SessionDescription(
        origin=origin(config),
        attributes=tuple(session),
        media=tuple(
            _rejected(media) if media.mid is None else answered.get(media.mid) or _rejected(media)
            for media in offer.media
        ),
    )
    return answer, Negotiated(
        remote_ufrag=transport.ufrag,
        remote_pwd=transport.pwd,
        remote_ice_lite=False,
        remote_fingerprints=transport.fingerprints,
        remote_candidates=transport.candidates,
        remote_trickle=transport.trickle,
        local_setup=setup,
        audio=settled,
        data=None if data is None else data.negotiated(),
        rejected_mids=tuple(
            media.mid
            for media in offer.media
            if media.mid is not None and media.mid not in answered
        ),
    )


def _accept_audio(offer: SessionDescription, bundle: tuple[str, ...]) -> _Audio:
    """The first audio section that can be served; the first one's reason if none can."""
    refusal: DescriptionRefused | None = None
    for media in offer.media:
        if media.kind != "audio" or _is_disabled(media):
            continue
        try:
            refuse_unsafe(media)
            mid = _bundled_mid(media, bundle)
            payload_type = find_opus(media)
            if payload_type is None:
                raise DescriptionRefused("no known codec: Opus (opus/48000/2) is needed")
            return _Audio(media, mid, payload_type)
        except DescriptionRefused as reason:
            refusal = refusal or reason
    raise refusal or DescriptionRefused("no audio")


def _accept_data(
    offer: SessionDescription, bundle: tuple[str, ...], config: DataConfig
) -> _Data | None:
    """The first data section that can be served, None if none can."""
    for media in offer.media:
        if media.kind != "application" or _is_disabled(media):
            continue
        try:
            return _Data(media, _bundled_mid(media, bundle), read_data(media), config)
        except DescriptionRefused:
            continue
    return None


def _bundled_mid(media: MediaDescription, bundle: tuple[str, ...]) -> str:
    if media.mid is None or media.mid not in bundle:
        raise DescriptionRefused(f"{media.kind} is not in the BUNDLE group")
    return media.mid


def _is_disabled(media: MediaDescription) -> bool:
    # RFC 8843 6: port 0 with bundle-only is a section that lives in the group. We
    # serve it even if the tagged section is one we reject, where 7.3.1 would have
    # us refuse the offer: the group's transport is the same either way.
    return media.port == 0 and not media.has("bundle-only")


def _local_setup(remote: Setup, config: AnswerConfig) -> Setup:
    # RFC 4145 4.1; holdconn would mean no connection at all for now.
    if remote is Setup.ACTPASS:
        return config.setup
    if remote not in _SETUP_ANSWERS:
        raise DescriptionRefused(f"DTLS role {remote} cannot be answered")
    return _SETUP_ANSWERS[remote]


def _answer_audio(
    offer: SessionDescription,
    accepted: _Audio,
    config: AnswerConfig,
    setup: Setup,
    *,
    tagged: bool,
) -> tuple[MediaDescription, AudioNegotiated]:
    media, payload_type = accepted.media, accepted.payload_type
    flow = offer.direction_of(media).mirrored
    extensions = _answer_extensions(media, config.extensions)
    feedback = usable_feedback(media, payload_type, config.feedback)
    rtcp_rsize = media.has("rtcp-rsize")

    attributes: list[AttributeValue] = [Mid(accepted.mid)]
    attributes += transport_attributes(config, setup, tagged=tagged)
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

    A data section keeps its format `webrtc-datachannel`: Firefox does not parse
    an answer with another one.
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
