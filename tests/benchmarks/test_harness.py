"""The harness runs and tells the truth about its figures; nothing here looks at a clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.benchmarks.__main__ import ROWS, main
from tests.benchmarks.harness import Contest, Row, Sizes, Skipped, each, loop, run_row, steady
from tests.benchmarks.report import Table


def _row(ours: list[float], peer: list[float], **fields: object) -> Row:
    @contextmanager
    def prepare(sizes: Sizes) -> Iterator[Contest]:
        costs = {"ours": iter(ours), "peer": iter(peer)}
        yield Contest(
            ours=lambda: next(costs["ours"]),
            peers={"peer": lambda: next(costs["peer"])},
            skipped={"absent": "not installed"},
        )

    bars = {"peer": 0.5, "absent": 0.5}
    return Row(name="row", unit="ns", bars=bars, prepare=prepare, **{"rounds": 3, **fields})


def test_ratios_are_taken_within_a_round() -> None:
    """The verdict rests on the median of ours / peer round by round, the figures on the best."""
    result, _ = run_row(_row([10.0, 100.0, 30.0], [40.0, 200.0, 50.0]), Sizes())
    assert (result.ours, result.theirs, result.reached) == (10.0, 40.0, 0.5)
    assert result.verdict == "ok"
    result, _ = run_row(_row([10.0, 120.0, 30.0], [40.0, 200.0, 50.0]), Sizes())
    assert result.verdict == "short"


def test_a_difference_is_ours_less_the_peers() -> None:
    """A row may compare by subtraction: what we add to what is there anyway."""
    result, _ = run_row(_row([1.2, 1.3, 1.9], [1.0, 1.0, 1.0], difference=True), Sizes())
    assert result.reached == pytest.approx(0.3)


def test_absent_peers_are_skipped_with_a_reason() -> None:
    """A peer that is not there is said to be skipped, one peer or the whole row."""
    result = run_row(_row([1.0], [2.0]), Sizes(rounds=1))[1]
    assert (result.verdict, result.skipped) == ("skipped", "not installed")

    def prepare(sizes: Sizes) -> Contest:
        raise Skipped("no compiler")

    results = run_row(Row(name="row", unit="ns", bars={"c": None}, prepare=prepare), Sizes())
    assert [(result.verdict, result.skipped) for result in results] == [("skipped", "no compiler")]


def test_a_remark_is_made_after_the_last_round(capsys) -> None:
    """What a contest has seen besides its figures stands at the end of the line."""
    seen = {"lost": 0}

    def ours() -> float:
        seen["lost"] += 1
        return 1.0

    @contextmanager
    def prepare(sizes: Sizes) -> Iterator[Contest]:
        yield Contest(ours=ours, peers={"p": lambda: 2.0}, remark=lambda: f"lost {seen['lost']}")

    row = Row(name="row", unit="ms", bars={"p": None}, prepare=prepare, rounds=3)
    (result,) = run_row(row, Sizes())
    assert result.remark == "lost 3"
    Table(3, 1).line(result)
    assert capsys.readouterr().out.endswith("-: lost 3\n")


def test_rounds_rotate() -> None:
    """Every candidate has its turn to go first."""
    turns: list[str] = []

    def candidate(name: str):
        return lambda: turns.append(name) or 1.0

    @contextmanager
    def prepare(sizes: Sizes) -> Iterator[Contest]:
        yield Contest(ours=candidate("us"), peers={"a": candidate("a"), "b": candidate("b")})

    run_row(Row(name="r", unit="ns", bars={"a": 1.0, "b": 1.0}, prepare=prepare), Sizes(rounds=3))
    assert turns == ["us", "a", "b", "a", "b", "us", "b", "us", "a"]


def test_candidates_call_as_often_as_they_say() -> None:
    """`loop` calls so many times, `each` once per argument of a fresh set."""
    called: list[int] = []
    loop(lambda: called.append(0), 5)()
    measure = each(called.append, lambda: [1, 2])
    measure()
    measure()
    assert called == [0] * 5 + [1, 2, 1, 2]


def test_steady_restores_what_it_changed() -> None:
    """After a contest the process may run anywhere and collects garbage again."""
    import gc
    import os

    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with steady():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert before == (os.sched_getaffinity(0) if before is not None else None)


def test_names_are_unique() -> None:
    """A pattern can single out every row."""
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_quick_run(tmp_path, capsys) -> None:
    """One small round of every codec row gives a table and JSON that agree."""
    file = tmp_path / "bench.json"
    assert main(["--quick", "--rows", "^(stun|srtp|rt)", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    document = json.loads(file.read_text())
    assert document["machine"]["python"]
    assert len(document["rows"]) >= 25
    for row in document["rows"]:
        assert row["row"] in printed
        if row["verdict"] == "skipped":
            assert row["skipped"]
        else:
            assert row["ours"] > 0
            assert row["theirs"] > 0
            assert row["rounds"] == 1


def test_unknown_pattern(capsys) -> None:
    """A pattern that fits nothing lists what there is, and fails."""
    assert main(["--rows", "no such row"]) == 2
    assert "stun build" in capsys.readouterr().out
