"""A bounded reader and a writer for binary formats.

For formats that are not on a per-packet path (DTLS handshake messages, RTCP
feedback, SCTP set-up): every read is checked against the end and raises
`ParseError` with the protocol's name and the offset. Per-packet codecs bind
their `struct.Struct.unpack_from` directly instead.
"""

from __future__ import annotations

from rtcproto.errors import ParseError

__all__ = ["Reader", "Writer"]


class Reader:
    """A cursor over `data[offset:end]`. Integers are big-endian, as on every wire here."""

    __slots__ = ("_data", "_end", "_protocol", "offset")

    def __init__(self, data: bytes, protocol: str, offset: int = 0, end: int | None = None) -> None:
        self._data = data
        self._protocol = protocol
        self._end = len(data) if end is None else min(end, len(data))
        self.offset = offset

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return self._end - self.offset

    def fail(self, reason: str) -> ParseError:
        """The error to raise for what was noticed here."""
        return ParseError(self._protocol, reason, self.offset)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.offset
        if count < 0 or count > self._end - start:
            raise ParseError(
                self._protocol, f"{count} bytes wanted, {self._end - start} left", start
            )
        self.offset = start + count
        return self._data[start : self.offset]

    def uint(self, size: int) -> int:
        """The next `size` bytes as an unsigned integer."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_size: int) -> bytes:
        """Bytes preceded by their own length in `length_size` bytes (TLS vectors)."""
        return self.take(self.uint(length_size))

    def rest(self) -> bytes:
        """Everything up to the end."""
        return self.take(self.remaining)

    def finish(self) -> None:
        """Raise unless everything was read."""
        if self.remaining:
            raise self.fail(f"{self.remaining} bytes left over")


class Writer:
    """Builds bytes from integers and vectors; `bytes(writer)` is the result."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = bytearray()

    def __bytes__(self) -> bytes:
        return bytes(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def uint(self, value: int, size: int) -> Writer:
        """Append `value` in `size` bytes."""
        self._parts += value.to_bytes(size, "big")
        return self

    def put(self, data: bytes) -> Writer:
        """Append `data` as it is."""
        self._parts += data
        return self

    def vector(self, data: bytes, length_size: int) -> Writer:
        """Append `data` preceded by its length in `length_size` bytes."""
        self._parts += len(data).to_bytes(length_size, "big")
        self._parts += data
        return self
