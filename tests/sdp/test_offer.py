"""Our offer, and answers to it."""

import pytest

from rtcproto.errors import DescriptionRefused
from rtcproto.sdp import (
    AUDIO_LEVEL_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    DataConfig,
    DataNegotiated,
    Direction,
    Negotiated,
    SessionDescription,
    Setup,
    build_answer,
    build_offer,
    negotiate,
    parse,
)
from tests.support.sdp import FINGERPRINT, answer_config, offer_config, read

OFFER = build_offer(offer_config())
ANSWER = str(build_answer(OFFER, answer_config())[0])


def changed(*changes: tuple[str, str], offer: SessionDescription = OFFER) -> Negotiated:
    """What the usual answer settles after changes to its text."""
    text = ANSWER
    for old, new in changes:
        assert old in text, f"the answer holds no {old!r}"
        text = text.replace(old, new)
    return negotiate(offer, parse(text))


def test_the_whole_offer() -> None:
    """Every line of our offer, in order."""
    assert str(OFFER).split("\r\n") == [
        "v=0",
        "o=- 4611731400430051336 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 3478 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 192.0.2.1",
        "a=mid:0",
        "a=ice-ufrag:A7Nx/+abcdefghijklmnopq",
        "a=ice-pwd:pppppppppppppppppppppppp",
        f"a=fingerprint:sha-256 {FINGERPRINT}",
        "a=setup:actpass",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
        "a=candidate:2 1 udp 2130706431 2001:db8::1 3478 typ host",
        "a=end-of-candidates",
        f"a=extmap:1 {AUDIO_LEVEL_URI}",
        f"a=extmap:2 {MID_URI}",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=msid:rtcproto audio",
        "a=ssrc:12345678 cname:rtcproto",
        "",
    ]
    assert parse(str(OFFER)) == OFFER


def test_offer_options() -> None:
    """Payload type, mid, direction, role, extensions and feedback are the caller's choice."""
    text = str(
        build_offer(
            offer_config(
                payload_type=96,
                mid="a",
                direction=Direction.RECVONLY,
                setup=Setup.PASSIVE,
                extensions=(TRANSPORT_CC_URI, AUDIO_LEVEL_URI),
                feedback=("transport-cc",),
                candidates=(),
            )
        )
    )
    for line in [
        "m=audio 9 UDP/TLS/RTP/SAVPF 96",
        "a=group:BUNDLE a",
        "a=recvonly",
        "a=setup:passive",
        f"a=extmap:3 {TRANSPORT_CC_URI}",
        "a=rtcp-fb:96 transport-cc",
    ]:
        assert f"{line}\r\n" in text
    assert "msid" not in text
    assert text.count(AUDIO_LEVEL_URI) == 1


def test_both_ends_agree() -> None:
    """Our answer to our offer settles the same on both sides, each from its own view."""
    offer = build_offer(offer_config(extensions=(TRANSPORT_CC_URI,), feedback=("transport-cc",)))
    built, server = build_answer(
        parse(str(offer)),
        answer_config(
            ufrag="server",
            extensions=(TRANSPORT_CC_URI,),
            feedback=("transport-cc",),
            ice_lite=True,
        ),
    )
    client = negotiate(offer, parse(str(built)))
    assert (client.remote_ufrag, server.remote_ufrag) == ("server", "A7Nx/+abcdefghijklmnopq")
    assert (client.local_setup, server.local_setup) == (Setup.PASSIVE, Setup.ACTIVE)
    assert client.remote_ice_lite
    assert client.audio == server.audio
    assert client.audio.transport_cc_id == 3
    assert client.remote_candidates == server.remote_candidates


@pytest.mark.parametrize("name", ["chromium-156-answer.sdp", "firefox-153-answer.sdp"])
def test_answers_of_browsers_to_this_very_offer(name: str) -> None:
    """Captured answers are taken."""
    negotiated = negotiate(OFFER, parse(read(name)))
    assert negotiated.local_setup is Setup.PASSIVE
    assert negotiated.audio.payload_type == 111
    assert (negotiated.audio.audio_level_id, negotiated.audio.mid_id) == (1, 2)
    assert negotiated.audio.send_allowed
    assert negotiated.audio.receive_allowed


@pytest.mark.parametrize("name", ["service-a-shape.sdp", "service-c-shape.sdp"])
def test_answers_of_a_deployed_service(name: str) -> None:
    """Session-level fingerprint, TCP candidates and structured ufrags; its data section fits."""
    offer = str(OFFER).replace("BUNDLE 0", "BUNDLE 0 1") + (
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"
    )
    negotiated = negotiate(parse(offer), parse(read(name)))
    assert "/u" in negotiated.remote_ufrag
    assert negotiated.local_setup is Setup.PASSIVE
    assert {entry.transport for entry in negotiated.remote_candidates} == {"udp", "tcp"}
    assert negotiated.rejected_mids == ()


def test_a_passive_answer_makes_us_active() -> None:
    """RFC 5763 section 5."""
    assert changed(("setup:active", "setup:passive")).local_setup is Setup.ACTIVE


@pytest.mark.parametrize(
    ("ours", "theirs", "sends", "receives"),
    [
        ("sendrecv", "recvonly", True, False),
        ("sendrecv", "sendonly", False, True),
        ("sendrecv", "inactive", False, False),
        ("sendonly", "recvonly", True, False),
        ("recvonly", "sendonly", False, True),
    ],
)
def test_an_answer_may_take_away(ours: str, theirs: str, *, sends: bool, receives: bool) -> None:
    """RFC 3264 section 6.1: an answer narrows the direction."""
    offer = build_offer(offer_config(direction=ours))
    audio = changed(("a=sendrecv", f"a={theirs}"), offer=offer).audio
    assert (audio.send_allowed, audio.receive_allowed) == (sends, receives)


def test_what_the_answer_leaves_out_is_not_used() -> None:
    """Extensions, reduced size, mid and the group are optional for an answerer."""
    negotiated = changed(
        (f"a=extmap:1 {AUDIO_LEVEL_URI}\r\n", ""),
        ("a=extmap:2 ", "a=extmap:2/inactive "),
        ("a=rtcp-rsize\r\n", ""),
        ("a=mid:0\r\n", ""),
        ("a=group:BUNDLE 0\r\n", ""),
    )
    assert negotiated.audio.extensions == ()
    assert not negotiated.audio.rtcp_rsize
    assert negotiated.audio.mid == "0"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([("a=ssrc:12345678 cname:rtcproto\r\n", "m=audio 0 X 0\r\n")], "number of m-lines"),
        ([("m=audio", "m=video")], "another kind"),
        ([("UDP/TLS/RTP/SAVPF", "RTP/SAVPF")], "another protocol"),
        ([("a=mid:0", "a=mid:1")], "another mid"),
        ([("m=audio 3478", "m=audio 0")], "was rejected"),
        ([("a=rtcp-mux\r\n", "")], "rtcp-mux"),
        ([("a=rtcp-mux", "a=rtcp-mux\r\na=crypto:1 X inline:y")], "a=crypto"),
        ([("BUNDLE 0", "BUNDLE 5")], "BUNDLE"),
        ([("SAVPF 111", "SAVPF 96"), ("rtpmap:111", "rtpmap:96")], "no codec"),
        ([("opus/48000/2", "PCMU/8000")], "no codec"),
        ([(f"a=fingerprint:sha-256 {FINGERPRINT}\r\n", "")], "fingerprint"),
        ([("a=ice-ufrag:A7Nx/+abcdefghijklmnopq\r\n", "")], "ICE credentials"),
        ([("setup:active", "setup:actpass")], "does not answer"),
        ([("setup:active", "setup:holdconn")], "does not answer"),
        ([("a=setup:active\r\n", "")], "DTLS role"),
        ([(f"extmap:1 {AUDIO_LEVEL_URI}", f"extmap:3 {AUDIO_LEVEL_URI}")], "not offered"),
        ([(f"extmap:1 {AUDIO_LEVEL_URI}", "extmap:1 urn:other")], "not offered"),
    ],
)
def test_what_does_not_answer_the_offer_is_refused(
    changes: list[tuple[str, str]], reason: str
) -> None:
    """Same sections, same order, nothing added, nothing less safe."""
    with pytest.raises(DescriptionRefused, match=reason):
        changed(*changes)


@pytest.mark.parametrize(("ours", "theirs"), [("active", "active"), ("passive", "passive")])
def test_two_equal_roles_are_refused(ours: str, theirs: str) -> None:
    """Both would wait, or both would call."""
    with pytest.raises(DescriptionRefused, match="does not answer"):
        changed(("setup:active", f"setup:{theirs}"), offer=build_offer(offer_config(setup=ours)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("sendonly", "sendrecv"), ("recvonly", "sendrecv"), ("inactive", "sendonly")],
)
def test_an_answer_may_not_add_a_direction(ours: str, theirs: str) -> None:
    """RFC 3264 section 6.1: nothing flows that was not offered."""
    with pytest.raises(DescriptionRefused, match="beyond the offer"):
        changed(("a=sendrecv", f"a={theirs}"), offer=build_offer(offer_config(direction=ours)))


def test_a_second_transport_is_refused() -> None:
    """Without a group, more than one live section would need more than one transport."""
    extra = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    answer = parse(ANSWER.replace("a=group:BUNDLE 0\r\n", "") + extra)
    with pytest.raises(DescriptionRefused, match="no BUNDLE"):
        negotiate(parse(str(OFFER) + extra), answer)


def test_rejected_sections_are_listed() -> None:
    """The mids come from the offer: an answerer need not repeat them."""
    extra = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
    offer = parse(str(OFFER) + extra + "a=mid:v\r\n")
    answer = parse(ANSWER + extra.replace(" 9 ", " 0 "))
    assert negotiate(offer, answer).rejected_mids == ("v",)


def test_an_offer_without_audio_has_nothing_to_negotiate() -> None:
    """Nothing else is served yet."""
    head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
    with pytest.raises(DescriptionRefused, match="no audio"):
        negotiate(parse(head), parse(head))


# -- Data channels

DATA_OFFER = build_offer(offer_config(data=DataConfig(init=b"client")))
DATA_ANSWER = str(
    build_answer(
        DATA_OFFER, answer_config(data=DataConfig(port=5001, max_message_size=9, init=b"server"))
    )[0]
)


def test_the_offered_data_section() -> None:
    """Bundled behind the audio, without candidates of its own."""
    assert str(DATA_OFFER.group("BUNDLE")) == "group:BUNDLE 0 1"
    assert str(DATA_OFFER.media[0]) == str(OFFER.media[0])
    assert str(DATA_OFFER.media[1]).split("\r\n") == [
        "m=application 3478 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 192.0.2.1",
        "a=mid:1",
        "a=ice-ufrag:A7Nx/+abcdefghijklmnopq",
        "a=ice-pwd:pppppppppppppppppppppppp",
        f"a=fingerprint:sha-256 {FINGERPRINT}",
        "a=setup:actpass",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "a=sctp-init:Y2xpZW50",
        "",
    ]
    assert parse(str(DATA_OFFER)) == DATA_OFFER


def test_both_ends_agree_on_data_channels() -> None:
    """Ports, sizes and INIT chunks arrive at the other side."""
    config = DataConfig(port=5001, max_message_size=9, init=b"server")
    built, server = build_answer(parse(str(DATA_OFFER)), answer_config(data=config))
    client = negotiate(DATA_OFFER, parse(str(built)))
    assert client.data == DataNegotiated(
        mid="1",
        local_port=5000,
        remote_port=5001,
        remote_max_message_size=9,
        remote_init=b"server",
    )
    assert server.data == DataNegotiated(
        mid="1",
        local_port=5001,
        remote_port=5000,
        remote_max_message_size=262144,
        remote_init=b"client",
    )
    assert client.audio == server.audio


@pytest.mark.parametrize(
    ("letter", "payload_type"), [("a", 111), ("b", 96), ("c", 111), ("d", 111)]
)
def test_data_channels_of_a_deployed_service(letter: str, payload_type: int) -> None:
    """A very large max-message-size, no sctp-init."""
    offer = build_offer(offer_config(payload_type=payload_type, data=DataConfig(init=b"client")))
    assert negotiate(offer, parse(read(f"service-{letter}-shape.sdp"))).data == DataNegotiated(
        mid="1", local_port=5000, remote_port=5000, remote_max_message_size=1073741823
    )


def test_a_peer_without_data_channels() -> None:
    """The section is rejected, the call goes on."""
    built, _ = build_answer(DATA_OFFER, answer_config())
    negotiated = negotiate(DATA_OFFER, parse(str(built)))
    assert negotiated.data is None
    assert negotiated.rejected_mids == ("1",)


def test_the_tagged_section_of_an_answer_speaks_for_it() -> None:
    """The first of the answer's group, or whoever has what it leaves out."""
    head, audio, data = DATA_ANSWER.partition("m=")[0], *DATA_ANSWER.split("m=")[1:]
    other = data.replace("A7Nx/+", "B7Nx/+")
    text = f"{head}m={audio}m={other}"
    assert negotiate(DATA_OFFER, parse(text)).remote_ufrag.startswith("A7Nx")
    head = head.replace("BUNDLE 0 1", "BUNDLE 1 0")
    found = negotiate(DATA_OFFER, parse(f"{head}m={audio}m={other}"))
    assert found.remote_ufrag.startswith("B7Nx")
    assert len(found.remote_candidates) == 2
    bare = "\r\n".join(line for line in other.split("\r\n") if not line.startswith("a=ice"))
    found = negotiate(DATA_OFFER, parse(f"{head}m={audio}m={bare}"))
    assert found.remote_ufrag.startswith("A7Nx")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("UDP/DTLS/SCTP", "DTLS/SCTP"), "another protocol"),
        (("webrtc-datachannel", "5000"), "not webrtc-datachannel"),
        (("a=mid:1", "a=mid:2"), "another mid"),
        (("a=sctp-port:5001\r\n", ""), "no SCTP port"),
        (("a=sctp-port:5001", "a=sctp-port:0"), "no SCTP port"),
        (("a=sctp-port:5001", "a=crypto:1 X inline:y\r\na=sctp-port:5001"), "a=crypto"),
        (("a=group:BUNDLE 0 1\r\n", ""), "no BUNDLE"),
        (("BUNDLE 0 1", "BUNDLE 0"), "not in the answer's BUNDLE"),
    ],
)
def test_a_data_section_that_does_not_answer_is_refused(
    change: tuple[str, str], reason: str
) -> None:
    """An answer cannot be answered, so a broken one ends the call."""
    assert change[0] in DATA_ANSWER
    with pytest.raises(DescriptionRefused, match=reason):
        negotiate(DATA_OFFER, parse(DATA_ANSWER.replace(*change)))
