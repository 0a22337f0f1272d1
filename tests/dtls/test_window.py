"""The replay window, RFC 6347 section 4.1.2.6."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtcproto.dtls.window import SIZE, ReplayWindow

LAST = 2**48 - 1

# Steps that stay near the top, cross the window's edge, or leap.
NUMBERS = st.one_of(
    st.integers(0, 40), st.integers(0, 3 * SIZE), st.integers(LAST - 2 * SIZE, LAST)
)


@given(st.lists(NUMBERS, max_size=60))
def test_against_a_set(sequences: list[int]) -> None:
    """Accepted is what was not seen before and lies within the last SIZE numbers."""
    window = ReplayWindow()
    seen: set[int] = set()
    for sequence in sequences:
        expected = sequence not in seen and sequence > max(seen, default=-1) - SIZE
        assert window.accepts(sequence) is expected
        if expected:
            window.commit(sequence)
            seen.add(sequence)
        assert window.top == max(seen, default=-1)
        assert window.missing.bit_length() <= SIZE


def test_in_order() -> None:
    """Numbers in order leave nothing behind, each counts once."""
    window = ReplayWindow()
    for sequence in range(3 * SIZE):
        assert window.accepts(sequence)
        window.commit(sequence)
        assert not window.accepts(sequence)
    assert (window.top, window.missing) == (3 * SIZE - 1, 0)


def test_the_edge() -> None:
    """The oldest number in the window is still good, the one before it is not."""
    window = ReplayWindow()
    window.commit(SIZE)
    assert window.accepts(1)
    assert not window.accepts(0)


def test_asking_changes_nothing() -> None:
    """Only `commit` moves the window, however far ahead a number is."""
    window = ReplayWindow(10, 0b100)
    assert window.accepts(LAST)
    assert (window.top, window.missing) == (10, 0b100)
    assert window.accepts(8)
    assert not window.accepts(9)


def test_from_its_state() -> None:
    """Two integers are all there is."""
    window = ReplayWindow()
    for sequence in (0, 5, 3, 900):
        window.commit(sequence)
    again = ReplayWindow(window.top, window.missing)
    assert [again.accepts(n) for n in range(1000)] == [window.accepts(n) for n in range(1000)]
