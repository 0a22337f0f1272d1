"""Sessions and endpoints satisfy the Sans-IO contract in every stage of a call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from rtcproto import stun
from rtcproto.config import EndpointConfig, SessionConfig
from rtcproto.datagram import Address
from rtcproto.demux import Kind, classify
from rtcproto.dtls import Identity
from rtcproto.endpoint import Endpoint
from rtcproto.session import Session
from rtcproto.testing import FIRST_ADDRESS, SECOND_ADDRESS, Capture, SessionPair, World
from rtcproto.testing.session_pair import UNIX_TIME
from tests.support.contract import NOW, MachineContract, Subject

# What everybody can make up, on top of random bytes.
FORGED = [
    stun.build(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        bytes(12),
        [(stun.Attribute.USERNAME, "nobody:none"), (stun.Attribute.USE_CANDIDATE, True)],
        stun.ShortTermKey("not the password of anybody"),
    ),
    stun.build(stun.Method.BINDING, stun.Class.SUCCESS, bytes(12), []),
    bytes([22, 254, 253]) + bytes(8) + b"\x00\x0c\x02" + bytes(11),
    bytes([21, 254, 253]) + bytes(8) + b"\x00\x02\x02\x28",
    bytes([0x80, 111, 0, 1]) + bytes(60),
    bytes([0x80, 200, 0, 6]) + bytes(40),
]


@cache
def identity() -> Identity:
    """One certificate for all."""
    return Identity.generate(UNIX_TIME)


def call() -> tuple[SessionPair, Capture]:
    """A described pair and what passes between its sides."""
    fields = {"identity": identity()}
    pair = SessionPair(World(3), client=fields, server=fields)
    capture = Capture()
    pair.network.tap(capture)
    assert pair.now == NOW
    return pair, capture


def seen_by(capture: Capture, address: Address) -> list[bytes]:
    """What was sent to an address."""
    return [packet.data for _, packet in capture.packets if packet.destination == address]


def live(capture: Capture, address: Address) -> tuple[bytes, ...]:
    """Genuine datagrams to an address, to be repeated and cut, and those of another call.

    Of this call all but the handshake: signatures differ in length from one to
    the next, and hypothesis wants to cut the same lengths each time.
    """
    here = [data for data in seen_by(capture, address) if classify(data) is not Kind.DTLS]
    return (*here, *conversation(address))


@cache
def conversation(address: Address) -> tuple[bytes, ...]:
    """The datagrams to one side of an earlier call: well-formed, and not for this one."""
    pair, capture = call()
    pair.connect()
    pair.talk(2)
    pair.client.close(pair.now)
    pair.run_for(1.0)
    return tuple(seen_by(capture, address))


class TestNewServer(MachineContract, examples=8):
    """A server that has answered and waits for the first check."""

    def subject(self) -> Subject:
        """Nothing was received yet."""
        pair, _ = call()
        pair.describe()
        stale = conversation(SECOND_ADDRESS)
        return subject(pair.server, pair.server.close, FIRST_ADDRESS, stale)


class TestNewClient(MachineContract, examples=8):
    """A client that has begun to check."""

    def subject(self) -> Subject:
        """Nothing was received yet."""
        pair, _ = call()
        pair.describe()
        stale = conversation(FIRST_ADDRESS)
        return subject(pair.client, pair.client.close, SECOND_ADDRESS, stale)


class TestConnectedServer(MachineContract, examples=8):
    """A server in a call, attacked from the very address of its peer."""

    def subject(self) -> Subject:
        """Both sides are connected."""
        pair, capture = call()
        pair.connect()
        pair.talk(2, interval=0.0)
        pair.run_for(0.0)
        samples = live(capture, SECOND_ADDRESS)
        return subject(pair.server, pair.server.close, FIRST_ADDRESS, samples)


class TestConnectedClient(MachineContract, examples=8):
    """A client in a call."""

    def subject(self) -> Subject:
        """Both sides are connected."""
        pair, capture = call()
        pair.connect()
        pair.talk(2, interval=0.0)
        pair.run_for(0.0)
        samples = live(capture, FIRST_ADDRESS)
        return subject(pair.client, pair.client.close, SECOND_ADDRESS, samples)


class TestUndescribed(MachineContract):
    """A session that nobody has told anything."""

    def subject(self) -> Subject:
        """Fresh."""
        config = SessionConfig(identity=identity(), entropy=World(1).entropy("x"))
        session = Session(config, UNIX_TIME, NOW)
        return subject(session, session.close, FIRST_ADDRESS, conversation(SECOND_ADDRESS))


class TestEndpoint(MachineContract, examples=8):
    """An endpoint with two calls that nobody has checked yet."""

    def subject(self) -> Subject:
        """Behind relays in 192.0.2.0/24, so that proxy headers are read."""
        config = SessionConfig(
            identity=identity(), addresses=(SECOND_ADDRESS,), entropy=World(1).entropy("e")
        )
        endpoint = Endpoint(
            EndpointConfig(session=config, relays=("192.0.2.0/24",)), UNIX_TIME, NOW
        )
        for _ in range(2):
            pair, _ = call()
            endpoint.accept_offer(pair.client.create_offer(NOW), NOW)
        header = bytes.fromhex("56ec") + bytes(10) + b"\xff\xff\x0a\0\0\1" + bytes(16) + b"\1\1\1\1"
        stale = [*conversation(SECOND_ADDRESS), *(header + each for each in FORGED)]
        return subject(endpoint, endpoint.close, FIRST_ADDRESS, tuple(stale))


def subject(
    machine: Session | Endpoint,
    close: Callable[[float], None],
    source: Address,
    samples: tuple[bytes, ...],
) -> Subject:
    """What the contract needs to know; `samples` are genuine or once were."""
    return Subject(machine=machine, samples=samples, close=close, forged=FORGED, source=source)
