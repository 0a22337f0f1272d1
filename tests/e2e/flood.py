"""Junk towards a port: noise, and what looks like STUN, DTLS and SRTP but is not."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

__all__ = ["Flood", "junk"]

# Datagrams sent at a time; between two times, this many seconds: 2,000 per second.
BURST, PAUSE = 20, 0.01


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 1200))


def _stun(rng: random.Random) -> bytes:
    """A Binding request of somebody unknown, with a MESSAGE-INTEGRITY made up."""
    name = "".join(rng.choices("abcdefABCDEF0123456789+/", k=23)).encode() + b":abcd"
    padded = name + bytes(-len(name) % 4)
    attributes = struct.pack("!HH", 6, len(name)) + padded
    attributes += struct.pack("!HH", 8, 20) + rng.randbytes(20)
    return struct.pack("!HHI", 1, len(attributes), 0x2112A442) + rng.randbytes(12) + attributes


def _dtls(rng: random.Random) -> bytes:
    """A record of any type, with any content."""
    body = rng.randbytes(rng.randrange(1, 300))
    kind = rng.choice((20, 21, 22, 23))
    return struct.pack("!BHHQH", kind, 0xFEFD, 0, rng.randrange(1 << 32), len(body))[:13] + body


def _srtp(rng: random.Random) -> bytes:
    """An Opus packet of a stream that does not exist."""
    head = struct.pack("!BBHII", 0x80, 111, rng.randrange(1 << 16), rng.randrange(1 << 32), 7)
    return head + rng.randbytes(90)


def junk(rng: random.Random) -> bytes:
    """One datagram."""
    kinds: Sequence[Callable[[random.Random], bytes]] = (_noise, _stun, _dtls, _srtp)
    return rng.choice(kinds)(rng)


class Flood:
    """`with Flood(sockets, target, seed):` sends junk from all of the sockets meanwhile."""

    def __init__(
        self, sockets: Sequence[socket.socket], target: tuple[str, int], seed: int
    ) -> None:
        self._sockets = sockets
        self._target = target
        self._rng = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flood")
        self.sent = 0

    def __enter__(self) -> Self:
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

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            for _ in range(BURST):
                sock = self._rng.choice(self._sockets)
                try:
                    sock.sendto(junk(self._rng), self._target)
                except ConnectionRefusedError:
                    continue  # nobody listens any more
                self.sent += 1
            due += PAUSE
            time.sleep(max(0.0, due - time.monotonic()))
