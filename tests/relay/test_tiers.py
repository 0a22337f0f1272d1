"""Two tiers of the same core: a global relay knows clusters, a cluster relay knows owners."""

from __future__ import annotations

import pytest

from rtcproto import stun
from rtcproto.datagram import MAX_DATAGRAM_IN, Address, Datagram
from rtcproto.errors import UsageError
from rtcproto.relay import Drop, RelayConfig, RelayCore
from rtcproto.routing import (
    EncipheredTokenCodec,
    FlowAdded,
    FlowRemoved,
    Removal,
    RoutingToken,
    StaticDirectory,
    encode_header,
    parse_headers,
)
from rtcproto.routing.table import TAKEOVER_SILENCE

PUBLIC = ("203.0.113.1", 3478)
GLOBAL_INSIDE = ("10.0.0.1", 4000)
OTHER_GLOBAL = ("10.0.0.2", 4000)
FACE = ("10.7.0.1", 4100)
CLUSTER_INSIDE = ("10.7.0.1", 4000)
OWNER = ("10.7.1.1", 9000)
OTHER_OWNER = ("10.7.1.2", 9000)
CLIENT = ("192.0.2.1", 50000)

CODEC = EncipheredTokenCodec({"A": bytes(range(16))}, "A")
RTP = b"\x80\x6f" + bytes(40)
ANSWER = stun.build(1, 2, bytes(12), [], None)
INNER = encode_header(CLIENT, PUBLIC)
OUTER = encode_header(GLOBAL_INSIDE, FACE)


def check(owner: int = 1, epoch: int = 3, cluster: int = 7) -> bytes:
    """A connectivity check for an owner of the cluster."""
    ufrag = CODEC.encode(RoutingToken(cluster, owner, epoch, 1))
    return stun.build(1, 0, bytes(12), [(stun.Attribute.USERNAME, f"{ufrag}:abcd")], None)


def make_global() -> RelayCore:
    """The relay that clients reach."""
    config = RelayConfig(publics=frozenset((PUBLIC,)), own=frozenset((GLOBAL_INSIDE,)))
    return RelayCore(config, CODEC, StaticDirectory.from_text("7/*=10.7.0.1:4100"))


def make_cluster() -> RelayCore:
    """The relay in front of the owners; nobody outside reaches it."""
    config = RelayConfig(
        publics=frozenset(),
        own=frozenset((CLUSTER_INSIDE,)),
        upstream_face=FACE,
        upstreams=("10.0.0.0/24", "10.7.0.0/16"),
    )
    directory = StaticDirectory.from_text("7/1=10.7.1.1:9000@3\n7/2=10.7.1.2:9000@3")
    return RelayCore(config, CODEC, directory)


def downwards(core: RelayCore, data: bytes, source: Address = GLOBAL_INSIDE) -> list[Datagram]:
    """What the cluster relay makes of a datagram at its upstream face."""
    core.receive_outside(data, source, FACE, 0.0)
    return core.datagrams_to_send()


def upwards(
    core: RelayCore, data: bytes, source: Address = OWNER, now: float = 0.0
) -> list[Datagram]:
    """What the cluster relay makes of a datagram of an owner."""
    core.receive_inside(data, source, now)
    return core.datagrams_to_send()


def dropped(core: RelayCore) -> dict[Drop, int]:
    """The counters of drops, those that are not zero."""
    return dict(core.stats().drops)


def test_a_call_through_two_tiers() -> None:
    """Each tier pushes one header and pops one; the innermost client is the client."""
    above, below = make_global(), make_cluster()
    above.receive_outside(check(), CLIENT, PUBLIC, 0.0)
    (first,) = above.datagrams_to_send()
    assert first == Datagram(INNER + check(), FACE)
    (second,) = downwards(below, first.data)
    assert second == Datagram(OUTER + INNER + check(), OWNER)
    assert parse_headers(second.data)[0] == [(GLOBAL_INSIDE, FACE), (CLIENT, PUBLIC)]
    # The way back: the owner returns both headers as they came.
    for payload in (ANSWER, RTP, RTP):
        (third,) = upwards(below, OUTER + INNER + payload)
        assert third == Datagram(INNER + payload, GLOBAL_INSIDE, FACE)
        above.receive_inside(third.data, FACE, 0.0)
        assert above.datagrams_to_send() == [Datagram(payload, CLIENT, PUBLIC)]
    # Media follows the flows of both.
    above.receive_outside(RTP, CLIENT, PUBLIC, 0.0)
    (fourth,) = above.datagrams_to_send()
    assert fourth == Datagram(INNER + RTP, FACE)
    assert downwards(below, fourth.data) == [Datagram(OUTER + INNER + RTP, OWNER)]
    assert above.flows == {(CLIENT, PUBLIC): FACE}
    assert below.flows == {(CLIENT, PUBLIC, GLOBAL_INSIDE): OWNER}
    stats = below.stats()
    assert (stats.packets_inward, stats.bytes_inward) == (2, len(check()) + len(RTP))
    assert (stats.packets_outward, stats.bytes_outward) == (3, len(ANSWER) + 2 * len(RTP))


def test_a_release_reaches_both_tiers() -> None:
    """Both headers and nothing else: the flow ends here, and is passed on as a release."""
    above, below = make_global(), make_cluster()
    upwards(below, OUTER + INNER + RTP)
    above.receive_inside(INNER + RTP, FACE, 0.0)
    above.datagrams_to_send()
    assert upwards(below, OUTER + INNER, OTHER_OWNER) == []
    assert below.flows
    (released,) = upwards(below, OUTER + INNER)
    assert released == Datagram(INNER, GLOBAL_INSIDE, FACE)
    above.receive_inside(released.data, FACE, 0.0)
    assert above.datagrams_to_send() == []
    assert above.flows == below.flows == {}
    assert below.next_events()[-1] == FlowRemoved(
        client=CLIENT, public=PUBLIC, owner=OWNER, reason=Removal.RELEASED, via=GLOBAL_INSIDE
    )
    assert dropped(below) == {Drop.FOREIGN_RELEASE: 1}


def test_upstream_relays_do_not_share_flows() -> None:
    """Two relays with one public address (anycast) may serve one client: two ways back."""
    below = make_cluster()
    other = encode_header(OTHER_GLOBAL, FACE)
    upwards(below, OUTER + INNER + RTP, OWNER)
    upwards(below, other + INNER + RTP, OTHER_OWNER)
    assert below.flows == {
        (CLIENT, PUBLIC, GLOBAL_INSIDE): OWNER,
        (CLIENT, PUBLIC, OTHER_GLOBAL): OTHER_OWNER,
    }
    assert downwards(below, INNER + RTP, OTHER_GLOBAL) == [
        Datagram(other + INNER + RTP, OTHER_OWNER)
    ]
    assert below.next_events()[0] == FlowAdded(
        client=CLIENT, public=PUBLIC, owner=OWNER, via=GLOBAL_INSIDE
    )


def test_the_rules_of_flows_hold_behind_a_relay() -> None:
    """A check makes none, a proven one stays with an owner that speaks, an unproven one yields."""
    below = make_cluster()
    assert downwards(below, INNER + check())
    assert below.flows == {}
    upwards(below, OUTER + INNER + ANSWER, OWNER)
    upwards(below, OUTER + INNER + RTP, OTHER_OWNER)
    assert list(below.flows.values()) == [OTHER_OWNER]
    upwards(below, OUTER + INNER + RTP, OWNER, TAKEOVER_SILENCE - 1)
    assert list(below.flows.values()) == [OTHER_OWNER]
    assert below.stats().takeovers_refused == 1
    upwards(below, OUTER + INNER + RTP, OTHER_OWNER, 10.0)
    upwards(below, OUTER + INNER + RTP, OWNER, 10.0 + TAKEOVER_SILENCE)
    assert list(below.flows.values()) == [OWNER]


def test_the_epoch_is_checked_by_the_relay_that_knows_it() -> None:
    """The global tier knows clusters only."""
    above, below = make_global(), make_cluster()
    above.receive_outside(check(epoch=4), CLIENT, PUBLIC, 0.0)
    (first,) = above.datagrams_to_send()
    assert downwards(below, first.data) == []
    assert dropped(below) == {Drop.STALE_EPOCH: 1}
    above.receive_outside(check(cluster=8), CLIENT, PUBLIC, 0.0)
    assert above.datagrams_to_send() == []
    assert dropped(above) == {Drop.UNKNOWN_OWNER: 1}


@pytest.mark.parametrize(
    ("data", "source", "reason"),
    [
        (INNER + check(), ("192.0.2.9", 4000), Drop.UNLISTED_UPSTREAM),
        (INNER + check(), ("10.0.1.1", 4000), Drop.UNLISTED_UPSTREAM),
        # An owner is no relay, although it is in a network of relays.
        (INNER + check(), OWNER, Drop.UNLISTED_UPSTREAM),
        (check(), GLOBAL_INSIDE, Drop.BAD_HEADER),
        (RTP, GLOBAL_INSIDE, Drop.BAD_HEADER),
        (INNER, GLOBAL_INSIDE, Drop.EMPTY),
        (INNER[:37], GLOBAL_INSIDE, Drop.BAD_HEADER),
        (b"", GLOBAL_INSIDE, Drop.BAD_HEADER),
        (b"\x00" * 38 + check(), GLOBAL_INSIDE, Drop.BAD_HEADER),
        (INNER + INNER + check(), GLOBAL_INSIDE, Drop.NESTED_HEADER),
        (INNER + b"\xff" * 20, GLOBAL_INSIDE, Drop.NOT_ROUTABLE),
        (INNER + RTP, GLOBAL_INSIDE, Drop.NO_FLOW),
        (INNER + b"\x80" * (MAX_DATAGRAM_IN + 1), GLOBAL_INSIDE, Drop.OVERSIZED),
        (encode_header(OWNER, PUBLIC) + check(), GLOBAL_INSIDE, Drop.LOOP),
        (encode_header(FACE, PUBLIC) + check(), GLOBAL_INSIDE, Drop.LOOP),
        (encode_header(CLIENT, FACE) + check(), GLOBAL_INSIDE, Drop.LOOP),
        (encode_header(("224.0.0.1", 5), PUBLIC) + check(), GLOBAL_INSIDE, Drop.BAD_HEADER),
    ],
)
def test_what_the_upstream_face_refuses(data: bytes, source: Address, reason: Drop) -> None:
    """Nothing leaves, nothing is remembered, the reason is counted."""
    below = make_cluster()
    assert downwards(below, data, source) == []
    assert below.flows == {}
    assert dropped(below) == {reason: 1}


@pytest.mark.parametrize(
    ("data", "source", "reason"),
    [
        (OUTER + INNER + RTP, ("10.7.1.3", 9000), Drop.UNLISTED_PEER),
        (encode_header(("192.0.2.9", 1), FACE) + INNER + RTP, OWNER, Drop.UNLISTED_UPSTREAM),
        (encode_header(OTHER_OWNER, FACE) + INNER + RTP, OWNER, Drop.UNLISTED_UPSTREAM),
        (OUTER + RTP, OWNER, Drop.BAD_HEADER),
        (OUTER, OWNER, Drop.BAD_HEADER),
        (OUTER + INNER[:20], OWNER, Drop.BAD_HEADER),
        (OUTER + INNER + INNER + RTP, OWNER, Drop.NESTED_HEADER),
        (OUTER + INNER + b"\x80" * (MAX_DATAGRAM_IN + 1), OWNER, Drop.OVERSIZED),
        (OUTER + encode_header(OTHER_OWNER, PUBLIC) + RTP, OWNER, Drop.LOOP),
        (OUTER + encode_header(CLIENT, CLUSTER_INSIDE) + RTP, OWNER, Drop.LOOP),
        (INNER + RTP, OWNER, Drop.FOREIGN_PUBLIC),
    ],
)
def test_what_owners_cannot_send_upwards(data: bytes, source: Address, reason: Drop) -> None:
    """Nothing leaves, no flow is made, the reason is counted."""
    below = make_cluster()
    assert upwards(below, data, source) == []
    assert below.flows == {}
    assert dropped(below) == {reason: 1}


@pytest.mark.parametrize(
    "payload", [INNER + RTP, b"\x80" * (MAX_DATAGRAM_IN + 1)], ids=["nested", "oversized"]
)
def test_the_short_way_upwards_refuses_the_same(payload: bytes) -> None:
    """The guards hold for a proven flow too."""
    below = make_cluster()
    upwards(below, OUTER + INNER + RTP)
    assert upwards(below, OUTER + INNER + payload) == []
    assert sum(dropped(below).values()) == 1


def test_clients_and_relays_may_share_a_relay() -> None:
    """A relay with both faces: flows of its own clients and of other relays do not mix."""
    config = RelayConfig(
        publics=frozenset((("203.0.113.2", 3478),)),
        own=frozenset((CLUSTER_INSIDE,)),
        upstream_face=FACE,
        upstreams=("10.0.0.0/24",),
    )
    core = RelayCore(config, CODEC, StaticDirectory.from_text("7/1=10.7.1.1:9000@3"))
    own = encode_header(CLIENT, ("203.0.113.2", 3478))
    core.receive_inside(own + RTP, OWNER, 0.0)
    upwards(core, OUTER + INNER + RTP)
    assert len(core.flows) == 2
    core.receive_outside(RTP, CLIENT, ("203.0.113.2", 3478), 0.0)
    assert core.datagrams_to_send()[-1] == Datagram(own + RTP, OWNER)
    # A client that writes a header itself is not believed.
    core.receive_outside(INNER + RTP, CLIENT, ("203.0.113.2", 3478), 0.0)
    assert core.datagrams_to_send() == []


def test_settings_that_cannot_work() -> None:
    """A face that believes everybody or that clients can reach."""
    with pytest.raises(UsageError):
        RelayConfig(publics=frozenset((FACE,)), upstream_face=FACE, upstreams=("10.0.0.0/8",))
    with pytest.raises(UsageError):
        RelayConfig(publics=frozenset(), upstream_face=FACE)
    with pytest.raises(UsageError):
        RelayConfig(publics=frozenset((PUBLIC,)), upstreams=("10.0.0.0/8",))


def test_a_draining_relay_takes_nobody_new_from_upstream() -> None:
    """Clients that it knows go on, also behind another relay."""
    core = make_cluster()
    assert downwards(core, INNER + check())
    assert upwards(core, OUTER + INNER + RTP)
    core.drain(0.0)
    assert downwards(core, INNER + check())
    assert downwards(core, INNER + RTP)
    assert downwards(core, encode_header(("192.0.2.9", 9), PUBLIC) + check()) == []
    assert core.stats().drops == {Drop.DRAINING: 1}
