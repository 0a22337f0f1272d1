"""Packet bodies get their header and checksum: RFC 9260 section 3.1, RFC 9653.

Keeps what a header needs (ports, the peer's tag, whether the checksum may be
zero), the packets until they are drained, and their count. Called by the association.
"""

from __future__ import annotations

from struct import Struct

from crc32c import crc32c

__all__ = ["Writer"]

_pack_header = Struct("!HH4s4x").pack
# RFC 9260 section 8.5: the tag of a packet with INIT.
NO_TAG = bytes(4)


class Writer:
    """Packets on their way out."""

    __slots__ = ("_header", "_out", "_ports", "octets", "packets", "tag", "zero_checksum")

    def __init__(self, port: int, remote_port: int) -> None:
        self._ports = (port, remote_port)
        self._out: list[bytes] = []
        # The peer's verification tag, as on the wire.
        self.tag = NO_TAG
        self._header = b""
        # RFC 9653 section 5.1: whether the peer takes packets without a checksum.
        self.zero_checksum = False
        self.packets = 0
        self.octets = 0

    def learn(self, tag: bytes) -> None:
        """The peer's tag is known."""
        self.tag = tag
        self._header = _pack_header(*self._ports, tag)

    def write(self, body: bytes) -> None:
        """A packet of the association; without a checksum where that was agreed on."""
        if self.zero_checksum:
            self._append(self._header + body)
        else:
            self._append(_with_checksum(self._header, body))

    def write_setup(self, body: bytes, tag: bytes) -> None:
        """A packet under any tag, always with its checksum: RFC 9653 section 5.1."""
        self._append(_with_checksum(_pack_header(*self._ports, tag), body))

    def drain(self) -> list[bytes]:
        """The packets."""
        out, self._out = self._out, []
        return out

    def _append(self, packet: bytes) -> None:
        self._out.append(packet)
        self.packets += 1
        self.octets += len(packet)


def _with_checksum(header: bytes, body: bytes) -> bytes:
    checksum = crc32c(body, crc32c(header))
    return header[:8] + checksum.to_bytes(4, "little") + body
