"""Cutting text into lines, and the only way back."""

import pytest

from rtcproto.errors import DescriptionTooLarge, ParseError, UsageError
from rtcproto.sdp.lines import (
    MAX_BYTES,
    MAX_LINES,
    Line,
    bounded_number,
    is_ice_chars,
    is_visible,
    render,
    split_lines,
)


@pytest.mark.parametrize("text", ["a=x\r\nb=y\r\n", "a=x\nb=y\n", "a=x\nb=y", "a=x \t\r\n\r\nb=y"])
def test_line_ends_are_taken_as_they_come(text: str) -> None:
    """RFC 8866 section 5: CRLF, LF alone; also no end, blank lines, trailing blanks."""
    assert split_lines(text) == [Line("a", "x"), Line("b", "y")]


def test_a_line_is_what_it_says() -> None:
    """Its number is for error messages; it does not make two equal lines differ."""
    assert Line("a", "x", 1) == Line("a", "x", 2)
    assert len({Line("a", "x", 1), Line("a", "x", 2), Line("a", "y")}) == 2


def test_separators_that_are_not_line_ends_stay_inside_a_value() -> None:
    """Only LF ends a line; form feed, U+0085 and U+2028 are part of a byte-string."""
    assert split_lines("i=a\x0cb\x85c\u2028d\x1ee\n") == [Line("i", "a\x0cb\x85c\u2028d\x1ee")]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("v=0\nx\n", 2),
        ("v=0\n\n a=b\n", 3),
        ("A=b\n", 1),
        ("=b\n", 1),
        ("ab=c\n", 1),
        ("\u00e4=b\n", 1),
        ("v=0\na=b\rc\n", 2),
        ("v=0\na=b\0c\n", 2),
    ],
)
def test_what_is_no_line_is_refused_by_its_number(text: str, number: int) -> None:
    """A ParseError carries the 1-based number of the line, blank lines counted."""
    with pytest.raises(ParseError) as caught:
        split_lines(text)
    assert (caught.value.protocol, caught.value.offset) == ("sdp", number)


def test_the_size_limit_is_exact_and_in_bytes() -> None:
    """64 KiB pass, one byte more does not; a character counts as its UTF-8 bytes."""
    body = "a=" + "x" * (MAX_BYTES - 3) + "\n"
    assert len(split_lines(body)) == 1
    for text in ("a=x" + body[2:], "a=" + "\u00e4" * (MAX_BYTES // 2)):
        with pytest.raises(DescriptionTooLarge):
            split_lines(text)


def test_the_line_limit_is_exact() -> None:
    """1,000 lines pass with and without a last line end; one line more does not."""
    line = "a=x\n"
    assert len(split_lines(line * MAX_LINES)) == MAX_LINES
    assert len(split_lines((line * MAX_LINES)[:-1])) == MAX_LINES
    for text in (line * (MAX_LINES + 1), line * MAX_LINES + "a=x"):
        with pytest.raises(DescriptionTooLarge):
            split_lines(text)


def test_text_that_is_not_unicode_is_refused() -> None:
    """A lone surrogate cannot be sent on, so it is not taken in."""
    with pytest.raises(ParseError):
        split_lines("a=\ud800\n")


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "\n", "a\0", "a\r\nm=video 9 X 1"])
def test_render_lets_no_value_become_two_lines(value: str) -> None:
    """CR, LF and NUL never pass from a value into a line."""
    with pytest.raises(UsageError):
        render("a", value)


def test_render_ends_in_crlf() -> None:
    """RFC 8866 section 5: each line is terminated by CRLF."""
    assert render("a", "b") == "a=b\r\n"


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1_0", "\u0661", "9" * 5000, "11", "1.0"])
def test_bounded_number_takes_ascii_digits_up_to_its_maximum(text: str) -> None:
    """No signs, blanks, underscores or foreign digits; nothing that int() would labour at."""
    with pytest.raises(ParseError):
        bounded_number(text, 10, "it", 3)
    assert bounded_number("10", 10, "it", 3) == 10


def test_alphabets() -> None:
    """Visible ASCII is 0x21 to 0x7E; ice-char is letters, digits, plus and slash."""
    assert is_visible("".join(map(chr, range(0x21, 0x7F))))
    assert not any(map(is_visible, ["", "a b", "a\tb", "\x7f", "\u00e4", "a\n", "\x1f"]))
    assert is_ice_chars("aZ9+/", 4, 5)
    assert not any(
        is_ice_chars(text, 4, 5) for text in ["abc", "abcdef", "ab:c", "ab c", "\u00e4bcd"]
    )
