"""`make faults`: every fault, with real calls, and a table of what it did to them."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from tests.faults import chromium, scenarios
from tests.faults.fabric import why_no_fabric
from tests.faults.report import Row, as_table
from tests.faults.town import Town

__all__ = ["main"]

Scenario = Callable[[Town], Iterator[Row]]

# How the town is built, and what is done to it.
PLAN: tuple[tuple[dict[str, Any], tuple[tuple[str, Scenario], ...]], ...] = (
    (
        {"relays": 1},
        (
            ("nothing", scenarios.nothing),
            ("worker", lambda town: scenarios.worker_killed(town, store=False)),
            ("relay", lambda town: scenarios.relay_killed(town, store=False)),
            ("rebinding", scenarios.rebinding),
            (
                "flood",
                lambda town: scenarios.flooded(
                    town, calls=100, count=1_000_000, rate=25_000, connections=200
                ),
            ),
        ),
    ),
    (
        {"relays": 1, "store": True},
        (
            ("worker-store", lambda town: scenarios.worker_killed(town, store=True)),
            ("relay-store", lambda town: scenarios.relay_killed(town, store=True)),
            ("store", scenarios.store_killed),
        ),
    ),
    (
        {"relays": 2},
        (
            ("black-hole", scenarios.black_hole),
            ("rolling", lambda town: scenarios.rolling_restart(town, 50)),
            ("chromium", chromium.rows),
        ),
    ),
)


def main() -> int:
    """0: all goals were met. 1: some were not. 2: it could not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--only", metavar="TEXT", default="", help="names that contain this")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows there, too")
    options = parser.parse_args()
    reason = why_no_fabric()
    if reason is not None:
        print(f"faults: {reason}", file=sys.stderr)
        return 2
    # Whoever ends us wants the fleet ended, too.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    began = time.monotonic()
    rows: list[Row] = []
    failed = False
    for build, steps in PLAN:
        chosen = [scenario for name, scenario in steps if options.only in name]
        if not chosen:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder, Town(Path(folder), **build) as town:
                for scenario in chosen:
                    for row in scenario(town):
                        print(f"{time.monotonic() - began:4.0f} s  {row.fault}", file=sys.stderr)
                        rows.append(row)
        except RuntimeError as error:
            failed = True
            print(f"faults: a step did not work: {error}", file=sys.stderr)
    if rows:
        print(as_table(rows))
    if options.json is not None:
        options.json.write_text(json.dumps([attrs.asdict(row) for row in rows], indent=1))
    return 1 if failed or not all(row.met for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
