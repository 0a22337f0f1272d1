"""A bad network in user space: datagrams pass through a simulated link, in real time."""

from __future__ import annotations

import heapq
import itertools
import random
import selectors
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from rtcproto.testing import Link, LinkConfig

__all__ = ["Impairment"]

MAX_DATAGRAM = 2048


class Impairment:
    """A port of `host` in front of `target`; both directions go through a `Link`.

    `with Impairment(...)` runs it in a thread. Towards the target each client has a port
    of its own, like behind a NAT.
    """

    def __init__(self, host: str, target: tuple[str, int], config: LinkConfig, seed: int) -> None:
        self._target = target
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((host, 0))
        self.address: tuple[str, int] = self._front.getsockname()
        self.up = Link(config, random.Random(seed))
        self.down = Link(config, random.Random(seed + 1))
        self._backs: dict[tuple[str, int], socket.socket] = {}
        # (when, order, data, socket to send from, where to)
        self._waiting: list[tuple[float, int, bytes, socket.socket, tuple[str, int]]] = []
        self._order = itertools.count()
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="impairment")

    def __enter__(self) -> Self:
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._selector.close()
        for sock in (self._front, *self._backs.values()):
            sock.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait = 0.05
            if self._waiting:
                wait = min(wait, max(0.0, self._waiting[0][0] - time.monotonic()))
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    self._from_client()
                else:
                    data = self._backs[key.data].recv(MAX_DATAGRAM)
                    self._plan(self.down, data, self._front, key.data)
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                _, _, data, sock, destination = heapq.heappop(self._waiting)
                # An earlier datagram may have found nobody: the sender's business.
                with suppress(ConnectionRefusedError):
                    sock.sendto(data, destination)

    def _from_client(self) -> None:
        data, client = self._front.recvfrom(MAX_DATAGRAM)
        back = self._backs.get(client)
        if back is None:
            back = self._backs[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.bind((self.address[0], 0))
            self._selector.register(back, selectors.EVENT_READ, client)
        self._plan(self.up, data, back, self._target)

    def _plan(
        self, link: Link, data: bytes, sock: socket.socket, destination: tuple[str, int]
    ) -> None:
        for arrival, copy in link.transmit(data, time.monotonic()):
            heapq.heappush(self._waiting, (arrival, next(self._order), copy, sock, destination))
