"""Datagrams on a stream: RFC 4571 framing, which RFC 6544 section 3 prescribes for ICE over TCP.

```text
 0               2
 | LENGTH        | packet, LENGTH bytes
```

A frame may be empty (section 2 of RFC 4571 calls that a null packet); those carry nothing and are
skipped. The reader takes whatever pieces the stream comes in. It refuses frames longer than a
datagram of ours can be: the length would otherwise say how much memory to set aside.
"""

from __future__ import annotations

from rtcproto.datagram import MAX_DATAGRAM_IN
from rtcproto.errors import ParseError, UsageError

__all__ = ["FRAME_HEADER_SIZE", "FrameReader", "build_frame"]

# Bytes of LENGTH.
FRAME_HEADER_SIZE = 2


def build_frame(packet: bytes) -> bytes:
    """`packet` as a frame; UsageError if 16 bits cannot hold its length."""
    if len(packet) > 0xFFFF:
        raise UsageError("a frame holds 65,535 bytes at most")
    return len(packet).to_bytes(2, "big") + packet


class FrameReader:
    """Cuts a stream into packets. `limit`: bytes of the largest one that is taken."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = MAX_DATAGRAM_IN) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def is_partial(self) -> bool:
        """True if a frame has begun and not ended."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> list[bytes]:
        """The packets that are complete now, in order.

        ParseError for a frame that is too long; the stream cannot be read on then. What came
        before it in `data` is lost with it.
        """
        buffer = self._buffer
        buffer += data
        packets: list[bytes] = []
        offset, size = 0, len(buffer)
        while size - offset >= FRAME_HEADER_SIZE:
            length = buffer[offset] << 8 | buffer[offset + 1]
            if length > self._limit:
                buffer.clear()
                raise ParseError("framing", "the frame is too long", offset)
            end = offset + FRAME_HEADER_SIZE + length
            if end > size:
                break
            if length:
                packets.append(bytes(buffer[offset + FRAME_HEADER_SIZE : end]))
            offset = end
        del buffer[:offset]
        return packets
