"""The flow table, by example and against a reference model."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rtcproto.datagram import Address
from rtcproto.errors import UsageError
from rtcproto.routing import table as table_module
from rtcproto.routing.proxy import encode_header
from rtcproto.routing.table import (
    BUCKET,
    EXPIRY_SLICE,
    IDLE_TIMEOUT,
    TAKEOVER_SILENCE,
    FlowAdded,
    FlowEvent,
    FlowProven,
    FlowRemoved,
    FlowTable,
    Removal,
    Reply,
)

PUBLIC = ("203.0.113.1", 3478)
OTHER_PUBLIC = ("203.0.113.2", 3478)
CLIENT = ("192.0.2.1", 50000)
OWNER = ("10.0.0.1", 9000)
RIVAL = ("10.0.0.2", 9000)


def reply(
    table: FlowTable,
    owner: Address = OWNER,
    client: Address = CLIENT,
    public: Address = PUBLIC,
    media: bool = False,
    now: float = 0.0,
) -> Reply:
    """One datagram of an owner."""
    return table.reply(owner, client, public, encode_header(client, public), media, now)


def added(owner: Address) -> FlowEvent:
    """The event of a new flow of CLIENT."""
    return FlowAdded(client=CLIENT, public=PUBLIC, owner=owner)


def proven(owner: Address) -> FlowEvent:
    """The event of a proven flow of CLIENT."""
    return FlowProven(client=CLIENT, public=PUBLIC, owner=owner)


def removed(owner: Address, reason: Removal) -> FlowEvent:
    """The event of a removed flow of CLIENT."""
    return FlowRemoved(client=CLIENT, public=PUBLIC, owner=owner, reason=reason)


def test_a_reply_makes_a_flow() -> None:
    """The owner's first datagram makes an unproven flow for exactly that pair."""
    table = FlowTable()
    assert reply(table) is Reply.ADDED
    assert table.owner_of(CLIENT, PUBLIC) == OWNER
    assert table.owner_of(CLIENT, OTHER_PUBLIC) is None
    assert table.owner_of((CLIENT[0], CLIENT[1] + 1), PUBLIC) is None
    assert not table.is_proven(CLIENT, PUBLIC)
    assert table.next_events() == [added(OWNER)]
    assert table.next_events() == []


def test_flows_share_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets make a new address per packet; flows keep one of an owner, also when they move."""
    monkeypatch.setattr(table_module, "MAX_SHARED_ADDRESSES", 3)
    table = FlowTable()

    def anew(address: Address) -> Address:
        return f"{address[0]}", address[1] + 0

    clients = [(CLIENT[0], CLIENT[1] + number) for number in range(4)]
    for client in clients[:2]:
        reply(table, anew(OWNER), client, anew(PUBLIC))
    first, second = table.by_client.values()
    assert first.owner is second.owner
    assert first.public is second.public
    assert first.key[1] is second.key[1]
    for flow, client in ((first, clients[0]), (second, clients[1])):
        reply(table, anew(RIVAL), client, PUBLIC)
        assert flow.owner == RIVAL
    assert first.owner is second.owner
    # A fourth address does not fit: all are shared anew, and nothing else changes.
    reply(table, OWNER, clients[2], OTHER_PUBLIC)
    assert len(table._shared) <= 2
    reply(table, anew(RIVAL), clients[3], PUBLIC)
    assert [flow.owner for flow in table.by_client.values()] == [RIVAL, RIVAL, OWNER, RIVAL]


def test_media_proves_a_flow_once() -> None:
    """Media of the owner proves, with one event; later replies change nothing."""
    table = FlowTable()
    reply(table)
    assert reply(table, media=True) is Reply.REFRESHED
    assert table.is_proven(CLIENT, PUBLIC)
    assert reply(table, media=True) is Reply.REFRESHED
    assert reply(table) is Reply.REFRESHED
    assert table.is_proven(CLIENT, PUBLIC)
    assert table.next_events() == [added(OWNER), proven(OWNER)]


def test_unproven_yields_to_the_newest_reply() -> None:
    """Whoever answered last has an unproven flow."""
    table = FlowTable()
    reply(table)
    assert reply(table, RIVAL) is Reply.MOVED
    assert table.owner_of(CLIENT, PUBLIC) == RIVAL
    assert reply(table, OWNER, media=True) is Reply.MOVED
    assert table.is_proven(CLIENT, PUBLIC)
    assert table.next_events() == [
        added(OWNER),
        removed(OWNER, Removal.MOVED),
        added(RIVAL),
        removed(RIVAL, Removal.MOVED),
        added(OWNER),
        proven(OWNER),
    ]


def test_proven_stays_while_its_owner_speaks() -> None:
    """Another owner's replies, even media, neither move nor refresh a proven flow."""
    table = FlowTable()
    reply(table, media=True)
    for step in range(1, 100):
        now = step * 0.5
        if step % 20 == 0:
            assert reply(table, now=now) is Reply.REFRESHED
        assert reply(table, RIVAL, media=True, now=now) is Reply.REFUSED
    assert table.owner_of(CLIENT, PUBLIC) == OWNER


def test_proven_moves_after_silence() -> None:
    """At 15 s of the owner's silence, not before, a proven flow may move; it starts unproven."""
    table = FlowTable()
    reply(table, media=True, now=100.0)
    assert reply(table, RIVAL, now=100.0 + TAKEOVER_SILENCE - 0.001) is Reply.REFUSED
    assert reply(table, RIVAL, now=100.0 + TAKEOVER_SILENCE) is Reply.MOVED
    assert table.owner_of(CLIENT, PUBLIC) == RIVAL
    assert not table.is_proven(CLIENT, PUBLIC)


def test_release() -> None:
    """The owner's release removes the flow at once; anybody else's does nothing."""
    table = FlowTable()
    reply(table, media=True)
    assert not table.release(RIVAL, CLIENT, PUBLIC)
    assert not table.release(OWNER, CLIENT, OTHER_PUBLIC)
    assert table.release(OWNER, CLIENT, PUBLIC)
    assert not table.release(OWNER, CLIENT, PUBLIC)
    assert len(table) == 0
    assert table.next_events()[-1] == removed(OWNER, Removal.RELEASED)
    assert reply(table, RIVAL) is Reply.ADDED


def test_idle_flows_expire() -> None:
    """A flow lives as long as its owner speaks and goes within a second after 30 s of silence."""
    table = FlowTable()
    reply(table, now=0.4)
    assert table.get_timer() is not None
    table.handle_timer(IDLE_TIMEOUT)
    assert len(table) == 1
    reply(table, now=20.0)
    table.handle_timer(0.4 + IDLE_TIMEOUT + BUCKET)
    assert len(table) == 1
    table.handle_timer(20.0 + IDLE_TIMEOUT - 0.001)
    assert len(table) == 1
    table.handle_timer(20.0 + IDLE_TIMEOUT + BUCKET)
    assert len(table) == 0
    assert table.get_timer() is None
    assert table.next_events()[-1] == removed(OWNER, Removal.IDLE)


def test_a_refresh_by_the_core_counts() -> None:
    """`flow.sent` written by the forwarding path keeps the flow alive and safe from take-over."""
    table = FlowTable()
    reply(table, media=True)
    for now in range(0, 100, 10):
        table.by_header[encode_header(CLIENT, PUBLIC)].sent = float(now)
        table.handle_timer(float(now))
        assert reply(table, RIVAL, now=now + 1.0) is Reply.REFUSED
    assert table.owner_of(CLIENT, PUBLIC) == OWNER


def test_expiry_is_sliced() -> None:
    """One call looks at a bounded number of flows; the timer asks for the next slice at once."""
    table = FlowTable()
    count = 2 * EXPIRY_SLICE + 10
    for n in range(count):
        reply(table, client=("192.0.2.1", 1000 + n))
    now = IDLE_TIMEOUT + BUCKET
    sizes = []
    for _ in range(10):
        timer = table.get_timer()
        if timer is None:
            break
        now = max(now, timer)
        table.handle_timer(now)
        sizes.append(len(table))
        following = table.get_timer()
        assert following is None or following > now
    assert sizes == [count - EXPIRY_SLICE, 10, 0]
    assert now <= IDLE_TIMEOUT + BUCKET + 0.01


def test_full_table_evicts_the_oldest_unproven() -> None:
    """A flood of unproven flows displaces itself, never proven flows."""
    table = FlowTable(max_flows=10)
    for n in range(5):
        reply(table, client=("192.0.2.1", 1 + n), media=True)
    for n in range(100):
        assert reply(table, client=("192.0.2.2", 1 + n)) is Reply.ADDED
        assert len(table) == min(10, 6 + n)
    assert all(table.is_proven(("192.0.2.1", 1 + n), PUBLIC) for n in range(5))
    assert [n for n in range(100) if table.owner_of(("192.0.2.2", 1 + n), PUBLIC)] == [
        *range(95, 100)
    ]


def test_full_of_proven_flows_refuses() -> None:
    """With nothing to evict, a new flow is refused and the old ones are untouched."""
    table = FlowTable(max_flows=2)
    for n in range(2):
        reply(table, client=("192.0.2.1", 1 + n), media=True)
    assert reply(table, client=("192.0.2.2", 1)) is Reply.FULL
    assert reply(table, client=("192.0.2.1", 1)) is Reply.REFRESHED
    assert len(table) == 2


def test_a_moved_flow_is_the_youngest() -> None:
    """Eviction goes by when the present owner got the flow."""
    table = FlowTable(max_flows=2)
    first, second = ("192.0.2.1", 1), ("192.0.2.1", 2)
    reply(table, client=first)
    reply(table, client=second)
    reply(table, RIVAL, client=first)
    reply(table, client=("192.0.2.1", 3))
    assert table.owner_of(first, PUBLIC) == RIVAL
    assert table.owner_of(second, PUBLIC) is None


def test_flows_of_unlisted_owners_go() -> None:
    """After a change of the directory only flows of listed owners stay."""
    table = FlowTable()
    reply(table, media=True)
    reply(table, RIVAL, client=("192.0.2.9", 9))
    table.next_events()
    table.retain_owners(lambda owner: owner == RIVAL)
    assert table.owner_of(CLIENT, PUBLIC) is None
    assert table.owner_of(("192.0.2.9", 9), PUBLIC) == RIVAL
    assert table.next_events() == [removed(OWNER, Removal.UNLISTED)]


def test_events_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that nobody drains stop at the limit and are counted."""
    monkeypatch.setattr(table_module, "MAX_FLOW_EVENTS", 3)
    table = FlowTable()
    for n in range(5):
        reply(table, client=("192.0.2.1", 1 + n))
    assert table.events_dropped == 2
    assert len(table.next_events()) == 3
    reply(table, media=True)
    assert len(table.next_events()) == 2


@pytest.mark.parametrize(
    ("max_flows", "takeover", "idle"), [(0, 15.0, 30.0), (1, 0.0, 30.0), (1, 31.0, 30.0)]
)
def test_settings_are_checked(max_flows: int, takeover: float, idle: float) -> None:
    """A take-over time beyond the idle time-out would never be reached."""
    with pytest.raises(UsageError):
        FlowTable(max_flows=max_flows, takeover_silence=takeover, idle_timeout=idle)


@attrs.define
class ModelFlow:
    """What the reference model knows of a flow; `made` orders eviction."""

    owner: Address
    sent: float
    proven: bool
    made: int


class FlowTableModel(RuleBasedStateMachine):
    """The table against twenty lines that scan everything, and against its own events."""

    LIMIT = 4
    clients = st.sampled_from([("192.0.2.1", n) for n in range(1, 7)])
    owners = st.sampled_from([OWNER, RIVAL, ("10.0.0.3", 9000)])

    def __init__(self) -> None:
        super().__init__()
        self.table = FlowTable(max_flows=self.LIMIT)
        self.model: dict[Address, ModelFlow] = {}
        self.from_events: dict[Address, tuple[Address, bool]] = {}
        self.now = 0.0
        self.serial = 0

    @rule(owner=owners, client=clients, media=st.booleans())
    def reply(self, owner: Address, client: Address, media: bool) -> None:
        self.serial += 1
        result = reply(self.table, owner, client, PUBLIC, media, self.now)
        flow = self.model.get(client)
        if flow is None:
            if len(self.model) == self.LIMIT:
                loose = [c for c, f in self.model.items() if not f.proven]
                if not loose:
                    assert result is Reply.FULL
                    return
                del self.model[min(loose, key=lambda c: self.model[c].made)]
            assert result is Reply.ADDED
            self.model[client] = ModelFlow(owner, self.now, media, self.serial)
        elif flow.owner == owner:
            assert result is Reply.REFRESHED
            flow.sent = self.now
            flow.proven |= media
        elif flow.proven and self.now - flow.sent < TAKEOVER_SILENCE:
            assert result is Reply.REFUSED
        else:
            assert result is Reply.MOVED
            self.model[client] = ModelFlow(owner, self.now, media, self.serial)

    @rule(owner=owners, client=clients)
    def release(self, owner: Address, client: Address) -> None:
        had = client in self.model and self.model[client].owner == owner
        assert self.table.release(owner, client, PUBLIC) is had
        if had:
            del self.model[client]

    @rule(gone=owners)
    def owner_leaves_the_directory(self, gone: Address) -> None:
        self.table.retain_owners(lambda owner: owner != gone)
        self.model = {c: f for c, f in self.model.items() if f.owner != gone}

    @rule(seconds=st.sampled_from([0.0, 0.02, 1.0, 2.5, 7.0, 14.9, 15.0, 29.0, 31.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.table.handle_timer(self.now)
        timer = self.table.get_timer()
        assert timer is None or timer > self.now
        # Between the time-out and one bucket later a flow may be there or not.
        for client, flow in list(self.model.items()):
            idle = self.now - flow.sent
            if idle > IDLE_TIMEOUT + BUCKET:
                assert self.table.owner_of(client, PUBLIC) is None
            if idle >= IDLE_TIMEOUT and self.table.owner_of(client, PUBLIC) is None:
                del self.model[client]

    @rule()
    def time_passes_to_the_timer(self) -> None:
        timer = self.table.get_timer()
        if timer is not None:
            self.time_passes(timer - self.now)

    @invariant()
    def same_as_the_model(self) -> None:
        shown = {
            client: (flow.owner, flow.proven) for (client, _), flow in self.table.by_client.items()
        }
        assert shown == {c: (f.owner, f.proven) for c, f in self.model.items()}

    @invariant()
    def same_as_the_events(self) -> None:
        for event in self.table.next_events():
            match event:
                case FlowAdded():
                    assert event.client not in self.from_events
                    self.from_events[event.client] = (event.owner, False)
                case FlowProven():
                    assert self.from_events[event.client] == (event.owner, False)
                    self.from_events[event.client] = (event.owner, True)
                case FlowRemoved():
                    assert self.from_events.pop(event.client)[0] == event.owner
        assert self.from_events == {c: (f.owner, f.proven) for c, f in self.model.items()}

    @invariant()
    def indices_agree(self) -> None:
        flows = list(self.table.by_client.values())
        assert list(self.table.by_header.values()) == flows
        assert self.table.unproven == sum(not flow.proven for flow in flows)
        assert sum(len(bucket) for bucket in self.table._buckets.values()) == len(flows)
        assert (self.table.get_timer() is not None) or not flows


FlowTableModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestFlowTableModel = FlowTableModel.TestCase
