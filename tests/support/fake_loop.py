"""An event loop and a UDP socket that exist only in virtual time, for the asyncio driver."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["FakeHandle", "FakeLoop", "FakeSocket"]


class FakeHandle:
    """What `call_later` returns."""

    def __init__(self, when: float, callback: Callable[..., Any], arguments: tuple[Any, ...]):
        self.when = when
        self.cancelled = False
        self._callback = callback
        self._arguments = arguments

    def cancel(self) -> None:
        """Never run."""
        self.cancelled = True

    def run(self) -> None:
        """Run once, unless cancelled."""
        if not self.cancelled:
            self.cancelled = True
            self._callback(*self._arguments)


class FakeLoop:
    """The four methods of an event loop that the driver uses, and the clock it reads.

    `early` seconds are taken off every wake-up, as real loops do.
    """

    def __init__(self, early: float = 0.0) -> None:
        self.now = 1000.0
        self.readers: dict[int, Callable[[], None]] = {}
        self.wakeups = 0
        self._early = early
        self._soon: deque[FakeHandle] = deque()
        self._later: list[FakeHandle] = []

    def time(self) -> float:
        """The virtual instant."""
        return self.now

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback` while the socket has datagrams."""
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> bool:
        """Stop that."""
        return self.readers.pop(fd, None) is not None

    def call_soon(self, callback: Callable[..., Any], *arguments: Any) -> FakeHandle:
        """Run `callback` in this turn."""
        handle = FakeHandle(self.now, callback, arguments)
        self._soon.append(handle)
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> FakeHandle:
        """Run `callback` in `delay` seconds."""
        handle = FakeHandle(self.now + delay, callback, arguments)
        self._later.append(handle)
        return handle

    def run_until(self, instant: float, sockets: list[FakeSocket]) -> None:
        """Turn the loop up to the virtual `instant`."""
        while True:
            while self._soon:
                self._soon.popleft().run()
            ready = [s for s in sockets if s.inbox and s.fileno() in self.readers]
            if ready:
                for sock in ready:
                    self.wakeups += 1
                    self.readers[sock.fileno()]()
                continue
            self._later = [handle for handle in self._later if not handle.cancelled]
            due = min(self._later, key=lambda handle: handle.when, default=None)
            if due is None or due.when > instant:
                self.now = instant
                return
            self._later.remove(due)
            self.now = max(self.now, due.when - self._early)
            due.run()


class FakeSocket:
    """A UDP socket whose wire is the inbox of whoever is registered under an address."""

    family = socket.AF_INET
    _next_fd = 100

    def __init__(self, address: tuple[str, int], wire: dict[tuple[str, int], FakeSocket]) -> None:
        self.address = address
        self.inbox: deque[tuple[bytes, tuple[str, int]] | OSError] = deque()
        self.refuse = False
        self._wire = wire
        self._fd = FakeSocket._next_fd
        FakeSocket._next_fd += 1
        wire[address] = self

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._fd

    def getsockname(self) -> tuple[str, int]:
        """Where it is bound."""
        return self.address

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        """The next datagram, or what a socket raises."""
        if not self.inbox:
            raise BlockingIOError
        item = self.inbox.popleft()
        if isinstance(item, OSError):
            raise item
        return item[0][:size], item[1]

    def sendto(self, data: bytes, destination: tuple[str, int]) -> int:
        """Put a datagram into the inbox of its destination, if there is one."""
        if self.refuse:
            raise OSError("network unreachable")
        peer = self._wire.get(destination)
        if peer is not None:
            peer.inbox.append((data, self.address))
        return len(data)

    def close(self) -> None:
        """Give up the descriptor."""
        self._fd = -1
