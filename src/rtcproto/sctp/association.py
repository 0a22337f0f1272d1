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
from struct import Struct
from typing import assert_never

from crc32c import crc32c

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
    parse_control,
)
from rtcproto.sctp.cookie import KEY_SIZE, CookieJar
from rtcproto.sctp.events import (
    AssociationClosed,
    AssociationState,
    Established,
    SctpCloseReason,
    SctpEvent,
    SctpStats,
)
from rtcproto.sctp.handshake import (
    Agreement,
    Feature,
    agree,
    agree_by_cookie,
    make_cookie,
    make_init,
    make_init_ack,
)
from rtcproto.sctp.packet import Chunk, Packet
from rtcproto.sctp.parameters import Cause, Parameter, ParameterType, find
from rtcproto.sctp.send_queue import Message
from rtcproto.sctp.transfer import Transfer

__all__ = ["Association"]

_pack_header = Struct("!HHL4x").pack
_HEARTBEAT = Struct("!d8s")

State = AssociationState
# States in which data may arrive, and in which what we have may still leave.
_RECEIVING = (State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT)
_SENDING = (State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED)


class Timer(enum.Enum):
    """What the association waits for."""

    INIT = "T1-init: no INIT-ACK yet"
    COOKIE = "T1-cookie: no COOKIE-ACK yet"
    SHUTDOWN = "T2-shutdown: no answer to SHUTDOWN or SHUTDOWN-ACK"
    HEARTBEAT = "the peer was not heard of for a while, or did not answer a heartbeat"


class Association:
    """See the module. `now` is the last parameter of every verb and input, in seconds."""

    __slots__ = (
        "_agreement",
        "_attempts",
        "_bytes_in",
        "_bytes_out",
        "_config",
        "_control",
        "_cookie",
        "_dropped",
        "_entropy",
        "_events",
        "_init",
        "_jar",
        "_max_out",
        "_nonce",
        "_now",
        "_our_tag",
        "_out",
        "_packets_in",
        "_packets_out",
        "_state",
        "_their_tag",
        "_timers",
        "_transfer",
        "_zero_out",
    )  # fmt: skip

    def __init__(self, config: SctpConfig, entropy: Callable[[int], bytes], now: float) -> None:
        self._config = config
        self._entropy = entropy
        self._now = now
        self._state = State.CLOSED
        self._timers: TimerTable[Timer] = TimerTable()
        self._jar = CookieJar(entropy(KEY_SIZE))
        # Tags are four bytes on the wire and compared as such.
        self._our_tag = self._new_tag()
        self._their_tag = bytes(4)
        self._init = make_init(
            config,
            int.from_bytes(self._our_tag, "big"),
            int.from_bytes(entropy(4), "big"),
        )
        # The peer's cookie while it is on its way back.
        self._cookie = b""
        self._agreement: Agreement | None = None
        self._transfer: Transfer | None = None
        self._zero_out = False
        self._max_out = config.remote_max_message_size
        # Unanswered INITs, cookies or SHUTDOWNs; the open heartbeat, if any.
        self._attempts = 0
        self._nonce = b""
        # Chunks of ours for the next packet, packets, events.
        self._control: list[bytes] = []
        self._out: list[bytes] = []
        self._events: list[SctpEvent] = []
        self._packets_in = self._packets_out = self._dropped = 0
        self._bytes_in = self._bytes_out = 0

    # Getters

    @property
    def state(self) -> AssociationState:
        """Where it stands."""
        return self._state

    @property
    def remote_max_message_size(self) -> int:
        """The largest message that may be sent, 0 for any."""
        return self._max_out

    def local_init(self) -> bytes:
        """Our INIT chunk: base64 of it is the value of `a=sctp-init` (SNAP)."""
        return self._init.serialize()

    def buffered_amount(self, stream: int) -> int:
        """Bytes given to `send_message` on this stream and not yet sent for the first time."""
        return 0 if self._transfer is None else self._transfer.buffered(stream)

    def stats(self) -> SctpStats:
        """The figures at this moment."""
        transfer = self._transfer
        return SctpStats(
            state=self._state,
            packets_sent=self._packets_out,
            packets_received=self._packets_in,
            bytes_sent=self._bytes_out,
            bytes_received=self._bytes_in,
            packets_dropped=self._dropped,
            messages_sent=transfer.sent if transfer else 0,
            messages_received=transfer.received if transfer else 0,
            messages_abandoned=transfer.abandoned if transfer else 0,
            retransmissions=transfer.retransmissions if transfer else 0,
            timeouts=transfer.timeouts if transfer else 0,
            round_trip_time=transfer.rto.smoothed if transfer else None,
            retransmission_timeout=transfer.rto.value if transfer else self._config.rto_initial,
            congestion_window=transfer.congestion_window if transfer else 0,
            bytes_in_flight=transfer.in_flight if transfer else 0,
            send_buffered=transfer.send_charge if transfer else 0,
            receive_buffered=transfer.receive_charge if transfer else 0,
            peer_receive_window=transfer.peer_window if transfer else 0,
        )

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
        self._send_init(now)

    def start_with(self, remote_init: bytes, now: float) -> None:
        """SNAP: the peer's INIT chunk came with its description; no handshake follows.

        Raises ParseError for what is not an INIT chunk, `UsageError` unless CLOSED.
        """
        if self._state is not State.CLOSED:
            raise UsageError(f"start_with() in state {self._state.name}")
        now = self._tick(now)
        agreement = self._agree(self._init.initiate_tag, _parse_init(remote_init))
        self._establish(agreement, now)
        self._flush(now)

    def set_remote_max_message_size(self, size: int) -> None:
        """What the peer's description says, if it was not known at first; 0 for any size."""
        self._max_out = size

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
        self._transfer.set_threshold(stream, amount)

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
        if self._agreement is not None:
            self._emit(Abort((Parameter(Cause.USER_INITIATED_ABORT),)).serialize())
        self._end(SctpCloseReason.LOCAL, "")

    # Inputs

    def receive_packet(self, data: bytes, now: float) -> None:
        """Take one packet, as it came out of DTLS. Never raises."""
        now = self._tick(now)
        if self._state is State.ENDED:
            return
        try:
            packet = Packet.parse(data, self._config.zero_checksum)
            if not self._is_for_us(packet):
                raise ParseError("sctp", "not for this association")
        except ParseError:
            self._dropped += 1
            return
        self._packets_in += 1
        self._bytes_in += len(data)
        try:
            self._take(packet, data[4:8], now)
        except (ParseError, AuthenticationError):
            self._dropped += 1
        except PeerError as error:
            detail = str(error)
            causes = (Parameter(Cause.PROTOCOL_VIOLATION, detail.encode()),)
            self._emit(Abort(causes).serialize())
            self._end(SctpCloseReason.PROTOCOL, detail)
        self._flush(now)

    def handle_timer(self, now: float) -> None:
        """Act on every deadline at or before `now`."""
        now = self._tick(now)
        if self._transfer is not None:
            self._transfer.handle_timer(now)
        for timer in self._timers.expired(now):
            match timer:
                case Timer.INIT | Timer.COOKIE:
                    self._attempts += 1
                    if self._attempts > self._config.max_init_retransmissions:
                        self._end(SctpCloseReason.NO_ANSWER, timer.value)
                    elif timer is Timer.INIT:
                        self._send_init(now)
                    else:
                        self._send_cookie(now)
                case Timer.SHUTDOWN:
                    self._attempts += 1
                    self._send_shutdown(now)
                case Timer.HEARTBEAT:
                    self._beat(now)
                case _:
                    assert_never(timer)
        failures = self._attempts + (self._transfer.failures if self._transfer else 0)
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
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[SctpEvent]:
        """Drain the events; `AssociationClosed` is the last one there will be."""
        events, self._events = self._events, []
        return events

    # Packets in

    def _is_for_us(self, packet: Packet) -> bool:
        if packet.destination_port != self._config.port:
            return False
        if packet.source_port != self._config.remote_port or not packet.chunks:
            return False
        first = packet.chunks[0]
        # RFC 9653 section 5.2: whoever has no association yet cannot have agreed on it.
        return not (packet.checksum_was_zero and isinstance(first, Init | CookieEcho))

    def _take(self, packet: Packet, tag: bytes, now: float) -> None:
        """RFC 9260 section 8.5: who may say what under which tag."""
        first = packet.chunks[0]
        if isinstance(first, Init):
            # 8.5.1 A and 3.3.2: alone, and under tag zero.
            if packet.tag == 0 and len(packet.chunks) == 1:
                self._on_init(first, now)
                return
            raise ParseError("sctp", "an INIT under a tag or with company")
        ours = hmac.compare_digest(tag, self._our_tag)
        if isinstance(first, Abort | ShutdownComplete):
            # 8.5.1 B and C: the T bit says that the sender reflected its peer's tag.
            theirs = self._agreement is not None and hmac.compare_digest(tag, self._their_tag)
            if not (theirs if first.reflected else ours):
                raise ParseError("sctp", "an ABORT or SHUTDOWN-COMPLETE under a wrong tag")
            self._on_last_word(first)
            return
        if isinstance(first, CookieEcho):
            self._on_cookie_echo(first, tag, now)
            ours = hmac.compare_digest(tag, self._our_tag)
        if not ours:
            raise ParseError("sctp", "under a wrong tag")
        for chunk in packet.chunks:
            self._on_chunk(chunk, now)
            if self._state is State.ENDED or (isinstance(chunk, Unknown) and not chunk.type & 0x80):
                # 3.2: "stop processing this SCTP packet".
                break
        if self._transfer is not None:
            self._transfer.end_packet(now)

    def _on_chunk(self, chunk: Chunk, now: float) -> None:
        transfer = self._transfer
        match chunk:
            case Data():
                if transfer is not None and self._state in _RECEIVING:
                    transfer.receive_data(chunk)
                    if self._state is State.SHUTDOWN_SENT:
                        self._send_shutdown(now)
            case Sack():
                if transfer is not None:
                    transfer.receive_sack(chunk, now)
            case ForwardTsn():
                if transfer is not None and self._state in _RECEIVING:
                    transfer.receive_forward_tsn(chunk)
            case ReConfig():
                if transfer is not None and self._state in _RECEIVING:
                    transfer.receive_reconfiguration(chunk, now)
            case Heartbeat():
                if transfer is not None:
                    self._control.append(HeartbeatAck(chunk.parameters).serialize())
            case HeartbeatAck():
                self._on_heartbeat_ack(chunk, now)
            case InitAck():
                self._on_init_ack(chunk, now)
            case CookieAck():
                if self._state is State.COOKIE_ECHOED and self._agreement is not None:
                    self._establish(self._agreement, now)
            case Shutdown():
                self._on_shutdown(chunk, now)
            case ShutdownAck():
                self._on_shutdown_ack()
            case Abort() | ShutdownComplete():
                # Behind other chunks, under our tag: 8.5.1 asks for no more.
                if not chunk.reflected:
                    self._on_last_word(chunk)
            case Error():
                self._on_error(chunk)
            case Unknown():
                if chunk.type & 0x40 and transfer is not None:
                    value = chunk.serialize()[:64]
                    self._control.append(
                        Error((Parameter(Cause.UNRECOGNIZED_CHUNK, value),)).serialize()
                    )
            case Init() | CookieEcho():
                pass  # handled as first chunks; RFC 9260 6.10 allows them nowhere else
            case _:
                assert_never(chunk)

    # Set-up

    def _agree(self, our_tag: int, theirs: Init | InitAck) -> Agreement:
        return agree(self._config, our_tag, self._init.initial_tsn, theirs)

    def _on_init(self, init: Init, now: float) -> None:
        """Sections 5.1 B, 5.2.1 and 5.2.2: answer with a cookie, change nothing."""
        if self._state is State.SHUTDOWN_ACK_SENT:
            self._send_shutdown(now)  # 9.2: "discard the INIT chunk and retransmit"
            return
        known = self._agreement if self._transfer is not None else None
        tag, tie, their_tie = self._init.initiate_tag, 0, 0
        if known is not None:
            # 5.2.2: a new tag for what may become a new association, and the old
            # ones as tie tags.
            tag = int.from_bytes(self._new_tag(), "big")
            tie, their_tie = known.our_tag, known.their_tag
        agreement = self._agree(tag, init)
        cookie = self._jar.seal(make_cookie(agreement, tie, their_tie, now))
        answer = make_init_ack(self._config, tag, agreement.our_tsn, cookie, init)
        self._emit(answer.serialize(), init.initiate_tag.to_bytes(4, "big"), zero=False)

    def _on_init_ack(self, chunk: InitAck, now: float) -> None:
        if self._state is not State.COOKIE_WAIT:
            return  # 5.2.3
        cookie = find(chunk.parameters, ParameterType.STATE_COOKIE)
        if cookie is None:
            raise PeerError("an INIT-ACK without a cookie")
        self._learn(self._agree(self._init.initiate_tag, chunk))
        self._cookie = cookie
        self._state = State.COOKIE_ECHOED
        self._timers.stop(Timer.INIT)
        self._attempts = 0
        self._send_cookie(now)

    def _on_cookie_echo(self, chunk: CookieEcho, tag: bytes, now: float) -> None:
        """Sections 5.1.5 and 5.2.4."""
        state = self._jar.open(chunk.cookie)
        offered = state.our_tag.to_bytes(4, "big")
        if not hmac.compare_digest(tag, offered):
            raise ParseError("sctp", "a cookie under a wrong tag")
        agreement = agree_by_cookie(state)
        known = self._agreement
        same_ours = hmac.compare_digest(offered, self._our_tag)
        same_theirs = hmac.compare_digest(agreement.their_tag.to_bytes(4, "big"), self._their_tag)
        if self._transfer is not None and known is not None:
            if same_ours and same_theirs:  # D: our COOKIE-ACK was lost
                self._control.append(CookieAck().serialize())
            elif (state.our_tie, state.their_tie) == (known.our_tag, known.their_tag):  # A
                self._end(SctpCloseReason.PEER_RESTARTED, "")
            return  # C, and what fits nothing: "silently discarded"
        if now - state.made_at > self._config.cookie_lifetime:
            staleness = int((now - state.made_at) * 1e6) & 0xFFFFFFFF
            cause = Parameter(Cause.STALE_COOKIE, staleness.to_bytes(4, "big"))
            self._emit(
                Error((cause,)).serialize(), agreement.their_tag.to_bytes(4, "big"), zero=False
            )
            return
        if same_ours:  # 5.1 D; B and D of 5.2.4 before the association is up
            self._establish(agreement, now)
            self._control.append(CookieAck().serialize())

    def _on_error(self, chunk: Error) -> None:
        if self._state is State.COOKIE_ECHOED and any(
            cause.type == Cause.STALE_COOKIE for cause in chunk.causes
        ):
            self._end(SctpCloseReason.NO_ANSWER, "the cookie was too old")

    def _learn(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._their_tag = agreement.their_tag.to_bytes(4, "big")

    def _establish(self, agreement: Agreement, now: float) -> None:
        self._learn(agreement)
        self._state = State.ESTABLISHED
        self._timers.stop_all()
        self._attempts = 0
        self._cookie = b""
        self._zero_out = self._config.zero_checksum and bool(
            agreement.features & Feature.ZERO_CHECKSUM
        )
        self._transfer = Transfer(self._config, agreement)
        self._timers.set(Timer.HEARTBEAT, now + self._config.heartbeat_interval)
        self._events.append(
            Established(
                inbound_streams=agreement.inbound_streams,
                outbound_streams=agreement.outbound_streams,
            )
        )

    def _send_init(self, now: float) -> None:
        self._emit(self._init.serialize(), bytes(4), zero=False)
        self._timers.set(Timer.INIT, now + self._wait())

    def _send_cookie(self, now: float) -> None:
        self._emit(CookieEcho(self._cookie).serialize(), zero=False)
        self._timers.set(Timer.COOKIE, now + self._wait())

    def _wait(self) -> float:
        """T1 and T2: doubled by every attempt."""
        first = self._transfer.rto.value if self._transfer else self._config.rto_initial
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
            self._emit(ShutdownComplete().serialize())
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
            self._control.append(Shutdown(transfer.cumulative).serialize())
        else:
            self._control.append(ShutdownAck().serialize())
        self._timers.set(Timer.SHUTDOWN, now + self._wait())

    def _end(self, reason: SctpCloseReason, detail: str) -> None:
        if self._state is State.ENDED:
            return
        if self._transfer is not None:
            self._events += self._transfer.next_events()
            self._transfer.stop()
        self._state = State.ENDED
        self._timers.stop_all()
        self._control.clear()
        self._events.append(AssociationClosed(reason=reason, detail=detail))

    # Liveness, RFC 9260 section 8.3

    def _beat(self, now: float) -> None:
        transfer = self._transfer
        assert transfer is not None, "there are heartbeats only while there is data"
        wait = self._config.heartbeat_interval
        if self._nonce:
            transfer.failures += 1
            transfer.rto.back_off()
        if self._nonce or transfer.idle:
            self._nonce = self._entropy(8)
            info = Parameter(ParameterType.HEARTBEAT_INFO, _HEARTBEAT.pack(now, self._nonce))
            self._control.append(Heartbeat((info,)).serialize())
            wait = transfer.rto.value
        self._timers.set(Timer.HEARTBEAT, now + wait)

    def _on_heartbeat_ack(self, chunk: HeartbeatAck, now: float) -> None:
        info = find(chunk.parameters, ParameterType.HEARTBEAT_INFO)
        if self._transfer is None or info is None or len(info) != _HEARTBEAT.size:
            return
        sent_at, nonce = _HEARTBEAT.unpack(info)
        if self._nonce and hmac.compare_digest(nonce, self._nonce):
            self._nonce = b""
            self._transfer.failures = 0
            self._transfer.rto.observe(now - sent_at)
            self._timers.set(Timer.HEARTBEAT, now + self._config.heartbeat_interval)

    # Packets out

    def _flush(self, now: float) -> None:
        transfer = self._transfer
        if transfer is None or self._state is State.ENDED:
            return
        if transfer.idle:
            if self._state is State.SHUTDOWN_PENDING:
                self._state = State.SHUTDOWN_SENT
                self._send_shutdown(now)
            elif self._state is State.SHUTDOWN_RECEIVED:
                self._state = State.SHUTDOWN_ACK_SENT
                self._send_shutdown(now)
        control, self._control = self._control, []
        for body in transfer.packets(control, now):
            self._emit(body)
        self._events += transfer.next_events()

    def _emit(self, body: bytes, tag: bytes | None = None, *, zero: bool = True) -> None:
        """Put header and checksum in front."""
        config = self._config
        header = _pack_header(
            config.port, config.remote_port, int.from_bytes(tag or self._their_tag, "big")
        )
        if not (zero and self._zero_out):
            checksum = crc32c(body, crc32c(header)).to_bytes(4, "little")
            header = header[:8] + checksum
        packet = header + body
        self._packets_out += 1
        self._bytes_out += len(packet)
        self._out.append(packet)

    def _tick(self, now: float) -> float:
        self._now = max(self._now, now)
        return self._now

    def _new_tag(self) -> bytes:
        # RFC 9260 section 5.3.1: random, and never 0.
        return _nonzero(self._entropy(4))


def _nonzero(tag: bytes) -> bytes:
    return tag if any(tag) else b"\0\0\0\1"


def _parse_init(data: bytes) -> Init:
    if len(data) < 4 or data[0] != 1:
        raise ParseError("sctp", "not an INIT chunk")
    end = int.from_bytes(data[2:4], "big")
    if not 4 <= end <= len(data) < end + 4:
        raise ParseError("sctp", "an INIT chunk of another length")
    chunk = parse_control(1, data, 4, end, data[1])
    assert isinstance(chunk, Init), "type 1 is INIT"
    return chunk
