"""Threats to an ICE restart (R3, R5, R8, R9, R11): whole sessions on virtual time.

The old credentials may be known to somebody else by now; that is one reason for
a restart. What they draw afterwards is nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rtcproto.config import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.datachannel import DataChannelOpened
from rtcproto.datagram import Address, Datagram
from rtcproto.dtls import Identity
from rtcproto.endpoint import Endpoint
from rtcproto.errors import UsageError
from rtcproto.events import CloseReason, PathChanged, SessionClosed
from rtcproto.ice import Credentials
from rtcproto.ice.proving import ALLOWANCE
from rtcproto.relay import RelayConfig, RelayCore
from rtcproto.routing import EncipheredTokenCodec, Entry, StaticDirectory
from rtcproto.stun import Class, Message
from rtcproto.testing import LinkConfig, Packet, SessionPair, World
from rtcproto.testing.pair import SECOND_ADDRESS
from rtcproto.testing.session_pair import UNIX_TIME
from tests.support.ice_peer import Peer
from tests.support.restart import answered, new_fragment, restart

OPUS = b"\xf8" + bytes(20)
ATTACKER: Address = ("203.0.113.66", 666)
NEWER = Credentials("newr", "newerPasswordOfTheClient")


def call(seed: int = 1) -> SessionPair:
    """A connected call, its events still there."""
    pair = SessionPair(World(seed), LinkConfig(delay=0.02))
    pair.connect()
    return pair


def credentials(pair: SessionPair) -> tuple[Credentials, Credentials]:
    """The newest ones of server and client."""
    trickle = pair.server._trickle
    assert trickle is not None
    return trickle._local, trickle._remote


def asking(pair: SessionPair) -> Callable[[str], str]:
    """The server's side of a restart."""
    return lambda fragment: pair.server.restart_ice(fragment, pair.now)


def settle(pair: SessionPair) -> None:
    """After verbs."""
    pair.first.settle()
    pair.second.settle()


def test_media_flows_through_a_restart() -> None:
    """100 packets each way, restarts after every tenth: none is lost, nothing handshakes again."""
    pair = call()
    heard: list[bytes] = []
    for _ in range(10):
        restart(pair.client, asking(pair), pair.now)
        settle(pair)
        heard += pair.talk(10)
        assert pair.server._planes.transport._generations is not None
        assert not pair.server._planes.transport._generations.restarting
        assert not pair.client._planes.transport._generations.restarting  # type: ignore[union-attr]
    pair.run_for(1.0)
    assert pair.heard(pair.server) == heard
    assert len(heard) == 100
    # The address did not change, so nobody was told that it did.
    assert pair.events(pair.server, PathChanged) == []
    assert pair.server.stats(pair.now).transport.dtls_state == "connected"


def test_a_restart_outlives_the_loss_of_the_old_path() -> None:
    """A client that was cut off for 25 s restarts from there: the same keys, the same streams."""
    pair = call()

    def cut(_: Packet, __: float) -> list[Packet]:
        return []

    pair.network.tap(cut)
    pair.run_for(25.0)
    restart(pair.client, asking(pair), pair.now)
    settle(pair)
    # The old path's 30 s end within the restart.
    pair.run_for(8.0)
    assert not pair.server.closed
    assert pair.server._planes.transport.selected_path is None
    pair.server.send_audio(OPUS, pair.now)
    channel = pair.server.open_channel("opened in the gap", pair.now)
    assert pair.server.datagrams_to_send() == []
    pair.network.untap(cut)
    # The client repeats its check 15.5 s after the first.
    pair.run_for(8.0)
    assert pair.server._planes.transport.selected_path is not None
    sent = pair.talk(10)
    assert pair.heard(pair.server)[-10:] == sent
    pair.run_for(60.0)
    assert [event.channel for event in pair.events(pair.server, DataChannelOpened)] == [channel]


def test_r11_a_restart_that_nobody_takes_up_does_not_keep_a_session() -> None:
    """The client is gone: the session ends at most 30 s after the restart that found it so."""
    pair = call()
    pair.first.unplug()
    pair.run_for(20.0)
    pair.server.restart_ice(new_fragment(NEWER), pair.now)
    settle(pair)
    pair.run_for(31.0)
    (closed,) = pair.events(pair.server, SessionClosed)
    assert closed.reason is CloseReason.CONSENT_EXPIRED


def test_r3_old_credentials_draw_nothing_after_a_restart() -> None:
    """1,000 checks with the old password, with USE-CANDIDATE, from 100 addresses: 0 bytes."""
    pair = call()
    server, client = credentials(pair)
    thief = Peer(client, server)
    restart(pair.client, asking(pair), pair.now)
    settle(pair)
    pair.run_for(0.5)
    before = pair.server._planes.transport.selected_path
    for number in range(1_000):
        source = ("203.0.113.66", 1024 + number % 100)
        check = thief.check(nominate=True)
        assert not pair.server.receive_datagram(check, source, pair.now, SECOND_ADDRESS)
    assert pair.server.datagrams_to_send() == []
    assert pair.server._planes.transport.selected_path == before
    assert pair.talk(10) == pair.heard(pair.server)[-10:]


def test_r8_a_restart_proves_anew() -> None:
    """Media goes to no address under new credentials before it answered under them."""
    pair = call()
    ours = answered(pair.server.restart_ice(new_fragment(NEWER), pair.now))
    thief = Peer(NEWER, ours)
    sent: list[Datagram] = []
    for number in range(40):
        now = pair.now + number * 0.5
        check = thief.check(nominate=True)
        assert pair.server.receive_datagram(check, ATTACKER, now, SECOND_ADDRESS)
        pair.server.send_audio(OPUS, now)
        pair.server.handle_timer(now)
        sent += pair.server.datagrams_to_send()
    to_thief = [datagram for datagram in sent if datagram.destination == ATTACKER]
    assert to_thief
    assert all(datagram.data[0] < 4 for datagram in to_thief), "STUN and nothing else"
    assert sum(datagram.data[0] >= 128 for datagram in sent) >= 40


def test_r9_a_flood_of_restarts_is_bounded() -> None:
    """Of 300 restarts in a second the session keeps one, and what it sends stays in its budget."""
    pair = call()
    path = pair.server._planes.transport.selected_path
    received = sent = 0
    for number in range(300):
        now = pair.now + number / 300
        theirs = Credentials(f"flood{number}", f"{number:04}passwordOfTheClient")
        ours = answered(pair.server.restart_ice(new_fragment(theirs), now))
        flood = Peer(theirs, ours)
        for port in range(3):
            source = (ATTACKER[0], 1024 + 3 * number + port)
            check = flood.check(transaction_id=(3 * number + port).to_bytes(12, "big"))
            received += len(check)
            pair.server.receive_datagram(check, source, now, SECOND_ADDRESS)
        pair.server.handle_timer(now)
        out = [d for d in pair.server.datagrams_to_send() if d.destination[0] == ATTACKER[0]]
        assert all(Message.parse(d.data).cls in (Class.REQUEST, Class.SUCCESS) for d in out)
        sent += sum(len(datagram.data) for datagram in out)
    assert sent <= received + ALLOWANCE
    assert path is not None
    assert pair.server._planes.transport.selected_path == path


def test_a_new_ufrag_leads_through_relays_to_the_same_owner() -> None:
    """Both are tokens of one owner; an endpoint keeps two at most, and one after the restart."""
    codec = EncipheredTokenCodec({"a": bytes(16)}, "a")
    public, inside = ("198.51.100.1", 3478), ("10.0.0.1", 7000)
    owner, other = ("10.0.1.7", 4000), ("10.0.1.8", 4000)
    config = EndpointConfig(
        session=SessionConfig(
            identity=Identity.generate(UNIX_TIME),
            addresses=(public,),
            entropy=World(1).entropy("e"),
        ),
        routing=RoutingConfig(codec=codec, cluster=3, owner=7, epoch=9),
    )
    endpoint = Endpoint(config, UNIX_TIME, 0.0)
    directory = StaticDirectory(
        {(3, 7): Entry(owner, 9), (3, 8): Entry(other, 9)}, own=frozenset((inside,))
    )
    relay = RelayCore(
        RelayConfig(publics=frozenset((public,)), own=frozenset((inside,))), codec, directory
    )
    pair = SessionPair(World(2))
    session_id, answer = endpoint.accept_offer(pair.client.create_offer(0.0), 0.0)
    first = answer.partition("a=ice-ufrag:")[2].split("\r\n")[0]
    ufrags = [first]
    for number in range(5):
        theirs = Credentials(f"newr{number}", f"{number}newerPasswordOfTheClient")
        text = endpoint.restart_ice(session_id, new_fragment(theirs), 1.0)
        ours = answered(text)
        ufrags.append(ours.ufrag)
        assert set(endpoint._by_ufrag) == {first.encode(), ours.ufrag.encode()}
    assert len(set(ufrags)) == 6
    newest = Peer(theirs, ours)
    for number, ufrag in enumerate(ufrags):
        client = ("192.0.2.1", 5000 + number)
        check = newest.check(username=f"{ufrag}:{theirs.ufrag}")
        relay.receive_outside(check, client, public, 1.0)
        [forwarded] = relay.datagrams_to_send()
        assert forwarded.destination == owner
    endpoint.receive_datagram(newest.check(), ("192.0.2.1", 5000), 1.1)
    assert set(endpoint._by_ufrag) == {ours.ufrag.encode()}
    endpoint.close_session(session_id, 1.2)
    assert endpoint._by_ufrag == {}
    with pytest.raises(UsageError):
        endpoint.restart_ice(session_id, new_fragment(NEWER), 1.3)
    with pytest.raises(UsageError):
        endpoint.add_candidates(session_id, "", 1.3)
