"""The parent of the workers: owns every socket, forwards nothing.

A worker that ends is replaced by a new one with the same sockets: the kernel goes on to give it the
same clients, and what arrived meanwhile waits in the sockets. Its flows come back with
the next packet of their owners. The parent does nothing that could fail or block, has no threads,
and forks from a warm state, so a replacement forwards within milliseconds.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

import attrs

from examples.cli import show
from examples.relay.counters import Board
from examples.relay.health import serve_http
from examples.relay.process import Reload, end_with_parent, serve
from examples.relay.settings import RelaySettings, SettingsError
from examples.relay.sockets import address_of, open_sockets
from examples.relay.worker import own_addresses
from rtcproto.datagram import Address

__all__ = ["Parent"]

# Seconds a child must have lived for its end to be an accident; those that end
# sooner are started again after a pause that doubles.
STABLE = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

# Seconds between two looks at files and heartbeats.
TICK = 0.5

# Seconds without a sign of life after which a worker is killed and replaced.
SILENCE = 10.0

# Seconds that workers have to end after they were told to.
PATIENCE = 5.0


class _Child:
    """One process to be kept running, and when to start it (again)."""

    __slots__ = ("finished", "main", "name", "pause", "pid", "started", "wanted_at")

    def __init__(self, name: str, main: Callable[[], None]) -> None:
        self.name = name
        self.main = main
        self.pid: int | None = None
        self.started = 0.0
        self.wanted_at = 0.0
        self.pause = 0.0
        self.finished = False


class Parent:
    """Sockets are bound when it is made; SettingsError if they cannot be.

    `reload` reads keys and directories again. `publics` and `insides` say where the relay is.
    """

    def __init__(self, settings: RelaySettings, reload: Reload) -> None:
        self._settings = settings
        self._reload = reload
        self._sockets = open_sockets(settings)
        self._http: socket.socket | None = None
        try:
            self._http = None if settings.http is None else _listen(settings.http)
            self._own = own_addresses(self._sockets)
            settings.directory(self._own)
            self.publics: tuple[Address, ...] = tuple(
                public for face in self._sockets[0].outside for public in face.publics
            )
            self.insides = tuple(address_of(each.inside) for each in self._sockets)
            self.http = None if self._http is None else address_of(self._http)
        except BaseException:
            self._close_sockets()
            raise
        self.board = Board(settings.workers)
        self._restarts = 0
        self._reloads = 0
        self._reload_failures = 0
        self._stamps = self._file_stamps()
        self._workers = [
            _Child(f"worker {index}", self._worker_main(index)) for index in range(settings.workers)
        ]
        self._watcher: list[_Child] = []
        if self._http is not None:
            self._watcher = [_Child("health and metrics", self._http_main)]
        self._draining = False
        self._kill_at: float | None = None
        self._signals: list[int] = []
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in (*self._workers, *self._watcher):
            if child.pid is not None:
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
        self._close_sockets()
        self._wake_reader.close()
        self._wake_writer.close()

    def run(self) -> None:
        """Keep workers running until SIGTERM or SIGINT, and until they have ended."""
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda number, _frame: self._signals.append(number))
        # What is there now is never garbage; children share it until they write to it.
        gc.collect()
        gc.freeze()
        interval = self._settings.stats_interval
        now = time.monotonic()
        next_stats = None if interval is None else now + interval
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                self._handle_signals(now)
                self._look_at_files()
                self._collect(now)
                if all(child.finished for child in self._workers):
                    return
                self._start_wanted(now)
                self._watch(now)
                due = now + TICK
                if interval is not None and next_stats is not None:
                    if now >= next_stats:
                        next_stats = now + interval
                        print(json.dumps(self.stats()), flush=True)
                    due = min(due, next_stats)
                children = (*self._workers, *self._watcher)
                due = min([due, *(c.wanted_at for c in children if c.pid is None)])
                selector.select(max(0.0, due - time.monotonic()))
                self._empty_wakes()

    def stats(self) -> dict[str, object]:
        """Counters as plain values, for JSON. No address and no token is among them."""
        total = self.board.total()
        drops = {
            name.removeprefix("drop_"): count
            for name, count in total.items()
            if name.startswith("drop_") and count
        }
        plain = {
            name: count
            for name, count in total.items()
            if not name.startswith(("drop_", "delay_", "heartbeat"))
        }
        return {**plain, "worker_restarts": self._restarts, "drops": drops}

    # Private

    def _worker_main(self, index: int) -> Callable[[], None]:
        def main() -> None:
            if self._settings.pin and hasattr(os, "sched_setaffinity"):
                cores = sorted(os.sched_getaffinity(0))
                os.sched_setaffinity(0, {cores[index % len(cores)]})
            serve(
                self._settings,
                self._sockets[index],
                self._own,
                self.board.rows[index],
                self._reload,
                draining=self._draining,
            )

        return main

    def _http_main(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for each in self._sockets:
            each.close()
        assert self._http is not None
        serve_http(self.board, self._http)

    def _file_stamps(self) -> list[tuple[int, int] | None]:
        stamps: list[tuple[int, int] | None] = []
        for name in self._settings.files:
            try:
                found = os.stat(name)
            except OSError:
                stamps.append(None)
            else:
                stamps.append((found.st_mtime_ns, found.st_ino))
        return stamps

    def _look_at_files(self) -> None:
        stamps = self._file_stamps()
        if stamps != self._stamps:
            self._stamps = stamps
            self._read_again()

    def _read_again(self) -> None:
        """Have the workers read keys and transceivers again, if they can be read."""
        try:
            read = self._reload()
            read.directory(self._own)
        except SettingsError as error:
            self._reload_failures += 1
            print(f"relay: {error}; nothing was changed", file=sys.stderr, flush=True)
            return
        self._settings = attrs.evolve(
            self._settings, codec=read.codec, transceivers=read.transceivers
        )
        self._reloads += 1
        self._tell(signal.SIGHUP)

    def _handle_signals(self, now: float) -> None:
        signals, self._signals = self._signals, []
        for number in signals:
            if number == signal.SIGHUP:
                self._read_again()
            elif number == signal.SIGINT or (number == signal.SIGTERM and self._draining):
                self._drain(now, signal.SIGUSR1, 0.0)
            elif number == signal.SIGTERM:
                self._drain(now, signal.SIGTERM, self._settings.drain_timeout)

    def _drain(self, now: float, number: signal.Signals, time_out: float) -> None:
        self._draining = True
        self._kill_at = now + time_out + PATIENCE
        self._tell(number)

    def _tell(self, number: signal.Signals) -> None:
        for child in self._workers:
            if child.pid is not None:
                os.kill(child.pid, number)

    def _collect(self, now: float) -> None:
        for child in (*self._workers, *self._watcher):
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            child.pid = None
            code = os.waitstatus_to_exitcode(status)
            if self._draining and not code:
                child.finished = True
                continue
            if child in self._workers:
                self._restarts += 1
            if now - child.started >= STABLE:
                child.pause = 0.0
            if self._kill_at is not None and now > self._kill_at - PATIENCE:
                # Its time to drain is over anyway.
                child.finished = True
                continue
            child.wanted_at = now + child.pause
            child.pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * child.pause))
            how = f"signal {-code}" if code < 0 else f"status {code}"
            print(f"relay: {child.name} ended with {how}, starting another", file=sys.stderr,
                flush=True)  # fmt: skip

    def _start_wanted(self, now: float) -> None:
        for child in (*self._workers, *self._watcher):
            if child.pid is None and now >= child.wanted_at and not child.finished:
                self._start(child, now)
        self._report(now)

    def _start(self, child: _Child, now: float) -> None:
        child.started = now
        pid = os.fork()
        if pid:
            child.pid = pid
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            self._wake_reader.close()
            self._wake_writer.close()
            end_with_parent()
            child.main()
            status = 0
        finally:
            if status:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            # Nothing of the parent's is to be undone here.
            os._exit(status)

    def _watch(self, now: float) -> None:
        for child, row in zip(self._workers, self.board.rows, strict=True):
            if child.pid is None:
                continue
            heard = max(child.started, row.read()["heartbeat"] / 1000)
            if now - heard > SILENCE or (self._kill_at is not None and now > self._kill_at):
                os.kill(child.pid, signal.SIGKILL)

    def _report(self, now: float) -> None:
        self.board.parent.write({
            "heartbeat": int(now * 1000),
            "draining": int(self._draining),
            "workers": sum(child.pid is not None for child in self._workers),
            "restarts": self._restarts,
            "reloads": self._reloads,
            "reload_failures": self._reload_failures,
        })  # fmt: skip

    def _empty_wakes(self) -> None:
        try:
            self._wake_reader.recv(4096)
        except BlockingIOError:
            return

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        if self._http is not None:
            self._http.close()


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise SettingsError(f"--http {show(address)}: {error.strerror}") from None
    return sock
