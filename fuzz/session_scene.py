"""A call between two sessions over a network that does what the input says.

The input delivers, drops, repeats, swaps, cuts, corrupts and replays datagrams,
moves the client to another address, lets it restart ICE, lets time pass, sends audio,
opens, uses and closes data channels, puts anything into DTLS, and closes.
After every step the scene checks what no network may achieve: audio that was
not sent, or twice; messages that were not sent, or on a channel that is not open;
media to an address that is not the peer's; an end of the call that neither side, nor
consent, brought about.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest import mock

from fuzz.fake_dtls import FakeDtls
from fuzz.ops import Script
from fuzz.samples import NOW, UNIX_TIME, check, entropy, rtp_packet
from rtcproto import demux
from rtcproto.config import SessionConfig
from rtcproto.datachannel import DataChannelClosed, DataChannelMessage, DataChannelOpened
from rtcproto.datagram import MAX_DATAGRAM_OUT, Address, Datagram
from rtcproto.dtls import Dtls, DtlsState, Identity
from rtcproto.errors import UsageError
from rtcproto.events import AudioReceived, CloseReason, Connected, Event, SessionClosed
from rtcproto.sdp import Setup
from rtcproto.session import Session, transport
from tests.support.restart import restart

__all__ = ["session_ops"]

SERVER: Address = ("198.51.100.2", 6000)
CLIENT: Address = ("192.0.2.1", 5000)
MOVED: Address = ("192.0.2.1", 5001)
STRANGER: Address = ("203.0.113.66", 666)

# Copies kept for replay, and rounds in which a handshake is done without loss.
MAX_HISTORY = 64
MAX_ROUNDS = 40

FORGED = (
    check("frag"),
    rtp_packet(),
    bytes([22, 254, 253]) + bytes(8) + b"\x00\x0c\x02" + bytes(11),  # an odd hello
    bytes([21, 254, 253]) + bytes(8) + b"\x00\x02\x02\x28",  # a plaintext fatal alert
    bytes([23, 254, 253, 0, 1]) + bytes(6) + b"\x00\x20" + bytes(32),
    bytes([0x80, 203, 0, 1]) + bytes(4),
)

SIZES = (0, 5, 1200, 9000)

# Packets of SCTP with tags that cannot be right, but for INIT, which needs none.
_HEAD = b"\x13\x88\x13\x88"
SCTP = (
    _HEAD + bytes(8) + b"\x01\x00\x00\x14" + bytes(4) + b"\xff" * 12,
    _HEAD + bytes(8) + b"\x00\x07\x00\x14" + bytes(16),
    _HEAD + bytes(8) + b"\x06\x01\x00\x04",
    b"\x02",
)

# What may end a call once it is connected.
LAWFUL_ENDS = {CloseReason.LOCAL, CloseReason.PEER, CloseReason.CONSENT_EXPIRED}


@cache
def _identity() -> Identity:
    return Identity.generate(UNIX_TIME)


class _Side:
    """A session, what it heard and said, and what is on the way to it."""

    def __init__(self, name: str, address: Address, lite: bool, setup: Setup) -> None:
        config = SessionConfig(
            identity=_identity(),
            addresses=(address,),
            ice_lite=lite,
            setup=setup,
            entropy=entropy(name),
        )
        self.session = Session(config, UNIX_TIME, NOW)
        self.address = address
        self.incoming: list[tuple[bytes, Address]] = []
        self.sent: set[bytes] = set()
        self.heard: set[bytes] = set()
        self.said: set[tuple[int, str | bytes]] = set()
        self.channels: set[int] = set()
        self.connected = False
        self.closed: SessionClosed | None = None

    def username(self, peer: _Side) -> tuple[str, str]:
        """Both ufrags, as a check to this side names them: known to everybody on the way."""
        ours, theirs = (
            (side.session.local_description or "").partition("a=ice-ufrag:")[2].split("\r\n")[0]
            for side in (self, peer)
        )
        return ours, theirs

    @property
    def drained(self) -> bool:
        """Whether the session is over and has nothing to say any more."""
        return self.closed is not None


class _Scene:
    def __init__(self, setup: Setup, fake_dtls: bool) -> None:
        self.now = NOW
        self.server = _Side("server", SERVER, True, setup)
        self.client = _Side("client", CLIENT, False, Setup.ACTIVE)
        self.history: list[tuple[bytes, Address]] = []
        self.to_stranger = 0
        # Somebody put into DTLS what no association says: messages may be anything.
        self.forged = False
        offer = self.client.session.create_offer(self.now)
        # The server's and the client's.
        self.dtls: list[FakeDtls | Dtls] = []

        def make(*arguments: Any) -> FakeDtls | Dtls:
            self.dtls.append((FakeDtls if fake_dtls else Dtls)(*arguments))
            return self.dtls[-1]

        with mock.patch.object(transport, "Dtls", make):
            answer = self.server.session.accept_offer(offer, self.now)
            self.client.session.accept_answer(answer, self.now)
        self.settle()

    def sides(self) -> Iterator[tuple[_Side, _Side]]:
        """Each side and its peer."""
        yield self.server, self.client
        yield self.client, self.server

    def settle(self) -> None:
        """Drain both sides and check what came out."""
        for side, peer in self.sides():
            for event in side.session.next_events():
                assert not side.drained, "an event after the last one"
                if isinstance(event, Connected):
                    side.connected = True
                elif isinstance(event, AudioReceived):
                    assert event.payload in peer.sent, "audio that nobody sent"
                    assert event.payload not in side.heard, "audio heard twice"
                    side.heard.add(event.payload)
                elif isinstance(event, SessionClosed):
                    side.closed = event
                    _check_end(side, peer)
                else:
                    self._check_channels(side, peer, event)
            for datagram in side.session.datagrams_to_send():
                self._send(side, peer, datagram)
            assert side.closed is None or side.session.get_timer() is None

    def _check_channels(self, side: _Side, peer: _Side, event: Event) -> None:
        if isinstance(event, DataChannelOpened):
            assert event.channel not in side.channels, "opened twice"
            side.channels.add(event.channel)
        elif isinstance(event, DataChannelMessage):
            assert event.channel in side.channels, "a message without a channel"
            assert self.forged or (event.channel, event.data) in peer.said, "nobody said that"
        elif isinstance(event, DataChannelClosed):
            side.channels.discard(event.channel)

    def _send(self, side: _Side, peer: _Side, datagram: Datagram) -> None:
        assert 0 < len(datagram.data) <= MAX_DATAGRAM_OUT
        if demux.classify(datagram.data) in (demux.Kind.RTP, demux.Kind.RTCP):
            assert datagram.destination in (SERVER, CLIENT, MOVED), "media to a stranger"
        self.to_stranger += datagram.destination == STRANGER
        if datagram.destination == peer.address:
            peer.incoming.append((datagram.data, side.address))
        self.history.append((datagram.data, side.address))
        del self.history[:-MAX_HISTORY]

    def receive(self, side: _Side, data: bytes, source: Address) -> None:
        """Hand a datagram to a side."""
        side.session.receive_datagram(data, source, self.now, side.address)
        self.settle()

    def deliver(self, side: _Side) -> None:
        """The oldest datagram on its way to `side` arrives."""
        if side.incoming:
            self.receive(side, *side.incoming.pop(0))

    def wait(self, until: float) -> None:
        """Time passes, and both timers are served, early or late."""
        self.now = max(self.now, until)
        for side, _ in self.sides():
            side.session.handle_timer(self.now)
            deadline = side.session.get_timer()
            assert deadline is None or deadline > self.now
        self.settle()

    def wait_for_deadline(self) -> None:
        """Time passes to the next deadline of either side."""
        deadlines = [side.session.get_timer() for side, _ in self.sides()]
        due = [deadline for deadline in deadlines if deadline is not None]
        if due:
            self.wait(min(due))

    def calm(self) -> None:
        """Everything on its way arrives, deadlines are met, until nothing moves."""
        for _ in range(MAX_ROUNDS):
            while self.server.incoming or self.client.incoming:
                self.deliver(self.server)
                self.deliver(self.client)
            if self.server.connected and self.client.connected:
                return
            self.wait_for_deadline()

    def speak(self, side: _Side, number: int) -> None:
        """Send a packet that no other equals."""
        payload = b"\x78%s%d" % (side.address[0].encode(), number)
        try:
            side.session.send_audio(payload, self.now)
        except UsageError:
            return
        side.sent.add(payload)
        self.settle()

    def talk(self, side: _Side, number: int, script: Script) -> None:
        """One thing that an application does with data channels, or an attacker with DTLS."""
        kind = script.byte()
        session, now = side.session, self.now
        channel = script.byte() % 4
        try:
            match kind % 8:
                case 0:
                    limit = kind >> 4 if kind & 8 else None
                    session.open_channel("x", now, ordered=not channel & 1, max_retransmits=limit)
                case 1:
                    session.open_channel("agreed", now, negotiated=channel)
                case 2 | 3 | 4:
                    text = f"{side.address[0]} {number}" + "." * script.pick(SIZES)
                    message = text if kind & 8 else text.encode()
                    session.send_message(channel, message, now)
                    side.said.add((channel, message))
                case 5:
                    session.close_channel(channel, now)
                case 6:
                    session.set_buffered_amount_low_threshold(channel, script.byte() * 16)
                case _:
                    self._put_into_dtls(session, script)
        except UsageError:
            return
        self.settle()

    def _put_into_dtls(self, session: Session, script: Script) -> None:
        data = script.payload(SCTP)
        dtls = self.dtls[session is self.client.session]
        if dtls.state is DtlsState.CONNECTED and data:
            self.forged = True
            dtls.send_data(data, self.now)
            session.handle_timer(self.now)

    def restart(self) -> None:
        """The client wants new ICE credentials."""
        if not (self.client.session.closed or self.server.session.closed):
            server = self.server.session
            restart(self.client.session, lambda text: server.restart_ice(text, self.now), self.now)
            self.settle()


def _check_end(side: _Side, peer: _Side) -> None:
    """A call that was up ends only by its owner, its peer, or lost consent."""
    assert side.closed is not None
    assert not side.channels, "the session ended before its channels"
    if side.connected:
        assert side.closed.reason in LAWFUL_ENDS, side.closed
    if side.closed.reason is CloseReason.PEER:
        assert peer.closed is not None, "closed by a peer that did not close"


def session_ops(data: bytes) -> None:
    """Whatever the network does, nothing is heard, sent or ended that should not be."""
    script = Script(data)
    start = script.byte()
    # The corpus has one input in a few that does the real handshake.
    scene = _Scene(Setup.PASSIVE if start & 1 else Setup.ACTIVE, fake_dtls=start >> 4 != 15)
    if not start & 2:
        scene.calm()
        assert scene.server.connected, "a perfect network did not connect"
    for number, operation in enumerate(script.operations()):
        side, peer = list(scene.sides())[operation >> 7]
        _act(scene, side, peer, operation % 16, number, script)


def _act(
    scene: _Scene, side: _Side, peer: _Side, operation: int, number: int, script: Script
) -> None:
    queue = side.incoming
    match operation:
        case 0 | 1 | 2:
            scene.deliver(side)
        case 3:
            scene.calm()
        case 4:
            del queue[:1]
        case 5 if queue:
            scene.receive(side, *queue[0])
        case 6:
            queue[:2] = queue[:2][::-1]
        case 7 if queue:
            data, source = queue[0]
            at = script.byte() % len(data)
            changed = bytes([data[at] ^ (1 << script.byte() % 8)])
            if scene.server.connected and scene.client.connected:
                scene.receive(side, data[:at] + changed + data[at + 1 :], source)
        case 8:
            scene.wait_for_deadline()
        case 9:
            scene.wait(scene.now + script.pick((0.0, 0.02, 0.5, 3.0, 31.0, -5.0)))
        case 10 | 11:
            scene.speak(side, number)
        case 12:
            forged = script.payload((*FORGED, check(*side.username(peer))))
            source = script.pick((peer.address, STRANGER))
            heard = scene.to_stranger
            scene.receive(side, forged, source)
            assert scene.to_stranger == heard, "an answer to what is not authentic"
        case 13 if scene.history:
            data, source = script.pick(tuple(scene.history))
            scene.receive(side, data, script.pick((source, STRANGER)))
        case 14:
            scene.client.address = script.pick((CLIENT, MOVED))
        case 15:
            choice = script.byte()
            if choice > 200:
                side.session.close(scene.now)
                scene.settle()
            elif choice < 60:
                scene.restart()
            else:
                scene.talk(side, number, script)
        case _:
            pass
