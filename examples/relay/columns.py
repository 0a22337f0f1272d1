"""Many datagrams in one system call: `recvmmsg` and `sendmmsg` on memory that is laid out once.

The only module that knows the kernel's structures (Linux, 64 bits, little-endian). A batch is never
taken apart into objects. Each datagram of an `Inbox` has a *slot*, and each field
of all slots is a *column*, which moves by one strided slice:

```text
 slot    | stamp 32 | packet info 40 | name 32 | data 2125 | ...
           when       which of our     who sent   what
           it came    addresses it hit it
```

Packet info, name and the beginning of the data are next to each other, so whatever a
flow is known by is one piece of bytes. In an `Outbox` each datagram has a name to send to, a head
(pointer and size) and a body (pointer and size); heads and bodies are gathered
by the kernel, so a proxy header is packed once per flow and copied by nobody.

UDP_SEGMENT: many datagrams of one size to one address leave in one piece through the network
stack. Headers make that possible here, because packets of all clients of one
transceiver go to the same address.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import sys
from array import array
from struct import Struct
from typing import Protocol

from rtcproto.datagram import MAX_DATAGRAM_IN, Address
from rtcproto.routing import HEADER_SIZE

__all__ = [
    "BATCH",
    "DATA",
    "INFO",
    "NAME",
    "NAME_SIZE",
    "STRIDE",
    "Inbox",
    "Kernel",
    "Outbox",
    "SystemKernel",
    "is_available",
    "pointer_to",
    "read_name",
    "write_info",
    "write_name",
]

# Datagrams in one call.
BATCH = 64

# Bytes of data in a slot: two headers, and one byte more than is accepted, so that what was
# cut off shows as too large.
ROOM = 2 * HEADER_SIZE + MAX_DATAGRAM_IN + 1

# Where things are in a slot.
STAMP, INFO, NAME, DATA = 0, 32, 72, 104
STAMP_SIZE, INFO_SIZE, NAME_SIZE = 32, 40, 28
STRIDE = (DATA + ROOM + 7) & ~7

# struct mmsghdr as eight 64-bit words: name, its size, iovec, their number, control, its
# size, flags, and the size of the datagram.
WORDS = 8
_NAME, _NAME_SIZE, _PIECES, _PIECE_COUNT, _CONTROL, _CONTROL_SIZE, _FLAGS, _SIZE = range(WORDS)

# linux/udp.h, asm-generic/socket.h.
SOL_UDP, UDP_SEGMENT = 17, 103
SO_TIMESTAMPNS = SCM_TIMESTAMPNS = 35
# Bytes of one segmented send: the largest UDP datagram there can be, about.
MAX_SEGMENTED = 65_000

# Fewer datagrams are not worth a comparison of their sizes.
MIN_SEGMENTS = 4

_CONTROL_HEADER = Struct("=QII")
_STAMP = Struct("=QIIQQ")
_SEGMENT = Struct("=QIIHxxxxxx")
_INFO_4 = Struct("=QIII4s8x")
_INFO_6 = Struct("=QII16sI4x")
_NAME_4 = Struct("=H2s4s20x")
_NAME_6 = Struct("=H2s4x16s4x")


def is_available() -> bool:
    """True where this module knows the structures and the kernel has the calls."""
    return (
        sys.platform.startswith("linux")
        and sys.byteorder == "little"
        and sys.maxsize > 2**32
        and all(hasattr(_library(), name) for name in ("recvmmsg", "sendmmsg"))
    )


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def pointer_to(data: bytes) -> int:
    """Where the bytes are, for as long as somebody holds `data`."""
    # The pointer's own eight bytes; a cast takes twice as long.
    return int.from_bytes(ctypes.c_char_p(data), "little")


def write_name(address: Address) -> bytes:
    """The kernel's form of an address, 28 bytes for both families."""
    host, port = address
    if ":" in host:
        packed = socket.inet_pton(socket.AF_INET6, host)
        return _NAME_6.pack(socket.AF_INET6, port.to_bytes(2, "big"), packed)
    return _NAME_4.pack(socket.AF_INET, port.to_bytes(2, "big"), socket.inet_aton(host))


def read_name(name: bytes) -> Address:
    """The address in the kernel's form of it."""
    port = name[2] << 8 | name[3]
    if name[0] == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    return socket.inet_ntop(socket.AF_INET6, name[8:24]), port


def write_info(host: str | None, family: int) -> bytes:
    """Control data: send from this address of ours; None lets the kernel choose."""
    if family == socket.AF_INET6:
        packed = bytes(16) if host is None else socket.inet_pton(socket.AF_INET6, host)
        return _INFO_6.pack(36, socket.IPPROTO_IPV6, 50, packed, 0)
    packed = bytes(4) if host is None else socket.inet_aton(host)
    return _INFO_4.pack(28, socket.IPPROTO_IP, 8, 0, packed)


def read_info(info: bytes) -> str | None:
    """Which address of ours was hit, from a slot's packet info; None if it is something else."""
    size, level, kind = _CONTROL_HEADER.unpack_from(info)
    if (size, level, kind) == (28, socket.IPPROTO_IP, 8):
        # struct in_pktinfo: interface, address to answer from, address that was hit.
        return socket.inet_ntop(socket.AF_INET, info[24:28])
    if (size, level, kind) == (36, socket.IPPROTO_IPV6, 50):
        return socket.inet_ntop(socket.AF_INET6, info[16:32])
    return None


class Kernel(Protocol):
    """The three calls. Each gives what the kernel returns; below zero it is minus the errno."""

    def receive(self, descriptor: int, headers: int, count: int) -> int:
        """`recvmmsg`, which does not wait."""
        ...

    def send(self, descriptor: int, headers: int, count: int) -> int:
        """`sendmmsg`, which does not wait."""
        ...

    def send_one(self, descriptor: int, header: int) -> int:
        """`sendmsg`, which does not wait."""
        ...


class SystemKernel:
    """The real one."""

    __slots__ = ("_recvmmsg", "_sendmmsg", "_sendmsg")

    def __init__(self) -> None:
        library = _library()
        number, pointer = ctypes.c_int, ctypes.c_void_p
        self._recvmmsg = library.recvmmsg
        self._recvmmsg.argtypes = [number, pointer, ctypes.c_uint, number, pointer]
        self._sendmmsg = library.sendmmsg
        self._sendmmsg.argtypes = [number, pointer, ctypes.c_uint, number]
        self._sendmsg = library.sendmsg
        self._sendmsg.argtypes = [number, pointer, number]
        self._sendmsg.restype = ctypes.c_ssize_t

    def receive(self, descriptor: int, headers: int, count: int) -> int:
        """See `Kernel`."""
        done: int = self._recvmmsg(descriptor, headers, count, socket.MSG_DONTWAIT, None)
        return done if done >= 0 else -ctypes.get_errno()

    def send(self, descriptor: int, headers: int, count: int) -> int:
        """See `Kernel`."""
        done: int = self._sendmmsg(descriptor, headers, count, socket.MSG_DONTWAIT)
        return done if done >= 0 else -ctypes.get_errno()

    def send_one(self, descriptor: int, header: int) -> int:
        """See `Kernel`."""
        done: int = self._sendmsg(descriptor, header, socket.MSG_DONTWAIT)
        return done if done >= 0 else -ctypes.get_errno()


class _Memory:
    """Zeroed memory that stays where it is."""

    __slots__ = ("_pinned", "at", "octets", "words")

    def __init__(self, size: int) -> None:
        data = bytearray(size)
        self._pinned = (ctypes.c_char * size).from_buffer(data)
        self.at = ctypes.addressof(self._pinned)
        self.octets = memoryview(data)
        self.words = self.octets.cast("Q") if size % 8 == 0 else self.octets


class Inbox:
    """What `recvmmsg` fills. `known_by` and `known_size`: the part of a slot that names a flow.

    `info` makes the kernel say for each datagram which address was hit; the socket must have
    been told. The time of arrival is asked for the first datagram of a batch.
    """

    __slots__ = ("_descriptor", "_fresh", "_headers", "_kernel", "_names", "_slots", "bodies")

    def __init__(
        self, kernel: Kernel, descriptor: int, known_by: int, known_size: int, info: bool
    ) -> None:
        self._kernel = kernel
        self._descriptor = descriptor
        self._slots = _Memory(BATCH * STRIDE)
        # The headers, and behind them one iovec of two words for each.
        self._headers = _Memory(BATCH * (WORDS + 2) * 8)
        words, slots = self._headers.words, self._slots.at
        for index in range(BATCH):
            slot, header = slots + index * STRIDE, index * WORDS
            piece = BATCH * WORDS + 2 * index
            words[piece], words[piece + 1] = slot + DATA, ROOM
            words[header + _NAME], words[header + _NAME_SIZE] = slot + NAME, NAME_SIZE
            words[header + _PIECES] = self._headers.at + piece * 8
            words[header + _PIECE_COUNT] = 1
            if info or not index:
                words[header + _CONTROL] = slot + STAMP
                words[header + _CONTROL_SIZE] = STAMP_SIZE + (INFO_SIZE if info else 0)
        # The kernel writes into the headers, so each call begins with fresh ones.
        self._fresh = bytes(self._headers.octets)
        # One object per slot in one call, for every number of slots.
        self._names = [
            Struct(f"{known_by}x{known_size}s" + f"{STRIDE - known_size}x{known_size}s" * (n - 1))
            if n
            else Struct("")
            for n in range(BATCH + 1)
        ]
        self.bodies = array("Q", range(slots + DATA, slots + BATCH * STRIDE, STRIDE))

    def receive(self) -> int:
        """Take a batch; how many datagrams are in it."""
        self._headers.octets[:] = self._fresh
        done = self._kernel.receive(self._descriptor, self._headers.at, BATCH)
        # An ICMP error for something sent before; the next look shows what has arrived.
        return max(0, done)

    def sizes(self, count: int) -> memoryview:
        """The column of sizes, as words."""
        return self._headers.words[_SIZE : WORDS * count : WORDS]

    def names(self, count: int) -> tuple[bytes, ...]:
        """What each datagram's flow is known by."""
        names: tuple[bytes, ...] = self._names[count].unpack_from(self._slots.octets)
        return names

    def column(self, offset: int, count: int) -> bytes:
        """The byte at `offset` of the data of each."""
        return bytes(self._slots.octets[DATA + offset : count * STRIDE : STRIDE])

    def data(self, index: int, size: int) -> bytes:
        """One datagram."""
        start = index * STRIDE + DATA
        return bytes(self._slots.octets[start : start + size])

    def arrival(self) -> float | None:
        """When the first of the batch arrived at the kernel, in Unix seconds; None if not known."""
        size, level, kind, seconds, nanoseconds = _STAMP.unpack_from(self._slots.octets, STAMP)
        if (size, level, kind) != (32, socket.SOL_SOCKET, SCM_TIMESTAMPNS):
            return None
        return float(seconds + nanoseconds * 1e-9)


class Outbox:
    """What `sendmmsg` sends. `bodies` are the usual places of bodies, `head_size` is 0 without.

    `control_size` is the size of the control data, the same for all, or 0.
    """

    __slots__ = (
        "_bodies",
        "_control",
        "_descriptor",
        "_head_size",
        "_headers",
        "_kernel",
        "_pieces",
        "_scattered",
        "_segmented",
        "_segments",
        "segmented",
    )

    def __init__(
        self,
        kernel: Kernel,
        descriptor: int,
        bodies: array[int],
        *,
        head_size: int = 0,
        control_size: int = 0,
        segment: bool = False,
    ) -> None:
        self._kernel = kernel
        self._descriptor = descriptor
        self._bodies = memoryview(bodies)
        self._head_size = head_size
        self._control = bool(control_size)
        self._scattered = False
        self._headers = _Memory(BATCH * WORDS * 8)
        self._pieces = _Memory(BATCH * 4 * 8)
        words = self._headers.words
        for index in range(BATCH):
            header = index * WORDS
            piece = self._pieces.at + index * 32
            words[header + _NAME_SIZE] = NAME_SIZE
            words[header + _PIECES] = piece if head_size else piece + 16
            words[header + _PIECE_COUNT] = 2 if head_size else 1
            words[header + _CONTROL_SIZE] = control_size
            self._pieces.words[4 * index + 1] = head_size
        self._pieces.words[2::4] = self._bodies
        # One message that gathers a whole batch.
        self._segmented = _Memory(WORDS * 8)
        self._segments = _Memory(24)
        self._segmented.words[_NAME_SIZE] = NAME_SIZE
        self._segmented.words[_PIECES] = self._pieces.at
        self._segmented.words[_CONTROL] = self._segments.at
        self._segmented.words[_CONTROL_SIZE] = 24
        self.segmented = segment

    def send(
        self, names: memoryview, others: memoryview, sizes: memoryview, chosen: array[int] | None
    ) -> int:
        """Send a batch; how many of it the kernel did not take.

        Each argument is a column of words: `names` points to addresses, `others` to heads, or
        to control data where there are no heads, `sizes` are those of the bodies, and
        `chosen` points to bodies that are not the first ones in order.
        """
        count = len(names)
        pieces, headers = self._pieces.words, self._headers.words
        if chosen is not None:
            pieces[2 : 4 * count : 4] = memoryview(chosen)
            self._scattered = True
        elif self._scattered:
            pieces[2::4] = self._bodies
            self._scattered = False
        pieces[3 : 4 * count : 4] = sizes
        if self._head_size:
            pieces[0 : 4 * count : 4] = others
        elif self._control:
            headers[_CONTROL : WORDS * count : WORDS] = others
        if self.segmented and count >= MIN_SEGMENTS and self._sent_in_one(names, sizes):
            return 0
        headers[_NAME : WORDS * count : WORDS] = names
        return self._send(count)

    def _send(self, count: int) -> int:
        done = failed = 0
        while done < count:
            sent = self._kernel.send(
                self._descriptor, self._headers.at + done * WORDS * 8, count - done
            )
            if sent > 0:
                done += sent
            elif sent == -errno.EAGAIN:
                # No room: the rest would find none either.
                return failed + count - done
            else:
                # The first of the rest cannot be sent: no route, host unreachable.
                done += 1
                failed += 1
        return failed

    def _sent_in_one(self, names: memoryview, sizes: memoryview) -> bool:
        count, size, name = len(names), sizes[0], names[0]
        if (
            sizes.tolist().count(size) != count
            or names.tolist().count(name) != count
            or count * (size + self._head_size) > MAX_SEGMENTED
        ):
            return False
        words = self._segmented.words
        words[_NAME] = name
        words[_PIECE_COUNT] = 2 * count
        segment = size + self._head_size
        _SEGMENT.pack_into(self._segments.octets, 0, 18, SOL_UDP, UDP_SEGMENT, segment)
        sent = self._kernel.send_one(self._descriptor, self._segmented.at)
        if sent == -errno.EIO:
            # The device cannot compute checksums: it never will.
            self.segmented = False
        # A route with a smaller MTU, for example: one by one, the kernel may fragment.
        return sent >= 0
