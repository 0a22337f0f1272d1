"""Fragments of descriptions: trickled candidates and ICE restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import DescriptionTooLarge, ParseError, UsageError
from rtcproto.sdp import MAX_MEDIA, FragmentMedia, SdpFragment, parse_fragment
from rtcproto.sdp.fragment import MAX_FRAGMENT_CANDIDATES
from tests.support.sdp import candidate

PWD = "P2uYro0UCOQ4zxjKXaWCBui1"
HOST = "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw"

# The shape of RFC 9725's restart request.
RESTART = (
    "a=ice-options:trickle ice2\r\n"
    "a=group:BUNDLE 0 1\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=mid:0\r\n"
    "a=ice-ufrag:EsAw\r\n"
    f"a=ice-pwd:{PWD}\r\n"
    f"{HOST}\r\n"
    "a=end-of-candidates\r\n"
)


def test_a_restart_is_read() -> None:
    """Credentials, options, group, mids, candidates and their end."""
    fragment = parse_fragment(RESTART)
    assert (fragment.ufrag, fragment.pwd) == ("EsAw", PWD)
    assert fragment.ice_options == ("trickle", "ice2")
    assert fragment.bundle == ("0", "1")
    assert [(section.mid, section.kind) for section in fragment.media] == [("0", "audio")]
    assert [entry.port for entry in fragment.candidates] == [61764]
    assert fragment.end_of_candidates
    assert not fragment.ice_lite
    assert PWD not in repr(fragment)


def test_the_whole_answer_to_a_restart() -> None:
    """Every line, in order; credentials stand once, in the first section."""
    fragment = SdpFragment(
        ufrag="A7Nx",
        pwd=PWD,
        ice_lite=True,
        ice_options=("ice2", "trickle"),
        bundle=("0", "1"),
        media=(
            FragmentMedia(mid="0", candidates=(candidate(),)),
            FragmentMedia(mid="1", kind="application"),
        ),
        end_of_candidates=True,
    )
    assert str(fragment).split("\r\n") == [
        "a=ice-lite",
        "a=ice-options:ice2 trickle",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "a=ice-ufrag:A7Nx",
        f"a=ice-pwd:{PWD}",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
        "a=end-of-candidates",
        "m=application 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:1",
        "a=end-of-candidates",
        "",
    ]
    assert parse_fragment(str(fragment)) == fragment


@pytest.mark.parametrize(
    "text",
    [
        f"a=ice-ufrag:EsAw\na=ice-pwd:{PWD}\nm=audio 9 RTP/AVP 0\na=mid:0\n{HOST}\n",
        f"m=audio 9 RTP/AVP 0\na=mid:0\na=ice-ufrag:EsAw\na=ice-pwd:{PWD}\n{HOST}",
        (
            f"a=ice-ufrag:EsAw\r\na=ice-pwd:{PWD}\r\nm=audio 0 X 0\r\na=ice-ufrag:EsAw\r\n"
            f"a=ice-pwd:{PWD} \r\na=mid:0\r\nc=IN IP4 0.0.0.0\r\n{HOST} \r\na=rtcp-mux\r\n"
        ),
    ],
    ids=["above", "below", "both"],
)
def test_credentials_are_read_wherever_clients_write_them(text: str) -> None:
    """Above the first m-line, below it, or both; CRLF or LF; what else there is says nothing."""
    fragment = parse_fragment(text)
    assert (fragment.ufrag, fragment.pwd) == ("EsAw", PWD)
    assert [section.mid for section in fragment.media] == ["0"]
    assert len(fragment.candidates) == 1
    assert not fragment.end_of_candidates


def test_fragments_without_sections() -> None:
    """Nothing but an end, a new pair, or nothing at all."""
    assert parse_fragment("a=end-of-candidates\r\n").end_of_candidates
    assert parse_fragment("") == SdpFragment()
    bare = SdpFragment(ufrag="EsAw", pwd=PWD)
    assert str(bare) == f"a=ice-ufrag:EsAw\r\na=ice-pwd:{PWD}\r\n"
    assert parse_fragment(str(bare)) == bare


def test_a_ufrag_alone_names_a_generation() -> None:
    """A client that knows only `usernameFragment` of its candidates sends no password."""
    fragment = parse_fragment(f"a=ice-ufrag:EsAw\nm=audio 9 RTP/AVP 0\na=mid:0\n{HOST}\n")
    assert (fragment.ufrag, fragment.pwd) == ("EsAw", None)


def test_the_same_candidate_under_two_sections_is_one() -> None:
    """BUNDLE: both sections speak of one transport."""
    section = f"m=audio 9 RTP/AVP 0\na=mid:0\n{HOST}\n"
    fragment = parse_fragment(section + section.replace("mid:0", "mid:1"))
    assert [len(entry.candidates) for entry in fragment.media] == [1, 1]
    assert len(fragment.candidates) == 1


def test_later_candidates_are_left_out() -> None:
    """64 in all, however they are spread over sections."""
    lines = "".join(f"a=candidate:1 1 udp 1 192.0.2.1 {port} typ host\n" for port in range(1, 51))
    text = "".join(f"m=audio 9 RTP/AVP 0\na=mid:{mid}\n{lines}" for mid in range(3))
    assert [len(section.candidates) for section in parse_fragment(text).media] == [50, 14, 0]
    assert MAX_FRAGMENT_CANDIDATES == 64


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        (f"{HOST}\n", "outside of a media section", 1),
        (f"m=audio 9 RTP/AVP 0\n{HOST}\n", "without mid", 1),
        ("m=audio 9 X 0\na=mid:0\nm=video 9 X 0\na=mid:0\n", "one mid", 3),
        ("m=\na=mid:0\n", "no media", 1),
        (f"a=ice-pwd:{PWD}\n", "ice-pwd without ice-ufrag", None),
        ("a=ice-ufrag:EsAw\na=ice-ufrag:EsAx\n", "two values of ice-ufrag", 2),
        (f"a=ice-ufrag:EsAw\na=ice-pwd:{PWD}\na=ice-pwd:{PWD}x\n", "two values of ice-pwd", 3),
        ("a=ice-ufrag:E\n", "ice-ufrag", 1),
        ("a=\n", "proper name", 1),
        ("m=audio 9 X 0\na=mid:0\na=candidate:1 1 udp 1\n", "candidate", 3),
        ("{}", "not a <type>=<value> line", 1),
    ],
)
def test_what_is_not_a_fragment_is_named(text: str, reason: str, line: int | None) -> None:
    """A reason and, where there is one, the line."""
    with pytest.raises(ParseError, match=reason) as caught:
        parse_fragment(text)
    assert line is None or caught.value.offset == line


def test_limits_are_those_of_descriptions() -> None:
    """Bytes, lines and m-lines."""
    section = "m=audio 9 X 0\na=mid:{}\n".format
    assert len(parse_fragment("".join(map(section, range(MAX_MEDIA)))).media) == MAX_MEDIA
    for text in [
        "".join(map(section, range(MAX_MEDIA + 1))),
        "a=x" * 30_000,
        "a=x\n" * 1001,
    ]:
        with pytest.raises(DescriptionTooLarge):
            parse_fragment(text)


@pytest.mark.parametrize(
    "build",
    [
        lambda text: SdpFragment(ufrag=text),
        lambda text: SdpFragment(ufrag="EsAw", pwd=text),
        lambda text: SdpFragment(ice_options=(text,)),
        lambda text: SdpFragment(bundle=(text,)),
        lambda text: FragmentMedia(mid=text),
        lambda text: FragmentMedia(mid="0", kind=text),
        lambda text: FragmentMedia(mid="0", candidates=(candidate(text),)),
    ],
    ids=["ufrag", "pwd", "option", "bundle", "mid", "kind", "candidate"],
)
@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\0b", "", "\u2028"])
def test_no_value_becomes_another_line(build, text: str) -> None:  # type: ignore[no-untyped-def]
    """Refused where it is said, before anything is written."""
    with pytest.raises(UsageError):
        build(text)


def test_a_password_needs_a_ufrag() -> None:
    """Half a pair is nobody's."""
    with pytest.raises(UsageError, match="pwd without ufrag"):
        SdpFragment(pwd=PWD)


_ICE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NAMES = st.text("abc019-./", min_size=1, max_size=5)
_SECTIONS = st.builds(
    FragmentMedia,
    mid=_NAMES,
    kind=st.sampled_from(["audio", "video", "application"]),
    candidates=st.lists(
        st.builds(candidate, host=_NAMES, port=st.integers(0, 65535)), max_size=4
    ).map(tuple),
)


@given(
    st.builds(
        SdpFragment,
        ufrag=st.text(_ICE, min_size=4, max_size=256),
        pwd=st.none() | st.text(_ICE, min_size=22, max_size=256),
        ice_lite=st.booleans(),
        ice_options=st.lists(_NAMES, max_size=3, unique=True).map(tuple),
        bundle=st.lists(_NAMES, max_size=3).map(tuple),
        media=st.lists(_SECTIONS, max_size=4, unique_by=lambda entry: entry.mid).map(tuple),
        end_of_candidates=st.booleans(),
    )
)
def test_what_is_written_is_read_back(fragment: SdpFragment) -> None:
    """One value, one text, the same value."""
    text = str(fragment)
    assert parse_fragment(text) == fragment
    assert str(parse_fragment(text)) == text


_PARTS = st.sampled_from(
    [*RESTART.splitlines(), "m=video 9 X 0", "a=mid:1", "a=ice-lite", "a=group:BUNDLE a\x85b"]
)


@given(st.lists(_PARTS | st.text(max_size=20), max_size=12).map("\n".join))
def test_whatever_is_read_can_be_written(text: str) -> None:
    """Total, and no line comes from inside a value."""
    try:
        fragment = parse_fragment(text)
    except ParseError:
        return
    written = str(fragment)
    assert parse_fragment(written) == fragment
    assert len(written.splitlines()) == written.count("\r\n") == written.count("\n")
