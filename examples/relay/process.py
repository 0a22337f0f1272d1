"""One worker as a process: what the parent's child does between the fork and its end.

SIGTERM: take no new flows, end when the old ones are over or the time for that is. SIGUSR1: end
now. SIGHUP: read keys and the list of transceivers again. Ctrl-C is the parent's business. A
worker never outlives its parent, which could not stop it any more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from examples.relay.counters import Row
from examples.relay.settings import RelaySettings, SettingsError
from examples.relay.sockets import WorkerSockets
from examples.relay.translated import AddressCheck
from examples.relay.worker import Worker
from rtcproto.datagram import Address

__all__ = ["REPORT_INTERVAL", "Reload", "end_with_parent", "serve"]

# Seconds between two reports of a worker.
REPORT_INTERVAL = 1.0

# Seconds in which a worker that replaces another one during a drain hears of the flows that are
# to be kept: owners of live calls send far more often.
REDISCOVERY = 2.0

# linux/prctl.h.
PR_SET_PDEATHSIG = 1

# Reads keys and the list of transceivers again. Raises SettingsError.
Reload = Callable[[], RelaySettings]


class _Duties:
    """What a worker does besides forwarding; a timer of it."""

    def __init__(
        self, worker: Worker, settings: RelaySettings, row: Row, reload: Reload, now: float
    ) -> None:
        self._worker = worker
        self._row = row
        self._reload = reload
        self._drain_timeout = settings.drain_timeout
        self._interval = min(REPORT_INTERVAL, settings.stats_interval or REPORT_INTERVAL)
        self._parent = os.getppid()
        self._next = now
        self._hang_up = False
        self._drain_at: float | None = None
        self._end_at: float | None = None

    def hang_up(self) -> None:
        """SIGHUP."""
        self._hang_up = True
        self._at_once()

    def drain(self, at: float = 0.0) -> None:
        """SIGTERM; the time to do so is `at`."""
        if self._drain_at is None:
            self._drain_at = at
        self._at_once()

    def get_timer(self) -> float | None:
        """When something is due."""
        return self._next

    def handle_timer(self, now: float) -> None:
        """Report, and do what signals asked for."""
        self._next = now + self._interval
        if self._hang_up:
            self._hang_up = False
            try:
                self._worker.replace(self._reload(), now)
            except SettingsError as error:
                print(f"relay: {error}; nothing was changed", file=sys.stderr, flush=True)
        if self._drain_at is not None and self._end_at is None and now >= self._drain_at:
            self._worker.drain(now)
            self._end_at = now + self._drain_timeout
        self.report()
        if self._end_at is not None and (now >= self._end_at or not self._worker.flow_count):
            self._worker.stop()
        if os.getppid() != self._parent:
            self._worker.stop()

    def report(self) -> None:
        """Write what the parent and metrics want to know."""
        self._row.write({
            **self._worker.values(),
            "heartbeat": int(time.monotonic() * 1000),
            "draining": int(self._end_at is not None),
        })  # fmt: skip

    def _at_once(self) -> None:
        self._next = 0.0
        self._worker.wake()


def end_with_parent() -> None:
    """Have the kernel end this process with its parent (Linux). Workers also look themselves."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def serve(
    settings: RelaySettings,
    sockets: WorkerSockets,
    own: Sequence[Address],
    row: Row,
    reload: Reload,
    *,
    draining: bool,
) -> None:
    """Forward until told to end."""
    now = time.monotonic()
    row.begin()
    worker = Worker(settings, sockets, own)
    duties = _Duties(worker, settings, row, reload, now)
    worker.add_timer(duties)
    check = AddressCheck(lambda text: print(f"relay: warning: {text}", file=sys.stderr, flush=True))
    worker.add_observer(check.observe)
    worker.add_source(check.values)
    signal.signal(signal.SIGTERM, lambda _number, _frame: duties.drain())
    signal.signal(signal.SIGHUP, lambda _number, _frame: duties.hang_up())
    signal.signal(signal.SIGUSR1, lambda _number, _frame: worker.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if draining:
        duties.drain(now + REDISCOVERY)
    worker.run()
    duties.report()
