"""What was sent and not acknowledged: RFC 9260 sections 6.2.1, 6.3.3 and 7.2.4, RFC 3758.

Chunks are kept by unwrapped TSN. A chunk is *pending* (in flight or waiting to be
sent again), *gap-acknowledged* (arrived, but the peer may still drop it, so it is
kept), or *abandoned* (its message was given up; FORWARD-TSN tells the peer).

Loss is noticed when three acknowledgements report chunks that were sent later.
"Later" goes by the order of transmissions and not by TSN, so that a repetition
that got lost is noticed as well, instead of waiting for the time-out: section
7.2.4 allows one fast retransmission per chunk, RFC 8985 shows why that is too
few. The congestion window shrinks once per episode all the same.

Each acknowledgement touches a chunk once: blocks must be in order and not
overlap, and what a block said last time is skipped. Called by the transfer.
"""

from __future__ import annotations

from rtcproto._attrs import wire
from rtcproto._serial import unwrap
from rtcproto.errors import PeerError
from rtcproto.sctp.chunks import IMMEDIATE, ForwardTsn, Sack
from rtcproto.sctp.send_queue import Message

__all__ = ["Acknowledged", "Outstanding", "Sent"]

# RFC 9260 section 7.2.4: reports until a chunk counts as lost.
MISSES = 3
# Pairs in a FORWARD-TSN, so that it fits the smallest packet next to a SACK.
MAX_FORWARD_STREAMS = 64
# What a chunk costs beside its bytes.
CHUNK_OVERHEAD = 128


class Sent:
    """One DATA chunk, serialised, and what became of it."""

    __slots__ = ("chunk", "message", "misses", "order", "sent_at", "size", "transmissions", "tsn")

    def __init__(self, tsn: int, chunk: bytes, size: int, message: Message, now: float) -> None:
        self.tsn = tsn
        self.chunk = chunk
        # Bytes of user data: what the peer's window counts.
        self.size = size
        self.message = message
        self.sent_at = now
        self.transmissions = 1
        # Number of its last transmission among all; 0 while it waits for the next.
        self.order = 0
        self.misses = 0


@wire
class Acknowledged:
    """What a SACK brought. `size` counts chunks with headers, newly acknowledged."""

    size: int
    # Flight before it, the new cumulative TSN if that advanced.
    flight_before: int
    cumulative: int | None
    # When a chunk was sent that was sent once and is newly acknowledged; None: no sample.
    sent_at: float | None
    lost: bool


class Outstanding:
    """Chunks by TSN, and the numbers derived from them."""

    __slots__ = ("_abandoned", "_acked", "_advanced", "_blocks", "_lost", "_order", "_pending",
                 "cumulative", "flight", "gave_up", "next_tsn", "payload")  # fmt: skip

    def __init__(self, first: int) -> None:
        self.next_tsn = first
        # Everything up to here is acknowledged.
        self.cumulative = first - 1
        # In order of TSN. `_lost` is the part of `_pending` that waits to be sent again.
        self._pending: dict[int, Sent] = {}
        self._acked: dict[int, Sent] = {}
        self._lost: dict[int, Sent] = {}
        # TSN -> (stream, ssn) of an ordered message, or None.
        self._abandoned: dict[int, tuple[int, int] | None] = {}
        # RFC 3758 Advanced.Peer.Ack.Point.
        self._advanced = first - 1
        # Gap blocks of the last SACK as start -> end.
        self._blocks: dict[int, int] = {}
        self._order = 0
        # Bytes of chunks in flight, with headers; bytes of user data kept.
        self.flight = 0
        self.payload = 0
        # Messages abandoned since the owner last looked.
        self.gave_up: list[Message] = []

    @property
    def charge(self) -> int:
        """Bytes kept, with the overhead of their chunks."""
        return self.payload + CHUNK_OVERHEAD * (len(self._pending) + len(self._acked))

    @property
    def empty(self) -> bool:
        """Whether everything sent was acknowledged, or given up and the peer knows."""
        return self.cumulative == self.next_tsn - 1

    @property
    def has_lost(self) -> bool:
        """Whether something waits to be sent again."""
        return bool(self._lost)

    @property
    def must_forward(self) -> bool:
        """Whether the peer is waiting for something that will not come."""
        return self._advanced > self.cumulative

    def add(self, chunk: bytes, size: int, message: Message, now: float) -> None:
        """A new chunk, already with `next_tsn` inside, leaves now."""
        tsn = self.next_tsn
        self.next_tsn = tsn + 1
        sent = Sent(tsn, chunk, size, message, now)
        self._order += 1
        sent.order = self._order
        self._pending[tsn] = sent
        if message.last_tsn < 0:
            message.first_tsn = tsn
        message.last_tsn = tsn
        self.flight += len(chunk)
        self.payload += size

    def resend(self, room: int, now: float) -> Sent | None:
        """The next lost chunk that fits `room` bytes; it leaves now."""
        while self._lost:
            sent = next(iter(self._lost.values()))
            if self._is_spent(sent, now):
                self.abandon(sent.message)
                continue
            if len(sent.chunk) > room:
                return None
            del self._lost[sent.tsn]
            self._order += 1
            sent.order = self._order
            sent.misses = 0
            sent.sent_at = now
            sent.transmissions += 1
            self.flight += len(sent.chunk)
            if not sent.chunk[1] & IMMEDIATE:
                # RFC 7053 section 4: a repetition has been waited for long enough.
                flags = bytes((sent.chunk[1] | IMMEDIATE,))
                sent.chunk = sent.chunk[:1] + flags + sent.chunk[2:]
            return sent
        return None

    def acknowledge(self, sack: Sack, now: float) -> Acknowledged | None:
        """Apply a SACK; None if it is older than one before. Raises PeerError."""
        cumulative = unwrap(sack.cumulative, self.cumulative, 32)
        if cumulative < self.cumulative:
            return None
        # RFC 9260 section 6.2.1 D iii and C6: it cannot have what was never sent.
        if cumulative >= self.next_tsn or _last(sack.gaps) + cumulative >= self.next_tsn:
            raise PeerError("acknowledges what was not sent")
        flight_before = self.flight
        advanced = cumulative > self.cumulative
        fresh = self._advance(cumulative) if advanced else []
        self._take_blocks(sack.gaps, cumulative, fresh)
        size = 0
        newest = 0
        sent_at: float | None = None
        for sent in fresh:
            size += len(sent.chunk)
            if sent.order > newest:
                newest = sent.order
                sent_at = sent.sent_at if sent.transmissions == 1 else None
        lost = bool(newest) and self._count_misses(newest, now)
        self._forward()
        return Acknowledged(size, flight_before, cumulative if advanced else None, sent_at, lost)

    def time_out(self, now: float) -> None:
        """T3 expired: everything that is not acknowledged for good counts as lost."""
        if self._acked:
            # The peer may have dropped what it reported in gap blocks (section
            # 6.3.3 with 6.2.1); the next SACK says so again if it has not.
            self._pending = dict(sorted((self._pending | self._acked).items()))
            self._acked.clear()
        self._blocks.clear()
        self._lost.clear()
        for sent in list(self._pending.values()):
            if sent.message.abandoned:
                continue
            if self._is_spent(sent, now):
                self.abandon(sent.message)
            else:
                sent.order = 0
                self._lost[sent.tsn] = sent
        self.flight = 0
        self._forward()

    def abandon(self, message: Message) -> None:
        """Give a message up: RFC 3758 section 3.5. The owner drops what was not sent yet."""
        message.abandoned = True
        self.gave_up.append(message)
        mark = (message.stream, message.ssn) if message.ordered else None
        for tsn in range(max(message.first_tsn, self.cumulative + 1), message.last_tsn + 1):
            sent = self._pending.pop(tsn, None)
            if sent is None:
                sent = self._acked.pop(tsn, None)
            elif self._lost.pop(tsn, None) is None and sent.order:
                self.flight -= len(sent.chunk)
            if sent is not None:
                self.payload -= sent.size
                self._abandoned[tsn] = mark
        if message.offset < len(message.data):
            # Its end gets a TSN that is never sent. A peer that has all the fragments
            # that were would take a FORWARD-TSN up to the last of them for an old one,
            # and keep them for ever.
            self._abandoned[self.next_tsn] = mark
            self.next_tsn += 1
        self._forward()

    def forward_tsn(self) -> ForwardTsn:
        """The FORWARD-TSN that `must_forward` asks for."""
        streams: dict[int, int] = {}
        for tsn in sorted(self._abandoned):
            mark = self._abandoned[tsn]
            if mark is not None and tsn <= self._advanced:
                streams[mark[0]] = mark[1]
        return ForwardTsn(self._advanced & 0xFFFFFFFF, tuple(streams.items()))

    # Steps of an acknowledgement

    def _advance(self, cumulative: int) -> list[Sent]:
        fresh = []
        for tsn in range(self.cumulative + 1, cumulative + 1):
            sent = self._pending.pop(tsn, None)
            if sent is not None:
                self._arrived(sent)
                fresh.append(sent)
            else:
                sent = self._acked.pop(tsn, None)
                if sent is None:
                    self._abandoned.pop(tsn, None)
                    continue
            self.payload -= sent.size
        self.cumulative = cumulative
        self._advanced = max(self._advanced, cumulative)
        return fresh

    def _take_blocks(
        self, gaps: tuple[tuple[int, int], ...], cumulative: int, fresh: list[Sent]
    ) -> None:
        before, self._blocks = self._blocks, {}
        end = 1
        for first, last in gaps:
            # In order and apart, or the rest is not believed. Offset 1 would be the
            # TSN whose absence makes the gap.
            if first <= end or last < first:
                return
            end = last
            start, stop = cumulative + first, cumulative + last
            self._blocks[start] = stop
            for tsn in range(before.get(start, start - 1) + 1, stop + 1):
                sent = self._pending.pop(tsn, None)
                if sent is not None:
                    self._arrived(sent)
                    self._acked[tsn] = sent
                    fresh.append(sent)

    def _arrived(self, sent: Sent) -> None:
        if sent.order:
            self.flight -= len(sent.chunk)
        else:
            self._lost.pop(sent.tsn, None)

    def _count_misses(self, newest: int, now: float) -> bool:
        """Whether anything sent before transmission `newest` now counts as lost."""
        overtaken = []
        for sent in self._pending.values():
            if sent.order <= newest:
                if sent.order:
                    overtaken.append(sent)
            elif sent.transmissions == 1:
                # First transmissions are in the order of their TSNs, and repetitions
                # come after the first: nothing behind this one was overtaken.
                break
        lost = False
        for sent in overtaken:
            sent.misses += 1
            if sent.misses < MISSES or sent.message.abandoned:
                continue
            lost = True
            if self._is_spent(sent, now):
                self.abandon(sent.message)
            else:
                self.flight -= len(sent.chunk)
                sent.order = 0
                self._lost[sent.tsn] = sent
        return lost

    def _is_spent(self, sent: Sent, now: float) -> bool:
        message = sent.message
        if message.expires is not None and now >= message.expires:
            return True
        return message.max_retransmits is not None and sent.transmissions > message.max_retransmits

    def _forward(self) -> None:
        """RFC 3758 section 3.5 C2: advance over what is given up or arrived."""
        if not self._abandoned:
            self._advanced = self.cumulative
            return
        streams = set()
        tsn = self.cumulative
        while True:
            tsn += 1
            if tsn in self._abandoned:
                mark = self._abandoned[tsn]
                if mark is not None:
                    streams.add(mark[0])
                    if len(streams) > MAX_FORWARD_STREAMS:
                        break
            elif tsn not in self._acked:
                break
        self._advanced = max(self._advanced, tsn - 1)


def _last(gaps: tuple[tuple[int, int], ...]) -> int:
    return max((end for _, end in gaps), default=0)
