"""The Sans-IO contract as a test class: seven properties that every machine satisfies.

Subclass it once per machine (or per state of a machine) and say how to make one:

    class TestEcho(MachineContract):
        def subject(self) -> Subject:
            return Subject(machine=Echo(), samples=[b"ping 1"])

A machine without addresses goes in as `PacketAdapter(machine, PEER)`. The class
may live in any test module; its tests are collected under its name there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtcproto.datagram import MAX_DATAGRAM_OUT, Address
from rtcproto.testing.machine import Machine
from tests.support.strategies import addresses, datagrams

__all__ = ["NOW", "PEER", "MachineContract", "Subject", "footprint"]

NOW = 1000.0
PEER: Address = ("192.0.2.1", 5000)

# A machine that keeps producing without input has no end; this many drains is one.
MAX_DRAINS = 1000


@attrs.frozen(kw_only=True)
class Subject:
    """A fresh machine, made at `NOW`, and what the properties need to know of it."""

    machine: Machine
    # Datagrams that mean something to it (valid, or once valid), to mutate and replay.
    samples: Sequence[bytes] = ()
    # Ends it, given now; None for a machine that has no end.
    close: Callable[[float], object] | None = None
    # Datagrams that are not authentic (forged, stale), on top of junk.
    forged: Sequence[bytes] = ()
    # Where they come from; the peer's own address is the strictest place.
    source: Address = PEER
    mtu: int = MAX_DATAGRAM_OUT
    # Bytes by which unauthenticated input may make it grow, for ever.
    growth: int = 32_768
    # Bytes out per byte in, for an unauthenticated datagram. A machine behind a
    # gate (DTLS, which sees authenticated paths only) may say infinity.
    amplification: float = 1.0


# An operation: seconds that pass (negative: the caller's clock stumbled), then a
# datagram and its source, or None for the timer.
Operation = tuple[float, tuple[bytes, Address] | None]


def _operations(subject: Subject) -> st.SearchStrategy[list[Operation]]:
    pause = st.sampled_from([0.0, 0.0, 0.001, 0.02, 0.5, 5.0, 40.0, 4e6, -0.001, -10.0])
    source = addresses() | st.just(subject.source)
    samples = [*subject.samples, *subject.forged]
    event = st.none() | st.tuples(datagrams(samples), source)
    return st.lists(st.tuples(pause, event), max_size=25)


def _drain(machine: Machine) -> tuple[list[Any], list[Any]]:
    """Events and datagrams until both are empty."""
    events: list[Any] = []
    out: list[Any] = []
    for _ in range(MAX_DRAINS):
        new_events, new_out = machine.next_events(), machine.datagrams_to_send()
        if not new_events and not new_out:
            return events, out
        events += new_events
        out += new_out
    raise AssertionError(f"still producing after {MAX_DRAINS} drains")


def _apply(machine: Machine, operation: Operation, now: float) -> float:
    pause, received = operation
    now += pause
    if received is None:
        machine.handle_timer(now)
    else:
        machine.receive_datagram(received[0], received[1], now)
    return now


def footprint(root: object) -> int:
    """Bytes of everything reachable from `root` through attributes and containers.

    Classes, functions and modules are not followed; an object counts once.
    """
    seen: set[int] = set()
    stack: list[Any] = [root]
    total = 0
    while stack:
        value = stack.pop()
        if id(value) in seen or isinstance(value, type) or callable(value):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value, 0)
        if isinstance(value, dict):
            stack += value.keys()
            stack += value.values()
        elif isinstance(value, list | tuple | set | frozenset) or type(value).__name__ == "deque":
            stack += value
        else:
            stack += getattr(value, "__dict__", {}).values()
            for cls in type(value).__mro__:
                names = getattr(cls, "__slots__", ())
                for name in (names,) if isinstance(names, str) else names:
                    stack.append(getattr(value, name, None))
    return total


_PROPERTY = settings(
    max_examples=25,
    # The class is inherited by design: one body, many machines.
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)

# Each example of this one is a flood by itself.
LONG_TEST = "test_6_state_is_bounded"
LONG_EXAMPLES = 5


class MachineContract:
    """The seven properties; subclasses define `subject`.

    A machine that is expensive to make says so:
    `class TestCall(MachineContract, examples=8)`.
    """

    def __init_subclass__(cls, examples: int | None = None) -> None:
        """Wrap the properties anew, with their number of examples."""
        super().__init_subclass__()
        if examples is None:
            return
        for name, test in vars(MachineContract).items():
            if name.startswith("test_"):
                body = given(st.data())(test.hypothesis.inner_test)
                number = min(examples, LONG_EXAMPLES) if name == LONG_TEST else examples
                setattr(cls, name, settings(_PROPERTY, max_examples=number)(body))

    def subject(self) -> Subject:
        """A fresh machine and what is known of it."""
        raise NotImplementedError

    @_PROPERTY
    @given(st.data())
    def test_1_nothing_received_raises(self, data: st.DataObject) -> None:
        """No bytes, order or time make an input raise, clocks running backwards included."""
        subject = self.subject()
        now = NOW
        for operation in data.draw(_operations(subject)):
            now = _apply(subject.machine, operation, now)

    @_PROPERTY
    @given(st.data())
    def test_2_deadlines_lie_ahead(self, data: st.DataObject) -> None:
        """After handle_timer(t) the next deadline is None or later than t."""
        subject = self.subject()
        machine = subject.machine
        now = NOW
        for operation in data.draw(_operations(subject)):
            now = max(now, _apply(machine, operation, now))
            machine.handle_timer(now)
            deadline = machine.get_timer()
            assert deadline is None or deadline > now
            if deadline is not None:
                machine.handle_timer(deadline)
                now = deadline
                following = machine.get_timer()
                assert following is None or following > now

    @_PROPERTY
    @given(st.data())
    def test_3_draining_twice_gives_nothing(self, data: st.DataObject) -> None:
        """Outputs are handed out once; draining alone produces no more without end."""
        subject = self.subject()
        now = NOW
        for operation in data.draw(_operations(subject)):
            now = _apply(subject.machine, operation, now)
            _drain(subject.machine)
            assert list(subject.machine.next_events()) == []
            assert subject.machine.datagrams_to_send() == []

    @_PROPERTY
    @given(st.data())
    def test_4_datagrams_fit_the_mtu(self, data: st.DataObject) -> None:
        """Every datagram is at most the MTU, and not empty."""
        subject = self.subject()
        now = NOW
        for operation in data.draw(_operations(subject)):
            now = _apply(subject.machine, operation, now)
            for datagram in _drain(subject.machine)[1]:
                assert 0 < len(datagram.data) <= subject.mtu

    @_PROPERTY
    @given(st.data())
    def test_5_silence_after_the_end(self, data: st.DataObject) -> None:
        """Once closed and drained, nothing comes any more and no deadline is left."""
        subject = self.subject()
        if subject.close is None:
            return
        machine = subject.machine
        now = NOW
        operations = data.draw(_operations(subject))
        middle = len(operations) // 2
        for operation in operations[:middle]:
            now = _apply(machine, operation, now)
        subject.close(now)
        _drain(machine)
        assert machine.get_timer() is None
        for operation in operations[middle:]:
            now = _apply(machine, operation, now)
            assert _drain(machine) == ([], [])
            assert machine.get_timer() is None

    @settings(_PROPERTY, max_examples=LONG_EXAMPLES)
    @given(st.data())
    def test_6_state_is_bounded(self, data: st.DataObject) -> None:
        """Unauthenticated datagrams without end do not make it grow without end."""
        subject = self.subject()
        machine = subject.machine
        some = data.draw(st.lists(datagrams(subject.forged), min_size=5, max_size=20))
        _drain(machine)
        before = footprint(machine)
        for turn in range(40):
            for number, junk in enumerate(some):
                source = (f"198.51.100.{turn}", 1 + number)
                machine.receive_datagram(junk, source, NOW)
                machine.receive_datagram(junk, subject.source, NOW)
                _drain(machine)
        assert footprint(machine) - before <= subject.growth

    @_PROPERTY
    @given(st.data())
    def test_7_no_amplification(self, data: st.DataObject) -> None:
        """What is not authentic draws no reply larger than itself."""
        subject = self.subject()
        machine = subject.machine
        _drain(machine)
        for junk in data.draw(st.lists(datagrams(subject.forged), max_size=10)):
            machine.receive_datagram(junk, subject.source, NOW)
            out = sum(len(datagram.data) for datagram in _drain(machine)[1])
            assert out <= len(junk) * subject.amplification
