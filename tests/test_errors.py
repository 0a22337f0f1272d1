"""The tree of exceptions."""

import inspect
import re

import pytest

from rtcproto import errors


def test_the_docstring_draws_the_real_tree() -> None:
    """Name and indentation in the module's docstring are the classes and their bases."""
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").split("```")[1].splitlines()[1:]:
        if match := re.match(r"( *)(\w+)", line):
            depth = len(match[1]) // 2
            path[depth:] = [match[2]]
            drawn[match[2]] = path[depth - 1] if depth else None
    real = {
        name: None if cls is errors.RtcError else cls.__base__.__name__
        for name, cls in inspect.getmembers(errors, inspect.isclass)
    }
    assert drawn == real
    assert set(errors.__all__) == set(real)


def test_parse_error_says_where_and_what() -> None:
    """Protocol, reason and offset are attributes, and make the text."""
    error = errors.ParseError("stun", "length is no multiple of 4", 2)
    assert (error.protocol, error.reason, error.offset) == ("stun", "length is no multiple of 4", 2)
    assert str(error) == "stun: length is no multiple of 4 (at 2)"
    assert errors.ParseError("rtp", "empty").offset == 0


def test_alert_shows_its_two_bytes() -> None:
    """RFC 5246 section 7.2: level and description."""
    alert = errors.DtlsAlert(2, 40)
    assert (alert.level, alert.description) == (2, 40)
    assert str(alert) == "TLS alert 40 (level 2)"


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (errors.BufferFull, errors.UsageError),
        (errors.CapacityExceeded, errors.UsageError),
        (errors.DescriptionRefused, errors.UsageError),
        (errors.DescriptionTooLarge, errors.ParseError),
    ],
)
def test_callers_can_catch_by_family(kind: type[Exception], base: type[Exception]) -> None:
    """What a caller did wrong is a UsageError, what does not decode a ParseError."""
    assert issubclass(kind, base)
    assert issubclass(kind, errors.RtcError)
