"""A DTLS-SRTP association: RFC 6347 with RFC 5764, both roles.

Theory of operation. The handshake is OpenSSL's, run by `handshaker`, which lets
nothing unauthenticated near it unseen. Here are the states, the deadlines, and
what happens once OpenSSL is satisfied: the certificate is compared with the
fingerprints of the description, then keys are exported, and only then does the
server's final flight leave.

```text
 NEW --start--> HANDSHAKING --Finished and fingerprint--> CONNECTED
                     |                                        |
                     +--deadline, mismatch, failure--+        +--close_notify, alert
                                                     v        v
                                     close() ------> CLOSED <-+
```

From CONNECTED on the records are ours (`protection`): application data never
sees OpenSSL, whose connection is let go of with the rest of the handshake. What
stays is small and made of plain values: keys, the next sequence number, the
replay window, and a server's final flight, which it repeats when the client
repeats its Finished, as RFC 6347 section 4.2.4 asks. A client keeps nothing: if
the server's last flight is lost it is still HANDSHAKING and repeats its own.

The owner calls `start` once the address is known to be the peer's (a STUN check
with valid MESSAGE-INTEGRITY); until then nothing is sent and packets are dropped.
No HelloVerifyRequest is sent, since that check has shown more than a cookie would.
Renegotiation, resumption, tickets and compression are refused: an authenticated
attempt to renegotiate is counted and ignored.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

from rtcproto._timers import TimerTable
from rtcproto.dtls.alert import AlertDescription
from rtcproto.dtls.config import DtlsConfig
from rtcproto.dtls.connected import Connected
from rtcproto.dtls.events import (
    Counters,
    DataReceived,
    Drop,
    DtlsClosed,
    DtlsCloseReason,
    DtlsEvent,
    DtlsState,
    DtlsStats,
    HandshakeCompleted,
    Role,
)
from rtcproto.dtls.flight import FinalFlight
from rtcproto.dtls.handshaker import Handshaker
from rtcproto.dtls.identity import Fingerprint, check_fingerprints, has_usable_fingerprint
from rtcproto.dtls.keying import export_keying_material, profile_from_openssl
from rtcproto.dtls.protection import MAX_PLAINTEXT
from rtcproto.dtls.record import DTLS_1_2, ContentType, Record, parse_records
from rtcproto.errors import ParseError, UsageError

__all__ = ["MAX_FAILED", "Dtls"]

# Protected records of one datagram that may fail to open before the rest of it is
# left alone. Two kilobytes hold 55 forged ones, and each costs a decryption. A
# peer puts good records together: nothing of value stands behind so many bad ones.
MAX_FAILED = 4


# An enum's member costs three look-ups.
_DATA = ContentType.APPLICATION_DATA.value


class _Timer(enum.Enum):
    HANDSHAKE = "no keys by then: the association is over"
    MISMATCH = "a wrong certificate came and the right one did not follow"


class Dtls:
    """One association. Addresses are the owner's business; times are seconds."""

    __slots__ = (
        "_config",
        "_connected",
        "_counters",
        "_events",
        "_fingerprints",
        "_handshaker",
        "_outgoing",
        "_role",
        "_state",
        "_timers",
    )

    def __init__(
        self,
        config: DtlsConfig,
        role: Role,
        remote_fingerprints: Sequence[Fingerprint],
        now: float,
        entropy: Callable[[int], bytes] | None = None,
    ) -> None:
        """Nothing happens before `start`. OpenSSL draws its own randomness and nothing is
        timed yet: `entropy` and `now` are what every machine is made with."""
        del now, entropy
        self._config = config
        self._role = role
        self._fingerprints = tuple(remote_fingerprints)
        # While HANDSHAKING only: OpenSSL's connection grows from 22 KiB to 70.
        self._handshaker: Handshaker | None = None
        # While CONNECTED only.
        self._connected: Connected | None = None

        self._counters = Counters()

        self._state = DtlsState.NEW
        self._timers: TimerTable[_Timer] = TimerTable()
        self._events: list[DtlsEvent] = []
        self._outgoing: list[bytes] = []

    # Getters

    @property
    def state(self) -> DtlsState:
        """Where the association stands."""
        return self._state

    @property
    def role(self) -> Role:
        """Our role."""
        return self._role

    def stats(self) -> DtlsStats:
        """Counters since the start."""
        return self._counters.stats()

    # Verbs

    def start(self, now: float) -> None:
        """Begin: the client sends its hello, the server listens. Once only (`UsageError`)."""
        if self._state is not DtlsState.NEW:
            raise UsageError(f"start() in state {self._state.name}")
        if not has_usable_fingerprint(self._fingerprints):
            # RFC 8827 section 6.5: without a fingerprint there is nobody to talk to.
            self._close(DtlsCloseReason.FINGERPRINT_MISMATCH, "no fingerprint by SHA-256 or better")
            return
        self._state = DtlsState.HANDSHAKING
        self._handshaker = Handshaker(self._config, self._role, self._fingerprints, self._counters)
        self._timers.set(_Timer.HANDSHAKE, now + self._config.handshake_timeout)
        self._handshaker.begin(now)
        self._pump(self._handshaker)

    def send_data(self, data: bytes, now: float) -> None:
        """Send 1 to 2^14 bytes as one record.

        `UsageError` unless connected, and when the 2^48 sequence numbers are used up.
        """
        del now
        connected = self._connected
        if connected is None:
            raise UsageError(f"send_data() in state {self._state.name}")
        if not 0 < len(data) <= MAX_PLAINTEXT:
            raise UsageError(f"1 to {MAX_PLAINTEXT} bytes fit a record, not {len(data)}")
        packet = connected.layer.seal(_DATA, data)
        counters = self._counters
        counters.packets_sent += 1
        counters.bytes_sent += len(packet)
        self._outgoing.append(packet)

    def close(self, now: float) -> None:
        """End the association, with a close_notify if there are keys. Harmless when closed."""
        del now
        if self._state is DtlsState.CLOSED:
            return
        self._close(DtlsCloseReason.LOCAL, "")

    # Inputs

    def receive_packet(self, data: bytes, now: float) -> bool:
        """Take one datagram from the peer's address; True if any of it was of use.

        Never raises. Before the handshake is complete, "of use" authenticates nothing.
        """
        self._counters.packets_received += 1
        connected, handshaker = self._connected, self._handshaker
        if connected is not None:
            opened = connected.layer.open_data(data)
            if opened:
                self._events.append(DataReceived(opened))
                return True
            if opened is not None:
                return True  # an empty record
        elif handshaker is None:
            return self._counters.drop(Drop.WRONG_STATE)
        try:
            records = parse_records(data)
        except ParseError:
            return self._counters.drop(Drop.MALFORMED_PACKET)
        if handshaker is not None:
            return self._receive_handshaking(handshaker, records, now)
        assert connected is not None, "one of the two, or the packet was dropped"
        return self._receive_connected(connected, records, now, MAX_FAILED)

    def handle_timer(self, now: float) -> None:
        """Let the time be `now`."""
        handshaker = self._handshaker
        for timer in self._timers.expired(now):
            if self._state is not DtlsState.HANDSHAKING or handshaker is None:
                continue
            match timer:
                case _Timer.HANDSHAKE:
                    self._close(DtlsCloseReason.TIMEOUT, handshaker.report())
                case _Timer.MISMATCH:
                    handshaker.send_alert(AlertDescription.BAD_CERTIFICATE)
                    self._close(DtlsCloseReason.FINGERPRINT_MISMATCH, handshaker.report())
        if handshaker is not None and self._state is DtlsState.HANDSHAKING:
            handshaker.handle_timer(now)
            self._pump(handshaker)

    # Outputs

    def get_timer(self) -> float | None:
        """When to call `handle_timer`, or None."""
        deadline = self._timers.next()
        handshaker = self._handshaker
        if handshaker is None or handshaker.deadline is None:
            return deadline
        return handshaker.deadline if deadline is None else min(deadline, handshaker.deadline)

    def packets_to_send(self) -> list[bytes]:
        """The datagrams to send now, in order; each fits the MTU unless it carries more data."""
        packets, self._outgoing = self._outgoing, []
        return packets

    def next_events(self) -> list[DtlsEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    # The handshake

    def _receive_handshaking(
        self, handshaker: Handshaker, records: Sequence[Record], now: float
    ) -> bool:
        used = False
        for record in records:
            used |= handshaker.receive(record, now)
        handshaker.advance(now)
        self._pump(handshaker)
        self._check_handshake(handshaker, now)
        return used

    def _check_handshake(self, handshaker: Handshaker, now: float) -> None:
        if handshaker.complete:
            self._timers.stop_all()
            self._complete(handshaker, now)
        elif handshaker.failure is not None:
            self._close(DtlsCloseReason.PROTOCOL, handshaker.failure)
        elif not handshaker.mismatched:
            self._timers.stop(_Timer.MISMATCH)
        elif self._timers.get(_Timer.MISMATCH) is None:
            self._timers.set(_Timer.MISMATCH, now + self._config.mismatch_grace)

    def _complete(self, handshaker: Handshaker, now: float) -> None:
        engine = handshaker.engine
        # The Certificate message was compared before it went to OpenSSL; this is
        # the certificate whose key the peer has since proved to hold.
        if not check_fingerprints(engine.peer_certificate(), self._fingerprints):
            handshaker.send_alert(AlertDescription.BAD_CERTIFICATE)
            self._close(DtlsCloseReason.FINGERPRINT_MISMATCH, "certificate after the handshake")
            return
        connection = engine.connection
        profile = profile_from_openssl(connection.get_selected_srtp_profile())
        if profile is None and self._config.profiles:
            self._close(DtlsCloseReason.NO_SRTP_PROFILE, "")
            return
        self._events.append(
            HandshakeCompleted(
                profile=profile,
                keying_material=export_keying_material(connection, profile) if profile else b"",
                is_client=self._role is Role.CLIENT,
                cipher=connection.get_cipher_name() or "",
                version=DTLS_1_2,
            )
        )
        self._take_over(handshaker, now)

    def _take_over(self, handshaker: Handshaker, now: float) -> None:
        """From here on the records are ours; OpenSSL's connection is let go of."""
        handover = handshaker.finish()
        final = None
        if handover.final:
            final = FinalFlight(handover.final, self._config.first_resend, now)
            self._counters.flights_sent += 1
        for packet in handover.final:
            self._send(packet)
        connected = Connected(handover.layer, final, self._counters)
        for record in handover.given:
            connected.finished(record)
        self._handshaker = None
        self._connected = connected
        self._state = DtlsState.CONNECTED
        # These are of many datagrams, and `early` bounds them.
        self._receive_connected(connected, handover.early, now, len(handover.early))

    # After the handshake

    def _receive_connected(
        self, connected: Connected, records: Sequence[Record], now: float, may_fail: int
    ) -> bool:
        used = False
        most = self._counters.failed + may_fail
        for record in records:
            used |= connected.receive(record, now)
            if self._counters.failed >= most:
                break
        packets, connected.outgoing = connected.outgoing, []
        for packet in packets:
            self._send(packet)
        received, connected.received = connected.received, []
        self._events += map(DataReceived, received)
        if connected.end is not None:
            self._close(*connected.end)
        return used

    def _close(self, reason: DtlsCloseReason, detail: str) -> None:
        connected, self._connected = self._connected, None
        handshaker, self._handshaker = self._handshaker, None
        if connected is not None and (goodbye := connected.close()) is not None:
            self._send(goodbye)
        if handshaker is not None:
            self._pump(handshaker)
        self._state = DtlsState.CLOSED
        self._timers.stop_all()
        self._events.append(DtlsClosed(reason=reason, detail=detail))

    # Output

    def _send(self, packet: bytes) -> None:
        self._counters.packets_sent += 1
        self._counters.bytes_sent += len(packet)
        self._outgoing.append(packet)

    def _pump(self, handshaker: Handshaker) -> None:
        packets, handshaker.outgoing = handshaker.outgoing, []
        for packet in packets:
            self._send(packet)
