"""The contract mixin itself: sound machines pass it, each kind of broken one does not."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rtcproto.datagram import Address, Datagram
from rtcproto.testing import PacketAdapter
from tests.support.contract import NOW, PEER, MachineContract, Subject, footprint
from tests.support.toys import Echo, PacketEcho, Pinger


class TestPinger(MachineContract):
    """A machine with a timer, an event and an end."""

    def subject(self) -> Subject:
        """A pinger that is never done."""
        pinger = Pinger(PEER, NOW, count=10)
        return Subject(
            machine=pinger, samples=[b"pong 0", b"pong 1"], close=pinger.close, amplification=0
        )


class TestEcho(MachineContract):
    """A machine that answers everyone, with exactly what it got."""

    def subject(self) -> Subject:
        """An echo."""
        echo = Echo()
        return Subject(machine=echo, samples=[b"ping 0"], forged=[b"ping 0"], close=echo.close)


class TestPacketEcho(MachineContract):
    """A machine without addresses goes through the adapter."""

    def subject(self) -> Subject:
        """A packet echo."""
        return Subject(machine=PacketAdapter(PacketEcho(b"hello"), PEER), samples=[b"hello"])


class Raising(Echo):
    """Law 1: raises for a datagram that is too short."""

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        return super().receive_datagram(data, source, now, local) and data[7] == 0


class Busy(Pinger):
    """Law 2: is due again at once."""

    def handle_timer(self, now: float) -> None:
        self._deadline = now


class Endless(Echo):
    """Law 3: never stops sending."""

    def datagrams_to_send(self) -> list[Datagram]:
        return [Datagram(b"again", PEER)]


class Large(Echo):
    """Law 4: one byte over the MTU."""

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        self._out.append(Datagram(bytes(1201), source))
        return True


class Talkative(Echo):
    """Law 5: answers after its end."""

    def close(self, now: float) -> None:
        pass


class Hoarding(Echo):
    """Law 6: remembers every datagram."""

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        self.sources += [(source[0] + " " * 200, source[1])]
        return True


class Amplifying(Echo):
    """Law 7: answers one byte more than it got."""

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        self._out.append(Datagram(data + b"!", source))
        return True


@pytest.mark.parametrize(
    ("make", "law", "error"),
    [
        (Raising, "test_1_nothing_received_raises", IndexError),
        (lambda: Busy(PEER, NOW), "test_2_deadlines_lie_ahead", AssertionError),
        (Endless, "test_3_draining_twice_gives_nothing", AssertionError),
        (Large, "test_4_datagrams_fit_the_mtu", AssertionError),
        (Talkative, "test_5_silence_after_the_end", AssertionError),
        (Hoarding, "test_6_state_is_bounded", AssertionError),
        (Amplifying, "test_7_no_amplification", AssertionError),
    ],
)
def test_each_law_catches_its_offender(make, law, error) -> None:
    """Every property fails for a machine that breaks just that law."""

    class Broken(MachineContract):
        def subject(self) -> Subject:
            machine = make()
            return Subject(machine=machine, samples=[b"ping 0"], close=machine.close)

    # Finding the offence is enough; shrinking it is not what is tested here.
    body = getattr(MachineContract, law).hypothesis.inner_test
    found = settings(phases=[Phase.generate], database=None)(given(st.data())(body))
    with pytest.raises(error):
        found(Broken())


def test_footprint_follows_slots_and_containers() -> None:
    """What hides in slots, dictionaries and lists is counted, shared objects once."""

    class Slotted:
        __slots__ = ("things",)

    slotted = Slotted()
    slotted.things = {"a": [bytes(1000), bytearray(2000)]}
    assert 3000 < footprint(slotted) < 4000
    shared = bytes(5000)
    assert footprint([shared, shared]) < 6000
