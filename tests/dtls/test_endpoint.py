"""The DTLS association on virtual time: handshakes, deadlines, data, the end."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.dtls import (
    DataReceived,
    Dtls,
    DtlsClosed,
    DtlsCloseReason,
    DtlsState,
    Fingerprint,
    HandshakeCompleted,
    Role,
    handshaker,
)
from rtcproto.dtls.endpoint import MAX_FAILED
from rtcproto.dtls.record import parse_records
from rtcproto.errors import UsageError
from rtcproto.testing.machine import PacketAdapter
from tests.support.contract import NOW, PEER, MachineContract, Subject
from tests.support.dtls import (
    DtlsPair,
    client_hello,
    config,
    fragment_record,
    handshake_record,
    identity,
    lossy,
    plain_record,
    post_quantum_hello,
)


def server(now: float = 0.0) -> Dtls:
    """A started server that expects the identity "client"."""
    dtls = Dtls(config("server"), Role.SERVER, [identity("client").fingerprint], now)
    dtls.start(now)
    return dtls


# -- The handshake


def test_a_handshake() -> None:
    """Two round trips, two flights each, the same keys, no timer left."""
    pair = DtlsPair(config("client", profiles=(1, 7)), config("server", profiles=(7, 1)))
    pair.connect()
    client, server = pair.completed(pair.client), pair.completed(pair.server)
    assert (client.is_client, server.is_client) == (True, False)
    assert client.keying_material == server.keying_material
    assert client.profile == server.profile == 7  # the server's first
    assert client.cipher == "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert client.version == 0xFEFD
    assert [len(pair.sent[end]) for end in (pair.client, pair.server)] == [2, 2]
    assert pair.client.get_timer() is pair.server.get_timer() is None
    assert pair.now == pytest.approx(100.04)


def test_every_packet_fits_the_mtu() -> None:
    """Flights are cut at record borders, and records at the MTU."""
    for mtu in (256, 400, 1200):
        pair = DtlsPair(config("client", mtu=mtu), config("server", mtu=mtu))
        pair.connect()
        sizes = [len(packet) for end in pair.sent.values() for _, packet in end]
        assert max(sizes) <= mtu
        assert len(sizes) > 4 or mtu == 1200


@pytest.mark.parametrize("drop", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_a_bad_network(drop: float, seed: int) -> None:
    """Loss up to one in two, duplicates and reordering: keys on both ends in the deadline."""
    pair = DtlsPair(fate=lossy(seed + 200, drop=drop))
    pair.start()
    pair.run()
    client, server = pair.completed(pair.client), pair.completed(pair.server)
    assert client.keying_material == server.keying_material


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_network_with_small_packets(seed: int) -> None:
    """The same with every flight in many packets."""
    pair = DtlsPair(
        config("client", mtu=256), config("server", mtu=256), fate=lossy(seed, drop=0.2)
    )
    pair.start()
    pair.run()
    assert pair.connected


@pytest.mark.parametrize("lost", range(4))
def test_one_lost_packet_costs_100_ms(lost: int) -> None:
    """Whichever packet of the handshake is lost, it is 100 ms later, not 1 s."""
    count = iter(range(1000))

    def fate(_packet: bytes) -> Sequence[float]:
        return () if next(count) == lost else (0.01,)

    pair = DtlsPair(fate=fate)
    pair.connect()
    assert pair.now - 100.0 < 0.04 + 0.1 + 0.021


def test_the_server_may_start_later() -> None:
    """Packets before `start` are dropped and counted; the client's repeat is answered."""
    pair = DtlsPair()
    pair.client.start(pair.now)
    pair.collect()
    pair.run(0.05)
    assert pair.server.stats().dropped == {"wrong_state": 1}
    pair.server.start(pair.now)
    pair.run(1.0)
    assert pair.connected


def test_data_before_the_handshake_is_known_to_be_over() -> None:
    """Data that overtakes the final flight waits for it."""
    pair = DtlsPair()
    pair.start()
    while pair.server.state is not DtlsState.CONNECTED:
        pair.step(math.inf)
    (final,) = [packet for _, packet in pair.sent[pair.server][-1:]]
    pair.server.send_data(b"early", pair.now)
    (early,) = pair.server.packets_to_send()
    pair.client.receive_packet(early, pair.now)
    assert pair.client.next_events() == []
    pair.client.receive_packet(final, pair.now)
    events = pair.client.next_events()
    assert isinstance(events[0], HandshakeCompleted)
    assert events[1:] == [DataReceived(data=b"early")]


def test_data_in_the_same_packet_as_finished() -> None:
    """Records share packets: Finished and the first data too."""
    pair = DtlsPair()
    pair.start()
    while pair.server.state is not DtlsState.CONNECTED:
        pair.step(math.inf)
    pair.server.send_data(b"early", pair.now)
    (early,) = pair.server.packets_to_send()
    pair.client.receive_packet(pair.sent[pair.server][-1][1] + early, pair.now)
    assert pair.client.next_events()[1:] == [DataReceived(data=b"early")]


def test_without_srtp() -> None:
    """With no profiles configured the association is for data only."""
    pair = DtlsPair(config("client", profiles=()), config("server", profiles=()))
    pair.connect()
    assert pair.completed(pair.client).profile is None
    assert pair.completed(pair.client).keying_material == b""


def test_no_common_profile() -> None:
    """A hello without a profile of ours is dropped; the closing event tells why."""
    pair = DtlsPair(config("client", profiles=(1,)), config("server", profiles=(7,)))
    pair.start()
    pair.run()
    assert pair.events[pair.server] == [
        DtlsClosed(
            reason=DtlsCloseReason.TIMEOUT,
            detail="last message refused: no SRTP protection profile of ours",
        )
    ]


@pytest.mark.parametrize("role", list(Role))
def test_the_certificate_is_compared_again_at_the_end(
    role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if a wrong certificate got to OpenSSL, there are no keys, and no final flight."""
    monkeypatch.setattr(handshaker, "vet", lambda *_args: None)
    wrong = [identity("other").fingerprint]
    pair = DtlsPair(
        client_expects=wrong if role is Role.CLIENT else None,
        server_expects=wrong if role is Role.SERVER else None,
    )
    end, peer = pair.client, pair.server
    if role is Role.SERVER:
        end, peer = peer, end
    pair.start()
    pair.run()
    (event,) = pair.events[end]
    assert isinstance(event, DtlsClosed)
    assert event.reason is DtlsCloseReason.FINGERPRINT_MISMATCH
    if role is Role.SERVER:
        assert not any(isinstance(event, HandshakeCompleted) for event in pair.events[peer])


def test_a_handshake_without_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should OpenSSL end without a profile where one is required, there are no keys."""
    monkeypatch.setattr(handshaker, "vet", lambda *_args: None)
    pair = DtlsPair(config("client", profiles=(1,)), config("server", profiles=(7,)))
    pair.start()
    pair.run()
    assert pair.events[pair.server] == [DtlsClosed(reason=DtlsCloseReason.NO_SRTP_PROFILE)]


def test_much_data_before_the_last_records() -> None:
    """Finished and 12 KiB of data, and only then ChangeCipherSpec: nothing is lost."""
    pair = DtlsPair()
    pair.start()
    while pair.server.state is not DtlsState.CONNECTED:
        pair.step(math.inf)
    ccs, finished = parse_records(pair.sent[pair.server][-1][1])
    payloads = [bytes([n]) * 1200 for n in range(10)]
    for payload in payloads:
        pair.server.send_data(payload, pair.now)
    for packet in [finished.raw, *pair.server.packets_to_send(), ccs.raw]:
        assert pair.client.next_events() == []
        pair.client.receive_packet(packet, pair.now)
    completed, *received = pair.client.next_events()
    assert isinstance(completed, HandshakeCompleted)
    assert received == [DataReceived(data=payload) for payload in payloads]


# -- Deadlines


def test_nobody_answers() -> None:
    """Resent at 0.1, 0.3, 0.7 ... s, over after 30 s, once."""
    pair = DtlsPair(fate=lambda _packet: ())
    pair.start()
    pair.run()
    times = [round(at - 100.0, 3) for at, _ in pair.sent[pair.client]]
    assert times == [0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.1, 9.1, 12.1, 15.1, 18.1, 21.1, 24.1, 27.1]
    for end in (pair.client, pair.server):
        assert pair.events[end] == [DtlsClosed(reason=DtlsCloseReason.TIMEOUT)]
        assert end.get_timer() is None
        assert end.state is DtlsState.CLOSED


def test_a_last_flight_that_never_arrives() -> None:
    """Without the server's Finished the client has no keys, and says so after 30 s."""
    pair = DtlsPair()
    pair.start()
    while pair.server.state is not DtlsState.CONNECTED:
        pair.step(math.inf)
    client = pair.client
    while client.state is DtlsState.HANDSHAKING:
        timer = client.get_timer()
        assert timer is not None
        client.handle_timer(timer)
    assert timer == pytest.approx(130.0)
    assert client.next_events() == [DtlsClosed(reason=DtlsCloseReason.TIMEOUT)]


def test_the_servers_final_flight_is_repeated_on_request_only() -> None:
    """RFC 6347 section 4.2.4: as often as the client repeats itself, but once per 100 ms."""
    pair = DtlsPair()
    pair.connect()
    first, repeat = pair.sent[pair.client][-1][1], pair.sent[pair.server][-1][1]
    server = pair.server
    assert server.get_timer() is None
    for number in range(1, 4):
        server.receive_packet(first, pair.now + number)
        server.receive_packet(first, pair.now + number + 0.05)
        (again,) = server.packets_to_send()
        assert again == repeat


def test_only_an_authentic_finished_draws_the_final_flight() -> None:
    """Forged flights do not; a new Finished under the key, or the old one again, does."""
    pair = DtlsPair()
    pair.connect()
    server = pair.server
    *plain, finished = parse_records(pair.sent[pair.client][-1][1])
    for record in plain:
        assert not server.receive_packet(record.raw, pair.now + 1)
    server.receive_packet(plain_record(22, finished.payload, 1, epoch=1), pair.now + 1)
    assert server.packets_to_send() == []
    server.receive_packet(finished.raw, pair.now + 2)
    assert len(server.packets_to_send()) == 1
    server.receive_packet(sealed(pair.client, 22, b"\x14" + bytes(23)), pair.now + 3)
    assert len(server.packets_to_send()) == 1


def test_the_client_repeats_nothing_after_the_handshake() -> None:
    """Only the side with the final flight does."""
    pair = DtlsPair()
    pair.connect()
    for _, packet in pair.sent[pair.server]:
        pair.client.receive_packet(packet, pair.now + 5)
    assert pair.client.packets_to_send() == []
    assert pair.client.next_events() == []


# -- After the handshake


def test_data_of_every_size() -> None:
    """1 byte to 2^14, one record each, in order."""
    pair = DtlsPair()
    pair.connect()
    payloads = [bytes([n & 0xFF]) * n for n in (1, 2, 100, 1225, 5000, 16384)]
    for payload in payloads:
        pair.client.send_data(payload, pair.now)
    pair.collect()
    pair.run(1.0)
    received = [e.data for e in pair.events[pair.server] if isinstance(e, DataReceived)]
    assert received == payloads


@pytest.mark.parametrize("size", [0, 16385])
def test_data_that_fits_no_record(size: int) -> None:
    """RFC 5246 section 6.2.1: at most 2^14 bytes; and nothing is no data."""
    pair = DtlsPair()
    pair.connect()
    with pytest.raises(UsageError):
        pair.client.send_data(bytes(size), pair.now)


def test_verbs_in_the_wrong_state() -> None:
    """The owner's mistakes are raised at once."""
    dtls = Dtls(config(), Role.CLIENT, [identity().fingerprint], 0.0)
    with pytest.raises(UsageError):
        dtls.send_data(b"x", 0.0)
    dtls.start(0.0)
    with pytest.raises(UsageError):
        dtls.start(0.0)
    with pytest.raises(UsageError):
        dtls.send_data(b"x", 0.0)
    dtls.close(0.0)
    with pytest.raises(UsageError):
        dtls.send_data(b"x", 0.0)


@pytest.mark.parametrize("role", list(Role))
def test_close(role: Role) -> None:
    """close() sends close_notify; the peer answers in kind and is closed too. One event each."""
    pair = DtlsPair()
    pair.connect()
    ours, theirs = pair.client, pair.server
    if role is Role.SERVER:
        ours, theirs = theirs, ours
    ours.close(pair.now)
    ours.close(pair.now)
    pair.collect()
    pair.run(1.0)
    assert pair.events[ours][1:] == [DtlsClosed(reason=DtlsCloseReason.LOCAL)]
    assert pair.events[theirs][1:] == [DtlsClosed(reason=DtlsCloseReason.PEER_CLOSED)]
    assert pair.client.state is pair.server.state is DtlsState.CLOSED


def test_close_before_keys() -> None:
    """Without keys there is nobody to tell: silence, and one event."""
    dtls = server()
    dtls.receive_packet(handshake_record(1, client_hello()), 0.0)
    dtls.packets_to_send()
    dtls.close(0.0)
    assert dtls.packets_to_send() == []
    assert dtls.next_events() == [DtlsClosed(reason=DtlsCloseReason.LOCAL)]
    assert dtls.get_timer() is None
    assert not dtls.receive_packet(handshake_record(1, client_hello()), 0.0)
    assert dtls.packets_to_send() == []


@pytest.mark.parametrize("epoch", [0, 1, 2])
@pytest.mark.parametrize("content_type", [20, 21, 22, 23])
def test_forgeries_after_the_handshake(content_type: int, epoch: int) -> None:
    """close_notify, fatal alerts, renegotiation, data: without the key they do nothing."""
    pair = DtlsPair()
    pair.connect()
    for end in (pair.client, pair.server):
        for payload in (b"", b"\x01\x00", b"\x02\x28", b"\x01", bytes(40), client_hello()):
            forged = plain_record(content_type, payload, 2**48 - 1, epoch)
            assert not end.receive_packet(forged, pair.now)
        assert end.state is DtlsState.CONNECTED
        assert end.next_events() == []
    pair.client.send_data(b"still", pair.now)
    pair.collect()
    pair.run(1.0)
    assert pair.events[pair.server][-1] == DataReceived(data=b"still")


def sealed(end: Dtls, content_type: int, data: bytes) -> bytes:
    """A record from `end` that it would not send by itself."""
    assert end._connected is not None
    return end._connected.layer.seal(content_type, data)


@pytest.mark.parametrize("role", list(Role))
def test_an_authenticated_fatal_alert(role: Role) -> None:
    """It ends the association, once, in words; RFC 5246 section 7.2.2: nothing is answered."""
    pair = DtlsPair()
    pair.connect()
    end, peer = pair.client, pair.server
    if role is Role.SERVER:
        end, peer = peer, end
    end.receive_packet(sealed(peer, 21, b"\x02\x50"), pair.now)
    assert end.next_events() == [
        DtlsClosed(reason=DtlsCloseReason.PEER_ERROR, detail="fatal alert 80 (internal error)")
    ]
    assert end.packets_to_send() == []
    assert end.state is DtlsState.CLOSED
    with pytest.raises(UsageError):
        end.send_data(b"x", pair.now)


@pytest.mark.parametrize("content_type", [21, 22, 23])
def test_a_datagram_of_forged_records(content_type: int) -> None:
    """Each that is tried costs a decryption: behind a few that fail nothing is tried any more."""
    pair = DtlsPair()
    pair.connect()
    forged = [plain_record(content_type, bytes(24), 1000 + n, 1) for n in range(50)]
    good = sealed(pair.client, 23, b"behind")
    assert not pair.server.receive_packet(b"".join([*forged, good]), pair.now)
    assert pair.server.next_events() == []
    assert pair.server.stats().dropped["unauthentic"] == MAX_FAILED
    # Each datagram begins anew, and a few bad ones do not hide a good one.
    few = b"".join([*forged[: MAX_FAILED - 1], good])
    assert pair.server.receive_packet(few, pair.now)
    assert pair.server.next_events() == [DataReceived(b"behind")]


def test_data_around_a_close_notify_in_one_packet() -> None:
    """What was sent before it arrives; what comes behind it is not looked at."""
    pair = DtlsPair()
    pair.connect()
    packet = b"".join(
        sealed(pair.client, kind, data)
        for kind, data in ((23, b"before"), (21, b"\x01\x00"), (23, b"behind"))
    )
    assert pair.server.receive_packet(packet, pair.now)
    assert pair.server.next_events() == [
        DataReceived(b"before"),
        DtlsClosed(reason=DtlsCloseReason.PEER_CLOSED),
    ]
    assert len(pair.server.packets_to_send()) == 1


def test_reordered_and_doubled_data() -> None:
    """Datagrams do as they like; each record is delivered once, in order of arrival."""
    pair = DtlsPair()
    pair.connect()
    for number in range(50):
        pair.client.send_data(bytes([number]), pair.now)
    packets = pair.client.packets_to_send()
    order = [*range(50), *range(50)]
    random.Random(1).shuffle(order)
    results = [pair.server.receive_packet(packets[index], pair.now) for index in order]
    assert results.count(True) == 50
    received = [e.data[0] for e in pair.server.next_events() if isinstance(e, DataReceived)]
    assert received == list(dict.fromkeys(order))
    assert pair.server.stats().dropped == {"replayed": 50}


def test_an_empty_record_says_nothing() -> None:
    """RFC 5246 section 6.2.1 allows them, as cover traffic: authentic, and no event."""
    pair = DtlsPair()
    pair.connect()
    packet = sealed(pair.client, 23, b"")
    assert pair.server.receive_packet(packet, pair.now)
    assert not pair.server.receive_packet(packet, pair.now)
    assert pair.server.receive_packet(sealed(pair.client, 23, b""), pair.now)
    assert pair.server.next_events() == []


def test_the_sequence_numbers_end() -> None:
    """The owner is told; what there was arrives, and the goodbye is left out."""
    pair = DtlsPair()
    pair.connect()
    assert pair.client._connected is not None
    pair.client._connected.layer.next_sequence = 2**48 - 1
    pair.client.send_data(b"last", pair.now)
    with pytest.raises(UsageError):
        pair.client.send_data(b"more", pair.now)
    pair.client.close(pair.now)
    (packet,) = pair.client.packets_to_send()
    assert pair.server.receive_packet(packet, pair.now)
    assert pair.server.next_events() == [DataReceived(b"last")]


@pytest.mark.parametrize("role", list(Role))
def test_the_peers_finished_counts_as_seen(role: Role) -> None:
    """Its number is used: a replay of it is none, on either side, and data begins behind it."""
    pair = DtlsPair()
    pair.connect()
    end, peer = pair.client, pair.server
    if role is Role.SERVER:
        end, peer = peer, end
    assert end._connected is not None
    assert (end._connected.layer.window.top, end._connected.layer.window.missing) == (0, 0)
    peer.send_data(b"x", pair.now)
    (packet,) = peer.packets_to_send()
    assert [r.sequence for r in parse_records(packet)] == [1]


# -- Oddly shaped peers


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("cut", [1187, 1])
def test_a_split_hello(order: tuple[int, int], cut: int) -> None:
    """A post-quantum hello in two packets, either first: one flight, no second."""
    body = post_quantum_hello()
    halves = [
        fragment_record(1, body, 0, 0, cut, 0),
        fragment_record(1, body, 0, cut, len(body), 1),
    ]
    dtls = server()
    assert dtls.receive_packet(halves[order[0]], 0.0)
    assert dtls.packets_to_send() == []
    assert dtls.receive_packet(halves[order[1]], 0.0)
    (flight,) = dtls.packets_to_send()
    assert parse_records(flight)[0].payload[0] == 2


def test_a_hello_cut_differently_on_its_retry() -> None:
    """1,408 + 103 bytes first, 1,188 + 323 then, with one of each lost: fragments overlap."""
    body = post_quantum_hello(1461)
    dtls = server()
    dtls.receive_packet(fragment_record(1, body, 0, 0, 1383), 0.0)
    assert dtls.packets_to_send() == []
    dtls.receive_packet(fragment_record(1, body, 0, 1163, 1461, 3), 0.1)
    assert len(dtls.packets_to_send()) == 1


def test_memory_is_let_go() -> None:
    """After the handshake there is no OpenSSL connection, and a client keeps no flight."""
    pair = DtlsPair()
    pair.connect()
    for end in (pair.client, pair.server):
        assert end._handshaker is None
        assert end._connected is not None
    assert pair.client._connected is not None
    assert pair.server._connected is not None
    assert pair.client._connected.final is None
    assert pair.server._connected.final is not None
    pair.client.close(pair.now)
    assert pair.client._connected is None


# -- The contract


# Recorded once: OpenSSL's packets differ from run to run, and hypothesis must see the same.
@functools.cache
def recorded() -> tuple[list[bytes], list[bytes]]:
    """The client's and the server's packets of another handshake between the same two."""
    pair = DtlsPair()
    pair.connect()
    pair.client.send_data(b"data", pair.now)
    pair.server.send_data(b"data", pair.now)
    pair.collect()
    return [p for _, p in pair.sent[pair.client]], [p for _, p in pair.sent[pair.server]]


# The owner starts DTLS for a checked address only; its budget is tested as row D5.
BEHIND_A_GATE = 1e9


class TestNew(MachineContract):
    """Before the handshake: a server that waits."""

    def subject(self) -> Subject:
        """A started server and hellos of several kinds."""
        dtls = server(NOW)
        body = post_quantum_hello()
        return Subject(
            machine=PacketAdapter(dtls, PEER),
            samples=[
                handshake_record(1, client_hello()),
                fragment_record(1, body, 0, 0, 1187),
                fragment_record(1, body, 0, 1187, len(body)),
                handshake_record(1, client_hello(suites=[0])),
                plain_record(21, b"\x02\x28"),
                plain_record(20, b"\x01"),
            ],
            forged=[fragment_record(1, body, n, 1, 1100) for n in range(9)],
            close=dtls.close,
            growth=80_000,
            amplification=BEHIND_A_GATE,
        )


class TestMiddle(MachineContract):
    """A client that has sent its hello."""

    def subject(self) -> Subject:
        """A client, and the answers to the hello of another."""
        dtls = Dtls(config("client"), Role.CLIENT, [identity("server").fingerprint], NOW)
        dtls.start(NOW)
        return Subject(
            machine=PacketAdapter(dtls, PEER),
            samples=[*recorded()[1], plain_record(20, b"\x01"), plain_record(22, bytes(40), 0, 1)],
            forged=[plain_record(22, bytes(40), n, 1) for n in range(20)],
            close=dtls.close,
            growth=80_000,
            amplification=BEHIND_A_GATE,
        )


class TestConnected(MachineContract):
    """A connected server."""

    def subject(self) -> Subject:
        """The server of a pair, and packets of another pair to replay."""
        pair = DtlsPair()
        pair.now = NOW
        pair.connect()
        return Subject(
            machine=PacketAdapter(pair.server, PEER),
            samples=recorded()[0],
            forged=[plain_record(kind, bytes(40), n, 1) for kind in (21, 23) for n in range(5)],
            close=pair.server.close,
            growth=16_384,
            amplification=BEHIND_A_GATE,
        )


@given(st.integers(0, 2**32), st.integers(0, 12))
def test_mutations_at_every_stage(seed: int, steps: int) -> None:
    """Damaged copies of real packets, at any point of a real handshake, raise nothing."""
    generator = random.Random(seed)
    pair = DtlsPair()
    pair.start()
    for _ in range(steps):
        pair.step(math.inf)
    packets = [packet for end in pair.sent.values() for _, packet in end]
    for _ in range(10):
        damaged = bytearray(generator.choice(packets))
        for _ in range(generator.randrange(4)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        end = generator.choice([pair.client, pair.server])
        end.receive_packet(bytes(damaged[: generator.randrange(1, len(damaged) + 1)]), pair.now)
        pair.collect()
    pair.run()
    assert all(
        sum(isinstance(event, DtlsClosed) for event in events) <= 1
        for events in pair.events.values()
    )


@pytest.mark.parametrize("role", list(Role))
def test_no_usable_fingerprint(role: Role) -> None:
    """Without a fingerprint to compare there is no handshake at all."""
    for fingerprints in ([], [Fingerprint("sha-1", "00"), Fingerprint("md5", "00")]):
        dtls = Dtls(config(), role, fingerprints, 0.0)
        dtls.start(0.0)
        assert dtls.packets_to_send() == []
        (event,) = dtls.next_events()
        assert isinstance(event, DtlsClosed)
        assert event.reason is DtlsCloseReason.FINGERPRINT_MISMATCH
