"""What the relay counts and says about itself: shared memory, metrics, health."""

from __future__ import annotations

import re

import attrs

from examples.relay.counters import COUNTERS, DELAY_BOUNDS, GAUGES, Board, Counters
from examples.relay.health import LIVENESS, is_live, is_ready
from examples.relay.metrics import exposition
from rtcproto.relay import Drop, RelayConfig, RelayCore
from rtcproto.routing import EncipheredTokenCodec, StaticDirectory

STATS = attrs.evolve(
    RelayCore(
        RelayConfig(publics=frozenset({("203.0.113.1", 1)})),
        EncipheredTokenCodec({"A": bytes(16)}, "A"),
        StaticDirectory({}),
    ).stats(),
    flows=5,
    flows_unproven=2,
    packets_inward=100,
    bytes_inward=20_000,
    packets_outward=90,
    bytes_outward=18_000,
    takeovers_refused=3,
    flows_refused=4,
    flow_events_dropped=0,
    drops={Drop.BAD_TOKEN: 7},
)


def filled() -> Board:
    """A board with two workers; the first was replaced once."""
    board = Board(2)
    counters = Counters()
    counters.send_errors = 1
    for seconds in (0.00004, 0.0003, 0.0003, 5.0):
        counters.sample_delay(seconds)
    first, second = board.rows
    first.write({**counters.values(STATS), "heartbeat": 1000})
    first.begin()
    first.write({**counters.values(STATS), "heartbeat": 2000})
    second.write({**Counters().values(STATS), "tcp_packets_inward": 30, "heartbeat": 2000})
    board.parent.write({"heartbeat": 2000, "workers": 2, "restarts": 1})
    return board


def test_a_replacement_goes_on_counting() -> None:
    """Counters never go back; gauges are those of now."""
    board = filled()
    row = board.rows[0].read()
    assert row["packets_inward"] == 200
    assert row["drop_bad_token"] == 14
    assert row["flows"] == 5
    assert board.total()["packets_inward"] == 300
    assert board.total()["flows"] == 10
    board.rows[0].begin()
    assert board.rows[0].read()["heartbeat"] == 0
    assert board.rows[0].read()["packets_inward"] == 200


def test_every_name_has_its_place() -> None:
    """What a worker reports is known to the board, and no name is there twice."""
    values = Counters().values(STATS)
    assert set(values) <= {*GAUGES, *COUNTERS}
    assert len({*GAUGES, *COUNTERS}) == len(GAUGES) + len(COUNTERS)


def test_delays_have_buckets() -> None:
    """Bounds belong to the bucket below, a clock that jumped back is no time at all."""
    counters = Counters()
    for seconds in (*DELAY_BOUNDS, 1.0, -3.0):
        counters.sample_delay(seconds)
    assert counters.delays == [2, *([1] * len(DELAY_BOUNDS))]
    assert counters.delay_nanoseconds == sum(int(s * 1e9) for s in (*DELAY_BOUNDS, 1.0))


def test_metrics() -> None:
    """Sums over the workers in the text format."""
    text = exposition(filled()).decode()
    for line in (
        'rtcproto_relay_packets_total{direction="inward",leg="udp"} 270.0',
        'rtcproto_relay_packets_total{direction="inward",leg="tcp"} 30.0',
        'rtcproto_relay_flows{state="proven"} 6.0',
        'rtcproto_relay_flows{state="unproven"} 4.0',
        'rtcproto_relay_dropped_packets_total{reason="bad_token"} 21.0',
        'rtcproto_relay_dropped_packets_total{reason="send_error"} 2.0',
        'rtcproto_relay_forwarding_delay_seconds_bucket{le="5e-05"} 2.0',
        'rtcproto_relay_forwarding_delay_seconds_bucket{le="0.0005"} 6.0',
        'rtcproto_relay_forwarding_delay_seconds_bucket{le="0.1"} 6.0',
        'rtcproto_relay_forwarding_delay_seconds_bucket{le="+Inf"} 8.0',
        "rtcproto_relay_forwarding_delay_seconds_count 8.0",
        "rtcproto_relay_worker_restarts_total 1.0",
        "rtcproto_relay_workers 2.0",
    ):
        assert line + "\n" in text


def test_no_label_says_who() -> None:
    """Every label is a word of a fixed set: no address, no token, whatever was counted."""
    labels = set(re.findall(r'(\w+)="([^"]*)"', exposition(filled()).decode()))
    reasons = {reason.label for reason in Drop} | {"wrong_address", "send_error"}
    ends = {name.removeprefix("stream_end_") for name in COUNTERS if name.startswith("stream_end_")}
    stores = {"flows", "directory", "bad_registration", "command_dropped"}
    allowed = {
        "direction": {"inward", "outward"},
        "leg": {"udp", "tcp"},
        "state": {"proven", "unproven"},
        "reason": reasons | {"takeover", "full"} | ends | stores,
        "store": {"flows", "directory"},
        "answer": {"found", "nothing"},
        "le": {*map(str, DELAY_BOUNDS), "+Inf"},
    }
    assert labels
    for name, value in labels:
        assert value in allowed[name]


def test_health() -> None:
    """Live while everybody reports; ready while all run and none of them drains."""
    board = filled()
    assert is_live(board, 2.0 + LIVENESS)
    assert not is_live(board, 2.1 + LIVENESS)
    assert is_ready(board)
    board.parent.write({"workers": 1})
    assert not is_ready(board)
    board.parent.write({"workers": 2, "draining": 1})
    assert not is_ready(board)
    board.parent.write({"draining": 0})
    board.rows[1].begin()
    assert not is_ready(board), "a worker that has not reported yet"
