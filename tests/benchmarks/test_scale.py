"""The simulated fleet in small, and the arithmetic of capacity."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from tests.benchmarks.scale import (
    DOWN,
    ECHO_ROW,
    PACKETS,
    RELAY_ROW,
    Capacity,
    Report,
    main,
    read_bench,
    simulate,
)
from tests.support.globe import GIVE_UP, REGIONS, Globe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pages" / "explanation" / "scale.md"
INTERVAL = 0.06


@cache
def small() -> Report:
    """Few calls, everything else as in the run that the page quotes."""
    return simulate(24, owners=2, interval=INTERVAL)


def test_every_packet_is_accounted_for() -> None:
    """None reaches the wrong end; each arrives, is dropped for a reason, or met a dead relay."""
    report = small()
    assert report.connected == report.calls == 24
    assert report.strays == report.unaccounted == 0
    assert report.routed > 1000
    # Only for want of a flow, and only after a restart.
    assert set(report.dropped) == {"no_flow"}
    assert report.sent_to_the_dead > 0


def test_calls_come_back_with_their_owners_next_packet() -> None:
    """After a restart without memory or store: within an interval and the way there and back."""
    public, cluster, _ = small().outages
    for outage in (public, cluster):
        assert outage.calls == len(outage.inward) >= 3
        # Two intervals, as owner and caller each wait for their next; two ways of at most 120 ms.
        assert 0 < max(outage.inward) <= 2 * INTERVAL + 2 * 0.12
        # What a caller hears needs no flow at all: headers say where it goes.
        assert DOWN - INTERVAL < min(outage.gaps) <= max(outage.gaps) < DOWN + 2 * INTERVAL + 0.12


def test_calls_move_when_their_relay_is_gone() -> None:
    """To the next relay of the answer, as soon as their callers notice."""
    lost = small().outages[-1]
    assert lost.calls == 6
    assert GIVE_UP < max(lost.gaps) < GIVE_UP + 1.0


def test_a_stray_is_seen() -> None:
    """A packet that reaches another owner than its call's is counted as such."""
    globe = Globe(3, 8, 2, INTERVAL)
    globe.world.run_for(2.0)
    assert globe.strays() == 0
    slots = sorted({globe.home_of[caller.number] for caller in globe.callers})
    first, second = globe.owners[slots[0]], globe.owners[slots[1]]
    first.calls, second.calls = second.calls, first.calls
    globe.world.run_for(0.5)
    assert globe.strays() > 0


def test_a_run_is_repeated_by_its_seed() -> None:
    """What the page quotes can be had again, and another seed gives something else."""
    text = [list(simulate(12, owners=1, seed=seed).lines()) for seed in (5, 5, 6)]
    assert text[0] == text[1] != text[2]


def test_capacity_is_the_formula_of_the_page() -> None:
    """Worked by hand: half of a core, 102 packets per second, 5 us each."""
    capacity = Capacity(relay=5e-6, transceiver=0.002, flood=200_000.0)
    assert capacity.calls_per_relay_core == pytest.approx(0.5 / (102 * 5e-6))
    assert capacity.calls_per_transceiver_core == pytest.approx(300)
    lines = "\n".join(capacity.lines(1_000_000))
    assert "980 calls" in lines
    assert "300 calls" in lines
    assert "1,021 per tier, 2,042 for 2 tiers" in lines
    assert "transceiver cores 3,334" in lines
    assert f"{PACKETS}" in PAGE.read_text(encoding="utf-8")


def test_capacity_is_read_from_a_benchmark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows by the names they have; one that is missing is one line and status 2."""
    file = tmp_path / "bench.json"
    rows = [
        {"row": RELAY_ROW, "ours": 5.0, "notes": {"rtcproto packets/s": 250_000.0}},
        {"row": ECHO_ROW, "ours": 2.0, "notes": {}},
    ]
    file.write_text(json.dumps({"rows": rows}))
    assert read_bench(str(file)) == Capacity(relay=5e-6, transceiver=0.002, flood=250_000.0)
    assert main(["--bench", str(file)]) == 0
    assert "250,000 packets/s" in capsys.readouterr().out
    file.write_text(json.dumps({"rows": rows[1:]}))
    assert main(["--bench", str(file)]) == 2
    assert RELAY_ROW in capsys.readouterr().err


def test_the_rows_exist() -> None:
    """Under the names by which the capacity is computed."""
    from tests.benchmarks import relay, sessions

    names = {row.name for row in (*relay.ROWS, *sessions.ROWS)}
    assert {RELAY_ROW, ECHO_ROW} <= names


def quoted(after: str) -> list[str]:
    """The lines of the page below the command that ends with `after`."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^\$ [^\n]*{re.escape(after)}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def test_the_capacity_on_the_page_is_that_of_its_figures() -> None:
    """Computed again from the costs that are quoted, rounded as they are."""
    lines = quoted("--bench bench.json")
    flood, relay, transceiver = (
        float(re.search(r"([\d,.]+) (?:packets|us|ms)", line)[1].replace(",", ""))  # type: ignore[index]
        for line in lines[:3]
    )
    capacity = Capacity(relay=relay / 1e6, transceiver=transceiver / 1000, flood=flood)
    for line, again in zip(lines, capacity.lines(1_000_000), strict=True):
        for number, other in zip(_numbers(line), _numbers(again), strict=True):
            assert number == pytest.approx(other, rel=0.01)


def _numbers(line: str) -> list[float]:
    return [float(each.replace(",", "")) for each in re.findall(r"\d[\d,]*(?:\.\d+)?", line)]


@pytest.mark.threats
def test_the_run_that_the_page_quotes() -> None:
    """Two thousand calls: the same lines, because time and chance are virtual."""
    assert list(simulate(2000).lines()) == quoted("tests.benchmarks.scale")
    assert len(REGIONS) == 4
