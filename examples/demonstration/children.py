"""Programs run as child processes, watched, and started again when they die."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

__all__ = ["Child", "ChildFailed"]

# Where `python -m examples...` works.
ROOT = Path(__file__).resolve().parent.parent.parent

# Seconds a program has to say that it is ready; Python starts in less than one
# on an idle machine.
READY_TIMEOUT = 30.0

# Seconds before a dead program is started again: at first, and at most.
RESTART_DELAY = 0.3
MAX_RESTART_DELAY = 5.0

# Seconds a program has to end when asked to.
STOP_TIMEOUT = 3.0


# linux/prctl.h
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    # Runs in the child before the program starts: if we are killed without a
    # chance to stop it, the kernel does; nothing must hold on to the ports.
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class ChildFailed(Exception):
    """A program could not be started. One line."""


class Child:
    """`python -m MODULE ARGUMENTS`, which prints a line with "ready" once it serves.

    `name` is for people. What it writes on its standard error goes to `say`,
    line by line, and so does what happens to it.
    """

    def __init__(
        self, name: str, module: str, arguments: Sequence[str], say: Callable[[str], None]
    ) -> None:
        self.name = name
        self._command = (sys.executable, "-u", "-m", module, *arguments)
        self._say = say
        self._process: Process | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Until it is ready, what it writes is only remembered: the last line says why it failed.
        self._ready = False
        self._last_line = ""

    async def start(self) -> None:
        """Start it and wait until it is ready; from then on, keep it running.

        Raises ChildFailed if it does not get that far.
        """
        process = await self._start_once()
        self._spawn(self._keep_running(process))

    async def stop(self) -> None:
        """End it, and wait for that."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end()

    async def _start_once(self) -> Process:
        self._ready = False
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=PIPE,
            stderr=PIPE,
            cwd=ROOT,
            preexec_fn=_end_with_parent,
            # Ctrl-C is for us: a terminal sends it to every process of the group at once,
            # and a relay that ends first cannot carry what the others say at their end.
            process_group=0,
        )
        assert process.stdout is not None, "it is a pipe"
        assert process.stderr is not None, "it is a pipe"
        errors = self._spawn(self._read(process.stderr, self._hear_error))
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                while line := await process.stdout.readline():
                    if b"ready" in line:
                        break
        except TimeoutError:
            await self._end()
            raise ChildFailed(f"{self.name}: not ready in {READY_TIMEOUT:.0f} seconds") from None
        if not line:
            await process.wait()
            await errors
            raise ChildFailed(self._last_line or f"{self.name}: ended at once")
        self._ready = True
        self._say(f"{self.name}: process {process.pid}")
        self._spawn(self._read(process.stdout, self._hear_nothing))
        return process

    async def _keep_running(self, process: Process) -> None:
        delay = RESTART_DELAY
        while True:
            status = await process.wait()
            self._say(f"{self.name}: ended with status {status}; starting it again")
            while True:
                await asyncio.sleep(delay)
                try:
                    process = await self._start_once()
                except ChildFailed as error:
                    # Its port may be taken, by someone else or by its own last moments.
                    self._say(f"{self.name}: {error}")
                    delay = min(2 * delay, MAX_RESTART_DELAY)
                else:
                    delay = RESTART_DELAY
                    break

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _read(self, stream: asyncio.StreamReader, hear: Callable[[str], None]) -> None:
        while line := await stream.readline():
            hear(line.decode("utf-8", "replace").rstrip())

    def _hear_error(self, line: str) -> None:
        self._last_line = line
        if self._ready:
            self._say(f"{self.name}: {line}")

    def _hear_nothing(self, line: str) -> None:
        """Standard output is for the ready line; it is read so that nothing blocks."""
