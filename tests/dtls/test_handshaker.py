"""Order, gates and repeats of a handshake, one side at a time."""

from __future__ import annotations

import itertools

import pytest

from rtcproto.dtls import Role, handshaker
from rtcproto.dtls.events import Counters
from rtcproto.dtls.handshaker import Handshaker
from rtcproto.dtls.record import ContentType, Record, parse_records
from rtcproto.dtls.vetting import Refusal
from tests.support.dtls import client_hello, config, handshake_record, identity, plain_record


class Side:
    """A handshaker and its counters."""

    def __init__(self, role: Role) -> None:
        name, other = ("client", "server") if role is Role.CLIENT else ("server", "client")
        self.counters = Counters()
        self.shaker = Handshaker(config(name), role, [identity(other).fingerprint], self.counters)
        self.shaker.begin(0.0)

    def take(self, *records: Record, now: float = 0.0) -> list[Record]:
        """Receive the records of one datagram; the records that leave for it."""
        for record in records:
            self.shaker.receive(record, now)
        self.shaker.advance(now)
        return self.drain()

    def drain(self) -> list[Record]:
        """The records that wait to be sent."""
        packets, self.shaker.outgoing = self.shaker.outgoing, []
        return [record for packet in packets for record in parse_records(packet)]


def sides() -> tuple[Side, Side, list[Record]]:
    """A client, a server, and the client's hello."""
    client, server = Side(Role.CLIENT), Side(Role.SERVER)
    return client, server, client.drain()


def protected(sequence: int) -> Record:
    """A record of epoch 1 that no key made."""
    (record,) = parse_records(plain_record(23, bytes(40), sequence, epoch=1))
    return record


def protected_handshake(sequence: int) -> Record:
    """What could be Finished, and is not."""
    (record,) = parse_records(plain_record(22, bytes(40), sequence, epoch=1))
    return record


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_the_last_client_flight_in_any_order(order: tuple[int, ...]) -> None:
    """Five records (three messages, ChangeCipherSpec, Finished) in all 120 orders complete."""
    client, server, hello = sides()
    flight = client.take(*server.take(*hello))
    assert [(r.content_type, r.epoch) for r in flight] == [(22, 0)] * 3 + [(20, 0), (22, 1)]
    for index in order:
        assert not server.shaker.complete
        server.take(flight[index])
    assert server.shaker.complete


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_the_final_flight_in_any_order(order: tuple[int, ...]) -> None:
    """ChangeCipherSpec behind Finished does not cost the client a retransmission."""
    client, server, hello = sides()
    server.take(*client.take(*server.take(*hello)))
    final = [r for packet in server.shaker.finish().final for r in parse_records(packet)]
    for index in order:
        client.take(final[index])
    assert client.shaker.complete


def test_the_servers_final_flight_waits_for_the_owner() -> None:
    """Nothing leaves after the client's Finished until the certificate has been compared."""
    client, server, hello = sides()
    assert server.take(*client.take(*server.take(*hello))) == []
    assert server.shaker.complete
    (final,) = server.shaker.finish().final
    assert server.drain() == []
    assert [r.content_type for r in parse_records(final)] == [20, 22]


def test_early_protected_records_are_bounded() -> None:
    """At most 16 are held; the handshake completes behind sixteen forged ones all the same."""
    client, server, hello = sides()
    flight = client.take(*server.take(*hello))
    server.take(*[protected(99 + i) for i in range(19)])
    assert server.counters.dropped == {"early_protected": 3}
    server.take(*flight[:4])
    assert not server.shaker.complete
    server.take(flight[4])
    assert server.shaker.complete
    assert len(server.shaker.finish().early) == 15  # Finished took the place of one


def test_what_outlives_the_handshake() -> None:
    """The final flight on the server; what OpenSSL was given, and what it was not, on both."""
    client, server, hello = sides()
    flight = client.take(*server.take(*hello))
    data = [protected(n) for n in range(50, 53)]
    server.take(*data[:2], *flight[:4], protected_handshake(7), data[2])
    assert not server.shaker.complete
    server.take(flight[4], flight[4])
    handover = server.shaker.finish()
    # Three records of application data, which OpenSSL never saw.
    assert handover.early == tuple(data)
    assert flight[4] in handover.given
    assert all(r.content_type == ContentType.HANDSHAKE for r in handover.given)
    for packet in handover.final:
        client.take(*parse_records(packet))
    assert client.shaker.complete
    kept = client.shaker.finish()
    assert kept.final == ()
    assert [r.content_type for r in kept.given] == [22]


def test_what_openssl_was_given_is_bounded() -> None:
    """Of a hundred forged records the last sixteen are remembered, and Finished is among them."""
    client, server, hello = sides()
    flight = client.take(*server.take(*hello))
    server.take(*flight[:4])
    for sequence in range(100):
        server.take(protected_handshake(sequence))
    server.take(flight[4])
    given = server.shaker.finish().given
    assert len(given) == 16
    assert given[-1] == flight[4]


def test_no_protected_records_before_a_hello() -> None:
    """Nothing of the kind can be there yet."""
    server = Side(Role.SERVER)
    server.take(protected(0))
    assert server.counters.dropped == {"early_protected": 1}


def test_records_that_have_no_place() -> None:
    """Application data in plaintext, misshapen ChangeCipherSpec and alerts, later epochs."""
    server = Side(Role.SERVER)
    for packet in (
        plain_record(23, b"data"),
        plain_record(20, b"\x02"),
        plain_record(20, b""),
        plain_record(21, b"\x02"),
        plain_record(22, b"data", epoch=2),
    ):
        assert not server.shaker.receive(parse_records(packet)[0], 0.0)
    assert server.counters.dropped == {"unexpected_record": 5}


def test_an_early_change_cipher_spec_is_kept_for_its_turn() -> None:
    """It is noted, does not reach OpenSSL before its turn, and does no harm."""
    client, server, hello = sides()
    ccs = parse_records(plain_record(20, b"\x01"))
    flight = client.take(*server.take(*ccs, *hello))
    server.take(*[r for r in flight if r.content_type != ContentType.CHANGE_CIPHER_SPEC])
    assert server.shaker.complete


def test_a_hello_that_openssl_refuses() -> None:
    """It costs the connection, which is made anew, and the next hello is answered."""
    _, server, hello = sides()
    # Vetting sees a point format list; that "uncompressed" is missing is for OpenSSL to see.
    bad = client_hello(extensions={
        23: b"", 10: bytes.fromhex("0002001d"), 11: b"\x05\x00", 13: bytes.fromhex("00020403"),
        14: bytes.fromhex("0002000700"),
    })  # fmt: skip
    assert server.take(*parse_records(handshake_record(1, bad))) == []
    assert server.counters.restarts == 1
    assert server.shaker.failure is None
    assert server.take(*hello)


def test_a_server_hello_that_openssl_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should one get past the vetting, the client says hello again instead of ending."""
    client, _, hello = sides()
    monkeypatch.setattr(handshaker, "vet", lambda *_args: None)
    again = client.take(*parse_records(handshake_record(2, bytes(60))))
    assert client.counters.restarts == 1
    assert client.shaker.failure is None
    assert [r.payload[0] for r in again] == [r.payload[0] for r in hello] == [1]
    assert again[0].sequence == 1
    assert again[0].payload != hello[0].payload


def test_a_repeated_hello_draws_the_flight_again() -> None:
    """RFC 6347 section 4.2.4: a repeat shows that our flight was lost; once per 100 ms."""
    _, server, hello = sides()
    first = server.take(*hello)
    assert server.take(*hello, now=0.05) == []
    assert [r.payload for r in server.take(*hello, now=0.1)] == [r.payload for r in first]
    assert server.counters.messages_processed == 1


def test_an_incomplete_last_flight_draws_nothing() -> None:
    """Repeats of what our flight does not answer are no sign that it was lost."""
    client, server, hello = sides()
    certificate = client.take(*server.take(*hello))[0]
    server.take(certificate)
    assert server.take(certificate, now=0.5) == []


def test_the_report() -> None:
    """What was refused and alerted last, for the closing event."""
    server = Side(Role.SERVER)
    assert server.shaker.report() == ""
    server.take(*parse_records(handshake_record(1, client_hello(suites=[]))))
    server.take(*parse_records(plain_record(21, b"\x02\x28")))
    assert server.shaker.last_refusal is Refusal.NO_SUITE
    assert server.shaker.report() == (
        "last message refused: no cipher suite of ours; "
        "last in plaintext: fatal alert 40 (handshake failure)"
    )
