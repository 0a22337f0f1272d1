"""Attacks on DTLS, by row: D1 to D11, and public fuzzing corpora."""

from __future__ import annotations

import contextlib
import itertools
import random
import struct
from collections.abc import Iterable, Iterator

import pytest
from OpenSSL import SSL

from rtcproto.dtls import (
    DataReceived,
    Dtls,
    DtlsClosed,
    DtlsCloseReason,
    DtlsEvent,
    DtlsState,
    Fingerprint,
    HandshakeCompleted,
    Identity,
    Role,
)
from rtcproto.dtls.protection import RecordLayer, sequence_after
from rtcproto.dtls.record import parse_records
from rtcproto.errors import UsageError
from tests.support.dtls import (
    EXTENSIONS,
    UNIX_TIME,
    DtlsPair,
    OpenSslPeer,
    cipher_pair,
    client_hello,
    config,
    fragment_record,
    handshake_record,
    identity,
    permissive_context,
    plain_record,
    post_quantum_hello,
)
from tests.support.vectors import require_corpus

ROLES = list(Role)


def server(now: float = 0.0) -> Dtls:
    """A started server that expects the identity "client"."""
    dtls = Dtls(config("server"), Role.SERVER, [identity("client").fingerprint], now)
    dtls.start(now)
    return dtls


def buffered(dtls: Dtls) -> int:
    """Bytes of unfinished messages."""
    assert dtls._handshaker is not None
    return dtls._handshaker._reassembler.buffered


def ends(pair: DtlsPair, role: Role) -> tuple[Dtls, Dtls]:
    """(the end under attack, in that role; its peer)."""
    return (pair.client, pair.server) if role is Role.CLIENT else (pair.server, pair.client)


# -- D1

# Well-formed for the vetting, and still refused by OpenSSL.
BAD_FOR_OPENSSL = [
    client_hello(extensions={**EXTENSIONS, 11: b"\x05\0"}),
    client_hello(extensions={**EXTENSIONS, 0xFF01: b"\x05\0"}),
]
BAD_HELLOS = [
    client_hello(suites=[0x0000]),
    client_hello(suites=[0xC006, 0xC010]),  # ECDHE with NULL
    client_hello(version=0xFEFF),
    client_hello(extensions={}),
    client_hello(extensions={k: v for k, v in EXTENSIONS.items() if k != 14}),
    client_hello()[:-1],
    b"",
    *BAD_FOR_OPENSSL,
]


@pytest.mark.parametrize("bad", BAD_HELLOS)
def test_d1_a_bad_hello_then_the_good_one(bad: bytes) -> None:
    """From the right address: whatever is wrong with a hello, the next one is served."""
    pair = DtlsPair()
    pair.client.start(pair.now)
    pair.server.start(pair.now)
    for _ in range(20):
        pair.server.receive_packet(handshake_record(1, bad), pair.now)
    assert pair.server.packets_to_send() == []
    # Each was stopped by us, or cost a connection that was made anew.
    stats = pair.server.stats()
    assert stats.restarts + sum(stats.dropped.values()) >= 20
    assert stats.restarts == (20 if bad in BAD_FOR_OPENSSL else 0)
    pair.collect()
    pair.run(1.0)
    assert pair.connected


def test_d1_hellos_before_the_address_is_checked() -> None:
    """Before `start`, which follows the first good check, hellos draw 0 bytes and no state."""
    pair = DtlsPair()
    for _ in range(1000):
        pair.server.receive_packet(handshake_record(1, BAD_HELLOS[0]), pair.now)
        pair.server.receive_packet(handshake_record(1, client_hello()), pair.now)
    assert pair.server.packets_to_send() == []
    assert pair.server._handshaker is None
    pair.start()
    pair.run(1.0)
    assert pair.connected


# -- D2


def test_d2_declared_sizes_are_not_allocated() -> None:
    """Ten messages that declare 16 MiB, and eight that declare the most allowed: <= 64 KiB held."""
    dtls = server()
    for sequence in range(10):
        header = struct.pack("!IHBHBH", 1 << 24 | 0xFFFFFF, sequence, 0, 0, 0, 1000)
        dtls.receive_packet(plain_record(22, header + bytes(1000)), 0.0)
    assert buffered(dtls) == 0
    for sequence in range(10):
        dtls.receive_packet(fragment_record(1, bytes(32768), sequence, 0, 10), 0.0)
    assert buffered(dtls) == 80


def one_byte_fragments(count: int) -> None:
    """`count` one-byte fragments, scattered, with gaps, over all messages in the window."""
    generator = random.Random(2)
    dtls = server()
    body = bytes(32768)
    for number in range(count):
        at = generator.randrange(len(body))
        packet = fragment_record(1, body, generator.randrange(8), at, at + 1, number)
        dtls.receive_packet(packet, 0.0)
        assert buffered(dtls) <= 65536
    assert dtls.packets_to_send() == []


def test_d2_one_byte_fragments() -> None:
    """2,000 one-byte fragments: <= 64 KiB held."""
    one_byte_fragments(2_000)


@pytest.mark.threats
def test_d2_one_byte_fragments_full() -> None:
    """100,000 one-byte fragments: <= 64 KiB held."""
    one_byte_fragments(100_000)


# -- D3


def random_split(generator: random.Random, size: int) -> list[tuple[int, int]]:
    """Pieces that cover `size` bytes: in some order, some doubled, some overlapping."""
    cuts = sorted({0, size, *(generator.randrange(size) for _ in range(generator.randrange(40)))})
    pieces = list(itertools.pairwise(cuts))
    for _ in range(generator.randrange(10)):
        start = generator.randrange(size)
        pieces.append((start, min(size, start + generator.randrange(1, 600))))
    match generator.randrange(3):
        case 0:
            pieces.reverse()
        case 1:
            generator.shuffle(pieces)
    return pieces + pieces[: generator.randrange(3)]


def splits(seeds: range) -> None:
    """A 4,096-byte hello, cut by each seed, draws exactly one flight."""
    body = post_quantum_hello(4096)
    for seed in seeds:
        generator = random.Random(seed)
        dtls = server()
        for start, end in random_split(generator, len(body)):
            dtls.receive_packet(fragment_record(1, body, 0, start, end), 0.0)
        (flight,) = dtls.packets_to_send()
        assert parse_records(flight)[0].payload[0] == 2
        assert dtls.stats().messages_processed == 1


def test_d3_every_split_of_a_hello() -> None:
    """50 random splits: reversed, shuffled, doubled, overlapping: the same message each time."""
    splits(range(50))


@pytest.mark.threats
def test_d3_every_split_of_a_hello_full() -> None:
    """The same for 500 splits."""
    splits(range(500))


def test_d3_empty_fragments_make_no_progress() -> None:
    """Zero-length fragments of a longer message are dropped, each of them."""
    dtls = server()
    for _ in range(1000):
        dtls.receive_packet(fragment_record(1, bytes(100), 0, 50, 50), 0.0)
    assert buffered(dtls) == 0
    assert dtls.stats().dropped == {"over_limit": 1000}


def test_d3_messages_are_told_apart_by_sequence() -> None:
    """Fragments of the same type and total but another number do not mix."""
    body, other = post_quantum_hello(), bytes(1413)
    dtls = server()
    dtls.receive_packet(fragment_record(1, body, 0, 0, 700), 0.0)
    dtls.receive_packet(fragment_record(1, other, 1, 700, 1413), 0.0)
    assert dtls.packets_to_send() == []
    dtls.receive_packet(fragment_record(1, body, 0, 700, 1413), 0.0)
    assert len(dtls.packets_to_send()) == 1


def test_d3_a_changed_total_is_a_contradiction() -> None:
    """A second fragment that says another total does not stretch the message."""
    body = post_quantum_hello()
    dtls = server()
    dtls.receive_packet(fragment_record(1, body, 0, 0, 700), 0.0)
    dtls.receive_packet(fragment_record(1, body + b"x", 0, 700, 1414), 0.0)
    assert dtls.stats().dropped == {"conflict": 1}
    dtls.receive_packet(fragment_record(1, body, 0, 700, 1413), 0.0)
    assert len(dtls.packets_to_send()) == 1


# -- D4


@pytest.mark.parametrize(
    "first_try", [(0, 1), (1, 0), (1,), (0,), (0, 0), (1, 1), (), (0, 1, 0, 1)]
)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_d4_a_post_quantum_hello(first_try: tuple[int, ...], order: tuple[int, int]) -> None:
    """1,200 + 263 bytes: either order, either lost, doubled: answered within one retry."""
    body = post_quantum_hello()
    dtls = server()

    def packet(half: int, attempt: int) -> bytes:
        start, end = ((0, 1175), (1175, 1413))[half]
        return fragment_record(1, body, 0, start, end, attempt * 2 + half)

    assert [len(packet(half, 0)) for half in (0, 1)] == [1200, 263]
    for half in first_try:
        dtls.receive_packet(packet(half, 0), 0.0)
    answered = len(dtls.packets_to_send())
    assert answered == ({0, 1} == set(first_try))
    for half in order:
        dtls.receive_packet(packet(half, 1), 0.05)
    assert answered + len(dtls.packets_to_send()) == 1


# -- D5


def test_d5_a_silent_peer() -> None:
    """A peer that sends its hello and no more: <= 14 flights, <= 16 KiB, none after 30 s."""
    dtls = server()
    dtls.receive_packet(handshake_record(1, client_hello()), 0.0)
    packets = [(0.0, packet) for packet in dtls.packets_to_send()]
    while (timer := dtls.get_timer()) is not None:
        dtls.handle_timer(timer)
        packets += [(timer, packet) for packet in dtls.packets_to_send()]
    assert dtls.state is DtlsState.CLOSED
    assert len(packets) == 14
    assert sum(len(packet) for _, packet in packets) <= 16384
    assert max(at for at, _ in packets) < 30


def test_d5_a_peer_that_only_repeats() -> None:
    """A peer that repeats its hello 3,000 times in 30 s draws no more than a silent one."""
    dtls = server()
    hello = handshake_record(1, client_hello())
    count = size = 0
    for tick in range(3000):
        now = tick / 100
        dtls.receive_packet(hello, now)
        dtls.handle_timer(now)
        for packet in dtls.packets_to_send():
            count, size = count + 1, size + len(packet)
    assert count == 14
    assert size <= 16384


def test_d5_forged_server_hellos() -> None:
    """As client: 1,000 server hellos that OpenSSL would abort over draw nothing and end nothing."""
    pair = DtlsPair()
    pair.client.start(pair.now)
    pair.server.start(pair.now)
    (hello,) = pair.client.packets_to_send()
    pair.server.receive_packet(hello, pair.now)
    (flight,) = pair.server.packets_to_send()
    answer = bytearray(parse_records(flight)[0].payload[12:])
    # An ec_point_formats extension whose inner length is wrong: OpenSSL cannot decode it.
    answer[answer.index(bytes.fromhex("000b0002"), 35) + 4] = 9
    for _ in range(1000):
        pair.client.receive_packet(handshake_record(2, bytes(answer)), pair.now)
    assert pair.client.packets_to_send() == []
    assert pair.client.stats().dropped == {"refused_malformed": 1000}
    pair.client.receive_packet(flight, pair.now)
    pair.collect()
    pair.run(1.0)
    assert pair.connected


# -- D6

OTHER = Identity.generate(UNIX_TIME)


def wrong_sets(der: bytes) -> Iterator[tuple[str, list[Fingerprint]]]:
    """What a description can say that is not, or not only, the certificate `der`."""
    right = {name: Fingerprint.of(der, name) for name in ("sha-1", "sha-256", "sha-384", "sha-512")}
    other = OTHER.fingerprint
    yield "wrong", [other]
    yield "absent", []
    yield "only md5 and sha-1", [Fingerprint("md5", "00:11"), right["sha-1"]]
    yield "one of three wrong", [right["sha-256"], other, right["sha-512"]]
    yield "one hash of three wrong", [
        right["sha-256"], Fingerprint("sha-384", right["sha-384"].value[::-1]), right["sha-512"],
    ]  # fmt: skip
    yield "lower case, wrong", [Fingerprint("sha-256", other.value.lower())]


CASES = [name for name, _ in wrong_sets(b"")]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("role", ROLES)
def test_d6_wrong_fingerprints(role: Role, case: str) -> None:
    """No keys, one closed event, within 2 s and a round trip; in both roles."""
    peer_name = "server" if role is Role.CLIENT else "client"
    expects = dict(wrong_sets(identity(peer_name).certificate_der))[case]
    if role is Role.CLIENT:
        pair = DtlsPair(client_expects=expects)
    else:
        pair = DtlsPair(server_expects=expects)
    end, peer = ends(pair, role)
    pair.start()
    pair.run(3.0)
    (event,) = pair.events[end]
    assert isinstance(event, DtlsClosed)
    assert event.reason is DtlsCloseReason.FINGERPRINT_MISMATCH
    pair.run()
    assert len(pair.events[end]) == 1
    assert not any(isinstance(event, HandshakeCompleted) for event in pair.events[peer])


@pytest.mark.parametrize("role", ROLES)
def test_d6_a_certificate_that_changed(role: Role) -> None:
    """After a restart with the same description and another certificate: the same refusal."""
    described = [identity("before").fingerprint]
    pair = (
        DtlsPair(server_config=config("after"), client_expects=described)
        if role is Role.CLIENT
        else DtlsPair(client_config=config("after"), server_expects=described)
    )
    end, _ = ends(pair, role)
    pair.start()
    pair.run(3.0)
    (event,) = pair.events[end]
    assert isinstance(event, DtlsClosed)
    assert event.reason is DtlsCloseReason.FINGERPRINT_MISMATCH


def test_d6_lower_case_is_the_same_fingerprint() -> None:
    """Some peers write it so; what counts are the bytes."""
    right = identity("server").fingerprint
    pair = DtlsPair(client_expects=[Fingerprint("SHA-256", right.value.lower())])
    pair.connect()


@pytest.mark.parametrize("role", ROLES)
def test_d6_the_peer_must_hold_the_key(role: Role) -> None:
    """The described certificate, shown by one who has another key, gives no keys."""
    genuine, impostor = identity("genuine"), identity("impostor")
    described = [genuine.fingerprint]
    pair = (
        DtlsPair(server_config=config("impostor"), client_expects=described)
        if role is Role.CLIENT
        else DtlsPair(client_config=config("impostor"), server_expects=described)
    )
    end, peer = ends(pair, role)
    pair.start()
    for _ in range(3):
        pair.step(pair.now + 1)
        pair._flying = [
            (at, order, to, swap_certificate(packet, impostor, genuine) if to is end else packet)
            for at, order, to, packet in pair._flying
        ]
    pair.run()
    (event,) = pair.events[end]
    assert isinstance(event, DtlsClosed)
    assert event.reason is DtlsCloseReason.PROTOCOL
    assert "signature" in event.detail
    assert not any(isinstance(event, HandshakeCompleted) for event in pair.events[peer])


def swap_certificate(packet: bytes, ours: Identity, theirs: Identity) -> bytes:
    """`packet` with one certificate in place of another."""
    entry = len(theirs.certificate_der).to_bytes(3, "big") + theirs.certificate_der
    body = len(entry).to_bytes(3, "big") + entry
    parts = []
    for record in parse_records(packet):
        raw = record.raw
        if record.epoch == 0 and ours.certificate_der in record.payload:
            sequence = int.from_bytes(record.payload[4:6], "big")
            raw = handshake_record(11, body, sequence, record_sequence=record.sequence)
        parts.append(raw)
    return b"".join(parts)


# -- D7


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("content_type", [21, 22, 23])
def test_d7_a_forged_record_from_far_ahead(role: Role, content_type: int) -> None:
    """One forged record, epoch 1, sequence 2^48 - 1, then 1,000 real ones: 1,000 delivered."""
    pair = DtlsPair()
    pair.connect()
    end, peer = ends(pair, role)
    for sequence in (2**48 - 1, 1, 500):
        for size in (0, 23, 24, 60):
            forged = plain_record(content_type, bytes(size), sequence, epoch=1)
            assert not end.receive_packet(forged, pair.now)
    for number in range(1000):
        peer.send_data(number.to_bytes(2, "big"), pair.now)
    for packet in peer.packets_to_send():
        assert end.receive_packet(packet, pair.now)
    assert end.next_events() == [DataReceived(n.to_bytes(2, "big")) for n in range(1000)]


# -- D8

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)


def nonces_of(packets: Iterable[bytes], *, explicit: bool) -> list[bytes]:
    """The part of each protected record's nonce that differs from record to record."""
    records = [record for packet in packets for record in parse_records(packet) if record.epoch]
    return [record.payload[:8] if explicit else record.raw[3:11] for record in records]


def distinct_nonces(count: int, cipher: str) -> None:
    """`count` records from each end, and a repeated final flight: every nonce, OpenSSL's too."""
    pair = cipher_pair(cipher)
    pair.connect()
    for end, peer in ((pair.client, pair.server), (pair.server, pair.client)):
        flights = [packet for _, packet in pair.sent[end]]
        for packet in pair.sent[peer]:
            end.receive_packet(packet[1], pair.now + 1)
        repeated = end.packets_to_send()
        assert set(repeated) <= set(flights)  # byte for byte: the same nonce, the same text
        for _ in range(count):
            end.send_data(b"x", pair.now)
        end.close(pair.now)
        nonces = nonces_of(flights + end.packets_to_send(), explicit="GCM" in cipher)
        assert len(nonces) == len(set(nonces)) == count + 2  # Finished and the close_notify


@pytest.mark.parametrize("cipher", CIPHERS)
def test_d8_nonces_are_distinct(cipher: str) -> None:
    """2^10 records from each end under each cipher."""
    distinct_nonces(1 << 10, cipher)


@pytest.mark.threats
@pytest.mark.parametrize("cipher", CIPHERS)
def test_d8_nonces_are_distinct_full(cipher: str) -> None:
    """2^17 records from each end under each cipher."""
    distinct_nonces(1 << 17, cipher)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_d8_a_client_that_repeats_finished(cipher: str) -> None:
    """Each time under a nonce of its own, and data goes on behind the last of them."""
    pair = cipher_pair(cipher)
    pair.start()
    while pair.server.state is not DtlsState.CONNECTED:
        pair.step(pair.now + 1)
    final = pair.sent[pair.server][-1][1]
    for _ in range(5):
        timer = pair.client.get_timer()
        assert timer is not None
        pair.client.handle_timer(timer)
        pair.client.receive_packet(pair.sent[pair.server][0][1], timer + 0.11)
    repeats = [packet for _, packet in pair.sent[pair.client]] + pair.client.packets_to_send()
    pair.client.receive_packet(final, pair.now)
    assert pair.client.state is DtlsState.CONNECTED
    for _ in range(100):
        pair.client.send_data(b"x", pair.now)
    nonces = nonces_of(repeats + pair.client.packets_to_send(), explicit="GCM" in cipher)
    assert len(nonces) == len(set(nonces)) > 106


@pytest.mark.parametrize("sequence", [0, 5])
@pytest.mark.parametrize("low", [0, 1, 7, 1 << 20])
def test_d8_openssl_may_have_used_a_nonce_of_ours(sequence: int, low: int) -> None:
    """Should its random start be our epoch with a low number on top, we begin beyond it."""
    used = 1 << 48 | low
    (finished,) = parse_records(
        plain_record(22, used.to_bytes(8, "big") + bytes(40), sequence, epoch=1)
    )
    pair = DtlsPair()
    pair.connect()
    assert pair.client._connected is not None
    layer = RecordLayer(pair.client._connected.layer.keys, sequence_after(finished))
    sent = [layer.seal(23, b"x") for _ in range(100)]
    nonces = nonces_of([*sent, finished.raw], explicit=True)
    assert len(set(nonces)) == 101
    assert len({record.raw[3:11] for packet in sent for record in parse_records(packet)}) == 100


def test_d8_no_wrap() -> None:
    """At the last sequence number the key is used up: refused, and nothing is sent."""
    pair = DtlsPair()
    pair.connect()
    assert pair.client._connected is not None
    pair.client._connected.layer.next_sequence = 2**48 - 2
    for _ in range(2):
        pair.client.send_data(b"x", pair.now)
    for _ in range(3):
        with pytest.raises(UsageError):
            pair.client.send_data(b"x", pair.now)
    packets = pair.client.packets_to_send()
    assert [r.sequence for p in packets for r in parse_records(p)] == [2**48 - 2, 2**48 - 1]


# -- D9


def every_length(sizes: Iterable[int], *, authentic: bool, cipher: str) -> None:
    """One record of each length: delivered if it may be, dropped if not, and data goes on."""
    pair = cipher_pair(cipher)
    pair.connect()
    server, client = pair.server, pair.client
    assert client._connected is not None
    layer = client._connected.layer
    for size in sizes:
        if authentic:
            server.receive_packet(layer.seal(23, bytes(size)), pair.now)
        else:
            server.receive_packet(plain_record(23, bytes(size), 2**40, epoch=1), pair.now)
        delivered = authentic and 0 < size <= 16384
        assert server.next_events() == ([DataReceived(bytes(size))] if delivered else [])
    client.send_data(b"on", pair.now)
    for packet in client.packets_to_send():
        server.receive_packet(packet, pair.now)
    assert server.next_events() == [DataReceived(b"on")]


SOME = (*range(70), *range(16380, 16388), *range(16600, 16641), 65535)
ALL = (*range(16641), 65535)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_d9_forged_records_of_every_length(cipher: str) -> None:
    """Of some hundred lengths up to 65,535: dropped."""
    every_length(SOME, authentic=False, cipher=cipher)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_d9_authentic_records_of_every_length(cipher: str) -> None:
    """By the key's owner, of the same lengths: delivered up to 2^14, dropped beyond."""
    every_length(SOME[:-1], authentic=True, cipher=cipher)


@pytest.mark.threats
@pytest.mark.parametrize("authentic", [False, True])
def test_d9_every_length_full(authentic: bool) -> None:
    """The same for every length from 0 to 16,640, and 65,535 where it can be written."""
    every_length(ALL[: -1 if authentic else None], authentic=authentic, cipher=CIPHERS[0])


def test_d9_lengths_that_lie() -> None:
    """A header that declares more or less than there is, up to 65,535: dropped, data goes on."""
    pair = DtlsPair()
    pair.connect()
    for declared in (*range(100), 16639, 16640, 16641, 18432, 18433, 65534, 65535):
        for size in (0, 1, 24, 60, 16640):
            header = plain_record(23, b"", 7, epoch=1)[:11] + declared.to_bytes(2, "big")
            assert not pair.server.receive_packet(header + bytes(size), pair.now)
    pair.client.send_data(b"on", pair.now)
    pair.collect()
    pair.run(1.0)
    assert pair.events[pair.server][-1] == DataReceived(b"on")


# -- D10

FATAL = [plain_record(21, bytes((2, description))) for description in (10, 20, 40, 42, 80)]
CLOSE_NOTIFY = plain_record(21, b"\x01\x00")


@pytest.mark.parametrize("point", range(8))
def test_d10_plain_alerts(point: int) -> None:
    """Plaintext fatal alerts and close_notify before and after every packet, at both ends."""
    pair = DtlsPair()
    pair.start()
    for _ in range(point // 2):
        pair.step(pair.now + 1)
    end = pair.client if point % 2 else pair.server
    for alert in (*FATAL, CLOSE_NOTIFY):
        assert not end.receive_packet(alert, pair.now)
    assert end.state is not DtlsState.CLOSED
    pair.run(1.0)
    assert pair.connected


def test_d10_the_last_plain_alert_is_reported() -> None:
    """It ends nothing, but the time-out tells of it."""
    dtls = server()
    dtls.receive_packet(FATAL[2], 0.0)
    dtls.handle_timer(30.0)
    assert dtls.next_events() == [
        DtlsClosed(
            reason=DtlsCloseReason.TIMEOUT,
            detail="last in plaintext: fatal alert 40 (handshake failure)",
        )
    ]


def test_d10_extended_master_secret_is_required() -> None:
    """A hello without extension 23 is not answered, in neither direction."""
    dtls = server()
    bare = client_hello(extensions={k: v for k, v in EXTENSIONS.items() if k != 23})
    dtls.receive_packet(handshake_record(1, bare), 0.0)
    assert dtls.packets_to_send() == []
    assert dtls.stats().dropped == {"refused_no_session_hash": 1}


@pytest.mark.parametrize("version", [0xFEFF, 0xFEFC, 0x0303, 0x0100])
def test_d10_other_versions(version: int) -> None:
    """DTLS 1.0, and anything else that is not 1.2, is not answered."""
    dtls = server()
    dtls.receive_packet(handshake_record(1, client_hello(version=version)), 0.0)
    assert dtls.packets_to_send() == []


@pytest.mark.parametrize("role", ROLES)
def test_d10_no_renegotiation(role: Role) -> None:
    """An authenticated attempt to renegotiate draws no handshake and ends nothing."""
    ours = Dtls(config(), role, [identity("plain").fingerprint], 0.0)
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    peer = OpenSslPeer(permissive_context("plain"), other)
    ours.start(0.0)
    written = peer.step()
    for _ in range(6):
        if written:
            ours.receive_packet(written, 0.0)
        written = b"".join(peer.step(packet) for packet in ours.packets_to_send())
    assert ours.state is DtlsState.CONNECTED
    before = ours.stats()
    for sequence in range(1, 5):
        ours.receive_packet(plain_record(22, bytes(60), sequence, epoch=1), 1.0 + sequence)
        ours.receive_packet(handshake_record(1, client_hello()), 1.5 + sequence)
    # Under the key: whatever the peer's OpenSSL can be talked into is ignored too.
    peer.connection.renegotiate()
    with contextlib.suppress(SSL.WantReadError):
        peer.connection.do_handshake()
    attempt = peer.connection.bio_read(2000)
    assert {record.content_type for record in parse_records(attempt)} == {22}
    assert not ours.receive_packet(attempt, 20.0)
    assert ours.stats().dropped["renegotiation"] == 1
    assert ours.packets_to_send() == []
    assert ours.state is DtlsState.CONNECTED
    assert ours.stats().messages_processed == before.messages_processed


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("forgery", ["empty", "foreign", "no list"])
def test_d10_forged_certificates(role: Role, forgery: str) -> None:
    """A forged Certificate with the right number, before the real one, costs nothing."""
    pair = DtlsPair()
    end, _ = ends(pair, role)
    der = OTHER.certificate_der
    entry = len(der).to_bytes(3, "big") + der
    body = {
        "empty": bytes(3),
        "foreign": len(entry).to_bytes(3, "big") + entry,
        "no list": b"",
    }[forgery]
    pair.start()
    if role is Role.SERVER:  # the forgery comes between hello and certificate
        pair.step(pair.now + 1)
    end.receive_packet(handshake_record(11, body, 1), pair.now)
    pair.run(1.0)
    assert pair.connected
    assert any(isinstance(event, HandshakeCompleted) for event in pair.events[end])


def test_d10_a_forged_certificate_alone_ends_nothing_at_once() -> None:
    """Only if no right one follows for 2 s is the association given up."""
    pair = DtlsPair()
    pair.start()
    pair.step(pair.now + 1)
    der = OTHER.certificate_der
    entry = len(der).to_bytes(3, "big") + der
    forged = handshake_record(11, len(entry).to_bytes(3, "big") + entry, 1)
    pair.server.receive_packet(forged, pair.now)
    assert pair.server.get_timer() == pytest.approx(pair.now + 0.1)  # its flight's
    pair.server.handle_timer(pair.now + 1.9)
    assert pair.server.state is DtlsState.HANDSHAKING
    pair.server.handle_timer(pair.now + 2.0)
    assert pair.server.state is DtlsState.CLOSED


# -- D11


def copies(count: int) -> None:
    """`count` copies of one valid hello: one of them is work."""
    dtls = server()
    hello = handshake_record(1, client_hello())
    for number in range(count):
        dtls.receive_packet(hello, number / count)
    assert dtls.stats().messages_processed == 1
    assert dtls.stats().restarts == 0


def test_d11_copies_of_a_hello() -> None:
    """10,000 copies of one valid hello: one message to OpenSSL, so one signature."""
    copies(10_000)


# -- Corpora


def events_of(dtls: Dtls) -> list[DtlsEvent]:
    """Drain everything."""
    dtls.packets_to_send()
    return dtls.next_events()


def stages() -> Iterator[Dtls]:
    """Both roles, before anything and after the first flight."""
    yield server()
    client = Dtls(config("client"), Role.CLIENT, [identity("server").fingerprint], 0.0)
    client.start(0.0)
    yield client
    after = server()
    after.receive_packet(handshake_record(1, client_hello()), 0.0)
    yield after


def cut_at_records(data: bytes) -> Iterator[bytes]:
    """A stream of records as the datagrams it would be; the end as it is."""
    while len(data) >= 13:
        size = 13 + int.from_bytes(data[11:13], "big")
        yield data[:size]
        data = data[size:]
    if data:
        yield data


@pytest.mark.parametrize("corpus", ["openssl-dtlsclient", "openssl-dtlsserver"])
def test_openssl_corpora(corpus: str) -> None:
    """Streams that a fuzzer found for OpenSSL, cut at record borders: nothing raises."""
    for path in require_corpus(corpus):
        for dtls in stages():
            for packet in cut_at_records(path.read_bytes()):
                dtls.receive_packet(packet, 0.0)
            dtls.handle_timer(40.0)
            (event,) = events_of(dtls)
            assert isinstance(event, DtlsClosed)


def test_mediasoup_crashes() -> None:
    """Datagrams that once crashed another media server."""
    for path in require_corpus("mediasoup-worker-crashes"):
        for dtls in stages():
            dtls.receive_packet(path.read_bytes(), 0.0)
            assert dtls.state is DtlsState.HANDSHAKING
