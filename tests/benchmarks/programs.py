"""Other programs: built where a compiler is, started, pinned, watched, and ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

from tests.benchmarks.harness import Skipped

__all__ = [
    "ROOT",
    "build_c",
    "build_go",
    "cores",
    "cpu_seconds",
    "resident",
    "scratch",
    "started",
]

PEERS = Path(__file__).parent / "peers"
ROOT = Path(__file__).resolve().parent.parent.parent


@cache
def cores() -> tuple[int, int]:
    """The core of what is measured and the core of its load; Skipped without two."""
    if not hasattr(os, "sched_setaffinity"):
        raise Skipped("processes cannot be pinned on this system")
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise Skipped("whole programs need two cores")
    return allowed[-1], allowed[0]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="rtcproto-bench-") as folder:
        yield Path(folder)


def build_c(source: str, folder: Path) -> Path:
    """The program of one of `peers/*.c`; Skipped without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Skipped("no C compiler")
    program = folder / source.replace(".", "-")
    command = [compiler, "-O2", "-o", str(program), str(PEERS / source)]
    subprocess.run(command, check=True, timeout=60)
    return program


def build_go(source: str, folder: Path) -> Path:
    """The program of one of `peers/*.go`; Skipped without Go."""
    compiler = shutil.which("go")
    if compiler is None:
        raise Skipped("no Go compiler")
    program = folder / source.replace(".", "-")
    # The first build compiles Go's library, which takes a minute.
    command = [compiler, "build", "-o", str(program), str(PEERS / source)]
    subprocess.run(command, check=True, timeout=300)
    return program


@contextmanager
def started(
    command: Sequence[str], *, core: int | None, silent: bool = False
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process pinned to `core` (None: free) and the first line it printed.

    A `silent` one prints none.
    """
    pinned = None if core is None else partial(os.sched_setaffinity, 0, {core})
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if silent else None,
        text=True,
        cwd=ROOT,
        preexec_fn=pinned,
    )
    try:
        assert process.stdout is not None, "it is a pipe"
        line = "" if silent else process.stdout.readline()
        if not line and not silent:
            raise RuntimeError(f"{command[0]} ended instead of starting")
        yield process, line
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def cpu_seconds(pid: int) -> float:
    """User and system time so far of a process, its children and theirs, in nanosecond steps."""
    # clock_getcpuclockid(3) as Linux computes it: the clock of a whole process, scheduler's time.
    return time.clock_gettime(~pid << 3 | 2) + sum(map(cpu_seconds, _children(pid)))


def _children(pid: int) -> list[int]:
    lists = list(Path(f"/proc/{pid}/task").glob("*/children"))
    if not lists:
        raise Skipped("this kernel does not list the children of a process")
    return [int(child) for children in lists for child in children.read_text("ascii").split()]


def resident(pid: int) -> int:
    """Bytes of memory that a process has in use (RSS)."""
    fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
