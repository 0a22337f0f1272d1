"""What the workers count, as metrics in the Prometheus text format.

Counters of all workers are summed. Labels are from fixed sets of words: never an address or a
token, so the number of series is bounded whatever clients send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from examples.relay.counters import DELAY_BOUNDS, Board

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Collector:
    """Reads the board when it is asked."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """All metrics, now."""
        total, parent = self._board.total(), self._board.parent.read()
        for unit in ("packets", "bytes"):
            moved = CounterMetricFamily(
                f"rtcproto_relay_{unit}",
                f"Forwarded {unit} of clients' payload.",
                labels=["direction", "leg"],
            )
            for direction in ("inward", "outward"):
                tcp = total[f"tcp_{unit}_{direction}"]
                moved.add_metric([direction, "udp"], max(0, total[f"{unit}_{direction}"] - tcp))
                moved.add_metric([direction, "tcp"], tcp)
            yield moved
        flows = GaugeMetricFamily(
            "rtcproto_relay_flows", "Flows by what their owner has shown.", labels=["state"]
        )
        flows.add_metric(["unproven"], total["flows_unproven"])
        flows.add_metric(["proven"], max(0, total["flows"] - total["flows_unproven"]))
        yield flows
        yield _by_reason(
            "rtcproto_relay_dropped_packets",
            "Packets that were not forwarded, by reason.",
            {
                **_with_prefix(total, "drop_"),
                "wrong_address": total["wrong_address"],
                "send_error": total["send_errors"],
            },
        )
        yield _by_reason(
            "rtcproto_relay_flows_kept_from",
            "Replies of owners that made or moved no flow.",
            {"takeover": total["takeovers_refused"], "full": total["flows_refused"]},
        )
        yield _delay(total)
        yield from _stream(total)
        yield from _store(total)
        for name, text in (
            ("restarts", "Workers that ended and were replaced."),
            ("reloads", "Times that keys and transceivers were read again."),
            ("reload_failures", "Times that they could not be read."),
        ):
            yield CounterMetricFamily(
                f"rtcproto_relay_{'worker_' if name == 'restarts' else ''}{name}",
                text,
                value=parent[name],
            )
        yield GaugeMetricFamily(
            "rtcproto_relay_workers", "Worker processes that run.", value=parent["workers"]
        )
        yield GaugeMetricFamily(
            "rtcproto_relay_draining", "1 if no new calls are taken.", value=parent["draining"]
        )
        yield GaugeMetricFamily(
            "rtcproto_relay_clients_look_translated",
            "1 if clients seem to arrive under the address of something in between.",
            value=int(total["clients_look_translated"] > 0),
        )


def exposition(board: Board) -> bytes:
    """The text of all metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(board))
    return generate_latest(registry)


def _with_prefix(total: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count for name, count in total.items() if name.startswith(prefix)
    }


def _by_reason(name: str, text: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    metric = CounterMetricFamily(name, text, labels=["reason"])
    for reason, count in counts.items():
        metric.add_metric([reason], count)
    return metric


def _stream(total: Mapping[str, int]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "rtcproto_relay_tcp_connections", "Connections now.", value=total["stream_connections"]
    )
    yield CounterMetricFamily(
        "rtcproto_relay_tcp_opened", "Connections taken.", value=total["stream_opened"]
    )
    yield _by_reason(
        "rtcproto_relay_tcp_ended",
        "Connections closed or not taken, by reason.",
        _with_prefix(total, "stream_end_"),
    )
    yield CounterMetricFamily(
        "rtcproto_relay_tcp_dropped_packets",
        "Packets dropped because a client reads slowly.",
        value=total["stream_frames_dropped"],
    )


def _store(total: Mapping[str, int]) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "rtcproto_relay_store_workers", "Workers whose store answers.", labels=["store"]
    )
    up.add_metric(["flows"], total["store_up"])
    up.add_metric(["directory"], total["directory_up"])
    yield up
    yield _by_reason(
        "rtcproto_relay_store_errors",
        "Exchanges with a store that failed, and what could not be used, by reason.",
        {
            "flows": total["store_errors"],
            "directory": total["directory_errors"],
            "bad_registration": total["directory_refused"],
            "command_dropped": total["store_dropped"] + total["commands_dropped"],
        },
    )
    yield CounterMetricFamily(
        "rtcproto_relay_store_writes", "Records of flows written.", value=total["store_writes"]
    )
    found = CounterMetricFamily(
        "rtcproto_relay_store_lookups", "Flows asked for, by answer.", labels=["answer"]
    )
    found.add_metric(["found"], total["store_found"])
    found.add_metric(["nothing"], max(0, total["store_lookups"] - total["store_found"]))
    yield found
    yield CounterMetricFamily(
        "rtcproto_relay_store_seconds",
        "Time spent in exchanges with the store.",
        value=total["store_microseconds"] / 1e6,
    )


def _delay(total: Mapping[str, int]) -> HistogramMetricFamily:
    buckets, below = [], 0
    for index, bound in enumerate((*map(str, DELAY_BOUNDS), "+Inf")):
        below += total[f"delay_{index}"]
        buckets.append((bound, below))
    metric = HistogramMetricFamily(
        "rtcproto_relay_forwarding_delay_seconds",
        "From arrival at the kernel until sent on; samples of batches that are forwarded.",
    )
    metric.add_metric([], buckets, total["delay_nanoseconds"] / 1e9)
    return metric
