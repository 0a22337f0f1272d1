"""After the take-over: what each kind of record does, one side at a time."""

from __future__ import annotations

import pytest

from rtcproto.dtls import DtlsCloseReason
from rtcproto.dtls.connected import Connected
from rtcproto.dtls.events import Counters
from rtcproto.dtls.flight import FinalFlight
from rtcproto.dtls.keying import derive_record_keys
from rtcproto.dtls.protection import RecordLayer
from rtcproto.dtls.record import Record, build_record, parse_records
from tests.dtls.test_protection import NAMES

FINISHED = b"\x14\x00\x00\x0c" + bytes(20)
HELLO = b"\x01\x00\x00\x2c" + bytes(52)


class Side:
    """A server just after the take-over, the client's record layer, and the counters."""

    def __init__(self, cipher: str = NAMES[0], *, final: bool = True) -> None:
        secrets = bytes(48), b"c" * 32, b"s" * 32
        self.counters = Counters()
        self.client = RecordLayer(derive_record_keys(cipher, *secrets, True), 0)
        self.connected = Connected(
            RecordLayer(derive_record_keys(cipher, *secrets, False), 1),
            FinalFlight((b"final",), 0.1, 0.0) if final else None,
            self.counters,
        )
        self.finished = one(self.client.seal(22, FINISHED))

    def take(self, content_type: int, data: bytes, now: float = 1.0) -> bool:
        """Receive what the client seals now."""
        return self.connected.receive(one(self.client.seal(content_type, data)), now)


def one(raw: bytes) -> Record:
    """The record that is all of `raw`."""
    (record,) = parse_records(raw)
    return record


@pytest.mark.parametrize("cipher", NAMES)
def test_data(cipher: str) -> None:
    """Delivered once, in order of arrival; a replay and a forgery are told apart."""
    side = Side(cipher)
    raw = side.client.seal(23, b"one")
    assert side.connected.receive(one(raw), 1.0)
    assert not side.connected.receive(one(raw), 1.0)
    assert not side.connected.receive(one(build_record(23, 1, 50, bytes(40))), 1.0)
    assert side.take(23, b"two")
    assert side.take(23, b"")
    assert side.connected.received == [b"one", b"two"]
    assert side.counters.dropped == {"replayed": 1, "unauthentic": 1}


def test_finished_counts_as_seen() -> None:
    """Its number moves the window; a forged record beside it does not."""
    side = Side()
    side.connected.finished(one(build_record(22, 1, 1000, bytes(40))))
    assert side.connected.layer.window.top == -1
    side.connected.finished(side.finished)
    side.connected.finished(side.finished)
    assert side.connected.layer.window.top == 0
    assert not side.connected.layer.window.accepts(0)


def test_finished_again_draws_the_final_flight() -> None:
    """Byte for byte, at most every 100 ms, whether it was sealed anew or not."""
    side = Side()
    side.connected.finished(side.finished)
    for now in (1.0, 1.05, 1.2):
        assert not side.connected.receive(side.finished, now)
    assert not side.take(22, FINISHED, 1.4)
    assert side.connected.outgoing == [b"final"] * 3
    assert side.counters.flights_sent == 3
    assert side.counters.dropped == {"repeated_flight": 4}


def test_a_client_has_no_final_flight() -> None:
    """It sends nothing when the server repeats itself."""
    side = Side(final=False)
    assert not side.take(22, FINISHED)
    assert side.connected.outgoing == []


@pytest.mark.parametrize("message", [HELLO, bytes(4), b"", b"\x14"[:0]])
def test_renegotiation_is_ignored(message: bytes) -> None:
    """ClientHello, HelloRequest, nothing: counted; data goes on."""
    side = Side()
    assert not side.take(22, message)
    assert side.connected.outgoing == []
    assert side.connected.end is None
    assert side.counters.dropped == {"renegotiation": 1}
    assert side.take(23, b"on")


@pytest.mark.parametrize("level", [1, 2])
def test_close_notify(level: int) -> None:
    """It ends the association whatever its level says, and is answered in kind."""
    side = Side()
    assert side.take(21, bytes((level, 0)))
    assert side.connected.end == (DtlsCloseReason.PEER_CLOSED, "")
    assert not side.take(23, b"behind it")
    assert side.connected.received == []
    goodbye = side.connected.close()
    assert goodbye is not None
    assert side.client.open(one(goodbye)) == b"\x01\x00"


def test_a_fatal_alert() -> None:
    """The end, in words, and no goodbye."""
    side = Side()
    assert side.take(21, b"\x02\x14")
    assert side.connected.end == (DtlsCloseReason.PEER_ERROR, "fatal alert 20 (bad record mac)")
    assert side.connected.close() is None


def test_other_alerts() -> None:
    """Warnings end nothing, and neither does what is not an alert."""
    side = Side()
    for payload in (b"\x01\x64", b"\x01\x5a", b"\x00\x28"):
        assert side.take(21, payload)
    for payload in (b"", b"\x02", b"\x02\x28\x00"):
        assert side.take(21, payload)
    assert side.connected.end is None
    assert side.counters.dropped == {"malformed_record": 3}


def test_records_that_have_no_place() -> None:
    """Plaintext of any type, a protected ChangeCipherSpec, another epoch: dropped unseen."""
    side = Side()
    for content_type in (20, 21, 22, 23):
        for payload in (b"\x01\x00", FINISHED):
            assert not side.connected.receive(one(build_record(content_type, 0, 9, payload)), 1.0)
            assert not side.connected.receive(one(build_record(content_type, 2, 9, payload)), 1.0)
    assert not side.take(20, b"\x01")
    assert side.counters.dropped == {"unexpected_record": 17}
    assert side.connected.outgoing == []


def test_too_much_in_one_record() -> None:
    """An authentic record beyond 2^14 bytes is not delivered, and ends nothing."""
    side = Side()
    assert side.take(23, bytes(16385))
    assert side.connected.received == []
    assert side.counters.dropped == {"malformed_record": 1}
    assert side.take(23, bytes(16384))


def test_no_number_left_for_a_goodbye() -> None:
    """Then there is none."""
    side = Side()
    side.connected.layer.next_sequence = 1 << 48
    assert side.connected.close() is None
