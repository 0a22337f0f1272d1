"""OpenSSL behind its window: records in and out, no clock, no exceptions."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from rtcproto.dtls import Role
from rtcproto.dtls.engine import MAX_PENDING, Engine
from rtcproto.dtls.handshake import parse_fragments
from rtcproto.dtls.reassembly import Message
from rtcproto.dtls.record import ContentType, Record, build_record, parse_records
from tests.support.dtls import client_hello, config, plain_record


def message_of(record: Record) -> Message:
    """The whole message in a record."""
    (fragment,) = parse_fragments(record.payload)
    return Message(fragment.message_type, fragment.sequence, fragment.body)


def give(engine: Engine, records: list[Record]) -> list[Record]:
    """Feed everything, then step."""
    for record in records:
        if record.epoch:
            engine.give_protected(record)
        elif record.content_type == ContentType.CHANGE_CIPHER_SPEC:
            engine.give_change_cipher_spec()
        else:
            engine.give_message(message_of(record))
    return engine.step()


def connected() -> tuple[Engine, Engine]:
    """A client and a server that have finished their handshake."""
    client, server = Engine(config("client"), Role.CLIENT), Engine(config("server"), Role.SERVER)
    records = give(server, client.step())
    records = give(server, give(client, records))
    assert server.complete
    give(client, records)
    assert client.complete
    return client, server


def test_flights() -> None:
    """The flights of RFC 6347 figure 1, without cookie and tickets, cut into records."""
    client, server = Engine(config("client"), Role.CLIENT), Engine(config("server"), Role.SERVER)
    hello = client.step()
    assert [message_of(r).message_type for r in hello] == [1]
    answer = give(server, hello)
    assert [message_of(r).message_type for r in answer] == [2, 11, 12, 13, 14]
    reply = give(client, answer)
    assert [(r.content_type, r.epoch) for r in reply] == [(22, 0)] * 3 + [(20, 0), (22, 1)]
    final = give(server, reply)
    assert [(r.content_type, r.epoch) for r in final] == [(20, 0), (22, 1)]
    assert give(client, final) == []


def test_openssl_resends_are_swallowed() -> None:
    """What OpenSSL sends a second time by its own timer, under new numbers, does not come out."""
    client, server = Engine(config("client"), Role.CLIENT), Engine(config("server"), Role.SERVER)
    hello = client.step()
    answer = give(server, hello)
    reply = give(client, answer)
    assert client._fresh(hello + reply) == []
    assert server._fresh(answer) == []
    final = give(server, reply)
    assert server._fresh(answer + final) == []


def test_large_messages_pass_in_pieces() -> None:
    """A message beyond one record goes through OpenSSL's read buffer without loss."""
    client, server = Engine(config("client"), Role.CLIENT), Engine(config("server"), Role.SERVER)
    answer = give(server, client.step())
    messages = [message_of(record) for record in answer]
    leaf = config("server").identity.certificate_der
    entry = len(leaf).to_bytes(3, "big") + leaf
    chain = entry * (30_000 // len(entry))
    body = len(chain).to_bytes(3, "big") + chain
    assert len(body) > 2 * MAX_PENDING
    for message in messages:
        if message.message_type == 11:
            message = Message(11, message.sequence, body)
        assert client.give_message(message) == []
        assert client.step() == [] or message.message_type == 14
    assert client.failure is None
    assert client.peer_certificate() == leaf


def test_where_our_sequence_numbers_may_begin() -> None:
    """Behind Finished, the one record that each side has sealed, and behind a resend of it."""
    client, server = connected()
    assert client.free_sequence == server.free_sequence == 1


def test_sealed_records_count_although_they_are_swallowed() -> None:
    """What OpenSSL seals is remembered at the source, its own resends included."""
    client, server = Engine(config("client"), Role.CLIENT), Engine(config("server"), Role.SERVER)
    reply = give(client, give(server, client.step()))
    (finished,) = [record for record in reply if record.epoch]
    assert client.free_sequence == 1
    again = build_record(22, 1, 6, finished.payload)
    client._connection = _Repeating(again)  # type: ignore[assignment]
    assert client.step() == []
    assert client.free_sequence == 7
    clashing = build_record(22, 1, 7, (1 << 48 | 500).to_bytes(8, "big") + finished.payload[8:])
    client._connection = _Repeating(clashing)  # type: ignore[assignment]
    assert client.step() == []
    assert client.free_sequence == 501


class _Repeating:
    """A connection that writes one record by itself."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def do_handshake(self) -> None:
        """Still waiting for the peer."""
        raise SSL.WantReadError

    def bio_read(self, _size: int) -> bytes:
        """The record."""
        return self._raw


def test_forged_records_have_no_effect() -> None:
    """What fails its tag, of any size, neither completes nor ends the handshake; Finished does."""
    client, server = Engine(config("client"), Role.CLIENT), Engine(config("server"), Role.SERVER)
    reply = give(client, give(server, client.step()))
    *plain, finished = reply
    assert give(server, plain) == []
    for size in (*range(60), 1 << 14, (1 << 14) + 40):
        (forged,) = parse_records(plain_record(22, bytes(size), 99, epoch=1))
        server.give_protected(forged)
        assert server.step() == []
    assert server.failure is None
    assert not server.complete
    assert give(server, [finished])
    assert server.complete


def test_failure_is_final_and_in_words() -> None:
    """A hello that OpenSSL refuses: a reason, no exception, and nothing works after it."""
    server = Engine(config("server"), Role.SERVER)
    server.give_message(Message(1, 0, client_hello(suites=[0x003B])))
    records = server.step()
    assert server.failure == "no shared cipher"
    assert {record.content_type for record in records} <= {ContentType.ALERT}
    server.give_message(Message(1, 0, client_hello()))
    server.step()
    assert not server.complete
    assert server.failure == "no shared cipher"


@given(st.sampled_from(Role), st.integers(0, 20), st.binary(max_size=300))
def test_any_message(role: Role, message_type: int, body: bytes) -> None:
    """Even what the vetting would have kept out raises nothing."""
    engine = Engine(config(), role)
    engine.step()
    engine.give_message(Message(message_type, 0, body))
    engine.step()
    assert not engine.complete


@pytest.mark.parametrize("wanted", [(1, 7, 8), (7, 8, 1), (8, 1, 7)])
def test_the_server_chooses_the_profile(wanted: tuple[int, ...]) -> None:
    """RFC 5764 section 4.1.1: the server selects; by its own order, not by the client's."""
    client = Engine(config("client", profiles=(7, 1, 8)), Role.CLIENT)
    server = Engine(config("server", profiles=wanted), Role.SERVER)
    give(client, give(server, give(client, give(server, client.step()))))
    names = {1: b"SRTP_AES128_CM_SHA1_80", 7: b"SRTP_AEAD_AES_128_GCM", 8: b"SRTP_AEAD_AES_256_GCM"}
    assert client.connection.get_selected_srtp_profile() == names[wanted[0]]


@pytest.mark.live
def test_openssl_timer_fires_and_nobody_notices() -> None:
    """After a real second OpenSSL resends by itself; what it wrote again does not come out."""
    client, server = Engine(config("client"), Role.CLIENT), Engine(config("server"), Role.SERVER)
    hello = client.step()
    time.sleep(1.1)
    timeout = client.connection.DTLSv1_get_timeout()
    assert timeout == 0  # it is due
    assert client.step() == []
    answer = give(server, hello)
    time.sleep(1.1)
    reply = give(client, answer)
    assert len(reply) == 5
    final = give(server, reply)
    assert [(r.content_type, r.epoch) for r in final] == [(20, 0), (22, 1)]
    assert server.complete
