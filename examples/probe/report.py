"""What a call was like, as plain values, as a table, and as an exit status."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from itertools import pairwise

import attrs

from examples.cli import show
from examples.probe.matcher import Match, Stamped
from rtcproto.datagram import Address

__all__ = ["PASS_RATIO", "Delays", "Phases", "Report", "longest_gap", "summarise"]

# The share of payloads that must come back, in order, for a call to have worked.
PASS_RATIO = 0.9


@attrs.frozen(kw_only=True)
class Phases:
    """Seconds. `signalling` is the HTTP exchange; the others count from its end."""

    signalling: float
    first_check: float | None = None
    path: float | None = None
    dtls: float | None = None
    first_media: float | None = None


@attrs.frozen(kw_only=True)
class Delays:
    """Seconds from sending a payload to its return."""

    minimum: float
    median: float
    p95: float
    maximum: float


@attrs.frozen(kw_only=True)
class Report:
    """One call. Times are seconds; None is what was not measured.

    `in_order` counts payloads that came back byte-identical and in order,
    `reordered` those that came back in another place, `lost` those that did
    not, `extra` duplicates and what was never sent. `longest_gap` is the
    longest silence between two arrivals. Of the losses and jitters, `inbound`
    is what we saw and `outbound` what the peer reported of us by RTCP.
    """

    url: str
    location: str | None
    phases: Phases
    local: Address
    path: Address | None
    path_changes: int
    through_relay: bool | None
    profile: str | None
    cipher: str | None
    sent: int
    received: int
    in_order: int
    reordered: int
    lost: int
    extra: int
    delay: Delays | None
    longest_gap: float | None
    ice_round_trip_time: float | None
    rtcp_round_trip_time: float | None
    inbound_lost: int | None
    outbound_lost: int | None
    inbound_jitter: float | None
    outbound_jitter: float | None
    closed: str

    @property
    def ratio(self) -> float:
        """The share of the payloads sent that came back in order."""
        return self.in_order / self.sent if self.sent else 0.0

    @property
    def passed(self) -> bool:
        """Whether enough came back, and by a relay where one was demanded."""
        return self.ratio >= PASS_RATIO and self.through_relay is not False

    def as_json(self) -> str:
        """One line."""
        return json.dumps({"passed": self.passed, "ratio": self.ratio, **attrs.asdict(self)})

    def as_table(self) -> str:
        """Lines for a person."""
        relay = {None: "", True: " (the relay)", False: " (not the relay)"}[self.through_relay]
        path = "none" if self.path is None else show(self.path) + relay
        phases, delay = self.phases, self.delay
        rows = {
            "call": self.url,
            "path": f"{show(self.local)} -> {path}",
            "protection": " / ".join(filter(None, (self.profile, self.cipher))) or "none",
        }
        rows["set-up"] = (
            f"HTTP {_ms(phases.signalling)}, then check {_ms(phases.first_check)},"
            f" path {_ms(phases.path)}, DTLS {_ms(phases.dtls)}, media {_ms(phases.first_media)}"
        )
        rows["round trip"] = (
            f"ICE {_ms(self.ice_round_trip_time)}, RTCP {_ms(self.rtcp_round_trip_time)}"
        )
        rows["loss"] = f"in {_count(self.inbound_lost)}, out {_count(self.outbound_lost)} packets"
        rows["jitter"] = f"in {_ms(self.inbound_jitter)}, out {_ms(self.outbound_jitter)}"
        if delay is not None:
            rows["echo delay"] = (
                f"min {_ms(delay.minimum)}, median {_ms(delay.median)},"
                f" p95 {_ms(delay.p95)}, max {_ms(delay.maximum)}"
            )
        rows["longest gap"] = _ms(self.longest_gap)
        rows["payloads"] = (
            f"{self.sent} sent, {self.in_order} came back in order ({self.ratio:.1%}),"
            f" {self.reordered} reordered, {self.lost} lost, {self.extra} extra"
        )
        rows["end"] = self.closed
        rows["result"] = "passed" if self.passed else "FAILED"
        if self.sent and not self.in_order:
            # The likeliest mistake: whatever answers there is no echo.
            rows["result"] += ": nothing was echoed; a transceiver echoes calls with ?model=echo"
        return "\n".join(f"{name:<12} {value}" for name, value in rows.items())


def summarise(sent: Sequence[Stamped], received: Sequence[Stamped], found: Match) -> Delays | None:
    """The delays of the pairs of a matching, or None if there are none."""
    delays = sorted(received[j][1] - sent[i][1] for i, j in found.pairs)
    if not delays:
        return None
    return Delays(
        minimum=delays[0],
        median=statistics.median(delays),
        # The smallest delay that 95 % do not exceed.
        p95=delays[-(-95 * len(delays) // 100) - 1],
        maximum=delays[-1],
    )


def longest_gap(received: Sequence[Stamped]) -> float | None:
    """The longest time between two arrivals, or None with fewer than two."""
    times = [at for _, at in received]
    return max((b - a for a, b in pairwise(times)), default=None)


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)
