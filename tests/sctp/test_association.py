"""The association: RFC 9260 sections 4, 5, 8 and 9, two of ours on a virtual path."""

from __future__ import annotations

import attrs
import pytest

from rtcproto.errors import BufferFull, ParseError, UsageError
from rtcproto.sctp import (
    Association,
    AssociationClosed,
    AssociationState,
    BufferedAmountLow,
    Established,
    MessageAbandoned,
    MessageReceived,
    SctpCloseReason,
    SctpConfig,
)
from rtcproto.sctp.control_chunks import Abort, Error, Unknown
from rtcproto.sctp.packet import Packet
from rtcproto.sctp.parameters import Cause, Parameter
from rtcproto.testing import SECOND_ADDRESS, LinkConfig, PacketAdapter
from tests.support.contract import NOW, PEER, MachineContract, Subject
from tests.support.sctp import CONFIG, AssociationPair, seeded

GOOD = LinkConfig(delay=0.01)
BAD = LinkConfig(delay=0.01, loss=0.05, duplicate=0.05, reorder=0.05)


@pytest.mark.parametrize("link", [GOOD, BAD], ids=["good", "bad"])
def test_messages_arrive_whole_and_in_order(link: LinkConfig) -> None:
    """RFC 9260 section 1.5.2: whole messages, in the order of their stream."""
    pair = AssociationPair(link)
    pair.connect()
    messages = [bytes([number % 251]) * size for number, size in enumerate((1, 262_144, 5000) * 3)]
    pair.send(*messages)
    pair.run_until(lambda: len(pair.heard()) == len(messages))
    assert pair.heard() == messages


def test_both_sides_start_at_once() -> None:
    """RFC 8831 section 6.2: INITs that cross make one association (RFC 9260 5.2)."""
    pair = AssociationPair(GOOD)
    pair.connect()
    assert len(pair.events(Established)) == len(pair.events(Established, second=False)) == 1


def test_shutdown_delivers_what_was_sent() -> None:
    """RFC 9260 section 9.2: an orderly end loses nothing."""
    pair = AssociationPair(BAD)
    pair.connect()
    pair.send(b"x" * 50_000)
    pair.first.close(pair.now)
    pair.settle()
    pair.run_until(lambda: len(pair.ends()) == 2)
    assert pair.heard() == [b"x" * 50_000]
    assert [end.reason for end in pair.ends()] == [
        SctpCloseReason.LOCAL,
        SctpCloseReason.PEER_CLOSED,
    ]
    assert pair.first.state is pair.second.state is AssociationState.ENDED


def test_no_handshake_with_snap() -> None:
    """draft-hancke-tsvwg-snap: established at once, the first message takes half a round trip."""
    pair = AssociationPair(GOOD)
    start = pair.now
    pair.connect_by_description()
    assert pair.is_established
    pair.send(b"hello")
    pair.run_until(lambda: pair.heard() == [b"hello"])
    assert pair.now - start == pytest.approx(0.01)


def test_snap_at_one_end_only() -> None:
    """A peer that did not take our INIT from the description sends its own: both meet."""
    pair = AssociationPair(GOOD)
    pair.second.start_with(pair.first.local_init(), pair.now)
    pair.first.start(pair.now)
    pair.settle()
    pair.run_for(0.5)
    assert pair.is_established
    assert len(pair.events(Established)) == 1
    pair.send(b"hello")
    pair.run_for(0.5)
    assert pair.heard() == [b"hello"]


@pytest.mark.parametrize("lost", range(8))
def test_any_one_packet_of_the_handshake_may_be_lost(lost: int) -> None:
    """RFC 9260 section 5.1: T1 repairs it, whichever it was."""
    pair = AssociationPair(GOOD)
    seen = []

    def drop(packet, now):  # type: ignore[no-untyped-def]
        del now
        seen.append(packet)
        return () if len(seen) == lost + 1 else (packet,)

    pair.network.tap(drop)
    pair.connect(10.0)
    pair.send(b"hello")
    pair.run_until(lambda: pair.heard() == [b"hello"])
    assert len(pair.events(Established)) == len(pair.events(Established, second=False)) == 1


def test_a_peer_that_never_answers() -> None:
    """RFC 9260 section 5.1: Max.Init.Retransmits, then the end."""
    pair = AssociationPair(LinkConfig(loss=1.0))
    pair.first.start(pair.now)
    pair.settle()
    pair.run_for(120.0)
    assert [end.reason for end in pair.ends()] == [SctpCloseReason.NO_ANSWER]
    assert pair.first.stats().packets_sent == 1 + CONFIG.max_init_retransmissions
    assert pair.first.get_timer() is None


def test_a_peer_that_vanishes() -> None:
    """RFC 9260 section 8.1: with data waiting, and with nothing but heartbeats."""
    for busy in (True, False):
        pair = AssociationPair(GOOD)
        pair.connect()
        pair.network.tap(lambda packet, now: ())
        if busy:
            pair.send(b"hello?")
        pair.run_until(lambda pair=pair: pair.ends(), 600.0)  # type: ignore[misc]
        assert pair.ends()[0].reason is SctpCloseReason.LOST


def test_abort_is_told() -> None:
    """RFC 9260 section 9.1."""
    pair = AssociationPair(GOOD)
    pair.connect()
    pair.first.abort(pair.now)
    pair.settle()
    pair.run_for(1.0)
    assert [end.reason for end in pair.ends()] == [
        SctpCloseReason.LOCAL,
        SctpCloseReason.PEER_ABORTED,
    ]


def test_both_close_at_once() -> None:
    """RFC 9260 section 9.2: SHUTDOWNs that cross."""
    pair = AssociationPair(GOOD)
    pair.connect()
    pair.first.close(pair.now)
    pair.second.close(pair.now)
    pair.settle()
    pair.run_for(2.0)
    assert len(pair.ends()) == 2


@pytest.mark.parametrize("started", [False, True])
def test_close_before_it_is_up(started: bool) -> None:
    """Nothing is waited for."""
    pair = AssociationPair(GOOD)
    if started:
        pair.first.start(pair.now)
    pair.first.close(pair.now)
    assert pair.first.state is AssociationState.ENDED
    assert pair.first.get_timer() is None


def test_shutdown_waits_for_what_the_peer_still_has() -> None:
    """RFC 9260 section 9.2: the other side's data comes first, over a bad path as well."""
    pair = AssociationPair(BAD)
    pair.connect()
    pair.second.send_message(1, 51, b"y" * 50_000, pair.now)
    pair.first.close(pair.now)
    pair.settle()
    pair.run_until(lambda: len(pair.ends()) == 2)
    assert [event.data for event in pair.events(MessageReceived, second=False)] == [b"y" * 50_000]


def test_a_peer_that_restarts_ends_it() -> None:
    """Departure from RFC 9260 section 5.2.4 A: its data channels are gone, so are ours."""
    pair = AssociationPair(GOOD)
    pair.connect()
    again = Association(CONFIG, seeded(77), pair.now)
    again.start(pair.now)
    for _ in range(4):
        for packet in again.packets_to_send():
            pair.second.receive_packet(packet, pair.now)
        for packet in pair.second.packets_to_send():
            again.receive_packet(packet, pair.now)
    assert pair.second.state is AssociationState.ENDED
    assert pair.second.next_events() == [
        AssociationClosed(reason=SctpCloseReason.PEER_RESTARTED, detail="")
    ]
    assert again.state is AssociationState.ENDED


def test_zero_checksums_where_both_agree() -> None:
    """RFC 9653: and only there."""
    plain = attrs.evolve(CONFIG, zero_checksum=False)
    for second, zero in ((CONFIG, True), (plain, False)):
        pair = AssociationPair(GOOD, second=second)
        pair.connect()
        pair.send(b"hello")
        pair.run_for(1.0)
        assert pair.heard() == [b"hello"]
        pair.first.send_message(1, 51, b"x", pair.now)
        (packet,) = pair.first.packets_to_send()
        assert (packet[8:12] == bytes(4)) is zero


def test_limited_reliability_loses_only_what_it_may() -> None:
    """RFC 3758: without retransmissions some is missing, what arrives is in order."""
    pair = AssociationPair(LinkConfig(delay=0.01, loss=0.2))
    pair.connect()
    for number in range(300):
        pair.first.send_message(1, 51, b"%d" % number, pair.now, max_retransmits=0)
        pair.first.send_message(2, 51, b"%d" % number, pair.now)
        pair.settle()
        pair.run_for(0.01)
    pair.run_for(20.0)
    heard = {
        stream: [int(e.data) for e in pair.events(MessageReceived) if e.stream == stream]
        for stream in (1, 2)
    }
    assert heard[2] == list(range(300))
    assert heard[1] == sorted(set(heard[1]))
    assert 150 < len(heard[1]) < 300
    assert pair.first.stats().messages_abandoned >= 300 - len(heard[1])
    assert pair.first.stats().send_buffered == 0


def test_a_message_with_a_lifetime_gives_way() -> None:
    """RFC 3758 section 3.5: what is too old is not sent when the path comes back."""
    pair = AssociationPair(GOOD)
    pair.connect()
    cut = True
    pair.network.tap(lambda packet, now: () if cut else (packet,))
    pair.send(b"old", lifetime=0.5)
    pair.run_for(3.0)
    cut = False
    pair.send(b"new", lifetime=0.5)
    pair.run_for(10.0)
    assert pair.heard() == [b"new"]
    assert pair.events(MessageAbandoned, second=False) == [MessageAbandoned(stream=1)]


def test_verbs_refuse_at_once() -> None:
    """The contract: UsageError, and nothing is queued."""
    pair = AssociationPair(GOOD)
    first = pair.first
    with pytest.raises(UsageError):
        first.send_message(1, 51, b"x", pair.now)
    with pytest.raises(UsageError):
        first.reset_streams([1], pair.now)
    with pytest.raises(UsageError):
        first.set_buffered_amount_low_threshold(1, 5)
    with pytest.raises(ParseError):
        first.start_with(b"nonsense", pair.now)
    pair.connect()
    with pytest.raises(UsageError):
        first.send_message(1, 51, b"", pair.now)
    with pytest.raises(UsageError):
        first.send_message(1, 51, bytes(262_145), pair.now)
    with pytest.raises(UsageError):
        first.start_with(pair.second.local_init(), pair.now)
    first.start(pair.now)
    first.close(pair.now)
    with pytest.raises(UsageError):
        first.send_message(1, 51, b"x", pair.now)
    with pytest.raises(UsageError):
        first.start(pair.now)
    assert first.stats().messages_sent == 0


def test_the_buffer_is_full_and_empties() -> None:
    """BufferFull queues nothing; low water is reported when it empties."""
    pair = AssociationPair(GOOD, first=attrs.evolve(CONFIG, send_buffer=100_000))
    pair.connect()
    pair.first.set_buffered_amount_low_threshold(1, 10_000)
    pair.send(bytes(90_000))
    with pytest.raises(BufferFull):
        pair.send(bytes(20_000))
    assert pair.first.buffered_amount(1) > 10_000
    pair.run_for(1.0)
    assert pair.events(BufferedAmountLow, second=False) == [BufferedAmountLow(stream=1)]
    assert pair.first.buffered_amount(1) == 0


def test_the_peers_port_and_limit_may_come_later() -> None:
    """The answer says them; 0 stands for any size. They stand once the association does."""
    pair = AssociationPair(GOOD, first=SctpConfig(), second=attrs.evolve(CONFIG, port=6000))
    pair.first.set_remote(6000, 1000)
    assert pair.first.remote_max_message_size == 1000
    pair.first.set_remote(6000, 0)
    pair.connect()
    pair.send(bytes(65_537))
    with pytest.raises(UsageError, match="ESTABLISHED"):
        pair.first.set_remote(6000, 1000)


def test_a_slow_reader_is_not_overrun() -> None:
    """One message that cannot be finished for a while: the window holds the sender back."""
    small = attrs.evolve(CONFIG, receive_window=50_000)
    pair = AssociationPair(LinkConfig(delay=0.01, loss=0.1), second=small)
    pair.connect()
    messages = [bytes([number]) * 3000 for number in range(100)]
    pair.send(*messages)
    pair.run_until(lambda: len(pair.heard()) == 100, 120.0)
    assert pair.heard() == messages


class TestContract(MachineContract, examples=15):
    """An established association, given what it was once given, and worse."""

    def subject(self) -> Subject:
        """The samples are packets of its own peer."""
        pair = AssociationPair(GOOD)
        seen: list[bytes] = []

        def keep(packet, now):  # type: ignore[no-untyped-def]
            del now
            if packet.destination == SECOND_ADDRESS:
                seen.append(packet.data)
            return (packet,)

        pair.network.tap(keep)
        pair.connect()
        pair.send(b"x" * 3000, b"y")
        pair.first.reset_streams([1], pair.now)
        pair.settle()
        pair.run_for(0.1)
        machine = pair.second
        machine.handle_timer(NOW + 2.0)
        return Subject(
            machine=PacketAdapter(machine, PEER),
            samples=seen,
            close=machine.abort,
            # Whatever arrives came out of DTLS, from the peer.
            amplification=1e9,
        )


def test_unknown_chunks_get_one_report() -> None:
    """RFC 9260 section 3.2: those that ask for one; a packet full of them gets one all the same."""
    pair = AssociationPair(GOOD)
    pair.connect()
    tag = int.from_bytes(pair.first.local_init()[4:8], "big")
    chunks = tuple(Unknown(kind, 0, b"") for kind in (0x80, 0xC5, 0xC6, 0xC7))
    pair.first.receive_packet(Packet(5000, 5000, tag, chunks).serialize(), pair.now)
    (answer,) = pair.first.packets_to_send()
    (error,) = Packet.parse(answer, True).chunks
    assert error == Error((Parameter(Cause.UNRECOGNIZED_CHUNK, b"\xc5\0\0\4"),))
    # 3.2: without the high bit nothing behind it is looked at.
    chunks = (Unknown(0x3F, 0, b""), Abort())
    pair.first.receive_packet(Packet(5000, 5000, tag, chunks).serialize(), pair.now)
    assert pair.first.state is AssociationState.ESTABLISHED
