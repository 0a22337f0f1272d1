"""What an association is made with; shared by as many as like."""

from __future__ import annotations

import attrs
from attrs.validators import ge, in_

__all__ = ["SctpConfig"]


@attrs.frozen(kw_only=True)
class SctpConfig:
    """Settings of an SCTP association. Times are seconds, sizes bytes."""

    # RFC 8841 section 5.1: `a=sctp-port` of either side; there is one association
    # per DTLS connection, so the numbers only have to agree.
    port: int = 5000
    remote_port: int = 5000
    # The largest packet we make. 1160, the 37 bytes of a DTLS record with AES-GCM and
    # what a datagram of 1200 has left; a multiple of four, because chunks are padded.
    mtu: int = attrs.field(default=1160, validator=in_(range(512, 16_384, 4)))
    # The largest message taken: what our description announces as max-message-size
    # (dcSCTP's and aiortc's figure, too). A larger one ends the association.
    max_message_size: int = 262_144
    # The largest message the peer takes; RFC 8841 section 6: 64 KiB if it does not
    # say, 0 for no limit.
    remote_max_message_size: int = 65_536
    # What may wait to be sent and to be acknowledged, all streams together, with
    # `MESSAGE_OVERHEAD` for each message: dcSCTP's figure.
    send_buffer: int = 2_000_000
    # What may wait to be put together or in order, with `reassembly.ENTRY_OVERHEAD`
    # for each piece; and the number of pieces.
    receive_window: int = 1_048_576
    max_entries: int = 1024
    # Streams we may send on and take. Every identifier a data channel can have,
    # and as many inbound ones as Chromium opens: their state is the peer's to make.
    outbound_streams: int = 65_535
    inbound_streams: int = 1024
    # RFC 9260 section 16: 1 s, 1 s, 60 s. The floor of a whole second makes every
    # lost last message of a conversation a pause that is heard. It exists because a
    # delayed acknowledgement (at most 200 ms) must not look like a loss; we ask for
    # immediate ones (the I bit) where nothing follows, and 200 ms is the rest.
    rto_initial: float = 1.0
    rto_min: float = attrs.field(default=0.2, validator=ge(0.01))
    rto_max: float = 10.0
    # RFC 9260 section 16: Association.Max.Retrans, Max.Init.Retransmits, HB.interval.
    max_retransmissions: int = 10
    max_init_retransmissions: int = 8
    heartbeat_interval: float = 30.0
    # RFC 9260 section 16: Valid.Cookie.Life.
    cookie_lifetime: float = 60.0
    # RFC 9260 section 6.2 allows 200 ms for every first of two packets. Half of
    # it keeps clear of the floor that peers give their own time-out.
    sack_delay: float = 0.1
    # RFC 9653: take and send packets without a CRC where both agree; DTLS has
    # authenticated them already.
    zero_checksum: bool = True
