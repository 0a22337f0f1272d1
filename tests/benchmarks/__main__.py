"""`python -m tests.benchmarks`: see the package."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from tests.benchmarks import channels, codecs, dtls, flows, forged, realtime, relay, sessions, srtp
from tests.benchmarks.harness import Result, Row, Sizes, machine, run_row
from tests.benchmarks.report import Table, write_json

__all__ = ["main"]

ROWS: list[Row] = [
    *codecs.ROWS,
    *srtp.ROWS,
    *dtls.ROWS,
    *relay.ROWS,
    *flows.ROWS,
    *sessions.ROWS,
    *channels.ROWS,
    *forged.ROWS,
    *realtime.ROWS,
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows that were asked for; exit status 0 whatever the figures are."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Us and others in turn, as ratios."
    )
    parser.add_argument("--rows", default="", metavar="PATTERN", help="regular expression of names")
    parser.add_argument("--rounds", type=int, metavar="N", help="instead of each row's own number")
    parser.add_argument("--json", metavar="FILE", help="write everything there as well")
    parser.add_argument("--quick", action="store_true", help="one small round of the codecs")
    options = parser.parse_args(arguments)
    sizes = Sizes(quick=options.quick, rounds=options.rounds)
    wanted = [
        row
        for row in ROWS
        if re.search(options.rows, row.name) and (row.micro or not options.quick)
    ]
    if not wanted:
        print("no row has such a name; there are:", *(row.name for row in ROWS), sep="\n  ")
        return 2
    facts = machine()
    print(f"{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}\n")
    table = Table(
        max(len(row.name) for row in wanted), max(len(peer) for row in wanted for peer in row.bars)
    )
    table.head()
    results: list[Result] = []
    try:
        for row in wanted:
            for result in run_row(row, sizes):
                results.append(result)
                table.line(result)
    finally:
        # A row that fails must not cost those before it.
        if options.json:
            write_json(options.json, facts, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
