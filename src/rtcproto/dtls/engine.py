"""OpenSSL behind a narrow window: records in, records out, no clock, no exceptions.

`Engine` owns one pyOpenSSL `Connection` over memory BIOs. Three habits of
OpenSSL are dealt with here so that nobody else need know them:

- its output is a byte stream: it is cut back into records;
- its retransmission timer reads the wall clock and fires inside any handshake
  call: what it sends a second time is recognised (by message sequence number
  before, by kind after ChangeCipherSpec) and swallowed. `flight` resends;
- an error is for ever: it is reported once in `failure`, and the engine is inert.

Plaintext handshake messages are given whole and in order (`give_message`) and
put into fresh records, since OpenSSL takes records far larger than any MTU. It
reads up to 16 KiB at a time as if they were one datagram, so no more than that
may be given between two calls of `step`.

Of epoch 1 OpenSSL sees handshake records only, and when it is `complete` it has
done its work: what comes after is `protection`'s. For that, `free_sequence` is
beyond all that OpenSSL has sealed, its swallowed resends included.
"""

from __future__ import annotations

from OpenSSL import SSL, crypto

from rtcproto.dtls.config import DtlsConfig
from rtcproto.dtls.events import Role
from rtcproto.dtls.handshake import build_fragment
from rtcproto.dtls.protection import sequence_after
from rtcproto.dtls.reassembly import Message
from rtcproto.dtls.record import ContentType, Record, build_record, parse_records

__all__ = ["MAX_PENDING", "Engine"]

# What OpenSSL reads at once, as one datagram of which it would lose the rest, is
# its read buffer: one record of the largest size. Half of it is room for several.
MAX_PENDING = 1 << 13
# More than any flight, so that one read empties the BIO.
READ_SIZE = 1 << 16


class Engine:
    """One OpenSSL connection."""

    __slots__ = (
        "_ccs_sent",
        "_connection",
        "_finished_sent",
        "_input_sequence",
        "_pending",
        "_sent_through",
        "complete",
        "failure",
        "free_sequence",
    )

    def __init__(self, config: DtlsConfig, role: Role) -> None:
        self._connection = SSL.Connection(config.identity.context(config.profiles))
        # OP_NO_QUERY_MTU without an MTU makes OpenSSL fail with "Unexpected EOF".
        self._connection.set_ciphertext_mtu(config.mtu)
        if role is Role.CLIENT:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self._input_sequence = 0
        self._pending = 0
        # What has left already, to tell OpenSSL's own resends.
        self._sent_through = -1
        self._ccs_sent = False
        self._finished_sent = False
        self.complete = False
        self.failure: str | None = None
        # The lowest sequence number of epoch 1 that clashes with nothing sealed so far.
        self.free_sequence = 0

    @property
    def connection(self) -> SSL.Connection:
        """For getters once `complete`."""
        return self._connection

    # Handshake

    @property
    def pending(self) -> int:
        """Bytes given since the last `step`."""
        return self._pending

    def give_message(self, message: Message) -> list[Record]:
        """Give a whole plaintext handshake message; (the rest of) it is read at the next `step`."""
        body = message.body
        records: list[Record] = []
        for offset in range(0, max(len(body), 1), MAX_PENDING):
            if offset:
                records += self.step()
            piece = body[offset : offset + MAX_PENDING]
            header_and_piece = build_fragment(
                message.message_type, len(body), message.sequence, offset, piece
            )
            self._write_plain(ContentType.HANDSHAKE, header_and_piece)
        return records

    def give_change_cipher_spec(self) -> None:
        """Say that the peer's next records are protected; it is read at the next `step`."""
        self._write_plain(ContentType.CHANGE_CIPHER_SPEC, b"\x01")

    def give_protected(self, record: Record) -> None:
        """Give a record of epoch 1; a forged one has no effect. It is read at the next `step`."""
        self._write(record.raw)

    def _write_plain(self, content_type: int, payload: bytes) -> None:
        self._write(build_record(content_type, 0, self._input_sequence, payload))
        self._input_sequence += 1

    def _write(self, record: bytes) -> None:
        self._connection.bio_write(record)
        self._pending += len(record)

    def step(self) -> list[Record]:
        """Go on with the handshake; what OpenSSL wants to send for what it was given."""
        self._pending = 0
        if self.failure is None:
            try:
                self._connection.do_handshake()
                self.complete = True
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self.failure = _describe(error)
        return self._fresh(self._read())

    def _read(self) -> list[Record]:
        try:
            data = self._connection.bio_read(READ_SIZE)
        except SSL.WantReadError:
            return []
        records = parse_records(data)
        for record in records:
            if record.epoch:
                self.free_sequence = max(self.free_sequence, sequence_after(record))
        return records

    def _fresh(self, records: list[Record]) -> list[Record]:
        """`records` without what OpenSSL sent before."""
        fresh: list[Record] = []
        through = self._sent_through
        for record in records:
            if record.content_type == ContentType.CHANGE_CIPHER_SPEC:
                if self._ccs_sent:
                    continue
                self._ccs_sent = True
            elif record.content_type == ContentType.HANDSHAKE and record.epoch:
                if self._finished_sent:
                    continue
                self._finished_sent = True
            elif record.content_type == ContentType.HANDSHAKE:
                sequence = int.from_bytes(record.payload[4:6], "big")  # message_seq
                if sequence <= self._sent_through:
                    continue
                through = max(through, sequence)
            fresh.append(record)
        self._sent_through = through
        return fresh

    # After the handshake

    def peer_certificate(self) -> bytes:
        """The peer's certificate in DER, or nothing if it sent none."""
        certificate = self._connection.get_peer_certificate()
        if certificate is None:
            return b""
        return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)


def _describe(error: SSL.Error) -> str:
    """OpenSSL's reason in words: of the last error in its queue, which is the TLS layer's."""
    match error.args:
        case ([*_, (_, _, str(reason))],):
            return reason
        case _:
            return str(error) or type(error).__name__
