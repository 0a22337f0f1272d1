"""The bounded reader and the writer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto._wire import Reader, Writer
from rtcproto.errors import ParseError

SIZES = st.sampled_from([1, 2, 3, 4, 6, 8])


@given(st.lists(SIZES.flatmap(lambda s: st.tuples(st.integers(0, 256**s - 1), st.just(s)))))
def test_integers_round_trip(values: list[tuple[int, int]]) -> None:
    """What is written is read, and nothing is left over."""
    writer = Writer()
    for value, size in values:
        writer.uint(value, size)
    reader = Reader(bytes(writer), "test")
    assert [reader.uint(size) for _, size in values] == [value for value, _ in values]
    reader.finish()
    assert len(writer) == sum(size for _, size in values)


@given(st.binary(max_size=255), SIZES, st.binary(max_size=10))
def test_vectors_round_trip(data: bytes, length_size: int, behind: bytes) -> None:
    """A vector carries its own length; what follows is untouched."""
    reader = Reader(bytes(Writer().vector(data, length_size).put(behind)), "test")
    assert reader.vector(length_size) == data
    assert reader.rest() == behind
    assert reader.remaining == 0


@given(st.binary(max_size=40), st.lists(st.tuples(st.sampled_from("tuv"), st.integers(-3, 50))))
def test_total(data: bytes, reads: list[tuple[str, int]]) -> None:
    """Any reads on any bytes give bytes or ParseError; a failed read moves nothing."""
    reader = Reader(data, "test")
    for kind, size in reads:
        before = reader.offset
        try:
            if kind == "t":
                assert len(reader.take(size)) == size
            elif kind == "u":
                reader.uint(max(size, 0))
            else:
                reader.vector(size % 5)
        except ParseError:
            moved = reader.offset - before
            assert moved == (size % 5 if kind == "v" and moved else 0)
        assert 0 <= reader.offset <= len(data)


def test_bounds_are_the_callers_not_the_buffers() -> None:
    """offset and end cut a window out of a larger packet; end beyond it means the end."""
    reader = Reader(b"abcdefgh", "test", offset=2, end=5)
    assert reader.remaining == 3
    assert reader.take(3) == b"cde"
    with pytest.raises(ParseError):
        reader.take(1)
    assert Reader(b"abc", "test", end=99).remaining == 3


def test_errors_name_protocol_reason_and_place() -> None:
    """The message helps without quoting the input."""
    reader = Reader(b"\x05abc", "dtls")
    with pytest.raises(ParseError) as caught:
        reader.vector(1)
    assert caught.value.protocol == "dtls"
    assert caught.value.offset == 1
    assert caught.value.reason == "5 bytes wanted, 3 left"
    assert str(reader.fail("odd")) == "dtls: odd (at 1)"


def test_finish_refuses_trailing_bytes() -> None:
    """What is not part of the structure is an error, where the format says so."""
    with pytest.raises(ParseError, match="2 bytes left over"):
        Reader(b"ab", "test").finish()


def test_writer_refuses_what_does_not_fit() -> None:
    """A value too large for its field is a bug of ours, loud and at once."""
    with pytest.raises(OverflowError):
        Writer().uint(256, 1)
    with pytest.raises(OverflowError):
        Writer().vector(bytes(256), 1)
