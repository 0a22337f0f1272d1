"""What a call counts and measures, as values for stats and metrics."""

from __future__ import annotations

from typing import Any

import attrs

from examples.transceiver.histogram import Histogram

__all__ = ["AgentStats", "Counters"]


@attrs.define
class Counters:
    """What happened in one call, or, added up, in many.

    `answer` is the time from the last loud packet of a turn to the first packet of the
    answer, the silence that ends a turn included; `barge_in` from the first loud packet
    to the moment after which nothing more of an answer leaves. Both in seconds.
    """

    packets_in: int = 0
    packets_bad: int = 0
    packets_out: int = 0
    packets_unsent: int = 0
    events_in: int = 0
    events_out: int = 0
    events_dropped: int = 0
    events_refused: int = 0
    turns: int = 0
    responses: int = 0
    backend_errors: int = 0
    answer: Histogram = attrs.field(factory=Histogram)
    barge_in: Histogram = attrs.field(factory=Histogram)

    def merge(self, other: Counters) -> None:
        """Add what another one counted."""
        for field in attrs.fields(Counters):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(mine, Histogram):
                mine.merge(theirs)
            else:
                setattr(self, field.name, mine + theirs)

    def remarks(self) -> str:
        """What a log line about the end of a call should not leave out; often nothing."""
        found = {
            "packets not sent": self.packets_unsent,
            "events dropped": self.events_dropped,
            "events refused": self.events_refused,
            "errors of the backend": self.backend_errors,
        }
        return "".join(f"; {count} {what}" for what, count in found.items() if count)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        values = {field.name: getattr(self, field.name) for field in attrs.fields(Counters)}
        return {
            name: value.as_dict() if isinstance(value, Histogram) else value
            for name, value in values.items()
        }


@attrs.frozen
class AgentStats:
    """One call. `lateness` is that of its pacer, seconds; `queued_ms` what waits to be heard."""

    call_id: str
    connected: bool
    counters: Counters
    packets_unqueued: int
    frames_forgotten: int
    lateness: dict[str, Any]
    queued_ms: int
