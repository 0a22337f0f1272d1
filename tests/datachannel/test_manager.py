"""Channels between two managers, with a list for an association between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rtcproto.datachannel import (
    MAX_CHANNELS,
    Ack,
    ChannelManager,
    ChannelState,
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Open,
    PayloadProtocol,
    ResetStreams,
    SendMessage,
)
from rtcproto.datachannel.manager import MAX_HELD_BYTES, MAX_HELD_MESSAGES
from rtcproto.errors import UsageError


class Link:
    """Client and server, whose commands arrive when `run` is called."""

    def __init__(self, max_message_size: int = 0) -> None:
        self.client = ChannelManager(True, max_message_size)
        self.server = ChannelManager(False, max_message_size)
        self.sent: list[SendMessage | ResetStreams] = []

    def establish(self) -> None:
        """The association comes up on both sides."""
        self.client.association_established()
        self.server.association_established()
        self.run()

    def run(self) -> None:
        """Carry commands until none are left."""
        while True:
            from_client, from_server = self.client.commands(), self.server.commands()
            if not from_client and not from_server:
                return
            self._carry(from_client, self.client, self.server)
            self._carry(from_server, self.server, self.client)

    def _carry(
        self,
        commands: list[Any],
        sender: ChannelManager,
        receiver: ChannelManager,
    ) -> None:
        for command in commands:
            self.sent.append(command)
            if isinstance(command, SendMessage):
                assert command.data, "SCTP has no empty messages"
                sender.message_queued(command)
                receiver.receive_message(command.stream, command.ppid, command.data)
            else:
                receiver.streams_reset(command.streams)
                sender.reset_done(command.streams)


@pytest.fixture
def link() -> Link:
    """An association that is up."""
    made = Link()
    made.establish()
    return made


def test_opens_on_both_sides(link: Link) -> None:
    """The opener may use it at once, the peer learns label, protocol and reliability."""
    parameters = Open(label="oai-events", protocol="json", max_retransmits=2)
    channel = link.client.open_channel(parameters)
    assert link.client.state(channel) is ChannelState.OPEN
    link.run()
    assert link.client.next_events() == [
        DataChannelOpened(channel=channel, parameters=parameters, incoming=False)
    ]
    assert link.server.next_events() == [
        DataChannelOpened(channel=channel, parameters=parameters, incoming=True)
    ]


def test_each_side_has_its_own_ids(link: Link) -> None:
    """RFC 8832 section 6: even streams for the DTLS client, odd ones for the server."""
    assert [link.client.open_channel(Open()) for _ in range(3)] == [0, 2, 4]
    assert [link.server.open_channel(Open()) for _ in range(3)] == [1, 3, 5]
    link.run()
    assert len(link.client) == len(link.server) == 6


def test_waits_for_the_association() -> None:
    """A channel asked for early opens when the association does."""
    link = Link()
    channel = link.client.open_channel(Open(label="early"))
    assert link.client.state(channel) is ChannelState.CONNECTING
    with pytest.raises(UsageError):
        link.client.send(channel, "too early")
    assert link.client.commands() == []
    link.establish()
    assert link.server.state(channel) is ChannelState.OPEN


@pytest.mark.parametrize("data", ["", "grüße", b"", b"\x00\xff"])
def test_messages_keep_kind_and_content(link: Link, data: str | bytes) -> None:
    """Text stays text, bytes stay bytes, and nothing stays nothing."""
    channel = link.client.open_channel(Open())
    link.client.send(channel, data)
    link.run()
    assert link.server.next_events()[1:] == [DataChannelMessage(channel=channel, data=data)]


def test_unordered_channel_is_ordered_until_the_peer_knows_it(link: Link) -> None:
    """A message must not overtake the OPEN: RFC 8832 section 6."""
    channel = link.client.open_channel(Open(ordered=False, lifetime=1500))
    link.client.send(channel, "first")
    link.run()
    link.client.send(channel, "second")
    link.run()
    sent = [c for c in link.sent if isinstance(c, SendMessage) and c.ppid == 51]
    assert [command.ordered for command in sent] == [True, False]
    assert sent[0].lifetime == 1.5


def test_close_resets_both_directions(link: Link) -> None:
    """Either side may close; both get one last event and the id is free again."""
    channel = link.client.open_channel(Open())
    link.run()
    for side in (link.client, link.server):
        side.next_events()
    link.server.close_channel(channel)
    link.server.close_channel(channel)
    assert link.server.state(channel) is ChannelState.CLOSING
    with pytest.raises(UsageError):
        link.server.send(channel, "too late")
    link.run()
    for side in (link.client, link.server):
        assert side.next_events() == [DataChannelClosed(channel=channel)]
        assert side.state(channel) is ChannelState.CLOSED
    assert [c for c in link.sent if isinstance(c, ResetStreams)] == [
        ResetStreams(streams=(channel,))
    ] * 2
    assert link.client.open_channel(Open(), negotiated=channel) == channel


def test_messages_end_with_the_peers_side() -> None:
    """RFC 8831 section 6.7: after the reset of its stream a peer says nothing on the channel."""
    client = ChannelManager(True, 0)
    client.association_established()
    client.receive_message(3, PayloadProtocol.DCEP, Open(label="x").serialize())
    client.streams_reset((3,))
    client.next_events()
    client.receive_message(3, PayloadProtocol.STRING, b"late")
    assert client.next_events() == []
    assert client.rejected == {"message_without_channel": 1}


def reused() -> ChannelManager:
    """Ours, whose peer has reset its side of stream 3 and opened another channel there."""
    client = ChannelManager(True, 0)
    client.association_established()
    client.receive_message(3, PayloadProtocol.DCEP, Open(label="old").serialize())
    client.streams_reset((3,))
    client.receive_message(3, PayloadProtocol.DCEP, Open(label="new").serialize())
    return client


def test_a_stream_that_the_peer_uses_again_before_we_know() -> None:
    """The answer to our reset is lost: the next channel begins when it comes, with all it said."""
    client = reused()
    client.receive_message(3, PayloadProtocol.STRING, b"first")
    assert [type(event) for event in client.next_events()] == [DataChannelOpened]
    client.reset_done((3,))
    closed, opened, message = client.next_events()
    assert isinstance(closed, DataChannelClosed)
    assert isinstance(opened, DataChannelOpened)
    assert opened.label == "new"
    assert message == DataChannelMessage(channel=3, data="first")
    assert client.state(3) is ChannelState.OPEN
    assert client.rejected == {}


def test_the_next_channel_may_be_over_before_it_begins() -> None:
    """The peer has opened and closed it again meanwhile: both are told, and answered."""
    client = reused()
    client.streams_reset((3,))
    client.next_events()
    client.commands()
    client.reset_done((3,))
    closed, opened = client.next_events()
    assert isinstance(closed, DataChannelClosed)
    assert isinstance(opened, DataChannelOpened)
    assert ResetStreams(streams=(3,)) in client.commands()
    client.reset_done((3,))
    assert client.next_events() == [DataChannelClosed(channel=3)]


def test_what_is_held_for_the_next_channel_is_bounded() -> None:
    """256 messages and 256 KiB; what does not begin with OPEN is not held at all."""
    client = reused()
    for _ in range(MAX_HELD_MESSAGES + 36):
        client.receive_message(3, PayloadProtocol.STRING, b"x")
    assert client.rejected == {"message_without_channel": 37}
    client = reused()
    for _ in range(30):
        client.receive_message(3, PayloadProtocol.BINARY, bytes(10_000))
    assert client.rejected == {"message_without_channel": 4}


@pytest.mark.parametrize("size", [1, 1000])
def test_c7_what_is_held_for_many_channels_is_bounded(size: int) -> None:
    """Threat C7: a peer that never answers our resets, on every stream it may use."""
    client = ChannelManager(True, 0)
    client.association_established()
    streams = tuple(range(1, 2 * MAX_CHANNELS, 2))
    for stream in streams:
        client.receive_message(stream, PayloadProtocol.DCEP, Open().serialize())
    client.streams_reset(streams)
    for stream in streams:
        client.receive_message(stream, PayloadProtocol.DCEP, Open().serialize())
        for _ in range(9):
            client.receive_message(stream, PayloadProtocol.BINARY, bytes(size))
    held = [data for channel in client._channels.values() for _, data in channel.held]
    assert len(held) <= MAX_HELD_MESSAGES
    assert sum(map(len, held)) <= MAX_HELD_BYTES
    assert len(held) + client.rejected["message_without_channel"] == 10 * MAX_CHANNELS


def test_held_messages_go_with_the_association() -> None:
    """Nothing is opened when everything ends."""
    client = reused()
    client.next_events()
    client.association_closed()
    assert [type(event) for event in client.next_events()] == [DataChannelClosed]


def test_ids_rest_before_they_are_used_again(link: Link) -> None:
    """In turn, over 256 of them; one that is taken is passed over."""
    numbers = []
    for _ in range(600):
        numbers.append(link.client.open_channel(Open()))
        link.run()
        link.client.close_channel(numbers[-1])
        link.run()
    assert numbers[:256] == list(range(0, 512, 2))
    assert numbers == [numbers[n % 256] for n in range(600)]
    kept = link.client.open_channel(Open(), negotiated=numbers[600 % 256])
    assert link.client.open_channel(Open()) == kept + 2


def test_end_of_the_association_closes_all(link: Link) -> None:
    """Every channel gets its last event."""
    channels = [link.client.open_channel(Open()) for _ in range(3)]
    link.client.next_events()
    link.client.association_closed()
    assert link.client.next_events() == [DataChannelClosed(channel=c) for c in channels]
    assert link.client.commands() == []


def test_negotiated_channels_need_no_message(link: Link) -> None:
    """An id agreed elsewhere exists on both sides at once, in any parity."""
    for side in (link.client, link.server):
        assert side.open_channel(Open(ordered=False), negotiated=7) == 7
    assert link.client.commands() == []
    link.client.send(7, b"x")
    link.run()
    assert link.sent[0].ordered is False  # type: ignore[union-attr]
    assert link.server.next_events()[-1] == DataChannelMessage(channel=7, data=b"x")


def test_the_peers_message_size_is_honoured() -> None:
    """Threat C8: a message that the peer would not take is the caller's error."""
    link = Link(max_message_size=10)
    link.establish()
    channel = link.client.open_channel(Open())
    link.client.send(channel, "x" * 10)
    with pytest.raises(UsageError):
        link.client.send(channel, "x" * 9 + "ü")


@pytest.mark.parametrize(
    "misuse",
    [
        lambda manager: manager.open_channel(Open(label="x" * 5000)),
        lambda manager: manager.open_channel(Open(), negotiated=65535),
        lambda manager: manager.open_channel(Open(), negotiated=-1),
        lambda manager: manager.open_channel(Open(), negotiated=manager.open_channel(Open())),
        lambda manager: [manager.open_channel(Open()) for _ in range(MAX_CHANNELS + 1)],
        lambda manager: manager.send(1000, "x"),
    ],
)
def test_misuse_is_refused(link: Link, misuse: Callable[[ChannelManager], object]) -> None:
    """The caller's mistakes raise at once."""
    with pytest.raises(UsageError):
        misuse(link.client)


class TestPeerMisbehaves:
    """What makes no sense is counted; the association and other channels go on."""

    @pytest.mark.parametrize(
        ("stream", "ppid", "data", "reason"),
        [
            (1, PayloadProtocol.DCEP, b"\x09", "dcep_malformed"),
            (1, PayloadProtocol.DCEP, Ack().serialize(), "ack_without_channel"),
            (0, PayloadProtocol.DCEP, Open().serialize(), "open_parity"),
            (65535, PayloadProtocol.DCEP, Open().serialize(), "open_parity"),
            (9, PayloadProtocol.STRING, b"hello", "message_without_channel"),
            (3, PayloadProtocol.STRING, b"\xff", "not_utf8"),
            (3, 52, b"partial", "payload_protocol"),
            (3, PayloadProtocol.DCEP, Open().serialize(), "open_twice"),
        ],
    )
    def test_is_counted(self, stream: int, ppid: int, data: bytes, reason: str) -> None:
        """Each kind by its reason, without an event."""
        client = ChannelManager(True, 0)
        client.association_established()
        client.receive_message(3, PayloadProtocol.DCEP, Open(label="good").serialize())
        client.next_events()
        client.receive_message(stream, ppid, data)
        assert client.rejected == {reason: 1}
        assert client.next_events() == []
        assert client.state(3) is ChannelState.OPEN

    def test_c7_open_on_every_stream(self) -> None:
        """At most 256 channels, whatever is asked for; the rest is answered with resets."""
        server = ChannelManager(False, 0)
        server.association_established()
        for stream in range(65536):
            server.receive_message(stream, PayloadProtocol.DCEP, Open(label="x").serialize())
            resets = [c for c in server.commands() if isinstance(c, ResetStreams)]
            assert len(resets) <= 1
        assert len(server) == MAX_CHANNELS
        assert server.rejected == {
            "open_parity": 32768,
            "too_many_channels": 32768 - MAX_CHANNELS,
        }

    def test_reset_of_unknown_streams(self, link: Link) -> None:
        """Nothing happens."""
        link.client.streams_reset((9, 11))
        link.client.reset_done((9,))
        assert link.client.next_events() == []
        assert link.client.commands() == []

    def test_reset_of_all_streams(self, link: Link) -> None:
        """RFC 6525 section 4.1: a request that names none means every stream."""
        link.client.open_channel(Open())
        link.client.open_channel(Open())
        link.run()
        link.client.streams_reset(())
        link.run()
        assert len(link.client) == len(link.server) == 0


def test_stats_count_messages_as_given() -> None:
    """RTCDataChannelStats: the messages of the application, not DCEP's, and no padding byte."""
    link = Link()
    link.establish()
    channel = link.client.open_channel(Open(label="chat", protocol="p"))
    link.run()
    for data in ("h\u00e9", b"12", "", b""):
        link.client.send(channel, data)
    link.run()
    (ours,), (theirs,) = link.client.stats(), link.server.stats()
    assert (ours.label, ours.protocol, ours.state) == ("chat", "p", "open")
    assert ours.data_channel_identifier == theirs.data_channel_identifier == channel
    assert (ours.messages_sent, ours.bytes_sent, ours.messages_received) == (4, 5, 0)
    assert (theirs.messages_received, theirs.bytes_received, theirs.bytes_sent) == (4, 5, 0)


def test_low_water_is_told_only_where_it_was_asked_for() -> None:
    """Every message empties the buffer some time; only who set a mark wants to know."""
    link = Link()
    link.establish()
    channel = link.client.open_channel(Open())
    link.run()
    link.client.next_events()
    link.client.buffered_amount_low(channel)
    link.client.buffered_amount_low(7)
    assert link.client.next_events() == []
    link.client.watch(channel)
    link.client.buffered_amount_low(channel)
    assert link.client.next_events() == [DataChannelBufferLow(channel=channel)]
    with pytest.raises(UsageError, match="not open"):
        link.client.watch(99)
