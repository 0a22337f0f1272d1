"""SCTP under attack, rows C2 to C6, C8 and C9, by a peer that DTLS let in.

Small numbers by default; the full ones under the marker `threats`. What floods may
cost is asserted as state, answers and work in calls, never as elapsed time.
"""

from __future__ import annotations

import random
import sys

import attrs
import pytest

from rtcproto._serial import distance as serial_distance
from rtcproto.sctp import (
    Association,
    AssociationClosed,
    AssociationState,
    MessageReceived,
    SctpCloseReason,
    StreamsReset,
    reassembly,
)
from rtcproto.sctp.chunks import Data, ForwardTsn, Sack
from rtcproto.sctp.control_chunks import (
    Abort,
    CookieAck,
    CookieEcho,
    Error,
    Heartbeat,
    HeartbeatAck,
    Init,
    InitAck,
    ReConfig,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    Unknown,
)
from rtcproto.sctp.packet import Chunk, Packet
from rtcproto.sctp.parameters import Parameter, ParameterType
from rtcproto.testing import LinkConfig
from tests.support.contract import footprint
from tests.support.sctp import CONFIG, AssociationPair, seeded

State = AssociationState
GOOD = LinkConfig(delay=0.01)


class Attacker:
    """An established association, and somebody who holds its peer's end of the DTLS connection."""

    def __init__(self) -> None:
        self.pair = AssociationPair(GOOD)
        self.pair.connect()
        self.victim = self.pair.first
        # What a peer knows: both tags, both TSNs.
        ours, theirs = self.pair.second.local_init(), self.pair.first.local_init()
        self.own_tag = int.from_bytes(ours[4:8], "big")
        self.tag = int.from_bytes(theirs[4:8], "big")
        self.tsn = int.from_bytes(ours[16:20], "big")
        self.victims_tsn = int.from_bytes(theirs[16:20], "big")
        self.now = self.pair.now

    def give(self, *chunks: Chunk, tag: int | None = None) -> list[bytes]:
        """Chunks in one packet; the answers."""
        packet = Packet(5000, 5000, self.tag if tag is None else tag, chunks)
        self.victim.receive_packet(packet.serialize(), self.now)
        return self.victim.packets_to_send()

    @property
    def is_alive(self) -> bool:
        """Whether the association stands, and says nothing odd."""
        return self.victim.state is State.ESTABLISHED


def in_state(state: State) -> tuple[Association, int, int]:
    """An association brought into a state, its tag and its peer's (0: not known)."""
    pair = AssociationPair(GOOD)
    first, second, now = pair.first, pair.second, pair.now
    own, other = (int.from_bytes(end.local_init()[4:8], "big") for end in (first, second))
    match state:
        case State.CLOSED:
            return first, own, 0
        case State.COOKIE_WAIT:
            first.start(now)
            first.packets_to_send()
            return first, own, 0
        case State.COOKIE_ECHOED:
            first.start(now)
            second.receive_packet(first.packets_to_send()[0], now)
            first.receive_packet(second.packets_to_send()[0], now)
            first.packets_to_send()
            return first, own, other
    pair.connect()
    if state is State.SHUTDOWN_PENDING:
        first.send_message(1, 51, b"x", pair.now)
    if state in (State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT):
        first.close(pair.now)
    elif state in (State.SHUTDOWN_RECEIVED, State.SHUTDOWN_ACK_SENT):
        if state is State.SHUTDOWN_RECEIVED:
            first.send_message(1, 51, b"x", pair.now)
        second.close(pair.now)
        for packet in second.packets_to_send():
            first.receive_packet(packet, pair.now)
    first.packets_to_send()
    first.next_events()
    return first, own, other


CHUNKS: list[Chunk] = [
    Init(77, 1000, 10, 10, 5),
    InitAck(77, 1000, 10, 10, 5, (Parameter(ParameterType.STATE_COOKIE, b"c" * 80),)),
    CookieEcho(b"c" * 82),
    CookieAck(),
    Data(5, 1, 0, 51, b"x"),
    Sack(5, 1000),
    ForwardTsn(6),
    Heartbeat((Parameter(ParameterType.HEARTBEAT_INFO, b"x"),)),
    HeartbeatAck(),
    ReConfig((Parameter(ParameterType.OUTGOING_RESET_REQUEST, bytes(14)),)),
    Error(),
    Shutdown(5),
    ShutdownAck(),
    ShutdownComplete(),
    ShutdownComplete(reflected=True),
    Abort(),
    Abort((), reflected=True),
    Unknown(0x3F, 0, b""),
    Unknown(0xFF, 0, b""),
]
STATES = [state for state in State if state is not State.ENDED]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_c2_every_chunk_under_every_wrong_tag_in_every_state(state: State) -> None:
    """C2: nothing but the tag that section 8.5 wants moves, ends or makes it answer.

    The right tag is 0 for INIT, the peer's own with the T bit, and ours for the rest.
    """
    for chunk in CHUNKS:
        for name in ("zero", "ours", "theirs", "wrong"):
            victim, own, other = in_state(state)
            assert victim.state is state
            tag = {"zero": 0, "ours": own, "theirs": other, "wrong": 0xDEADBEEF}[name]
            reflected = isinstance(chunk, Abort | ShutdownComplete) and chunk.reflected
            right = "zero" if isinstance(chunk, Init) else "theirs" if reflected else "ours"
            if name == right or (tag == 0 and right == "zero"):
                continue
            before = victim.stats()
            victim.receive_packet(Packet(5000, 5000, tag, (chunk,)).serialize(), 1001.0)
            assert victim.state is state, (chunk, name)
            assert victim.packets_to_send() == [], (chunk, name)
            assert victim.next_events() == []
            assert victim.stats().packets_dropped == before.packets_dropped + 1


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_c2_the_right_tag_has_only_the_outcomes_of_the_rfc(state: State) -> None:
    """C2: which chunk may end an association, and in which state."""
    ends = {
        Abort: set(STATES) - {State.CLOSED},
        ShutdownAck: {State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT},
        ShutdownComplete: {State.SHUTDOWN_ACK_SENT},
    }
    for chunk in CHUNKS:
        if isinstance(chunk, Sack | Shutdown | InitAck):
            continue  # an acknowledgement of what was not sent, and a lawful answer: elsewhere
        victim, own, other = in_state(state)
        reflected = isinstance(chunk, Abort | ShutdownComplete) and chunk.reflected
        if reflected and not other:
            continue
        tag = 0 if isinstance(chunk, Init) else other if reflected else own
        victim.receive_packet(Packet(5000, 5000, tag, (chunk,)).serialize(), 1001.0)
        expected = state in ends.get(type(chunk), set())
        assert (victim.state is State.ENDED) is expected, chunk
        assert len(victim.packets_to_send()) <= 1


def guess_aborts(count: int) -> None:
    """ABORTs under random tags, with and without the T bit."""
    attacker = Attacker()
    generator = random.Random(1)
    packets = []
    for number in range(count):
        tag = generator.randrange(1 << 32)
        if tag in (attacker.tag, attacker.own_tag):
            continue
        packets.append(Packet(5000, 5000, tag, (Abort((), reflected=bool(number % 2)),)))
    for packet in packets:
        attacker.victim.receive_packet(packet.serialize(), attacker.now)
    assert attacker.is_alive
    assert attacker.victim.stats().packets_dropped == len(packets)


def test_c2_guessed_aborts() -> None:
    """C2: 2,000 guesses and it lives (1,000,000 in full)."""
    guess_aborts(2000)


@pytest.mark.threats
def test_c2_guessed_aborts_in_full() -> None:
    """C2: 1,000,000 guesses and it lives."""
    for _ in range(10):
        guess_aborts(100_000)


@pytest.mark.parametrize("kind", range(256))
def test_c3_no_length_makes_it_loop(kind: int) -> None:
    """C3: any type with any impossible length is one dropped packet."""
    victim, own, _ = in_state(State.ESTABLISHED)
    header = (5000).to_bytes(2, "big") * 2 + own.to_bytes(4, "big") + bytes(4)
    for length in (0, 1, 2, 3, 13, 0xFFFF):
        body = bytes([kind, 0]) + length.to_bytes(2, "big") + bytes(8)
        victim.receive_packet(header + body, 1001.0)
    assert victim.stats().packets_dropped == 6
    assert victim.state is State.ESTABLISHED


def forward_far(count: int) -> None:
    """FORWARD-TSN to where nobody can be."""
    attacker = Attacker()
    streams = tuple((stream, 0x7FFF) for stream in range(500))
    before = footprint(attacker.victim)
    for step in range(count):
        jump = (1 << 31) - 1 - step % 1000
        answers = attacker.give(ForwardTsn(attacker.tsn + jump & 0xFFFFFFFF, streams))
        assert len(answers) <= 1
    assert attacker.is_alive
    assert footprint(attacker.victim) - before < 4096
    attacker.give(Data(attacker.tsn, 1, 0, 51, b"still"))
    assert MessageReceived(1, 51, b"still") in attacker.victim.next_events()


def test_c4_jumps_that_cannot_be() -> None:
    """C4: 300 FORWARD-TSN far ahead with 500 streams each: no effect (100,000 in full)."""
    forward_far(300)


@pytest.mark.threats
def test_c4_jumps_that_cannot_be_in_full() -> None:
    """C4: 100,000 of them."""
    forward_far(100_000)


def test_c4_many_in_one_packet() -> None:
    """C4: the first of a packet counts: each would have all that is held looked at again."""
    attacker = Attacker()
    chunks = [ForwardTsn(attacker.tsn + step & 0xFFFFFFFF, ((1, step),)) for step in range(96)]
    for number in range(3):
        (answer,) = attacker.give(*chunks[number:])
        (sack,) = Packet.parse(answer, True).chunks
        assert isinstance(sack, Sack)
        assert sack.cumulative == attacker.tsn + number & 0xFFFFFFFF


def test_c4_steps_of_one_over_what_came_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """C4: what a FORWARD-TSN costs goes by how far it leads, not by how much is held."""
    attacker = Attacker()
    for number in range(900):
        tsn = attacker.tsn + 2000 + number & 0xFFFFFFFF
        attacker.give(Data(tsn, 1, 1000 + number, 51, b"x"))
    counted = [0]

    def distance(*arguments: int) -> int:
        counted[0] += 1
        return serial_distance(*arguments)

    monkeypatch.setattr(reassembly, "distance", distance)
    for step in range(100):
        attacker.give(ForwardTsn(attacker.tsn + step & 0xFFFFFFFF, ((1, step),)))
    assert counted[0] <= 10 * 100
    assert attacker.victim.next_events()[1:] == []
    # All the way: what came early is delivered in its order.
    attacker.give(ForwardTsn(attacker.tsn + 1999 & 0xFFFFFFFF, ((1, 999),)))
    heard = [e for e in attacker.victim.next_events() if isinstance(e, MessageReceived)]
    assert len(heard) == 900


def test_c4_honest_partial_reliability_is_unharmed() -> None:
    """C4: 10 % loss, half of the messages without retransmission: the others all arrive."""
    pair = AssociationPair(LinkConfig(delay=0.01, loss=0.1))
    pair.connect()
    for number in range(200):
        limits = {"max_retransmits": 0} if number % 2 else {}
        pair.send(b"%d" % number, stream=1 + number % 2, **limits)
        pair.run_for(0.005)
    pair.run_for(10.0)
    kept = [event.data for event in pair.events(MessageReceived) if event.stream == 1]
    assert kept == [b"%d" % number for number in range(0, 200, 2)]
    assert pair.is_established


def crumbs(count: int, kind: str) -> None:
    """One byte each, and nothing ever complete."""
    attacker = Attacker()
    before = footprint(attacker.victim)
    work = []
    for step in range(2, 2 + 2 * count, 2):
        tsn = attacker.tsn + step & 0xFFFFFFFF
        calls = 0

        def count_calls(frame: object, event: str, argument: object) -> None:
            del frame, event, argument
            nonlocal calls
            calls += 1

        if step % max(2, count // 50 * 2) == 2:
            sys.setprofile(count_calls)
        match kind:
            case "held":
                crumb = Data(tsn, 1, 1 + step // 2 & 0x7FFF, 51, b"x")
            case "fragments":
                crumb = Data(tsn, 1, 1, 51, b"x", False, False)
            case "delivered":
                crumb = Data(tsn, 1, 0, 51, b"x", unordered=True)
            case _:
                crumb = Data(tsn, 1, 1, 51, b"x")
        answers = attacker.give(crumb)
        if sys.getprofile() is not None:
            sys.setprofile(None)
            work.append(calls)
        assert sum(map(len, answers)) <= 1200
        if not attacker.is_alive:
            break
    stats = attacker.victim.stats()
    assert stats.receive_buffered <= CONFIG.receive_window
    attacker.victim.next_events()
    assert footprint(attacker.victim) - before <= 1 << 20
    # The same number of calls for the last as for the first.
    tenth = max(1, len(work) // 10)
    assert sum(work[-tenth:]) <= 2 * sum(work[:tenth])


KINDS = ["held", "fragments", "delivered", "out of turn"]


@pytest.mark.parametrize("kind", KINDS)
def test_c5_crumbs(kind: str) -> None:
    """C5: 3,000 one-byte chunks, every second TSN missing: bounded, and no dearer at the end
    (1,000,000 in full)."""
    crumbs(3000, kind)


@pytest.mark.threats
@pytest.mark.parametrize("kind", KINDS)
def test_c5_crumbs_in_full(kind: str) -> None:
    """C5: 1,000,000 of them."""
    crumbs(1_000_000, kind)


def test_c5_crumbs_of_one_message_that_never_ends() -> None:
    """C5: next in line every time, so it must be taken: until it is over twice the limit."""
    attacker = Attacker()
    for number in range(2 * CONFIG.max_entries + 1):
        tsn = attacker.tsn + number & 0xFFFFFFFF
        attacker.give(Data(tsn, 1, 0, 51, b"x", number == 0, False))
    assert attacker.victim.state is State.ENDED
    (end,) = (e for e in attacker.victim.next_events() if isinstance(e, AssociationClosed))
    assert end.reason is SctpCloseReason.PROTOCOL


def test_c6_many_in_one_packet() -> None:
    """C6: the first SACK of a packet counts: blocks that move by one would cost as many looks."""
    attacker = Attacker()
    victim = attacker.victim
    victim.send_message(1, 51, bytes(3000), attacker.now)
    victim.packets_to_send()
    base = attacker.victims_tsn
    for number in range(2):
        flight = victim.stats().bytes_in_flight
        attacker.give(Sack(base + number & 0xFFFFFFFF, 10**6), Sack(base + 2 & 0xFFFFFFFF, 10**6))
        assert 0 < victim.stats().bytes_in_flight < flight


def bombard_with_sacks(count: int) -> None:
    """As many blocks as fit, again and again."""
    attacker = Attacker()
    victim = attacker.victim
    base = attacker.victims_tsn - 1
    for _ in range(6):
        victim.send_message(1, 51, bytes(100_000), attacker.now)
        out = victim.packets_to_send()
        chunks = [c for data in out for c in Packet.parse(data, True).chunks]
        base = max([base, *(c.tsn for c in chunks if isinstance(c, Data))])
        attacker.give(Sack(base & 0xFFFFFFFF, 1_000_000))
    flight = victim.stats().bytes_in_flight
    unsent = tuple((2 + 2 * n, 2 + 2 * n) for n in range(300) if 2 + 2 * n < flight // 1200)
    bomb = Sack(base & 0xFFFFFFFF, 1_000_000, unsent + ((5, 4),) * (300 - len(unsent)))
    for _ in range(count):
        attacker.give(bomb)
    assert attacker.is_alive


def test_c6_sacks_with_many_blocks() -> None:
    """C6: 300 blocks, 300 times: alive and consistent (10,000 in full)."""
    bombard_with_sacks(300)


@pytest.mark.threats
def test_c6_sacks_with_many_blocks_in_full() -> None:
    """C6: 10,000 times."""
    bombard_with_sacks(10_000)


@pytest.mark.parametrize("gaps", [(), ((2, 40_000),)])
def test_c6_acknowledging_what_was_not_sent(gaps: tuple[tuple[int, int], ...]) -> None:
    """C6: ABORT."""
    attacker = Attacker()
    cumulative = attacker.victims_tsn - bool(gaps) & 0xFFFFFFFF
    (answer,) = attacker.give(Sack(cumulative, 1000, gaps))
    assert isinstance(Packet.parse(answer, True).chunks[0], Abort)
    assert attacker.victim.state is State.ENDED


def test_c8_the_peers_limit_is_honoured() -> None:
    """C8: 1,000 bytes are sent, 1,001 refused."""
    pair = AssociationPair(GOOD, first=attrs.evolve(CONFIG, remote_max_message_size=1000))
    pair.connect()
    pair.send(bytes(1000))
    with pytest.raises(Exception, match="1001"):
        pair.send(bytes(1001))


def test_c8_our_limit_is_enforced() -> None:
    """C8: 257 KiB come in, the association ends, and no more than the limit was held."""
    pair = AssociationPair(GOOD, first=attrs.evolve(CONFIG, remote_max_message_size=0))
    pair.connect()
    before = footprint(pair.second)
    pair.send(bytes(257 * 1024))
    pair.run_for(2.0)
    assert pair.second.state is State.ENDED
    assert pair.heard() == []
    assert footprint(pair.second) - before < 2 * CONFIG.max_message_size
    assert pair.ends()[-1].reason is SctpCloseReason.PROTOCOL


def flood(count: int) -> None:
    """Everything that asks for an answer."""
    attacker = Attacker()
    word = (attacker.tsn).to_bytes(4, "big")
    reset = Parameter(ParameterType.OUTGOING_RESET_REQUEST, word + bytes(8) + b"\0\1")
    wrong = Parameter(ParameterType.OUTGOING_RESET_REQUEST, b"\1\2\3\4" + bytes(8) + b"\0\1")
    info = Parameter(ParameterType.HEARTBEAT_INFO, bytes(500))
    chunks: list[Chunk] = [
        Heartbeat((info,)),
        HeartbeatAck((info,)),
        ReConfig((reset,)),
        ReConfig((wrong, wrong)),
        Unknown(0xFF, 0, bytes(200)),
        Error((Parameter(3, b"x"),)),
        Init(77, 1000, 10, 10, 5),
        CookieEcho(bytes(82)),
    ]
    for chunk in chunks:
        attacker.give(chunk, tag=0 if isinstance(chunk, Init) else None)
    before = footprint(attacker.victim)
    for _ in range(count):
        for chunk in chunks:
            size = len(chunk.serialize()) + 12
            answers = attacker.give(chunk, tag=0 if isinstance(chunk, Init) else None)
            assert len(answers) <= 1
            # Our own numbers and a cookie are more than the smallest INIT.
            allowed = 250 if isinstance(chunk, Init) else max(size, 44)
            assert sum(map(len, answers)) <= allowed, chunk
    assert attacker.is_alive
    assert footprint(attacker.victim) - before < 1024
    assert attacker.victim.next_events().count(StreamsReset(streams=(1,))) <= 1


def test_c9_floods_of_questions() -> None:
    """C9: 50 of each: at most one answer each, none larger than a small one, constant state
    (100,000 in full)."""
    flood(50)


@pytest.mark.threats
def test_c9_floods_of_questions_in_full() -> None:
    """C9: 100,000 of each."""
    flood(100_000)


def test_c2_a_cookie_of_another_association() -> None:
    """C2: sealed with another key, it is nothing."""
    attacker = Attacker()
    stranger = Association(CONFIG, seeded(5), attacker.now)
    init = Init(attacker.own_tag, 1000, 10, 10, attacker.tsn)
    stranger.receive_packet(Packet(5000, 5000, 0, (init,)).serialize(), attacker.now)
    (answer,) = stranger.packets_to_send()
    (chunk,) = Packet.parse(answer).chunks
    assert isinstance(chunk, InitAck)
    assert attacker.give(CookieEcho(chunk.parameters[0].value)) == []
    assert attacker.is_alive
