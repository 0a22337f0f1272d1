"""Switch every guard off in turn: a named test must fail for each. `make guards`.

A guard without a failing test is unproven. The guards, the text that switches each
off, and the tests that must notice are in `tests/guard_table.py`. This program
copies `src/` and `examples/`, patches one guard at a time in the copy, and runs its tests there.

    python tests/guards.py [--write] [--only TEXT] [--workers N]

It exits with 1 if a guard survives, if its text is no longer in the source, or if
one of the named tests fails without any patch. `--write` writes the table into
the documentation; a default test holds that page to the table.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.guard_table import Guard

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "pages" / "reference" / "guards.md"

# Seconds after which a patched run counts as hanging, which is noticed like a failure.
TIME_OUT = 20.0
TIME_OUT_UNPATCHED = 600.0

# A process that has imported what every run needs, and forks one child per run: that is most
# of the time a short run takes. The child runs pytest on the package in the directory that
# it is told, and nothing else. A line in is a run, a line out its exit code, -1 if it hangs.
SERVER = """\
import importlib, json, os, signal, sys, time, traceback

for name in (
    "aiohttp.web", "asyncio", "attrs", "crc32c", "cryptography.x509", "hypothesis.stateful",
    "hypothesis.strategies", "OpenSSL.SSL", "pytest",
    "cryptography.hazmat.primitives.asymmetric.rsa", "cryptography.hazmat.primitives.ciphers.aead",
):
    importlib.import_module(name)

def run(source, arguments, output):
    to = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(to, 1)
    os.dup2(to, 2)
    sys.path.insert(0, source)
    import examples
    import rtcproto
    assert rtcproto.__file__.startswith(source), rtcproto.__file__
    assert examples.__file__.startswith(source), examples.__file__
    import pytest
    return pytest.main(arguments)

for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setpgid(0, 0)
            code = run(order["source"], order["arguments"], order["output"])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    deadline = time.monotonic() + order["time_out"]
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    if not done:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status) if done else -1, flush=True)
"""

PASSED, FAILED = 0, 1  # pytest's exit codes; all others mean that it could not run the tests


class Outcome:
    """What happened to one guard; `fault` is empty if a test failed as it should."""

    def __init__(self, guard: Guard, fault: str, seconds: float, output: str = "") -> None:
        self.guard = guard
        self.fault = fault
        self.seconds = seconds
        self.output = output


class Copy:
    """A copy of `src/` and `examples/` in which one guard at a time is off."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "src"
        shutil.copytree(ROOT / "src", self.source, ignore=shutil.ignore_patterns("*.egg-info"))
        # Beside the library, so that one path leads to both.
        shutil.copytree(ROOT / "examples", self.source / "examples")
        compileall.compile_dir(self.source, quiet=1)

        # Without bytecode every run would compile every test module again.
        environment = {**os.environ, "PYTHONPATH": str(self.source), "PYTHONDONTWRITEBYTECODE": ""}
        self._output = folder / "output"
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process that runs the tests."""
        self._server.communicate()

    def run(self, tests: Sequence[str], time_out: float = TIME_OUT) -> tuple[int, str]:
        """Exit code and output of pytest on `tests` with this copy."""
        options = ["-q", "-x", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
        # Of what is imported before: its own assertions need no rewriting.
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        order = {
            "source": str(self.source),
            "arguments": [*options, *tests],
            "output": str(self._output),
            "time_out": time_out,
        }
        assert self._server.stdin is not None, "it is a pipe"
        assert self._server.stdout is not None, "it is a pipe"
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        if code == -1:
            return FAILED, "hangs"
        return code, self._output.read_text(encoding="utf-8", errors="replace")

    def try_without(self, guard: Guard) -> Outcome:
        """Switch `guard` off, run its tests, and switch it on again."""
        started = time.monotonic()
        path = module_of(guard, self.source)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text.count(guard.text) != 1:
            fault = f"its text is there {text.count(guard.text)} times"
            return Outcome(guard, fault, 0.0)
        try:
            self._write(path, text.replace(guard.text, guard.off))
            code, output = self.run(guard.tests)
        finally:
            self._write(path, text)
        fault = ""
        if code == PASSED:
            fault = "SURVIVED: no test failed"
        elif code != FAILED:
            fault = f"pytest could not run (exit code {code})"
        return Outcome(guard, fault, time.monotonic() - started, output)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        # Compiled code is told from stale by whole seconds, and we are faster.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()


def module_of(guard: Guard, source: Path) -> Path:
    """The module of a guard under `source`, which holds `rtcproto` and `examples`."""
    return (
        source / guard.file
        if guard.file.startswith("examples/")
        else (source / "rtcproto" / guard.file)
    )


def run_all(guards: Sequence[Guard], workers: int) -> list[Outcome]:
    """The outcomes in the order of `guards`."""
    waiting: queue.SimpleQueue[Guard] = queue.SimpleQueue()
    for guard in guards:
        waiting.put(guard)
    outcomes: dict[str, Outcome] = {}

    def work(folder: Path) -> None:
        copy = Copy(folder)
        while True:
            try:
                guard = waiting.get_nowait()
            except queue.Empty:
                copy.close()
                return
            outcome = outcomes[guard.name] = copy.try_without(guard)
            verdict = outcome.fault or "noticed"
            print(f"{guard.name[:56]:<56} {outcome.seconds:5.1f} s  {verdict}", flush=True)

    with tempfile.TemporaryDirectory(prefix="guards-") as scratch:
        threads = [
            threading.Thread(target=work, args=(Path(scratch) / str(number),))
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [outcomes[guard.name] for guard in guards if guard.name in outcomes]


def unpatched(guards: Sequence[Guard]) -> str:
    """Empty if all named tests pass on the source as it is, else pytest's words."""
    tests = sorted({test for guard in guards for test in guard.tests})
    with tempfile.TemporaryDirectory(prefix="guards-") as scratch:
        copy = Copy(Path(scratch))
        code, output = copy.run(tests, TIME_OUT_UNPATCHED)
        copy.close()
    return "" if code == PASSED else output


def page(guards: Sequence[Guard]) -> str:
    """The documentation: one table per subject."""
    lines = [
        "# Guards",
        "",
        "Every check that stands between the network and the state of a session, a relay or an",
        "endpoint. `make guards` switches each of them off in a copy of the source and runs the",
        "tests named beside it: at least one must fail, or the guard is unproven.",
        "",
        f"There are {len(guards)}; `tests/guard_table.py` says which text switches each off.",
    ]
    subject = ""
    for guard in guards:
        if guard.subject != subject:
            subject = guard.subject
            lines += ["", f"## {subject}", "", "| guard | module | noticed by |", "|---|---|---|"]
        tests = ", ".join(f"`{test.removeprefix('tests/')}`" for test in guard.tests)
        lines.append(f"| {guard.name} | `{guard.file}` | {tests} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """The program."""
    sys.path[0] = str(ROOT)  # the package `tests`, and not what lies in it, is importable
    from tests.guard_table import GUARDS

    parser = argparse.ArgumentParser(description="Switch every guard off in turn.")
    parser.add_argument("--write", action="store_true", help="write the page of the documentation")
    parser.add_argument("--only", default="", help="guards whose name or module holds this text")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="show pytest's words")
    options = parser.parse_args(arguments)
    if options.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(GUARDS), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}: {len(GUARDS)} guards")
        return 0

    started = time.monotonic()
    guards = [guard for guard in GUARDS if options.only in guard.name + " " + guard.file]
    complaint = unpatched(guards)
    if complaint:
        print(complaint)
        print("the named tests fail on the source as it is")
        return 1
    outcomes = run_all(guards, options.workers)
    faults = [outcome for outcome in outcomes if outcome.fault]
    for outcome in outcomes:
        if options.verbose or outcome.fault:
            print(f"\n-- {outcome.guard.name}: {outcome.fault}\n{outcome.output[-2000:]}")
    print(
        f"\n{len(outcomes) - len(faults)} of {len(guards)} guards proven"
        f" in {time.monotonic() - started:.0f} s"
    )
    for outcome in faults:
        print(f"  {outcome.guard.name} ({outcome.guard.file}): {outcome.fault}")
    return 1 if faults or len(outcomes) != len(guards) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
