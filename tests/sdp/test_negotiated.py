"""How a peer's section is read: the same law for offers and answers."""

import pytest

from rtcproto.errors import DescriptionRefused
from rtcproto.sdp import Setup, parse
from rtcproto.sdp.attributes import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from rtcproto.sdp.description import MediaDescription, SessionDescription
from rtcproto.sdp.negotiated import (
    MAX_REMOTE_CANDIDATES,
    MAX_REMOTE_FINGERPRINTS,
    MAX_REMOTE_SSRCS,
    RemoteTransport,
    find_opus,
    read_transport,
    refuse_unsafe,
    remote_fmtp,
    remote_ssrcs,
    usable_extensions,
    usable_feedback,
)
from tests.support.sdp import FINGERPRINT, offer_text

OTHER = ":".join(["CD"] * 32)
LONG = ":".join(["EF"] * 48)


def media(*changes: tuple[str, str], extra: str = "") -> MediaDescription:
    """The audio section of the small offer."""
    return parse(offer_text(*changes, extra=extra)).media[0]


def transport(*changes: tuple[str, str], extra: str = "") -> RemoteTransport:
    """The transport of the small offer."""
    description = parse(offer_text(*changes, extra=extra))
    return read_transport(description, description.media[:1])


FINGERPRINT_LINE = f"a=fingerprint:sha-256 {FINGERPRINT}\n"


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (FINGERPRINT_LINE, [("sha-256", FINGERPRINT)]),
        (FINGERPRINT_LINE.lower(), [("sha-256", FINGERPRINT)]),
        (f"a=fingerprint:sha-384 {LONG}\n", [("sha-384", LONG)]),
        (f"a=fingerprint:sha-384 {LONG}\n" + FINGERPRINT_LINE, [("sha-256", FINGERPRINT)]),
        (
            FINGERPRINT_LINE + f"a=fingerprint:sha-256 {OTHER}\n" + FINGERPRINT_LINE,
            [("sha-256", FINGERPRINT), ("sha-256", OTHER)],
        ),
        (
            "a=fingerprint:sha-1 " + ":".join(["AB"] * 20) + "\n" + FINGERPRINT_LINE,
            [("sha-256", FINGERPRINT)],
        ),
    ],
)
def test_the_preferred_hash_function_decides(lines: str, wanted: list[tuple[str, str]]) -> None:
    """RFC 8122 section 5.1: all fingerprints of the most preferred hash, and only those."""
    assert list(transport((FINGERPRINT_LINE, lines)).fingerprints) == wanted


@pytest.mark.parametrize(
    "lines", ["", "a=fingerprint:sha-1 " + ":".join(["AB"] * 20) + "\n", "a=fingerprint:md9 AB\n"]
)
def test_no_strong_fingerprint_is_refused(lines: str) -> None:
    """Absent, too weak, or unknown: nothing to hold a certificate against."""
    with pytest.raises(DescriptionRefused, match="fingerprint"):
        transport((FINGERPRINT_LINE, lines))


def test_a_fingerprint_at_media_level_wins() -> None:
    """RFC 8122 section 5: the session's applies only where the section has none."""
    session = f"t=0 0\na=fingerprint:sha-256 {OTHER}\n"
    assert transport(("t=0 0\n", session)).fingerprints == (("sha-256", FINGERPRINT),)
    only_session = transport(("t=0 0\n", session), (FINGERPRINT_LINE, ""))
    assert only_session.fingerprints == (("sha-256", OTHER),)


def test_credentials_and_role_may_stand_at_session_level() -> None:
    """RFC 8839 section 5.4, RFC 4145 section 4: both levels are allowed."""
    pair = "a=ice-ufrag:remote\na=ice-pwd:remotepasswordremotepassword\n"
    found = transport(
        (pair, ""), ("a=setup:actpass\n", ""), ("t=0 0\n", f"t=0 0\n{pair}a=setup:active\n")
    )
    assert (found.ufrag, found.setup) == ("remote", Setup.ACTIVE)
    assert "remotepassword" not in repr(found)


@pytest.mark.parametrize(
    "change",
    [
        (("a=ice-ufrag:remote\n", ""),),
        (("a=ice-pwd:remotepasswordremotepassword\n", ""),),
        (("a=ice-ufrag:remote\n", ""), ("t=0 0\n", "t=0 0\na=ice-ufrag:elsewhere\n")),
    ],
)
def test_half_credentials_are_refused(change: tuple[tuple[str, str], ...]) -> None:
    """A ufrag is never completed with a password of another place."""
    with pytest.raises(DescriptionRefused, match="ICE credentials"):
        transport(*change)


@pytest.mark.parametrize("lines", ["", "a=setup:active\na=setup:passive\n"])
def test_an_unclear_role_is_refused(lines: str) -> None:
    """No DTLS role, or two that contradict each other."""
    with pytest.raises(DescriptionRefused, match="DTLS role"):
        transport(("a=setup:actpass\n", lines))


def test_a_bundle_only_section_lives_on_the_tagged_one() -> None:
    """RFC 8843 section 7.1.3: transport may be given once, in the section that is tagged."""
    text = offer_text(
        ("a=ice-ufrag:remote\na=ice-pwd:remotepasswordremotepassword\n", ""),
        (FINGERPRINT_LINE + "a=setup:actpass\n", "a=bundle-only\n"),
        (
            "m=audio",
            "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:v\na=ice-ufrag:tagged\na=ice-pwd:"
            + "t" * 22
            + f"\na=setup:passive\na=fingerprint:sha-256 {OTHER}\n"
            "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\nm=audio",
        ),
    )
    description: SessionDescription = parse(text)
    found = read_transport(description, description.media[::-1])
    assert (found.ufrag, found.pwd, found.setup) == ("tagged", "t" * 22, Setup.PASSIVE)
    assert found.fingerprints == (("sha-256", OTHER),)
    assert [entry.host for entry in found.candidates] == ["192.0.2.1"]


def test_candidates_are_kept_as_they_came_up_to_a_limit() -> None:
    """Names, loopback, TCP: all handed on; filtering is for whoever sends to them."""
    hosts = ["x.local", "127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254"]
    lines = "".join(f"a=candidate:1 1 udp 1 {host} 80 typ host\n" for host in hosts)
    assert [entry.host for entry in transport(extra=lines).candidates] == hosts
    many = lines * MAX_REMOTE_CANDIDATES
    assert len(transport(extra=many).candidates) == MAX_REMOTE_CANDIDATES


def test_what_a_peer_can_list_is_bounded() -> None:
    """Fingerprints and SSRCs beyond their limits are left out, repeats do not count."""
    lines = "".join(f"a=fingerprint:sha-256 {i:02X}{OTHER[2:]}\n" for i in range(30))
    assert len(transport((FINGERPRINT_LINE, lines)).fingerprints) == MAX_REMOTE_FINGERPRINTS
    ssrcs = "".join(f"a=ssrc:{i // 2} x\n" for i in range(200))
    assert remote_ssrcs(media(("a=ssrc:1234 cname:remote\n", ssrcs))) == tuple(
        range(MAX_REMOTE_SSRCS)
    )


def test_trickle_is_noticed_at_either_level() -> None:
    """RFC 8840: the tag may stand in the session or in the section."""
    assert not transport().trickle
    assert transport(extra="a=ice-options:ice2 trickle\n").trickle
    assert transport(("t=0 0\n", "t=0 0\na=ice-options:trickle\n")).trickle


@pytest.mark.parametrize(
    ("formats", "rtpmaps", "wanted"),
    [
        ("111", "111 opus/48000/2", 111),
        ("109", "109 opus/48000/2", 109),
        ("96", "96 OPUS/48000/2", 96),
        ("0 8 96", "96 Opus/48000/2", 96),
        ("97 96", "96 opus/48000/2,97 opus/48000/2", 97),
        ("96", "96 opus/48000/2,96 PCMU/8000", 96),
        ("0", "111 opus/48000/2", None),
        ("111", "111 opus/48000", None),
        ("111", "111 opus/48000/1", None),
        ("111", "111 opus/16000/2", None),
        ("111", "111 red/48000/2", None),
        ("72", "72 opus/48000/2", None),
        ("0 8", "0 PCMU/8000", None),
    ],
)
def test_find_opus(formats: str, rtpmaps: str, wanted: int | None) -> None:
    """RFC 7587: opus/48000/2 in any case; first on the m-line; never in RTCP's range."""
    lines = "".join(f"a=rtpmap:{rtpmap}\n" for rtpmap in rtpmaps.split(","))
    section = media(("SAVPF 111", f"SAVPF {formats}"), ("a=rtpmap:111 opus/48000/2\n", lines))
    assert find_opus(section) == wanted


def test_format_parameters_are_those_of_the_payload_type() -> None:
    """The text goes to the codec as it is; no line means no text."""
    section = media(extra="a=fmtp:96 x=y\n")
    assert remote_fmtp(section, 111) == "minptime=10;useinbandfec=1"
    assert remote_fmtp(section, 96) == "x=y"
    assert remote_fmtp(section, 97) == ""


def test_extensions_are_those_we_act_on_with_a_usable_id() -> None:
    """Audio level and mid always, others when wanted; ids 1 to 14, each used once."""
    section = media(
        (f"a=extmap:1 {AUDIO_LEVEL_URI}\n", ""),
        extra=f"a=extmap:3 urn:unknown\na=extmap:3 {AUDIO_LEVEL_URI}\n"
        f"a=extmap:15 {AUDIO_LEVEL_URI}\na=extmap:2 {AUDIO_LEVEL_URI}\n"
        f"a=extmap:4 {AUDIO_LEVEL_URI}\n"
        f"a=extmap:5 {MID_URI}\na=extmap:0 {MID_URI}\na=extmap:6 {TRANSPORT_CC_URI}\n",
    )
    assert [(e.id, e.uri) for e in usable_extensions(section, ())] == [
        (2, AUDIO_LEVEL_URI),
        (5, MID_URI),
    ]
    assert [e.id for e in usable_extensions(section, (TRANSPORT_CC_URI,))] == [2, 5, 6]


def test_feedback_is_what_is_wanted_and_listed() -> None:
    """RFC 4585 section 4.2: a line counts for its payload type or, with *, for all."""
    section = media(extra="a=rtcp-fb:111 transport-cc\na=rtcp-fb:* nack\na=rtcp-fb:96 ccm fir\n")
    assert usable_feedback(section, 111, ()) == ()
    assert usable_feedback(section, 111, ("nack", "ccm fir", "transport-cc")) == (
        "nack",
        "transport-cc",
    )


@pytest.mark.parametrize(
    ("changes", "extra", "reason"),
    [
        ([("UDP/TLS/RTP/SAVPF", "RTP/AVP")], "", "not UDP/TLS/RTP/SAVPF"),
        ([], "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n", "a=crypto"),
        ([("a=rtcp-mux\n", "")], "", "rtcp-mux"),
    ],
)
def test_less_than_dtls_srtp_on_one_port_is_refused(
    changes: list[tuple[str, str]], extra: str, reason: str
) -> None:
    """Wrong profile, keys in the description, a second port."""
    with pytest.raises(DescriptionRefused, match=reason):
        refuse_unsafe(media(*changes, extra=extra))
    refuse_unsafe(media())
