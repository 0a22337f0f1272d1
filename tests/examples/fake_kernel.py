"""A kernel for the batched faces of the relay: it works on the same memory, without sockets."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections import deque

import attrs

from examples.relay.columns import read_name, write_info, write_name
from rtcproto.datagram import Address

__all__ = ["FakeKernel", "FakeSocket", "Sent"]

HEADER = struct.Struct("=QQQQQQQI4x")
PIECE = struct.Struct("=QQ")


@attrs.frozen(order=True)
class Sent:
    """One datagram that left: through which socket, whereto, what, and from which host if said."""

    descriptor: int
    destination: Address
    data: bytes
    local: str = ""


class FakeKernel:
    """Keeps what arrives in queues by descriptor, and what leaves in `sent`."""

    def __init__(self, *, segments: int = 64) -> None:
        self.arriving: dict[int, deque[tuple[bytes, Address, str]]] = {}
        self.sent: list[Sent] = []
        self.refused: set[Address] = set()
        # A device without checksums refuses segments for ever, one with a small MTU now and then.
        self.segment_error = 0
        self.segmented = 0
        self.full_after: int | None = None

    def arrive(self, descriptor: int, data: bytes, source: Address, hit: str = "") -> None:
        """A datagram arrives; `hit` is the address of ours that it was sent to."""
        self.arriving.setdefault(descriptor, deque()).append((data, source, hit))

    def receive(self, descriptor: int, headers: int, count: int) -> int:
        """As `recvmmsg`."""
        queue = self.arriving.get(descriptor)
        if not queue:
            return -errno.EAGAIN
        done = 0
        while queue and done < count:
            data, source, hit = queue.popleft()
            at = headers + done * 64
            name, _, pieces, _, control, room, _, _ = HEADER.unpack(ctypes.string_at(at, 64))
            body, size = PIECE.unpack(ctypes.string_at(pieces, 16))
            size = min(size, len(data))
            ctypes.memmove(body, data[:size], size)
            packed = write_name(source)
            # The kernel writes 16 bytes of an IPv4 address.
            ctypes.memmove(name, packed, 16 if packed[0] == socket.AF_INET else 28)
            if control:
                stamp = struct.pack("=QIIQQ", 32, socket.SOL_SOCKET, 35, 1_700_000_000, 5)
                family = socket.AF_INET6 if ":" in hit else socket.AF_INET
                info = _received_info(hit, family) if hit else b""
                ctypes.memmove(control, (stamp + info)[:room], min(room, 32 + len(info)))
            ctypes.memmove(at + 56, struct.pack("=I", size), 4)
            done += 1
        return done

    def send(self, descriptor: int, headers: int, count: int) -> int:
        """As `sendmmsg`."""
        for done in range(count):
            if self.full_after is not None and len(self.sent) >= self.full_after:
                return done or -errno.EAGAIN
            name, pieces, control = _message(headers + done * 64)
            if name in self.refused:
                return done or -errno.EHOSTUNREACH
            self.sent.append(Sent(descriptor, name, b"".join(pieces), _local(control)))
        return count

    def send_one(self, descriptor: int, header: int) -> int:
        """As `sendmsg` with UDP_SEGMENT."""
        name, pieces, control = _message(header)
        if self.segment_error:
            return -self.segment_error
        size, level, kind, segment = struct.unpack_from("=QIIH", control)
        assert (size, level, kind) == (18, socket.IPPROTO_UDP, 103)
        data = b"".join(pieces)
        assert 1 < len(pieces) // 2 <= 64
        assert len(data) <= 65_507
        assert len(data) == segment * (len(pieces) // 2)
        for start in range(0, len(data), segment):
            self.sent.append(Sent(descriptor, name, data[start : start + segment]))
        self.segmented += 1
        return len(data)


def _message(at: int) -> tuple[Address, list[bytes], bytes]:
    name, size, pieces, count, control, control_size, _, _ = HEADER.unpack(ctypes.string_at(at, 64))
    assert size == 28
    found = []
    for index in range(count):
        where, length = PIECE.unpack(ctypes.string_at(pieces + 16 * index, 16))
        found.append(ctypes.string_at(where, length))
    return read_name(ctypes.string_at(name, 28)), found, ctypes.string_at(control, control_size)


def _received_info(host: str, family: int) -> bytes:
    if family == socket.AF_INET6:
        return write_info(host, family)
    packed = socket.inet_aton(host)
    return struct.pack("=QIII4s4s", 28, socket.IPPROTO_IP, 8, 2, packed, packed)


def _local(control: bytes) -> str:
    if not control:
        return ""
    _, level, kind = struct.unpack_from("=QII", control)
    if (level, kind) == (socket.IPPROTO_IP, 8):
        return socket.inet_ntop(socket.AF_INET, control[20:24])
    assert (level, kind) == (socket.IPPROTO_IPV6, 50)
    return socket.inet_ntop(socket.AF_INET6, control[16:32])


class FakeSocket:
    """As much of a socket as the faces use, on a `FakeKernel`."""

    def __init__(self, kernel: FakeKernel, number: int, family: int) -> None:
        self._kernel = kernel
        self._number = number
        self.family = family

    def fileno(self) -> int:
        """Its number."""
        return self._number

    def sendto(self, data: bytes, address: Address) -> int:
        """One datagram."""
        if address in self._kernel.refused:
            raise OSError(errno.EHOSTUNREACH, "no")
        self._kernel.sent.append(Sent(self._number, address, data))
        return len(data)

    def sendmsg(
        self, data: list[bytes], control: list[tuple[int, int, bytes]], _: int, address: Address
    ) -> int:
        """One datagram, from the host in the control data."""
        local = "0.0.0.0"
        for level, _kind, value in control:
            six = level == socket.IPPROTO_IPV6
            local = (
                socket.inet_ntop(socket.AF_INET6, value[:16])
                if six
                else socket.inet_ntop(socket.AF_INET, value[4:8])
            )
        self._kernel.sent.append(Sent(self._number, address, b"".join(data), local))
        return len(data[0])
