"""Whole calls to attack: clients, an endpoint, and a relay between them if wanted.

A `Scene` is what an operator runs, on virtual time: one endpoint at `SERVER`,
clients at 192.0.2.1, and with `relayed=True` the real relay core at `PUBLIC`, the
only address that clients know. Everything sent passes `scene.wire`, which keeps it.
The attacker of these tests may send any bytes from any address (`Network.send`),
read what is on the wire, and knows both ufrags; `Insider` also has the passwords.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

from rtcproto import stun
from rtcproto.config import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.datagram import Address, Datagram
from rtcproto.demux import Kind, classify
from rtcproto.dtls import Identity
from rtcproto.endpoint import Endpoint, SessionId
from rtcproto.events import AudioReceived, Connected
from rtcproto.ice import Credentials
from rtcproto.relay import RelayConfig, RelayCore
from rtcproto.routing import HEADER_SIZE, EncipheredTokenCodec, Entry, StaticDirectory
from rtcproto.session import Session
from rtcproto.stun import Attribute, Class, Method, RequestTemplate, ShortTermKey
from rtcproto.testing import Capture, Host, LinkConfig, Network, World
from rtcproto.testing.session_pair import UNIX_TIME

__all__ = [
    "CODEC",
    "INSIDE",
    "OPUS",
    "PUBLIC",
    "ROUTING_KEY",
    "SERVER",
    "Call",
    "Insider",
    "RelayHost",
    "Scene",
    "attackers",
    "forge",
    "forgeries",
    "identity",
    "is_media",
]

SERVER: Address = ("198.51.100.2", 6000)
PUBLIC: Address = ("203.0.113.10", 3478)
INSIDE: Address = ("10.0.0.100", 4000)

ROUTING_KEY = bytes(range(200, 216))
CODEC = EncipheredTokenCodec({"a": ROUTING_KEY}, "a")
CLUSTER, OWNER, EPOCH = 0, 1, 0

# 20 ms of CELT; told apart by what follows.
OPUS = b"\xf8"


@cache
def identity(name: str) -> Identity:
    """One certificate per name: making a key costs more than a handshake."""
    del name
    return Identity.generate(UNIX_TIME)


def attackers(number: int) -> list[Address]:
    """Addresses of nobody in the scene."""
    return [(f"203.0.113.{100 + n % 100}", 1000 + n) for n in range(number)]


def is_media(data: bytes) -> bool:
    """Whether a datagram is SRTP or SRTCP by its first bytes."""
    return classify(data) in (Kind.RTP, Kind.RTCP)


class RelayHost:
    """A relay core as a machine with two addresses, to put on a network."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process: the same settings and no memory."""
        directory = StaticDirectory({(CLUSTER, OWNER): Entry(SERVER, EPOCH)})
        config = RelayConfig(publics=frozenset((PUBLIC,)), own=frozenset((INSIDE,)))
        self.core = RelayCore(config, CODEC, directory)

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> None:
        """Outside or inside, by the address it came in on."""
        if local == PUBLIC:
            self.core.receive_outside(data, source, PUBLIC, now)
        else:
            self.core.receive_inside(data, source, now)

    def handle_timer(self, now: float) -> None:
        """Pass the tick on."""
        self.core.handle_timer(now)

    def get_timer(self) -> float | None:
        """The core's deadline."""
        return self.core.get_timer()

    def datagrams_to_send(self) -> list[Datagram]:
        """What the core forwards; what has no public source leaves from inside."""
        return [
            Datagram(datagram.data, datagram.destination, datagram.source or INSIDE)
            for datagram in self.core.datagrams_to_send()
        ]

    def next_events(self) -> Sequence[Any]:
        """What happened to flows."""
        return self.core.next_events()


class Call:
    """One call of a scene: the endpoint's session and the client's host."""

    def __init__(self, scene: Scene, session_id: SessionId, client: Host[Session]) -> None:
        self.scene = scene
        self.id = session_id
        self.client = client
        self._numbers = count()

    @property
    def session(self) -> Session:
        """The endpoint's session."""
        return self.scene.endpoint._entries[self.id].session

    @property
    def alive(self) -> bool:
        """Whether the endpoint still has it."""
        return self.id in self.scene.endpoint._entries

    def events(self, kind: type) -> list[Any]:
        """The endpoint's events of this call and type."""
        return [
            event
            for _, (who, event) in self.scene.host.events
            if who == self.id and type(event) is kind
        ]

    def payload(self) -> bytes:
        """The next numbered Opus packet."""
        return OPUS + next(self._numbers).to_bytes(4, "big") + b"plain audio of this very call"

    def talk(self, packets: int, interval: float = 0.02) -> list[bytes]:
        """Let the client send; returns the payloads."""
        sent = []
        for _ in range(packets):
            sent.append(self.payload())
            self.client.machine.send_audio(sent[-1], self.scene.world.now)
            self.scene.world.run_for(interval)
        return sent

    def heard(self) -> list[bytes]:
        """What the endpoint heard of the client."""
        return [event.payload for event in self.events(AudioReceived)]

    def insider(self) -> Insider:
        """What a peer with this call's passwords can make up."""
        return Insider(self.session, self.client.machine)


class Scene:
    """See the module's docstring. `session` and `fields` are settings of the endpoint."""

    def __init__(
        self,
        seed: int = 1,
        *,
        relayed: bool = False,
        delay: float = 0.01,
        session: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        self.world = World(seed)
        self.network = Network(self.world, LinkConfig(delay=delay))
        self.wire = Capture()
        self.network.tap(self.wire)
        self.relayed = relayed
        settings: dict[str, Any] = {
            "identity": identity("server"),
            "addresses": (PUBLIC if relayed else SERVER,),
            "entropy": self.world.entropy("endpoint"),
            **(session or {}),
        }
        if relayed:
            fields.setdefault("relays", ("10.0.0.0/24",))
            fields.setdefault(
                "routing", RoutingConfig(codec=CODEC, cluster=CLUSTER, owner=OWNER, epoch=EPOCH)
            )
        config = EndpointConfig(session=SessionConfig(**settings), **fields)
        self.endpoint = Endpoint(config, UNIX_TIME, self.world.now)
        mtu = 1200 + HEADER_SIZE
        self.host = self.network.attach(self.endpoint, SERVER, mtu=mtu)
        self.relay: Host[RelayHost] | None = None
        if relayed:
            self.relay = self.network.attach(RelayHost(), PUBLIC, INSIDE, mtu=mtu, multihomed=True)
        self._ports = count(5000)

    @property
    def door(self) -> Address:
        """Where clients, and attackers, send to."""
        return PUBLIC if self.relayed else SERVER

    def client(self, **fields: Any) -> Host[Session]:
        """A full client at a port of its own."""
        address = ("192.0.2.1", next(self._ports))
        settings: dict[str, Any] = {
            "identity": identity("client"),
            "addresses": (address,),
            "ice_lite": False,
            "entropy": self.world.entropy(f"client {address[1]}"),
            **fields,
        }
        session = Session(SessionConfig(**settings), UNIX_TIME, self.world.now)
        return self.network.attach(session, address)

    def call(self, **fields: Any) -> Call:
        """A described call."""
        client, now = self.client(**fields), self.world.now
        session_id, answer = self.endpoint.accept_offer(client.machine.create_offer(now), now)
        client.machine.accept_answer(answer, now)
        return Call(self, session_id, client)

    def connect(self, **fields: Any) -> Call:
        """A connected call."""
        call = self.call(**fields)
        self.wait(call)
        return call

    def wait(self, *calls: Call, limit: float = 35.0) -> float:
        """Run until all are connected on both sides; the virtual seconds that took."""
        return self.world.run_until(
            lambda: all(c.events(Connected) and c.client.events_of(Connected) for c in calls),
            limit,
        )

    def attack(self, data: bytes, source: Address) -> None:
        """Send bytes from any address to the door, at this instant."""
        self.network.send(data, source, self.door)

    def sent_to(self, *addresses: Address) -> list[bytes]:
        """What was sent to some addresses so far."""
        wanted = frozenset(addresses)
        return [p.data for _, p in self.wire.packets if p.destination in wanted]


class Insider:
    """Messages that only the two ends of a call can make, for peers that are not honest."""

    def __init__(self, server: Session, client: Session) -> None:
        self.server = _credentials(server)
        self.client = _credentials(client)
        self._transactions = count(1 << 60)

    def check(self, *, nominate: bool = True, password: str | None = None) -> bytes:
        """A fresh check of the client's at the highest priority."""
        check = RequestTemplate(
            f"{self.server.ufrag}:{self.client.ufrag}",
            ShortTermKey(self.server.pwd if password is None else password),
            _strongest(nominate=nominate),
        )
        return check.build(next(self._transactions).to_bytes(12, "big"))


def _credentials(session: Session) -> Credentials:
    return session._negotiation.credentials


def forgeries(call: Call) -> dict[str, bytes]:
    """One datagram of each kind, as good as an observer of this call can make it."""
    audio = [p.data for _, p in call.scene.wire.packets if classify(p.data) is Kind.RTP]
    insider = call.insider()
    return forge(
        insider.server.ufrag,
        insider.client.ufrag,
        audio[-1][:12] if audio else b"\x80\x6f" + bytes(10),
    )


def forge(server_ufrag: str, client_ufrag: str, rtp_header: bytes) -> dict[str, bytes]:
    """One datagram to the server of each kind, as good as it gets without a key.

    The first six are the kinds of threat R7; all carry what an observer of the call
    can know: ufrags, SSRC, sequence numbers (in the header of the newest audio packet).
    """
    sequence = int.from_bytes(rtp_header[2:4], "big") + 1 & 0xFFFF
    record = b"\xfe\xfd"
    check = RequestTemplate(
        f"{server_ufrag}:{client_ufrag}",
        ShortTermKey("not the password of this"),
        _strongest(nominate=True),
    )
    return {
        "check": check.build((1 << 60).to_bytes(12, "big")),
        "answer": stun.build(
            Method.BINDING, Class.SUCCESS, bytes(12), [(Attribute.XOR_MAPPED_ADDRESS, SERVER)]
        ),
        "alert": b"\x15" + record + bytes(8) + b"\x00\x02\x02\x28",
        "data": b"\x17" + record + b"\x00\x01" + bytes(5) + b"\xff\x00\x30" + bytes(48),
        "audio": rtp_header[:2] + sequence.to_bytes(2, "big") + rtp_header[4:] + bytes(80),
        "report": b"\x81\xc9\x00\x07"
        + rtp_header[8:12]
        + bytes(24)
        + b"\x80\x00\x00\x09"
        + bytes(16),
        "bye": b"\x81\xcb\x00\x01" + rtp_header[8:12] + b"\x80\x00\x00\x0a" + bytes(16),
        "junk": b"\x40" + bytes(100),
    }


def _strongest(*, nominate: bool) -> list[tuple[int, stun.AttributeValue]]:
    """What makes a check win over all others."""
    attributes: list[tuple[int, stun.AttributeValue]] = [
        (Attribute.PRIORITY, 0x7FFFFFFF),
        (Attribute.ICE_CONTROLLING, (1 << 64) - 1),
    ]
    return [*attributes, (Attribute.USE_CANDIDATE, True)] if nominate else attributes
