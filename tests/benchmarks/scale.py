"""`python -m tests.benchmarks.scale`: a fleet on four continents, and what a larger one takes.

Runs `tests.support.globe` on virtual time: calls come, relays of both tiers are killed and come
back, one does not. The output depends on the arguments alone. With `--bench FILE`
(what `python -m tests.benchmarks --json FILE` wrote) it prints the capacity that those
measurements mean; see docs/pages/explanation/scale.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs

from tests.support.globe import REGIONS, Globe, Relay

__all__ = ["Capacity", "Outage", "Report", "main", "read_bench", "simulate"]

# Seconds that a relay is gone before it listens again.
DOWN = 0.5
# Seconds from one fault to the next: long enough that everything is as before.
SETTLED = 1.5
# The same where callers have to notice by themselves, and find another relay.
MOVED = 4.5

# Packets of a call that pass a relay in a second: 50 of 20 ms in each direction, and what else
# there is (checks, RTCP).
PACKETS = 102
# Share of a core that is used on purpose: the rest is for the calls of a neighbour that
# failed, for bursts, and for what else a machine does.
RELAY_LOAD, TRANSCEIVER_LOAD = 0.5, 0.6
# An audio packet of a call on the wire: 80 bytes of Opus, RTP with its extensions, tag, UDP, IP.
WIRE = 80 + 20 + 16 + 28
# Packets of a voice are of many sizes; those of one size would leave together, for half the cost.
RELAY_ROW = "relay flood, mixed sizes"
ECHO_ROW = "echo CPU per session-second AEAD_AES_128_GCM"


@attrs.frozen(kw_only=True)
class Outage:
    """What a fault did: to how many calls, and for how long, in seconds."""

    name: str
    calls: int
    # From the moment that the relay listens again until the owner hears the call; not
    # where it never does.
    inward: Sequence[float]
    # The longest gap between two packets that a caller heard; the down time is part of it.
    gaps: Sequence[float]


@attrs.frozen(kw_only=True)
class Report:
    """What one run showed."""

    calls: int
    connected: int
    virtual_seconds: float
    routed: int
    strays: int
    unaccounted: int
    dropped: dict[str, int]
    sent_to_the_dead: int
    outages: Sequence[Outage]
    flows: dict[str, tuple[int, int]]  # region -> of the public, of the cluster relay

    def lines(self) -> Iterable[str]:
        """For people."""
        yield f"calls        {self.calls} in {len(REGIONS)} regions, {self.connected} connected"
        yield f"time         {self.virtual_seconds:.1f} virtual seconds"
        yield f"routed       {self.routed:,} packets by relays of two tiers"
        yield f"misrouted    {self.strays}"
        drops = ", ".join(f"{count:,} {name}" for name, count in self.dropped.items()) or "none"
        yield f"dropped      {drops}; {self.sent_to_the_dead:,} sent to a relay that was down"
        yield f"unaccounted  {self.unaccounted}"
        for outage in self.outages:
            yield f"fault        {outage.name}: {outage.calls} calls"
            if outage.inward:
                yield f"  owner hears again   {_spread(outage.inward)} after it listens"
            yield f"  gap at the caller   {_spread(outage.gaps)}"
        for region, (public, cluster) in self.flows.items():
            yield f"flows        {region}: {public} at the public relay, {cluster} at the cluster's"


def _spread(values: Sequence[float]) -> str:
    ordered = sorted(1000 * value for value in values)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"p50 {middle:.0f} ms, p99 {late:.0f} ms, max {ordered[-1]:.0f} ms"


def simulate(calls: int, owners: int = 10, seed: int = 1, interval: float = 0.1) -> Report:
    """`owners` per region; `interval`: seconds between packets of a call, each way."""
    globe = Globe(seed, calls, owners, interval)
    world, start = globe.world, globe.world.now
    world.run_for(3.0)
    connected = sum(caller.connected for caller in globe.callers)
    homes = [REGIONS[home[0]] for home in globe.home_of]
    outages = [
        _restart(
            globe,
            "the public relay of europe restarts",
            globe.public["europe"],
            lambda number: globe.region_of[number] == "europe",
        ),
        _restart(
            globe,
            "the cluster relay of us-east restarts",
            globe.cluster["us-east"],
            lambda number: homes[number] == "us-east",
        ),
        _loss(globe, "the public relay of asia is gone for good", "asia"),
    ]
    flows = {
        region: (
            globe.public[region].core.stats().flows if region != "asia" else 0,
            globe.cluster[region].core.stats().flows,
        )
        for region in REGIONS
    }
    globe.hush()
    dropped: dict[str, int] = {}
    for relay in globe.relays:
        for stats in (*relay.before, relay.core.stats()):
            for reason, count in stats.drops.items():
                dropped[reason.label] = dropped.get(reason.label, 0) + count
    return Report(
        calls=calls,
        connected=connected,
        virtual_seconds=world.now - start,
        routed=sum(
            relay.counted(name)
            for relay in globe.relays
            for name in ("packets_inward", "packets_outward")
        ),
        strays=globe.strays(),
        unaccounted=globe.unaccounted(),
        dropped=dropped,
        sent_to_the_dead=globe.network.undeliverable,
        outages=outages,
        flows=flows,
    )


def _restart(globe: Globe, name: str, relay: Relay, is_affected: Callable[[int], bool]) -> Outage:
    affected = _affected(globe, is_affected)
    globe.kill(relay)
    globe.world.run_for(DOWN)
    globe.start(relay)
    globe.watch()
    listening = globe.world.now
    globe.world.run_for(SETTLED)
    back = {number: at for owner in globe.owners.values() for number, at in owner.back.items()}
    return Outage(
        name=name,
        calls=len(affected),
        inward=[back[number] - listening for number in affected],
        gaps=[globe.callers[number].longest_gap for number in affected],
    )


def _loss(globe: Globe, name: str, region: str) -> Outage:
    affected = _affected(globe, lambda number: globe.region_of[number] == region)
    globe.kill(globe.public[region])
    globe.world.run_for(MOVED)
    gone = globe.callers[affected[0]].relays[0]
    assert all(globe.callers[number].relay != gone for number in affected), "all have moved"
    return Outage(
        name=name,
        calls=len(affected),
        inward=(),
        gaps=[globe.callers[number].longest_gap for number in affected],
    )


def _affected(globe: Globe, is_affected: Callable[[int], bool]) -> list[int]:
    for caller in globe.callers:
        caller.forget_gaps()
    return [caller.number for caller in globe.callers if is_affected(caller.number)]


@attrs.frozen(kw_only=True)
class Capacity:
    """What measured costs mean.

    `relay`: CPU seconds per packet; `transceiver`: CPU seconds per second of a call;
    `flood`: packets per second at most, of one relay worker.
    """

    relay: float
    transceiver: float
    flood: float

    @property
    def calls_per_relay_core(self) -> float:
        """RELAY_LOAD / (PACKETS * relay)."""
        return RELAY_LOAD / (PACKETS * self.relay)

    @property
    def calls_per_transceiver_core(self) -> float:
        """TRANSCEIVER_LOAD / transceiver."""
        return TRANSCEIVER_LOAD / self.transceiver

    def lines(self, calls: int, tiers: int = 2) -> Iterable[str]:
        """For people: the figures, and what so many calls take."""
        relays = -(-calls // int(self.calls_per_relay_core))
        transceivers = -(-calls // int(self.calls_per_transceiver_core))
        yield f"relay worker       {self.flood:,.0f} packets/s at most"
        yield (
            f"relay core         {1e6 * self.relay:.2f} us per packet:"
            f" {self.calls_per_relay_core:,.0f} calls"
        )
        yield (
            f"transceiver core   {1000 * self.transceiver:.2f} ms per second of a call:"
            f" {self.calls_per_transceiver_core:,.0f} calls"
        )
        yield f"{calls:,} calls"
        yield f"  packets          {calls * PACKETS:,} per second at each tier of relays"
        yield f"  public network   {calls * 50 * WIRE * 8 / 1e9:,.1f} Gbit/s each way"
        yield f"  relay cores      {relays:,} per tier, {tiers * relays:,} for {tiers} tiers"
        yield f"  transceiver cores {transceivers:,}"


def read_bench(path: str) -> Capacity:
    """The figures of the rows that `tests.benchmarks --json` wrote. KeyError if one is missing."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    rows = {row["row"]: row for row in document["rows"] if row["ours"] is not None}
    return Capacity(
        relay=rows[RELAY_ROW]["ours"] / 1e6,
        transceiver=rows[ECHO_ROW]["ours"] / 1000,
        flood=rows[RELAY_ROW]["notes"]["rtcproto packets/s"],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.scale", description="A simulated fleet, and capacity."
    )
    parser.add_argument("--calls", type=int, default=2000, metavar="N", help="to simulate")
    parser.add_argument("--interval", type=float, default=0.1, metavar="SECONDS",
        help="between packets of a call, each way")  # fmt: skip
    parser.add_argument("--bench", metavar="FILE", help="capacity from these measurements instead")
    options = parser.parse_args(arguments)
    try:
        if options.bench:
            report: Iterable[str] = read_bench(options.bench).lines(1_000_000)
        else:
            report = simulate(options.calls, interval=options.interval).lines()
    except (OSError, KeyError) as error:
        print(f"scale: {options.bench}: {error}", file=sys.stderr)
        return 2
    print("\n".join(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
