"""What the workers count, where their parent can read it: one row of words per worker.

A row is written by its worker alone, about once a second, and read by others at any time; words of
64 bits are never half written. A worker that replaces another one goes on from what it
finds in its row, so the sums only grow.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from rtcproto.relay import Drop, RelayStats, StreamEnd

__all__ = ["COUNTERS", "DELAY_BOUNDS", "GAUGES", "Board", "Counters", "Row"]

# Upper bounds of the buckets of the forwarding delay, seconds; one more bucket is for the rest.
DELAY_BOUNDS = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
)  # fmt: skip

# What a worker says about now.
GAUGES = (
    "flows", "flows_unproven", "heartbeat", "draining", "store_up", "directory_up",
    "directory_entries", "stream_connections", "clients_look_translated",
)  # fmt: skip

# What only grows. Drops, delays and what other parts of a worker count have names of their own.
COUNTERS = (
    "packets_inward",
    "bytes_inward",
    "packets_outward",
    "bytes_outward",
    "takeovers_refused",
    "flows_refused",
    "flow_events_dropped",
    "send_errors",
    "wrong_address",
    "commands_dropped",
    *(f"drop_{reason.label}" for reason in Drop),
    "store_writes",
    "store_lookups",
    "store_found",
    "store_dropped",
    "store_errors",
    "store_microseconds",
    "directory_refused",
    "directory_errors",
    "stream_opened",
    "stream_frames_dropped",
    *(f"stream_end_{reason.name.lower()}" for reason in StreamEnd),
    *(f"delay_{index}" for index in range(len(DELAY_BOUNDS) + 1)),
    "delay_nanoseconds",
    # Those of packets and bytes above that clients sent and got by TCP.
    *(f"tcp_{unit}_{way}" for unit in ("packets", "bytes") for way in ("inward", "outward")),
)

# The same of the parent.
PARENT_GAUGES = ("heartbeat", "draining", "workers")
PARENT_COUNTERS = ("restarts", "reloads", "reload_failures")


class Counters:
    """What a worker counts besides its core. Plain attributes: some are written per packet."""

    __slots__ = ("delay_nanoseconds", "delays", "send_errors", "wrong_address")

    def __init__(self) -> None:
        # Datagrams that the kernel did not take: no route, buffer full, host unreachable.
        self.send_errors = 0
        # Datagrams to an address of this machine that no client was told.
        self.wrong_address = 0
        # Samples of the time from a packet's arrival at the kernel until it was sent on.
        self.delays = [0] * (len(DELAY_BOUNDS) + 1)
        self.delay_nanoseconds = 0

    def sample_delay(self, seconds: float) -> None:
        """Count one sample. The wall clock may jump; nothing takes less than no time."""
        seconds = max(0.0, seconds)
        self.delays[bisect_left(DELAY_BOUNDS, seconds)] += 1
        self.delay_nanoseconds += int(seconds * 1e9)

    def values(self, stats: RelayStats) -> dict[str, int]:
        """All of `COUNTERS` that are known here, and the gauges of the core."""
        values = {
            "flows": stats.flows,
            "flows_unproven": stats.flows_unproven,
            "packets_inward": stats.packets_inward,
            "bytes_inward": stats.bytes_inward,
            "packets_outward": stats.packets_outward,
            "bytes_outward": stats.bytes_outward,
            "takeovers_refused": stats.takeovers_refused,
            "flows_refused": stats.flows_refused,
            "flow_events_dropped": stats.flow_events_dropped,
            "commands_dropped": stats.commands_dropped,
            "send_errors": self.send_errors,
            "wrong_address": self.wrong_address,
            "delay_nanoseconds": self.delay_nanoseconds,
        }
        values.update((f"drop_{reason.label}", count) for reason, count in stats.drops.items())
        values.update((f"delay_{index}", count) for index, count in enumerate(self.delays))
        return values


class Row:
    """One process's place on the board."""

    __slots__ = ("_before", "_gauges", "_places", "_words")

    def __init__(self, words: memoryview, gauges: Sequence[str], counters: Sequence[str]) -> None:
        self._words = words
        self._gauges = frozenset(gauges)
        self._places = {name: index for index, name in enumerate((*gauges, *counters))}
        self._before = words.tolist()

    def begin(self) -> None:
        """Another process counts from here on: what is there stays, but for the gauges."""
        for name in self._gauges:
            self._words[self._places[name]] = 0
        self._before = self._words.tolist()

    def write(self, values: Mapping[str, int]) -> None:
        """Set gauges, and add counters to what was there at the beginning."""
        for name, value in values.items():
            place = self._places[name]
            self._words[place] = value if name in self._gauges else self._before[place] + value

    def read(self) -> dict[str, int]:
        """Everything in it."""
        return {name: self._words[place] for name, place in self._places.items()}


class Board:
    """Memory that processes share if they are forked after it is made."""

    __slots__ = ("_memory", "parent", "rows")

    def __init__(self, workers: int) -> None:
        size, parent = len(GAUGES) + len(COUNTERS), len(PARENT_GAUGES) + len(PARENT_COUNTERS)
        self._memory = mmap.mmap(-1, (workers * size + parent) * 8)
        words = memoryview(self._memory).cast("Q")
        self.rows = [
            Row(words[size * index : size * (index + 1)], GAUGES, COUNTERS)
            for index in range(workers)
        ]
        self.parent = Row(words[size * workers :], PARENT_GAUGES, PARENT_COUNTERS)

    def total(self) -> dict[str, int]:
        """The sums over all workers."""
        sums = dict.fromkeys((*GAUGES, *COUNTERS), 0)
        for row in self.rows:
            for name, value in row.read().items():
                sums[name] += value
        return sums
