"""An endpoint with a few sessions, behind relays that it believes and others that it does not.

Peers know their passwords but never finish DTLS, so whatever the input says:
nothing goes where no valid check came from, no more than the handshake budget
goes to an address that has proven nothing, and nobody is ever connected.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from fuzz.ops import Script
from fuzz.samples import NOW, OFFER, PASSWORD, TOKEN_CODEC, UNIX_TIME, check, entropy, rtp_packet
from rtcproto import stun
from rtcproto.config import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.datagram import Address, Datagram
from rtcproto.dtls import Identity
from rtcproto.endpoint import Endpoint, SessionId
from rtcproto.errors import CapacityExceeded, UsageError
from rtcproto.events import CloseReason, Connected, SessionClosed
from rtcproto.routing import HEADER_SIZE, encode_header

__all__ = ["endpoint_ops"]

PUBLIC: Address = ("203.0.113.10", 3478)
BOUND: Address = ("10.0.5.5", 9000)
CLIENTS: tuple[Address, ...] = (("192.0.2.1", 5000), ("192.0.2.1", 5001), ("2001:db8::5", 7000))
# Two relays that are believed, one that is not, and no relay.
RELAYS: tuple[Address, ...] = (("10.0.0.1", 7000), ("10.0.0.2", 7000))
HOPS: tuple[Address | None, ...] = (*RELAYS, ("172.16.0.1", 7), None)

MAX_SESSIONS = 3

# Threat rule 9: what may go to an address while nothing is proven, bytes of DTLS.
HANDSHAKE_BUDGET = 16_384

FORGED = (
    rtp_packet(),
    stun.build(stun.Method.BINDING, stun.Class.SUCCESS, bytes(12), []),
    stun.build(stun.Method.BINDING, stun.Class.INDICATION, bytes(12), []),
    check("nobody"),
    bytes([22, 254, 253]) + bytes(40),
    bytes([0x80, 203, 0, 1]) + bytes(4),
)


@cache
def _identity() -> Identity:
    return Identity.generate(UNIX_TIME)


class _Scene:
    def __init__(self) -> None:
        self.now = NOW
        session = SessionConfig(
            identity=_identity(), addresses=(PUBLIC,), entropy=entropy("endpoint")
        )
        self.endpoint = Endpoint(
            EndpointConfig(
                session=session,
                routing=RoutingConfig(codec=TOKEN_CODEC, cluster=0, owner=1, epoch=0),
                relays=("10.0.0.0/24",),
                max_sessions=MAX_SESSIONS,
            ),
            UNIX_TIME,
            NOW,
        )
        # (id, server ufrag, key of its password), oldest first.
        self.sessions: list[tuple[SessionId, str, stun.ShortTermKey]] = []
        # Where a valid check came from, as the socket sees it, and what went there and came.
        self.checked: set[Address] = set()
        self.bytes_out: Counter[Address] = Counter()
        self.checks_in: Counter[Address] = Counter()
        # The endpoint's own requests: (where it went, proxy header, transaction id).
        self.requests: list[tuple[Address, bytes, bytes]] = []
        self.transactions = 0
        self.ended: set[SessionId] = set()

    def open(self) -> None:
        """One more session, or none over the limit."""
        try:
            session_id, answer = self.endpoint.accept_offer(str(OFFER), self.now)
        except CapacityExceeded:
            assert len(self.endpoint) >= MAX_SESSIONS
            return
        found = re.search(r"a=ice-ufrag:(\S+).*a=ice-pwd:(\S+)", answer, re.DOTALL)
        assert found, answer
        self.sessions.append((session_id, found[1], stun.ShortTermKey(found[2])))

    def receive(self, data: bytes, client: Address, hop: Address | None) -> list[Datagram]:
        """What the endpoint says to a datagram of `client` that came through `hop`."""
        if hop is None:
            self.endpoint.receive_datagram(data, client, self.now, BOUND)
        else:
            wrapped = encode_header(client, PUBLIC) + data
            self.endpoint.receive_datagram(wrapped, hop, self.now, BOUND)
        return self.drain()

    def drain(self) -> list[Datagram]:
        """Check and return what goes out."""
        for session_id, event in self.endpoint.next_events():
            assert not isinstance(event, Connected)
            if isinstance(event, SessionClosed):
                self.ended.add(session_id)
                assert event.reason is not CloseReason.INTERNAL_ERROR, "an exception was fenced"
        out = self.endpoint.datagrams_to_send()
        for datagram in out:
            assert datagram.destination in self.checked, "sent where nobody asked"
            self.bytes_out[datagram.destination] += len(datagram.data)
            self._note_request(datagram)
        for address, size in self.bytes_out.items():
            allowance = 2 * self.checks_in[address] + HANDSHAKE_BUDGET * (self.opened + 1)
            assert size <= allowance + 4096, "amplified"
        return out

    @property
    def opened(self) -> int:
        """Sessions there were; each has a budget of its own."""
        return len(self.sessions)

    def _note_request(self, datagram: Datagram) -> None:
        data, header = datagram.data, b""
        if data[:2] == b"\x56\xec":
            data, header = data[HEADER_SIZE:], data[:HEADER_SIZE]
        if data[:2] == b"\x00\x01":
            self.requests.append((datagram.destination, header, data[8:20]))

    def forged_check(self) -> bytes:
        """A check that names the newest session, by somebody who knows no password."""
        return check(self.sessions[-1][1] if self.sessions else "nobody", "offr")

    def check(self, session: int, client: Address, hop: Address | None) -> None:
        """A valid check of a session's peer."""
        if not self.sessions:
            return
        _, ufrag, key = self.sessions[session % len(self.sessions)]
        self.transactions += 1
        data = stun.build(
            stun.Method.BINDING,
            stun.Class.REQUEST,
            self.transactions.to_bytes(12, "big"),
            [
                (stun.Attribute.USERNAME, f"{ufrag}:offr"),
                (stun.Attribute.PRIORITY, 1),
                (stun.Attribute.ICE_CONTROLLING, 1),
                (stun.Attribute.USE_CANDIDATE, True),
            ],
            key,
        )
        address = client if hop is None else hop
        if hop is None or hop in RELAYS:
            self.checked.add(address)
        self.checks_in[address] += len(data) + HEADER_SIZE
        self.receive(data, client, hop)

    def answer(self, number: int) -> None:
        """A valid answer to one of the endpoint's own requests."""
        if not self.requests:
            return
        destination, header, transaction = self.requests[number % len(self.requests)]
        data = stun.build(
            stun.Method.BINDING,
            stun.Class.SUCCESS,
            transaction,
            [(stun.Attribute.XOR_MAPPED_ADDRESS, PUBLIC)],
            stun.ShortTermKey(PASSWORD),
        )
        self.checks_in[destination] += 3000  # consent and media paths have no byte budget
        self.endpoint.receive_datagram(header + data, destination, self.now, BOUND)
        self.drain()

    def wait(self, seconds: float) -> None:
        """Time passes and the timer is served."""
        self.now += seconds
        self.endpoint.handle_timer(self.now)
        deadline = self.endpoint.get_timer()
        assert deadline is None or deadline > self.now
        self.drain()


def endpoint_ops(data: bytes) -> None:
    """Sessions open and close, checks come by many ways; see the module's docstring."""
    script = Script(data)
    scene = _Scene()
    scene.open()
    for operation in script.operations():
        match operation % 8:
            case 0 | 1:
                forged = script.payload((*FORGED, scene.forged_check()))
                out = scene.receive(forged, script.pick(CLIENTS), script.pick(HOPS))
                assert out == [], "an answer to what is not authentic"
            case 2 | 3:
                scene.check(script.byte(), script.pick(CLIENTS), script.pick(HOPS))
            case 4:
                scene.answer(script.byte())
            case 5:
                scene.wait(script.pick((0.0, 0.02, 0.1, 1.0, 5.0, 16.0, 31.0)))
            case 6:
                scene.open()
            case _:
                _act_as_owner(scene, script.byte())
        assert len(scene.endpoint) <= MAX_SESSIONS
    scene.wait(100.0)
    scene.wait(100.0)
    assert len(scene.endpoint) == 0, "a session without an end"


def _act_as_owner(scene: _Scene, choice: int) -> None:
    """Audio on a call that is not connected is refused, or goes nowhere; closing works."""
    if not scene.sessions:
        return
    session_id = scene.sessions[(choice >> 1) % len(scene.sessions)][0]
    if choice & 1:
        scene.endpoint.close_session(session_id, scene.now)
    else:
        try:
            scene.endpoint.send_audio(session_id, b"\x78\x00", scene.now)
        except UsageError:
            return
        # For a call that has just ended it goes nowhere instead: `drain` sees to that.
        assert session_id in scene.ended, "audio before the keys"
    scene.drain()
