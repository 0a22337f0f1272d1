"""One SCTP association: set-up, tear-down, verification tags, and the timers for them.

RFC 9260 sections 4, 5, 8 and 9, over DTLS (RFC 8261), for data channels (RFC
8831). What happens to data is `transfer`'s; this machine makes one when both
sides' numbers are known and wraps what it packs.

Both ends of a WebRTC connection send INIT. With SNAP both INITs travel in the
session descriptions (`local_init`, `start_with`) and there is no handshake.

Two departures, because DTLS lets nobody but the peer in: a packet that belongs
to nothing is dropped without an answer (section 8.4 would answer ABORT, which
would hurt only ourselves), and a peer that restarts ends the association (section
5.2.4 A), since whoever lost their SCTP state lost the data channels with it.

Inputs are total; what breaks the protocol inside an accepted packet (PeerError)
ends the association with ABORT, what does not parse is counted and dropped.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Callable, Sequence
from typing import assert_never

from rtcproto._timers import TimerTable
from rtcproto.errors import AuthenticationError, ParseError, PeerError, UsageError
from rtcproto.sctp.chunks import Data, ForwardTsn, Sack
from rtcproto.sctp.config import SctpConfig
from rtcproto.sctp.control_chunks import (
    Abort,
    CookieAck,
    CookieEcho,
    Error,
    Heartbeat,
    HeartbeatAck,
    Init,
    InitAck,
    ReConfig,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    Unknown,
)
from rtcproto.sctp.events import (
    AssociationClosed,
    Established,
    SctpCloseReason,
    SctpEvent,
    SctpStats,
)
from rtcproto.sctp.events import AssociationState as State
from rtcproto.sctp.gate import admits
from rtcproto.sctp.handshake import Agreement, Feature, Verdict, agree_by_cookie, parse_init
from rtcproto.sctp.packet import Chunk, Packet
from rtcproto.sctp.parameters import Cause, Parameter
from rtcproto.sctp.send_queue import Message
from rtcproto.sctp.setup import Setup
from rtcproto.sctp.transfer import Transfer, measure
from rtcproto.sctp.writer import NO_TAG, Writer

__all__ = ["Association"]

# States in which the peer may still send data.
_RECEIVING = (State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT)


class Timer(enum.Enum):
    """What the association waits for."""

    SETUP = "T1: no answer to INIT or COOKIE-ECHO"
    SHUTDOWN = "T2-shutdown: no answer to SHUTDOWN or SHUTDOWN-ACK"


class Association:
    """See the module. `now` is the last parameter of every verb and input, in seconds."""

    __slots__ = ("_attempts", "_config", "_control", "_dropped", "_entropy", "_events",
                 "_max_out", "_now", "_octets_in", "_packets_in", "_remote_port",
                 "_setup", "_state", "_timers", "_transfer", "_writer")  # fmt: skip

    def __init__(self, config: SctpConfig, entropy: Callable[[int], bytes], now: float) -> None:
        self._config = config
        self._entropy = entropy
        self._now = now
        self._state = State.CLOSED
        self._timers: TimerTable[Timer] = TimerTable()
        self._setup = Setup(config, entropy)
        self._transfer: Transfer | None = None
        self._max_out = config.remote_max_message_size
        # Unanswered INITs, cookies or SHUTDOWNs.
        self._attempts = 0
        # Chunks for the next packet, and packets.
        self._control: list[bytes] = []
        self._remote_port = config.remote_port
        self._writer = Writer(config.port, config.remote_port)
        self._events: list[SctpEvent] = []
        self._packets_in = self._octets_in = self._dropped = 0

    # Getters

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._state

    @property
    def remote_max_message_size(self) -> int:
        """The largest message that may be sent, 0 for any."""
        return self._max_out

    def local_init(self) -> bytes:
        """Our INIT chunk: base64 of it is the value of `a=sctp-init` (SNAP)."""
        return self._setup.init.serialize()

    def buffered_amount(self, stream: int) -> int:
        """Bytes given to `send_message` on this stream and not yet sent for the first time."""
        return 0 if self._transfer is None else self._transfer.sender.queue.buffered(stream)

    def stats(self) -> SctpStats:
        """The figures at this moment."""
        writer, received = self._writer, (self._packets_in, self._octets_in, self._dropped)
        return measure(self._state, writer, received, self._transfer)

    # Verbs

    def start(self, now: float) -> None:
        """Send INIT. `UsageError` unless CLOSED; harmless if the peer was faster."""
        if self._state is State.ESTABLISHED:
            return
        if self._state is not State.CLOSED:
            raise UsageError(f"start() in state {self._state.name}")
        now = self._tick(now)
        self._state = State.COOKIE_WAIT
        self._attempts = 0
        self._send_setup(now)

    def start_with(self, remote_init: bytes, now: float) -> None:
        """SNAP: the peer's INIT chunk came with its description; no handshake follows.

        Raises ParseError for what is not an INIT chunk, `UsageError` unless CLOSED.
        """
        if self._state is not State.CLOSED:
            raise UsageError(f"start_with() in state {self._state.name}")
        now = self._tick(now)
        agreement = self._setup.agree(parse_init(remote_init))
        self._establish(agreement, now)
        self._flush(now)

    def set_remote(self, port: int, max_message_size: int) -> None:
        """What the peer's description says, if it was not known at first; 0 for any size.

        `UsageError` unless CLOSED.
        """
        if self._state is not State.CLOSED:
            raise UsageError(f"set_remote() in state {self._state.name}")
        self._max_out = max_message_size
        self._remote_port = port
        self._writer = Writer(self._config.port, port)

    def send_message(
        self,
        stream: int,
        ppid: int,
        data: bytes,
        now: float,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        lifetime: float | None = None,
    ) -> None:
        """Queue one message of at least one byte.

        `max_retransmits` and `lifetime` (seconds from now) limit its reliability.
        `UsageError` unless established, for an empty or too large message, a
        stream that does not exist or is being reset; `BufferFull` (nothing queued).
        """
        transfer = self._transfer
        if transfer is None or self._state is not State.ESTABLISHED:
            raise UsageError(f"send_message() in state {self._state.name}")
        if not data:
            raise UsageError("SCTP carries no empty message (RFC 8831 section 6.6 has a way)")
        if self._max_out and len(data) > self._max_out:
            raise UsageError(f"the peer takes messages of {self._max_out} bytes, not {len(data)}")
        now = self._tick(now)
        expires = None if lifetime is None else now + lifetime
        transfer.send(Message(stream, ppid, bytes(data), ordered, max_retransmits, expires))
        self._flush(now)

    def set_buffered_amount_low_threshold(self, stream: int, amount: int) -> None:
        """Report `BufferedAmountLow` when `buffered_amount` falls to `amount` (0 at first)."""
        if self._transfer is None:
            raise UsageError("no streams yet")
        self._transfer.sender.queue.set_threshold(stream, amount)

    def reset_streams(self, streams: Sequence[int], now: float) -> None:
        """Close the outgoing side of these once what waits on them is sent.

        `UsageError` unless established and the peer can do it (RFC 6525).
        """
        if self._transfer is None or self._state is not State.ESTABLISHED:
            raise UsageError(f"reset_streams() in state {self._state.name}")
        now = self._tick(now)
        self._transfer.reset(streams)
        self._flush(now)

    def close(self, now: float) -> None:
        """Shut down in order: what was queued is sent first. Harmless when closing already."""
        now = self._tick(now)
        if self._state is State.ESTABLISHED:
            self._state = State.SHUTDOWN_PENDING
            self._flush(now)
        elif self._state in (State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED):
            self.abort(now)

    def abort(self, now: float) -> None:
        """End it at once. Harmless when over."""
        now = self._tick(now)
        if self._state is State.ENDED:
            return
        self._end_with_abort(Cause.USER_INITIATED_ABORT, SctpCloseReason.LOCAL, "")

    # Inputs

    def receive_packet(self, data: bytes, now: float) -> None:
        """Take one packet, as it came out of DTLS. Never raises."""
        now = self._tick(now)
        if self._state is State.ENDED:
            return
        try:
            packet = Packet.parse(data, self._config.zero_checksum)
            ports = (self._remote_port, self._config.port)
            if not admits(packet, ports, self._setup.tag, self._writer.tag):
                raise ParseError("sctp", "not for this association")
        except ParseError:
            self._dropped += 1
            return
        self._packets_in += 1
        self._octets_in += len(data)
        try:
            self._take(packet, data[4:8], now)
        except (ParseError, AuthenticationError):
            self._dropped += 1
        except PeerError as error:
            self._end_with_abort(Cause.PROTOCOL_VIOLATION, SctpCloseReason.PROTOCOL, str(error))
        self._flush(now)

    def handle_timer(self, now: float) -> None:
        """Act on every deadline at or before `now`."""
        now = self._tick(now)
        if self._state is State.ENDED:
            return
        if self._transfer is not None:
            self._transfer.handle_timer(now)
        for timer in self._timers.expired(now):
            match timer:
                case Timer.SETUP:
                    self._attempts += 1
                    if self._attempts > self._config.max_init_retransmissions:
                        self._end(SctpCloseReason.NO_ANSWER, timer.value)
                    else:
                        self._send_setup(now)
                case Timer.SHUTDOWN:
                    self._attempts += 1
                    self._send_shutdown(now)
                case _:
                    assert_never(timer)
        failures = self._attempts + (self._transfer.sender.failures if self._transfer else 0)
        if self._transfer is not None and failures > self._config.max_retransmissions:
            self._end(SctpCloseReason.LOST, "the peer stopped answering")
        self._flush(now)

    # Outputs

    def get_timer(self) -> float | None:
        """The next deadline, or None."""
        own = self._timers.next()
        if self._transfer is None:
            return own
        other = self._transfer.get_timer()
        return other if own is None or (other is not None and other < own) else own

    def packets_to_send(self) -> list[bytes]:
        """Drain the packets."""
        return self._writer.drain()

    def next_events(self) -> list[SctpEvent]:
        """Drain the events; `AssociationClosed` is the last one there will be."""
        events, self._events = self._events, []
        return events

    # Packets in

    def _take(self, packet: Packet, tag: bytes, now: float) -> None:
        first = packet.chunks[0]
        if isinstance(first, Init):
            self._on_init(first, now)
            return
        if isinstance(first, CookieEcho):
            self._on_cookie_echo(first, tag, now)
            if not hmac.compare_digest(tag, self._setup.tag):
                return  # what came with the cookie of an association that was not to be
        for chunk in packet.chunks:
            self._on_chunk(chunk, now)
            if self._state is State.ENDED:
                return
            if isinstance(chunk, Unknown) and not chunk.type & 0x80:
                break  # 3.2: "stop processing this SCTP packet"
        had_data = self._transfer is not None and self._transfer.end_packet(now)
        if had_data and self._state is State.SHUTDOWN_SENT:
            self._send_shutdown(now)  # 9.2: a packet with DATA is answered with SHUTDOWN

    def _on_chunk(self, chunk: Chunk, now: float) -> None:
        transfer = self._transfer
        match chunk:  # the most frequent first
            case Data() | ForwardTsn() | ReConfig():
                if transfer is not None and self._state in _RECEIVING:
                    transfer.receive(chunk, now)
            case Sack() | Heartbeat() | HeartbeatAck():
                if transfer is not None:
                    transfer.receive(chunk, now)
            case InitAck():
                self._on_init_ack(chunk, now)
            case CookieAck():
                if self._setup.tentative is not None:
                    self._establish(self._setup.tentative, now)
            case Shutdown():
                self._on_shutdown(chunk, now)
            case ShutdownAck():
                self._on_shutdown_ack()
            case Abort() | ShutdownComplete():
                self._on_last_word(chunk)
            case Error():
                self._on_error(chunk)
            case Unknown():
                # 3.2: the bit that asks for a report. One per round, whatever comes.
                if chunk.type & 0x40 and transfer is not None and not self._control:
                    cause = Parameter(Cause.UNRECOGNIZED_CHUNK, chunk.serialize()[:64])
                    self._control.append(Error((cause,)).serialize())
            case Init() | CookieEcho():
                pass  # handled as first chunks; RFC 9260 6.10 allows them nowhere else
            case _:
                assert_never(chunk)

    # Set-up

    def _known(self) -> Agreement | None:
        return self._transfer.agreement if self._transfer is not None else None

    def _on_init(self, init: Init, now: float) -> None:
        if self._state is State.SHUTDOWN_ACK_SENT:
            self._send_shutdown(now)  # 9.2: "discard the INIT chunk and retransmit"
            return
        answer = self._setup.answer(init, self._known(), now)
        self._writer.write_setup(answer.serialize(), init.initiate_tag.to_bytes(4, "big"))

    def _on_init_ack(self, chunk: InitAck, now: float) -> None:
        if self._state is not State.COOKIE_WAIT:
            return  # 5.2.3
        self._learn(self._setup.take_answer(chunk))
        self._state = State.COOKIE_ECHOED
        self._attempts = 0
        self._send_setup(now)

    def _on_cookie_echo(self, chunk: CookieEcho, tag: bytes, now: float) -> None:
        verdict, cookie = self._setup.take_cookie(chunk, tag, self._known(), now)
        match verdict:
            case Verdict.ESTABLISH:
                self._establish(agree_by_cookie(cookie), now)
                self._control.append(CookieAck().serialize())
            case Verdict.REPEAT:
                self._control.append(CookieAck().serialize())
            case Verdict.RESTART:
                self._learn(agree_by_cookie(cookie))
                self._end_with_abort(Cause.PROTOCOL_VIOLATION, SctpCloseReason.PEER_RESTARTED, "")
            case Verdict.STALE:
                error = self._setup.complain(cookie, now)
                self._writer.write_setup(error.serialize(), cookie.their_tag.to_bytes(4, "big"))
            case Verdict.DISCARD:
                pass
            case _:
                assert_never(verdict)

    def _on_error(self, chunk: Error) -> None:
        if self._state is State.COOKIE_ECHOED and any(
            cause.type == Cause.STALE_COOKIE for cause in chunk.causes
        ):
            self._end(SctpCloseReason.NO_ANSWER, "the cookie was too old")

    def _learn(self, agreement: Agreement) -> None:
        self._writer.learn(agreement.their_tag.to_bytes(4, "big"))

    def _establish(self, agreement: Agreement, now: float) -> None:
        self._learn(agreement)
        self._state = State.ESTABLISHED
        self._timers.stop_all()
        self._attempts = 0
        self._setup.done()
        agreed = bool(agreement.features & Feature.ZERO_CHECKSUM)
        self._writer.zero_checksum = agreed and self._config.zero_checksum
        self._transfer = Transfer(self._config, agreement, self._entropy, now)
        self._events.append(
            Established(
                inbound_streams=agreement.inbound_streams,
                outbound_streams=agreement.outbound_streams,
            )
        )

    def _send_setup(self, now: float) -> None:
        """INIT or COOKIE-ECHO, whichever is not answered."""
        if self._state is State.COOKIE_WAIT:
            self._writer.write_setup(self._setup.init.serialize(), NO_TAG)
        else:
            self._writer.write_setup(self._setup.echo().serialize(), self._writer.tag)
        self._timers.set(Timer.SETUP, now + self._wait())

    def _wait(self) -> float:
        """T1 and T2: doubled by every attempt."""
        first = self._transfer.sender.rto.value if self._transfer else self._config.rto_initial
        return min(self._config.rto_max, first * (1 << self._attempts))

    # Tear-down

    def _on_shutdown(self, chunk: Shutdown, now: float) -> None:
        transfer = self._transfer
        if transfer is None:
            return
        transfer.receive_shutdown(chunk.cumulative, now)
        if self._state in (State.ESTABLISHED, State.SHUTDOWN_PENDING):
            self._state = State.SHUTDOWN_RECEIVED
        elif self._state is State.SHUTDOWN_SENT:  # 9.2: both sides at once
            self._state = State.SHUTDOWN_ACK_SENT
            self._send_shutdown(now)

    def _on_shutdown_ack(self) -> None:
        if self._state in (State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT):
            self._writer.write(ShutdownComplete().serialize())
            self._end(SctpCloseReason.LOCAL, "")

    def _on_last_word(self, chunk: Abort | ShutdownComplete) -> None:
        if isinstance(chunk, Abort):
            if self._state is not State.CLOSED:
                causes = ", ".join(str(cause.type) for cause in chunk.causes[:4])
                self._end(SctpCloseReason.PEER_ABORTED, f"causes: {causes}" if causes else "")
        elif self._state is State.SHUTDOWN_ACK_SENT:
            self._end(SctpCloseReason.PEER_CLOSED, "")

    def _send_shutdown(self, now: float) -> None:
        transfer = self._transfer
        assert transfer is not None, "only an association with data is shut down"
        if self._state is State.SHUTDOWN_SENT:
            cumulative = transfer.receiver.cumulative & 0xFFFFFFFF
            self._control.append(Shutdown(cumulative).serialize())
        else:
            self._control.append(ShutdownAck().serialize())
        self._timers.set(Timer.SHUTDOWN, now + self._wait())

    def _end_with_abort(self, cause: Cause, reason: SctpCloseReason, detail: str) -> None:
        if self._writer.tag != NO_TAG:
            self._writer.write(Abort((Parameter(cause, detail.encode()),)).serialize())
        self._end(reason, detail)

    def _end(self, reason: SctpCloseReason, detail: str) -> None:
        if self._transfer is not None:
            self._events += self._transfer.next_events()
            self._transfer.stop()
        self._state = State.ENDED
        self._timers.stop_all()
        self._control.clear()
        self._events.append(AssociationClosed(reason=reason, detail=detail))

    # Packets out

    def _flush(self, now: float) -> None:
        transfer = self._transfer
        if transfer is None or self._state is State.ENDED:
            return
        if self._state is not State.ESTABLISHED and transfer.sender.idle:
            if self._state is State.SHUTDOWN_PENDING:
                self._state = State.SHUTDOWN_SENT
                self._send_shutdown(now)
            elif self._state is State.SHUTDOWN_RECEIVED:
                self._state = State.SHUTDOWN_ACK_SENT
                self._send_shutdown(now)
        control, self._control = self._control, []
        for body in transfer.packets(control, now):
            self._writer.write(body)
        if transfer.has_events:
            self._events += transfer.next_events()

    def _tick(self, now: float) -> float:
        self._now = max(self._now, now)
        return self._now
