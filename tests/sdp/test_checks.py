"""Validators of configured values: each accepts its own shape and names itself otherwise."""

from types import SimpleNamespace
from typing import Any

import pytest

from rtcproto.errors import UsageError
from rtcproto.sdp import checks
from tests.support.sdp import FINGERPRINT, candidate

CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (checks.ufrag, ["abcd", "+" * 32], ["abc", "a" * 33, "abc=", "abc\n"]),
    (checks.pwd, ["a" * 22, "/" * 256], ["a" * 21, "a" * 257, "a" * 22 + "\n"]),
    (
        checks.fingerprint,
        [("sha-256", FINGERPRINT)],
        [("SHA-256", FINGERPRINT), ("sha-256", FINGERPRINT.lower()), ("sha-256", "AB")],
    ),
    (
        checks.candidates,
        [(), (candidate(), candidate("x.local"))],
        [(candidate("a b"),), (candidate(""),), (candidate(port=70000),)],
    ),
    (checks.stream, ["s"], ["-", "", "a b"]),
    (checks.each_visible, [(), ("a", "nack pli")], [("",), ("a", "b\n"), ("a  b",)]),
    (checks.format_parameters, ["a=b; c=d"], ["", "a\n", "\u2028"]),
    (checks.some_bytes, [b"x"], [b"", "x"]),
    (checks.within(1, 5), [1, 5], [0, 6, -1]),
]


@pytest.mark.parametrize(("check", "good", "bad"), CASES)
def test_validators(check: Any, good: list[Any], bad: list[Any]) -> None:
    """The ends of each range, and what a line could break at."""
    attribute = SimpleNamespace(name="thing")
    for value in good:
        check(None, attribute, value)
    for value in bad:
        with pytest.raises(UsageError):
            check(None, attribute, value)
