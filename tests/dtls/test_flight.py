"""Retransmission, RFC 6347 section 4.2.4: our own timer, numbers and budget."""

from __future__ import annotations

from rtcproto.dtls.events import Counters
from rtcproto.dtls.flight import MAX_BYTES, MAX_FLIGHTS, FinalFlight, Flight
from rtcproto.dtls.keying import derive_record_keys
from rtcproto.dtls.protection import RecordLayer
from rtcproto.dtls.record import ContentType, Record, build_record, parse_records
from tests.support.dtls import config


def record(sequence: int, payload: bytes = b"payload", epoch: int = 0) -> Record:
    """A handshake record as OpenSSL would number it."""
    raw = build_record(ContentType.HANDSHAKE, epoch, sequence, payload)
    return Record(ContentType.HANDSHAKE, epoch, sequence, payload, raw)


def new_flight() -> Flight:
    """A flight under the default configuration."""
    return Flight(config(), Counters())


def test_intervals() -> None:
    """100 ms, doubling, at most 3 s; 14 flights in the 30 s of a handshake."""
    flight = new_flight()
    assert flight.replace([record(0)], 0.0)
    sent = [0.0]
    while flight.deadline is not None and flight.deadline < 30:
        now = flight.deadline
        assert flight.handle_timer(now - 0.001) == []
        assert flight.handle_timer(now)
        sent.append(round(now, 3))
    assert sent == [0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.1, 9.1, 12.1, 15.1, 18.1, 21.1, 24.1, 27.1]
    assert len(sent) == MAX_FLIGHTS


def test_no_more_than_the_budget() -> None:
    """After 14 flights there is no timer any more, and repeats of the peer's draw nothing."""
    flight = new_flight()
    flight.replace([record(0)], 0.0)
    for _ in range(MAX_FLIGHTS - 1):
        assert flight.deadline is not None
        assert flight.handle_timer(flight.deadline)
    assert flight.deadline is not None
    assert flight.handle_timer(flight.deadline) == []
    assert flight.deadline is None
    assert flight.answer_repeat(1000.0) == []


def test_bytes_are_bounded_over_all_flights() -> None:
    """16 KiB towards a peer that has proved nothing, even if it makes us begin again."""
    flight = new_flight()
    total = 0
    for now in range(100):
        for datagram in flight.replace([record(0, bytes(1000))], float(now)):
            total += len(datagram)
    assert MAX_BYTES - 1100 < total <= MAX_BYTES


def test_a_new_flight_starts_over() -> None:
    """The peer's answer resets interval and count."""
    flight = new_flight()
    flight.replace([record(0)], 0.0)
    for _ in range(4):
        assert flight.deadline is not None
        flight.handle_timer(flight.deadline)
    flight.replace([record(1)], 10.0)
    assert flight.deadline == 10.1


def test_every_record_gets_a_new_number() -> None:
    """Plaintext is renumbered, and Finished sealed anew: the same text, another nonce."""
    flight = new_flight()
    keys = derive_record_keys(
        "ECDHE-ECDSA-AES128-GCM-SHA256", bytes(48), bytes(32), bytes(32), True
    )
    (finished,) = parse_records(RecordLayer(keys, 0).seal(22, b"finished"))
    layer = RecordLayer(keys, 5)
    sent = flight.replace([record(7), record(8), finished], 0.0, layer)
    assert flight.deadline is not None
    sent += flight.handle_timer(flight.deadline) + flight.answer_repeat(10.0)
    records = [r for datagram in sent for r in parse_records(datagram)]
    assert [(r.epoch, r.sequence) for r in records] == [
        *[(0, 0), (0, 1), (1, 0)],
        *[(0, 2), (0, 3), (1, 5)],
        *[(0, 4), (0, 5), (1, 6)],
    ]
    peer = RecordLayer(keys.mirrored(), 0)
    assert [peer.open(r) for r in records if r.epoch] == [b"finished"] * 3
    assert layer.next_sequence == 7


def test_datagrams_fit_the_mtu() -> None:
    """Records are put together up to the MTU."""
    flight = Flight(config(mtu=300), Counters())
    datagrams = flight.replace([record(i, bytes(120)) for i in range(5)], 0.0)
    assert [len(parse_records(datagram)) for datagram in datagrams] == [2, 2, 1]
    assert max(map(len, datagrams)) <= 300


def test_answering_repeats_is_rate_limited() -> None:
    """A repeat of the peer's draws our flight once per 100 ms, and restarts the timer."""
    flight = new_flight()
    flight.replace([record(0)], 0.0)
    assert flight.answer_repeat(0.05) == []
    assert flight.answer_repeat(0.1)
    assert flight.answer_repeat(0.15) == []
    assert flight.deadline == 0.2


def test_the_end_of_the_handshake() -> None:
    """The last flight goes out at once, and no timer runs any more."""
    flight = new_flight()
    flight.replace([record(0)], 0.0)
    final = [record(1), record(0, b"ciphertext", epoch=1)]
    (datagram,) = flight.finish(final)
    assert [(r.epoch, r.sequence) for r in parse_records(datagram)] == [(0, 1), (1, 0)]
    assert flight.deadline is None
    assert flight.handle_timer(100.0) == []
    assert flight.finish([]) == []


def test_the_final_flight() -> None:
    """Again on request only, byte for byte, at most every 100 ms."""
    final = FinalFlight((b"one", b"two"), 0.1, 1.0)
    assert final.repeat(1.05) == ()
    assert final.repeat(1.1) == (b"one", b"two")
    assert final.repeat(1.15) == ()
    assert final.repeat(1.25) == (b"one", b"two")
