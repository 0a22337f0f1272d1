"""Lines of a session description: the limits, the cut, and the only way back to text.

RFC 8866 section 5: a description is a sequence of `<type>=<value>` lines, each
ended by CRLF; a parser should accept a single newline as well. Called by
`description` for every text that comes in and for every line that goes out.

What it refuses: more than 64 KiB, more than 1,000 lines, a NUL, a carriage
return inside a line, a line without `=` in second place. What it lets pass: LF
alone, a last line without an end, blank lines, trailing blanks (Pion sends
them). There is no regular expression in this package; every step is linear in
the length of the text, and the two size checks come before any split.
"""

from __future__ import annotations

from typing import Any

import attrs

from rtcproto.errors import DescriptionTooLarge, ParseError, UsageError

__all__ = [
    "Line",
    "MAX_BYTES",
    "MAX_LINES",
    "bounded_number",
    "is_ice_chars",
    "is_visible",
    "render",
    "split_lines",
    "visible",
]

# Bytes of UTF-8. A browser's largest offers (video, many codecs, simulcast)
# stay below 20 KiB; descriptions of a megabyte have been used as bombs.
MAX_BYTES = 64 * 1024

# A full audio, video and data offer with all its codecs has about 250 lines.
MAX_LINES = 1000

_ICE_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


@attrs.frozen
class Line:
    """One line: its type letter, its value without trailing blanks, its 1-based number.

    The number only serves error messages; it is not part of what a line says,
    so a description built in code leaves it at 0.
    """

    type: str
    value: str
    number: int = attrs.field(default=0, eq=False)


def split_lines(text: str) -> list[Line]:
    """Cut a description into lines.

    Raises `DescriptionTooLarge` beyond `MAX_BYTES` or `MAX_LINES`, and
    `ParseError` (offset: the line's number) for what is not a line.
    """
    # Characters first: a huge text is refused before it is copied even once.
    if len(text) > MAX_BYTES:
        raise DescriptionTooLarge("sdp", f"description is larger than {MAX_BYTES} bytes")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ParseError("sdp", "description is not valid Unicode") from None
    if size > MAX_BYTES:
        raise DescriptionTooLarge("sdp", f"description is larger than {MAX_BYTES} bytes")
    # The last line may lack its end, hence MAX_LINES ends and one more line at most.
    ends = text.count("\n")
    if ends > MAX_LINES or (ends == MAX_LINES and not text.endswith("\n")):
        raise DescriptionTooLarge("sdp", f"description has more than {MAX_LINES} lines")

    lines: list[Line] = []
    # Not str.splitlines: it also cuts at form feeds, U+0085, U+2028 and more,
    # which RFC 8866 section 9 (`byte-string`) allows inside a value.
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip(" \t\r")
        if not line:
            continue
        if "\0" in line or "\r" in line:
            raise ParseError("sdp", "control character inside a line", number)
        if line[1:2] != "=" or not ("a" <= line[0] <= "z"):
            raise ParseError("sdp", "not a <type>=<value> line", number)
        lines.append(Line(line[0], line[2:], number))
    return lines


def render(kind: str, value: str) -> str:
    r"""One line of text, ended by CRLF.

    Raises `UsageError` if the value would start a line of its own. Every line
    of every description passes here, so no value can become two lines.
    """
    if "\r" in value or "\n" in value or "\0" in value:
        raise UsageError(f"a value of a {kind}= line contains CR, LF or NUL")
    return f"{kind}={value}\r\n"


def bounded_number(text: str, maximum: int, what: str, number: int) -> int:
    """A decimal number of at most `maximum`; `ParseError` naming `what` otherwise."""
    # The length check comes first: int() of very long digits is slow, then an error.
    if len(text) > 20 or not (text.isascii() and text.isdigit()):
        raise ParseError("sdp", f"{what} is not a number", number)
    value = int(text)
    if value > maximum:
        raise ParseError("sdp", f"{what} is larger than {maximum}", number)
    return value


def is_visible(text: str) -> bool:
    """True for one or more visible ASCII characters: what a token may contain, and more."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def is_ice_chars(text: str, minimum: int, maximum: int) -> bool:
    """True for `minimum` to `maximum` characters of RFC 8839 `ice-char`."""
    return minimum <= len(text) <= maximum and _ICE_CHARS.issuperset(text)


def visible(instance: object, attribute: Any, value: str) -> None:
    """An attrs validator for configured names: `UsageError` unless `is_visible`.

    RFC 8866 section 9 gives each of them its own alphabet; what they share is
    that blanks, controls and line ends would change the line's shape.
    """
    if not is_visible(value):
        raise UsageError(f"{attribute.name} must be visible ASCII characters without blanks")
