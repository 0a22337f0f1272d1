"""Two data planes on the worst of paths against a model: a list of messages per channel.

Hypothesis chooses what is opened, sent and closed, by both sides at once, and which packets
are lost, doubled or overtaken. A label names one opening of a channel, whatever id it has.
Whatever happens: no message comes on another channel, twice, or out of order where order is
promised; and once the path is good, everything reliable has arrived, and both sides know the
same channels. Ids are used again at once, as browsers do, or in turn, as we do.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from rtcproto.datachannel import (
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Open,
)
from rtcproto.errors import BufferFull, UsageError
from rtcproto.sctp import Association
from rtcproto.sdp import DataNegotiated
from rtcproto.session.data import DataPlane
from tests.support.sctp import CONFIG, seeded

KINDS: list[dict[str, int | bool]] = [
    {},
    {"ordered": False},
    {"max_retransmits": 1},
    {"ordered": False, "lifetime": 50},
]


class Channels(RuleBasedStateMachine):
    """`ends[0]` is the DTLS client; `wires[n]` holds what end n sent and has not arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        negotiated = DataNegotiated(
            mid="1", local_port=5000, remote_port=5000, remote_max_message_size=262_144
        )
        self.ends = [
            DataPlane(Association(CONFIG, seeded(n), self.now), negotiated, n == 0)
            for n in range(2)
        ]
        self.wires: list[list[bytes]] = [[], []]
        # End -> id -> label, of what is open there.
        self.open: list[dict[int, str]] = [{}, {}]
        self.kinds: dict[str, dict[str, int | bool]] = {}
        # (sender, label) -> messages.
        self.sent: dict[tuple[int, str], list[str]] = {}
        self.heard: dict[tuple[int, str], list[str]] = {}
        self.number = 0
        for end in self.ends:
            end.start(self.now)
        self.collect()

    def collect(self) -> None:
        """Packets to the wires, events to the model."""
        for number, end in enumerate(self.ends):
            self.wires[number] += end.packets_to_send()
            known = self.open[number]
            for event in end.next_events():
                if isinstance(event, DataChannelOpened):
                    assert event.channel not in known
                    known[event.channel] = event.label
                elif isinstance(event, DataChannelMessage):
                    assert isinstance(event.data, str)
                    key = (1 - number, known[event.channel])
                    self.heard.setdefault(key, []).append(event.data)
                elif isinstance(event, DataChannelClosed):
                    del known[event.channel]

    @rule(end=st.integers(0, 1), kind=st.integers(0, 3), lowest=st.booleans())
    def open_one(self, end: int, kind: int, lowest: bool) -> None:
        """A channel on the lowest id that is free, or on the next."""
        manager = self.ends[end]._manager
        if lowest:
            manager._last = manager._first - 2
        self.number += 1
        label = f"{self.number:06}"
        self.kinds[label] = KINDS[kind]
        self.ends[end].open_channel(Open(label=label, **KINDS[kind]), None, self.now)  # type: ignore[arg-type]
        self.collect()

    @precondition(lambda self: any(self.open))
    @rule(
        end=st.integers(0, 1), which=st.integers(0, 9), size=st.sampled_from([0, 0, 2000, 30_000])
    )
    def send(self, end: int, which: int, size: int) -> None:
        """One message, told apart by its number; "" among them."""
        if not self.open[end]:
            return
        channel, label = list(self.open[end].items())[which % len(self.open[end])]
        self.number += 1
        text = f"{self.number:06}" + "." * size
        try:
            self.ends[end].send_message(channel, text, self.now)
        except (BufferFull, UsageError):
            return
        self.sent.setdefault((end, label), []).append(text)
        self.collect()

    @precondition(lambda self: any(self.open))
    @rule(end=st.integers(0, 1), which=st.integers(0, 9))
    def close_one(self, end: int, which: int) -> None:
        """Either side may, and both may at once."""
        if self.open[end]:
            channel = list(self.open[end])[which % len(self.open[end])]
            self.ends[end].close_channel(channel, self.now)
            self.collect()

    @precondition(lambda self: any(self.open))
    @rule(end=st.integers(0, 1), which=st.integers(0, 9))
    def close_and_lose_the_answer(self, end: int, which: int) -> None:
        """The side that closed has seen both resets, the other one waits for an answer."""
        self.close_one(end, which)
        self.deliver(end, 100)
        self.deliver(1 - end, 100)
        self.wires[end].clear()

    @rule(end=st.integers(0, 1), count=st.integers(1, 30))
    def deliver(self, end: int, count: int) -> None:
        """The path works for a moment."""
        for _ in range(min(count, len(self.wires[end]))):
            self.give(end, self.wires[end].pop(0))

    @rule(rounds=st.integers(1, 4))
    def exchange(self, rounds: int) -> None:
        """It works both ways, for so many trips."""
        for _ in range(rounds):
            for end in (0, 1):
                self.deliver(end, 100)

    @precondition(lambda self: any(self.wires))
    @rule(
        end=st.integers(0, 1),
        at=st.integers(0, 30),
        how=st.sampled_from(["lose", "lose", "double", "overtake"]),
    )
    def mistreat(self, end: int, at: int, how: str) -> None:
        """One packet has no luck."""
        wire = self.wires[end]
        if not wire:
            return
        at %= len(wire)
        match how:
            case "lose":
                del wire[at]
            case "double":
                self.give(end, wire[at])
            case _:
                wire.append(wire.pop(at))

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.3, 1.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        for end in self.ends:
            end.handle_timer(self.now)
        self.collect()

    def give(self, end: int, packet: bytes) -> None:
        """To the other end."""
        self.ends[1 - end].receive([packet], self.now)
        self.collect()
        self.check()

    def check(self) -> None:
        """No message twice, or on another channel, or out of order."""
        for (end, label), heard in self.heard.items():
            sent = self.sent[end, label]
            assert not Counter(heard) - Counter(sent)
            if self.kinds[label].get("ordered", True):
                assert heard == sorted(heard)

    def teardown(self) -> None:
        """The path becomes good."""
        for _ in range(400):
            for end in (0, 1):
                packets, self.wires[end] = self.wires[end], []
                for packet in packets:
                    self.give(end, packet)
            if any(self.wires):
                continue
            states = [stats.state for end in self.ends for stats in end.channel_stats()]
            if self.open[0] == self.open[1] and set(states) <= {"open"} and not self.waiting():
                break
            due = [time for end in self.ends if (time := end.get_timer()) is not None]
            self.wait(max(0.0, min(due) - self.now))
        assert self.open[0] == self.open[1]
        assert not any(self.wires)
        for (end, label), sent in self.sent.items():
            if self.kinds[label].keys() <= {"ordered"}:
                assert sorted(self.heard.get((end, label), [])) == sorted(sent), label
        for end_ in self.ends:
            assert end_.dropped.keys() <= {"message_without_channel"}

    def waiting(self) -> bool:
        """Whether anything is still to be sent or acknowledged."""
        return any(end._association.stats().send_buffered for end in self.ends)


TestChannels = Channels.TestCase
TestChannels.settings = settings(max_examples=40, stateful_step_count=40)
