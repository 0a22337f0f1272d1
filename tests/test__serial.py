"""RFC 1982 arithmetic as algebra."""

from hypothesis import given
from hypothesis import strategies as st

from rtcproto._serial import after, distance, unwrap

BITS = st.sampled_from([4, 8, 16, 24, 32, 48])


def serials(count: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Bits, then that many numbers of so many bits."""
    return BITS.flatmap(
        lambda bits: st.tuples(st.just(bits), *[st.integers(0, (1 << bits) - 1)] * count)
    )


@given(serials(2))
def test_distance_leads_from_first_to_second(case: tuple[int, ...]) -> None:
    """first + distance(first, second) is second, and the way is never longer than half."""
    bits, first, second = case
    steps = distance(first, second, bits)
    assert (first + steps) % (1 << bits) == second
    assert -(1 << (bits - 1)) <= steps < 1 << (bits - 1)


@given(serials(2))
def test_order_is_antisymmetric(case: tuple[int, ...]) -> None:
    """Of two different numbers exactly one is later, but for those half the space apart."""
    bits, first, second = case
    if first == second:
        assert not after(first, second, bits)
    elif (first - second) % (1 << bits) == 1 << (bits - 1):
        # RFC 1982 section 3.2 leaves this pair undefined; here neither is later.
        assert not after(first, second, bits)
        assert not after(second, first, bits)
    else:
        assert after(first, second, bits) != after(second, first, bits)


@given(serials(1), st.integers(1, 7))
def test_adding_moves_forward(case: tuple[int, ...], steps: int) -> None:
    """RFC 1982 section 3.1: s + n is later than s, across the wrap too."""
    bits, number = case
    moved = (number + steps) % (1 << bits)
    assert after(moved, number, bits)
    assert distance(number, moved, bits) == steps


@given(BITS, st.integers(-(2**70), 2**70), st.integers())
def test_unwrap_is_congruent_and_nearest(bits: int, reference: int, number: int) -> None:
    """The unwrapped number is congruent, and no congruent one is nearer."""
    wrapped = number % (1 << bits)
    unwrapped = unwrap(wrapped, reference, bits)
    assert unwrapped % (1 << bits) == wrapped
    assert abs(unwrapped - reference) <= 1 << (bits - 1)


@given(BITS, st.integers(0, 2**40), st.lists(st.integers(-7, 7), max_size=50))
def test_unwrap_follows_a_stream(bits: int, start: int, steps: list[int]) -> None:
    """A stream with reordering shorter than half the space unwraps to what was sent."""
    position = start
    for step in steps:
        true = position + step
        assert unwrap(true % (1 << bits), position, bits) == true
        position = max(position, true)


def test_the_wrap_of_sixteen_bits() -> None:
    """The case every RTP receiver meets."""
    assert distance(65535, 0, 16) == 1
    assert after(0, 65535, 16)
    assert not after(65535, 0, 16)
    assert unwrap(2, 65530, 16) == 65538
    assert unwrap(65530, 65538, 16) == 65530
