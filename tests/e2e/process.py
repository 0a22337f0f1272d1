"""Programs as subprocesses: started in a group of their own, ended by it, output kept."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Process"]

# Seconds that a program may take to be ready, on a busy machine.
START_TIMEOUT = 30.0


class Process:
    """One running program. Its output goes to `log`."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str) -> None:
        """Return when it has printed `text`."""
        self.wait_until(lambda: text in self.output())

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; RuntimeError if it ends first or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT
        while not condition():
            if self._process.poll() is not None:
                raise RuntimeError(f"ended early: {self.output()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not ready in {START_TIMEOUT} s: {self.output()}")
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        os.killpg(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
