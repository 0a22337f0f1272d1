"""Many sessions on one socket."""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

import pytest

from rtcproto.config import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.datachannel import (
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
)
from rtcproto.datagram import Address
from rtcproto.dtls import Identity
from rtcproto.endpoint import Endpoint, SessionId
from rtcproto.endpoint.endpoint import MAX_ASKED, MAX_UFRAG_DRAWS
from rtcproto.endpoint.entries import PATH_TAKEOVER, may_take_over
from rtcproto.errors import CapacityExceeded, DescriptionRefused, ParseError, UsageError
from rtcproto.events import AudioReceived, CloseReason, Connected, SessionClosed
from rtcproto.routing import EncipheredTokenCodec, encode_header, parse_header
from rtcproto.session import Session
from rtcproto.testing import Capture, Host, LinkConfig, Network, Packet, World
from rtcproto.testing.session_pair import UNIX_TIME
from tests.support.ice_peer import Peer
from tests.support.restart import restart

SERVER: Address = ("198.51.100.2", 6000)
PUBLIC: Address = ("203.0.113.10", 3478)
RELAY: Address = ("10.0.0.1", 7000)
OPUS = b"\xf8" + bytes(20)
CODEC = EncipheredTokenCodec({"a": bytes(16)}, "a")

_NUMBERS = count(1 << 50)


@cache
def identity() -> Identity:
    """One certificate for all."""
    return Identity.generate(UNIX_TIME)


class Scene:
    """An endpoint at `SERVER` and as many clients as are asked for."""

    def __init__(self, seed: int = 1, advertised: Address = SERVER, **fields: Any) -> None:
        self.world = World(seed)
        self.network = Network(self.world, LinkConfig(delay=0.01))
        session = SessionConfig(
            identity=identity(), addresses=(advertised,), entropy=self.world.entropy("endpoint")
        )
        config = EndpointConfig(session=session, **fields)
        self.endpoint = Endpoint(config, UNIX_TIME, self.world.now)
        self.host = self.network.attach(self.endpoint, SERVER, multihomed=True)
        self._ports = count(5000)

    def client(self) -> Host[Session]:
        """A full client at a port of its own."""
        address = ("192.0.2.1", next(self._ports))
        config = SessionConfig(
            identity=identity(),
            addresses=(address,),
            ice_lite=False,
            entropy=self.world.entropy(f"client {address[1]}"),
        )
        session = Session(config, UNIX_TIME, self.world.now)
        return self.network.attach(session, address, multihomed=True)

    def call(self) -> tuple[SessionId, Host[Session]]:
        """A described call."""
        client, now = self.client(), self.world.now
        session_id, answer = self.endpoint.accept_offer(client.machine.create_offer(now), now)
        client.machine.accept_answer(answer, now)
        return session_id, client

    def connect(self) -> tuple[SessionId, Host[Session]]:
        """A connected call."""
        session_id, client = self.call()
        self.world.run_until(
            lambda: self.events(session_id, Connected) and client.events_of(Connected)
        )
        return session_id, client

    def events(self, session_id: SessionId, kind: type) -> list[Any]:
        """The endpoint's events of one session and type."""
        return [
            event
            for _, (who, event) in self.host.events
            if who == session_id and type(event) is kind
        ]


def test_each_session_hears_its_own_client() -> None:
    """Five calls on one socket, both ways at once, never mixed up."""
    scene = Scene()
    calls = [scene.connect() for _ in range(5)]
    for number, (session_id, client) in enumerate(calls):
        client.machine.send_audio(OPUS + bytes([number]), scene.world.now)
        scene.endpoint.send_audio(session_id, OPUS + bytes([100 + number]), scene.world.now)
    scene.world.run_for(0.1)
    for number, (session_id, client) in enumerate(calls):
        (heard,) = scene.events(session_id, AudioReceived)
        assert heard.payload[-1] == number
        (answer,) = client.events_of(AudioReceived)
        assert answer.payload[-1] == 100 + number
    assert len(scene.endpoint) == 5
    assert len({session_id for session_id, _ in calls}) == 5
    assert all(len(bytes.fromhex(session_id)) == 16 for session_id, _ in calls)


def test_data_channels_of_each_session() -> None:
    """Verbs take the session's id; messages of one client never come to another's."""
    scene = Scene()
    calls = [scene.connect() for _ in range(3)]
    endpoint, now = scene.endpoint, scene.world.now
    channels = [
        endpoint.open_channel(session_id, f"to {number}", now, protocol="p", ordered=False)
        for number, (session_id, _) in enumerate(calls)
    ]
    scene.world.run_for(0.1)
    for number, ((session_id, client), channel) in enumerate(zip(calls, channels, strict=True)):
        (opened,) = client.events_of(DataChannelOpened)
        assert (opened.label, opened.protocol) == (f"to {number}", "p")
        assert not opened.parameters.ordered
        endpoint.set_buffered_amount_low_threshold(session_id, channel, 0)
        endpoint.send_message(session_id, channel, bytes(100_000), scene.world.now)
        assert endpoint.buffered_amount(session_id, channel) > 0
        client.machine.send_message(opened.channel, f"from {number}", scene.world.now)
    scene.world.run_for(1.0)
    for number, ((session_id, client), channel) in enumerate(zip(calls, channels, strict=True)):
        (message,) = scene.events(session_id, DataChannelMessage)
        assert message.data == f"from {number}"
        assert len(client.events_of(DataChannelMessage)) == 1
        assert len(scene.events(session_id, DataChannelBufferLow)) == 1
        endpoint.close_channel(session_id, channel, scene.world.now)
    scene.world.run_for(1.0)
    for session_id, client in calls:
        assert len(scene.events(session_id, DataChannelClosed)) == 1
        assert len(client.events_of(DataChannelClosed)) == 1


def test_messages_to_a_session_that_has_just_ended_go_nowhere() -> None:
    """Its last event may still wait to be read; later, the id is unknown."""
    scene = Scene()
    session_id, _ = scene.connect()
    channel = scene.endpoint.open_channel(session_id, "x", scene.world.now)
    scene.endpoint.close_session(session_id, scene.world.now)
    scene.endpoint.send_message(session_id, channel, "late", scene.world.now)
    scene.endpoint.close_channel(session_id, channel, scene.world.now)
    scene.world.run_for(0.1)
    scene.endpoint.next_events()
    scene.endpoint.next_events()
    for verb in (
        lambda: scene.endpoint.send_message(session_id, channel, "x", scene.world.now),
        lambda: scene.endpoint.close_channel(session_id, channel, scene.world.now),
        lambda: scene.endpoint.open_channel(session_id, "x", scene.world.now),
        lambda: scene.endpoint.buffered_amount(session_id, channel),
    ):
        with pytest.raises(UsageError, match="no session"):
            verb()


def test_an_endpoint_calls_out() -> None:
    """A full endpoint offers, takes the answer of a lite session, and audio flows."""
    world = World(2)
    network = Network(world, LinkConfig(delay=0.01))
    full = SessionConfig(
        identity=identity(), addresses=(SERVER,), ice_lite=False, entropy=world.entropy("e")
    )
    endpoint = Endpoint(EndpointConfig(session=full), UNIX_TIME, world.now)
    host = network.attach(endpoint, SERVER, multihomed=True)
    peer_address = ("192.0.2.9", 4000)
    lite = SessionConfig(
        identity=identity(), addresses=(peer_address,), entropy=world.entropy("lite")
    )
    peer = network.attach(Session(lite, UNIX_TIME, world.now), peer_address, multihomed=True)
    session_id, offer = endpoint.create_offer(world.now)
    endpoint.accept_answer(session_id, peer.machine.accept_offer(offer, world.now), world.now)
    world.run_until(lambda: peer.events_of(Connected) and host.events)
    endpoint.send_audio(session_id, OPUS, world.now)
    world.run_until(lambda: peer.events_of(AudioReceived), 1)
    assert endpoint.stats(session_id, world.now).outbound_rtp.packets_sent == 1


def test_the_first_answer_finds_a_client_on_one_socket() -> None:
    """A shell that names no local address gets the answer to its first check to the session.

    Dropped, it would cost the pacing of a second check (50 ms) in every call.
    """
    world = World(2)
    network = Network(world, LinkConfig(delay=0.001))
    full = SessionConfig(
        identity=identity(), addresses=(SERVER,), ice_lite=False, entropy=world.entropy("e")
    )
    endpoint = Endpoint(EndpointConfig(session=full), UNIX_TIME, world.now)
    network.attach(endpoint, SERVER)
    peer_address = ("192.0.2.9", 4000)
    lite = SessionConfig(
        identity=identity(), addresses=(peer_address,), entropy=world.entropy("lite")
    )
    peer = network.attach(Session(lite, UNIX_TIME, world.now), peer_address)
    session_id, offer = endpoint.create_offer(world.now)
    endpoint.accept_answer(session_id, peer.machine.accept_offer(offer, world.now), world.now)
    world.run_for(0.02)
    assert endpoint.stats(session_id, world.now).state == "connected"
    assert endpoint.endpoint_stats().datagrams_dropped == {}


class TestAdmission:
    """Limits are refusals before anything is created."""

    def test_sessions(self) -> None:
        """Over max_sessions nothing is opened; a place freed is a place again."""
        scene = Scene(max_sessions=2)
        first, _ = scene.call()
        scene.call()
        offer = scene.client().machine.create_offer(scene.world.now)
        with pytest.raises(CapacityExceeded):
            scene.endpoint.accept_offer(offer, scene.world.now)
        scene.endpoint.close_session(first, scene.world.now)
        scene.endpoint.accept_offer(offer, scene.world.now)
        assert len(scene.endpoint) == 2

    def test_connecting_sessions(self) -> None:
        """Handshakes in progress have a limit of their own; connected calls do not count."""
        scene = Scene(max_connecting=1)
        scene.connect()
        scene.call()
        with pytest.raises(CapacityExceeded):
            scene.call()
        assert scene.endpoint.endpoint_stats().connecting == 1
        scene.world.run_for(1.0)
        scene.call()

    def test_a_refused_offer_leaves_nothing(self) -> None:
        """Malformed or unacceptable offers raise and take no place."""
        scene = Scene(max_sessions=1, max_connecting=1)
        offer = scene.client().machine.create_offer(scene.world.now)
        with pytest.raises(ParseError):
            scene.endpoint.accept_offer("nonsense", scene.world.now)
        with pytest.raises(DescriptionRefused):
            scene.endpoint.accept_offer(offer.replace("opus/48000/2", "x/8000"), scene.world.now)
        assert len(scene.endpoint) == 0
        assert scene.endpoint.get_timer() is None
        scene.endpoint.accept_offer(offer, scene.world.now)

    def test_abandoned_sessions_go(self) -> None:
        """A described call that nobody checks is gone after 15 s, the endpoint then silent."""
        scene = Scene()
        for _ in range(10):
            scene.endpoint.accept_offer(
                scene.client().machine.create_offer(scene.world.now), scene.world.now
            )
        scene.world.run_for(15.1)
        assert len(scene.endpoint) == 0
        assert scene.endpoint.get_timer() is None
        stats = scene.endpoint.endpoint_stats()
        assert (stats.sessions, stats.connecting, stats.sessions_opened) == (0, 0, 10)
        assert stats.sessions_closed == {"NO_CHECK": 10}


class TestUnknownSessions:
    """Ids of calls that are over, or never were."""

    def test_verbs_raise(self) -> None:
        """Except closing, which is idempotent."""
        scene = Scene()
        now = scene.world.now
        for verb in (
            lambda: scene.endpoint.send_audio("nobody", OPUS, now),
            lambda: scene.endpoint.stats("nobody", now),
            lambda: scene.endpoint.accept_answer("nobody", "v=0", now),
        ):
            with pytest.raises(UsageError):
                verb()
        scene.endpoint.close_session("nobody", now)

    def test_a_closed_session_is_unknown(self) -> None:
        """Its last event is delivered, its last datagrams reach the peer."""
        scene = Scene()
        session_id, client = scene.connect()
        scene.endpoint.close_session(session_id, scene.world.now)
        scene.world.run_for(1.0)
        (event,) = scene.events(session_id, SessionClosed)
        assert event.reason is CloseReason.LOCAL
        assert client.events_of(SessionClosed)[0].reason is CloseReason.PEER
        with pytest.raises(UsageError):
            scene.endpoint.send_audio(session_id, OPUS, scene.world.now)

    def test_audio_while_the_end_is_still_unknown(self) -> None:
        """A loop that answers event by event may get to a frame after the session has ended."""
        scene = Scene()
        session_id, _ = scene.connect()
        now = scene.world.now
        scene.endpoint.close_session(session_id, now)
        scene.endpoint.send_audio(session_id, OPUS, now)
        assert isinstance(scene.endpoint.next_events()[-1][1], SessionClosed)
        scene.endpoint.send_audio(session_id, OPUS, now)
        assert scene.endpoint.next_events() == []
        with pytest.raises(UsageError):
            scene.endpoint.send_audio(session_id, OPUS, now)


def test_close_ends_every_session() -> None:
    """All are told, and the endpoint wants no more time."""
    scene = Scene()
    calls = [scene.connect() for _ in range(3)]
    scene.endpoint.close(scene.world.now)
    scene.world.run_for(1.0)
    assert all(scene.events(session_id, SessionClosed) for session_id, _ in calls)
    assert scene.endpoint.get_timer() is None
    assert len(scene.endpoint) == 0


def test_strangers_get_no_answer() -> None:
    """Datagrams of no session are dropped and counted by reason."""
    scene = Scene()
    stranger: Address = ("192.0.2.66", 6)
    for data in (b"", b"\x80\x6f" + bytes(20), b"\x16\xfe\xfd" + bytes(20), bytes(2049)):
        scene.endpoint.receive_datagram(data, stranger, scene.world.now, SERVER)
    assert scene.endpoint.datagrams_to_send() == []
    stats = scene.endpoint.endpoint_stats()
    assert stats.datagrams_received == 4
    assert stats.datagrams_dropped == {"unknown_session": 3, "oversized": 1}


class TestFence:
    """P2: a bug in one session ends that session only."""

    def test_in_receive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The session is closed with INTERNAL_ERROR; the other goes on."""
        self._check(monkeypatch, "receive_datagram")

    def test_in_a_timer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same for deadlines."""
        self._check(monkeypatch, "handle_timer")

    def _check(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        scene = Scene()
        broken_id, broken = scene.connect()
        sound_id, sound = scene.connect()
        victim = scene.endpoint._entries[broken_id].session
        original = getattr(Session, method)

        def faulty(self: Session, *arguments: Any) -> Any:
            if self is victim:
                raise ZeroDivisionError
            return original(self, *arguments)

        monkeypatch.setattr(Session, method, faulty)
        for _ in range(150):
            for client in (broken, sound):
                if not client.machine.closed:
                    client.machine.send_audio(OPUS, scene.world.now)
            scene.world.run_for(0.02)
        (event,) = scene.events(broken_id, SessionClosed)
        assert event.reason is CloseReason.INTERNAL_ERROR
        assert len(scene.events(sound_id, AudioReceived)) >= 149
        assert scene.endpoint.endpoint_stats().sessions_closed == {"INTERNAL_ERROR": 1}


class TestUfrags:
    """Who a check is for."""

    def test_behind_relays_every_ufrag_is_a_token(self) -> None:
        """It names cluster, owner and epoch, and no two calls share one."""
        routing = RoutingConfig(codec=CODEC, cluster=3, owner=7, epoch=9)
        scene = Scene(routing=routing)
        tokens: set[int] = set()
        for _ in range(20):
            now = scene.world.now
            _, answer = scene.endpoint.accept_offer(scene.client().machine.create_offer(now), now)
            ufrag = answer.partition("a=ice-ufrag:")[2].split("\r\n")[0]
            token = CODEC.decode(ufrag.encode())
            assert token is not None
            assert (token.cluster, token.owner, token.epoch) == (3, 7, 9)
            tokens.add(token.nonce)
        assert len(tokens) == 20

    def test_a_taken_ufrag_is_drawn_again(self) -> None:
        """K4: an entropy source that repeats itself once costs one more draw."""
        draws: list[int] = []
        values = [b"\1" * 6, b"\1" * 6, b"\2" * 6]

        def entropy(size: int) -> bytes:
            if size == 6:
                draws.append(size)
                return values[len(draws) - 1]
            return bytes([len(draws)]) * size

        endpoint = self.endpoint(entropy)
        offer = Scene().client().machine.create_offer(1000.0)
        _, first = endpoint.accept_offer(offer, 1000.0)
        _, second = endpoint.accept_offer(offer, 1000.0)
        assert "a=ice-ufrag:AQEBAQEB" in first
        assert "a=ice-ufrag:AgICAgIC" in second
        assert len(draws) == 3

    def test_a_constant_entropy_source_is_an_error(self) -> None:
        """Two sessions with one ufrag never exist; giving up is loud."""
        draws: list[int] = []

        def entropy(size: int) -> bytes:
            draws.append(size)
            return b"\1" * size

        endpoint = self.endpoint(entropy)
        offer = Scene().client().machine.create_offer(1000.0)
        endpoint.accept_offer(offer, 1000.0)
        draws.clear()
        with pytest.raises(UsageError, match="entropy"):
            endpoint.accept_offer(offer, 1000.0)
        assert draws == [6] * MAX_UFRAG_DRAWS

    def endpoint(self, entropy: Any) -> Endpoint:
        """One with this entropy."""
        session = SessionConfig(identity=identity(), addresses=(SERVER,), entropy=entropy)
        return Endpoint(EndpointConfig(session=session), UNIX_TIME, 1000.0)


class Tunnel:
    """A tap that acts as a relay between clients and `SERVER`, by way of `RELAY`."""

    def __init__(self, hop: Address = RELAY) -> None:
        self.hop = hop
        self.inward = 0

    def __call__(self, packet: Packet, now: float) -> list[Packet]:
        """Wrap what clients send to `PUBLIC`; unwrap what goes to the relay."""
        del now
        if packet.destination == PUBLIC:
            self.inward += 1
            return [Packet(encode_header(packet.source, PUBLIC) + packet.data, self.hop, SERVER)]
        if packet.destination[0].startswith("10."):
            client, public, end = parse_header(packet.data)
            return [Packet(packet.data[end:], public, client)]
        return [packet]


class TestRelays:
    """The proxy header, who is believed, and where answers go."""

    def test_a_call_through_a_relay(self) -> None:
        """The session sees the client's address and the relay's public one."""
        scene = Scene(advertised=PUBLIC, relays=("10.0.0.0/24",))
        tunnel = Tunnel()
        scene.network.tap(tunnel)
        session_id, client = scene.connect()
        (connected,) = scene.events(session_id, Connected)
        assert (connected.remote, connected.local) == (client.address, PUBLIC)
        scene.endpoint.send_audio(session_id, OPUS, scene.world.now)
        scene.world.run_for(0.1)
        assert len(client.events_of(AudioReceived)) == 1
        assert scene.network.undeliverable == 0

    def test_answers_follow_the_relay_that_spoke_last(self) -> None:
        """A path's next hop is where its newest authentic datagram came from."""
        scene = Scene(advertised=PUBLIC, relays=("10.0.0.0/24",))
        tunnel, capture = Tunnel(), Capture()
        scene.network.tap(capture)
        scene.network.tap(tunnel)
        session_id, client = scene.connect()
        tunnel.hop = ("10.0.0.2", 7000)
        client.machine.send_audio(OPUS, scene.world.now)
        scene.world.run_for(0.1)
        capture.packets.clear()
        scene.endpoint.send_audio(session_id, OPUS, scene.world.now)
        scene.world.run_for(0.1)
        assert capture.octets_to("10.0.0.2") > 0
        assert capture.octets_to("10.0.0.1") == 0

    def test_the_end_of_a_session_releases_its_flow(self) -> None:
        """The last datagram to the relay is a header with nothing behind it."""
        scene = Scene(advertised=PUBLIC, relays=("10.0.0.0/24",))
        capture = Capture()
        scene.network.tap(capture)
        scene.network.tap(Tunnel())
        session_id, client = scene.connect()
        scene.endpoint.close_session(session_id, scene.world.now)
        scene.world.run_for(0.1)
        to_relay = [p.data for _, p in capture.packets if p.destination == RELAY]
        release = encode_header(client.addresses[0], PUBLIC)
        assert to_relay.count(release) == 1
        assert to_relay[-1] == release

    def test_a_forged_datagram_moves_no_path(self) -> None:
        """What is not authentic does not change where answers go, whichever relay it came by."""
        scene = Scene(advertised=PUBLIC, relays=("10.0.0.0/24",))
        capture = Capture()
        scene.network.tap(capture)
        scene.network.tap(Tunnel())
        session_id, client = scene.connect()
        forged = encode_header(client.address, PUBLIC) + b"\x80\x6f" + bytes(40)
        scene.endpoint.receive_datagram(forged, ("10.0.0.66", 1), scene.world.now, SERVER)
        capture.packets.clear()
        scene.endpoint.send_audio(session_id, OPUS, scene.world.now)
        scene.world.run_for(0.1)
        assert capture.octets_to("10.0.0.1") > 0
        assert capture.octets_to("10.0.0.66") == 0

    @pytest.mark.parametrize("relays", [(), ("10.0.0.0/24",)])
    def test_headers_of_others_are_not_believed(self, relays: tuple[str, ...]) -> None:
        """R15: a header from outside the relays' networks is dropped and counted."""
        scene = Scene(relays=relays)
        data = encode_header(("192.0.2.1", 5), PUBLIC) + bytes(20)
        scene.endpoint.receive_datagram(data, ("192.0.2.66", 6), scene.world.now, SERVER)
        assert scene.endpoint.endpoint_stats().datagrams_dropped == {"forged_header": 1}

    def test_truncated_headers_are_dropped(self) -> None:
        """At every length."""
        scene = Scene(relays=("10.0.0.0/24",))
        header = encode_header(("192.0.2.1", 5), PUBLIC)
        for size in range(2, len(header)):
            scene.endpoint.receive_datagram(header[:size], RELAY, scene.world.now, SERVER)
        dropped = scene.endpoint.endpoint_stats().datagrams_dropped
        assert dropped == {"malformed_header": len(header) - 2}

    def test_what_is_no_network_is_refused(self) -> None:
        """A typing slip in the settings fails at the start."""
        with pytest.raises(ValueError, match="network"):
            EndpointConfig(session=SessionConfig(identity=identity()), relays=("10.0.0.0/99",))


class TestRestart:
    """ICE restart and trickled candidates by a session's id."""

    @pytest.mark.parametrize("relayed", [False, True])
    def test_a_call_goes_on_under_new_credentials(self, relayed: bool) -> None:
        """Every packet arrives; afterwards one ufrag leads to the session, the newest."""
        scene = Scene(advertised=PUBLIC if relayed else SERVER, relays=("10.0.0.0/24",))
        if relayed:
            scene.network.tap(Tunnel())
        session_id, client = scene.connect()
        other_id, _ = scene.connect()
        for number in range(1, 4):
            answer = restart(
                client.machine,
                lambda fragment: scene.endpoint.restart_ice(session_id, fragment, scene.world.now),
                scene.world.now,
            )
            assert answer.ufrag is not None
            assert len(scene.endpoint._by_ufrag) == 3
            client.settle()
            for _ in range(10):
                client.machine.send_audio(OPUS, scene.world.now)
                scene.endpoint.send_audio(session_id, OPUS, scene.world.now)
                scene.world.run_for(0.02)
            scene.world.run_for(0.1)
            assert len(scene.endpoint._by_ufrag) == 2
            assert scene.endpoint._by_ufrag[answer.ufrag.encode()].id == session_id
            assert len(scene.events(session_id, AudioReceived)) == 10 * number
            assert len(client.events_of(AudioReceived)) == 10 * number
        scene.endpoint.close_session(session_id, scene.world.now)
        assert len(scene.endpoint._by_ufrag) == 1
        scene.endpoint.close_session(other_id, scene.world.now)
        assert scene.endpoint._by_ufrag == {}

    def test_a_refused_restart_changes_nothing(self) -> None:
        """The old ufrag stays the only one, and no candidate of another generation is taken."""
        scene = Scene()
        session_id, _ = scene.connect()
        before = dict(scene.endpoint._by_ufrag)
        for fragment in ("", "a=ice-ufrag:abcd\r\n"):
            with pytest.raises(DescriptionRefused):
                scene.endpoint.restart_ice(session_id, fragment, scene.world.now)
        with pytest.raises(DescriptionRefused):
            scene.endpoint.add_candidates(session_id, "a=ice-ufrag:abcd\r\n", scene.world.now)
        scene.endpoint.add_candidates(session_id, "a=end-of-candidates\r\n", scene.world.now)
        assert scene.endpoint._by_ufrag == before


def new_check(session: Session) -> bytes:
    """A check with a good MAC, as the owner of the session's client could write one."""
    trickle = session._trickle
    assert trickle is not None
    number = next(_NUMBERS).to_bytes(12, "big")
    return Peer(trickle._remote, trickle._local).check(nominate=True, transaction_id=number)


class TestTakeOver:
    """A client's address belongs to one session at a time."""

    def contested(self) -> tuple[Scene, SessionId]:
        """A call; then checks of a second one that come from the first one's address."""
        scene = Scene()
        first_id, first = scene.connect()
        _, second = scene.call()

        def spoof(packet: Packet, now: float) -> list[Packet]:
            del now
            if packet.source == second.address:
                return [Packet(packet.data, first.address, packet.destination)]
            return [packet]

        scene.network.tap(spoof)
        scene.world.run_for(1.0)
        return scene, first_id

    def test_a_live_path_stays_with_its_session(self) -> None:
        """R4 at the transceiver: valid checks of another session do not take it."""
        scene, first_id = self.contested()
        assert scene.endpoint._paths.owners[("192.0.2.1", 5000), SERVER].id == first_id

    def test_answers_find_who_asked_whoever_has_the_path(self) -> None:
        """A session that spoofs a caller's address, faster than the caller, delays no call.

        Its checks own the path until the caller's answer has proven it.
        """
        scene = Scene()
        thief_id, thief = scene.call()
        victim_id, victim = scene.call()
        recorded: list[bytes] = []

        def record(packet: Packet, now: float) -> list[Packet]:
            del now
            if packet.source == thief.address:
                recorded.append(packet.data)
                return []
            if packet.source == victim.address:
                # Whatever the caller sends, a new check of the thief's comes just before.
                check = new_check(scene.endpoint._entries[thief_id].session)
                return [Packet(check, packet.source, packet.destination), packet]
            return [packet]

        scene.network.tap(record)
        scene.world.run_for(0.5)
        assert scene.events(victim_id, Connected)
        assert scene.endpoint._paths.owners[victim.address, SERVER].id == victim_id
        assert not scene.events(thief_id, Connected)
        assert recorded

    def test_requests_noted_are_bounded(self) -> None:
        """The oldest goes; an answered one is gone, and all with their session."""
        scene = Scene()
        session_id, _ = scene.connect()
        assert scene.endpoint._asked == {}
        entry = scene.endpoint._entries[session_id]
        for number in range(MAX_ASKED + 5):
            scene.endpoint._note_request(entry, number.to_bytes(12, "big"))
        assert len(scene.endpoint._asked) == len(entry.asked) == MAX_ASKED
        assert (4).to_bytes(12, "big") not in scene.endpoint._asked
        scene.endpoint.close_session(session_id, scene.world.now)
        assert scene.endpoint._asked == {}

    def test_a_silent_path_may_change_its_session(self) -> None:
        """PATH_TAKEOVER seconds after the last authentic datagram, not a moment before."""
        scene, first_id = self.contested()
        entry = scene.endpoint._entries[first_id]
        path = (("192.0.2.1", 5000), SERVER)
        heard = entry.paths[path].last_heard
        assert not may_take_over(entry, path, heard + PATH_TAKEOVER - 0.01)
        assert may_take_over(entry, path, heard + PATH_TAKEOVER)
