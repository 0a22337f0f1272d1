"""Stream reconfiguration: RFC 6525."""

from __future__ import annotations

import pytest

from rtcproto.errors import ParseError
from rtcproto.sctp.parameters import Parameter, ParameterType
from rtcproto.sctp.stream_reset import MAX_STREAMS_PER_REQUEST, Answer, Result, StreamReset

OURS, THEIRS = 1000, 2000


def fresh() -> StreamReset:
    """Ten streams in, at most twenty."""
    return StreamReset(OURS, THEIRS, 10, 20)


def words(*values: int) -> bytes:
    """32-bit numbers."""
    return b"".join(value.to_bytes(4, "big") for value in values)


def request(sequence: int, last_tsn: int, *streams: int) -> Parameter:
    """The peer's outgoing reset request."""
    value = words(sequence, 0, last_tsn) + b"".join(each.to_bytes(2, "big") for each in streams)
    return Parameter(ParameterType.OUTGOING_RESET_REQUEST, value)


def response(sequence: int, result: int) -> Parameter:
    """An answer, theirs or ours."""
    return Parameter(ParameterType.RECONFIG_RESPONSE, words(sequence, result))


def test_our_request() -> None:
    """4.1: sequence numbers start with the initial TSN; one request at a time."""
    reset = fresh()
    reset.ask([3, 5])
    assert reset.waiting() == (3, 5)
    assert reset.has_work
    reset.begin([3], 77)
    assert reset.request() == Parameter(
        ParameterType.OUTGOING_RESET_REQUEST, words(OURS, THEIRS - 1, 77) + b"\0\3"
    )
    assert reset.waiting() == ()
    assert not reset.has_work
    assert reset.is_closing(3)
    assert reset.is_closing(5)
    assert reset.receive(response(OURS, Result.PERFORMED), 0) == Answer((3,), True)
    assert reset.waiting() == (5,)
    assert not reset.is_closing(3)
    reset.begin([5], 78)
    assert reset.request().value[:4] == words(OURS + 1)


@pytest.mark.parametrize(
    ("result", "accepted"),
    [(Result.NOTHING_TO_DO, True), (Result.DENIED, False), (Result.WRONG_SSN, False), (99, False)],
)
def test_answers(result: int, accepted: bool) -> None:
    """4.4: success comes in two forms."""
    reset = fresh()
    reset.ask([1])
    reset.begin([1], 0)
    assert reset.receive(response(OURS, result), 0) == Answer((1,), accepted)


def test_answers_that_are_none() -> None:
    """To another request, or "in progress": the request stands, the same each time."""
    reset = fresh()
    assert reset.receive(response(OURS, 1), 0) is None
    reset.ask([1])
    reset.begin([1], 0)
    before = reset.request()
    assert reset.receive(response(OURS + 1, 1), 0) is None
    assert reset.receive(response(OURS, Result.IN_PROGRESS), 0) is None
    assert reset.outstanding
    assert reset.request() == before


def test_a_request_names_a_bounded_number() -> None:
    """The others follow with the next one."""
    reset = fresh()
    reset.ask(range(300))
    reset.begin(reset.waiting(), 0)
    assert reset.receive(response(OURS, 1), 0) == Answer(
        tuple(range(MAX_STREAMS_PER_REQUEST)), True
    )
    assert len(reset.waiting()) == 300 - MAX_STREAMS_PER_REQUEST


def test_the_peers_request() -> None:
    """5.2.2: performed if everything up to its last TSN arrived; repeated, answered again."""
    reset = fresh()
    assert reset.receive(request(THEIRS, 50, 1, 2), 50) == (1, 2)
    assert reset.responses() == [response(THEIRS, Result.PERFORMED)]
    assert reset.receive(request(THEIRS, 50, 1, 2), 60) is None
    assert reset.responses() == [response(THEIRS, Result.PERFORMED)]
    assert reset.responses() == []


def test_a_request_that_must_wait() -> None:
    """5.2.2 E2: "in progress" until the last TSN arrives, then performed and answered."""
    reset = fresh()
    assert reset.receive(request(THEIRS, 55, 1), 50) is None
    assert reset.responses() == [response(THEIRS, Result.IN_PROGRESS)]
    assert reset.due(54) is None
    assert reset.due(55) == (1,)
    assert reset.responses() == [response(THEIRS, Result.PERFORMED)]
    assert reset.due(56) is None
    assert reset.receive(request(THEIRS, 55, 1), 60) is None
    assert reset.responses() == [response(THEIRS, Result.PERFORMED)]


def test_a_wrong_sequence_number() -> None:
    """5.2.1 E3."""
    reset = fresh()
    assert reset.receive(request(THEIRS + 1, 0, 1), 50) is None
    assert reset.responses() == [response(THEIRS + 1, Result.BAD_SEQUENCE_NUMBER)]


def test_a_stream_that_does_not_exist() -> None:
    """5.2.2 E1."""
    reset = fresh()
    assert reset.receive(request(THEIRS, 0, 10), 50) is None
    assert reset.responses() == [response(THEIRS, Result.WRONG_SSN)]


def test_all_streams() -> None:
    """4.1: no number means every stream."""
    assert fresh().receive(request(THEIRS, 0), 50) == ()


def test_more_streams() -> None:
    """5.2.5: granted up to our limit (Firefox asks when it opens its 257th channel)."""
    reset = fresh()
    value = words(THEIRS) + b"\0\x0a\0\0"
    reset.receive(Parameter(ParameterType.ADD_OUTGOING_STREAMS, value), 0)
    assert reset.responses() == [response(THEIRS, Result.PERFORMED)]
    assert reset.inbound_streams == 20
    value = words(THEIRS + 1) + b"\0\1\0\0"
    reset.receive(Parameter(ParameterType.ADD_OUTGOING_STREAMS, value), 0)
    assert reset.responses() == [response(THEIRS + 1, Result.DENIED)]
    assert reset.inbound_streams == 20


@pytest.mark.parametrize("kind", [14, 15, 18])
def test_requests_that_data_channels_do_not_make(kind: int) -> None:
    """Denied."""
    reset = fresh()
    assert reset.receive(Parameter(kind, words(THEIRS, 0)), 0) is None
    assert reset.responses() == [response(THEIRS, Result.DENIED)]


@pytest.mark.parametrize(
    ("kind", "size"), [(13, 11), (13, 13), (14, 3), (15, 0), (16, 7), (17, 7), (18, 1)]
)
def test_wrong_lengths(kind: int, size: int) -> None:
    """Fixed fields cut short, or half a stream number."""
    with pytest.raises(ParseError):
        fresh().receive(Parameter(kind, bytes(size)), 0)


def test_unknown_parameters() -> None:
    """Nothing happens."""
    reset = fresh()
    assert reset.receive(Parameter(99, b""), 0) is None
    assert reset.responses() == []
