"""ICE, DTLS, and the gate between them."""

from __future__ import annotations

from functools import cache

from rtcproto.config import SessionConfig
from rtcproto.datagram import Address, Datagram
from rtcproto.demux import Kind, classify
from rtcproto.dtls import DtlsCloseReason, HandshakeCompleted, Identity
from rtcproto.events import CloseReason
from rtcproto.ice import PathProven, PathSelected, PathValidated
from rtcproto.session.negotiation import Negotiation
from rtcproto.session.transport import TransportPlane, close_reason
from rtcproto.testing import World

NOW = 1000.0
CLIENT: Address = ("192.0.2.1", 5000)
SERVER: Address = ("198.51.100.2", 6000)
STRANGER: Address = ("203.0.113.66", 666)


@cache
def identity() -> Identity:
    """One certificate for all."""
    return Identity.generate(1_800_000_000.0)


class Call:
    """Two transport planes; datagrams move when the test says so."""

    def __init__(self) -> None:
        world = World(1)
        configs = [
            SessionConfig(
                identity=identity(), addresses=(a,), ice_lite=lite, entropy=world.entropy(a[0])
            )
            for a, lite in ((CLIENT, False), (SERVER, True))
        ]
        sides = [Negotiation(config, None, 1) for config in configs]
        self.client, self.server = (
            TransportPlane(config, side.credentials, NOW)
            for config, side in zip(configs, sides, strict=True)
        )
        self.at_server = sides[1].answer(sides[0].offer())
        self.at_client = sides[0].accept_answer(sides[1].local or "")

    def start(self) -> None:
        """Tell both planes what the other described."""
        self.server.start(self.at_server, NOW)
        self.client.start(self.at_client, NOW)

    def carry(self, now: float = NOW) -> list[Datagram]:
        """Everything arrives until nothing is sent any more; returns what was sent."""
        seen: list[Datagram] = []
        while True:
            here, there = self.client.datagrams_to_send(), self.server.datagrams_to_send()
            if not here and not there:
                return seen
            seen += here + there
            for datagram in here:
                give(self.server, datagram.data, CLIENT, now, SERVER)
            for datagram in there:
                give(self.client, datagram.data, SERVER, now, CLIENT)


def give(plane: TransportPlane, data: bytes, source: Address, now: float, local: Address) -> bool:
    """Hand a datagram to the right input."""
    if classify(data) is Kind.STUN:
        return plane.receive_stun(data, source, now, local)
    return plane.receive_dtls(data, (source, local), now)


def test_keys_and_a_proven_path_come_of_one_exchange() -> None:
    """Both planes report validated, proven, selected and the handshake, in a lawful order."""
    call = Call()
    call.start()
    call.client.handle_timer(NOW)
    call.carry()
    for plane, path in ((call.client, (SERVER, CLIENT)), (call.server, (CLIENT, SERVER))):
        kinds = [type(event) for event in plane.next_events()]
        assert kinds.index(PathValidated) < kinds.index(PathProven) < kinds.index(PathSelected)
        assert HandshakeCompleted in kinds
        assert plane.selected_path == path
        assert plane.is_proven(path)


def test_dtls_waits_for_a_valid_check() -> None:
    """D1, the gate: a DTLS packet from an unchecked address never reaches the machine."""
    call = Call()
    hello = bytes([22, 254, 253]) + bytes(40)
    assert not call.server.receive_dtls(hello, (CLIENT, SERVER), NOW)
    call.start()
    assert not call.server.receive_dtls(hello, (CLIENT, SERVER), NOW)
    rejected = call.server.stats(None, {"other": 3}).rejected
    assert rejected["dtls_early"] == 1
    assert rejected["dtls_unvalidated_path"] == 1
    assert rejected["other"] == 3
    assert call.server.datagrams_to_send() == []
    call.client.handle_timer(NOW)
    call.carry()
    assert not call.server.receive_dtls(hello, (STRANGER, SERVER), NOW)
    assert call.server.stats(None, {}).rejected["dtls_unvalidated_path"] == 2


def test_the_first_flight_leaves_behind_the_first_answer() -> None:
    """The answerer is the DTLS client: its hello follows the STUN answer to the first check."""
    call = Call()
    call.start()
    call.client.handle_timer(NOW)
    (check,) = call.client.datagrams_to_send()
    assert give(call.server, check.data, CLIENT, NOW, SERVER)
    kinds = [classify(datagram.data) for datagram in call.server.datagrams_to_send()]
    assert kinds[0] is Kind.STUN
    assert kinds[-1] is Kind.DTLS


def test_a_check_before_the_description_is_not_lost() -> None:
    """The peer may be faster than signalling: DTLS then starts with the description."""
    call = Call()
    call.client.start(call.at_client, NOW)
    call.client.handle_timer(NOW)
    call.carry()
    assert call.server.is_validated((CLIENT, SERVER))
    assert call.server.stats(None, {}).dtls_state == "new"
    call.server.start(call.at_server, NOW)
    assert any(classify(d.data) is Kind.DTLS for d in call.server.datagrams_to_send())


def test_stats_name_state_and_role() -> None:
    """In webrtc-stats' words, before and after."""
    call = Call()
    before = call.server.stats(None, {})
    assert (before.dtls_state, before.dtls_role) == ("new", None)
    call.start()
    call.client.handle_timer(NOW)
    call.carry()
    after = call.server.stats(None, {})
    assert (after.dtls_state, after.dtls_role) == ("connected", "client")
    assert after.requests_received >= 1
    assert after.responses_sent >= 1


def test_closing_says_goodbye_and_ends_all_deadlines() -> None:
    """close_notify leaves on the selected path; nothing is due any more."""
    call = Call()
    call.start()
    call.client.handle_timer(NOW)
    call.carry()
    call.client.close(NOW)
    farewell = call.client.datagrams_to_send()
    assert [classify(datagram.data) for datagram in farewell] == [Kind.DTLS]
    assert farewell[0].destination == SERVER
    assert call.client.get_timer() is None


def test_every_end_of_dtls_has_a_reason() -> None:
    """The table is total."""
    assert all(isinstance(close_reason(reason), CloseReason) for reason in DtlsCloseReason)
    assert close_reason(DtlsCloseReason.PEER_CLOSED) is CloseReason.PEER
    assert close_reason(DtlsCloseReason.PEER_ERROR) is CloseReason.PEER_ERROR
