"""Whole descriptions: text to values and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import DescriptionTooLarge, ParseError, UsageError
from rtcproto.sdp import (
    MAX_MEDIA,
    Attribute,
    Connection,
    Direction,
    Line,
    MediaDescription,
    Origin,
    SessionDescription,
    parse,
)
from tests.support.sdp import VECTORS, offer_text, read
from tests.support.vectors import require_corpus

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
NAMES = sorted(path.name for path in VECTORS.glob("*.sdp"))


@pytest.mark.parametrize("name", NAMES)
def test_stored_descriptions_survive_a_round_trip(name: str) -> None:
    """Every line of every stored description comes out again; the text ends in CRLF."""
    text = read(name)
    description = parse(text)
    again = str(description)
    assert again.endswith("\r\n")
    assert parse(again) == description
    wanted = [line.rstrip().lower() for line in text.splitlines()]
    assert sorted(line.lower() for line in again.splitlines()) == sorted(wanted)


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith(("chromium", "firefox"))])
def test_browser_descriptions_come_out_byte_for_byte(name: str) -> None:
    """What is already canonical is not changed at all."""
    assert str(parse(read(name))) == read(name)


@pytest.mark.parametrize("name", NAMES)
def test_crlf_lf_and_no_final_newline_mean_the_same(name: str) -> None:
    """Three ways to end lines, one description."""
    text = read(name).rstrip("\r\n") + "\r\n"
    assert parse(text) == parse(text.replace("\r\n", "\n")) == parse(text[:-2])


def test_typed_values_of_a_browser_offer() -> None:
    """The parts of Chromium's offer are where they belong."""
    offer = parse(read("chromium-156-audio-data.sdp"))
    audio, data = offer.media
    assert offer.origin.session_id == 3616587021447884630
    assert offer.group("BUNDLE").mids == ("0", "1")  # type: ignore[union-attr]
    assert not offer.ice_lite
    assert (audio.kind, audio.port, audio.protocol) == ("audio", 9, "UDP/TLS/RTP/SAVPF")
    assert audio.formats == ("111", "63", "9", "0", "8", "13", "110", "126")
    assert audio.connections == (Connection("0.0.0.0"),)
    assert audio.ice_options == ("trickle",)
    assert audio.rtpmaps[63].encoding == "red"
    assert audio.has("rtcp-rsize")
    assert not audio.has("bundle-only")
    assert (data.mid, data.kind) == ("1", "application")


def test_unknown_lines_survive_in_the_order_of_the_rfc() -> None:
    """RFC 8866 section 5 orders lines; unknown letters stand before the attributes."""
    text = (
        "v=0\r\no=- 1 2 IN IP6 ::1\r\ns=my call\r\ni=info\r\nu=http://example\r\ne=a@b\r\n"
        "p=+1\r\nc=IN IP6 ::1\r\nb=AS:64\r\nt=1 2\r\nr=7d 1h 0 25h\r\nz=0 0\r\nk=clear:x\r\n"
        "y=what\r\na=tool:x\r\n"
        "m=audio 9/2 RTP/AVP 0 1\r\ni=title\r\nc=IN IP4 192.0.2.1\r\nb=TIAS:1\r\nk=prompt\r\n"
        "y=that\r\na=x\r\n"
    )
    assert str(parse(text)) == text
    mixed = text.replace("b=AS:64\r\n", "").replace("s=my", "b=AS:64\r\ns=my")
    assert str(parse(mixed)) == text


def test_a_missing_time_and_an_empty_name_are_filled_in() -> None:
    """Some peers leave out t= or the name; the text we make has both."""
    description = parse("v=0\no=- 1 1 IN IP4 127.0.0.1\ns= \n")
    assert str(description) == HEAD


@pytest.mark.parametrize(
    ("text", "reason", "number"),
    [
        ("", "begin with v=", 1),
        ("\r\n\r\n", "begin with v=", 1),
        ("m=audio 9 X 0\r\n", "begin with v=", 1),
        ("s=-\r\n" + HEAD, "begin with v=", 1),
        (HEAD.replace("v=0", "v=1"), "version is not 0", 1),
        (HEAD + "v=0\r\n", "second v= line", 5),
        (HEAD.replace("o=- 1 1 IN IP4 127.0.0.1\r\n", ""), "no o= line", 3),
        (HEAD.replace("s=-\r\n", ""), "no s= line", 3),
        (HEAD + "s=-\r\n", "second s= line", 5),
        (HEAD.replace(" 1 1 IN", " 1 IN"), "o=: not six fields", 2),
        (HEAD.replace(" 1 1 IN", " x 1 IN"), "o=: session id", 2),
        (HEAD.replace(" 1 1 IN", " 1 " + "9" * 21 + " IN"), "o=: session version", 2),
        (HEAD + "c=IN IP4\r\n", "c=: not three fields", 5),
        (HEAD + "m=audio 9 X\r\n", "m=: not media", 5),
        (HEAD + "m=audio 9 X \u00e4\r\n", "m=: not visible", 5),
        (HEAD + "m=audio 65536 X 0\r\n", "m=: port", 5),
        (HEAD + "m=audio 9/x X 0\r\n", "m=: number of ports", 5),
        (HEAD + "m=audio 9 X 0\r\na=ice-ufrag:x\r\n", "ice-ufrag", 6),
        (HEAD + "m=a 9 X 0\r\na=mid:0\r\nm=b 9 X 0\r\na=mid:0\r\n", "one mid", 7),
        (HEAD + "nonsense\r\n", "<type>=<value>", 5),
    ],
)
def test_malformed_descriptions_say_what_and_where(text: str, reason: str, number: int) -> None:
    """A ParseError names what is wrong and the line."""
    with pytest.raises(ParseError, match=reason) as caught:
        parse(text)
    assert caught.value.offset == number
    assert not isinstance(caught.value, DescriptionTooLarge)


def test_the_media_limit_is_exact() -> None:
    """32 sections pass, the 33rd is too much, and it is the one named."""
    media = "m=audio 9 X 0\r\n"
    assert len(parse(HEAD + media * MAX_MEDIA).media) == MAX_MEDIA
    with pytest.raises(DescriptionTooLarge) as caught:
        parse(HEAD + media * (MAX_MEDIA + 1))
    assert caught.value.offset == 4 + MAX_MEDIA + 1


@pytest.mark.parametrize(
    ("session", "media", "wanted"),
    [
        ("", "", Direction.SENDRECV),
        ("", "a=recvonly\r\n", Direction.RECVONLY),
        ("a=inactive\r\n", "", Direction.INACTIVE),
        ("a=inactive\r\n", "a=sendonly\r\n", Direction.SENDONLY),
        ("", "a=sendonly:x\r\n", Direction.SENDRECV),
    ],
)
def test_direction_of_a_section(session: str, media: str, wanted: Direction) -> None:
    """RFC 8866 section 6.7: the section's own, else the session's, else sendrecv."""
    description = parse(HEAD + session + "m=audio 9 X 0\r\n" + media)
    assert description.direction_of(description.media[0]) is wanted


def test_values_built_in_code_render_and_are_checked() -> None:
    """A description can be made by hand; a line end in any value is a UsageError."""
    description = SessionDescription(
        origin=Origin(session_id=1, version=1),
        media=(
            MediaDescription(
                kind="audio",
                port=9,
                protocol="X",
                formats=("0",),
                lines=(Line("b", "AS:1"),),
                connections=(Connection.to("2001:db8::1"),),
                attributes=(Attribute("flag"),),
            ),
        ),
    )
    assert str(description) == (
        HEAD + "m=audio 9 X 0\r\nc=IN IP6 2001:db8::1\r\nb=AS:1\r\na=flag\r\n"
    )
    for hostile in (
        SessionDescription(origin=Origin(session_id=1, version=1), name="a\r\nb=c"),
        SessionDescription(origin=Origin(session_id=1, version=1, username="a\nb")),
        SessionDescription(origin=Origin(session_id=1, version=1), lines=(Line("i", "\r"),)),
        SessionDescription(
            origin=Origin(session_id=1, version=1), attributes=(Attribute("x", "\n"),)
        ),
    ):
        with pytest.raises(UsageError):
            str(hostile)


def _round_trip(text: str) -> None:
    try:
        description = parse(text)
    except ParseError:
        return
    again = str(description)
    assert again.endswith("\r\n")
    assert parse(again) == description
    assert str(parse(again)) == again


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    """Totality: no exception but ParseError; what parses survives a round trip."""
    _round_trip(text)
    _round_trip(HEAD + text)


_NAMES = ["mid", "group", "ice-ufrag", "ice-pwd", "fingerprint", "setup", "rtpmap", "fmtp"]
_NAMES += ["rtcp-fb", "extmap", "msid", "ssrc", "candidate", "ice-options", "x"]
_FIELDS = st.lists(
    st.sampled_from(["0", "1", "opus/48000/2", "urn:x", "sha-256", "typ", "host", "BUNDLE", "a=b"])
    | st.text(max_size=6),
    max_size=12,
)


@given(st.lists(st.tuples(st.sampled_from(_NAMES), _FIELDS, st.sampled_from([" ", "\t", "  "]))))
def test_any_attribute_values_parse_or_are_refused(
    attributes: list[tuple[str, list[str], str]],
) -> None:
    """Totality of each typed attribute, with odd blanks and letters in every field."""
    for name, fields, blank in attributes:
        _round_trip(f"{HEAD}a={name}:{blank.join(fields)}\r\n")


@given(st.data())
def test_mutated_offers_parse_or_are_refused(data: st.DataObject) -> None:
    """Totality near valid input: a stored offer with a few characters exchanged or cut."""
    text = list(read(data.draw(st.sampled_from(NAMES))))
    for _ in range(data.draw(st.integers(1, 6))):
        index = data.draw(st.integers(0, len(text) - 1))
        text[index] = data.draw(st.sampled_from(["", "\n", "\r", " ", "=", ":", "/", "9", "\0"]))
    _round_trip("".join(text))


def test_gathered_corpora_parse_or_are_refused() -> None:
    """Other projects' samples: ParseError or a round trip, and most of them do parse."""
    files = require_corpus("mozilla-sdp", "sdp-transform")
    parsed = 0
    for path in files:
        text = path.read_bytes().decode(errors="replace")
        _round_trip(text)
        try:
            parse(text)
        except ParseError:
            continue
        parsed += 1
    assert parsed >= len(files) * 0.8


def test_the_small_offer_of_these_tests_is_sound() -> None:
    """The offer that other tests bend parses as it stands."""
    assert parse(offer_text()).media[0].mid == "0"
