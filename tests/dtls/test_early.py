"""Records that come before they can be opened: bounded, and Finished has precedence."""

from __future__ import annotations

from rtcproto.dtls.early import MAX_HELD, EarlyRecords
from rtcproto.dtls.record import ContentType, Record, build_record


def record(content_type: ContentType, sequence: int) -> Record:
    """A record of epoch 1."""
    payload = bytes(30)
    return Record(
        content_type, 1, sequence, payload, build_record(content_type, 1, sequence, payload)
    )


def data(sequence: int) -> Record:
    """Application data, as far as anyone can tell."""
    return record(ContentType.APPLICATION_DATA, sequence)


def handshake(sequence: int) -> Record:
    """What may be Finished."""
    return record(ContentType.HANDSHAKE, sequence)


def test_sixteen_are_held() -> None:
    """The first sixteen stay; what comes after them is dropped."""
    early = EarlyRecords()
    records = [data(n) for n in range(20)]
    dropped = [early.hold(r) for r in records]
    assert dropped[:MAX_HELD] == [None] * MAX_HELD
    assert dropped[MAX_HELD:] == records[MAX_HELD:]
    assert early.take() == records[:MAX_HELD]
    assert early.take() == []


def test_a_handshake_record_takes_the_place_of_data() -> None:
    """The oldest other record goes; when there is none, the newcomer."""
    early = EarlyRecords()
    records = [data(n) for n in range(MAX_HELD)]
    for held in records:
        early.hold(held)
    finished = handshake(99)
    assert early.hold(finished) is records[0]
    assert early.take_handshake() == [finished]
    assert early.take() == records[1:]
    repeats = [handshake(n) for n in range(MAX_HELD)]
    assert [early.hold(r) for r in repeats] == [None] * MAX_HELD
    assert early.hold(finished) is finished


def test_kinds_are_taken_apart() -> None:
    """Handshake records in order, and the others in order, each once."""
    early = EarlyRecords()
    for held in (data(1), handshake(0), data(3), handshake(2)):
        early.hold(held)
    assert [r.sequence for r in early.take_handshake()] == [0, 2]
    assert early.take_handshake() == []
    assert [r.sequence for r in early.take()] == [1, 3]
