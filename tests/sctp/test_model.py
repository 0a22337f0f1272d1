"""Two associations on the worst of paths against a model: a list of messages per stream.

Hypothesis chooses what is sent, which packets are dropped, doubled or swapped, and
when time passes. Whatever it chooses: a reliable ordered stream gives a prefix of
what was sent, an unordered one a part of it, no message comes twice or changed; and
once the path is good, everything reliable arrives and all buffers are empty.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtcproto.errors import BufferFull
from rtcproto.sctp import (
    Association,
    AssociationClosed,
    AssociationState,
    MessageReceived,
    ResetDone,
    StreamsReset,
)
from tests.support.sctp import CONFIG, seeded

# Stream -> whether it is ordered, and whether it may lose.
STREAMS = {0: (True, False), 1: (False, False), 2: (True, True), 3: (False, True)}
# Streams that are reset and used again.
REUSED = 4


class Messages(RuleBasedStateMachine):
    """`ends[0]` and `ends[1]`; `wires[n]` holds what end n sent and has not arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.ends = [Association(CONFIG, seeded(n), self.now) for n in range(2)]
        self.wires: list[list[bytes]] = [[], []]
        # (sender, stream) -> messages, in order.
        self.sent: dict[tuple[int, int], list[bytes]] = {}
        self.heard: dict[tuple[int, int], list[bytes]] = {}
        self.number = 0
        self.resetting = [False, False]

    @initialize(snap=st.booleans())
    def begin(self, snap: bool) -> None:
        """Both start; everything else may happen to the handshake as well."""
        if snap:
            inits = [end.local_init() for end in self.ends]
            self.ends[0].start_with(inits[1], self.now)
            self.ends[1].start_with(inits[0], self.now)
        else:
            for end in self.ends:
                end.start(self.now)
        self.collect()

    def collect(self) -> None:
        """Packets to the wires, events to the model."""
        for number, end in enumerate(self.ends):
            self.wires[number] += end.packets_to_send()
            for event in end.next_events():
                if isinstance(event, MessageReceived):
                    self.heard.setdefault((1 - number, event.stream), []).append(event.data)
                elif isinstance(event, ResetDone):
                    self.resetting[number] = False
                    assert event.accepted
                elif isinstance(event, StreamsReset):
                    # Nothing of the stream is still to come.
                    key = (1 - number, REUSED)
                    assert self.heard.get(key, []) == self.sent.get(key, [])
                else:
                    assert not isinstance(event, AssociationClosed), event

    def is_up(self, end: int) -> bool:
        """Whether it may send."""
        return self.ends[end].state is AssociationState.ESTABLISHED

    @rule(
        end=st.integers(0, 1),
        stream=st.sampled_from(sorted(STREAMS)),
        size=st.sampled_from([1, 50, 1132, 1133, 5000, 40_000]),
        lifetime=st.sampled_from([None, 0.05, 1.0]),
        retransmits=st.sampled_from([0, 1, 3]),
    )
    def send(
        self, end: int, stream: int, size: int, lifetime: float | None, retransmits: int
    ) -> None:
        """One message, told apart by its number."""
        if not self.is_up(end):
            return
        ordered, lossy = STREAMS[stream]
        self.number += 1
        data = (b"%06d" % self.number + bytes(size))[: max(size, 6)]
        options = {"max_retransmits": retransmits, "lifetime": lifetime} if lossy else {}
        try:
            self.ends[end].send_message(
                stream,
                51,
                data,
                self.now,
                ordered=ordered,
                **options,  # type: ignore[arg-type]
            )
        except BufferFull:
            return
        self.sent.setdefault((end, stream), []).append(data)
        self.collect()

    @rule(end=st.integers(0, 1), reset=st.booleans())
    def use_again(self, end: int, reset: bool) -> None:
        """The stream that is closed and opened anew."""
        if not self.is_up(end) or self.resetting[end]:
            return
        if reset:
            self.ends[end].reset_streams([REUSED], self.now)
            self.resetting[end] = True
        else:
            self.number += 1
            data = b"%06d" % self.number
            self.ends[end].send_message(REUSED, 51, data, self.now)
            self.sent.setdefault((end, REUSED), []).append(data)
        self.collect()

    def give(self, end: int, packet: bytes) -> None:
        """To the other end."""
        self.ends[1 - end].receive_packet(packet, self.now)
        self.collect()

    @rule(end=st.integers(0, 1), count=st.integers(1, 30))
    def deliver(self, end: int, count: int) -> None:
        """The path works for a moment."""
        for _ in range(min(count, len(self.wires[end]))):
            self.give(end, self.wires[end].pop(0))

    @precondition(lambda self: any(self.wires))
    @rule(end=st.integers(0, 1), at=st.integers(0, 30), how=st.sampled_from("drop double swap old"))
    def mistreat(self, end: int, at: int, how: str) -> None:
        """Lose, double or overtake a packet."""
        wire = self.wires[end]
        if not wire:
            return
        at %= len(wire)
        match how:
            case "d" | "r" | "o" | "p":
                del wire[at]
            case "u" | "b" | "l" | "e":
                self.give(end, wire[at])
            case _:
                wire.append(wire.pop(at))

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.1, 0.3, 1.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        for end in self.ends:
            end.handle_timer(self.now)
            deadline = end.get_timer()
            assert deadline is None or deadline > self.now
        self.collect()

    @invariant()
    def nothing_comes_that_was_not_sent(self) -> None:
        """No message twice, changed, or (where that is promised) out of order."""
        for (end, stream), heard in self.heard.items():
            sent = self.sent[end, stream]
            ordered, lossy = STREAMS.get(stream, (True, False))
            if ordered and not lossy:
                assert heard == sent[: len(heard)]
            else:
                assert not Counter(heard) - Counter(sent)
            if ordered:
                assert heard == sorted(heard)

    def teardown(self) -> None:
        """The path becomes good: what must arrive arrives, and nothing is kept."""
        for _ in range(400):
            for end in (0, 1):
                packets, self.wires[end] = self.wires[end], []
                for packet in packets:
                    self.give(end, packet)
            stats = [end.stats() for end in self.ends]
            quiet = not any(self.wires) and not any(self.resetting)
            up = all(self.is_up(end) for end in (0, 1))
            if quiet and up and not any(each.send_buffered for each in stats):
                break
            deadlines = [end.get_timer() for end in self.ends]
            due = [deadline for deadline in deadlines if deadline is not None]
            if not any(self.wires) and due:
                self.now = max(self.now, min(due))
                for end in self.ends:
                    end.handle_timer(self.now)
                self.collect()
        self.nothing_comes_that_was_not_sent()
        for (end, stream), sent in self.sent.items():
            if not STREAMS.get(stream, (True, False))[1]:
                assert sorted(self.heard.get((end, stream), [])) == sorted(sent)
        for association in self.ends:
            stats_now = association.stats()
            assert stats_now.state is AssociationState.ESTABLISHED
            assert (stats_now.send_buffered, stats_now.receive_buffered) == (0, 0)
            assert stats_now.bytes_in_flight == 0


TestMessages = Messages.TestCase
TestMessages.settings = settings(max_examples=40, stateful_step_count=40)
