"""The probe's verdict and its figures."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from examples.probe.matcher import match
from examples.probe.report import Phases, Report, longest_gap, summarise

REPORT = Report(
    url="http://127.0.0.1:8080/v1/realtime/calls",
    location=None,
    phases=Phases(signalling=0.01),
    local=("127.0.0.1", 5000),
    path=("127.0.0.1", 3478),
    path_changes=0,
    through_relay=None,
    profile="AEAD_AES_128_GCM",
    cipher="ECDHE-ECDSA-AES128-GCM-SHA256",
    sent=100,
    received=100,
    in_order=100,
    reordered=0,
    lost=0,
    extra=0,
    delay=None,
    longest_gap=None,
    ice_round_trip_time=0.0123,
    rtcp_round_trip_time=None,
    inbound_lost=0,
    outbound_lost=None,
    inbound_jitter=0.001,
    outbound_jitter=None,
    closed="closed by its owner",
)


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, True),
        ({"in_order": 90}, True),
        ({"in_order": 89}, False),
        ({"in_order": 89, "reordered": 11}, False),
        ({"sent": 0, "in_order": 0}, False),
        ({"through_relay": True}, True),
        ({"through_relay": False}, False),
    ],
)
def test_verdict(changes: dict[str, Any], passed: bool) -> None:
    """90 % in order pass, by the relay if one was demanded; a call without audio does not."""
    report = attrs.evolve(REPORT, **changes)
    assert report.passed is passed
    assert json.loads(report.as_json())["passed"] is passed
    assert report.as_table().endswith("passed" if passed else "FAILED")


def test_a_call_without_an_echo_says_what_to_ask_for() -> None:
    """Whoever probes a transceiver's own backend learns how to have the call echoed."""
    table = attrs.evolve(REPORT, in_order=0, lost=100).as_table()
    assert table.endswith("FAILED: nothing was echoed; a transceiver echoes calls with ?model=echo")


def test_table() -> None:
    """Figures that were not measured show as such, times in milliseconds."""
    table = attrs.evolve(REPORT, through_relay=True, path=("2001:db8::1", 3478)).as_table()
    assert "127.0.0.1:5000 -> [2001:db8::1]:3478 (the relay)" in table
    assert "ICE 12.3 ms, RTCP -" in table
    assert "in 0, out - packets" in table
    assert "echo delay" not in table
    assert "none" in attrs.evolve(REPORT, path=None, profile=None, cipher=None).as_table()


def test_json_is_one_line_of_plain_values() -> None:
    """Everything of the report is in it."""
    text = REPORT.as_json()
    assert "\n" not in text
    values = json.loads(text)
    assert {field.name for field in attrs.fields(Report)} <= values.keys()
    assert values["ratio"] == 1.0


@pytest.mark.parametrize(("count", "p95"), [(1, 1), (19, 19), (20, 19), (100, 95), (101, 96)])
def test_percentile(count: int, p95: int) -> None:
    """The 95th percentile is the least delay that 95 % do not exceed."""
    sent = [(str(n).encode(), 10.0 * n) for n in range(1, count + 1)]
    # Delays of 1, 2, 3 ... hundredths, not in that order.
    received = [(p, at + (n * 7 % count + 1) / 100) for n, (p, at) in enumerate(sent)]
    delays = summarise(sent, received, match(sent, received))
    assert delays is not None
    assert delays.p95 == pytest.approx(p95 / 100)
    assert delays.minimum == pytest.approx(0.01)
    assert delays.maximum == pytest.approx(count / 100)


def test_no_delays() -> None:
    """Nothing came back: nothing to say."""
    assert summarise([(b"a", 0.0)], [], match([(b"a", 0.0)], [])) is None


def test_longest_gap() -> None:
    """The longest silence between arrivals; with fewer than two there is none."""
    assert longest_gap([(b"a", 1.0), (b"b", 1.25), (b"c", 1.5), (b"d", 3.0)]) == 1.5
    assert longest_gap([(b"a", 1.0)]) is None
