"""Floods a relay from sources that do not exist: each packet has another address and port.

Three kinds: checks with forged tokens, replays of valid checks of calls under way, and junk. At
the same time, TCP connections that send a byte a second. Needs a host of its own and root.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import socket
import struct
import threading
import time
from contextlib import suppress

from rtcproto import stun
from rtcproto.stun import Attribute
from tests.e2e.flood import junk

__all__ = ["SOURCES", "main"]

# Sources are made up in this network, the other half of the one set aside for tests.
SOURCES = "198.19.0.0/16"
FIRST = int.from_bytes(socket.inet_aton("198.19.0.0"), "big")
ADDRESSES = 1 << 16
FIRST_PORT = 1024

# Packets in one system call.
BATCH = 64

# Bytes of the headers that we write ourselves.
IP_HEADER, UDP_HEADER = struct.Struct("!BBHHHBBHII"), struct.Struct("!HHHH")
SOURCE, SOURCE_PORT = 12, 20


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr of Linux."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


class Batch:
    """`BATCH` packets to one place, whose sources are rewritten before each call."""

    def __init__(self, payloads: list[bytes], target: tuple[str, int]) -> None:
        host = int.from_bytes(socket.inet_aton(target[0]), "big")
        self._frames: list[bytearray] = []
        self._pins: list[object] = []
        self._vectors = (_Vector * BATCH)()
        self.messages = (_Message * BATCH)()
        for index, payload in enumerate(payloads):
            size = UDP_HEADER.size + len(payload)
            # The kernel fills in the checksum of IP; UDP's is optional in IPv4.
            head = IP_HEADER.pack(0x45, 0, IP_HEADER.size + size, 0, 0, 64, 17, 0, 0, host)
            frame = bytearray(head + UDP_HEADER.pack(0, target[1], size, 0) + payload)
            pin = (ctypes.c_char * len(frame)).from_buffer(frame)
            self._frames.append(frame)
            self._pins.append(pin)
            self._vectors[index] = _Vector(ctypes.addressof(pin), len(frame))
            vector = ctypes.addressof(self._vectors) + index * ctypes.sizeof(_Vector)
            self.messages[index] = _Message(_Header(vectors=vector, vector_count=1))

    def disguise(self, first: int) -> None:
        """The sources number `first` and following."""
        for number, frame in enumerate(self._frames, first):
            address, port = FIRST + number % ADDRESSES, FIRST_PORT + number // ADDRESSES
            struct.pack_into("!I", frame, SOURCE, address)
            struct.pack_into("!H", frame, SOURCE_PORT, port)


def forged(rng: random.Random) -> bytes:
    """A check whose token nobody wrote."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    username = "A" + "".join(rng.choices(alphabet, k=21)) + "A:abcd"
    return stun.build(1, 0, rng.randbytes(12), [(Attribute.USERNAME, username)])


def payload(rng: random.Random, checks: list[bytes], number: int) -> bytes:
    """Every twelfth is a replay, of the others one half is forged and the other junk."""
    if number % 12 == 0:
        return rng.choice(checks)
    return forged(rng) if number % 2 else junk(rng)[:1200]


def flood(target: tuple[str, int], checks: list[bytes], count: int, rate: float) -> int:
    """Send one packet from each of `count` sources; how many the kernel took."""
    rng = random.Random(17)
    # A few batches in rotation, so that what is forged, replayed and junk varies as well.
    batches = [
        Batch([payload(rng, checks, turn + index) for index in range(BATCH)], target)
        for turn in range(12)
    ]
    library = ctypes.CDLL(None, use_errno=True)
    sent = number = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        sock.connect((target[0], 0))
        began = time.monotonic()
        while number < count:
            batch = batches[number // BATCH % len(batches)]
            batch.disguise(number)
            size = min(BATCH, count - number)
            done = library.sendmmsg(sock.fileno(), ctypes.byref(batch.messages), size, 0)
            if done < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg failed")
            sent += done
            number += size
            ahead = began + number / rate - time.monotonic()
            if ahead > 0.001:
                time.sleep(ahead)
    return sent


def slow(target: tuple[str, int], count: int, stopping: threading.Event) -> None:
    """Keep `count` TCP connections that announce a frame and send a byte of it a second."""
    connections: list[socket.socket] = []
    while not stopping.wait(1.0):
        for sock in list(connections):
            try:
                sock.send(b"\x04")
            except OSError:
                connections.remove(sock)
                sock.close()
        while len(connections) < count:
            sock = socket.socket()
            sock.settimeout(1.0)
            connections.append(sock)
            with suppress(OSError):
                sock.connect(target)
            sock.setblocking(False)
    for sock in connections:
        sock.close()


def main() -> None:
    """What the command line asks for; says how many packets left."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.spoof")
    parser.add_argument("--host", required=True)
    parser.add_argument("--udp", type=int, required=True)
    parser.add_argument("--tcp", type=int, required=True)
    parser.add_argument("--check", type=bytes.fromhex, action="append", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--connections", type=int, default=0)
    options = parser.parse_args()
    stopping = threading.Event()
    crawl = threading.Thread(
        target=slow, args=((options.host, options.tcp), options.connections, stopping)
    )
    crawl.start()
    try:
        sent = flood((options.host, options.udp), options.check, options.count, options.rate)
    finally:
        stopping.set()
        crawl.join()
    print(f"sent {sent}", flush=True)


if __name__ == "__main__":
    main()
