"""Chunks into packets, in the order given, as many to a packet as fit.

RFC 9260 section 6.10. Works on serialised chunks and gives packet bodies; header
and checksum are the association's. Called by the transfer, once per occasion.
"""

from __future__ import annotations

__all__ = ["Packer"]


class Packer:
    """Fills packet bodies of at most `limit` bytes."""

    __slots__ = ("_body", "_finished", "_limit", "room")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body: list[bytes] = []
        self._finished: list[bytes] = []
        # Bytes that the packet at hand still takes.
        self.room = limit

    @property
    def empty(self) -> bool:
        """Whether the packet at hand has no chunk."""
        return not self._body

    def add(self, chunk: bytes) -> None:
        """Put a chunk into the packet at hand, or into a new one; one that fits none is dropped.

        Only an echo can be that long: a peer that asks in packets larger than ours.
        """
        size = len(chunk)
        if size > self.room:
            if size > self._limit:
                return
            self.close()
        self._body.append(chunk)
        self.room -= size

    def close(self) -> None:
        """Begin a new packet."""
        if self._body:
            self._finished.append(b"".join(self._body))
            self._body = []
            self.room = self._limit

    def finish(self) -> list[bytes]:
        """The bodies."""
        self.close()
        return self._finished
