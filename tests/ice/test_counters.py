"""The agent's counters as `IceStats`."""

from rtcproto.ice.contract import IceStats
from rtcproto.ice.counters import Counters, Reason


def test_snapshot() -> None:
    """Every counter arrives in the field of its name; round trips add up; reasons are counted."""
    counters = Counters()
    assert counters.snapshot() == IceStats()
    counters.requests_received = 1
    counters.requests_sent = 2
    counters.responses_received = 3
    counters.responses_sent = 4
    counters.consent_requests_sent = 5
    counters.measured(0.25)
    counters.measured(0.5)
    assert counters.reject(Reason.REPLAY) is False
    counters.reject(Reason.REPLAY)
    snapshot = counters.snapshot()
    counters.reject(Reason.REPLAY)
    assert snapshot == IceStats(
        requests_received=1,
        requests_sent=2,
        responses_received=3,
        responses_sent=4,
        consent_requests_sent=5,
        current_round_trip_time=0.5,
        total_round_trip_time=0.75,
        rejected={"replay": 2},
    )
