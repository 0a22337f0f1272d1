"""An association once both sides know each other's numbers: data both ways.

The glue between the organs (RFC 9260 sections 6 and 7, RFC 3758, RFC 6525):
received chunks go to tracker, reassembly, outstanding and stream reset; what may
be sent now is packed into packets by one function, `packets`. It knows nothing of
set-up, tear-down and verification tags, which are the association's. PeerError
and ParseError from here end the association or the packet there.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from struct import Struct

from rtcproto._timers import TimerTable
from rtcproto.errors import BufferFull, PeerError, UsageError
from rtcproto.sctp.chunks import DATA_OVERHEAD, Data, ForwardTsn, Sack
from rtcproto.sctp.config import SctpConfig
from rtcproto.sctp.congestion import CongestionWindow
from rtcproto.sctp.control_chunks import Error, ReConfig
from rtcproto.sctp.data_tracker import MAX_AHEAD, Acknowledge, DataTracker
from rtcproto.sctp.events import (
    BufferedAmountLow,
    MessageAbandoned,
    ResetDone,
    SctpEvent,
    StreamsReset,
)
from rtcproto.sctp.handshake import Agreement, Feature
from rtcproto.sctp.outstanding import Outstanding
from rtcproto.sctp.packet import HEADER_SIZE
from rtcproto.sctp.parameters import Cause, Parameter
from rtcproto.sctp.reassembly import Reassembly
from rtcproto.sctp.rto import RetransmissionTimeout
from rtcproto.sctp.send_queue import MESSAGE_OVERHEAD, Message, SendQueue
from rtcproto.sctp.stream_reset import Answer, StreamReset

__all__ = ["Transfer"]

_pack_data = Struct("!BBHLHHL").pack
_IMMEDIATE, _UNORDERED, _BEGINNING, _ENDING = 8, 4, 2, 1
_WORD = 0xFFFFFFFF


class Timer(enum.Enum):
    """What the transfer waits for."""

    RETRANSMIT = "T3-rtx: the oldest outstanding chunk is not acknowledged"
    ACKNOWLEDGE = "a SACK may be held back no longer"
    RESET = "a stream reset request is not answered"


class Transfer:
    """Data in both directions."""

    __slots__ = (
        "_config", "_congestion", "_errors", "_events", "_features", "_forced", "_forward_at",
        "_forwarded", "_full", "_got_data", "_immediate", "_outstanding", "_peer_window",
        "_queue", "_reassembly", "_reset", "_send_request", "_timers", "_tracker", "abandoned",
        "agreement", "failures", "received", "retransmissions", "rto", "sent", "timeouts",
    )  # fmt: skip

    def __init__(self, config: SctpConfig, agreement: Agreement) -> None:
        self._config = config
        self.agreement = agreement
        self._features = agreement.features
        # Bytes of user data that an otherwise empty packet takes.
        self._full = config.mtu - HEADER_SIZE - DATA_OVERHEAD
        self._timers: TimerTable[Timer] = TimerTable()
        self.rto = RetransmissionTimeout(config.rto_initial, config.rto_min, config.rto_max)
        # Sending
        self._queue = SendQueue()
        self._outstanding = Outstanding(agreement.our_tsn)
        self._congestion = CongestionWindow(config.mtu, agreement.a_rwnd)
        self._peer_window = agreement.a_rwnd
        # One packet may leave whatever the window says: the first of a fast retransmission.
        self._forced = False
        # A FORWARD-TSN is due; the last one said this, then.
        self._forward_at = 0.0
        self._forwarded = 0
        # Receiving
        self._tracker = DataTracker(agreement.their_tsn)
        self._reassembly = Reassembly(
            config.receive_window, config.max_entries, config.max_message_size
        )
        self._got_data = False
        self._immediate = False
        # Both
        self._reset = StreamReset(
            agreement.our_tsn,
            agreement.their_tsn,
            agreement.inbound_streams,
            config.inbound_streams,
        )
        self._send_request = False
        self._errors: list[bytes] = []
        self._events: list[SctpEvent] = []
        # Time-outs in a row without a sign of life.
        self.failures = 0
        self.sent = 0
        self.received = 0
        self.abandoned = 0
        self.retransmissions = 0
        self.timeouts = 0

    # Getters

    @property
    def cumulative(self) -> int:
        """The last TSN up to which everything arrived, as on the wire."""
        return self._tracker.cumulative & _WORD

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent or acknowledged."""
        return self._queue.empty and self._outstanding.empty

    @property
    def in_flight(self) -> int:
        """Bytes of chunks sent and not acknowledged."""
        return self._outstanding.flight

    @property
    def congestion_window(self) -> int:
        """Bytes that may be in flight."""
        return self._congestion.window

    @property
    def send_charge(self) -> int:
        """What counts against the send buffer."""
        return self._queue.charge + self._outstanding.charge

    @property
    def receive_charge(self) -> int:
        """What counts against the receive window."""
        return self._reassembly.charge

    @property
    def peer_window(self) -> int:
        """The a_rwnd that the peer announced last."""
        return self._peer_window

    def buffered(self, stream: int) -> int:
        """Bytes waiting on a stream."""
        return self._queue.buffered(stream)

    # Verbs

    def send(self, message: Message) -> None:
        """Queue a message. Raises UsageError and BufferFull."""
        if not 0 <= message.stream < self.agreement.outbound_streams:
            raise UsageError(f"no stream {message.stream}")
        if self._reset.is_closing(message.stream):
            raise UsageError(f"stream {message.stream} is being reset")
        limited = message.max_retransmits is not None or message.expires is not None
        if limited and not self._features & Feature.FORWARD_TSN:
            # The peer could not be told what it need not wait for: send reliably.
            message.max_retransmits = message.expires = None
        charge = len(message.data) + MESSAGE_OVERHEAD
        if self.send_charge + charge > self._config.send_buffer:
            raise BufferFull("the send buffer has no room")
        self._queue.add(message)
        self.sent += 1

    def set_threshold(self, stream: int, amount: int) -> None:
        """Where `BufferedAmountLow` is reported."""
        self._queue.set_threshold(stream, amount)

    def reset(self, streams: Sequence[int]) -> None:
        """Close the outgoing side of these. Raises UsageError."""
        if not self._features & Feature.RECONFIGURATION:
            raise UsageError("the peer cannot reset streams")
        for stream in streams:
            if not 0 <= stream < self.agreement.outbound_streams:
                raise UsageError(f"no stream {stream}")
        self._reset.ask(streams)

    # Inputs

    def receive_data(self, chunk: Data) -> None:
        """A DATA chunk. Raises PeerError."""
        if not chunk.data:
            raise PeerError("DATA without data")
        tracker, reassembly = self._tracker, self._reassembly
        self._got_data = True
        self._immediate |= chunk.immediate
        tsn = tracker.unwrapped(chunk.tsn)
        if not tracker.is_new(tsn):
            return
        if not reassembly.has_room:
            if reassembly.overflows:
                raise PeerError("more pieces than any window allows")
            if tsn != tracker.cumulative + 1:
                # Not recorded, so it will come again, when there may be room.
                self._immediate = True
                return
        tracker.record(tsn)
        if chunk.stream >= self._reset.inbound_streams:
            value = chunk.stream.to_bytes(2, "big") + b"\0\0"
            self._errors = [Error((Parameter(Cause.INVALID_STREAM, value),)).serialize()]
            return
        messages = reassembly.add(tsn, chunk)
        self.received += len(messages)
        self._events += messages

    def receive_sack(self, chunk: Sack, now: float) -> None:
        """A SACK. Raises PeerError."""
        outcome = self._outstanding.acknowledge(chunk, now)
        if outcome is None:
            return
        self.failures = 0
        self._peer_window = chunk.a_rwnd
        if outcome.sent_at is not None:
            self.rto.observe(now - outcome.sent_at)
        if outcome.size:
            self._congestion.on_acknowledged(
                outcome.size, outcome.flight_before, outcome.cumulative
            )
        if outcome.lost and self._congestion.on_loss(self._outstanding.next_tsn - 1):
            self._forced = True
        self._give_up()
        if self._outstanding.empty:
            self._timers.stop(Timer.RETRANSMIT)
        elif outcome.cumulative is not None:
            self._timers.set(Timer.RETRANSMIT, now + self.rto.value)

    def receive_shutdown(self, cumulative: int, now: float) -> None:
        """A SHUTDOWN acknowledges like a SACK without gaps. Raises PeerError."""
        self.receive_sack(Sack(cumulative, self._peer_window), now)

    def receive_forward_tsn(self, chunk: ForwardTsn) -> None:
        """A FORWARD-TSN; ignored unless agreed on and plausible (row C4)."""
        if not self._features & Feature.FORWARD_TSN:
            return
        tracker = self._tracker
        tsn = tracker.unwrapped(chunk.cumulative)
        self._got_data = True
        self._immediate = True
        if not tracker.cumulative < tsn <= tracker.cumulative + MAX_AHEAD:
            return
        tracker.skip_to(tsn)
        known = self._reset.inbound_streams
        streams = [pair for pair in chunk.streams if pair[0] < known]
        messages = self._reassembly.skip(tsn, streams, next_is_missing=tracker.cumulative == tsn)
        self.received += len(messages)
        self._events += messages

    def receive_reconfiguration(self, chunk: ReConfig, now: float) -> None:
        """Requests and answers about streams. Raises ParseError."""
        for parameter in chunk.parameters[:2]:  # RFC 6525 section 3.1: at most two
            outcome = self._reset.receive(parameter, self._tracker.cumulative)
            if isinstance(outcome, Answer):
                self._timers.stop(Timer.RESET)
                self.failures = 0
                if outcome.accepted:
                    for stream in outcome.streams:
                        self._queue.reset(stream)
                self._events.append(ResetDone(streams=outcome.streams, accepted=outcome.accepted))
            elif outcome is not None:
                self._streams_reset(outcome)
        if self._reset.outstanding:
            self._timers.set(Timer.RESET, now + self.rto.value)

    def end_packet(self, now: float) -> None:
        """All chunks of a received packet were handed over."""
        if not self._got_data:
            return
        self._got_data = False
        self._tracker.end_packet(self._immediate)
        self._immediate = False
        streams = self._reset.due(self._tracker.cumulative)
        if streams is not None:
            self._streams_reset(streams)
        if self._tracker.due is Acknowledge.DELAYED and self._timers.get(Timer.ACKNOWLEDGE) is None:
            self._timers.set(Timer.ACKNOWLEDGE, now + self._config.sack_delay)

    def handle_timer(self, now: float) -> None:
        """Act on deadlines."""
        for timer in self._timers.expired(now):
            match timer:
                case Timer.ACKNOWLEDGE:
                    self._tracker.due = Acknowledge.NOW
                case Timer.RESET:
                    self._send_request = True
                    self._timed_out()
                case Timer.RETRANSMIT:
                    self._timed_out()
                    self._congestion.on_timeout()
                    self._outstanding.time_out(now)
                    self._give_up()
                    self._forwarded = 0
                    # Armed again by the first chunk that leaves.

    def get_timer(self) -> float | None:
        """The next deadline."""
        return self._timers.next()

    # Outputs

    def next_events(self) -> list[SctpEvent]:
        """Drain the events."""
        for stream in self._queue.low():
            self._events.append(BufferedAmountLow(stream=stream))
        for stream in self._queue.dropped():
            self.abandoned += 1
            self._events.append(MessageAbandoned(stream=stream))
        events, self._events = self._events, []
        return events

    def stop(self) -> None:
        """Nothing will be waited for any more."""
        self._timers.stop_all()

    def packets(self, control: Sequence[bytes], now: float) -> list[bytes]:
        """What leaves now, as packet bodies: `control` chunks first, then our own, then data."""
        packer = _Packer(self._config.mtu - HEADER_SIZE)
        for chunk in control:
            packer.add(chunk)
        due = self._tracker.due
        if due is Acknowledge.NOW or (due is not Acknowledge.NOT and not self._queue.empty):
            packer.add(self._tracker.sack(self._reassembly.window_left).serialize())
            self._timers.stop(Timer.ACKNOWLEDGE)
        if self._errors:
            packer.add(self._errors.pop())
        responses = self._reset.responses()
        if responses:
            packer.add(ReConfig(tuple(responses)).serialize())
        outstanding = self._outstanding
        if outstanding.must_forward:
            self._add_forward_tsn(packer, now)
        flight = outstanding.flight
        limit = self._congestion.allowance(flight)
        if self._forced:
            self._forced = False
            limit = max(limit, flight + 1)
        if outstanding.has_lost:
            self._add_lost(packer, limit, now)
        if not self._queue.empty and not outstanding.has_lost:
            self._add_new(packer, limit, now)
        if self._reset.waiting() or self._send_request:
            self._add_reset_request(packer, now)
        if not outstanding.empty and self._timers.get(Timer.RETRANSMIT) is None:
            self._timers.set(Timer.RETRANSMIT, now + self.rto.value)
        return packer.finish()

    def _add_forward_tsn(self, packer: _Packer, now: float) -> None:
        chunk = self._outstanding.forward_tsn()
        # RFC 3758 section 3.5 C3 and C5: with every change, and again if it seems lost.
        pause = self.rto.smoothed or self.rto.value
        if chunk.cumulative == self._forwarded and now < self._forward_at + pause:
            return
        self._forwarded = chunk.cumulative
        self._forward_at = now
        packer.add(chunk.serialize())

    def _add_lost(self, packer: _Packer, limit: int, now: float) -> None:
        outstanding = self._outstanding
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

    def _add_new(self, packer: _Packer, limit: int, now: float) -> None:
        outstanding, queue = self._outstanding, self._queue
        while outstanding.flight < limit:
            # One chunk may be in flight whatever the peer's window (section 6.1 A).
            if outstanding.flight and outstanding.flight >= self._peer_window:
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
                # RFC 7053: nothing follows, so the acknowledgement should not wait.
                if queue.empty or outstanding.flight + size >= limit:
                    flags |= _IMMEDIATE
            length = DATA_OVERHEAD + size
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

    def _add_reset_request(self, packer: _Packer, now: float) -> None:
        # Section 5.1.2 of RFC 6525: only streams with nothing left to be given a TSN.
        ready = [s for s in self._reset.waiting() if not self._queue.is_waiting(s)]
        if ready:
            self._reset.begin(ready, self._outstanding.next_tsn - 1)
        elif not self._send_request:
            return
        self._send_request = False
        if self._reset.outstanding:
            packer.add(ReConfig((self._reset.request(),)).serialize())
            self._timers.set(Timer.RESET, now + self.rto.value)

    # Steps

    def _timed_out(self) -> None:
        self.failures += 1
        self.timeouts += 1
        self.rto.back_off()

    def _give_up(self) -> None:
        """Messages that were abandoned: drop what was not sent, and say so."""
        gave_up = self._outstanding.gave_up
        while gave_up:
            message = gave_up.pop()
            self._queue.drop_rest(message)
            self.abandoned += 1
            self._events.append(MessageAbandoned(stream=message.stream))

    def _streams_reset(self, streams: tuple[int, ...]) -> None:
        self._events.append(StreamsReset(streams=self._reassembly.reset(streams)))


class _Packer:
    """Fills packets with chunks, in order."""

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
        """Put a chunk into the packet at hand, or into a new one."""
        if len(chunk) > self.room:
            self.close()
        self._body.append(chunk)
        self.room -= len(chunk)

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
