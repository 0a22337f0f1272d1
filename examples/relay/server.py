"""A relay inside another program: one worker, in the main thread, in any other, or by
`asyncio.to_thread`. `stop` may be called from anywhere, also from a signal handler.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import attrs

from examples.relay.counters import Counters
from examples.relay.settings import RelaySettings
from examples.relay.sockets import address_of, open_sockets
from examples.relay.worker import Worker, own_addresses
from rtcproto.relay import RelayCore

__all__ = ["RelayServer"]


class RelayServer:
    """A running relay. Sockets are bound when it is made; SettingsError if they cannot be.

    Port 0 in the settings takes a free port; `publics`, `streams` (TCP), `upstream` and `inside`
    say which.
    """

    def __init__(self, settings: RelaySettings) -> None:
        workers = open_sockets(attrs.evolve(settings, workers=1))
        self._sockets = workers[0]
        self.publics = tuple(face.public for face in self._sockets.outside)
        self.streams = tuple(face.public for face in self._sockets.tcp)
        upstream = self._sockets.upstream
        self.upstream = None if upstream is None else upstream.public
        self.inside = address_of(self._sockets.inside)
        try:
            self.worker = Worker(settings, self._sockets, own_addresses(workers))
        except BaseException:
            self._sockets.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def core(self) -> RelayCore:
        """The decisions."""
        return self.worker.core

    @property
    def counters(self) -> Counters:
        """What is counted besides."""
        return self.worker.counters

    def run(self) -> None:
        """Forward until `stop`."""
        self.worker.run()

    def stop(self) -> None:
        """Make `run` return soon. Safe from other threads, signal handlers, and after `close`."""
        self.worker.stop()

    def close(self) -> None:
        """Close the sockets. Not while `run` is running."""
        self._sockets.close()
        self.worker.close()
