"""Threats to the signalling side: description bombs, downgrades, injection (H1 to H3, R13)."""

import contextlib
import random
import sys
from collections.abc import Callable

import pytest

from rtcproto.errors import DescriptionRefused, DescriptionTooLarge, ParseError, UsageError
from rtcproto.sdp import (
    MAX_BYTES,
    MAX_LINES,
    DataConfig,
    build_answer,
    build_offer,
    negotiate,
    parse,
    parse_fragment,
)
from tests.support.sdp import (
    FINGERPRINT,
    answer_config,
    candidate,
    offer_config,
    offer_text,
    read,
)

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"

LINE_TYPES = [
    "i=x",
    "c=IN IP4 192.0.2.1",
    "b=AS:1",
    "a=x",
    "a=sendrecv",
    "a=mid:x",
    "a=group:BUNDLE 0 1 2 3",
    f"a=fingerprint:sha-256 {FINGERPRINT}",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 a=b;c=d;e=f",
    "a=rtcp-fb:111 nack pli",
    "a=extmap:1 urn:x",
    "a=msid:a b",
    "a=ssrc:1 cname:x",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:0123456789012345678901",
    "a=setup:actpass",
    "a=ice-options:trickle",
    "a=candidate:1 1 udp 1 192.0.2.1 9 typ host a b c d e f",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
    "a=sctp-init:AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA",
]

DATA = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n"
    "c=IN IP4 0.0.0.0\na=mid:1\na=sctp-port:5000\na=sctp-init:aW5pdA==\n"
)


def data_offer(extra: str = "") -> str:
    """The small offer with a data section."""
    return offer_text(("BUNDLE 0", "BUNDLE 0 1"), extra=DATA + extra)


class Counting(str):
    """A text that counts how often it is cut up or copied."""

    __slots__ = ("uses",)
    uses: int

    def split(self, *args: object) -> list[str]:  # type: ignore[override]
        """Count, then split."""
        self.uses += 1
        return super().split(*args)  # type: ignore[arg-type]

    def encode(self, *args: object) -> bytes:  # type: ignore[override]
        """Count, then encode."""
        self.uses += 1
        return super().encode(*args)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "uses"),
    [(HEAD + "a=x\r\n" * 220_000, 0), (HEAD + "a=xyzuvw\r\n" * 5_600, 1)],
    ids=["1.05 MB", "56 KB"],
)
def test_h1_bombs_are_refused_before_they_are_cut_up(text: str, uses: int) -> None:
    """1.05 MB is refused by its length alone, 56 KB of one line by counting line ends."""
    bomb = Counting(text)
    bomb.uses = 0
    with pytest.raises(DescriptionTooLarge):
        parse(bomb)
    assert bomb.uses == uses


@pytest.mark.parametrize("line", LINE_TYPES)
@pytest.mark.parametrize("place", ["session", "media", "data"])
def test_h1_every_line_type_repeated_to_the_limits_is_served_or_refused(
    line: str, place: str
) -> None:
    """As many lines of one type as the limits allow, in an offer: answer or refusal, no more."""
    count = min(MAX_LINES - 30, (MAX_BYTES - 2000) // (len(line) + 2))
    block = f"{line}\n" * count
    if place == "session":
        text = offer_text(("t=0 0\n", f"t=0 0\n{block}"))
    elif place == "media":
        text = offer_text(extra=block)
    else:
        text = data_offer(block)
    try:
        answer, _ = build_answer(parse(text), answer_config(data=DataConfig(init=b"init")))
    except DescriptionRefused:
        return
    assert len(str(answer)) < MAX_BYTES


@pytest.mark.parametrize(
    "line",
    [
        "a=group:BUNDLE" + " x" * 32_000,
        "a=candidate:1 1 udp 1 192.0.2.1 9 typ host" + " a b" * 15_000,
        "a=fmtp:111 " + "a=b;" * 15_000,
        "a=fingerprint:sha-256 " + "AB:" * 20_000 + "AB",
        "a=rtpmap:111 opus/48000" + "/2" * 30_000,
        "a=ssrc:1 " + "x" * 60_000,
        "a=extmap:" + "1" * 60_000 + " urn:x",
        "m=audio 9 X" + " 0" * 30_000,
        "a=msid:" + "x " * 30_000,
        "a=sctp-init:" + "AAAA" * 15_000,
        "a=max-message-size:" + "9" * 60_000,
        "m=application 9 UDP/DTLS/SCTP" + " webrtc-datachannel" * 3_000,
    ],
    ids=lambda line: line[:14],
)
def test_h1_one_endless_line_parses_or_is_refused(line: str) -> None:
    """A line as long as the limit: values bounded by their grammar, never by patience."""
    try:
        description = parse(HEAD + line + "\r\n")
    except ParseError:
        return
    assert parse(str(description)) == description


def steps(work: Callable[[], object]) -> int:
    """How many function calls, C functions included, `work` makes: its cost without a clock."""
    count = 0

    def step(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        with contextlib.suppress(DescriptionRefused, ParseError):  # too large is a ParseError
            work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("line", LINE_TYPES)
def test_h1_work_grows_no_faster_than_the_text(line: str) -> None:
    """Up to the limits, doubling the lines costs at most 2.5 times the steps."""

    def cost(count: int) -> int:
        text = data_offer(f"{line}\n" * count)
        return steps(lambda: build_answer(parse(text), answer_config(data=DataConfig())))

    count = min(MAX_LINES - 40, (MAX_BYTES - 2000) // (len(line) + 2))
    assert cost(count) <= 2.5 * cost(count // 2)


@pytest.mark.parametrize("line", [*LINE_TYPES, "m=audio 9 X 0"])
def test_h1_fragments_are_no_bombs(line: str) -> None:
    """The same limits, and the same growth of work."""

    def cost(count: int) -> int:
        text = "m=audio 9 X 0\na=mid:0\n" + f"{line}\n" * count
        return steps(lambda: parse_fragment(text))

    count = min(MAX_LINES - 30, (MAX_BYTES - 2000) // (len(line) + 2))
    assert cost(count) <= 2.5 * cost(count // 2)
    assert cost(20 * MAX_LINES) < 50


@pytest.mark.parametrize(
    "text", [HEAD + "a=x\r\n" * 220_000, HEAD + "a=xyzuvw\r\n" * 5_600], ids=["1.05 MB", "56 KB"]
)
def test_h1_bombs_cost_a_few_steps(text: str) -> None:
    """A refusal by size does not depend on what the text holds."""
    with pytest.raises(DescriptionTooLarge):
        parse(text)
    assert steps(lambda: parse(text)) < 50


DOWNGRADES = {
    "plain RTP": [("UDP/TLS/RTP/SAVPF", "RTP/AVP")],
    "plain RTP with feedback": [("UDP/TLS/RTP/SAVPF", "RTP/AVPF")],
    "SRTP with keys elsewhere": [("UDP/TLS/RTP/SAVPF", "RTP/SAVPF")],
    "SRTP without feedback": [("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP")],
    "over TCP": [("UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF")],
    "letter case": [("UDP/TLS/RTP/SAVPF", "udp/tls/rtp/savpf")],
    "keys beside a fingerprint": [
        ("a=rtcp-mux\n", "a=rtcp-mux\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\n")
    ],
    "no fingerprint": [(f"a=fingerprint:sha-256 {FINGERPRINT}\n", "")],
    "SHA-1 only": [
        (f"sha-256 {FINGERPRINT}", "sha-1 " + ":".join(["AB"] * 20)),
    ],
    "MD5 only": [(f"sha-256 {FINGERPRINT}", "md5 " + ":".join(["AB"] * 16))],
    "no connection": [("setup:actpass", "setup:holdconn")],
    "no role": [("a=setup:actpass\n", "")],
    "two roles": [("a=setup:actpass\n", "a=setup:active\na=setup:passive\n")],
    "RTCP on a port of its own": [("a=rtcp-mux\n", "")],
}


@pytest.mark.parametrize("changes", DOWNGRADES.values(), ids=DOWNGRADES.keys())
def test_h2_downgraded_offers_are_refused(changes: list[tuple[str, str]]) -> None:
    """14 offers that ask for less than DTLS-SRTP with a known certificate: none is served."""
    with pytest.raises(DescriptionRefused):
        build_answer(parse(offer_text(*changes)), answer_config())


def test_h2_a_downgraded_section_beside_a_sound_one_is_rejected() -> None:
    """The sound section is served, the other gets port 0."""
    weak = "m=audio 9 RTP/AVP 111\na=mid:weak\na=rtcp-mux\na=rtpmap:111 opus/48000/2\n"
    answer, _ = build_answer(parse(offer_text(extra=weak)), answer_config())
    assert [media.port for media in answer.media] == [3478, 0]


DATA_DOWNGRADES = {
    "no DTLS": ("UDP/DTLS/SCTP", "SCTP"),
    "no DTLS over UDP": ("UDP/DTLS/SCTP", "UDP/SCTP"),
    "over TCP": ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP"),
    "an old draft": ("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000"),
    "letter case": ("UDP/DTLS/SCTP", "udp/dtls/sctp"),
    "media in its place": ("UDP/DTLS/SCTP", "UDP/TLS/RTP/SAVPF"),
    "another protocol on SCTP": ("webrtc-datachannel", "t38"),
    "keys beside a fingerprint": (
        "a=sctp-port",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\na=sctp-port",
    ),
    "no association": ("sctp-port:5000", "sctp-port:0"),
    "a transport of its own": ("BUNDLE 0 1", "BUNDLE 0"),
}


@pytest.mark.parametrize("change", DATA_DOWNGRADES.values(), ids=DATA_DOWNGRADES.keys())
def test_h2_downgraded_data_sections_are_rejected(change: tuple[str, str]) -> None:
    """10 data sections that ask for less than SCTP over the call's DTLS: port 0, as offer;
    refused, as answer."""
    config = answer_config(data=DataConfig())
    text = data_offer()
    assert change[0] in text
    answer, negotiated = build_answer(parse(text.replace(*change)), config)
    assert [media.port for media in answer.media] == [3478, 0]
    assert negotiated.data is None

    offer = build_offer(offer_config(data=DataConfig()))
    text = str(build_answer(offer, config)[0])
    assert negotiate(offer, parse(text)).data is not None
    assert change[0] in text
    with pytest.raises(DescriptionRefused):
        negotiate(offer, parse(text.replace(*change)))


@pytest.mark.parametrize(
    "line",
    [f"a=fingerprint:sha-256 {FINGERPRINT}\n", "a=setup:actpass\n", "a=ice-ufrag:remote\n"],
)
def test_h2_data_channels_need_what_audio_needs(line: str) -> None:
    """Credentials, fingerprint and role somewhere: a data section changes nothing about that."""
    text = data_offer().replace(line.replace("\n", "\r\n"), "")
    with pytest.raises(DescriptionRefused):
        build_answer(parse(text), answer_config(data=DataConfig()))


HOSTILE = ["\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", " ", "\t"]
TAILS = [
    "a=ice-lite",
    "m=video 9 RTP/AVP 0",
    "a=candidate:1 1 udp 1 127.0.0.1 80 typ host",
    "",
    ":",
]


def _hostile_labels(count: int) -> list[str]:
    drawn = random.Random(3)
    return [
        "x" * drawn.randrange(3)
        + "".join(drawn.choices(HOSTILE, k=drawn.randrange(1, 3)))
        + drawn.choice(TAILS)
        for _ in range(count)
    ]


def test_h3_no_label_adds_a_line() -> None:
    """1,000 hostile labels in every text field of both configurations: refused, or one line."""
    data = DataConfig(init=b"\r\na=ice-lite\r\n")
    lines = str(build_answer(parse(data_offer()), answer_config(data=data))[0]).count("\n")
    offer_lines = str(build_offer(offer_config(data=data))).count("\n")
    fields = ["ufrag", "pwd", "cname", "stream_id", "track_id", "opus_parameters", "host"]
    built = 0
    for index, label in enumerate(_hostile_labels(1000)):
        field = fields[index % len(fields)]
        changes = (
            {"candidates": (candidate(label), candidate())} if field == "host" else {field: label}
        )
        try:
            answer, _ = build_answer(parse(data_offer()), answer_config(data=data, **changes))
            offer = build_offer(offer_config(data=data, **changes))
        except UsageError:
            continue
        built += 1
        assert str(answer).count("\n") == str(answer).count("\r\n") == lines
        assert len(str(answer).splitlines()) == lines
        assert str(offer).count("\n") == str(offer).count("\r\n") == offer_lines
    # Blanks are part of format parameters; were nothing built, nothing was tested.
    assert 0 < built < 200


def test_h3_what_an_offer_says_adds_no_line_to_the_answer() -> None:
    """1,000 hostile mids, formats and extension attributes: refused, or the same line count."""
    config = answer_config(data=DataConfig(init=b"init"))
    sound = str(build_answer(parse(data_offer()), config)[0])
    places = [
        ("BUNDLE 0 1", "a=mid:1"),
        ("webrtc-datachannel", "webrtc-datachannel"),
        ("aW5pdA==", "aW5pdA=="),
        ("BUNDLE 0", "a=mid:0"),
        ("SAVPF 111", "SAVPF 111"),
        ("audio-level", "audio-level vad=on"),
    ]
    served = 0
    for index, label in enumerate(_hostile_labels(1000)):
        label = label.replace("\n", "\x85").replace("\r", "\x0b")
        first, second = places[index % len(places)]
        text = data_offer().replace("audio-level", "audio-level vad=on")
        text = text.replace(second, f"{second}{label}")
        if first not in second:
            text = text.replace(first, f"{first}{label}")
        try:
            answer, negotiated = build_answer(parse(text), config)
        except (ParseError, DescriptionRefused):
            continue
        served += 1
        if negotiated.data is None:
            assert len(str(answer).splitlines()) == str(answer).count("\r\n")
            assert str(answer.media[1]).count("\n") == 4  # m=, c=, mid, inactive
            continue
        assert str(answer).count("\n") == sound.count("\n")
        assert len(str(answer).splitlines()) == len(sound.splitlines())
        assert parse(str(answer)) == answer
    assert served > 0


@pytest.mark.parametrize("name", [f"service-{letter}-shape.sdp" for letter in "abcd"])
def test_h3_an_unterminated_last_line_is_read_and_never_written(name: str) -> None:
    """CRLF, LF and no final newline parse alike; what we write is terminated."""
    text = read(name).rstrip("\r\n")
    variants = [text + "\r\n", text, text.replace("\r\n", "\n"), text.replace("\r\n", "\n") + "\n"]
    first = parse(variants[0])
    assert all(parse(variant) == first for variant in variants)
    assert str(first).endswith("\r\n")


def test_r13_claimed_addresses_are_values_only() -> None:
    """Private, loopback and mapped addresses pass as text: the answer repeats none of them."""
    hosts = ["169.254.169.254", "127.0.0.1", "::ffff:10.0.0.1", "metadata.internal"]
    lines = "".join(f"a=candidate:1 1 udp 1 {host} 80 typ host\n" for host in hosts)
    answer, negotiated = build_answer(parse(offer_text(extra=lines)), answer_config())
    assert [entry.host for entry in negotiated.remote_candidates] == hosts
    assert not any(host in str(answer) for host in hosts[2:] + hosts[:1])
