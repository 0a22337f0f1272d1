"""What a caller may put into a line: validators for configured values.

Called (as attrs validators) by `config` and `fragment`. Each holds one kind of
value to the shape it has on the wire and raises `UsageError` otherwise, so that
a line we write always has the shape it should have, and only that line.
"""

from __future__ import annotations

import hmac
from typing import Any

from rtcproto.errors import ParseError, UsageError
from rtcproto.sdp.attributes import Fingerprint, SdpCandidate
from rtcproto.sdp.lines import is_ice_chars, is_visible

__all__ = [
    "candidates",
    "each_visible",
    "fingerprint",
    "format_parameters",
    "pwd",
    "some_bytes",
    "stream",
    "ufrag",
    "within",
]


def ufrag(_: object, attribute: Any, value: str) -> None:
    """A ufrag of ours."""
    # RFC 8839 5.4: "the ice-ufrag attribute MUST NOT be longer than 32 characters
    # when sending, but an implementation MUST accept up to 256".
    if not is_ice_chars(value, 4, 32):
        raise UsageError(f"{attribute.name} must be 4 to 32 characters A-Z a-z 0-9 + /")


def pwd(_: object, attribute: Any, value: str) -> None:
    """An ICE password."""
    if not is_ice_chars(value, 22, 256):
        raise UsageError(f"{attribute.name} must be 22 to 256 characters A-Z a-z 0-9 + /")


def fingerprint(_: object, attribute: Any, value: tuple[str, str]) -> None:
    """A hash name and its digest, in the case we write them."""
    text = " ".join(value)
    try:
        parsed = Fingerprint.parse(text, 0)
    except ParseError as error:
        raise UsageError(error.reason) from None
    if not hmac.compare_digest(str(parsed).encode(), f"fingerprint:{text}".encode()):
        raise UsageError(f"{attribute.name} must be a lower-case hash name and upper-case hex")


def candidates(_: object, attribute: Any, value: tuple[SdpCandidate, ...]) -> None:
    """Candidates that are read back as what they are."""
    for candidate in value:
        # Its own grammar is the check: a field with a blank, or none at all,
        # would be read back as something else.
        try:
            same = SdpCandidate.parse(str(candidate).removeprefix("candidate:"), 0) == candidate
        except ParseError as error:
            raise UsageError(error.reason) from None
        if not same:
            raise UsageError(f"{attribute.name} must hold visible ASCII fields without blanks")


def stream(_: object, attribute: Any, value: str) -> None:
    """The name of a stream."""
    # A client SDK breaks on `a=msid:-`: the track then belongs to no stream.
    if not is_visible(value) or value == "-":
        raise UsageError(f"{attribute.name} must be visible ASCII characters, and not '-'")


def each_visible(_: object, attribute: Any, value: tuple[str, ...]) -> None:
    """Words, or words with single blanks between them."""
    for text in value:
        if not all(map(is_visible, text.split(" "))):
            raise UsageError(f"{attribute.name} must hold visible ASCII characters")


def format_parameters(_: object, attribute: Any, value: str) -> None:
    """The text of an `a=fmtp` line after its format."""
    if not value or not value.isascii() or not value.isprintable():
        raise UsageError(f"{attribute.name} must be printable ASCII characters")


def some_bytes(_: object, attribute: Any, value: Any) -> None:
    """Bytes, one at least."""
    if not (isinstance(value, bytes) and value):
        raise UsageError(f"{attribute.name} must be bytes, and not empty")


def within(minimum: int, maximum: int) -> Any:
    """A validator of numbers from `minimum` to `maximum`, both included."""

    def check(_: object, attribute: Any, value: int) -> None:
        if not minimum <= value <= maximum:
            raise UsageError(f"{attribute.name} must be within {minimum} .. {maximum}")

    return check
