"""An association once both sides know each other's numbers: data both ways.

The glue between sender, receiver and stream reset (RFC 9260 sections 6 and 7, RFC
3758, RFC 6525), and their timers. It knows nothing of set-up, tear-down and
verification tags, which are the association's. PeerError and ParseError from here
end the association, or the packet, there.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

from rtcproto._timers import TimerTable
from rtcproto.errors import UsageError
from rtcproto.sctp.chunks import Data, ForwardTsn, Sack
from rtcproto.sctp.config import SctpConfig
from rtcproto.sctp.control_chunks import Error, Heartbeat, HeartbeatAck, ReConfig
from rtcproto.sctp.data_tracker import Acknowledge
from rtcproto.sctp.events import (
    AssociationState,
    BufferedAmountLow,
    MessageAbandoned,
    ResetDone,
    SctpEvent,
    SctpStats,
    StreamsReset,
)
from rtcproto.sctp.handshake import Agreement, Feature
from rtcproto.sctp.heartbeat import NONCE_SIZE, Heartbeats
from rtcproto.sctp.packer import Packer
from rtcproto.sctp.packet import HEADER_SIZE
from rtcproto.sctp.parameters import Cause, Parameter, ParameterType
from rtcproto.sctp.receiver import Receiver
from rtcproto.sctp.send_queue import Message
from rtcproto.sctp.sender import Sender
from rtcproto.sctp.stream_reset import Answer, StreamReset
from rtcproto.sctp.writer import Writer

__all__ = ["Transfer", "measure"]


DataChunk: TypeAlias = Data | Sack | ForwardTsn | ReConfig | Heartbeat | HeartbeatAck


class Timer(enum.Enum):
    """What the transfer waits for."""

    RETRANSMIT = "T3-rtx: the oldest outstanding chunk is not acknowledged"
    ACKNOWLEDGE = "a SACK may be held back no longer"
    RESET = "a stream reset request is not answered"
    HEARTBEAT = "the path was idle for a while, or a heartbeat is not answered"


class Transfer:
    """Data in both directions. `sender` and `receiver` are there for figures."""

    __slots__ = ("_acknowledged", "_config", "_control", "_entropy", "_events", "_heartbeats",
                 "_resend_request", "_reset", "_timers", "abandoned", "agreement", "receiver",
                 "sender")  # fmt: skip

    def __init__(
        self,
        config: SctpConfig,
        agreement: Agreement,
        entropy: Callable[[int], bytes],
        now: float,
    ) -> None:
        self._config = config
        self._entropy = entropy
        self.agreement = agreement
        self._timers: TimerTable[Timer] = TimerTable()
        self.sender = Sender(config, agreement.our_tsn, agreement.a_rwnd)
        self.receiver = Receiver(config, agreement.their_tsn, agreement.inbound_streams)
        self._reset = StreamReset(
            agreement.our_tsn,
            agreement.their_tsn,
            agreement.inbound_streams,
            config.inbound_streams,
        )
        # Whether the packet at hand had a SACK. Another one could move the blocks of the
        # first by one, and have all that is outstanding looked at again; nobody sends two.
        self._acknowledged = False
        self._resend_request = False
        self._heartbeats = Heartbeats()
        self._timers.set(Timer.HEARTBEAT, now + config.heartbeat_interval)
        # Chunks for the next packet.
        self._control: list[bytes] = []
        self._events: list[SctpEvent] = []
        self.abandoned = 0

    # Verbs

    def send(self, message: Message) -> None:
        """Queue a message. Raises UsageError and BufferFull."""
        if not 0 <= message.stream < self.agreement.outbound_streams:
            raise UsageError(f"no stream {message.stream}")
        if self._reset.is_closing(message.stream):
            raise UsageError(f"stream {message.stream} is being reset")
        if not self.agreement.features & Feature.FORWARD_TSN:
            # The peer could not be told what it need not wait for: send reliably.
            message.max_retransmits = message.expires = None
        self.sender.send(message)

    def reset(self, streams: Sequence[int]) -> None:
        """Close the outgoing side of these. Raises UsageError."""
        if not self.agreement.features & Feature.RECONFIGURATION:
            raise UsageError("the peer cannot reset streams")
        for stream in streams:
            if not 0 <= stream < self.agreement.outbound_streams:
                raise UsageError(f"no stream {stream}")
        self._reset.ask(streams)

    # Inputs

    def receive(self, chunk: DataChunk, now: float) -> None:
        """A chunk of an association that is up. Raises PeerError and ParseError."""
        match chunk:
            case Data():
                self._events += self.receiver.receive_data(chunk)
            case Sack():
                if not self._acknowledged:
                    self._acknowledged = True
                    self._on_sack(chunk, now)
            case ForwardTsn():
                if self.agreement.features & Feature.FORWARD_TSN:
                    self._events += self.receiver.receive_forward_tsn(chunk)
            case ReConfig():
                self._on_reconfiguration(chunk, now)
            case Heartbeat():
                self._control.append(HeartbeatAck(chunk.parameters).serialize())
            case HeartbeatAck():
                round_trip = self._heartbeats.receive(chunk, now)
                if round_trip is not None:
                    self.sender.failures = 0
                    self.sender.rto.observe(round_trip)
                    self._timers.set(Timer.HEARTBEAT, now + self._config.heartbeat_interval)
            case _:
                assert_never(chunk)

    def receive_shutdown(self, cumulative: int, now: float) -> None:
        """A SHUTDOWN acknowledges like a SACK without gaps. Raises PeerError."""
        self._on_sack(Sack(cumulative, self.sender.peer_window), now)

    def end_packet(self, now: float) -> bool:
        """All chunks of a received packet were handed over; whether it had data."""
        self._acknowledged = False
        if not self.receiver.end_packet():
            return False
        streams = self._reset.due(self.receiver.cumulative)
        if streams is not None:
            self._streams_reset(streams)
        delayed = self.receiver.due is Acknowledge.DELAYED
        if delayed and self._timers.get(Timer.ACKNOWLEDGE) is None:
            self._timers.set(Timer.ACKNOWLEDGE, now + self._config.sack_delay)
        return True

    def handle_timer(self, now: float) -> None:
        """Act on deadlines. T3 is armed again by `packets`."""
        for timer in self._timers.expired(now):
            match timer:
                case Timer.ACKNOWLEDGE:
                    self.receiver.acknowledge_now()
                case Timer.RESET:
                    self._resend_request = True
                    self.sender.timed_out()
                case Timer.RETRANSMIT:
                    self.sender.time_out(now)
                case Timer.HEARTBEAT:
                    self._beat(now)
                case _:
                    assert_never(timer)

    @property
    def _has_work(self) -> bool:
        """Whether `packets` could find anything: most packets received leave nothing to say."""
        return (
            self.receiver.due is Acknowledge.NOW
            or self.sender.has_work
            or self._resend_request
            or self._reset.has_work
            or self.receiver.invalid_stream is not None
        )

    def _is_only_sack(self, control: Sequence[bytes]) -> bool:
        return (
            self.receiver.due is Acknowledge.NOW
            and not (control or self._control or self._resend_request)
            and self.sender.idle
            and not self._reset.has_work
            and self.receiver.invalid_stream is None
        )

    # Outputs

    def get_timer(self) -> float | None:
        """The next deadline."""
        return self._timers.next()

    @property
    def has_events(self) -> bool:
        """Whether `next_events` has anything: most packets bring nothing to tell."""
        sender = self.sender
        return bool(self._events or sender.gave_up or sender.queue.news)

    def next_events(self) -> list[SctpEvent]:
        """Drain the events."""
        for stream in self.sender.queue.low():
            self._events.append(BufferedAmountLow(stream=stream))
        for stream in self.sender.abandoned():
            self.abandoned += 1
            self._events.append(MessageAbandoned(stream=stream))
        events, self._events = self._events, []
        return events

    def stop(self) -> None:
        """Nothing will be waited for any more."""
        self._timers.stop_all()

    def packets(self, control: Sequence[bytes], now: float) -> list[bytes]:
        """What leaves now, as packet bodies: `control` chunks first, then our own, then data."""
        if not (control or self._control or self._has_work):
            return []
        if self._is_only_sack(control):
            # What nearly every second packet of a receiver is answered with.
            self._timers.stop(Timer.ACKNOWLEDGE)
            return [self.receiver.sack().serialize()]
        packer = Packer(self._config.mtu - HEADER_SIZE)
        for chunk in (*control, *self._control):
            packer.add(chunk)
        self._control.clear()
        receiver, sender = self.receiver, self.sender
        due = receiver.due
        # RFC 9260 section 6.2: a delayed acknowledgement goes along with data.
        if due is Acknowledge.NOW or (due is Acknowledge.DELAYED and not sender.queue.empty):
            packer.add(receiver.sack().serialize())
            self._timers.stop(Timer.ACKNOWLEDGE)
        if receiver.invalid_stream is not None:
            value = receiver.invalid_stream.to_bytes(2, "big") + b"\0\0"
            receiver.invalid_stream = None
            packer.add(Error((Parameter(Cause.INVALID_STREAM, value),)).serialize())
        responses = self._reset.responses()
        if responses:
            packer.add(ReConfig(tuple(responses)).serialize())
        sender.fill(packer, now)
        if self._reset.has_work or self._resend_request:
            self._add_reset_request(packer, now)
        if not sender.outstanding.empty and self._timers.get(Timer.RETRANSMIT) is None:
            self._timers.set(Timer.RETRANSMIT, now + sender.rto.value)
        return packer.finish()

    def _add_reset_request(self, packer: Packer, now: float) -> None:
        reset, sender = self._reset, self.sender
        # RFC 6525 section 5.1.2: only streams with nothing left to be given a TSN.
        ready = [each for each in reset.waiting() if not sender.queue.is_waiting(each)]
        if ready:
            reset.begin(ready, sender.outstanding.next_tsn - 1)
        elif not self._resend_request:
            return
        self._resend_request = False
        if reset.outstanding:
            packer.add(ReConfig((reset.request(),)).serialize())
            self._timers.set(Timer.RESET, now + sender.rto.value)

    def _on_sack(self, chunk: Sack, now: float) -> None:
        moved = self.sender.receive_sack(chunk, now)
        # RFC 9260 section 6.3.2 R2 and R3.
        if self.sender.outstanding.empty:
            self._timers.stop(Timer.RETRANSMIT)
        elif moved:
            self._timers.set(Timer.RETRANSMIT, now + self.sender.rto.value)

    def _on_reconfiguration(self, chunk: ReConfig, now: float) -> None:
        for parameter in chunk.parameters[:2]:  # RFC 6525 section 3.1: at most two
            outcome = self._reset.receive(parameter, self.receiver.cumulative)
            if isinstance(outcome, Answer):
                self._timers.stop(Timer.RESET)
                if outcome.accepted:
                    for stream in outcome.streams:
                        self.sender.queue.reset(stream)
                self._events.append(ResetDone(streams=outcome.streams, accepted=outcome.accepted))
            elif outcome is not None:
                self._streams_reset(outcome)
            if parameter.type == ParameterType.RECONFIG_RESPONSE:
                # "In progress" is a sign of life as well (section 5.2.7 D).
                self.sender.failures = 0
        self.receiver.streams = self._reset.inbound_streams

    def _beat(self, now: float) -> None:
        wait = self._config.heartbeat_interval
        if self._heartbeats.open:
            self.sender.timed_out()
        if self._heartbeats.open or self.sender.idle:
            heartbeat = self._heartbeats.ask(self._entropy(NONCE_SIZE), now)
            self._control.append(heartbeat.serialize())
            wait = self.sender.rto.value
        self._timers.set(Timer.HEARTBEAT, now + wait)

    def _streams_reset(self, streams: tuple[int, ...]) -> None:
        named = self.receiver.reset(streams)
        if named:
            self._events.append(StreamsReset(streams=named))


def measure(
    state: AssociationState,
    writer: Writer,
    received: tuple[int, int, int],
    transfer: Transfer | None,
) -> SctpStats:
    """The figures of an association; `received` is packets, bytes and packets dropped."""
    sender = transfer.sender if transfer else None
    receiver = transfer.receiver if transfer else None
    return SctpStats(
        state=state,
        packets_sent=writer.packets,
        packets_received=received[0],
        bytes_sent=writer.octets,
        bytes_received=received[1],
        packets_dropped=received[2],
        messages_sent=sender.messages if sender else 0,
        messages_received=receiver.received if receiver else 0,
        messages_abandoned=transfer.abandoned if transfer else 0,
        retransmissions=sender.retransmissions if sender else 0,
        timeouts=sender.timeouts if sender else 0,
        round_trip_time=sender.rto.smoothed if sender else None,
        retransmission_timeout=sender.rto.value if sender else None,
        congestion_window=sender.congestion.window if sender else 0,
        bytes_in_flight=sender.outstanding.flight if sender else 0,
        send_buffered=sender.charge if sender else 0,
        receive_buffered=receiver.charge if receiver else 0,
        peer_receive_window=sender.peer_window if sender else 0,
    )
