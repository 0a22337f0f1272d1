"""Requests under way: RFC 8445 sections 7.2.4, 7.3.1.4, RFC 8489 section 6.2.1."""

from rtcproto.ice.candidate import host_candidate
from rtcproto.ice.outstanding import MAX_OUTSTANDING, Outstanding, Purpose
from rtcproto.ice.pair import CandidatePair
from rtcproto.stun import Schedule
from tests.support.ice import LOCAL, REMOTE

SCHEDULE = Schedule(rto=0.5, requests=2, patience=16.0)


def make_pair(port: int = 1) -> CandidatePair:
    """A pair with a remote port of its own."""
    address = (REMOTE[0], port)
    return CandidatePair(host_candidate(LOCAL), LOCAL, host_candidate(address), address)


def start(table: Outstanding, number: int, pair: CandidatePair, now: float = 0.0) -> bytes:
    """Start request `number`; its transaction id."""
    transaction_id = number.to_bytes(12, "big")
    table.start(transaction_id, b"request", SCHEDULE, pair, Purpose.CHECK, True, now)
    return transaction_id


def test_repeat_then_fail() -> None:
    """A request is repeated on its schedule, then given up and forgotten."""
    table = Outstanding()
    transaction_id = start(table, 1, make_pair())
    assert table.deadline == 0.5
    assert table.due(0.4) == ([], [])
    repeat, failed = table.due(0.5)
    assert ([check.transaction.transaction_id for check in repeat], failed) == (
        [transaction_id],
        [],
    )
    assert table.deadline == 8.5
    repeat, failed = table.due(8.5)
    assert ([], [transaction_id]) == (
        repeat,
        [check.transaction.transaction_id for check in failed],
    )
    assert table.deadline is None
    assert table.get(transaction_id) is None


def test_cancelled() -> None:
    """7.3.1.4: not repeated, its timeout is no failure, but an answer still finds it."""
    table = Outstanding()
    pair, other = make_pair(1), make_pair(2)
    cancelled, kept = start(table, 1, pair), start(table, 2, other)
    table.cancel(pair)
    repeat, _ = table.due(0.5)
    assert [check.pair for check in repeat] == [other]
    assert table.get(cancelled) is not None
    _, failed = table.due(8.5)
    assert [check.pair for check in failed] == [other]
    assert table.get(cancelled) is None
    assert table.get(kept) is None


def test_forget_and_remove() -> None:
    """RFC 7675 section 5.1: all transactions of a pair are discarded when consent expires."""
    table = Outstanding()
    pair, other = make_pair(1), make_pair(2)
    start(table, 1, pair)
    start(table, 2, pair)
    kept = start(table, 3, other)
    table.forget(pair)
    assert len(table) == 1
    table.remove(kept)
    assert len(table) == 0
    start(table, 4, pair)
    table.clear()
    assert len(table) == 0


def test_limit() -> None:
    """The oldest request gives way at the limit."""
    table = Outstanding()
    pair = make_pair()
    first = start(table, 0, pair)
    for number in range(1, MAX_OUTSTANDING + 1):
        start(table, number, pair)
    assert len(table) == MAX_OUTSTANDING
    assert table.get(first) is None
