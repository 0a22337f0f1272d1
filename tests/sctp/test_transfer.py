"""Data both ways: the glue, its timers and its events."""

from __future__ import annotations

import attrs
import pytest

from rtcproto.errors import UsageError
from rtcproto.sctp import (
    BufferedAmountLow,
    MessageReceived,
    ResetDone,
    SctpConfig,
    SctpEvent,
    StreamsReset,
)
from rtcproto.sctp.chunks import Data, ForwardTsn, Sack
from rtcproto.sctp.control_chunks import Error, Heartbeat, HeartbeatAck, ReConfig
from rtcproto.sctp.events import AssociationState
from rtcproto.sctp.handshake import Agreement, Feature
from rtcproto.sctp.packet import Chunk, Packet
from rtcproto.sctp.parameters import Cause, Parameter
from rtcproto.sctp.send_queue import Message
from rtcproto.sctp.transfer import Transfer, measure
from rtcproto.sctp.writer import Writer
from tests.support.sctp import seeded

CONFIG = SctpConfig()
ALL = Feature.FORWARD_TSN | Feature.RECONFIGURATION
AGREED = Agreement(1, 2, 100, 200, 1_000_000, 10, 10, ALL)


def pair(agreement: Agreement = AGREED) -> tuple[Transfer, Transfer]:
    """Two ends at 0.0."""
    turned = attrs.evolve(agreement, our_tsn=agreement.their_tsn, their_tsn=agreement.our_tsn)
    return (
        Transfer(CONFIG, agreement, seeded(1), 0.0),
        Transfer(CONFIG, turned, seeded(2), 0.0),
    )


def chunks(transfer: Transfer, now: float) -> list[Chunk]:
    """What leaves now."""
    bodies = transfer.packets([], now)
    return [c for body in bodies for c in Packet.parse(bytes(12) + body, True).chunks]


def carry(source: Transfer, target: Transfer, now: float) -> list[Chunk]:
    """Bring over what leaves now."""
    carried = chunks(source, now)
    for chunk in carried:
        target.receive(chunk, now)  # type: ignore[arg-type]
    target.end_packet(now)
    return carried


def settle(first: Transfer, second: Transfer, now: float) -> list[SctpEvent]:
    """Until neither has anything to say; the events of the second."""
    while carry(first, second, now) or carry(second, first, now):
        pass
    return second.next_events()


def test_a_message_and_its_acknowledgement() -> None:
    """The I bit brings the SACK at once; the timers end."""
    first, second = pair()
    first.send(Message(1, 51, b"hello"))
    assert isinstance(carry(first, second, 0.0)[0], Data)
    assert second.next_events() == [MessageReceived(1, 51, b"hello")]
    assert first.get_timer() == CONFIG.rto_initial
    assert [type(c) for c in carry(second, first, 0.1)] == [Sack]
    assert first.get_timer() == CONFIG.heartbeat_interval
    assert BufferedAmountLow(stream=1) in first.next_events()


def test_an_acknowledgement_is_held_back_for_a_while() -> None:
    """RFC 9260 section 6.2."""
    _, second = pair()
    second.receive(Data(100, 1, 0, 51, b"x"), 0.0)
    second.end_packet(0.0)
    assert chunks(second, 0.0) == []
    assert second.get_timer() == CONFIG.sack_delay
    second.handle_timer(CONFIG.sack_delay)
    assert [type(c) for c in chunks(second, CONFIG.sack_delay)] == [Sack]


def test_an_acknowledgement_goes_along_with_data() -> None:
    """RFC 9260 section 6.2: bundled, and the delay ends."""
    _, second = pair()
    second.receive(Data(100, 1, 0, 51, b"x"), 0.0)
    second.end_packet(0.0)
    second.send(Message(1, 51, b"answer"))
    assert [type(c) for c in chunks(second, 0.05)] == [Sack, Data]


def test_a_stream_is_reset_after_its_data() -> None:
    """RFC 6525 section 5.1.2 and RFC 8831 section 6.7."""
    first, second = pair()
    first.send(Message(1, 51, bytes(50_000)))
    first.reset([1])
    with pytest.raises(UsageError):
        first.send(Message(1, 51, b"late"))
    events = settle(first, second, 0.0)
    assert [type(event) for event in events] == [MessageReceived, StreamsReset]
    assert ResetDone(streams=(1,), accepted=True) in first.next_events()
    first.send(Message(1, 51, b"again"))
    assert settle(first, second, 0.1) == [MessageReceived(1, 51, b"again")]


def test_a_reset_request_is_repeated_as_it_was() -> None:
    """RFC 6525 section 5.1.1: the same sequence number."""
    first, second = pair()
    first.reset([1])
    (lost,) = chunks(first, 0.0)
    assert isinstance(lost, ReConfig)
    first.handle_timer(CONFIG.rto_initial)
    assert carry(first, second, CONFIG.rto_initial) == [lost]
    settle(second, first, 1.0)
    assert not first.sender.failures


def test_a_time_out_sends_again_and_arms_again() -> None:
    """The contract: the next deadline lies ahead."""
    first, _ = pair()
    first.send(Message(1, 51, b"x"))
    before = chunks(first, 0.0)
    first.handle_timer(1.0)
    (again,) = chunks(first, 1.0)
    assert [again] == before
    assert first.get_timer() == 3.0


def test_heartbeats() -> None:
    """RFC 9260 section 8.3: while nothing is said, answered and counted."""
    first, second = pair()
    interval = CONFIG.heartbeat_interval
    first.handle_timer(interval)
    assert [type(c) for c in carry(first, second, interval)] == [Heartbeat]
    assert [type(c) for c in carry(second, first, interval + 0.05)] == [HeartbeatAck]
    assert first.sender.rto.smoothed == pytest.approx(0.05)
    deadline = first.get_timer()
    assert deadline is not None
    first.handle_timer(deadline)
    chunks(first, deadline)
    deadline = first.get_timer()
    assert deadline is not None
    first.handle_timer(deadline)
    assert first.sender.failures == 1


def test_what_was_not_agreed_on() -> None:
    """No FORWARD-TSN: limits on reliability are lifted; no RE-CONFIG: no reset."""
    first, second = pair(attrs.evolve(AGREED, features=Feature.NONE))
    message = Message(1, 51, b"x", max_retransmits=0, expires=1.0)
    first.send(message)
    assert (message.max_retransmits, message.expires) == (None, None)
    with pytest.raises(UsageError):
        first.reset([1])
    second.receive(ForwardTsn(150), 0.0)
    assert second.receiver.cumulative == 99


@pytest.mark.parametrize("stream", [-1, 10])
def test_streams_that_were_not_agreed_on(stream: int) -> None:
    """At once, and with nothing queued."""
    first, _ = pair()
    with pytest.raises(UsageError):
        first.send(Message(stream, 51, b"x"))
    with pytest.raises(UsageError):
        first.reset([stream])


def test_data_on_a_stream_that_does_not_exist() -> None:
    """RFC 9260 section 6.5: an ERROR, once."""
    _, second = pair()
    second.receive(Data(100, 10, 0, 51, b"x", immediate=True), 0.0)
    second.end_packet(0.0)
    out = chunks(second, 0.0)
    assert Error((Parameter(Cause.INVALID_STREAM, b"\0\x0a\0\0"),)) in out
    assert chunks(second, 0.0) == []


def test_figures() -> None:
    """Before there is data they are zero or not known."""
    writer = Writer(1, 2)
    stats = measure(AssociationState.CLOSED, writer, (1, 2, 3), None)
    assert (stats.packets_received, stats.bytes_received, stats.packets_dropped) == (1, 2, 3)
    assert stats.round_trip_time is None
    first, _ = pair()
    first.send(Message(1, 51, b"x"))
    chunks(first, 0.0)
    stats = measure(AssociationState.ESTABLISHED, writer, (0, 0, 0), first)
    assert (stats.messages_sent, stats.bytes_in_flight) == (1, 20)


def test_stop() -> None:
    """No deadline is left."""
    first, _ = pair()
    first.stop()
    assert first.get_timer() is None
