"""The sending half of an association: queue, outstanding chunks, window and time-out.

RFC 9260 sections 6.1, 6.3 and 7, RFC 3758 section 3.5. Decides what leaves when.
Called by the transfer, which owns the timer; `now` is seconds.
"""

from __future__ import annotations

from struct import Struct

from rtcproto.errors import BufferFull
from rtcproto.sctp.chunks import DATA_OVERHEAD, IMMEDIATE, Sack
from rtcproto.sctp.config import SctpConfig
from rtcproto.sctp.congestion import CongestionWindow
from rtcproto.sctp.outstanding import Outstanding
from rtcproto.sctp.packer import Packer
from rtcproto.sctp.packet import HEADER_SIZE
from rtcproto.sctp.pipe import Pipe
from rtcproto.sctp.rto import RetransmissionTimeout
from rtcproto.sctp.send_queue import MESSAGE_OVERHEAD, Message, SendQueue

__all__ = ["Sender"]

_pack_data = Struct("!BBHLHHL").pack
_UNORDERED, _BEGINNING, _ENDING = 4, 2, 1
_WORD = 0xFFFFFFFF


class Sender:
    """What goes out, and when."""

    __slots__ = ("_abandoned", "_buffer", "_forced", "_forward_at", "_forwarded", "_full",
                 "congestion", "failures", "messages", "outstanding", "peer_window", "pipe",
                 "queue", "retransmissions", "rto", "timeouts")  # fmt: skip

    def __init__(self, config: SctpConfig, first_tsn: int, peer_window: int) -> None:
        self._buffer = config.send_buffer
        # Bytes of user data that an otherwise empty packet takes.
        self._full = config.mtu - HEADER_SIZE - DATA_OVERHEAD
        self.rto = RetransmissionTimeout(config.rto_initial, config.rto_min, config.rto_max)
        self.queue = SendQueue()
        self.outstanding = Outstanding(first_tsn)
        # It counts chunks, so a packet without its header.
        self.congestion = CongestionWindow(config.mtu - HEADER_SIZE, peer_window)
        self.pipe = Pipe()
        # The a_rwnd that the peer announced last.
        self.peer_window = peer_window
        # One packet may leave whatever the window says: the first of a fast retransmission.
        self._forced = False
        # What the last FORWARD-TSN said, and when; streams of abandoned messages.
        self._forwarded = -1
        self._forward_at = 0.0
        self._abandoned: list[int] = []
        # Time-outs in a row without a sign of life.
        self.failures = 0
        self.messages = 0
        self.retransmissions = 0
        self.timeouts = 0

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent or acknowledged."""
        return self.queue.empty and self.outstanding.empty

    @property
    def has_work(self) -> bool:
        """Whether `fill` could find something that may leave."""
        outstanding = self.outstanding
        if outstanding.must_forward or self._forced:
            return True
        if self.queue.empty and not outstanding.has_lost:
            return False
        return outstanding.flight < self.congestion.window

    @property
    def charge(self) -> int:
        """What counts against the send buffer."""
        return self.queue.charge + self.outstanding.charge

    def send(self, message: Message) -> None:
        """Queue a message. Raises BufferFull."""
        if self.charge + len(message.data) + MESSAGE_OVERHEAD > self._buffer:
            raise BufferFull("the send buffer has no room")
        self.queue.add(message)
        self.messages += 1

    def receive_sack(self, chunk: Sack, now: float) -> bool:
        """Apply an acknowledgement; whether the cumulative TSN moved. Raises PeerError."""
        outcome = self.outstanding.acknowledge(chunk, now)
        if outcome is None:
            return False
        self.failures = 0
        self.peer_window = chunk.a_rwnd
        last_tsn = self.outstanding.next_tsn - 1
        if outcome.sent_at is not None:
            round_trip = now - outcome.sent_at
            self.rto.observe(round_trip)
            self.pipe.measured(round_trip)
            self.congestion.on_round_trip(round_trip, self.outstanding.cumulative, last_tsn)
        if outcome.size:
            self.pipe.arrived(outcome.size, self.rto.smoothed, now)
            self.congestion.on_acknowledged(outcome.size, outcome.flight_before, outcome.cumulative)
        if outcome.lost and self.congestion.on_loss(last_tsn, self.pipe.size):
            self._forced = True
        self._give_up()
        return outcome.cumulative is not None

    def time_out(self, now: float) -> None:
        """T3 expired."""
        self.timed_out()
        self.congestion.on_timeout()
        self.outstanding.time_out(now)
        self._give_up()
        self._forwarded = -1

    def timed_out(self) -> None:
        """Something was not answered in time."""
        self.failures += 1
        self.timeouts += 1
        self.rto.back_off()

    @property
    def gave_up(self) -> bool:
        """Whether `abandoned` has anything."""
        return bool(self._abandoned)

    def abandoned(self) -> list[int]:
        """Drain the streams of messages that were given up."""
        abandoned, self._abandoned = self._abandoned + self.queue.dropped(), []
        return abandoned

    def fill(self, packer: Packer, now: float) -> None:
        """Add everything that may leave now: FORWARD-TSN, repetitions, new data."""
        outstanding = self.outstanding
        if outstanding.must_forward:
            self._add_forward_tsn(packer, now)
        limit = self.congestion.allowance(outstanding.flight)
        if self._forced:
            self._forced = False
            limit = max(limit, outstanding.flight + 1)
        if outstanding.has_lost:
            self._add_lost(packer, limit, now)
        if not self.queue.empty and not outstanding.has_lost:
            self._add_new(packer, limit, now)

    def _add_forward_tsn(self, packer: Packer, now: float) -> None:
        chunk = self.outstanding.forward_tsn()
        # RFC 3758 section 3.5 C3 and C5: with every change, and again if it seems lost.
        pause = self.rto.smoothed or self.rto.value
        if chunk.cumulative == self._forwarded and now < self._forward_at + pause:
            return
        self._forwarded = chunk.cumulative
        self._forward_at = now
        packer.add(chunk.serialize())

    def _add_lost(self, packer: Packer, limit: int, now: float) -> None:
        outstanding = self.outstanding
        while outstanding.flight < limit:
            sent = outstanding.resend(packer.room, now)
            if sent is not None:
                packer.add(sent.chunk)
                self.retransmissions += 1
            elif outstanding.has_lost and not packer.empty:
                packer.close()
            else:
                break
        self._give_up()

    def _add_new(self, packer: Packer, limit: int, now: float) -> None:
        outstanding, queue = self.outstanding, self.queue
        while outstanding.flight < limit:
            # One chunk may be in flight whatever the peer's window (section 6.1 A).
            if outstanding.flight and outstanding.flight >= self.peer_window:
                break
            taken = queue.take(packer.room - DATA_OVERHEAD, self._full, now)
            if taken is None:
                if packer.empty or queue.empty:
                    break
                packer.close()
                continue
            message, start, end = taken
            data = message.data
            size = end - start
            flags = (0 if message.ordered else _UNORDERED) | (0 if start else _BEGINNING)
            if end == len(data):
                flags |= _ENDING
            length = DATA_OVERHEAD + size
            # RFC 7053: nothing follows for now, so the acknowledgement should not wait.
            if queue.empty or outstanding.flight + length >= limit:
                flags |= IMMEDIATE
            header = _pack_data(
                0,
                flags,
                length,
                outstanding.next_tsn & _WORD,
                message.stream,
                message.ssn,
                message.ppid,
            )
            chunk = header + data[start:end] + b"\0\0\0"[: -length & 3]
            outstanding.add(chunk, size, message, now)
            packer.add(chunk)

    def _give_up(self) -> None:
        """Messages that were abandoned: drop what was not sent, remember to say so."""
        gave_up = self.outstanding.gave_up
        while gave_up:
            message = gave_up.pop()
            self.queue.drop_rest(message)
            self._abandoned.append(message.stream)
