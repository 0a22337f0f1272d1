"""Finding flows again in a store: questions, limits, and what the relay's core makes of answers."""

from __future__ import annotations

import pytest

from rtcproto import stun
from rtcproto.datagram import Address, Datagram
from rtcproto.relay import (
    Drop,
    ForgetFlow,
    LookUpFlow,
    RelayConfig,
    RelayCore,
    StoreFlow,
    recovery,
)
from rtcproto.relay.recovery import ABSENT_TIME, MAX_WAITING_PACKETS, WAIT_TIME, Recovery
from rtcproto.routing import EncipheredTokenCodec, StaticDirectory, encode_header
from rtcproto.routing.table import BUCKET, IDLE_TIMEOUT, TAKEOVER_SILENCE

PUBLIC = ("203.0.113.1", 3478)
INSIDE = ("10.0.0.100", 4000)
CLIENT = ("192.0.2.1", 50000)
FIRST = ("10.0.0.1", 9000)
SECOND = ("10.0.0.2", 9000)
KEY = (CLIENT, PUBLIC)
HEADER = encode_header(CLIENT, PUBLIC)

CODEC = EncipheredTokenCodec({"A": bytes(range(16))}, "A")
RTP = b"\x80\x6f" + bytes(40)
ANSWER = stun.build(1, 2, bytes(12), [], None)


def make_core(*, enabled: bool = True) -> RelayCore:
    """A relay with two transceivers and a store."""
    config = RelayConfig(publics=frozenset((PUBLIC,)), own=frozenset((INSIDE,)), recovery=enabled)
    return RelayCore(
        config, CODEC, StaticDirectory.from_text("0/1=10.0.0.1:9000\n0/2=10.0.0.2:9000")
    )


def client_sends(core: RelayCore, data: bytes = RTP, now: float = 0.0) -> list[Datagram]:
    """What leaves at once after a client's datagram."""
    core.receive_outside(data, CLIENT, PUBLIC, now)
    return core.datagrams_to_send()


def owner_sends(
    core: RelayCore, payload: bytes, owner: Address = FIRST, now: float = 0.0
) -> list[Datagram]:
    """What leaves after an owner's datagram."""
    core.receive_inside(HEADER + payload, owner, now)
    return core.datagrams_to_send()


def packet(n: int) -> bytes:
    """A packet of media that can be told from others."""
    return RTP + bytes((n,))


def test_off_by_default() -> None:
    """Nothing is asked, nothing waits, nothing is written."""
    core = make_core(enabled=False)
    owner_sends(core, RTP)
    core.receive_outside(RTP, ("192.0.2.9", 9), PUBLIC, 0.0)
    core.flow_found((("192.0.2.9", 9), PUBLIC), FIRST, 0.0)
    assert core.next_commands() == []
    assert core.stats().drops == {Drop.NO_FLOW: 1}
    assert list(core.flows) == [KEY]


def test_a_flow_is_found_again() -> None:
    """The first packets ask once and wait; the answer makes the flow and lets them go, in order."""
    core = make_core()
    for n in range(3):
        assert client_sends(core, packet(n)) == []
    assert core.next_commands() == [LookUpFlow(key=KEY)]
    core.flow_found(KEY, FIRST, 0.01)
    assert core.datagrams_to_send() == [Datagram(HEADER + packet(n), FIRST) for n in range(3)]
    assert client_sends(core, packet(3), 0.02) == [Datagram(HEADER + packet(3), FIRST)]
    assert core.stats().packets_inward == 4
    assert core.stats().drops == {}


def test_a_found_flow_is_unproven() -> None:
    """It yields to another owner's reply, is proven by its own owner's media, and then stays."""
    core = make_core()
    client_sends(core)
    core.flow_found(KEY, FIRST, 0.0)
    assert not core.is_proven(*KEY)
    owner_sends(core, ANSWER, SECOND, 0.1)
    assert core.owner_of(*KEY) == SECOND
    owner_sends(core, RTP, SECOND, 0.2)
    assert core.is_proven(*KEY)
    owner_sends(core, RTP, FIRST, 0.2 + TAKEOVER_SILENCE - 0.1)
    assert core.owner_of(*KEY) == SECOND
    owner_sends(core, b"", SECOND, 1.0)
    assert core.flows == {}


def test_a_found_flow_ends_when_its_owner_stays_silent() -> None:
    """What the store said is worth one idle time-out."""
    core = make_core()
    client_sends(core)
    core.flow_found(KEY, FIRST, 0.0)
    core.handle_timer(IDLE_TIMEOUT + BUCKET)
    core.handle_timer(IDLE_TIMEOUT + 2 * BUCKET)
    assert core.flows == {}


@pytest.mark.parametrize(
    "owner", [("10.0.0.3", 9000), ("10.0.0.1", 9001), ("169.254.169.254", 80), PUBLIC, CLIENT]
)
def test_the_store_steers_nobody_elsewhere(owner: Address) -> None:
    """Whoever can write to the store cannot make us send to what the directory does not list."""
    core = make_core()
    client_sends(core)
    core.flow_found(KEY, owner, 0.0)
    assert core.datagrams_to_send() == []
    assert core.flows == {}
    assert core.stats().drops == {Drop.NO_FLOW: 1}


def test_answers_to_no_question() -> None:
    """Late, doubled or invented answers do nothing; nor does one that the owner has overtaken."""
    core = make_core()
    core.flow_found(KEY, FIRST, 0.0)
    assert core.flows == {}
    client_sends(core)
    owner_sends(core, ANSWER, SECOND)
    core.flow_found(KEY, FIRST, 0.01)
    # The packets that waited go to the owner that has answered, not to the recorded one.
    assert core.datagrams_to_send() == [Datagram(HEADER + RTP, SECOND)]
    core.flow_found(KEY, FIRST, 0.02)
    assert core.owner_of(*KEY) == SECOND


def test_a_store_that_does_not_answer() -> None:
    """The packets are dropped when their time is over; it is as without a store."""
    core = make_core()
    client_sends(core, now=1.0)
    assert core.get_timer() == 1.0 + WAIT_TIME
    core.handle_timer(1.0 + WAIT_TIME)
    assert core.get_timer() is None
    assert core.stats().drops == {Drop.NO_FLOW: 1}
    core.flow_found(KEY, FIRST, 1.5)
    assert core.flows == {}
    # The owner's packet makes the flow as ever.
    owner_sends(core, RTP, now=1.5)
    assert client_sends(core, now=1.6) == [Datagram(HEADER + RTP, FIRST)]


def test_packets_that_waited_in_vain_still_go_if_the_owner_has_answered() -> None:
    """The store is silent, the owner is not."""
    core = make_core()
    client_sends(core)
    owner_sends(core, RTP, now=0.1)
    core.handle_timer(WAIT_TIME)
    assert core.datagrams_to_send() == [Datagram(HEADER + RTP, FIRST)]


def test_absence_is_remembered_for_a_while() -> None:
    """A client that the store does not know is not asked for with every packet."""
    core = make_core()
    client_sends(core)
    core.flow_found(KEY, None, 0.0)
    core.next_commands()
    for now in (0.0, 1.0, ABSENT_TIME - 0.01):
        client_sends(core, now=now)
    assert core.next_commands() == []
    assert core.stats().drops == {Drop.NO_FLOW: 1, Drop.NOT_WAITING: 3}
    client_sends(core, now=ABSENT_TIME)
    assert core.next_commands() == [LookUpFlow(key=KEY)]


def test_few_packets_wait() -> None:
    """The first ones are kept: the rest of a flight is of no use without them."""
    core = make_core()
    for n in range(MAX_WAITING_PACKETS + 5):
        client_sends(core, packet(n))
    core.flow_found(KEY, FIRST, 0.0)
    sent = core.datagrams_to_send()
    assert [d.data[-1] for d in sent] == list(range(MAX_WAITING_PACKETS))
    assert core.stats().drops == {Drop.NOT_WAITING: 5}


def test_records_are_written_when_flows_are_made_and_moved() -> None:
    """Media of a flow that stays is no reason to write."""
    core = make_core()
    owner_sends(core, ANSWER)
    owner_sends(core, RTP)
    owner_sends(core, RTP)
    owner_sends(core, ANSWER, SECOND, TAKEOVER_SILENCE)
    stored = core.next_commands()
    assert [(c.key, c.owner) for c in stored if isinstance(c, StoreFlow)] == [
        (KEY, FIRST),
        (KEY, SECOND),
    ]
    assert len(stored) == 2
    owner_sends(core, b"", FIRST)
    assert core.next_commands() == []
    owner_sends(core, b"", SECOND)
    assert core.next_commands() == [ForgetFlow(key=KEY, owner=SECOND)]


def test_records_outlive_the_pauses_between_writes() -> None:
    """A call of ten minutes is in the store at every moment, at two writes a minute."""
    core = make_core()
    expires = now = 0.0
    writes = 0
    while now < 600:
        owner_sends(core, RTP, now=now)
        core.handle_timer(now)
        for command in core.next_commands():
            assert isinstance(command, StoreFlow)
            assert (command.key, command.owner) == (KEY, FIRST)
            expires = now + command.ttl
            writes += 1
        assert expires > now
        now += 0.5
    assert 600 / (IDLE_TIMEOUT + 2) <= writes <= 600 / (IDLE_TIMEOUT - 2)


def test_the_record_of_a_dead_call_goes_by_itself() -> None:
    """A flow that is idle is not written again."""
    core = make_core()
    owner_sends(core, RTP)
    (stored,) = core.next_commands()
    for second in range(100):
        core.handle_timer(float(second))
    assert core.next_commands() == []
    assert isinstance(stored, StoreFlow)
    assert IDLE_TIMEOUT < stored.ttl < 2 * IDLE_TIMEOUT


def test_spoofed_media_asks_few_questions() -> None:
    """A flood of invented clients: bounded questions, bounded memory, all gone a moment later."""
    core = make_core()
    for n in range(20_000):
        core.receive_outside(RTP, (f"198.51.{n >> 8}.{n & 255}", 5000), PUBLIC, n * 1e-5)
    asked = core.next_commands()
    assert len(asked) == recovery.MAX_LOOKUPS
    assert core.stats().drops == {Drop.NOT_WAITING: 20_000 - recovery.MAX_LOOKUPS}
    core.handle_timer(10.0)
    assert core.get_timer() is None
    assert core.flows == {}
    assert core.datagrams_to_send() == []


def test_questions_per_second() -> None:
    """However fast the store answers, one second brings so many questions and no more."""
    machine = Recovery(IDLE_TIMEOUT)
    asked = 0
    for n in range(10 * recovery.MAX_LOOKUP_RATE):
        key = ((f"198.{n >> 16}.{n >> 8 & 255}.{n & 255}", 5), PUBLIC)
        if machine.wait(key, b"", RTP, n / (10 * recovery.MAX_LOOKUP_RATE)):
            asked += 1
            machine.answered(key)
    # The allowance saved up, and what one second earns.
    assert asked == pytest.approx(2 * recovery.MAX_LOOKUP_RATE, abs=2)


def test_absences_are_bounded() -> None:
    """The oldest is forgotten."""
    machine = Recovery(IDLE_TIMEOUT)
    keys = [((f"198.51.{n >> 8}.{n & 255}", 5), PUBLIC) for n in range(recovery.MAX_ABSENT + 1)]
    for key in keys:
        machine.absent(key, 0.0)
    assert machine.wait(keys[0], b"", RTP, 0.0)
    assert not machine.wait(keys[1], b"", RTP, 0.0)
    assert len(machine._absent) == recovery.MAX_ABSENT


def test_commands_that_nobody_takes() -> None:
    """A driver without a store loses commands, not memory, and can see it."""
    core = make_core()
    for n in range(recovery.MAX_COMMANDS + 7):
        header = encode_header(("192.0.2.1", 1 + n), PUBLIC)
        core.receive_inside(header + ANSWER, FIRST, 0.0)
    assert core.stats().commands_dropped == 7
    assert len(core.next_commands()) == recovery.MAX_COMMANDS


def test_behind_another_relay() -> None:
    """The key has the hop, and the packets leave behind both headers."""
    above, face = ("10.0.0.50", 4000), ("10.7.0.1", 4100)
    config = RelayConfig(
        publics=frozenset(), upstream_face=face, upstreams=("10.0.0.50/32",), recovery=True
    )
    core = RelayCore(config, CODEC, StaticDirectory.from_text("0/1=10.0.0.1:9000"))
    core.receive_outside(HEADER + RTP, above, face, 0.0)
    assert core.next_commands() == [LookUpFlow(key=(CLIENT, PUBLIC, above))]
    core.flow_found((CLIENT, PUBLIC, above), FIRST, 0.0)
    stack = encode_header(above, face) + HEADER
    assert core.datagrams_to_send() == [Datagram(stack + RTP, FIRST)]
    core.receive_inside(stack + RTP, FIRST, 0.0)
    assert core.flows == {(CLIENT, PUBLIC, above): FIRST}
    core.receive_inside(stack, FIRST, 0.0)
    assert core.next_commands()[-1] == ForgetFlow(key=(CLIENT, PUBLIC, above), owner=FIRST)


@pytest.mark.parametrize("source", [("192.0.2.1", 0), INSIDE, PUBLIC, FIRST])
def test_who_is_never_asked_for(source: Address) -> None:
    """No client can be there."""
    core = make_core()
    core.receive_outside(RTP, source, PUBLIC, 0.0)
    assert core.next_commands() == []
    assert core.stats().drops == {Drop.NO_FLOW: 1}
