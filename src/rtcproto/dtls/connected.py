"""An association from the take-over to its end: records in and out, without OpenSSL.

Made by `endpoint` when the handshake is complete and the certificate is the
described one. What it is made of are plain values: the keys, the next sequence
number and the replay window in `layer`, and a server's `final` flight.

Only what carries the peer's tag has an effect here. In particular:

- an authentic close_notify or fatal alert ends the association, once;
- the peer's Finished, if it comes again, shows that our final flight was lost,
  and draws it again, rate-limited. A client has no final flight (RFC 6347
  section 4.2.4), and does not need one: as long as it misses the server's it is
  in its handshake and repeats its own;
- an attempt to renegotiate is counted and ignored;
- plaintext records are dropped.
"""

from __future__ import annotations

from typing import TypeAlias

from rtcproto.dtls.alert import Alert, AlertDescription, AlertLevel
from rtcproto.dtls.events import Counters, Drop, DtlsCloseReason
from rtcproto.dtls.flight import FinalFlight
from rtcproto.dtls.handshake import HandshakeType
from rtcproto.dtls.protection import EPOCH, RecordLayer
from rtcproto.dtls.record import ContentType, Record
from rtcproto.errors import AuthenticationError, ParseError

__all__ = ["Connected", "End"]

# Why the peer ended the association, and in what words.
End: TypeAlias = tuple[DtlsCloseReason, str]

_CLOSE_NOTIFY = Alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY).serialize()


class Connected:
    """Both ends have keys."""

    __slots__ = ("_counters", "end", "final", "layer", "outgoing", "received")

    def __init__(self, layer: RecordLayer, final: FinalFlight | None, counters: Counters) -> None:
        self.layer = layer
        self.final = final
        self._counters = counters
        # Datagrams to send and application data, drained by the owner.
        self.outgoing: list[bytes] = []
        self.received: list[bytes] = []
        # Set once, when the peer has ended it.
        self.end: End | None = None

    def finished(self, record: Record) -> None:
        """A record that OpenSSL has seen; if it is the peer's Finished, it counts as seen."""
        try:
            self.layer.open(record)
        except AuthenticationError:
            return  # forged, or repeated

    def receive(self, record: Record, now: float) -> bool:
        """Take one record; True if it is authentic and new."""
        counters, layer = self._counters, self.layer
        content_type = record.content_type
        if (
            record.epoch != EPOCH
            or content_type == ContentType.CHANGE_CIPHER_SPEC
            or self.end is not None
        ):
            # Part of a repeated flight, a plaintext alert, junk, or behind a close_notify.
            return counters.drop(Drop.UNEXPECTED_RECORD)
        try:
            if content_type == ContentType.HANDSHAKE:
                return self._receive_handshake(layer.decrypt(record), now)
            data = layer.open(record)
            if content_type == ContentType.ALERT:
                self._receive_alert(Alert.parse(data))
            elif data:
                # RFC 5246 section 6.2.1: empty records are allowed; they say nothing.
                self.received.append(data)
        except AuthenticationError:
            fresh = layer.window.accepts(record.sequence)
            return counters.drop(Drop.UNAUTHENTIC if fresh else Drop.REPLAYED)
        except ParseError:
            counters.drop(Drop.MALFORMED_RECORD)
        return True

    def close(self) -> bytes | None:
        """The close_notify that RFC 5246 section 7.2.1 wants from both sides, if there is one.

        None after a fatal alert (section 7.2.2: both parties end at once), and when
        no sequence number is left for it.
        """
        if self.end is not None and self.end[0] is not DtlsCloseReason.PEER_CLOSED:
            return None
        if self.layer.exhausted:
            return None
        return self.layer.seal(ContentType.ALERT, _CLOSE_NOTIFY)

    def _receive_handshake(self, message: bytes, now: float) -> bool:
        """An authentic message, maybe an old one: repeats are what this is about."""
        if message[:1] != bytes((HandshakeType.FINISHED,)):
            return self._counters.drop(Drop.RENEGOTIATION)
        if self.final is not None and (packets := self.final.repeat(now)):
            self._counters.flights_sent += 1
            self.outgoing += packets
        return self._counters.drop(Drop.REPEATED_FLIGHT)

    def _receive_alert(self, alert: Alert) -> None:
        if alert.description == AlertDescription.CLOSE_NOTIFY:
            self.end = DtlsCloseReason.PEER_CLOSED, ""
        elif alert.level == AlertLevel.FATAL:
            self.end = DtlsCloseReason.PEER_ERROR, str(alert)
