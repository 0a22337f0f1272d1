"""A program on a host: every line it prints is kept with its time; its group ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faults.fabric import Host

__all__ = ["Program", "python"]

# What is measured is the fleet, not how busy the machine is with other things.
NICENESS = -10

# Seconds that a program may take to say something, on a busy machine.
PATIENCE = 30.0


def python(*arguments: str) -> list[str]:
    """A command line for our own interpreter."""
    return [sys.executable, "-m", *arguments]


class Program:
    """`with Program(host, command):` kills it at the end."""

    def __init__(self, host: Host, command: Sequence[str]) -> None:
        self.lines: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            host.command(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self._prefer()
        self._thread = threading.Thread(target=self._read, name=command[-1], daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Of the program itself: `ip netns exec` becomes what it runs."""
        return self._process.pid

    def children(self) -> list[int]:
        """The processes it has forked, the oldest first."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, parent, *_ = path.read_text().rpartition(")")[2].split()
                if int(parent) == self.pid and state != "Z":
                    found.append(int(path.parent.name))
        return sorted(found)

    def wait_for(self, text: str, patience: float = PATIENCE) -> tuple[float, str]:
        """The first line that holds `text`, and when it came; RuntimeError if none does."""
        deadline = time.monotonic() + patience
        with self._changed:
            while True:
                for at, line in self.lines:
                    if text in line:
                        return at, line
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise RuntimeError(f"never said {text!r}:\n{self.output()[-4000:]}")
                self._changed.wait(min(left, 0.5))

    def output(self) -> str:
        """All it has printed."""
        return "\n".join(line for _, line in self.lines)

    def send(self, line: str) -> None:
        """Write to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def terminate(self) -> None:
        """SIGTERM to the program itself, and wait for its end."""
        self._process.terminate()
        self._process.wait(PATIENCE)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to it and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._thread.join(PATIENCE)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def _prefer(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, self.pid, NICENESS)
            # Where Linux shares the machine among sessions first, this is what counts.
            Path(f"/proc/{self.pid}/autogroup").write_text(str(NICENESS), encoding="ascii")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append((time.monotonic(), line.rstrip("\n")))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
