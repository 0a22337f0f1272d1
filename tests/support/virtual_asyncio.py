"""A real asyncio event loop in virtual time, with UDP sockets that exist only in one process.

For code that says `asyncio.run(...)` and `open_endpoint(...)` itself, such as the
blocks of the documentation. `install` puts both in place for one test.
"""

from __future__ import annotations

import asyncio
import socket
import types
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["Deadlock", "VirtualLoop", "VirtualSocket", "install"]

START = 1000.0


class Deadlock(AssertionError):
    """Nothing is ready, nothing is due: the loop would wait for ever."""


class VirtualSocket:
    """What the driver uses of a UDP socket. `wire` is the network: one socket per address."""

    _next_fd = 1000

    def __init__(
        self, wire: dict[tuple[str, int], VirtualSocket], family: int = socket.AF_INET
    ) -> None:
        self.family = family
        self.inbox: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._wire = wire
        self._address = ("0.0.0.0", 0)
        self._fd = VirtualSocket._next_fd
        VirtualSocket._next_fd += 1

    def setblocking(self, flag: bool) -> None:
        """Never blocks."""

    def setsockopt(self, *option: int) -> None:
        """Has no options."""

    def bind(self, address: tuple[str, int]) -> None:
        """Take an address; port 0 is any."""
        host, port = address
        self._address = (host, port or 40000 + self._fd)
        self._wire[self._address] = self

    def getsockname(self) -> tuple[str, int]:
        """Where it is bound."""
        return self._address

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._fd

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        """The next datagram."""
        if not self.inbox:
            raise BlockingIOError
        data, source = self.inbox.popleft()
        return data[:size], source

    def sendto(self, data: bytes, destination: tuple[str, int]) -> int:
        """Put a datagram into the inbox of its destination, if there is one."""
        peer = self._wire.get(destination)
        if peer is not None:
            peer.inbox.append((data, self._address))
        return len(data)

    def close(self) -> None:
        """Give up descriptor and address."""
        self._fd = -1
        self._wire.pop(self._address, None)


class _Selector:
    """Lets time pass instead of waiting."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Callable[[], None]]:
        ready = [
            self._loop.readers[sock.fileno()]
            for sock in list(self._loop.wire.values())
            if sock.inbox and sock.fileno() in self._loop.readers
        ]
        if not ready and timeout is None:
            raise Deadlock("no task can go on")
        if not ready and timeout:
            self._loop.now += timeout
        return ready


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose clock is `now` and whose network is `wire`."""

    def __init__(self, wire: dict[tuple[str, int], VirtualSocket]) -> None:
        super().__init__()
        self.now = START
        self.wire = wire
        self.readers: dict[int, Callable[[], None]] = {}
        self._selector = _Selector(self)

    def time(self) -> float:
        """The virtual instant."""
        return self.now

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """Call `callback` while the socket has datagrams."""
        self.readers[fd] = lambda: callback(*args)

    def remove_reader(self, fd: Any) -> bool:
        """Stop that."""
        return self.readers.pop(fd, None) is not None

    def _process_events(self, event_list: list[Callable[[], None]]) -> None:
        for callback in event_list:
            self.call_soon(callback)

    def _write_to_self(self) -> None:
        # Nobody waits in another thread.
        pass


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `asyncio.run` and `open_endpoint` virtual for one test."""
    wire: dict[tuple[str, int], VirtualSocket] = {}
    loops: list[VirtualLoop] = []

    def new_event_loop() -> VirtualLoop:
        loops.append(VirtualLoop(wire))
        return loops[-1]

    def monotonic() -> float:
        return loops[-1].now if loops else START

    monkeypatch.setattr("asyncio.events.new_event_loop", new_event_loop)
    names = {**vars(socket), "socket": lambda family, kind: VirtualSocket(wire, family)}
    monkeypatch.setattr("rtcproto.asyncio.opening.socket", types.SimpleNamespace(**names))
    clock = types.SimpleNamespace(monotonic=monotonic, time=lambda: 1_800_000_000.0)
    for module in ("opening", "driver", "call"):
        monkeypatch.setattr(f"rtcproto.asyncio.{module}.time", clock)
