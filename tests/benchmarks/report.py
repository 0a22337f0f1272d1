"""The table for people and the JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from tests.benchmarks.harness import Result

__all__ = ["Table", "write_json"]

_HEAD = ("row", "peer", "ours", "peer's", "reached", "bar", "verdict")


class Table:
    """Prints a line as soon as its result is there."""

    def __init__(self, row_width: int, peer_width: int) -> None:
        self._format = (
            f"{{:<{row_width}}}  {{:<{peer_width}}}  {{:>10}}  {{:>10}}  {{:>9}}  {{:>6}}  {{}}"
        )

    def head(self) -> None:
        """The names of the columns."""
        line = self._format.format(*_HEAD)
        print(line)
        print("-" * len(line), flush=True)

    def line(self, result: Result) -> None:
        """One result."""
        unit = f" {result.unit}"
        reached = "-"
        if result.reached is not None:
            reached = _number(result.reached) + (unit if result.difference else "")
        print(
            self._format.format(
                result.row,
                result.peer,
                "-" if result.ours is None else _number(result.ours) + unit,
                "-" if result.theirs is None else _number(result.theirs) + unit,
                reached,
                "-" if result.bar is None else f"{result.bar:g}",
                ": ".join(filter(None, (result.verdict, result.skipped, result.remark))),
            ),
            flush=True,
        )


def _number(value: float) -> str:
    """Three or four digits that say something."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def write_json(path: str, machine: dict[str, Any], results: Iterable[Result]) -> None:
    """Everything in one object: `machine`, `command`, and `rows`."""
    rows = [{**attrs.asdict(result), "verdict": result.verdict} for result in results]
    document = {"command": " ".join(sys.argv), "machine": machine, "rows": rows}
    Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
