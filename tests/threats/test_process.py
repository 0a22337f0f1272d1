"""What attacks do to the process: rows K2, P1 to P4.

Secrets that leak into text, one bug that stops the loop, logs that fill the disk,
and sessions that nobody ends.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

import rtcproto.asyncio.call as call_module
import rtcproto.asyncio.driver as driver_module
import rtcproto.dtls.endpoint as dtls_endpoint
from rtcproto import sdp
from rtcproto.asyncio import Call as DriverCall
from rtcproto.asyncio import Driver
from rtcproto.config import EndpointConfig, SessionConfig
from rtcproto.datagram import Address
from rtcproto.demux import Kind, classify
from rtcproto.dtls import Dtls
from rtcproto.dtls.engine import Engine
from rtcproto.endpoint import Endpoint
from rtcproto.errors import ParseError, RtcError, UsageError
from rtcproto.events import AudioReceived, CloseReason, Event, SessionClosed
from rtcproto.routing import RoutingToken
from rtcproto.session import Session, SessionState
from rtcproto.testing import Packet, World
from rtcproto.testing.session_pair import UNIX_TIME
from tests.support.calls import (
    CODEC,
    ROUTING_KEY,
    SERVER,
    Call,
    Scene,
    attackers,
    forgeries,
    identity,
)
from tests.support.contract import footprint
from tests.support.fake_loop import FakeLoop, FakeSocket
from tests.support.living import alive, apart

# -- K2


def spellings(secret: bytes) -> Iterator[str]:
    """How a secret could stand in a text: raw, escaped, hexadecimal, base64."""
    yield secret.decode("latin-1")
    yield repr(secret)[2:-1]
    for text in (secret.hex(), secret.hex(":"), secret.hex(" ")):
        yield text
        yield text.upper()
    yield str(int.from_bytes(secret, "big"))
    # Base64 spells the middle of a secret in three ways, by what stands before it.
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + secret).decode()
        yield encoded[4 * bool(lead) : -4]
        yield encoded.replace("+", "-").replace("/", "_")[4 * bool(lead) : -4]


def reachable(root: object) -> Iterator[object]:
    """Every object of this library that can be reached from `root`."""
    seen: set[int] = set()
    stack = [root]
    while stack:
        value = stack.pop()
        if id(value) in seen or isinstance(value, type) or callable(value):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            stack += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            stack += value
        elif type(value).__module__.startswith("rtcproto"):
            yield value
            stack += getattr(value, "__dict__", {}).values()
            for cls in type(value).__mro__:
                slots = getattr(cls, "__slots__", ())
                names = [slots] if isinstance(slots, str) else slots
                stack += [getattr(value, name, None) for name in names]


def private_key(name: str) -> bytes:
    """The scalar of an identity's key."""
    key = identity(name)._key
    return key.private_numbers().private_value.to_bytes(32, "big")


class Canaries:
    """The secrets of a call as it goes, and everything that is said meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.secrets: dict[str, bytes] = {
            "routing key": ROUTING_KEY,
            "server's private key": private_key("server"),
            "client's private key": private_key("client"),
        }
        self.texts: list[str] = []
        original = dtls_endpoint.export_keying_material

        def export(connection: Any, profile: int) -> bytes:
            material = original(connection, profile)
            for number, part in enumerate((material[:16], material[16:32], material[32:44])):
                self.secrets[f"SRTP key or salt {number}"] = part
            return material

        monkeypatch.setattr(dtls_endpoint, "export_keying_material", export)

    def passwords(self, *sessions: Session) -> None:
        """Note the ICE passwords of sessions."""
        for session in sessions:
            credentials = session._negotiation.credentials
            self.secrets[f"password of {credentials.ufrag}"] = credentials.pwd.encode()

    def attempt(self, function: Callable[..., object], *arguments: Any, **fields: Any) -> None:
        """Call what may raise, and keep the whole traceback."""
        try:
            function(*arguments, **fields)
        except RtcError as error:
            self.texts += traceback.format_exception(error)
            self.texts.append(repr(error))

    def look(self, root: object) -> None:
        """Keep the repr and str of everything reachable."""
        for value in reachable(root):
            self.texts += [repr(value), str(value)] if not is_description(value) else [repr(value)]

    def hits(self) -> list[str]:
        """Which secrets stand in what was said, and how."""
        text = "\n".join(self.texts)
        return [
            f"{name}: {spelling!r}"
            for name, secret in self.secrets.items()
            for spelling in spellings(secret)
            if spelling in text
        ]


def is_description(value: object) -> bool:
    """A description's text is for the peer, with the password in it; its repr is not."""
    return type(value).__module__.startswith("rtcproto.sdp")


def test_k2_no_secret_in_any_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Eight canaries and more through calls, failures and attacks: 0 hits in any text."""
    caplog.set_level(logging.DEBUG)
    canaries = Canaries(monkeypatch)
    scene = Scene(relayed=True)
    call = scene.connect()
    broken = scene.call()
    canaries.passwords(call.session, call.client.machine, broken.session, broken.client.machine)
    now = scene.world.now

    # Failing verbs, with secrets in what they are given.
    offer = scene.client().machine.create_offer(now)
    password = re.search(r"a=ice-pwd:(\S+)", offer)
    assert password is not None
    canaries.secrets["password in an offer"] = password[1].encode()
    for old, new in (
        ("a=ice-pwd:", "a=ice-pwd:short "),
        ("a=ice-pwd:", "a=ice-pwd:\x01"),
        ("a=ice-pwd:", "ice-pwd:"),
        ("a=ice-pwd:", "a=rtpmap:"),
        ("a=ice-pwd:", "m="),
        ("a=ice-pwd:", "a=fingerprint:sha-256 "),
        ("a=ice-pwd:", "a=candidate:"),
        ("opus", "pcmu"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    ):
        assert old in offer
        canaries.attempt(scene.endpoint.accept_offer, offer.replace(old, new), now)
    canaries.attempt(scene.endpoint.send_audio, broken.id, b"\xf8", now)
    canaries.attempt(call.client.machine.accept_answer, offer, now)
    canaries.attempt(CODEC.encode, RoutingToken(0, 1, 0, 1 << 24))

    # Attacks, and a bug that carries a secret in its message.
    for data in forgeries(call).values():
        scene.attack(data, call.client.address)
    call.talk(3)
    secret = call.session._negotiation.credentials.pwd
    monkeypatch.setattr(
        call.session._planes.media,
        "_payload_type",
        _Bomb(f"a bug that tells {secret}"),
        raising=False,
    )
    call.talk(1)
    assert [e.reason for e in call.events(SessionClosed)] == [CloseReason.INTERNAL_ERROR]

    fresh = scene.connect()
    fresh.talk(3)
    scene.world.run_for(3.0)
    canaries.passwords(fresh.session, fresh.client.machine)
    for root in (scene.endpoint, scene.endpoint._config, fresh.client.machine, scene.relay):
        canaries.look(root)
    for _, event in [*scene.host.events, *fresh.client.events]:
        canaries.look(event)
    stats = scene.endpoint.stats(fresh.id, scene.world.now)
    canaries.texts += [repr(stats), json.dumps(stats.as_dict()), repr(scene.endpoint)]
    canaries.texts.append(repr(scene.endpoint.endpoint_stats()))
    canaries.texts.append(repr(sdp.parse(offer)))
    canaries.texts.append(caplog.text)
    assert len(canaries.secrets) >= 8
    assert len(canaries.texts) > 200
    assert canaries.hits() == []


class _Bomb:
    """Compares by raising: a bug in the middle of the media plane."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError(self._message)

    __hash__ = object.__hash__


def test_k2_the_search_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is found in each of its spellings, and in the middle of other text."""
    canaries = Canaries(monkeypatch)
    secret = bytes(range(100, 132))
    canaries.secrets = {"canary": secret}
    for text in (
        secret.hex(),
        repr(secret),
        base64.b64encode(b"xy" + secret + b"z").decode(),
        secret.decode("latin-1"),
    ):
        canaries.texts = [f"before {text} behind"]
        assert canaries.hits()
    canaries.texts = ["nothing of the kind"]
    assert canaries.hits() == []


def test_k2_keys_cannot_be_had_from_an_identity() -> None:
    """Neither repr nor str of what holds the private key shows any of it."""
    pem = identity("server")._key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    text = repr(identity("server")) + str(SessionConfig(identity=identity("server")))
    assert all(line not in text for line in pem.decode().splitlines()[1:-1])


# -- P1


PLAINTEXTS = st.one_of(
    st.tuples(st.just("data"), st.binary(min_size=1, max_size=300)),
    # RTCP: headers of every kind with a length that fits, or not, and anything inside.
    st.tuples(
        st.just("report"),
        st.lists(
            st.builds(
                lambda count, kind, body, lie: (
                    bytes([0x80 | count, kind])
                    + (max(0, len(body) // 4 + lie)).to_bytes(2, "big")
                    + body
                ),
                st.integers(0, 63),
                st.integers(199, 208),
                st.binary(max_size=120).map(lambda data: data[: len(data) & ~3]),
                st.sampled_from([0, 0, 0, 1, -1]),
            ),
            min_size=1,
            max_size=4,
        ).map(lambda packets: b"".join(packets).ljust(8, b"\0")),
    ),
    st.tuples(
        st.just("audio"),
        st.builds(
            lambda first, second, middle, rest: bytes([0x80 | first, second]) + middle + rest,
            st.integers(0, 63),
            st.sampled_from([111, 239, 0, 63, 127]),
            st.binary(min_size=10, max_size=10),
            st.binary(max_size=80),
        ),
    ),
)


@settings(max_examples=60)
@given(st.lists(PLAINTEXTS, max_size=12))
def test_p1_an_authentic_peer_says_anything(said: list[tuple[str, bytes]]) -> None:
    """What a peer with the keys puts into RTP, RTCP and DTLS raises nothing and ends nothing."""
    scene = Scene()
    call = scene.connect()
    session, client = call.session, call.client.machine
    sender, dtls = client._planes.media._sender, client._planes.transport._dtls
    assert sender is not None
    assert dtls is not None
    for kind, plaintext in said:
        if kind == "data":
            dtls.send_data(plaintext, scene.world.now)
            packets = dtls.packets_to_send()
        elif kind == "report":
            packets = [sender.protect_rtcp(plaintext)]
        else:
            try:
                packets = [sender.protect(plaintext)]
            except (ParseError, UsageError):
                continue  # nothing that can be sent: no RTP header, or an index that does not rise
        for packet in packets:
            # Not through the endpoint, whose fence would hide what is looked for.
            session.receive_datagram(packet, call.client.address, scene.world.now)
        session.handle_timer(scene.world.now + 0.5)
    assert not session.closed
    json.dumps(session.stats(scene.world.now).as_dict())
    session.close(scene.world.now + 1.0)
    assert session.closed


# -- P2, P3: the driver


class Bench:
    """A serving driver with clients, on a virtual event loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = FakeLoop()
        self.wire: dict[Address, FakeSocket] = {}
        self.sockets: list[FakeSocket] = []
        self._world = World(1)
        monkeypatch.setattr(driver_module.asyncio, "get_running_loop", lambda: self.loop)
        monkeypatch.setattr(driver_module.time, "monotonic", self.loop.time)
        monkeypatch.setattr(call_module.time, "monotonic", self.loop.time)
        self.server = self.driver(SERVER, ice_lite=True)

    def driver(self, address: Address, *, ice_lite: bool) -> Driver:
        """A driver bound to `address`."""
        sock = FakeSocket(address, self.wire)
        self.sockets.append(sock)
        config = SessionConfig(
            identity=identity("server" if ice_lite else "client"),
            addresses=(address,),
            ice_lite=ice_lite,
            entropy=self._world.entropy(str(address)),
        )
        endpoint = Endpoint(EndpointConfig(session=config), UNIX_TIME, self.loop.now)
        make: Any = Driver
        driver: Driver = make(endpoint, sock)
        return driver

    def place(self, number: int, handler: Any) -> tuple[DriverCall, DriverCall]:
        """A call from a new client; the server's and the client's side of it."""
        client = self.driver((f"198.51.100.{number}", 6000 + number), ice_lite=False)
        outgoing, offer = client.create_offer(lambda *_: None)
        incoming, answer = self.server.accept_offer(offer, handler)
        outgoing.accept_answer(answer)
        return incoming, outgoing

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.loop.run_until(self.loop.now + seconds, self.sockets)


def faulty_handlers(monkeypatch: pytest.MonkeyPatch, calls: int, packets: int) -> None:
    """`calls` at once; the handler raises on one packet in a hundred."""
    bench = Bench(monkeypatch)
    heard: dict[str, list[int]] = {}
    raised: set[str] = set()
    rng = World(5).rng("faults")

    def handler(call: DriverCall, event: Event) -> None:
        if isinstance(event, AudioReceived):
            heard.setdefault(call.id, []).append(int.from_bytes(event.payload[1:5], "big"))
            if rng.random() < 0.01:
                raised.add(call.id)
                raise ZeroDivisionError("a bug of the application")

    placed = [bench.place(number, handler) for number in range(1, calls + 1)]
    bench.run(0.5)
    for number in range(packets):
        for incoming, outgoing in placed:
            if incoming.id not in raised:
                outgoing.send_audio(b"\xf8" + number.to_bytes(4, "big") + bytes(40))
        bench.run(0.02)
    bench.run(0.1)
    assert 0 < len(raised) < calls
    assert bench.server.handler_errors == len(raised)
    for incoming, _ in placed:
        if incoming.id in raised:
            assert bench.server.call(incoming.id) is None
        else:
            assert heard[incoming.id] == list(range(packets))
    # The loop sleeps: with nothing to do it is woken by no more than timers.
    bench.loop.wakeups = 0
    bench.run(1.0)
    assert bench.loop.wakeups <= 20 * calls


def test_p2_a_handler_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers raise on 1 % of packets: those calls end, the others lose nothing (8 calls)."""
    faulty_handlers(monkeypatch, 8, 30)


@pytest.mark.threats
def test_p2_a_handler_that_raises_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with 100 calls."""
    faulty_handlers(monkeypatch, 100, 50)


def test_p2_a_plane_that_raises() -> None:
    """Whichever plane of a session has a bug: that session ends, named so, and no other."""
    for plane, method in (("media", "receive"), ("transport", "receive_stun")):
        scene = Scene()
        broken, sound = scene.connect(), scene.connect()

        def fail(*_arguments: object) -> bool:
            raise ZeroDivisionError("a message that may hold secrets")

        planes, clients = broken.session._planes, (broken, sound)
        setattr(planes, plane, _Proxy(getattr(planes, plane), method, fail))
        for _ in range(400):
            for call in clients:
                if not call.client.machine.closed:
                    call.client.machine.send_audio(call.payload(), scene.world.now)
            scene.world.run_for(0.02)
        (closed,) = broken.events(SessionClosed)
        assert closed.reason is CloseReason.INTERNAL_ERROR
        # Enough to find the bug by: its class and place, and not its message.
        place = rf"ZeroDivisionError in {re.escape(__name__)}, line \d+"
        assert re.fullmatch(place, closed.detail)
        assert len(sound.heard()) >= 399
        assert not sound.events(SessionClosed)
        assert len(scene.endpoint) == 1


class _Proxy:
    """An object with one method replaced."""

    def __init__(self, inner: object, method: str, replacement: Callable[..., Any]) -> None:
        self._inner = inner
        self._method = method
        self._replacement = replacement

    def __getattr__(self, name: str) -> Any:
        return self._replacement if name == self._method else getattr(self._inner, name)


def log_flood(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, packets: int
) -> None:
    """Bad packets of every kind within a second, into a driver at DEBUG."""
    caplog.set_level(logging.DEBUG)
    bench = Bench(monkeypatch)
    _, outgoing = bench.place(1, lambda *_: None)
    bench.run(0.5)
    scene = Scene()
    call = scene.connect()
    call.talk(2)
    kinds = list(forgeries(call).values())
    server = bench.sockets[0]
    sources = [bench.sockets[1].address, *attackers(3)]
    for number in range(packets):
        server.inbox.append((kinds[number % len(kinds)], sources[number % 4]))
        if number % (packets // 50) == 0:
            outgoing.send_audio(b"\xf8" + bytes(40))
            bench.run(0.02)
    bench.run(0.1)
    assert len(caplog.records) <= 20
    stats = bench.server.endpoint.endpoint_stats()
    assert stats.datagrams_received >= packets
    assert stats.sessions == 1


def test_p3_a_flood_of_bad_packets_is_counted_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At most 20 lines (2,000 packets)."""
    log_flood(monkeypatch, caplog, 2_000)


@pytest.mark.threats
def test_p3_a_flood_of_bad_packets_is_counted_not_logged_full(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At most 20 lines for 100,000 packets."""
    log_flood(monkeypatch, caplog, 100_000)


def test_p3_a_dead_link_is_counted_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A socket that refuses every packet of a call for 2 s: counted, at most 20 lines."""
    caplog.set_level(logging.DEBUG)
    bench = Bench(monkeypatch)
    incoming, _ = bench.place(1, lambda *_: None)
    bench.run(0.5)
    bench.sockets[0].refuse = True
    for _ in range(100):
        incoming.send_audio(b"\xf8" + bytes(40))
        bench.sockets[0].inbox.append(ConnectionRefusedError("unreachable"))
        bench.run(0.02)
    assert bench.server.datagrams_unsent >= 100
    assert 1 <= len(caplog.records) <= 20


# -- P4


def leave_offered(scene: Scene) -> None:
    """Our own offer, never answered: a full endpoint's."""
    scene.endpoint.create_offer(scene.world.now)


def leave_answered(scene: Scene) -> None:
    """Answered, and nobody checks."""
    scene.endpoint.accept_offer(
        scene.client().machine.create_offer(scene.world.now), scene.world.now
    )


def leave_validated(scene: Scene) -> None:
    """Checked once; our requests and flights go unanswered."""
    call = scene.call()
    scene.attack(call.insider().check(), ("192.0.2.77", 7))
    scene.network.detach(call.client)
    scene.world.run_for(0.05)


def leave_proven_without_dtls(scene: Scene) -> None:
    """Checks go on for a while, DTLS never comes."""
    _lose(scene, scene.call(), lambda data: classify(data) is Kind.DTLS)
    scene.world.run_for(1.0)


def leave_in_the_handshake(scene: Scene) -> None:
    """The first flight comes, the second does not."""
    call = scene.call()
    seen = []

    def later(data: bytes) -> bool:
        if classify(data) is Kind.DTLS:
            seen.append(data)
        return classify(data) is Kind.DTLS and len(seen) > 1

    _lose(scene, call, later)
    scene.world.run_for(1.0)


def leave_without_a_path(scene: Scene) -> None:
    """DTLS ends well but the path is never proven: our requests get lost."""
    call = scene.call()
    _lose(scene, call, lambda data: data[:2] == b"\1\1")
    scene.world.run_for(1.0)


def leave_connected(scene: Scene) -> None:
    """Connected, never a packet."""
    scene.connect()


def leave_talking(scene: Scene) -> None:
    """In the middle of talk."""
    scene.connect().talk(5)


def leave_closing(scene: Scene) -> None:
    """The owner closes; the farewells get lost."""
    call = scene.connect()
    _lose(scene, call, lambda data: True)
    scene.network.detach(call.client)
    scene.endpoint.close_session(call.id, scene.world.now)


def _lose(scene: Scene, call: Call, which: Callable[[bytes], bool]) -> None:
    def tap(packet: Packet, now: float) -> list[Packet]:
        """Lose some of what the client sends."""
        del now
        lost = packet.source == call.client.address and which(packet.data)
        return [] if lost else [packet]

    scene.network.tap(tap)


STATES = [
    leave_offered,
    leave_answered,
    leave_validated,
    leave_proven_without_dtls,
    leave_in_the_handshake,
    leave_without_a_path,
    leave_connected,
    leave_talking,
    leave_closing,
]


def abandon(leave: Callable[[Scene], None], sessions: int) -> None:
    """Leave sessions in one state; the network is dead from then on."""
    with apart():
        _abandon(leave, sessions)


def _abandon(leave: Callable[[Scene], None], sessions: int) -> None:
    fields: dict[str, Any] = {"max_sessions": sessions, "max_connecting": sessions}
    session = {"ice_lite": False} if leave is leave_offered else {}
    scene = Scene(session=session, **fields)
    leave(scene)  # what is made once (contexts, links) is made before counting
    _die(scene)
    before = footprint(scene.endpoint), alive(Session, Dtls, Engine)
    for _ in range(sessions):
        leave(scene)
    _die(scene)
    assert len(scene.endpoint) == 0
    assert scene.endpoint.get_timer() is None
    stats = scene.endpoint.endpoint_stats()
    assert (stats.sessions, stats.connecting) == (0, 0)
    assert sum(stats.sessions_closed.values()) == sessions + 1
    assert alive(Session, Dtls, Engine) == before[1]
    # Emptied tables of CPython keep their size: a hundred bytes for each path, ufrag and
    # unanswered request there once was, some of the last for a session without a path.
    assert footprint(scene.endpoint) <= before[0] + 4096 + 384 * sessions
    tables = scene.endpoint._paths.owners, scene.endpoint._by_ufrag, scene.endpoint._entries
    assert not any((*tables, scene.endpoint._asked))


def _die(scene: Scene) -> None:
    """All clients vanish; 60 s pass."""
    for host in list(scene.network._hosts.values()):
        if host is not scene.host:
            scene.network.detach(host)
    scene.network._taps.clear()
    scene.wire.packets.clear()
    deadline = scene.world.now + 60.0
    scene.world.run_for(60.0)
    assert scene.world.now == deadline
    scene.wire.packets.clear()
    scene.host.events.clear()
    scene.endpoint.handle_timer(scene.world.now)


@pytest.mark.parametrize("leave", STATES, ids=lambda leave: leave.__name__)
def test_p4_abandoned_sessions_go(leave: Callable[[Scene], None]) -> None:
    """In each of 9 states: gone within 60 s, and every object with them (10 sessions)."""
    abandon(leave, 10)


@pytest.mark.threats
@pytest.mark.parametrize("leave", STATES, ids=lambda leave: leave.__name__)
def test_p4_abandoned_sessions_go_full(leave: Callable[[Scene], None]) -> None:
    """60 sessions in each state; `test_abandoned` has 10,000 with simpler callers."""
    abandon(leave, 60)


def test_p4_a_peer_that_never_lets_us_prove_its_path() -> None:
    """It checks on and on and ends DTLS well, but no request of ours is answered: 35 s."""
    scene = Scene()
    call = scene.call()
    _lose(scene, call, lambda data: data[:2] == b"\1\1")
    scene.world.run_for(34.0)
    assert call.alive
    scene.world.run_for(2.0)
    assert [e.reason for e in call.events(SessionClosed)] == [CloseReason.SETUP_TIMEOUT]
    assert len(scene.endpoint) == 0


def test_p4_the_states_are_what_they_say() -> None:
    """Each way to leave ends where its name says, or the row would prove nothing."""
    reached = {}
    for leave in STATES:
        scene = Scene(session={"ice_lite": False} if leave is leave_offered else {})
        leave(scene)
        entries = list(scene.endpoint._entries.values())
        if not entries:
            reached[leave] = ("closed", "closed", False, False)
            continue
        session = entries[0].session
        path = session._planes.transport.selected_path
        reached[leave] = (
            session.state.name.lower(),
            session.stats(scene.world.now).transport.dtls_state,
            bool(entries[0].paths),
            path is not None,
        )
    new, connecting = SessionState.NEW.name.lower(), SessionState.CONNECTING.name.lower()
    assert reached == {
        leave_offered: (new, "new", False, False),
        leave_answered: (connecting, "new", False, False),
        leave_validated: (connecting, "connecting", True, False),
        leave_proven_without_dtls: (connecting, "connecting", True, True),
        leave_in_the_handshake: (connecting, "connecting", True, True),
        leave_without_a_path: (connecting, "connected", True, False),
        leave_connected: ("connected", "connected", True, True),
        leave_talking: ("connected", "connected", True, True),
        leave_closing: ("closed", "closed", False, False),
    }
