"""The data plane: by itself on a list, and in whole sessions."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from rtcproto import (
    BufferFull,
    Connected,
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Event,
    ParseError,
    SessionClosed,
    UsageError,
)
from rtcproto.datachannel import Open
from rtcproto.dtls import Role
from rtcproto.sctp import Association, SctpConfig
from rtcproto.sdp import DataNegotiated
from rtcproto.session.data import MAX_EARLY_PACKETS, MAX_WAITING_COMMANDS, DataPlane
from rtcproto.session.planes import Planes
from rtcproto.testing import LinkConfig, SessionPair, World
from tests.support.calls import identity

LABEL = "oai-events"


def pair(seed: int = 1, config: LinkConfig | None = None, **fields: Any) -> SessionPair:
    """A pair on a link of 10 ms; `fields` for both sides."""
    fields = {"identity": identity("any"), **fields}
    link = config or LinkConfig(delay=0.01)
    return SessionPair(World(seed), link, client=fields, server=fields)


def connected(**fields: Any) -> tuple[SessionPair, int]:
    """A connected pair with a channel of the client's."""
    call = pair(**fields)
    call.connect()
    channel = call.client.open_channel(LABEL, call.now)
    call.run_for(0.2)
    return call, channel


def said(call: SessionPair, session: Any) -> list[str | bytes]:
    """The messages that a session received."""
    return [event.data for event in call.events(session, DataChannelMessage)]


class TestSessions:
    """Verbs and events of two sessions."""

    def test_text_and_bytes_both_ways(self) -> None:
        """RFC 8831: a channel of the client's, messages of every kind, in order."""
        call, channel = connected()
        (opened,) = call.events(call.server, DataChannelOpened)
        assert (opened.channel, opened.label, opened.protocol) == (channel, LABEL, "")
        assert opened.incoming
        (ours,) = call.events(call.client, DataChannelOpened)
        assert not ours.incoming
        messages: list[str | bytes] = ["hello", b"\x00\x01", "", b"", "h\u00e9", bytes(262_144)]
        for message in messages:
            call.client.send_message(channel, message, call.now)
            call.server.send_message(channel, message, call.now)
        call.run_for(2.0)
        assert said(call, call.server) == said(call, call.client) == messages

    def test_channels_open_after_connected(self) -> None:
        """Nothing of SCTP is heard before the path is proven and the certificate checked."""
        call, _ = connected()
        kinds = [type(event) for _, event in call.second.events]
        assert kinds.index(Connected) < kinds.index(DataChannelOpened)

    def test_a_channel_may_be_opened_before_the_session_connects(self) -> None:
        """As a browser does before its offer; a negotiated one needs no message."""
        call = pair()
        call.describe()
        first = call.client.open_channel("early", call.now)
        second = call.client.open_channel("agreed", call.now, negotiated=100)
        call.server.open_channel("agreed", call.now, negotiated=100)
        call.run_for(1.0)
        labels = {e.channel: e.label for e in call.events(call.server, DataChannelOpened)}
        assert labels == {first: "early", second: "agreed"}

    def test_both_sides_open_at_once(self) -> None:
        """RFC 8832 section 6: the DTLS client takes even ids, the server odd ones."""
        call = pair()
        call.connect()
        ids = {call.client.open_channel("a", call.now), call.server.open_channel("b", call.now)}
        call.run_for(0.2)
        assert ids == {0, 1}
        assert len(call.events(call.client, DataChannelOpened)) == 2
        role = call.client.stats(call.now).transport.dtls_role
        mine = next(e for e in call.events(call.client, DataChannelOpened) if not e.incoming)
        assert mine.channel % 2 == (0 if role == Role.CLIENT.value else 1)

    def test_unreliable_channels_lose_and_go_on(self) -> None:
        """RFC 3758: what a lifetime or a count lets go does not hold up what follows."""
        call = pair(config=LinkConfig(delay=0.01, loss=0.2), seed=3)
        call.connect()
        channel = call.client.open_channel("state", call.now, ordered=False, max_retransmits=0)
        timed = call.client.open_channel("timed", call.now, lifetime=0.05)
        call.run_for(3.0)
        for number in range(100):
            call.client.send_message(channel, str(number), call.now)
            call.client.send_message(timed, f"t{number}", call.now)
            call.run_for(0.02)
        call.run_for(3.0)
        heard = said(call, call.server)
        assert 40 < sum(not text.startswith("t") for text in map(str, heard)) < 100
        stats = call.client.stats(call.now)
        assert stats.sctp_transport is not None
        assert stats.sctp_transport.messages_abandoned > 0

    def test_a_channel_closes_on_both_sides(self) -> None:
        """RFC 8831 section 6.7: what was queued still arrives, then both hear of the end."""
        call, channel = connected()
        call.client.send_message(channel, "last", call.now)
        call.client.close_channel(channel, call.now)
        call.run_for(0.5)
        assert said(call, call.server) == ["last"]
        for session in (call.client, call.server):
            assert [e.channel for e in call.events(session, DataChannelClosed)] == [channel]
            with pytest.raises(UsageError, match="not open"):
                session.send_message(channel, "more", call.now)
        # The id is free again, and its messages count from the beginning.
        for session in (call.client, call.server):
            session.open_channel("again", call.now, negotiated=channel)
        call.client.send_message(channel, "first", call.now)
        call.run_for(0.5)
        assert said(call, call.server) == ["last", "first"]

    def test_the_end_of_a_session_closes_its_channels_first(self) -> None:
        """`SessionClosed` stays the last event, on both sides."""
        call, channel = connected()
        call.client.close(call.now)
        call.run_for(0.5)
        for host in (call.first, call.second):
            last: list[Event] = [event for _, event in host.events][-2:]
            assert [type(event) for event in last] == [DataChannelClosed, SessionClosed]
        # The owner may not have come to that event yet: no error.
        call.client.send_message(channel, "late", call.now)
        call.client.close_channel(channel, call.now)

    def test_low_water(self) -> None:
        """Backpressure: a full buffer is refused, and room is told of."""
        call, channel = connected(sctp=SctpConfig(send_buffer=100_000))
        call.client.set_buffered_amount_low_threshold(channel, 10_000)
        call.client.send_message(channel, bytes(60_000), call.now)
        with pytest.raises(BufferFull):
            call.client.send_message(channel, bytes(60_000), call.now)
        assert call.client.buffered_amount(channel) > 10_000
        call.run_for(1.0)
        assert call.events(call.client, DataChannelBufferLow) == [
            DataChannelBufferLow(channel=channel)
        ]
        assert call.client.buffered_amount(channel) == 0
        (stats,) = call.client.stats(call.now).data_channels
        assert (stats.messages_sent, stats.bytes_sent) == (1, 60_000)

    def test_without_settings_there_are_no_data_channels(self) -> None:
        """`sctp=None` on either side: the audio is served, the verbs say why they cannot."""
        call = SessionPair(
            World(1),
            client={"identity": identity("any")},
            server={"identity": identity("any"), "sctp": None},
        )
        call.connect()
        for session in (call.client, call.server):
            with pytest.raises(UsageError, match="no data channels"):
                session.open_channel("x", call.now)
            assert session.stats(call.now).sctp_transport is None
        assert call.talk(3) == call.heard(call.server)

    def test_the_peers_message_size_holds(self) -> None:
        """C8: what the description says, both ways; 262,145 bytes end only the association."""
        small = SctpConfig(max_message_size=1000)
        call = SessionPair(
            World(1),
            LinkConfig(delay=0.01),
            client={"identity": identity("any")},
            server={"identity": identity("any"), "sctp": small},
        )
        call.connect()
        channel = call.client.open_channel(LABEL, call.now)
        call.run_for(0.2)
        with pytest.raises(UsageError, match="1000"):
            call.client.send_message(channel, bytes(1001), call.now)
        call.client.send_message(channel, bytes(1000), call.now)
        call.run_for(0.2)
        assert said(call, call.server) == [bytes(1000)]

    def test_an_association_that_ends_leaves_the_call_up(self) -> None:
        """C8: a peer that sends beyond the limit loses its channels, and nothing else."""
        call, channel = connected()
        plane = call.client._planes.data
        assert plane is not None
        plane._association.send_message(channel, 53, bytes(10), call.now)
        plane._association._max_out = 0
        plane._association.send_message(channel, 53, bytes(262_145), call.now)
        call.client.handle_timer(call.now)
        call.run_for(2.0)
        for session in (call.client, call.server):
            assert [e.channel for e in call.events(session, DataChannelClosed)] == [channel]
            assert not session.closed
            with pytest.raises(UsageError, match="over"):
                session.open_channel("x", call.now)
        assert call.talk(5) == call.heard(call.server)

    def test_snap_saves_the_handshake(self) -> None:
        """Both INITs travel in the descriptions: the channel is there one trip after DTLS."""
        call = pair()
        call.describe()
        assert "a=sctp-init:" in (call.server.local_description or "")
        call.client.open_channel(LABEL, call.now)
        call.run_for(1.0)
        at = {type(event): time for time, event in call.second.events}
        assert at[DataChannelOpened] == pytest.approx(at[Connected], abs=0.011)

    def test_a_malformed_init_is_refused_with_the_description(self) -> None:
        """Better than after the handshake."""
        call = pair()
        offer = call.client.create_offer(call.now)
        before, _, rest = offer.partition("a=sctp-init:")
        wrong = f"{before}a=sctp-init:AAAA\r\n{rest.partition(chr(10))[2]}"
        with pytest.raises(ParseError):
            call.server.accept_offer(wrong, call.now)

    def test_lost_packets_delay_and_do_not_lose_messages(self) -> None:
        """Reliable channels over a bad network."""
        call = pair(config=LinkConfig(delay=0.03, jitter=0.02, loss=0.1), seed=5)
        call.connect()
        channel = call.client.open_channel(LABEL, call.now)
        call.run_until(lambda: bool(call.events(call.server, DataChannelOpened)), 10.0)
        messages = [f"{number}" * (1 + number * 10) for number in range(100)]
        for message in messages:
            call.client.send_message(channel, message, call.now)
            call.run_for(0.02)
        call.run_until(lambda: len(said(call, call.server)) == len(messages), 30.0)
        assert said(call, call.server) == messages


def plane(is_client: bool = True, **fields: Any) -> DataPlane:
    """A plane that has not been started."""
    config = attrs.evolve(SctpConfig(), **fields)
    association = Association(config, World(2).entropy("plane"), 0.0)
    return DataPlane(
        association, DataNegotiated(mid="1", local_port=5000, remote_port=5000), is_client
    )


class TestPlane:
    """The plane alone."""

    def test_nothing_is_taken_before_the_start(self) -> None:
        """C1: what comes early is held, at most `MAX_EARLY_PACKETS`, and not looked at."""
        early, peer = plane(), plane()
        peer.start(0.0)
        init = peer.packets_to_send()
        early.receive(init * (MAX_EARLY_PACKETS + 5), 0.0)
        assert early.packets_to_send() == []
        assert early.get_timer() is None
        assert early.dropped == {"sctp_early": 5}
        early.start(0.1)
        assert early.packets_to_send()

    def test_answers_wait_while_the_buffer_is_full(self) -> None:
        """DCEP's answers are not lost with a full send buffer, and are bounded."""
        first, second = plane(send_buffer=2000), plane()
        first.start(0.0)
        second.start(0.0)

        def carry(now: float) -> None:
            for _ in range(10):
                first.receive(second.packets_to_send(), now)
                second.receive(first.packets_to_send(), now)

        carry(0.1)
        for waiting in range(MAX_WAITING_COMMANDS + 30):
            first._manager.receive_message(2 * waiting + 1, 50, bytes((3,)) + bytes(11))
        first.receive((), 0.2)
        assert len(first._waiting) == MAX_WAITING_COMMANDS
        assert first.dropped["sctp_full"] > 0
        with pytest.raises(BufferFull):
            first.send_message(1, "x", 0.2)

    def test_nothing_overtakes_an_open_that_waits(self) -> None:
        """RFC 8832 section 6: a message before its OPEN would be lost; it is refused instead."""
        first, second = plane(send_buffer=2000), plane(is_client=False)
        first.start(0.0)
        second.start(0.0)
        for _ in range(10):
            first.receive(second.packets_to_send(), 0.1)
            second.receive(first.packets_to_send(), 0.1)
        small = first.open_channel(Open(label="small"), None, 0.2)
        first.send_message(small, bytes(800), 0.2)
        large = first.open_channel(Open(label="l" * 1500), None, 0.2)
        assert first._waiting
        with pytest.raises(BufferFull):
            first.send_message(large, "x", 0.2)
        for _ in range(10):
            second.receive(first.packets_to_send(), 0.3)
            first.receive(second.packets_to_send(), 0.3)
        first.send_message(large, "x", 0.4)

    def test_planes_hold_the_data_plane_only_where_it_was_agreed_on(self) -> None:
        """The association that waited for the description goes with it."""
        call = pair(sctp=None)
        call.connect()
        planes: Planes = call.server._planes
        assert planes.data is None
        assert planes._association is None
