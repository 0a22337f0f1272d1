"""Two small machines that follow the Sans-IO contract, and ways of breaking it.

`Pinger` asks until it is answered, `Echo` answers; `PacketEcho` is the same
without addresses. The contract mixin and the virtual network are tested on them.
"""

from __future__ import annotations

from rtcproto.datagram import Address, Datagram

__all__ = ["Echo", "PacketEcho", "Pinger", "Pong"]


class Pong:
    """The event of a `Pinger`: an answer came."""

    def __init__(self, number: int, at: float) -> None:
        self.number = number
        self.at = at


class Pinger:
    """Sends `ping <n>` every `interval` seconds until `count` answers came."""

    def __init__(self, peer: Address, now: float, count: int = 1, interval: float = 0.1) -> None:
        self.peer = peer
        self.count = count
        self.interval = interval
        self.answered = 0
        self.sent = 0
        self._deadline: float | None = now
        self._out: list[Datagram] = []
        self._events: list[Pong] = []

    @property
    def done(self) -> bool:
        """Whether every ping was answered."""
        return self.answered >= self.count

    def receive_datagram(self, data: bytes, source: Address, now: float) -> bool:
        """Count an answer to the current ping; anything else is dropped."""
        if source != self.peer or data != b"pong %d" % self.answered or self._deadline is None:
            return False
        self._events.append(Pong(self.answered, now))
        self.answered += 1
        self._deadline = now + self.interval if self.answered < self.count else None
        return True

    def handle_timer(self, now: float) -> None:
        """Ask again."""
        if self._deadline is not None and self._deadline <= now:
            self._out.append(Datagram(b"ping %d" % self.answered, self.peer))
            self.sent += 1
            self._deadline = now + self.interval

    def get_timer(self) -> float | None:
        """The next ping."""
        return self._deadline

    def close(self, now: float) -> None:
        """Stop."""
        del now
        self.count = self.answered
        self._deadline = None

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[Pong]:
        """Drain."""
        events, self._events = self._events, []
        return events


class Echo:
    """Answers `ping <n>` with `pong <n>` from the address it came in on."""

    def __init__(self) -> None:
        self.closed = False
        self.locals: list[Address | None] = []
        self.sources: list[Address] = []
        self._out: list[Datagram] = []

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        """Answer a ping."""
        del now
        if self.closed or len(data) > 16 or not data.startswith(b"ping "):
            return False
        self.locals = [*self.locals[-99:], local]
        self.sources = [*self.sources[-99:], source]
        self._out.append(Datagram(b"pong " + data[5:], source, local))
        return True

    def handle_timer(self, now: float) -> None:
        """Nothing is ever due."""

    def get_timer(self) -> float | None:
        """Nothing is ever due."""
        return None

    def close(self, now: float) -> None:
        """Stop."""
        del now
        self.closed = True
        self._out.clear()

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[object]:
        """Nothing is ever reported."""
        return []


class PacketEcho:
    """Says hello once if it is the first, and echoes up to `limit` packets."""

    def __init__(self, hello: bytes = b"", limit: int = 10) -> None:
        self.limit = limit
        self.received: list[bytes] = []
        self._out = [hello] if hello else []

    def receive_packet(self, data: bytes, now: float) -> bool:
        """Keep and return the packet."""
        del now
        if not data or len(self.received) >= self.limit:
            return False
        self.received.append(data)
        self._out.append(data)
        return True

    def handle_timer(self, now: float) -> None:
        """Nothing is ever due."""

    def get_timer(self) -> float | None:
        """Nothing is ever due."""
        return None

    def packets_to_send(self) -> list[bytes]:
        """Drain."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[object]:
        """Nothing is ever reported."""
        return []
