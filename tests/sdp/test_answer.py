"""From offers to answers."""

import pytest

from rtcproto.errors import DescriptionRefused
from rtcproto.sdp import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    AnswerConfig,
    DataConfig,
    DataNegotiated,
    Negotiated,
    SessionDescription,
    Setup,
    build_answer,
    parse,
)
from tests.support.sdp import FINGERPRINT, OFFERS, answer_config, offer_text, read

DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\nc=IN IP4 0.0.0.0\na=mid:1\n"


def answer(text: str, config: AnswerConfig | None = None) -> tuple[SessionDescription, Negotiated]:
    """The answer to a text, parsed again from its own text."""
    built, negotiated = build_answer(parse(text), config or answer_config())
    assert str(built).endswith("\r\n")
    assert parse(str(built)) == built
    return built, negotiated


def test_the_whole_answer_to_a_browser() -> None:
    """Every line of the answer to Chromium's audio and data offer, in order."""
    built, _ = answer(read("chromium-156-audio-data.sdp"), answer_config(ice_lite=True))
    assert str(built).split("\r\n") == [
        "v=0",
        "o=- 4611731400430051336 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=ice-lite",
        "m=audio 3478 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 192.0.2.1",
        "a=mid:0",
        "a=ice-ufrag:A7Nx/+abcdefghijklmnopq",
        "a=ice-pwd:pppppppppppppppppppppppp",
        f"a=fingerprint:sha-256 {FINGERPRINT}",
        "a=setup:active",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
        "a=candidate:2 1 udp 2130706431 2001:db8::1 3478 typ host",
        "a=end-of-candidates",
        f"a=extmap:1 {AUDIO_LEVEL_URI}",
        f"a=extmap:4 {MID_URI}",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=msid:rtcproto audio",
        "a=ssrc:12345678 cname:rtcproto",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:1",
        "a=inactive",
        "",
    ]


def test_what_is_negotiated_with_a_browser() -> None:
    """The values the rest of the session works with, from Chromium's gathered offer."""
    _, negotiated = answer(read("chromium-156-audio-gathered.sdp"))
    audio = negotiated.audio
    assert len(negotiated.remote_candidates) == 2
    assert all(entry.host.endswith(".local") for entry in negotiated.remote_candidates)
    assert len(negotiated.remote_pwd) == 24
    assert negotiated.remote_pwd not in repr(negotiated)
    assert negotiated.remote_trickle
    assert not negotiated.remote_ice_lite
    assert negotiated.local_setup is Setup.ACTIVE
    assert (audio.mid, audio.payload_type) == ("0", 111)
    assert audio.send_allowed
    assert audio.receive_allowed
    assert audio.rtcp_rsize
    assert (audio.audio_level_id, audio.mid_id) == (1, 4)
    assert (audio.abs_send_time_id, audio.transport_cc_id) == (None, None)
    assert audio.remote_fmtp == "minptime=10;useinbandfec=1"
    assert len(audio.remote_ssrcs) == 1
    assert audio.feedback == ()


@pytest.mark.parametrize("name", OFFERS)
def test_every_stored_offer_is_answered(name: str) -> None:
    """Same sections in the same order; one served and bundled, the others at port 0."""
    offer = parse(read(name))
    built, negotiated = answer(read(name))
    assert [(m.kind, m.protocol, m.mid) for m in built.media] == [
        (m.kind, m.protocol, m.mid) for m in offer.media
    ]
    served = [media for media in built.media if media.port]
    assert [media.mid for media in served] == [negotiated.audio.mid]
    assert str(built.group("BUNDLE")) == f"group:BUNDLE {negotiated.audio.mid}"
    assert served[0].formats == (str(negotiated.audio.payload_type),)
    assert served[0].has("rtcp-mux")
    for rejected, offered in zip(built.media, offer.media, strict=True):
        if rejected.port == 0:
            assert rejected.formats == offered.formats
    assert list(negotiated.rejected_mids) == [m.mid for m in built.media if m.port == 0]
    assert {algorithm for algorithm, _ in negotiated.remote_fingerprints} == {"sha-256"}


def test_peculiarities_of_clients_that_cannot_run_here() -> None:
    """GStreamer's names and ufrag, Pion's session-level lower-case digest, Firefox's 109."""
    _, gstreamer = answer(read("gstreamer-1.22-shape.sdp"))
    assert gstreamer.remote_ufrag == "Q/Yc5sWbXk2TrJ7fZ+0hLmEoV1nPqA8d"
    assert (gstreamer.audio.mid, gstreamer.audio.payload_type) == ("audio0", 96)
    assert gstreamer.rejected_mids == ("application1",)
    _, pion = answer(read("pion-3.1-shape.sdp"))
    assert pion.remote_fingerprints[0].value.startswith("A1:9C:03")
    _, firefox = answer(read("firefox-153-audio.sdp"))
    assert firefox.audio.payload_type == 109
    assert firefox.audio.remote_fmtp == "maxplaybackrate=48000;stereo=1;useinbandfec=1"


@pytest.mark.parametrize(
    ("offered", "answered", "sends", "receives"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("recvonly", "sendonly", True, False),
        ("sendonly", "recvonly", False, True),
        ("inactive", "inactive", False, False),
    ],
)
def test_the_direction_is_mirrored(
    offered: str, answered: str, *, sends: bool, receives: bool
) -> None:
    """RFC 3264 section 6.1; a section that does not send names no stream and no source."""
    built, negotiated = answer(offer_text(("a=sendrecv\n", f"a={offered}\n")))
    assert built.media[0].has(answered)
    assert (negotiated.audio.send_allowed, negotiated.audio.receive_allowed) == (sends, receives)
    assert ("a=msid:" in str(built), "a=ssrc:" in str(built)) == (sends, sends)


@pytest.mark.parametrize(
    ("offered", "configured", "answered"),
    [
        ("actpass", Setup.ACTIVE, Setup.ACTIVE),
        ("actpass", Setup.PASSIVE, Setup.PASSIVE),
        ("active", Setup.ACTIVE, Setup.PASSIVE),
        ("passive", Setup.PASSIVE, Setup.ACTIVE),
    ],
)
def test_the_role_follows_the_offer(offered: str, configured: Setup, answered: Setup) -> None:
    """RFC 5763 section 5: our preference counts for actpass alone."""
    text = offer_text(("setup:actpass", f"setup:{offered}"))
    built, negotiated = answer(text, answer_config(setup=configured))
    assert negotiated.local_setup is answered
    assert f"a=setup:{answered}\r\n" in str(built)


@pytest.mark.parametrize(
    ("offered", "answered", "sends", "receives"),
    [
        ("1/sendonly", "1/recvonly", False, True),
        ("1/recvonly", "1/sendonly", True, False),
        ("1/sendrecv", "1", True, True),
    ],
)
def test_extension_directions_are_mirrored(
    offered: str, answered: str, *, sends: bool, receives: bool
) -> None:
    """RFC 8285 section 5: an extension has a direction of its own; attributes are repeated."""
    text = offer_text((f"extmap:1 {AUDIO_LEVEL_URI}", f"extmap:{offered} {AUDIO_LEVEL_URI} vad=on"))
    built, negotiated = answer(text)
    assert f"a=extmap:{answered} {AUDIO_LEVEL_URI} vad=on\r\n" in str(built)
    (extension,) = negotiated.audio.extensions
    assert (extension.send_allowed, extension.receive_allowed) == (sends, receives)


def test_an_inactive_extension_is_not_taken() -> None:
    """It only holds its id."""
    built, negotiated = answer(offer_text(("extmap:1 ", "extmap:1/inactive ")))
    assert negotiated.audio.audio_level_id is None
    assert "extmap" not in str(built)


def test_extensions_and_feedback_beyond_the_minimum_are_a_choice() -> None:
    """transport-cc, abs-send-time and nack are agreed to only by a caller who acts on them."""
    config = answer_config(
        extensions=(TRANSPORT_CC_URI, ABS_SEND_TIME_URI), feedback=("transport-cc", "nack")
    )
    built, negotiated = answer(read("chromium-156-audio.sdp"), config)
    audio = negotiated.audio
    assert (audio.abs_send_time_id, audio.transport_cc_id) == (2, 3)
    assert audio.feedback == ("transport-cc",)
    assert "a=rtcp-fb:111 transport-cc\r\n" in str(built)
    plain, _ = answer(read("chromium-156-audio.sdp"))
    assert "rtcp-fb" not in str(plain)


def test_reduced_size_rtcp_only_if_offered() -> None:
    """RFC 5506 section 5: both sides must say it."""
    built, negotiated = answer(offer_text(("a=rtcp-rsize\n", "")))
    assert not negotiated.audio.rtcp_rsize
    assert "rtcp-rsize" not in str(built)


def test_the_second_audio_section_is_served_if_the_first_cannot_be() -> None:
    """An audio section without Opus does not spoil the offer."""
    first = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:first\r\na=rtcp-mux\r\nm=audio 9"
    text = offer_text(("BUNDLE 0", "BUNDLE first 0")).replace("m=audio 9", first, 1)
    built, negotiated = answer(text)
    assert [media.port for media in built.media] == [0, 3478]
    assert negotiated.rejected_mids == ("first",)


def test_a_bundle_only_audio_section_is_served() -> None:
    """RFC 8843 section 6: port 0 with bundle-only is not a rejection."""
    built, _ = answer(offer_text(("m=audio 9 ", "m=audio 0 "), extra="a=bundle-only\n"))
    assert built.media[0].port == 3478


def test_without_candidates_the_answer_points_nowhere() -> None:
    """RFC 9429 section 5.2.1: port 9 of 0.0.0.0 until candidates follow."""
    built, _ = answer(offer_text(), answer_config(candidates=()))
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n" in str(built)
    assert "end-of-candidates" not in str(built)


def test_a_section_without_mid_is_rejected_without_one() -> None:
    """What was not named cannot be named; its place is kept."""
    built, negotiated = answer(offer_text(extra=DATA.replace("a=mid:1\n", "")))
    assert (built.media[1].port, built.media[1].mid) == (0, None)
    assert negotiated.rejected_mids == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([("m=audio", "m=video")], "no audio"),
        ([("m=audio 9 ", "m=audio 0 ")], "no audio"),
        ([("a=group:BUNDLE 0\n", "")], "no BUNDLE"),
        ([("BUNDLE 0", "BUNDLE 1")], "not in the BUNDLE"),
        ([("BUNDLE 0", "BUNDLE")], "not in the BUNDLE"),
        ([("a=mid:0\n", "")], "not in the BUNDLE"),
        ([(f"a=fingerprint:sha-256 {FINGERPRINT}\n", "")], "no certificate fingerprint"),
        ([("opus/48000/2", "PCMU/8000")], "no known codec"),
        ([("a=ice-ufrag:remote\n", "")], "no ICE credentials"),
        ([("a=ice-pwd:remotepasswordremotepassword\n", "")], "no ICE credentials"),
        ([("a=rtcp-mux\n", "")], "rtcp-mux"),
        ([("t=0 0\n", "t=0 0\na=ice-lite\n")], "ICE-lite"),
        ([("UDP/TLS/RTP/SAVPF", "RTP/AVP")], "not UDP/TLS"),
        ([("setup:actpass", "setup:holdconn")], "holdconn"),
        ([("a=setup:actpass\n", "")], "no DTLS role"),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_reason(
    changes: list[tuple[str, str]], reason: str
) -> None:
    """Well-formed but unacceptable: DescriptionRefused (HTTP 422), not ParseError."""
    with pytest.raises(DescriptionRefused, match=reason):
        build_answer(parse(offer_text(*changes)), answer_config())


def test_the_reason_is_that_of_the_first_audio_section() -> None:
    """Two unservable sections: the first one's reason is reported."""
    first = "m=audio 9 RTP/AVP 0\r\na=mid:x\r\nm=audio 9"
    text = offer_text(("a=rtcp-mux\n", "")).replace("m=audio 9", first, 1)
    with pytest.raises(DescriptionRefused, match="not UDP/TLS"):
        build_answer(parse(text), answer_config())


# -- Data channels

SECTION = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n"
    "c=IN IP4 0.0.0.0\na=mid:1\na=sctp-port:5000\na=max-message-size:262144\n"
)


def data_answer(text: str, **changes: object) -> tuple[SessionDescription, Negotiated]:
    """The answer of a server that serves data channels."""
    return answer(text, answer_config(data=DataConfig(**changes)))  # type: ignore[arg-type]


def data_offer(*changes: tuple[str, str], extra: str = "") -> str:
    """The small offer with a data section that leaves its transport to the audio."""
    return offer_text(("BUNDLE 0", "BUNDLE 0 1"), *changes, extra=SECTION + extra)


def test_the_whole_answer_to_a_browser_with_data_channels() -> None:
    """Both sections accepted in place; credentials repeated, candidates not."""
    config = answer_config(ice_lite=True, data=DataConfig(max_message_size=1 << 20, init=b"x"))
    built, _ = answer(read("chromium-156-audio-data.sdp"), config)
    plain, _ = answer(read("chromium-156-audio-data.sdp"), answer_config(ice_lite=True))
    assert str(built.media[0]) == str(plain.media[0])
    assert str(built.group("BUNDLE")) == "group:BUNDLE 0 1"
    assert str(built.media[1]).split("\r\n") == [
        "m=application 3478 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 192.0.2.1",
        "a=mid:1",
        "a=ice-ufrag:A7Nx/+abcdefghijklmnopq",
        "a=ice-pwd:pppppppppppppppppppppppp",
        f"a=fingerprint:sha-256 {FINGERPRINT}",
        "a=setup:active",
        "a=sctp-port:5000",
        "a=max-message-size:1048576",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "mid", "size"),
    [
        ("chromium-156-audio-data.sdp", "1", 262144),
        ("chromium-156-audio-video-data.sdp", "2", 262144),
        ("firefox-153-audio-data.sdp", "1", 1073741823),
        ("firefox-153-audio-video-data.sdp", "2", 1073741823),
        ("safari-shape.sdp", "1", 262144),
        ("aiortc-1.16-audio-data.sdp", "1", 262144),
        ("werift-0.24-shape.sdp", "1", 65536),
        ("pion-3.1-shape.sdp", "1", 65536),
        ("gstreamer-1.22-shape.sdp", "application1", 65536),
    ],
)
def test_data_channels_of_every_stored_offer(name: str, mid: str, size: int) -> None:
    """Port 0 with bundle-only, no max-message-size, session-level fingerprints: all served."""
    built, negotiated = data_answer(read(name))
    assert negotiated.data == DataNegotiated(
        mid=mid, local_port=5000, remote_port=5000, remote_max_message_size=size
    )
    assert mid not in negotiated.rejected_mids
    assert str(built.group("BUNDLE")) == f"group:BUNDLE {negotiated.audio.mid} {mid}"
    served = [media for media in built.media if media.port]
    assert [media.kind for media in served] == ["audio", "application"]
    assert str(built).count("a=candidate:") == 2
    _, without = answer(read(name))
    assert without.data is None
    # Data channels change nothing about the transport.
    assert (without.remote_ufrag, without.remote_fingerprints) == (
        negotiated.remote_ufrag,
        negotiated.remote_fingerprints,
    )


def test_without_a_configuration_there_are_no_data_channels() -> None:
    """The section is rejected where it stands."""
    built, negotiated = answer(data_offer())
    assert negotiated.data is None
    assert [media.port for media in built.media] == [3478, 0]
    assert negotiated.rejected_mids == ("1",)


def test_transport_may_stand_in_the_tagged_section_alone() -> None:
    """RFC 8843 section 7.1.3, either section being the tagged one."""
    _, negotiated = data_answer(data_offer(("a=mid:0\n", "a=mid:0\n")))
    assert (negotiated.remote_ufrag, negotiated.local_setup) == ("remote", Setup.ACTIVE)
    pair = "a=ice-ufrag:remote\na=ice-pwd:remotepasswordremotepassword\n"
    transport = f"{pair}a=fingerprint:sha-256 {FINGERPRINT}\na=setup:actpass\n"
    text = offer_text(
        ("BUNDLE 0", "BUNDLE 1 0"),
        (transport, "a=bundle-only\n"),
        ("m=audio 9", "m=audio 0"),
        extra=SECTION + transport,
    )
    built, negotiated = data_answer(text)
    assert negotiated.remote_ufrag == "remote"
    # RFC 8843 7.3.2: the tagged section stays the tagged one, and has the candidates.
    assert str(built.group("BUNDLE")) == "group:BUNDLE 1 0"
    assert [str(media).count("a=candidate:") for media in built.media] == [0, 2]
    assert [media.port for media in built.media] == [3478, 3478]


def test_the_tagged_section_decides_between_two_transports() -> None:
    """Before BUNDLE is agreed sections may differ; the first of the group counts."""
    other = "a=ice-ufrag:other\na=ice-pwd:otherpasswordotherpassword\na=setup:passive\n"
    _, negotiated = data_answer(data_offer(extra=other))
    assert (negotiated.remote_ufrag, negotiated.local_setup) == ("remote", Setup.ACTIVE)
    _, negotiated = data_answer(data_offer(("BUNDLE 0 1", "BUNDLE 1 0"), extra=other))
    assert (negotiated.remote_ufrag, negotiated.local_setup) == ("other", Setup.ACTIVE)
    # Where the data section is rejected the audio is all there is.
    _, negotiated = answer(data_offer(("BUNDLE 0 1", "BUNDLE 1 0"), extra=other))
    assert negotiated.remote_ufrag == "remote"


def test_data_before_audio_is_answered_in_place() -> None:
    """Sections keep their order whatever the group's."""
    text = data_offer()
    head, audio, data = text.partition("m=audio")[0], *text.split("m=")[1:]
    built, negotiated = data_answer(f"{head}m={data}m={audio}")
    assert [media.kind for media in built.media] == ["application", "audio"]
    assert str(built.group("BUNDLE")) == "group:BUNDLE 0 1"
    assert negotiated.data is not None


@pytest.mark.parametrize(
    ("offered", "ours", "answered"),
    [(True, b"ours", True), (True, None, False), (False, b"ours", False)],
)
def test_an_init_is_answered_only_where_offered(
    offered: bool, ours: bytes | None, answered: bool
) -> None:
    """draft-hancke-tsvwg-snap: both sides, or nobody."""
    built, negotiated = data_answer(
        data_offer(extra="a=sctp-init:dGhlaXJz\n" if offered else ""), init=ours
    )
    assert negotiated.data is not None
    assert negotiated.data.remote_init == (b"theirs" if answered else None)
    assert ("a=sctp-init:b3Vycw==\r\n" in str(built)) == answered


def test_a_browsers_init_arrives_as_it_is() -> None:
    """Chromium's own INIT chunk, 30 bytes, and ours in the answer."""
    built, negotiated = data_answer(read("chromium-156-audio-data-snap.sdp"), init=b"ours")
    assert negotiated.data is not None
    assert negotiated.data.remote_init == bytes.fromhex(
        "0100001e518b8da600500000ffffffff85c9b365c00000048008000682c0"
    )
    assert str(built).endswith("a=sctp-init:b3Vycw==\r\n")


def test_a_second_data_section_is_rejected() -> None:
    """One association per transport: the first that can be served."""
    second = SECTION.replace("mid:1", "mid:2")
    text = offer_text(("BUNDLE 0", "BUNDLE 0 1 2"), extra=SECTION + second)
    built, negotiated = data_answer(text)
    assert [media.port for media in built.media] == [3478, 3478, 0]
    assert negotiated.rejected_mids == ("2",)
    built, negotiated = data_answer(text.replace("webrtc-datachannel", "5000", 1))
    assert [media.port for media in built.media] == [3478, 0, 3478]
    assert negotiated.data is not None
    assert negotiated.data.mid == "2"


@pytest.mark.parametrize(
    "change",
    [
        ("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000"),
        ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP"),
        ("application 9", "application 0"),
        ("a=sctp-port:5000\r\n", ""),
        ("a=sctp-port:5000", "a=sctp-port:0"),
        ("a=mid:1\r\n", ""),
        ("BUNDLE 0 1", "BUNDLE 0"),
    ],
)
def test_a_data_section_that_cannot_be_served_costs_the_call_nothing(
    change: tuple[str, str],
) -> None:
    """It is rejected as it stands, the audio is served."""
    text = data_offer()
    assert change[0] in text
    built, negotiated = data_answer(text.replace(*change))
    assert [media.port for media in built.media] == [3478, 0]
    assert negotiated.data is None
    assert built.media[1].formats == parse(text.replace(*change)).media[1].formats
    assert str(built.group("BUNDLE")) == "group:BUNDLE 0"


def test_data_channels_alone_are_refused() -> None:
    """A session is a call: it has audio."""
    with pytest.raises(DescriptionRefused, match="no audio"):
        data_answer(data_offer(("m=audio", "m=video")))
