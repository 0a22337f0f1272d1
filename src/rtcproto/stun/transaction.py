"""When a client repeats a request and when it gives up: RFC 8489 section 6.2.1, as plain values.

`Schedule` is the timing of one kind of request, `Transaction` one request under
way: bytes, numbers and times only, so that a machine can keep many of them in
a dict and hand its state over as values. Nothing here sends or waits; the
owner asks `deadline`, and calls `advance` when it has passed.
"""

from __future__ import annotations

import enum

import attrs

from rtcproto.errors import UsageError

__all__ = ["Due", "Schedule", "Transaction"]


class Due(enum.Enum):
    """What a passed deadline asks for."""

    NOTHING = "the deadline has not come yet"
    RETRANSMIT = "send the same bytes again"
    TIMED_OUT = "the transaction has failed"


@attrs.frozen(kw_only=True)
class Schedule:
    """The three parameters of RFC 8489 section 6.2.1, UDP; times in seconds."""

    # "The RTO ... SHOULD be greater than or equal to 500 ms."
    rto: float = 0.5
    # Rc: how many times the request is sent in all; "SHOULD be configurable and
    # SHOULD have a default of 7".
    requests: int = 7
    # Rm: how many RTOs pass after the last request; "default of 16".
    patience: float = 16.0
    # A cap on one interval; the RFC's doubling has none, a path check wants one.
    max_interval: float = float("inf")

    def __attrs_post_init__(self) -> None:
        if self.rto <= 0 or self.requests < 1 or self.patience <= 0 or self.max_interval <= 0:
            raise UsageError("a schedule needs positive times and at least one request")

    def interval(self, sent: int) -> float:
        """Seconds to wait after the `sent`-th request (1 is the first)."""
        if sent >= self.requests:
            return self.rto * self.patience
        return min(self.rto * 2.0 ** (sent - 1), self.max_interval)

    def offsets(self) -> tuple[float, ...]:
        """When each request is sent, then when it fails, in seconds from the first."""
        times = [0.0]
        for sent in range(1, self.requests + 1):
            times.append(times[-1] + self.interval(sent))
        return tuple(times)


@attrs.define
class Transaction:
    """One request under way. `sent` counts transmissions; times are the caller's `now`."""

    transaction_id: bytes
    data: bytes = attrs.field(repr=lambda data: f"{len(data)} bytes")
    schedule: Schedule
    started: float
    deadline: float
    sent: int = 1

    @classmethod
    def start(
        cls, transaction_id: bytes, data: bytes, schedule: Schedule, now: float
    ) -> Transaction:
        """A request that was sent for the first time at `now`."""
        return cls(transaction_id, data, schedule, now, now + schedule.interval(1))

    def advance(self, now: float) -> Due:
        """What is due at `now`; a retransmission counts as sent.

        A late call asks for one retransmission, not for all that were missed.
        """
        if now < self.deadline:
            return Due.NOTHING
        if self.sent >= self.schedule.requests:
            return Due.TIMED_OUT
        self.sent += 1
        self.deadline = now + self.schedule.interval(self.sent)
        return Due.RETRANSMIT

    def round_trip(self, now: float) -> float | None:
        """Seconds from request to a response at `now`, or None if it was sent more than once.

        RFC 8489 section 6.2.1 follows Karn: with several transmissions it
        cannot be known which one was answered.
        """
        return now - self.started if self.sent == 1 else None
