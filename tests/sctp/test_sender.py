"""The sending half: what leaves when. RFC 9260 section 6.1."""

from __future__ import annotations

import pytest

from rtcproto.errors import BufferFull
from rtcproto.sctp import SctpConfig
from rtcproto.sctp.chunks import Data, ForwardTsn, Sack
from rtcproto.sctp.packer import Packer
from rtcproto.sctp.packet import Chunk, Packet
from rtcproto.sctp.send_queue import Message
from rtcproto.sctp.sender import Sender

CONFIG = SctpConfig()
FULL = CONFIG.mtu - 28


def fresh(window: int = 1_000_000, config: SctpConfig = CONFIG) -> Sender:
    """From TSN 100."""
    return Sender(config, 100, window)


def leave(sender: Sender, now: float = 0.0) -> list[Chunk]:
    """The chunks that leave now."""
    packer = Packer(CONFIG.mtu - 12)
    sender.fill(packer, now)
    return [
        chunk for body in packer.finish() for chunk in Packet.parse(bytes(12) + body, True).chunks
    ]


def put(sender: Sender, *sizes: int, **limits: object) -> None:
    """Messages of these sizes on stream 1."""
    for size in sizes:
        sender.send(Message(1, 51, bytes(size), **limits))  # type: ignore[arg-type]


def test_a_message_becomes_chunks() -> None:
    """6.9: beginning, middle, end; the last one asks for an answer (RFC 7053)."""
    sender = fresh()
    put(sender, 2 * FULL + 1)
    assert leave(sender) == [
        Data(100, 1, 0, 51, bytes(FULL), True, False),
        Data(101, 1, 0, 51, bytes(FULL), False, False),
        Data(102, 1, 0, 51, b"\0", False, True, immediate=True),
    ]


def test_small_messages_share_a_packet() -> None:
    """6.10: and only the last of them asks for an answer."""
    sender = fresh()
    put(sender, 10, 20)
    packer = Packer(CONFIG.mtu - 12)
    sender.fill(packer, 0.0)
    assert len(packer.finish()) == 1


def test_the_congestion_window_is_a_limit() -> None:
    """6.1 B."""
    sender = fresh()
    put(sender, 50 * FULL)
    assert 10 <= len(leave(sender)) <= 11
    assert leave(sender) == []
    sender.receive_sack(Sack(101, 1_000_000), 0.1)
    assert len(leave(sender, 0.1)) == 4


def test_the_peers_window_is_a_limit_but_for_one_chunk() -> None:
    """6.1 A: the zero window probe."""
    sender = fresh(window=0)
    put(sender, 5 * FULL)
    assert len(leave(sender)) == 1
    assert leave(sender) == []
    sender.receive_sack(Sack(100, 0), 0.1)
    assert len(leave(sender)) == 1


def test_the_buffer_is_a_limit() -> None:
    """What waits to be sent and to be acknowledged counts, tiny messages as well."""
    sender = fresh(config=SctpConfig(send_buffer=5000))
    put(sender, 3000)
    leave(sender)
    with pytest.raises(BufferFull):
        put(sender, 3000)
    assert sender.messages == 1
    for tsn in range(100, 103):
        sender.receive_sack(Sack(tsn, 10_000), 0.1)
    put(sender, 3000)
    with pytest.raises(BufferFull):
        put(sender, *[1] * 40)


def test_a_loss_is_repaired_at_once() -> None:
    """7.2.4: whatever the window says."""
    sender = fresh()
    put(sender, 50 * FULL)
    leave(sender)
    for end in (2, 3, 4):
        sender.receive_sack(Sack(99, 1_000_000, ((2, end),)), 0.1)
        out = leave(sender, 0.1)
    assert isinstance(out[0], Data)
    assert out[0].tsn == 100
    assert sender.retransmissions == 1
    assert sender.congestion.recovering


def test_a_time_out_sends_one_packet() -> None:
    """6.3.3 E3: the earliest that fit one packet, and a doubled time-out."""
    sender = fresh()
    put(sender, 5 * FULL)
    leave(sender)
    sender.time_out(1.0)
    assert [chunk.tsn for chunk in leave(sender, 1.0) if isinstance(chunk, Data)] == [100]
    assert sender.rto.value == 2 * CONFIG.rto_initial
    assert (sender.failures, sender.timeouts) == (1, 1)
    sender.receive_sack(Sack(100, 1_000_000), 1.1)
    assert sender.failures == 0


def test_what_is_given_up_is_announced() -> None:
    """RFC 3758 section 3.5: with FORWARD-TSN, again after a round trip, not in between."""
    sender = fresh()
    put(sender, 3 * FULL, max_retransmits=0)
    leave(sender)
    sender.time_out(1.0)
    assert leave(sender, 1.0) == [ForwardTsn(102, ((1, 0),))]
    assert leave(sender, 1.0) == []
    assert leave(sender, 4.0) == [ForwardTsn(102, ((1, 0),))]
    assert sender.abandoned() == [1]
    assert not sender.idle
    sender.receive_sack(Sack(102, 1_000_000), 4.1)
    assert sender.idle


def test_the_rest_of_what_is_given_up_never_leaves() -> None:
    """And counts no more."""
    sender = fresh()
    put(sender, 100 * FULL, max_retransmits=0)
    leave(sender)
    sender.time_out(1.0)
    assert [type(chunk) for chunk in leave(sender, 1.0)] == [ForwardTsn]
    assert sender.queue.empty
    assert sender.charge == 0


def test_round_trips_are_measured() -> None:
    """6.3.1."""
    sender = fresh()
    put(sender, 10)
    leave(sender, 5.0)
    sender.receive_sack(Sack(100, 1_000_000), 5.25)
    assert sender.rto.smoothed == 0.25
