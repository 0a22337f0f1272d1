"""Our current flight and when to send it again: RFC 6347 section 4.2.4.

A flight is resent on a timer (doubling from `first_resend` to `max_resend`) and
when the peer repeats what the flight answered, which shows that it was lost.
Every record gets a fresh sequence number every time (RFC 6347 section 4.2.4.1:
a retransmission is a new record). Some stacks remember the numbers of records
they could not use yet; and a server whose last flight was lost on its way to us
must take our Finished for a repeat, not for a replay: OpenSSL answers nothing else
(RFC 6347 section 4.1.2.6 has it drop a number it knows before looking further).
So a client seals Finished anew; plaintext is renumbered.

Limits against a peer that only pretends to be there: MAX_FLIGHTS per flight and
MAX_BYTES over the whole handshake.

`FinalFlight` is what a server keeps when all else of the handshake is gone: the
client may have missed its last flight, and then repeats its own.
"""

from __future__ import annotations

from rtcproto.dtls.config import DtlsConfig
from rtcproto.dtls.events import Counters
from rtcproto.dtls.protection import RecordLayer
from rtcproto.dtls.record import Record, pack_datagrams, parse_records, renumber

__all__ = ["FinalFlight", "Flight"]

# 0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.1 ... 27.1 s: all that the default times allow.
MAX_FLIGHTS = 14
# Bytes towards a peer that has not finished the handshake; an ordinary one takes
# 1 KiB, and one at 50 % loss 8.
MAX_BYTES = 16 * 1024


class Flight:
    """The records of one flight, with their timer and budget."""

    __slots__ = (
        "_bytes",
        "_config",
        "_count",
        "_counters",
        "_interval",
        "_layer",
        "_records",
        "_sent_at",
        "_sequence",
        "deadline",
    )

    def __init__(self, config: DtlsConfig, counters: Counters) -> None:
        self._config = config
        self._counters = counters
        self._records: list[Record] = []
        self._layer: RecordLayer | None = None
        self._interval = config.first_resend
        self._sent_at = 0.0
        self._sequence = 0
        self._count = 0
        self._bytes = 0
        # When to resend next, or None.
        self.deadline: float | None = None

    def replace(
        self, records: list[Record], now: float, layer: RecordLayer | None = None
    ) -> list[bytes]:
        """A new flight: the peer's answer to the one before has arrived.

        `layer` has the keys of a protected record among them, which OpenSSL sealed.
        """
        self._records = records
        self._layer = layer
        self._count = 0
        self._interval = self._config.first_resend
        return self._send(now)

    def finish(self, final: list[Record]) -> list[bytes]:
        """The handshake is over, no timer runs: the datagrams of `final`, if it is ours."""
        self.deadline = None
        self._records = []
        return self.send_once(final)

    def send_once(self, records: list[Record]) -> list[bytes]:
        """Records that are no flight: an alert."""
        return pack_datagrams(map(self._number, records), self._config.mtu)

    def handle_timer(self, now: float) -> list[bytes]:
        """The datagrams of the flight, if it is time to resend it."""
        if self.deadline is None or now < self.deadline:
            return []
        self._interval = min(2 * self._interval, self._config.max_resend)
        return self._send(now)

    def answer_repeat(self, now: float) -> list[bytes]:
        """The same because the peer repeated its own flight; at most every `first_resend`."""
        if not self._records or now < self._sent_at + self._config.first_resend:
            return []
        return self._send(now)

    def _send(self, now: float) -> list[bytes]:
        self.deadline = None
        if self._count >= MAX_FLIGHTS:
            return []
        if self._count:
            self._records = [self._renew(record) for record in self._records]
        datagrams = self.send_once(self._records)
        size = sum(map(len, datagrams))
        if self._bytes + size > MAX_BYTES:
            return []
        self._bytes += size
        self._count += 1
        self._counters.flights_sent += 1
        self._sent_at = now
        self.deadline = now + self._interval
        return datagrams

    def _renew(self, record: Record) -> Record:
        """The same text under a new number, if it is protected."""
        layer = self._layer
        if not record.epoch or layer is None:
            return record
        # What we wrote is opened from the peer's side.
        text = RecordLayer(layer.keys.mirrored(), 0).decrypt(record)
        (renewed,) = parse_records(layer.seal(record.content_type, text))
        return renewed

    def _number(self, record: Record) -> bytes:
        if record.epoch:
            return record.raw
        sequence, self._sequence = self._sequence, self._sequence + 1
        return record.raw if record.sequence == sequence else renumber(record.raw, sequence)


class FinalFlight:
    """A server's last flight, ready to be sent again, byte for byte. Plain values throughout."""

    __slots__ = ("datagrams", "interval", "sent_at")

    def __init__(self, datagrams: tuple[bytes, ...], interval: float, now: float) -> None:
        """`datagrams` left at `now`; they may again every `interval` seconds."""
        self.datagrams = datagrams
        self.interval = interval
        self.sent_at = now

    def repeat(self, now: float) -> tuple[bytes, ...]:
        """The flight once more for a peer that missed it; nothing if that is too soon.

        RFC 6347 section 4.2.4: the side that sends the last flight must keep
        being able to.
        """
        if now < self.sent_at + self.interval:
            return ()
        self.sent_at = now
        return self.datagrams
