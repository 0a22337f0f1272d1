"""The TCP leg of a relay: which connections live, what they may send, what waits for them.

For networks that block UDP. A connection is one client address to the relay's core, and its TCP
port one public address, so that everything behind is as with UDP: tokens, flows, headers. Only
that a connection costs something as long as it is open, which is what this module is about.
RFC 4571 frames both ways; RFC 6544 section 4.1 calls our side passive.

Theory of operation: the first frame must be one that the core forwards by its token; until then a
connection has shown nothing, and has little time for it. Afterwards it lives as long as its owner
speaks: what clients send keeps nothing alive here either. It ends at once when its owner
releases the flow, when the stream cannot be read, when frame after frame leads nowhere, or when a
frame that has begun does not end. Packets for a client that reads slowly wait in a short queue; the
oldest make room, because late audio is of no use.

Called by a driver: `connected`, `receive`, then `judge` once for each frame, `send`,
`disconnected`; then `take` while the socket takes bytes, and `connections_to_close`. No method
raises for anything that a client does.
"""

from __future__ import annotations

import enum
import heapq
import math
from collections import Counter, deque
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

import attrs

from rtcproto.datagram import Address
from rtcproto.errors import ParseError
from rtcproto.relay.framing import FrameReader, build_frame

__all__ = ["MAX_JUNK", "StreamConfig", "StreamEnd", "StreamLeg", "StreamStats"]

# Frames in a row that the core forwards nowhere. Media may be early (no flow yet), but an
# owner answers within a round trip, and clients repeat themselves rarely.
MAX_JUNK = 32


@attrs.frozen(kw_only=True)
class StreamConfig:
    """Limits of a TCP port. Times are seconds, sizes bytes."""

    # Connections at once: each costs a descriptor and up to `max_output` of memory.
    max_connections: int = 4096
    # Of one host, or one IPv6 /64: more callers than share a small office's address.
    max_per_host: int = 64
    # From the connection to its first forwarded frame. Browsers send a check at once.
    first_frame_timeout: float = 5.0
    # From the first byte of a frame to its last.
    frame_timeout: float = 5.0
    # From the first forwarded frame to the owner's first answer, and between any two after.
    owner_timeout: float = 30.0
    # Frames that wait because the client reads slowly: 64 KiB are ten seconds of audio.
    max_output: int = 65_536


class StreamEnd(enum.Enum):
    """Why a connection was closed, or not taken."""

    FULL = "too many connections"
    FULL_HOST = "too many connections of one host"
    SILENT = "no check in time"
    JUNK = "the first frame, or frame after frame, led nowhere"
    UNREADABLE = "a frame longer than any datagram"
    SLOW = "a frame that did not end"
    ABANDONED = "its owner sent nothing for too long"
    RELEASED = "its owner released it"
    PEER = "the client closed it"


@attrs.frozen(kw_only=True)
class StreamStats:
    """Counters since the start."""

    connections: int
    frames_dropped: int
    ends: Mapping[StreamEnd, int]


@attrs.define(slots=True, eq=False)
class _Connection:
    client: Address
    host: bytes
    reader: FrameReader
    opened: float
    heard_owner: float = 0.0
    frame_since: float | None = None
    # The core has forwarded a frame.
    admitted: bool = False
    junk: int = 0
    armed: float = math.inf
    # Frames to write; `written` bytes of the first are gone.
    frames: deque[bytes] = attrs.field(factory=deque)
    queued: int = 0
    written: int = 0

    def end(self, config: StreamConfig) -> tuple[float, StreamEnd]:
        """When it is over if nothing happens, and why."""
        if self.admitted:
            end = self.heard_owner + config.owner_timeout, StreamEnd.ABANDONED
        else:
            end = self.opened + config.first_frame_timeout, StreamEnd.SILENT
        if self.frame_since is not None and self.frame_since + config.frame_timeout < end[0]:
            return self.frame_since + config.frame_timeout, StreamEnd.SLOW
        return end


class StreamLeg:
    """All connections of one TCP port, by client address. All times are the caller's seconds."""

    __slots__ = (
        "_closing",
        "_config",
        "_connections",
        "_deadlines",
        "_ends",
        "_frames_dropped",
        "_hosts",
        "_order",
    )

    def __init__(self, config: StreamConfig | None = None) -> None:
        self._config = config or StreamConfig()
        self._connections: dict[Address, _Connection] = {}
        self._hosts: Counter[bytes] = Counter()
        # (when, number, connection). The one that a connection is armed with counts; it is looked
        # at when due, and put back if there was progress.
        self._deadlines: list[tuple[float, int, _Connection]] = []
        self._order = 0
        self._closing: list[Address] = []
        self._ends: Counter[StreamEnd] = Counter()
        self._frames_dropped = 0

    def __len__(self) -> int:
        return len(self._connections)

    def __contains__(self, client: object) -> bool:
        return client in self._connections

    def stats(self) -> StreamStats:
        """Counters and sizes now."""
        return StreamStats(
            connections=len(self._connections),
            frames_dropped=self._frames_dropped,
            ends=dict(self._ends),
        )

    # Inputs

    def connected(self, client: Address, now: float) -> bool:
        """A client has connected. False: close it, nothing is remembered."""
        host = _host(client[0])
        if len(self._connections) >= self._config.max_connections or client in self._connections:
            self._ends[StreamEnd.FULL] += 1
            return False
        if self._hosts[host] >= self._config.max_per_host:
            self._ends[StreamEnd.FULL_HOST] += 1
            return False
        self._hosts[host] += 1
        connection = _Connection(client=client, host=host, reader=FrameReader(), opened=now)
        self._connections[client] = connection
        self._arm(connection)
        return True

    def receive(self, client: Address, data: bytes, now: float) -> list[bytes]:
        """Bytes of the stream: the datagrams that are complete, for the core."""
        connection = self._connections.get(client)
        if connection is None:
            return []
        try:
            packets = connection.reader.receive(data)
        except ParseError:
            self._end(client, StreamEnd.UNREADABLE)
            return []
        if not connection.reader.is_partial:
            connection.frame_since = None
        elif packets or connection.frame_since is None:
            connection.frame_since = now
            self._arm(connection)
        return packets

    def judge(self, client: Address, forwarded: bool, now: float) -> bool:
        """Whether the core forwarded the client's next frame. False: take no more of them."""
        connection = self._connections.get(client)
        if connection is None:
            return False
        if forwarded:
            connection.junk = 0
            if not connection.admitted:
                connection.admitted = True
                connection.heard_owner = now
            return True
        connection.junk += 1
        if not connection.admitted or connection.junk >= MAX_JUNK:
            self._end(client, StreamEnd.JUNK)
            return False
        return True

    def send(self, client: Address, packet: bytes, now: float) -> bool:
        """A packet of the owner for a client. False: there is no such connection."""
        connection = self._connections.get(client)
        if connection is None:
            return False
        connection.heard_owner = now
        frame = build_frame(packet)
        connection.frames.append(frame)
        connection.queued += len(frame)
        # A frame that has been begun must be ended, or the stream is lost.
        oldest = 1 if connection.written else 0
        while connection.queued > self._config.max_output and len(connection.frames) > oldest + 1:
            connection.queued -= len(connection.frames[oldest])
            del connection.frames[oldest]
            self._frames_dropped += 1
        return True

    def released(self, client: Address, now: float) -> None:
        """Its owner has released the flow."""
        if client in self._connections:
            self._end(client, StreamEnd.RELEASED)

    def disconnected(self, client: Address) -> None:
        """The client is gone, or its socket failed; not to be closed by us."""
        if self._forget(client):
            self._ends[StreamEnd.PEER] += 1

    def handle_timer(self, now: float) -> None:
        """Close what had its time."""
        while self._deadlines and self._deadlines[0][0] <= now:
            when, _, connection = heapq.heappop(self._deadlines)
            if not self._counts(connection, when):
                continue
            connection.armed = math.inf
            due, reason = connection.end(self._config)
            if due <= now:
                self._end(connection.client, reason)
            else:
                self._arm(connection)

    # Outputs

    def take(self, client: Address) -> bytes:
        """What to write next to a client; empty if nothing waits. See `wrote`."""
        connection = self._connections.get(client)
        if connection is None or not connection.frames:
            return b""
        return connection.frames[0][connection.written :]

    def wrote(self, client: Address, size: int) -> None:
        """So many bytes of what `take` gave have been written."""
        connection = self._connections.get(client)
        if connection is None or not connection.frames:
            return
        connection.written += size
        if connection.written >= len(connection.frames[0]):
            connection.queued -= len(connection.frames.popleft())
            connection.written = 0

    def connections_to_close(self) -> list[Address]:
        """Close these now; they are forgotten already."""
        closing, self._closing = self._closing, []
        return closing

    def get_timer(self) -> float | None:
        """When to call `handle_timer`, or None."""
        return self._deadlines[0][0] if self._deadlines else None

    # Private

    def _counts(self, connection: _Connection, when: float) -> bool:
        alive = self._connections.get(connection.client) is connection
        return alive and connection.armed == when

    def _arm(self, connection: _Connection) -> None:
        due, _ = connection.end(self._config)
        if due >= connection.armed:
            return
        connection.armed = due
        self._order += 1
        heapq.heappush(self._deadlines, (due, self._order, connection))
        if len(self._deadlines) > 64 + 4 * len(self._connections):
            # Connections come and go faster than their deadlines.
            self._deadlines = [
                entry for entry in self._deadlines if self._counts(entry[2], entry[0])
            ]
            heapq.heapify(self._deadlines)

    def _end(self, client: Address, reason: StreamEnd) -> None:
        self._forget(client)
        self._ends[reason] += 1
        self._closing.append(client)

    def _forget(self, client: Address) -> bool:
        connection = self._connections.pop(client, None)
        if connection is None:
            return False
        self._hosts[connection.host] -= 1
        if not self._hosts[connection.host]:
            del self._hosts[connection.host]
        return True


def _host(host: str) -> bytes:
    # Who has one address of a /64 has all of them (RFC 6177).
    ip = ip_address(host)
    return ip.packed[:8] if isinstance(ip, IPv6Address) else ip.packed
