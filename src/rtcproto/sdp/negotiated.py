"""What offer and answer together settle, and how a peer's section is read for it.

`answer` reads an offer with these functions, `offer` reads an answer with the
same ones, so that both directions apply the same law. All of them raise
`DescriptionRefused` with a reason a person can act on.

The law (RFC 8827 section 6.5, RFC 9429): media only as UDP/TLS/RTP/SAVPF with
a certificate fingerprint of SHA-256 or better, never with keys in the
description (`a=crypto`), RTCP always multiplexed, Opus at 48000/2. `data` has
the law of data channels.

One departure: RFC 9429 section 5.1.2 has old profile names (RTP/AVP, RTP/SAVPF
...) accepted if a fingerprint stands beside them. No client of today writes
them, and a name that says "plain RTP" is what a downgrade looks like.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import attrs

from rtcproto.errors import DescriptionRefused
from rtcproto.sdp.attributes import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    AttributeValue,
    ExtMap,
    Fingerprint,
    Fmtp,
    IcePwd,
    IceUfrag,
    RtcpFeedback,
    SdpCandidate,
    Setup,
    SetupAttribute,
    Ssrc,
)
from rtcproto.sdp.data import DataNegotiated
from rtcproto.sdp.description import MediaDescription, SessionDescription

__all__ = [
    "AUDIO_PROTOCOL",
    "AudioNegotiated",
    "MAX_REMOTE_CANDIDATES",
    "MAX_REMOTE_FINGERPRINTS",
    "MAX_REMOTE_SSRCS",
    "Negotiated",
    "NegotiatedExtension",
    "RemoteTransport",
    "find_opus",
    "in_bundle_order",
    "read_transport",
    "refuse_unsafe",
    "remote_fmtp",
    "remote_ssrcs",
    "usable_extensions",
    "usable_feedback",
]

# RFC 8834 4.2: the one profile that means DTLS-SRTP over UDP, with feedback.
AUDIO_PROTOCOL = "UDP/TLS/RTP/SAVPF"

# A browser lists a few per interface and family; RFC 8445 6.1.2.5 limits all
# checklists together to 100 pairs. Later ones are left out.
MAX_REMOTE_CANDIDATES = 64

# One stream, its RTX and RED twins; SRTP keeps state for 32 sources at most.
MAX_REMOTE_SSRCS = 32

# Certificates a peer may announce for one association; browsers announce one.
MAX_REMOTE_FINGERPRINTS = 8

# In order of preference. RFC 8122 section 5 prefers SHA-256 and forbids MD2 and
# MD5; SHA-1 and SHA-224 are below what RFC 8827 6.5 asks for.
_STRONG_HASHES = ("sha-256", "sha-384", "sha-512")

# RFC 8285 section 4.2: what one-byte headers can carry. Ours are one-byte.
_EXTENSION_IDS = range(1, 15)

# RFC 5761 section 4: with rtcp-mux these would be taken for RTCP.
_RTCP_PAYLOAD_TYPES = range(64, 96)

_T = TypeVar("_T", bound=AttributeValue)


@attrs.frozen(kw_only=True)
class NegotiatedExtension:
    """A header extension both sides agreed on; what we may do with it."""

    uri: str
    id: int
    send_allowed: bool
    receive_allowed: bool


@attrs.frozen(kw_only=True)
class AudioNegotiated:
    """The accepted audio section. "We" are the side that called; ids are None if not agreed."""

    mid: str
    payload_type: int
    send_allowed: bool
    receive_allowed: bool
    rtcp_rsize: bool
    extensions: tuple[NegotiatedExtension, ...] = ()
    feedback: tuple[str, ...] = ()
    # The peer's format parameters as text (RFC 7587 section 6.1), "" if it gave none.
    remote_fmtp: str = ""
    # SSRCs the peer announced (RFC 5576); empty if it announced none.
    remote_ssrcs: tuple[int, ...] = ()

    def extension_id(self, uri: str) -> int | None:
        """The local id of a header extension, None if it was not agreed on."""
        return next((entry.id for entry in self.extensions if entry.uri == uri), None)

    def send_id(self, uri: str) -> int | None:
        """The same, but only where the peer takes the extension from us (RFC 8285 section 5)."""
        entries = (entry for entry in self.extensions if entry.uri == uri and entry.send_allowed)
        return next((entry.id for entry in entries), None)

    @property
    def audio_level_id(self) -> int | None:
        """RFC 6464 client-to-mixer audio level."""
        return self.extension_id(AUDIO_LEVEL_URI)

    @property
    def mid_id(self) -> int | None:
        """RFC 8843 section 15 media identification."""
        return self.extension_id(MID_URI)

    @property
    def abs_send_time_id(self) -> int | None:
        """Absolute send time; agreed only if the configuration asked for it."""
        return self.extension_id(ABS_SEND_TIME_URI)

    @property
    def transport_cc_id(self) -> int | None:
        """Transport-wide sequence number; agreed only if the configuration asked for it."""
        return self.extension_id(TRANSPORT_CC_URI)


@attrs.frozen(kw_only=True)
class Negotiated:
    """What the rest of a session needs to know of an exchange.

    `remote_candidates` are the peer's claims: whoever sends checks to them must
    filter them first. `rejected_mids` are the sections that were turned down,
    in order, without those that have no mid.
    """

    remote_ufrag: str
    remote_pwd: str = attrs.field(repr=False)
    remote_ice_lite: bool
    remote_fingerprints: tuple[Fingerprint, ...]
    remote_candidates: tuple[SdpCandidate, ...]
    remote_trickle: bool
    local_setup: Setup
    audio: AudioNegotiated
    # None if there are no data channels.
    data: DataNegotiated | None = None
    rejected_mids: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class RemoteTransport:
    """The peer's ICE and DTLS parameters, one set for all bundled sections."""

    ufrag: str
    pwd: str = attrs.field(repr=False)
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup
    candidates: tuple[SdpCandidate, ...]
    trickle: bool


def refuse_unsafe(media: MediaDescription) -> None:
    """Refuse an audio section that asks for less than DTLS-SRTP over one port."""
    if media.protocol != AUDIO_PROTOCOL:
        raise DescriptionRefused(f"audio is not {AUDIO_PROTOCOL}")
    # SDES keys pass through every signalling hop; RFC 8827 6.5 rules them out,
    # beside a fingerprint as well: the peer could pick them.
    if media.has("crypto"):
        raise DescriptionRefused("keys in the description (a=crypto) are not accepted")
    # RFC 9429 4.1.1 calls this the "require" policy; nothing here has a second port.
    if not media.has("rtcp-mux"):
        raise DescriptionRefused("RTCP is not multiplexed with RTP (no rtcp-mux)")


def find_opus(media: MediaDescription) -> int | None:
    """The payload type of the first Opus encoding on the m-line, None if there is none."""
    # RFC 7587 section 7: clock rate 48000 and two channels, always; the name's
    # case does not matter (RFC 8866 6.6), and GStreamer writes OPUS.
    opus = {
        str(rtpmap.payload_type): rtpmap.payload_type
        for rtpmap in media.rtpmaps.values()
        if rtpmap.encoding.lower() == "opus"
        and rtpmap.clock_rate == 48000
        and rtpmap.parameters == "2"
        and rtpmap.payload_type not in _RTCP_PAYLOAD_TYPES
    }
    return next((opus[name] for name in media.formats if name in opus), None)


def remote_fmtp(media: MediaDescription, payload_type: int) -> str:
    """The format parameters of a payload type as text, "" if there are none."""
    wanted = str(payload_type)
    return next((fmtp.text for fmtp in media.all(Fmtp) if fmtp.format == wanted), "")


def read_transport(
    description: SessionDescription, sections: Sequence[MediaDescription]
) -> RemoteTransport:
    """The peer's ICE and DTLS parameters.

    `sections` are those of the BUNDLE group, the one that speaks for it first
    (RFC 8843 section 7.1.3: a bundle-only section may leave all of this to it).
    Each parameter is taken from the first of them that has it, else from the
    session.
    """
    places: list[_Place] = [*sections, description]
    ufrag, pwd = _credentials(places)
    setups = _nearest(places, SetupAttribute)
    if len({setup.role for setup in setups}) != 1:
        raise DescriptionRefused("no DTLS role, or two of them (setup)")
    candidates = _nearest(sections, SdpCandidate)
    return RemoteTransport(
        ufrag=ufrag,
        pwd=pwd,
        fingerprints=_fingerprints(places),
        setup=setups[0].role,
        candidates=tuple(candidates[:MAX_REMOTE_CANDIDATES]),
        trickle=any("trickle" in place.ice_options for place in places),
    )


def in_bundle_order(
    bundle: tuple[str, ...], sections: Iterable[MediaDescription]
) -> list[MediaDescription]:
    """Those of `sections` that the BUNDLE group names, in its order: the tagged one first."""
    by_mid = {media.mid: media for media in sections}
    return [by_mid[mid] for mid in dict.fromkeys(bundle) if mid in by_mid]


def usable_extensions(offered: MediaDescription, wanted: tuple[str, ...]) -> list[ExtMap]:
    """The offered header extensions that we act on, in the offer's order, one per id and URI."""
    acted_on = {AUDIO_LEVEL_URI, MID_URI, *wanted}
    ids: set[int] = set()
    chosen: dict[str, ExtMap] = {}
    for extension in offered.all(ExtMap):
        if extension.id in ids or extension.id not in _EXTENSION_IDS:
            continue
        ids.add(extension.id)
        if extension.uri in acted_on:
            chosen.setdefault(extension.uri, extension)
    return list(chosen.values())


def usable_feedback(
    media: MediaDescription, payload_type: int, wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """Of the wanted RTCP feedback types, those listed for the payload type or for all."""
    names = (str(payload_type), "*")
    listed = {entry.feedback for entry in media.all(RtcpFeedback) if entry.payload_type in names}
    return tuple(feedback for feedback in wanted if feedback in listed)


def remote_ssrcs(media: MediaDescription) -> tuple[int, ...]:
    """The SSRCs a section announces, each once, in order, at most `MAX_REMOTE_SSRCS`."""
    return tuple(dict.fromkeys(entry.ssrc for entry in media.all(Ssrc)))[:MAX_REMOTE_SSRCS]


_Place = MediaDescription | SessionDescription


def _nearest(places: Sequence[_Place], kind: type[_T]) -> list[_T]:
    """All attributes of a class from the first place that has any."""
    for place in places:
        if found := place.all(kind):
            return found
    return []


def _credentials(places: Sequence[_Place]) -> tuple[str, str]:
    # RFC 8839 5.4 would let the session's password complete a section's ufrag.
    # Nobody writes that on purpose, so half a pair is refused instead.
    for place in places:
        ufrag, pwd = place.first(IceUfrag), place.first(IcePwd)
        if ufrag is not None and pwd is not None:
            return ufrag.value, pwd.value
        if ufrag is not None or pwd is not None:
            break
    raise DescriptionRefused("no ICE credentials (ice-ufrag, ice-pwd)")


def _fingerprints(places: Sequence[_Place]) -> tuple[Fingerprint, ...]:
    # RFC 8122 5: one at session level "applies to all TLS sessions for which no
    # media-level fingerprint attribute is defined".
    found = _nearest(places, Fingerprint)
    if not found:
        raise DescriptionRefused("no certificate fingerprint")
    # RFC 8122 5.1: "MUST select the set of fingerprints that use its most
    # preferred hash function (out of those offered by the peer)".
    for algorithm in _STRONG_HASHES:
        if chosen := [entry for entry in found if entry.algorithm == algorithm]:
            return tuple(dict.fromkeys(chosen))[:MAX_REMOTE_FINGERPRINTS]
    raise DescriptionRefused("no certificate fingerprint of SHA-256 or better")
