"""Batches of the relay: the same decisions as those of the core, packet by packet; no sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from examples.relay.batched import MAX_INSIDE, BatchedInside, BatchedOutside
from examples.relay.cache import Decisions, Known
from examples.relay.columns import BATCH, is_available, read_name, write_name
from examples.relay.counters import Counters
from examples.relay.sockets import Outside
from rtcproto import stun
from rtcproto.datagram import MAX_DATAGRAM_IN, Address
from rtcproto.relay import Drop, RelayConfig, RelayCore
from rtcproto.routing import (
    EncipheredTokenCodec,
    Entry,
    RoutingToken,
    StaticDirectory,
    encode_header,
)
from rtcproto.routing.table import TAKEOVER_SILENCE
from tests.examples.fake_kernel import FakeKernel, FakeSocket, Sent

pytestmark = pytest.mark.skipif(not is_available(), reason="only Linux has these calls")

CODEC = EncipheredTokenCodec({"A": bytes(range(16))}, "A")
FIRST, SECOND, STRANGER = ("10.0.0.1", 9000), ("10.0.0.2", 9000), ("10.0.0.3", 9000)
RTP = b"\x80\x6f" + bytes(40)

# Descriptors.
INSIDE, FOUR, SIX, ANY = 3, 4, 5, 6

# A bound socket of each family, and a wildcard one that stands for two addresses and,
# behind 1:1 NAT, for a third.
PUBLIC_4, PUBLIC_6 = ("203.0.113.1", 3478), ("2001:db8::1", 3478)
ANY_1, ANY_2, ANY_NAT = ("198.51.100.1", 3479), ("198.51.100.2", 3479), ("192.0.2.200", 3479)
LOCALS: dict[Address, str | None] = {ANY_1: "198.51.100.1", ANY_2: "10.9.9.2", ANY_NAT: None}
# What was hit, and what that is called.
HITS = {"198.51.100.1": ANY_1, "10.9.9.2": ANY_2, "10.9.9.3": ANY_NAT}

CLIENTS = [("192.0.2.1", 50000), ("192.0.2.1", 50001), ("192.0.2.2", 50000)]
CLIENTS_6 = [("2001:db8::5", 50000), ("2001:db8::6", 443)]

# (descriptor, address that was hit, public address, client)
WAYS: list[tuple[int, str, Address, Address]] = [
    *((FOUR, "", PUBLIC_4, client) for client in CLIENTS),
    *((SIX, "", PUBLIC_6, client) for client in CLIENTS_6),
    *((ANY, hit, public, CLIENTS[0]) for hit, public in HITS.items()),
]


def check(owner: int) -> bytes:
    """A check for a session of that owner."""
    ufrag = CODEC.encode(RoutingToken(0, owner, 0, 7))
    return stun.build(1, 0, bytes(12), [(stun.Attribute.USERNAME, f"{ufrag}:abcd")])


def make_core() -> RelayCore:
    """With two owners."""
    return RelayCore(
        RelayConfig(publics=frozenset((PUBLIC_4, PUBLIC_6, *LOCALS)), max_flows=6), CODEC, both()
    )


def both() -> StaticDirectory:
    """The list of both owners."""
    return StaticDirectory({(0, 1): Entry(FIRST), (0, 2): Entry(SECOND)})


class Rig:
    """A core behind batched faces on a fake kernel."""

    def __init__(self) -> None:
        self.kernel = FakeKernel()
        self.core = make_core()
        self.counters = Counters()
        self.decisions = Decisions(self.core)
        inside = self._socket(INSIDE, socket.AF_INET)
        self.outside = [
            BatchedOutside(each, inside, self.core, self.counters, self.decisions, self.kernel)
            for each in (
                Outside(self._socket(FOUR, socket.AF_INET), PUBLIC_4, PUBLIC_4),
                Outside(self._socket(SIX, socket.AF_INET6), PUBLIC_6, PUBLIC_6),
                Outside(self._socket(ANY, socket.AF_INET), ("0.0.0.0", 3479), ANY_1, True, LOCALS),
            )
        ]
        self.inside = BatchedInside(
            inside,
            self.core,
            self.counters,
            self.decisions,
            self.kernel,
            {public: face.send for face in self.outside for public in face.publics},
            self.outside,
            lambda _now: self.decisions.apply(self.core.next_events()),
        )

    def _socket(self, number: int, family: int) -> socket.socket:
        return cast(Any, FakeSocket(self.kernel, number, family))

    def turn(self, now: float = 0.0) -> list[Sent]:
        """Forward everything that has arrived; what left."""
        self.core.handle_timer(now) if (self.core.get_timer() or now + 1) <= now else None
        self.decisions.apply(self.core.next_events())
        while sum(face.turn(now) for face in (self.inside, *self.outside)):
            pass
        sent, self.kernel.sent = self.kernel.sent, []
        return sent

    def from_owner(self, payload: bytes, way: int = 0, owner: Address = FIRST) -> None:
        """A datagram of an owner for the client of a way arrives."""
        _, _, public, client = WAYS[way]
        self.kernel.arrive(INSIDE, encode_header(client, public) + payload, owner)

    def from_client(self, payload: bytes, way: int = 0) -> None:
        """A datagram of the client of a way arrives."""
        descriptor, hit, _, client = WAYS[way]
        self.kernel.arrive(descriptor, payload, client, hit)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """With a proven flow for each way."""
    made = Rig()
    made.core._table._max_flows = len(WAYS)
    for way in range(len(WAYS)):
        made.from_owner(RTP, way)
    made.turn()
    return made


def to_owner(payload: bytes, way: int, owner: Address = FIRST) -> Sent:
    """What leaves for an owner."""
    _, _, public, client = WAYS[way]
    return Sent(INSIDE, owner, encode_header(client, public) + payload)


def to_client(payload: bytes, way: int) -> Sent:
    """What leaves for a client: from the address that it used."""
    descriptor, _, public, client = WAYS[way]
    local = "" if descriptor != ANY else LOCALS[public] or "0.0.0.0"
    return Sent(descriptor, client, payload, local)


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_a_flow_both_ways(rig: Rig, way: int) -> None:
    """The first packet asks the core, the second does not; both arrive the same."""
    for payload in (RTP + b"1", RTP + b"22"):
        rig.from_client(payload, way)
        assert rig.turn() == [to_owner(payload, way)]
        rig.from_owner(payload, way)
        assert rig.turn() == [to_client(payload, way)]
    stats = rig.core.stats()
    assert stats.packets_inward == 2
    assert stats.bytes_inward == 2 * len(RTP) + 3
    assert stats.packets_outward == len(WAYS) + 2


def test_batches_of_known_flows_do_not_ask(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole batch, of different lengths and clients, leaves in order without a question."""
    ways = [0, 1, 2, 0, 1, 0]
    for _ in range(2):
        for number, way in enumerate(ways):
            rig.from_client(RTP + bytes(number), way)
            rig.from_owner(RTP + bytes(number), way)
        sent = rig.turn()
        monkeypatch.setattr(BatchedOutside, "_ask", None)
        monkeypatch.setattr(BatchedInside, "_ask", None)
    pairs = list(enumerate(ways))
    assert sent == [
        *(to_client(RTP + bytes(number), way) for number, way in pairs),
        *(to_owner(RTP + bytes(number), way) for number, way in pairs),
    ]


def test_a_new_flow_of_a_pair_takes_nothing_from_the_old_one(rig: Rig) -> None:
    """What was remembered points into the flow that ended, even if nobody was told yet."""
    known: Known[bytes] = Known()
    client = CLIENTS[0]
    rig.decisions.learn_inward(known, b"before", client, PUBLIC_4)
    header = encode_header(client, PUBLIC_4)
    rig.core.route_inside(header, FIRST, 0.0)
    rig.core.route_inside(header + RTP, SECOND, 0.0)
    assert rig.core.owner_of(client, PUBLIC_4) == SECOND
    rig.decisions.learn_inward(known, b"after", client, PUBLIC_4)
    assert list(known) == [b"after"]
    rig.decisions.apply(rig.core.next_events())
    assert not known


def test_packets_of_one_size_leave_in_one_piece(rig: Rig) -> None:
    """UDP_SEGMENT where every packet goes to one owner and has one size; the same packets."""
    for _ in range(2):
        for way in (0, 1, 2, 0):
            rig.from_client(RTP, way)
        sent = rig.turn()
    assert sent == [to_owner(RTP, way) for way in (0, 1, 2, 0)]
    assert rig.kernel.segmented == 1


@pytest.mark.parametrize(("error", "again"), [(errno.EIO, False), (errno.EINVAL, True)])
def test_a_kernel_that_takes_no_segments(rig: Rig, error: int, again: bool) -> None:
    """One by one then; where it never will, it is not asked again."""
    rig.from_client(RTP)
    rig.turn()
    for expected in (0, int(again)):
        rig.kernel.segment_error = error
        for _ in range(4):
            rig.from_client(RTP)
        assert rig.turn() == [to_owner(RTP, 0)] * 4
        rig.kernel.segment_error = 0
        for _ in range(4):
            rig.from_client(RTP)
        assert rig.turn() == [to_owner(RTP, 0)] * 4
        rig.kernel.segmented, seen = 0, rig.kernel.segmented
        assert seen == int(again), expected


def test_a_full_batch_of_large_packets_is_not_one_piece(rig: Rig) -> None:
    """More than one datagram can hold is sent in more."""
    large = b"\x80" + bytes(1400)
    rig.from_client(RTP)
    rig.turn()
    for _ in range(BATCH + 1):
        rig.from_client(large)
    assert rig.turn() == [to_owner(large, 0)] * (BATCH + 1)


def test_what_the_kernel_refuses_is_counted(rig: Rig) -> None:
    """The others of the batch go; where there is no room none does."""
    for way in (0, 1, 2):
        rig.from_owner(RTP, way)
    rig.turn()
    rig.kernel.refused = {CLIENTS[1]}
    for way in (0, 1, 2):
        rig.from_owner(RTP, way)
    assert rig.turn() == [to_client(RTP, 0), to_client(RTP, 2)]
    assert rig.counters.send_errors == 1
    rig.kernel.full_after = 1
    for way in (0, 2, 2):
        rig.from_owner(RTP, way)
    assert rig.turn() == [to_client(RTP, 0)]
    assert rig.counters.send_errors == 3


def test_an_address_that_nobody_was_told(rig: Rig) -> None:
    """Behind a wildcard bind without a default, only advertised addresses are served."""
    face = Outside(cast(Any, None), ("0.0.0.0", 1), ANY_1, True, {ANY_1: "198.51.100.1"})
    assert face.public_at("198.51.100.1") == ANY_1
    assert face.public_at("198.51.100.7") is None
    # No packet info at all: the kernel was not asked.
    rig.kernel.arrive(ANY, RTP, CLIENTS[0], "")
    assert rig.turn() == []
    assert rig.counters.wrong_address == 1


def test_nothing_outlives_its_flow(rig: Rig) -> None:
    """A release ends what was remembered, in the middle of a batch too."""
    for _ in range(2):
        rig.from_owner(RTP)
        rig.from_client(RTP)
        rig.turn()
    known = len(rig.decisions)
    rig.from_client(RTP)
    rig.from_owner(RTP + b"before")
    rig.from_owner(b"")
    assert rig.turn() == [to_client(RTP + b"before", 0)]
    assert len(rig.decisions) == known - 1
    assert rig.core.stats().drops[Drop.NO_FLOW] == 1


def test_names() -> None:
    """Addresses in the kernel's form and back."""
    for address in (*CLIENTS, *CLIENTS_6):
        assert read_name(write_name(address)) == address


PAYLOADS = st.sampled_from([
    RTP, RTP + b"x", check(1), check(2), b"", b"\x56\xec" + bytes(60), b"\x17\xfe\xfd" + bytes(30),
    b"\x16\xfe\xfd" + bytes(30), stun.build(1, 2, bytes(12), []), b"junk",
    b"\x80" + bytes(MAX_DATAGRAM_IN - 1), b"\x80" + bytes(MAX_DATAGRAM_IN),
    encode_header(CLIENTS[0], PUBLIC_4) + RTP,
])  # fmt: skip
INWARD = st.tuples(st.integers(0, len(WAYS) - 1), PAYLOADS)
OUTWARD = st.tuples(
    st.integers(0, len(WAYS) - 1), PAYLOADS, st.sampled_from([FIRST, SECOND, STRANGER])
)


class SameDecisions(RuleBasedStateMachine):
    """Whatever arrives, in whatever batches: what leaves, flows and counters are the core's."""

    @initialize()
    def begin(self) -> None:
        """Both know nothing."""
        self.rig = Rig()
        self.core = make_core()
        self.now = 0.0

    def _expect(self, expected: list[Sent]) -> None:
        sent = self.rig.turn(self.now)
        # Packets of different flows may leave in another order, those of one may not.
        for key in {(each.descriptor, each.destination) for each in [*sent, *expected]}:

            def of(found: list[Sent], key: tuple[int, Address] = key) -> list[Sent]:
                return [each for each in found if (each.descriptor, each.destination) == key]

            assert sorted(of(sent)) == sorted(of(expected))

    @rule(batch=st.lists(INWARD, min_size=1, max_size=6))
    def clients_send(self, batch: list[tuple[int, bytes]]) -> None:
        """A batch of clients' packets."""
        expected = []
        self._tick()
        for way, payload in sorted(batch, key=lambda pair: WAYS[pair[0]][0]):
            _, _, public, client = WAYS[way]
            routed = self.core.route_outside(payload, client, public, self.now)
            if routed is not None:
                expected.append(Sent(INSIDE, routed[1], routed[0]))
        for way, payload in batch:
            self.rig.from_client(payload, way)
        self._expect(expected)

    @rule(batch=st.lists(OUTWARD, min_size=1, max_size=6))
    def owners_send(self, batch: list[tuple[int, bytes, Address]]) -> None:
        """A batch of owners' packets, and of somebody's who is none."""
        expected = []
        self._tick()
        for way, payload, owner in batch:
            _, _, public, client = WAYS[way]
            data = encode_header(client, public) + payload
            routed = self.core.route_inside(data, owner, self.now)
            if routed is not None:
                expected.append(to_client(routed[0], way))
            self.rig.from_owner(payload, way, owner)
        self._expect(expected)

    @rule(seconds=st.sampled_from([0.02, 5.0, TAKEOVER_SILENCE, 31.0]))
    def time_passes(self, seconds: float) -> None:
        """Flows become stealable, or end."""
        self.now += seconds

    @rule()
    def an_owner_leaves(self) -> None:
        """And comes back with the next list."""
        for core in (self.core, self.rig.core):
            core.set_directory(StaticDirectory({(0, 1): Entry(FIRST)}), self.now)
            core.set_directory(both(), self.now)
        # As `Worker.replace` does.
        self.rig.decisions.apply(self.rig.core.next_events())
        self.core.next_events()

    def _tick(self) -> None:
        due = self.core.get_timer()
        if due is not None and due <= self.now:
            self.core.handle_timer(self.now)
        self.core.next_events()

    @invariant()
    def same_counters(self) -> None:
        """And the same flows, heard at the same times."""
        if hasattr(self, "rig"):
            assert self.rig.core.flows == self.core.flows
            assert self.rig.core.stats() == self.core.stats()
            for client, public in self.core.flows:
                mine, theirs = (c.flow_of(client, public) for c in (self.rig.core, self.core))
                assert mine is not None
                assert theirs is not None
                assert (mine.sent, mine.proven) == (theirs.sent, theirs.proven)
            assert len(self.rig.decisions) <= len(self.core.flows)


SameDecisions.TestCase.settings = hypothesis_settings(max_examples=50, stateful_step_count=20)
test_same_decisions = SameDecisions.TestCase


def test_the_largest_datagram_of_an_owner(rig: Rig) -> None:
    """What is one byte longer than may be is dropped, known flow or not."""
    for _ in range(2):
        rig.from_owner(b"\x80" + bytes(MAX_DATAGRAM_IN - 1))
        assert len(rig.turn()[0].data) == MAX_INSIDE - 38
        rig.from_owner(b"\x80" + bytes(MAX_DATAGRAM_IN))
        assert rig.turn() == []
    assert rig.core.stats().drops == {Drop.OVERSIZED: 2}


@pytest.mark.parametrize("beside", [False, True])
def test_what_a_known_flow_does_not_decide(rig: Rig, beside: bool) -> None:
    """Checks go by their ufrag; empty, oversized and header-like packets nowhere. Alone, or beside
    packets that the flow does decide.
    """
    for _ in range(2):
        # Two, so that media is what memory has where an empty packet comes.
        for _ in range(2):
            rig.from_client(RTP)
            rig.from_owner(RTP)
        rig.turn()
    header = b"\x56\xec" + bytes(60)
    more = [RTP] if beside else []
    seen = rig.core.stats().drops
    for odd, left, reason in (
        (b"", [], Drop.EMPTY),
        (check(2), [to_owner(check(2), 0, SECOND)], None),
        (header, [], Drop.HEADER_OUTSIDE),
        (b"\x80" + bytes(MAX_DATAGRAM_IN), [], Drop.OVERSIZED),
    ):
        for payload in (*more, odd):
            rig.from_client(payload)
        assert sorted(rig.turn()) == sorted([*(to_owner(data, 0) for data in more), *left])
        assert reason is None or rig.core.stats().drops[reason] == seen.get(reason, 0) + 1
    for odd, reason in ((header, Drop.NESTED_HEADER), (bytes(2049), Drop.OVERSIZED)):
        seen = rig.core.stats().drops
        for payload in (*more, odd):
            rig.from_owner(payload)
        assert rig.turn() == [to_client(data, 0) for data in more]
        assert rig.core.stats().drops[reason] == seen.get(reason, 0) + 1
