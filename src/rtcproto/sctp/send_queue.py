"""What waits to be sent: a queue per stream, cut into fragments as there is room.

RFC 9260 sections 6.9 and 10.1, RFC 8831 section 6.6. Without interleaving the
fragments of a message have consecutive TSNs, so a message once begun is finished
first; streams take turns message by message. Stream sequence numbers are
given when a message is begun: one dropped before that leaves no hole. Called by
the transfer.
"""

from __future__ import annotations

from collections import deque

__all__ = ["MESSAGE_OVERHEAD", "Message", "SendQueue"]

# What a queued message costs beside its bytes, so that tiny ones are bounded, too.
MESSAGE_OVERHEAD = 128


class Message:
    """One message on its way out."""

    __slots__ = (
        "abandoned", "data", "expires", "first_tsn", "last_tsn", "max_retransmits", "offset",
        "ordered", "ppid", "ssn", "stream",
    )  # fmt: skip

    def __init__(
        self,
        stream: int,
        ppid: int,
        data: bytes,
        ordered: bool = True,
        max_retransmits: int | None = None,
        expires: float | None = None,
    ) -> None:
        self.stream = stream
        self.ppid = ppid
        self.data = data
        self.ordered = ordered
        # RFC 3758 and RFC 7496: give up after so many retransmissions, or at that instant.
        self.max_retransmits = max_retransmits
        self.expires = expires
        # Bytes cut off so far; the TSNs they got; the SSN once begun.
        self.offset = 0
        self.first_tsn = 0
        self.last_tsn = -1
        self.ssn = 0
        self.abandoned = False


class SendQueue:
    """Messages by stream, and whose turn it is."""

    __slots__ = ("_buffered", "_current", "_dropped", "_low", "_messages", "_queues", "_ssns",
                 "_thresholds", "_total", "_turns")  # fmt: skip

    def __init__(self) -> None:
        self._queues: dict[int, deque[Message]] = {}
        # Streams with something to begin, in the order of their turns.
        self._turns: deque[int] = deque()
        self._current: Message | None = None
        # Bytes not yet cut off, by stream; thresholds for `low`, 0 where not set.
        self._buffered: dict[int, int] = {}
        self._thresholds: dict[int, int] = {}
        self._total = 0
        self._ssns: dict[int, int] = {}
        self._low: list[int] = []
        self._dropped: list[int] = []
        self._messages = 0

    @property
    def charge(self) -> int:
        """Bytes waiting, with the overhead of their messages."""
        return self._total + self._messages * MESSAGE_OVERHEAD

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._messages

    def buffered(self, stream: int) -> int:
        """Bytes waiting on one stream."""
        return self._buffered.get(stream, 0)

    def set_threshold(self, stream: int, amount: int) -> None:
        """Report the stream as low when what waits falls to `amount`."""
        self._thresholds[stream] = amount

    def add(self, message: Message) -> None:
        """Queue a message with at least one byte."""
        stream = message.stream
        queue = self._queues.get(stream)
        if queue is None:
            self._queues[stream] = queue = deque()
            self._turns.append(stream)
        queue.append(message)
        self._buffered[stream] = self._buffered.get(stream, 0) + len(message.data)
        self._total += len(message.data)
        self._messages += 1

    def take(self, room: int, full: int, now: float) -> tuple[Message, int, int] | None:
        """The next fragment of at most `room` bytes as (message, start, end), or None.

        None as well where only a part would fit and an empty packet, with room for
        `full` bytes, would take more of it.
        """
        message = self._current or self._begin(now)
        if message is None:
            return None
        start = message.offset
        end = len(message.data)
        if end - start > room:
            if room < full:
                return None
            end = start + room
        message.offset = end
        self._release(message.stream, end - start)
        if end == len(message.data):
            self._current = None
            self._messages -= 1
        return message, start, end

    def drop_rest(self, message: Message) -> None:
        """An abandoned message: forget what was not cut off yet."""
        if message is self._current:
            self._current = None
            self._messages -= 1
            self._release(message.stream, len(message.data) - message.offset)

    def reset(self, stream: int) -> None:
        """The stream starts over with SSN 0 (RFC 6525 section 5.2.7)."""
        self._ssns.pop(stream, None)

    def is_waiting(self, stream: int) -> bool:
        """Whether anything of the stream was not cut off yet."""
        return stream in self._buffered

    @property
    def news(self) -> bool:
        """Whether `low` or `dropped` has anything."""
        return bool(self._low or self._dropped)

    def low(self) -> list[int]:
        """Drain the streams that fell to their threshold."""
        low, self._low = self._low, []
        return low

    def dropped(self) -> list[int]:
        """Drain the streams of messages that expired before they were begun."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def _begin(self, now: float) -> Message | None:
        turns = self._turns
        while turns:
            stream = turns.popleft()
            queue = self._queues[stream]
            message = queue.popleft()
            if queue:
                turns.append(stream)
            else:
                del self._queues[stream]
            if message.expires is not None and now >= message.expires:
                message.abandoned = True
                self._messages -= 1
                self._release(stream, len(message.data))
                self._dropped.append(stream)
                continue
            if message.ordered:
                message.ssn = self._ssns.get(stream, 0)
                self._ssns[stream] = message.ssn + 1 & 0xFFFF
            self._current = message
            return message
        return None

    def _release(self, stream: int, size: int) -> None:
        before = self._buffered[stream]
        after = before - size
        self._total -= size
        if after:
            self._buffered[stream] = after
        else:
            del self._buffered[stream]
        if after <= self._thresholds.get(stream, 0) < before:
            self._low.append(stream)
