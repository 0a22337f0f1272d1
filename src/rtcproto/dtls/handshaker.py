"""One side of a DTLS 1.2 handshake around OpenSSL: order, gates and repeats.

```text
 epoch 0 handshake -> reassembly -> vetting -> engine
 epoch 0 CCS       -> noted; given to the engine when its turn comes
 epoch 0 alert     -> remembered for the report, nothing else
 epoch 1 handshake -> held until the engine is ready for it
 epoch 1, others   -> held until the handshake is complete, for whoever opens them then
 engine -> records -> flight (numbering, resending, budget) -> packets
```

Whole messages reach OpenSSL in order, each judged first. What is unauthenticated
and does not fit is counted and forgotten. A hello that passes the judgement and
still upsets OpenSSL costs the connection, not the association: a new one takes
its place. `endpoint` drives this, reads `complete`, `failure` and `mismatched`
after each input, owns all deadlines but the flight's, and lets go of this object
when `finish` has told what outlives it.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from rtcproto.dtls.alert import Alert, AlertLevel
from rtcproto.dtls.config import DtlsConfig
from rtcproto.dtls.early import MAX_HELD, EarlyRecords
from rtcproto.dtls.engine import MAX_PENDING, Engine
from rtcproto.dtls.events import Counters, Drop, Role
from rtcproto.dtls.flight import Flight
from rtcproto.dtls.handshake import HandshakeType, parse_fragments
from rtcproto.dtls.identity import Fingerprint
from rtcproto.dtls.keying import record_keys
from rtcproto.dtls.protection import RecordLayer
from rtcproto.dtls.reassembly import Added, Message, Reassembler
from rtcproto.dtls.record import ContentType, Record, build_record
from rtcproto.dtls.vetting import LAST_PLAINTEXT, Refusal, vet
from rtcproto.errors import ParseError

__all__ = ["Handshaker", "Handover"]

_HELLOS = (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO)


@attrs.frozen(kw_only=True)
class Handover:
    """What a completed handshake leaves behind."""

    # The datagrams of our final flight; a client has none.
    final: tuple[bytes, ...]
    # Records of epoch 1 that went into OpenSSL last. The peer's Finished is among
    # them; the others are forged or repeated.
    given: tuple[Record, ...]
    # Records that were held and belong to the time after.
    early: tuple[Record, ...]
    # Seals and opens from now on.
    layer: RecordLayer


class Handshaker:
    """From the first hello to OpenSSL's consent."""

    __slots__ = (
        "_answered",
        "_ccs_given",
        "_ccs_received",
        "_config",
        "_counters",
        "_early",
        "_final",
        "_fingerprints",
        "_flight",
        "_given",
        "_layer",
        "_newest",
        "_previous",
        "_reassembler",
        "_role",
        "engine",
        "last_alert",
        "last_refusal",
        "mismatched",
        "outgoing",
    )

    def __init__(
        self,
        config: DtlsConfig,
        role: Role,
        fingerprints: Sequence[Fingerprint],
        counters: Counters,
    ) -> None:
        self._config = config
        self._role = role
        self._fingerprints = fingerprints
        self._counters = counters

        self.engine = Engine(config, role)
        self._flight = Flight(config, counters)
        # Records that leave only once the owner says so: a server's last flight.
        self._final: list[Record] = []
        self._reassembler = Reassembler()
        # Type of the last message that was given to OpenSSL.
        self._previous: int | None = None
        # Sequence numbers: of that message, and of the one our current flight answers.
        self._newest = -1
        self._answered = -1
        self._ccs_received = False
        self._ccs_given = False
        self._early = EarlyRecords()
        # The newest of those that were given to OpenSSL, at most MAX_HELD.
        self._given: list[Record] = []
        # There is one once our flight has Finished in it, which only a client's has.
        self._layer: RecordLayer | None = None

        # Datagrams to send, drained by the owner.
        self.outgoing: list[bytes] = []
        # The newest certificate was not the described one, and no right one has come.
        self.mismatched = False
        self.last_alert: Alert | None = None
        self.last_refusal: Refusal | None = None

    @property
    def complete(self) -> bool:
        """OpenSSL has verified the peer's Finished."""
        return self.engine.complete

    @property
    def failure(self) -> str | None:
        """Why the handshake cannot go on, in OpenSSL's words; None while it can."""
        return self.engine.failure

    @property
    def deadline(self) -> float | None:
        """When `handle_timer` wants to resend."""
        return self._flight.deadline

    def begin(self, now: float) -> None:
        """Send the ClientHello, if we are the client."""
        self._send(self.engine.step(), now)

    def handle_timer(self, now: float) -> None:
        """Resend the current flight if it is due."""
        self.outgoing += self._flight.handle_timer(now)

    def finish(self) -> Handover:
        """OpenSSL is satisfied, and the owner accepts the peer: what there is to go on with."""
        layer = self._layer or self._make_layer()
        # OpenSSL may have sealed by itself since, although none of that has left.
        layer.next_sequence = max(layer.next_sequence, self.engine.free_sequence)
        return Handover(
            final=tuple(self._flight.finish(self._final)),
            given=tuple(self._given),
            early=tuple(self._early.take()),
            layer=layer,
        )

    def send_alert(self, description: int) -> None:
        """A plaintext fatal alert, so that the peer need not wait for its deadline."""
        payload = Alert(AlertLevel.FATAL, description).serialize()
        raw = build_record(ContentType.ALERT, 0, 0, payload)
        self.outgoing += self._flight.send_once([Record(ContentType.ALERT, 0, 0, payload, raw)])

    def receive(self, record: Record, now: float) -> bool:
        """Take one record before completion; True if it was of use. `advance` goes on with it."""
        if record.epoch == 1:
            return self._receive_protected(record)
        if record.epoch:
            return self._counters.drop(Drop.UNEXPECTED_RECORD)
        match record.content_type:
            case ContentType.HANDSHAKE:
                return self._receive_handshake(record, now)
            case ContentType.CHANGE_CIPHER_SPEC if record.payload == b"\x01":
                self._ccs_received = True
                return True
            case ContentType.ALERT if len(record.payload) == 2:
                # RFC 6347 section 4.1.2.7: unauthenticated, so it ends nothing.
                self.last_alert = Alert.parse(record.payload)
                return self._counters.drop(Drop.PLAINTEXT_ALERT)
            case _:
                return self._counters.drop(Drop.UNEXPECTED_RECORD)

    def report(self) -> str:
        """For people: what the peer's side last said or did wrong."""
        parts: list[str] = []
        if self.last_refusal is not None:
            parts.append(f"last message refused: {self.last_refusal.value}")
        if self.last_alert is not None:
            parts.append(f"last in plaintext: {self.last_alert}")
        return "; ".join(parts)

    def advance(self, now: float) -> None:
        """Give OpenSSL what is ready for it. Once per datagram: each call costs more than a record.

        A hello is read on its own, so that its failure is known to be its own.
        """
        while self.failure is None and (message := self._reassembler.peek()) is not None:
            refusal = vet(message, self._previous, self._role, self._config, self._fingerprints)
            if refusal is not None:
                self._refuse(refusal)
                break
            self._reassembler.accept()
            self._give(message, now)
            if message.message_type in _HELLOS:
                records = self.engine.step()
                if self.failure is not None:
                    self._restart(now)
                    return
                self._send(records, now)
        if self._previous == LAST_PLAINTEXT[self._role] and self._ccs_received:
            self._give_protected(now)
        self._step(now)

    # Epoch 0

    def _receive_handshake(self, record: Record, now: float) -> bool:
        try:
            fragments = parse_fragments(record.payload)
        except ParseError:
            return self._counters.drop(Drop.MALFORMED_HANDSHAKE)
        used = repeated = False
        for fragment in fragments:
            match self._reassembler.add(fragment):
                case Added.NEW:
                    used = True
                case Added.REPEATED:
                    repeated = repeated or fragment.sequence <= self._answered
                    self._counters.drop(Drop.REPEATED_MESSAGE)
                case Added.CONFLICT:
                    self._counters.drop(Drop.CONFLICT)
                case Added.OVER_LIMIT:
                    self._counters.drop(Drop.OVER_LIMIT)
        if repeated:
            self.outgoing += self._flight.answer_repeat(now)
        return used

    def _refuse(self, refusal: Refusal) -> None:
        """The message in turn must not reach OpenSSL; another with its number may."""
        self._reassembler.reject()
        self.last_refusal = refusal
        self.mismatched = self.mismatched or refusal is Refusal.FINGERPRINT
        self._counters.dropped[f"refused_{refusal.name.lower()}"] += 1

    def _give(self, message: Message, now: float) -> None:
        self._make_room(len(message.body), now)
        self._counters.messages_processed += 1
        self._previous = message.message_type
        self._newest = message.sequence
        if message.message_type == HandshakeType.CERTIFICATE:
            self.mismatched = False
        self._send(self.engine.give_message(message), now)

    def _restart(self, now: float) -> None:
        """A hello killed the connection: anyone can send one, so begin again without it."""
        self._counters.restarts += 1
        self._counters.drop(Drop.HELLO_FAILED)
        self.engine = Engine(self._config, self._role)
        self._reassembler = Reassembler()
        self._previous = None
        self._newest = self._answered = -1
        self._ccs_received = False
        self._early = EarlyRecords()
        self._given = []
        self._layer = None
        self.begin(now)

    # Epoch 1

    def _receive_protected(self, record: Record) -> bool:
        if self._previous is None:
            return self._counters.drop(Drop.EARLY_PROTECTED)
        dropped = self._early.hold(record)
        if dropped is not None:
            self._counters.drop(Drop.EARLY_PROTECTED)
        return dropped is not record

    def _give_protected(self, now: float) -> None:
        """All plaintext messages and the ChangeCipherSpec are there: what waited for them."""
        if not self._ccs_given:
            self._ccs_given = True
            self.engine.give_change_cipher_spec()
        finished = self._early.take_handshake()
        self._given = (self._given + finished)[-MAX_HELD:]
        for record in finished:
            self._make_room(len(record.raw), now)
            if self.complete or self.failure is not None:
                return  # in the step that made room
            self.engine.give_protected(record)

    # OpenSSL

    def _make_room(self, size: int, now: float) -> None:
        if self.engine.pending + size > MAX_PENDING:
            self._step(now)

    def _step(self, now: float) -> None:
        """Let OpenSSL read what it was given."""
        if self.engine.pending:
            self._send(self.engine.step(), now)

    def _send(self, records: list[Record], now: float) -> None:
        if not records:
            return
        if self.failure is not None:
            self.outgoing += self._flight.send_once(records)  # OpenSSL's alert
        elif self.complete:
            self._final = records  # the server's: not before the certificate was compared
        else:
            self._answered = self._newest
            if self._layer is None and any(record.epoch for record in records):
                self._layer = self._make_layer()
            self.outgoing += self._flight.replace(records, now, self._layer)

    def _make_layer(self) -> RecordLayer:
        keys = record_keys(self.engine.connection, self._role is Role.CLIENT)
        return RecordLayer(keys, self.engine.free_sequence)
