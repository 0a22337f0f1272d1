"""The receiving half: what is taken, and what is said about it."""

from __future__ import annotations

import pytest

from rtcproto.errors import PeerError
from rtcproto.sctp import SctpConfig
from rtcproto.sctp.chunks import Data, ForwardTsn
from rtcproto.sctp.data_tracker import MAX_AHEAD, Acknowledge
from rtcproto.sctp.receiver import Receiver

CONFIG = SctpConfig(receive_window=10_000, max_entries=4)


def fresh() -> Receiver:
    """From TSN 10, four streams."""
    return Receiver(CONFIG, 10, 4)


def data(tsn: int, ssn: int = 0, stream: int = 1, payload: bytes = b"x") -> Data:
    """A message in one chunk."""
    return Data(tsn, stream, ssn, 51, payload)


def test_messages_and_acknowledgements() -> None:
    """In order; a duplicate is no second message."""
    receiver = fresh()
    assert len(receiver.receive_data(data(10))) == 1
    assert receiver.receive_data(data(10)) == []
    assert receiver.end_packet()
    assert not receiver.end_packet()
    assert receiver.due is Acknowledge.NOW
    assert receiver.sack().duplicates == (10,)
    assert receiver.received == 1
    assert receiver.cumulative == 10


def test_empty_data_ends_it() -> None:
    """RFC 9260 section 6.2."""
    with pytest.raises(PeerError):
        fresh().receive_data(data(10, payload=b""))


def test_a_stream_that_was_not_agreed_on() -> None:
    """6.5: acknowledged, reported, not delivered."""
    receiver = fresh()
    assert receiver.receive_data(data(10, stream=4)) == []
    assert receiver.invalid_stream == 4
    assert receiver.cumulative == 10


def test_c5_without_room_only_the_next_in_line_is_taken() -> None:
    """C5: what is dropped is not acknowledged, so it comes again; what makes room is taken."""
    receiver = fresh()
    for ssn in range(1, 5):
        receiver.receive_data(data(10 + ssn, ssn))
    assert receiver.receive_data(data(15, 5)) == []
    receiver.end_packet()
    assert receiver.sack().gaps == ((2, 5),)
    assert [m.data for m in receiver.receive_data(data(10))] == [b"x"] * 5
    assert receiver.charge == 0
    assert len(receiver.receive_data(data(15, 5))) == 1


def test_c5_gaps_are_capped_even_where_nothing_is_held() -> None:
    """C5: unordered messages are delivered at once, but the gaps between them are remembered."""
    receiver = fresh()
    for tsn in range(11, 31, 2):
        receiver.receive_data(Data(tsn, 1, 0, 51, b"x", unordered=True))
    receiver.end_packet()
    assert len(receiver.sack().gaps) == CONFIG.max_entries == receiver.received


def test_c5_a_peer_that_ignores_every_limit() -> None:
    """C5: next in line without end, and never complete: over twice the limit it is over."""
    receiver = fresh()
    for number in range(8):
        receiver.receive_data(Data(10 + number, 1, 0, 51, b"x", number == 0, False))
    with pytest.raises(PeerError):
        receiver.receive_data(Data(18, 1, 0, 51, b"x", False, False))


def test_c4_a_jump_beyond_the_window() -> None:
    """C4: not plausible, no effect, but an answer; a stream we do not know is not made."""
    receiver = fresh()
    receiver.receive_forward_tsn(ForwardTsn(10 + MAX_AHEAD, ((1, 5),)))
    assert receiver.cumulative == 9
    assert receiver.end_packet()
    receiver.receive_forward_tsn(ForwardTsn(12, ((1, 5), (4, 9))))
    assert receiver.cumulative == 12
    assert len(receiver.receive_data(data(13, 6))) == 1


def test_reset() -> None:
    """The stream starts over."""
    receiver = fresh()
    receiver.receive_data(data(10))
    assert receiver.reset((1,)) == (1,)
    assert len(receiver.receive_data(data(11, 0))) == 1


def test_holding_back_ends() -> None:
    """The owner's timer."""
    receiver = fresh()
    receiver.receive_data(data(10))
    receiver.end_packet()
    assert receiver.due is Acknowledge.DELAYED
    receiver.acknowledge_now()
    assert receiver.due is Acknowledge.NOW
