"""Queues per stream: RFC 9260 section 6.9, RFC 8831 section 6.6."""

from __future__ import annotations

from rtcproto.sctp.send_queue import MESSAGE_OVERHEAD, Message, SendQueue

FULL = 1000


def drain(queue: SendQueue, room: int = FULL) -> list[tuple[int, int, int]]:
    """(stream, start, end) until nothing is left."""
    out = []
    while (taken := queue.take(room, room, 0.0)) is not None:
        out.append((taken[0].stream, taken[1], taken[2]))
    return out


def test_a_large_message_is_cut() -> None:
    """6.9: fragments follow each other."""
    queue = SendQueue()
    queue.add(Message(1, 51, bytes(2500)))
    assert drain(queue) == [(1, 0, 1000), (1, 1000, 2000), (1, 2000, 2500)]
    assert queue.empty


def test_streams_take_turns_message_by_message() -> None:
    """A long queue on one stream does not hold up another; fragments are not mixed."""
    queue = SendQueue()
    for _ in range(3):
        queue.add(Message(1, 51, bytes(1500)))
    queue.add(Message(2, 51, bytes(10)))
    assert [stream for stream, _, _ in drain(queue)] == [1, 1, 2, 1, 1, 1, 1]


def test_a_message_is_not_cut_to_fill_a_packet() -> None:
    """One that fits the next packet waits for it."""
    queue = SendQueue()
    queue.add(Message(1, 51, bytes(900)))
    assert queue.take(500, FULL, 0.0) is None
    assert not queue.empty
    assert queue.take(FULL, FULL, 0.0) is not None


def test_sequence_numbers() -> None:
    """Per stream, for ordered messages only, modulo 2^16; from 0 after a reset."""
    queue = SendQueue()
    messages = [Message(1, 51, b"a"), Message(1, 51, b"b", ordered=False), Message(2, 51, b"c")]
    messages.append(Message(1, 51, b"d"))
    for message in messages:
        queue.add(message)
    drain(queue)
    assert [message.ssn for message in messages] == [0, 0, 0, 1]
    queue.reset(1)
    again = Message(1, 51, b"e")
    queue.add(again)
    drain(queue)
    assert again.ssn == 0
    for _ in range(0x10000):
        queue.add(again)
        queue.take(FULL, FULL, 0.0)
        again.offset = 0
    assert again.ssn == 0


def test_an_expired_message_is_dropped_before_it_is_begun() -> None:
    """RFC 3758 section 3.5: it leaves no hole in the numbers."""
    queue = SendQueue()
    queue.add(Message(1, 51, b"late", expires=5.0))
    kept = Message(1, 51, b"kept")
    queue.add(kept)
    taken = queue.take(FULL, FULL, 5.0)
    assert taken is not None
    assert taken[0] is kept
    assert kept.ssn == 0
    assert queue.dropped() == [1]
    assert queue.dropped() == []


def test_amounts() -> None:
    """What waits is counted by stream; the charge has the overhead of each message."""
    queue = SendQueue()
    queue.add(Message(1, 51, bytes(100)))
    queue.add(Message(1, 51, bytes(50)))
    assert queue.buffered(1) == 150
    assert queue.charge == 150 + 2 * MESSAGE_OVERHEAD
    queue.take(FULL, FULL, 0.0)
    assert queue.buffered(1) == 50
    drain(queue)
    assert queue.buffered(1) == queue.charge == 0
    assert not queue.is_waiting(1)


def test_low_water() -> None:
    """Reported once, when the amount falls to the threshold."""
    queue = SendQueue()
    queue.set_threshold(1, 100)
    for _ in range(3):
        queue.add(Message(1, 51, bytes(100)))
    queue.take(FULL, FULL, 0.0)
    assert queue.low() == []
    queue.take(FULL, FULL, 0.0)
    assert queue.low() == [1]
    queue.take(FULL, FULL, 0.0)
    assert queue.low() == []


def test_the_rest_of_an_abandoned_message_is_dropped() -> None:
    """What has no TSN yet gets none."""
    queue = SendQueue()
    message = Message(1, 51, bytes(2500))
    queue.add(message)
    queue.take(FULL, FULL, 0.0)
    queue.drop_rest(message)
    assert queue.empty
    assert queue.charge == 0
    queue.drop_rest(message)
    assert queue.charge == 0
