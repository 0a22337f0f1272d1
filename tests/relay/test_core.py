"""The relay's core: decisions about single datagrams, on virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto import stun
from rtcproto.datagram import MAX_DATAGRAM_IN, Address, Datagram
from rtcproto.errors import UsageError
from rtcproto.relay import FLOW_FIRST, Drop, RelayConfig, RelayCore
from rtcproto.routing import (
    EncipheredTokenCodec,
    Entry,
    FlowAdded,
    FlowProven,
    FlowRemoved,
    Removal,
    RoutingToken,
    StaticDirectory,
    encode_header,
)
from rtcproto.routing.table import IDLE_TIMEOUT, TAKEOVER_SILENCE, FlowEvent
from tests.support.contract import MachineContract, Subject

PUBLIC = ("203.0.113.1", 3478)
PUBLIC_6 = ("2001:db8:ff::1", 3478)
INSIDE = ("10.0.0.100", 4000)
CLIENT = ("192.0.2.1", 50000)
CLIENT_6 = ("2001:db8::5", 50000)
FIRST = ("10.0.0.1", 9000)
SECOND = ("10.0.0.2", 9000)

CODEC = EncipheredTokenCodec({"A": bytes(range(16)), "B": bytes(16)}, "A")
KEY = stun.ShortTermKey("p" * 24)

RTP = b"\x80\x6f" + bytes(40)
RTCP = b"\x80\xc8" + bytes(40)
DTLS = b"\x16\xfe\xfd" + bytes(40)
DTLS_DATA = b"\x17\xfe\xfd" + bytes(40)
ANSWER = stun.build(1, 2, bytes(12), [(stun.Attribute.XOR_MAPPED_ADDRESS, CLIENT)], KEY)
ERROR = stun.build(1, 3, bytes(12), [], None)
INDICATION = stun.build(1, 1, bytes(12), [], None)


def make_core(**settings: object) -> RelayCore:
    """A relay with two transceivers: slot 0/1 in epoch 0, slot 0/2 in epoch 5."""
    directory = StaticDirectory({(0, 1): Entry(FIRST), (0, 2): Entry(SECOND, 5)})
    config = RelayConfig(
        publics=frozenset((PUBLIC, PUBLIC_6)),
        own=frozenset((INSIDE,)),
        **settings,  # type: ignore[arg-type]
    )
    return RelayCore(config, CODEC, directory)


def check(
    owner: int = 1,
    epoch: int = 0,
    cluster: int = 0,
    cls: int = 0,
    codec: EncipheredTokenCodec = CODEC,
) -> bytes:
    """A connectivity check for a session of that owner."""
    ufrag = codec.encode(RoutingToken(cluster, owner, epoch, 77))
    username = (stun.Attribute.USERNAME, f"{ufrag}:abcd")
    return stun.build(1, cls, bytes(12), [username, (stun.Attribute.PRIORITY, 1)], KEY)


def outside(
    core: RelayCore,
    data: bytes,
    source: Address = CLIENT,
    local: Address = PUBLIC,
    now: float = 0.0,
) -> list[Datagram]:
    """What leaves after a client's datagram."""
    core.receive_outside(data, source, local, now)
    return core.datagrams_to_send()


def inside(
    core: RelayCore,
    payload: bytes,
    source: Address = FIRST,
    client: Address = CLIENT,
    public: Address = PUBLIC,
    now: float = 0.0,
) -> list[Datagram]:
    """What leaves after a transceiver's datagram for `client`."""
    core.receive_inside(encode_header(client, public) + payload, source, now)
    return core.datagrams_to_send()


def to_owner(data: bytes, owner: Address = FIRST, client: Address = CLIENT) -> list[Datagram]:
    """The one datagram that carries `data` of a client to a transceiver."""
    return [Datagram(encode_header(client, PUBLIC) + data, owner)]


def to_client(data: bytes, client: Address = CLIENT, public: Address = PUBLIC) -> list[Datagram]:
    """The one datagram that carries `data` to a client."""
    return [Datagram(data, client, public)]


def dropped(core: RelayCore) -> dict[Drop, int]:
    """The counters of drops, those that are not zero."""
    return dict(core.stats().drops)


def test_a_check_goes_to_the_owner_in_its_token() -> None:
    """The first packet of a call is enough, and it leaves nothing behind."""
    core = make_core()
    assert outside(core, check()) == to_owner(check())
    assert outside(core, check(2, 5)) == to_owner(check(2, 5), SECOND)
    assert core.flows == {}
    assert core.next_events() == []
    assert core.get_timer() is None


def test_ipv6() -> None:
    """A client and a public address of IPv6 take the same way."""
    core = make_core()
    header = encode_header(CLIENT_6, PUBLIC_6)
    assert outside(core, check(), CLIENT_6, PUBLIC_6) == [Datagram(header + check(), FIRST)]
    assert inside(core, RTP, client=CLIENT_6, public=PUBLIC_6) == to_client(RTP, CLIENT_6, PUBLIC_6)
    assert outside(core, RTP, CLIENT_6, PUBLIC_6) == [Datagram(header + RTP, FIRST)]


@pytest.mark.parametrize("data", [RTP, RTCP, DTLS, DTLS_DATA, ANSWER, ERROR, INDICATION])
def test_the_rest_follows_the_flow(data: bytes) -> None:
    """Media, DTLS, STUN responses and bare indications need the owner's reply first."""
    core = make_core()
    assert outside(core, data) == []
    assert dropped(core) == {Drop.NO_FLOW: 1}
    assert inside(core, ANSWER) == to_client(ANSWER)
    assert outside(core, data) == to_owner(data)
    assert outside(core, data, ("192.0.2.1", 50001)) == []
    assert outside(core, data, local=PUBLIC_6) == []


def test_the_ufrag_beats_the_flow() -> None:
    """STUN with a ufrag goes where the ufrag says, whatever the table says, and changes nothing."""
    core = make_core()
    inside(core, RTP)
    assert outside(core, check(2, 5)) == to_owner(check(2, 5), SECOND)
    assert core.owner_of(CLIENT, PUBLIC) == FIRST
    assert outside(core, RTP) == to_owner(RTP)


def test_an_indication_with_a_ufrag_goes_by_it() -> None:
    """Every STUN packet with a ufrag, not only requests."""
    core = make_core()
    assert outside(core, check(cls=1)) == to_owner(check(cls=1))


def test_the_slot_must_exist_in_that_epoch() -> None:
    """Unknown owners, clusters and other epochs are dropped and counted apart."""
    core = make_core()
    assert outside(core, check(3)) == []
    assert outside(core, check(1, cluster=1)) == []
    assert outside(core, check(2, 4)) == outside(core, check(2, 6)) == []
    assert dropped(core) == {Drop.UNKNOWN_OWNER: 2, Drop.STALE_EPOCH: 2}


def test_a_bad_token_is_not_rescued_by_the_flow() -> None:
    """A check whose token does not decipher is dropped even where a flow exists."""
    core = make_core()
    inside(core, RTP)
    foreign = EncipheredTokenCodec({"A": b"k" * 16}, "A")
    assert outside(core, check(codec=foreign)) == []
    short = stun.build(1, 0, bytes(12), [(stun.Attribute.USERNAME, "abcd:efgh")], KEY)
    assert outside(core, short) == []
    assert dropped(core) == {Drop.BAD_TOKEN: 2}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Drop.EMPTY),
        (b"\x80" * (MAX_DATAGRAM_IN + 1), Drop.OVERSIZED),
        (b"\x04", Drop.NOT_ROUTABLE),
        (b"\x10" * 20, Drop.NOT_ROUTABLE),
        (b"\x40" * 20, Drop.NOT_ROUTABLE),
        (b"\x56\x00" * 20, Drop.NOT_ROUTABLE),
        (b"\xff" * 20, Drop.NOT_ROUTABLE),
        (encode_header(CLIENT, PUBLIC) + RTP, Drop.HEADER_OUTSIDE),
        (b"\x00", Drop.STUN_WITHOUT_UFRAG),
        (stun.build(1, 0, bytes(12), [], KEY), Drop.STUN_WITHOUT_UFRAG),
        (check()[:-1], Drop.STUN_WITHOUT_UFRAG),
    ],
)
def test_what_the_outside_face_refuses(data: bytes, reason: Drop) -> None:
    """Even from a client with a flow; nothing leaves, the reason is counted."""
    core = make_core()
    inside(core, RTP)
    assert outside(core, data) == []
    assert dropped(core) == {reason: 1}


def test_a_client_cannot_release() -> None:
    """An empty datagram of a client must not reach the owner as header without payload."""
    core = make_core()
    inside(core, RTP)
    assert outside(core, b"") == []
    assert core.owner_of(CLIENT, PUBLIC) == FIRST


def test_source_port_zero() -> None:
    """Nobody can be answered there; dropped instead of an exception."""
    core = make_core()
    assert outside(core, check(), ("192.0.2.1", 0)) == []
    assert dropped(core) == {Drop.NOT_ROUTABLE: 1}


def test_release_by_the_owner_only() -> None:
    """Header and nothing else ends the flow, if it comes from the owner; nothing is sent."""
    core = make_core()
    inside(core, RTP)
    assert inside(core, b"", SECOND) == []
    assert core.owner_of(CLIENT, PUBLIC) == FIRST
    assert dropped(core) == {Drop.FOREIGN_RELEASE: 1}
    assert inside(core, b"") == []
    assert core.flows == {}
    assert outside(core, RTP) == []


@pytest.mark.parametrize("media", [RTP, RTCP, DTLS_DATA])
@pytest.mark.parametrize("other", [ANSWER, DTLS])
def test_media_of_the_owner_proves(media: bytes, other: bytes) -> None:
    """SRTP and DTLS application data prove a flow, a handshake and STUN do not."""
    core = make_core()
    inside(core, other)
    assert not core.is_proven(CLIENT, PUBLIC)
    inside(core, media)
    assert core.is_proven(CLIENT, PUBLIC)
    assert core.next_events() == [
        FlowAdded(client=CLIENT, public=PUBLIC, owner=FIRST),
        FlowProven(client=CLIENT, public=PUBLIC, owner=FIRST),
    ]


def test_replies_are_forwarded_even_when_they_do_not_get_the_flow() -> None:
    """The return path needs no state: only where the client's packets go is protected."""
    core = make_core()
    inside(core, RTP)
    assert inside(core, ANSWER, SECOND, now=1.0) == to_client(ANSWER)
    assert core.owner_of(CLIENT, PUBLIC) == FIRST
    assert core.stats().takeovers_refused == 1


def test_takeover_after_silence() -> None:
    """Fast-path packets count as the owner speaking; 15 s after the last one the flow may move."""
    core = make_core()
    inside(core, RTP)
    inside(core, RTP, now=100.0)
    inside(core, RTP, SECOND, now=100.0 + TAKEOVER_SILENCE - 0.01)
    assert core.owner_of(CLIENT, PUBLIC) == FIRST
    inside(core, RTP, SECOND, now=100.0 + TAKEOVER_SILENCE)
    assert core.owner_of(CLIENT, PUBLIC) == SECOND


def test_idle_flows_go() -> None:
    """What clients send keeps no flow alive."""
    core = make_core()
    inside(core, RTP)
    now = 0.0
    for _ in range(10):
        timer = core.get_timer()
        if timer is None:
            break
        now = timer
        outside(core, RTP, now=now)
        core.handle_timer(now)
        following = core.get_timer()
        assert following is None or following > now
    assert core.flows == {}
    assert now == pytest.approx(IDLE_TIMEOUT, abs=1.1)
    assert core.next_events()[-1] == FlowRemoved(
        client=CLIENT, public=PUBLIC, owner=FIRST, reason=Removal.IDLE
    )


@pytest.mark.parametrize(
    ("source", "client", "public", "payload", "reason"),
    [
        (("10.0.0.1", 9001), CLIENT, PUBLIC, RTP, Drop.UNLISTED_PEER),
        (("10.0.0.3", 9000), CLIENT, PUBLIC, RTP, Drop.UNLISTED_PEER),
        (CLIENT, CLIENT, PUBLIC, RTP, Drop.UNLISTED_PEER),
        (FIRST, CLIENT, ("203.0.113.9", 3478), RTP, Drop.FOREIGN_PUBLIC),
        (FIRST, CLIENT, INSIDE, RTP, Drop.FOREIGN_PUBLIC),
        (FIRST, PUBLIC, PUBLIC, RTP, Drop.LOOP),
        (FIRST, INSIDE, PUBLIC, RTP, Drop.LOOP),
        (FIRST, SECOND, PUBLIC, RTP, Drop.LOOP),
        (FIRST, ("224.0.0.1", 5), PUBLIC, RTP, Drop.BAD_HEADER),
        (FIRST, ("255.255.255.255", 5), PUBLIC, RTP, Drop.BAD_HEADER),
        (FIRST, ("0.0.0.0", 5), PUBLIC, RTP, Drop.BAD_HEADER),
        (FIRST, ("::", 5), PUBLIC, RTP, Drop.BAD_HEADER),
        (FIRST, ("ff02::1", 5), PUBLIC, RTP, Drop.BAD_HEADER),
        (FIRST, CLIENT, PUBLIC, encode_header(CLIENT, PUBLIC) + RTP, Drop.NESTED_HEADER),
        (FIRST, CLIENT, PUBLIC, b"\x80" * (MAX_DATAGRAM_IN + 1), Drop.OVERSIZED),
    ],
)
def test_what_the_inside_face_refuses(
    source: Address, client: Address, public: Address, payload: bytes, reason: Drop
) -> None:
    """Nothing leaves, no flow is made, the reason is counted."""
    core = make_core()
    assert inside(core, payload, source, client, public) == []
    assert core.flows == {}
    assert dropped(core) == {reason: 1}


@pytest.mark.parametrize(
    "payload", [encode_header(CLIENT, PUBLIC) + RTP, b"\x80" * (MAX_DATAGRAM_IN + 1)]
)
def test_the_short_way_refuses_the_same(payload: bytes) -> None:
    """The guards hold for a proven flow too."""
    core = make_core()
    inside(core, RTP)
    assert inside(core, payload) == []
    assert sum(dropped(core).values()) == 1


def test_a_loopback_client() -> None:
    """On a development machine clients are at loopback addresses of both families."""
    core = make_core()
    assert inside(core, RTP, client=("127.0.0.1", 5)) == to_client(RTP, ("127.0.0.1", 5))
    assert inside(core, RTP, client=("::1", 5), public=PUBLIC_6) == to_client(
        RTP, ("::1", 5), PUBLIC_6
    )


def test_checks_from_our_own_side_are_dropped() -> None:
    """A check from one of our addresses, or from a transceiver, is a loop."""
    core = make_core()
    for source in (PUBLIC, PUBLIC_6, INSIDE, FIRST, SECOND):
        assert outside(core, check(), source) == []
    assert dropped(core) == {Drop.LOOP: 5}


def test_full_of_proven_flows() -> None:
    """New clients get their replies but no flow; old flows stay; it is counted."""
    core = make_core(max_flows=1)
    inside(core, RTP)
    assert inside(core, RTP, client=("192.0.2.9", 9)) == to_client(RTP, ("192.0.2.9", 9))
    assert list(core.flows) == [(CLIENT, PUBLIC)]
    assert core.stats().flows_refused == 1


def test_a_changed_directory_acts_at_once() -> None:
    """Flows of vanished transceivers end, tokens follow the new addresses and epochs."""
    core = make_core()
    inside(core, RTP)
    inside(core, RTP, SECOND, client=CLIENT_6, public=PUBLIC_6)
    moved = ("10.0.0.9", 9000)
    core.set_directory(StaticDirectory({(0, 1): Entry(moved, 1), (0, 2): Entry(SECOND, 5)}), 1.0)
    assert core.flows == {(CLIENT_6, PUBLIC_6): SECOND}
    assert outside(core, check(1, 0)) == []
    assert outside(core, check(1, 1)) == to_owner(check(1, 1), moved)
    assert inside(core, RTP, FIRST, now=1.0) == []
    assert inside(core, RTP, moved, now=1.0) == to_client(RTP)
    assert core.owner_of(CLIENT, PUBLIC) == moved


def test_changed_keys() -> None:
    """Tokens of a removed key stop working, flows do not."""
    core = make_core()
    inside(core, RTP)
    core.set_codec(EncipheredTokenCodec({"B": bytes(16)}, "B"), 1.0)
    assert outside(core, check()) == []
    assert outside(core, RTP) == to_owner(RTP)


def test_stats() -> None:
    """Packets and bytes are those of clients and transceivers, without headers."""
    core = make_core()
    outside(core, check())
    inside(core, ANSWER)
    inside(core, RTP)
    inside(core, RTP)
    outside(core, RTP)
    stats = core.stats()
    assert (stats.packets_inward, stats.bytes_inward) == (2, len(check()) + len(RTP))
    assert (stats.packets_outward, stats.bytes_outward) == (3, len(ANSWER) + 2 * len(RTP))
    assert (stats.flows, stats.flows_unproven) == (1, 0)


def test_a_relay_needs_a_public_address() -> None:
    """Without one no header could be answered."""
    with pytest.raises(UsageError):
        RelayCore(RelayConfig(publics=frozenset()), CODEC, StaticDirectory({}))


DATAGRAMS = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([RTP, DTLS, ANSWER, INDICATION, check(), check(2, 5), check(9), b""]),
    st.builds(
        lambda client, public, rest: encode_header(client, public) + rest,
        st.sampled_from([CLIENT, CLIENT_6, FIRST, PUBLIC]),
        st.sampled_from([PUBLIC, PUBLIC_6, INSIDE]),
        st.binary(max_size=60),
    ),
)
SOURCES = st.sampled_from([CLIENT, CLIENT_6, FIRST, SECOND, PUBLIC, ("192.0.2.1", 0)])
STEPS = st.lists(st.tuples(st.booleans(), DATAGRAMS, SOURCES, st.floats(-5, 40)), max_size=30)


@given(STEPS)
def test_both_forms_agree_and_nothing_raises(
    steps: list[tuple[bool, bytes, Address, float]],
) -> None:
    """Any bytes from anybody at any time: at most one datagram out, no larger than the payload
    and a header; the contract's form and the direct form decide alike; timers never stand still.
    """
    by_contract, direct = make_core(), make_core()
    now = 0.0
    for is_outside, data, source, delay in steps:
        now += delay
        routed: tuple[bytes, Address] | tuple[bytes, Address, Address] | None
        if is_outside:
            by_contract.receive_outside(data, source, PUBLIC, now)
            routed = direct.route_outside(data, source, PUBLIC, now)
        else:
            by_contract.receive_inside(data, source, now)
            routed = direct.route_inside(data, source, now)
        sent = by_contract.datagrams_to_send()
        assert sent == ([] if routed is None else [Datagram(*routed)])
        assert all(len(d.data) <= len(data) + 38 for d in sent)
        assert by_contract.datagrams_to_send() == []
        for core in (by_contract, direct):
            core.handle_timer(now)
            timer = core.get_timer()
            assert timer is None or timer > now
        assert by_contract.next_events() == direct.next_events()
    assert by_contract.stats() == direct.stats()


def test_every_reason_has_a_label() -> None:
    """Labels are what metrics show."""
    assert len({reason.label for reason in Drop}) == len(Drop)
    assert Drop.BAD_TOKEN.label == "bad_token"


class Face:
    """One face of a relay as an ordinary machine, so that the common laws apply to it."""

    def __init__(self, is_outside: bool) -> None:
        self.core = make_core(max_flows=10)
        self.is_outside = is_outside
        inside(self.core, RTP)
        self.core.next_events()
        self.handle_timer = self.core.handle_timer
        self.get_timer = self.core.get_timer
        self.datagrams_to_send = self.core.datagrams_to_send

    def next_events(self) -> list[FlowEvent]:
        return self.core.next_events()

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        if self.is_outside:
            self.core.receive_outside(data, source, PUBLIC, now)
        else:
            self.core.receive_inside(data, source, now)


class TestOutsideFace(MachineContract):
    """Clients may send anything."""

    def subject(self) -> Subject:
        """The peer is a client with a flow; what goes inward is larger by one header."""
        return Subject(
            machine=Face(is_outside=True),
            samples=[RTP, DTLS, ANSWER, INDICATION, check(), check(2, 5)],
            forged=[check(9), b"", encode_header(CLIENT, PUBLIC) + RTP, RTP, check()],
            source=CLIENT,
            mtu=MAX_DATAGRAM_IN + 38,
            amplification=39.0,
        )


class TestInsideFace(MachineContract):
    """A transceiver may send anything; strangers draw nothing."""

    def subject(self) -> Subject:
        """The peer is a transceiver; it may fill the table, here of 10 flows."""
        return Subject(
            machine=Face(is_outside=False),
            samples=[encode_header((CLIENT[0], 1 + n), PUBLIC) + RTP for n in range(12)],
            forged=[encode_header(CLIENT, PUBLIC), encode_header(CLIENT, PUBLIC) + DTLS, RTP],
            source=FIRST,
            mtu=MAX_DATAGRAM_IN,
        )


def test_a_driver_may_forward_by_itself() -> None:
    """What it says it forwarded counts like what the core forwarded, and keeps flows alive."""
    core = make_core()
    inside(core, RTP)
    flow = core.flow_of(CLIENT, PUBLIC)
    assert flow is not None
    assert (flow.owner, flow.header, flow.proven) == (FIRST, encode_header(CLIENT, PUBLIC), True)
    core.forwarded_outward([flow, flow], 300, IDLE_TIMEOUT - 1)
    core.forwarded_inward(3, 500)
    stats = core.stats()
    assert (stats.packets_outward, stats.bytes_outward) == (3, 300 + len(RTP))
    assert (stats.packets_inward, stats.bytes_inward) == (3, 500)
    core.handle_timer(IDLE_TIMEOUT + 2)
    assert core.flow_of(CLIENT, PUBLIC) is flow
    core.handle_timer(2 * IDLE_TIMEOUT + 2)
    assert core.flow_of(CLIENT, PUBLIC) is None


@given(st.integers(0, 255), st.binary(max_size=60))
def test_by_flow_says_what_needs_no_look(first: int, rest: bytes) -> None:
    """Packets that begin so follow the flow whatever is in them; no others do without a look."""
    core = make_core()
    inside(core, RTP)
    data = bytes((first,)) + rest
    if first in FLOW_FIRST:
        assert outside(core, data) == to_owner(data)
    elif first > 3:
        assert outside(core, data) == []


def test_draining_keeps_flows_and_takes_no_new_ones() -> None:
    """Checks and media of known clients go on; unknown ones reach nobody and get no flow."""
    core = make_core()
    inside(core, RTP)
    core.drain(0.0)
    assert outside(core, check()) == to_owner(check())
    assert outside(core, RTP) == to_owner(RTP)
    other = ("192.0.2.9", 9)
    assert outside(core, check(), other) == []
    assert dropped(core) == {Drop.DRAINING: 1}
    # What an owner still has to say to somebody goes out, but makes nothing.
    assert inside(core, RTP, client=other) == to_client(RTP, other)
    assert list(core.flows) == [(CLIENT, PUBLIC)]
    assert core.stats().flows_refused == 1
