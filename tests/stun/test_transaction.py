"""When a client repeats and gives up: RFC 8489 section 6.2.1."""

import pytest

from rtcproto.errors import UsageError
from rtcproto.stun import Due, Schedule, Transaction

TRANSACTION = bytes(range(12))


def test_the_example_of_the_rfc():
    """ "assuming an RTO of 500 ms, requests would be sent at times 0 ms, 500 ms, 1500 ms ..." """
    assert Schedule().offsets() == (0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 39.5)


def test_interval_cap():
    """`max_interval` bounds the doubling, not the final wait."""
    schedule = Schedule(rto=0.1, requests=5, patience=10, max_interval=0.2)
    assert schedule.offsets() == pytest.approx((0.0, 0.1, 0.3, 0.5, 0.7, 1.7))


@pytest.mark.parametrize(
    "wrong", [{"rto": 0}, {"requests": 0}, {"patience": 0}, {"max_interval": -1}]
)
def test_impossible_schedule(wrong):
    """A schedule that would never end or never start is refused."""
    with pytest.raises(UsageError):
        Schedule(**wrong)


def test_transaction_follows_its_schedule():
    """Driven from deadline to deadline it sends seven times and fails at 39.5 s."""
    transaction = Transaction.start(TRANSACTION, b"request", Schedule(), 100.0)
    log = [0.0]
    while transaction.advance(transaction.deadline) is Due.RETRANSMIT:
        log.append(transaction.deadline - transaction.schedule.interval(transaction.sent) - 100.0)
    assert [*log, transaction.deadline - 100.0] == pytest.approx(Schedule().offsets())
    assert transaction.sent == 7


def test_early_call_does_nothing():
    """Before the deadline nothing is due."""
    transaction = Transaction.start(TRANSACTION, b"", Schedule(), 0.0)
    assert transaction.advance(0.499) is Due.NOTHING
    assert (transaction.sent, transaction.deadline) == (1, 0.5)


def test_late_call_sends_once():
    """After a long sleep one retransmission is due, and the next lies ahead."""
    transaction = Transaction.start(TRANSACTION, b"", Schedule(), 0.0)
    assert transaction.advance(10.0) is Due.RETRANSMIT
    assert transaction.deadline == 11.0


def test_round_trip_only_of_an_unrepeated_request():
    """Karn's rule."""
    transaction = Transaction.start(TRANSACTION, b"", Schedule(), 5.0)
    assert transaction.round_trip(5.125) == 0.125
    transaction.advance(5.5)
    assert transaction.round_trip(5.625) is None


def test_repr_shows_the_length_only():
    """K2: a request is credentials-derived; its bytes stay out of logs."""
    assert "b'" not in repr(Transaction.start(b"", b"secret", Schedule(), 0.0)).replace("b''", "")
