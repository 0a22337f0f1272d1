"""Parameters: RFC 9260 section 3.2.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError
from rtcproto.sctp.parameters import (
    MAX_PARAMETERS,
    Parameter,
    ParameterType,
    find,
    parse_parameters,
    serialize_parameters,
)

PARAMETERS = st.lists(
    st.builds(Parameter, st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=8
)


@given(PARAMETERS)
def test_round_trip(parameters: list[Parameter]) -> None:
    """What was built is parsed, unknown types and odd lengths included."""
    data = serialize_parameters(parameters)
    assert len(data) == sum(-(-len(p.value) // 4) * 4 + 4 for p in parameters[:-1]) + sum(
        4 + len(p.value) for p in parameters[-1:]
    )
    assert parse_parameters(data, 0, len(data)) == tuple(parameters)


def test_the_last_padding_may_be_missing() -> None:
    """RFC 9260 3.2.1: a chunk's length does not count the padding of its last parameter."""
    data = bytes.fromhex("80080006 82c0")
    assert parse_parameters(data, 0, 6) == (
        Parameter(ParameterType.SUPPORTED_EXTENSIONS, b"\x82\xc0"),
    )


@pytest.mark.parametrize("data", ["00010003", "00010005", "0001000800", "00010004 0001", "00"])
def test_lengths_that_cannot_be(data: str) -> None:
    """A length below four or beyond the chunk, or bytes too few for a header, are refused."""
    raw = bytes.fromhex(data)
    with pytest.raises(ParseError):
        parse_parameters(raw, 0, len(raw))


def test_too_many_are_refused() -> None:
    """One packet cannot make us build an unlimited list."""
    data = serialize_parameters([Parameter(1)] * MAX_PARAMETERS)
    assert len(parse_parameters(data, 0, len(data))) == MAX_PARAMETERS
    data += serialize_parameters([Parameter(1)])
    with pytest.raises(ParseError, match="too many"):
        parse_parameters(data, 0, len(data))


def test_find() -> None:
    """The first of its type, or nothing."""
    parameters = (Parameter(7, b"a"), Parameter(8, b"b"), Parameter(7, b"c"))
    assert find(parameters, 7) == b"a"
    assert find(parameters, 9) is None


def test_repr_shows_no_value() -> None:
    """A state cookie does not end up in a log."""
    assert repr(Parameter(7, b"\x61\x62\x63")) == "Parameter(0x7, 3 bytes)"
