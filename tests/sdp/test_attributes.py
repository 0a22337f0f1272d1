"""Each typed attribute, both directions, and what each refuses."""

import pytest

from rtcproto.errors import ParseError
from rtcproto.sdp import attributes as a
from rtcproto.sdp.attributes import Direction, Setup, parse_attribute

DIGEST = ":".join(["0A"] * 32)

PAIRS = [
    ("rtcp-mux", a.Attribute("rtcp-mux")),
    ("sctpmap:5000 webrtc-datachannel 16", a.Attribute("sctpmap", "5000 webrtc-datachannel 16")),
    ("sctp-port:5000", a.SctpPort(5000)),
    ("sctp-port:0", a.SctpPort(0)),
    ("max-message-size:0", a.MaxMessageSize(0)),
    ("max-message-size:1073741823", a.MaxMessageSize(1073741823)),
    (
        # The example of the draft, with the tag and the window it shows.
        "sctp-init:AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA",
        a.SctpInit(bytes.fromhex("0100001e896cdd1d00500000ffffffffe079651dc00000048008000682c0")),
    ),
    ("unheard-of: a  b:c ", a.Attribute("unheard-of", " a  b:c ")),
    ("mid:audio0", a.Mid("audio0")),
    ("group:BUNDLE 0 audio1", a.Group("BUNDLE", ("0", "audio1"))),
    ("group:BUNDLE", a.Group("BUNDLE", ())),
    ("ice-ufrag:Q/Yc+", a.IceUfrag("Q/Yc+")),
    ("ice-pwd:0123456789/+bcdefghijk", a.IcePwd("0123456789/+bcdefghijk")),
    (f"fingerprint:sha-256 {DIGEST}", a.Fingerprint("sha-256", DIGEST)),
    ("fingerprint:new-hash 0A:0B", a.Fingerprint("new-hash", "0A:0B")),
    ("setup:actpass", a.SetupAttribute(Setup.ACTPASS)),
    ("rtpmap:111 opus/48000/2", a.RtpMap(111, "opus", 48000, "2")),
    ("rtpmap:0 PCMU/8000", a.RtpMap(0, "PCMU", 8000)),
    ("fmtp:111 minptime=10;useinbandfec=1", a.Fmtp("111", "minptime=10;useinbandfec=1")),
    ("rtcp-fb:111 transport-cc", a.RtcpFeedback("111", "transport-cc")),
    ("rtcp-fb:* nack pli", a.RtcpFeedback("*", "nack pli")),
    (f"extmap:1 {a.AUDIO_LEVEL_URI}", a.ExtMap(1, a.AUDIO_LEVEL_URI)),
    (f"extmap:2/recvonly {a.MID_URI}", a.ExtMap(2, a.MID_URI, Direction.RECVONLY)),
    (
        f"extmap:1 {a.AUDIO_LEVEL_URI} vad=on",
        a.ExtMap(1, a.AUDIO_LEVEL_URI, attributes="vad=on"),
    ),
    ("msid:stream track", a.Msid("stream", "track")),
    ("msid:-", a.Msid("-")),
    ("ssrc:4294967295 cname:a b", a.Ssrc(4294967295, "cname", "a b")),
    ("ssrc:1 flag", a.Ssrc(1, "flag")),
]


@pytest.mark.parametrize(("text", "value"), PAIRS, ids=[text[:20] for text, _ in PAIRS])
def test_attribute_both_ways(text: str, value: a.AttributeValue) -> None:
    """Text to value and value to text are inverse."""
    assert parse_attribute(text, 1) == value
    assert str(value) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (f"fingerprint:SHA-256 {DIGEST.lower()}", f"fingerprint:sha-256 {DIGEST}"),
        ("mid: 0", "mid:0"),
        ("rtpmap:96  OPUS/48000/2", "rtpmap:96 OPUS/48000/2"),
        ("extmap:1/sendrecv urn:x", "extmap:1 urn:x"),
        ("group:BUNDLE 0  1", "group:BUNDLE 0 1"),
    ],
)
def test_tolerated_forms_come_out_canonical(text: str, canonical: str) -> None:
    """Case and blanks that carry no meaning are settled once, here."""
    assert str(parse_attribute(text, 1)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":x",
        "a b:c",
        "mid:",
        "mid:a b",
        "mid:\u2028",
        "group:",
        "ice-ufrag:abc",
        "ice-ufrag:ab:cd",
        "ice-ufrag:" + "a" * 257,
        "ice-pwd:" + "a" * 21,
        "ice-pwd:" + "a" * 257,
        "fingerprint:sha-256",
        f"fingerprint:sha-256 {DIGEST} x",
        "fingerprint:sha-256 0A:0B",
        "fingerprint:sha-256 " + ":".join(["0G"] * 32),
        "fingerprint:sha-256 " + "0A" * 32,
        "setup:",
        "setup:ACTIVE",
        "rtpmap:111",
        "rtpmap:128 opus/48000/2",
        "rtpmap:x opus/48000/2",
        "rtpmap:111 opus",
        "rtpmap:111 opus/x/2",
        "rtpmap:111 opus/48000/2/3",
        "rtpmap:111 /48000",
        "fmtp:111",
        "rtcp-fb:111",
        "extmap:1",
        "extmap:x urn:y",
        "extmap:65536 urn:y",
        "extmap:1/both urn:y",
        "extmap:1 urn:y a\u2028b",
        "extmap:1 urn:y a\x85b",
        "msid:",
        "msid:a b c",
        "ssrc:1",
        "ssrc:4294967296 cname:x",
        "ssrc:x cname:y",
        "sctp-port",
        "sctp-port:65536",
        "sctp-port:-1",
        "max-message-size:",
        "max-message-size:64K",
        "max-message-size:18446744073709551616",
        "sctp-init",
        "sctp-init:",
        "sctp-init:AAA",
        "sctp-init:AA A=",
        "sctp-init:AAA\u2028",
        "sctp-init:AA-_",
    ],
)
def test_malformed_values_are_refused(text: str) -> None:
    """A known attribute that does not parse is never guessed at."""
    with pytest.raises(ParseError) as caught:
        parse_attribute(text, 7)
    assert (caught.value.protocol, caught.value.offset) == ("sdp", 7)


def test_a_refusal_does_not_quote_the_input() -> None:
    """Reasons are fit for logs: no credential of the text appears in them."""
    with pytest.raises(ParseError) as caught:
        parse_attribute("ice-pwd:secret", 1)
    assert "secret" not in str(caught.value)


def test_passwords_are_not_in_reprs() -> None:
    """An ice-pwd does not leak through logging a description."""
    assert "hunter" not in repr(a.IcePwd("hunterhunterhunterhunter"))


@pytest.mark.parametrize(
    ("value", "mirrored", "sends", "receives"),
    [
        (Direction.SENDRECV, Direction.SENDRECV, True, True),
        (Direction.SENDONLY, Direction.RECVONLY, True, False),
        (Direction.RECVONLY, Direction.SENDONLY, False, True),
        (Direction.INACTIVE, Direction.INACTIVE, False, False),
    ],
)
def test_directions(value: Direction, mirrored: Direction, *, sends: bool, receives: bool) -> None:
    """RFC 3264 section 6.1: the answerer's view is the mirror of the offerer's."""
    assert value.mirrored is mirrored
    assert (value.sends, value.receives) == (sends, receives)
