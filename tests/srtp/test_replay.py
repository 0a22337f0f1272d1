"""RFC 3711 3.3.2: the replay window against a model that remembers everything."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtcproto.srtp.replay import ReplayWindow


def test_in_order_leaves_the_set_alone():
    """Traffic in order never touches the set of missing indices."""
    window = ReplayWindow(5, 64)
    for index in range(6, 1000):
        assert window.accepts(index)
        window.commit(index)
    assert window.missing == set()
    assert not window.accepts(999)


def test_both_edges():
    """Exactly `size` indices up to the top are judged; below that all are refused."""
    window = ReplayWindow(0, 64)
    window.commit(100)
    assert window.accepts(100 - 63)
    assert not window.accepts(100 - 64)
    assert not window.accepts(100)


def test_earlier_than_the_first():
    """Packets that the first one overtook are accepted once each; nothing below zero is."""
    window = ReplayWindow(10, 64)
    for index in (7, 9, 8, 0):
        assert window.accepts(index)
        window.commit(index)
        assert not window.accepts(index)
    assert window.accepts(3)
    assert not window.accepts(-1)


def test_missing_is_bounded():
    """However wild the gaps, no more than the window is remembered."""
    window = ReplayWindow(0, 64)
    top = 0
    for step in range(1, 400):
        top += step * 7 % 131 + 1
        window.commit(top)
        assert len(window.missing) <= 64


class WindowMachine(RuleBasedStateMachine):
    """The window and a set of all accepted indices, driven alike."""

    SIZE = 32

    @initialize(first=st.integers(0, 70000))
    def start(self, first):
        """The first packet sets the window up."""
        self.window = ReplayWindow(first, self.SIZE)
        self.accepted = {first}

    @rule(step=st.integers(-40, 40) | st.integers(-300, 70000))
    def packet(self, step):
        """Any index near the top, or far from it."""
        top = max(self.accepted)
        index = top + step
        expected = index >= 0 and index > top - self.SIZE and index not in self.accepted
        assert self.window.accepts(index) == expected
        if expected:
            self.window.commit(index)
            self.accepted.add(index)

    @rule(count=st.integers(1, 80))
    def in_order(self, count):
        """A stretch without loss, as the receiving context takes it: the top alone moves."""
        for _ in range(count):
            self.window.top += 1
            self.accepted.add(self.window.top)

    @invariant()
    def bounded(self):
        """The missing set stays within its size, and the top is the highest index."""
        if hasattr(self, "window"):
            assert len(self.window.missing) <= self.SIZE
            assert self.window.top == max(self.accepted)


WindowMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestWindow = WindowMachine.TestCase


@given(st.permutations(range(40)), st.integers(0, 1 << 40))
def test_any_order_accepts_each_once(order, offset):
    """Within the window, order does not matter: each index is accepted exactly once."""
    window = ReplayWindow(offset + order[0], 64)
    for index in order[1:]:
        assert window.accepts(offset + index)
        window.commit(offset + index)
    assert not any(window.accepts(offset + index) for index in order)
