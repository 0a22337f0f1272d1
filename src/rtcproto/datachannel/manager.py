"""The channels of one association: who owns which stream, opening, closing.

RFC 8831 section 6 and RFC 8832 section 6. Called by a session's data plane with
what the association reports; hands out commands for it. Knows no SCTP but
stream numbers and payload protocol identifiers.

Theory of operation: the DTLS client opens channels on even streams, the server
on odd ones (RFC 8832 section 6), so both may open without asking. An opener may
send at once, in order behind its OPEN; an unordered channel waits for the ACK,
or its messages could overtake the OPEN. A channel closes when both directions
are reset: one side resets its own, the other answers with a reset of its own.
A peer that has seen both resets may open another channel on the stream while we
still wait for the answer to ours: what it sends is held until then.
Negotiated channels (an id agreed elsewhere) exist on both sides without a
message. What the peer does wrong costs it that channel, never the association.
"""

from __future__ import annotations

import attrs

from rtcproto.datachannel.channel import (
    ChannelState,
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelEvent,
    DataChannelMessage,
    DataChannelOpened,
    DataChannelStats,
    PayloadProtocol,
    ResetStreams,
    SctpCommand,
    SendMessage,
)
from rtcproto.datachannel.dcep import Ack, Open, parse_dcep
from rtcproto.errors import ParseError, UsageError

__all__ = ["ChannelManager", "MAX_CHANNELS"]

# Channels of one session, both sides' together. A voice client opens one. Beyond
# it a peer's request is answered with a reset, our own with UsageError.
MAX_CHANNELS = 256

# The highest stream: 65535 is no stream, RFC 8832 section 6.
MAX_STREAM = 65534

# Messages, and their bytes, of channels that the peer opens on streams whose end it has
# seen and we have not, because the answer to our reset was lost. Of all channels together:
# SCTP has acknowledged them, so no window of its own bounds them.
MAX_HELD_MESSAGES = 256
MAX_HELD_BYTES = 262_144

# RFC 8831 section 6.6: SCTP has no empty messages, so one zero byte stands for none.
_EMPTY = b"\0"


@attrs.define(slots=True, eq=False)
class _Channel:
    parameters: Open
    state: ChannelState = ChannelState.CONNECTING
    incoming: bool = False
    # The peer has confirmed, so an unordered message cannot come before the OPEN.
    confirmed: bool = False
    # Which directions are reset.
    ours_reset: bool = False
    theirs_reset: bool = False
    # What came for the next channel on this stream, as (ppid, data), its bytes, and
    # whether that was reset again.
    held: list[tuple[int, bytes]] = attrs.field(factory=list)
    held_bytes: int = 0
    held_reset: bool = False
    # A low-water mark was set, so falling to it is news.
    watched: bool = False
    messages_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0


class ChannelManager:
    """The channels of one SCTP association: their ids, their opening and their closing.

    Hand it the association's events, drain its commands for the association and
    its events for the application; the module's docstring tells the rules.
    `is_client` is our DTLS role; `max_message_size` what the peer said it takes,
    in bytes (0: no limit).
    """

    __slots__ = (
        "_channels",
        "_commands",
        "_established",
        "_events",
        "_first",
        "_last",
        "_max_message_size",
        "rejected",
    )

    def __init__(self, is_client: bool, max_message_size: int) -> None:
        self._first = 0 if is_client else 1
        # The id that was given last.
        self._last = self._first - 2
        self._max_message_size = max_message_size
        self._channels: dict[int, _Channel] = {}
        self._established = False
        self._commands: list[SctpCommand] = []
        self._events: list[DataChannelEvent] = []
        # What the peer did that made no sense, by reason.
        self.rejected: dict[str, int] = {}

    # Getters

    def __len__(self) -> int:
        return len(self._channels)

    def state(self, channel: int) -> ChannelState:
        """The channel's state; CLOSED for one that is not, or no longer, there."""
        found = self._channels.get(channel)
        return ChannelState.CLOSED if found is None else found.state

    def stats(self) -> tuple[DataChannelStats, ...]:
        """One value per channel that exists."""
        return tuple(
            DataChannelStats(
                data_channel_identifier=number,
                label=channel.parameters.label,
                protocol=channel.parameters.protocol,
                state=channel.state.name.lower(),
                messages_sent=channel.messages_sent,
                bytes_sent=channel.bytes_sent,
                messages_received=channel.messages_received,
                bytes_received=channel.bytes_received,
            )
            for number, channel in self._channels.items()
        )

    # Inputs

    def association_established(self) -> None:
        """The association is up: channels that waited are opened."""
        self._established = True
        for number, channel in list(self._channels.items()):
            self._begin(number, channel)

    def association_closed(self) -> None:
        """The association is gone, and every channel with it."""
        self._established = False
        for number in list(self._channels):
            self._remove(number)
        self._commands.clear()

    def receive_message(self, stream: int, ppid: int, data: bytes) -> None:
        """A message came on a stream."""
        channel = self._channels.get(stream)
        if channel is not None and channel.theirs_reset:
            self._hold(channel, ppid, data)
            return
        if ppid == PayloadProtocol.DCEP:
            self._receive_dcep(stream, channel, data)
            return
        if channel is None:
            self._reject("message_without_channel")
            return
        # RFC 8832 section 6: a message is as good an answer as an ACK.
        channel.confirmed = True
        message: str | bytes
        match ppid:
            case PayloadProtocol.STRING:
                try:
                    message = data.decode()
                except UnicodeDecodeError:
                    self._reject("not_utf8")
                    return
            case PayloadProtocol.BINARY:
                message = data
            case PayloadProtocol.STRING_EMPTY:
                message, data = "", b""
            case PayloadProtocol.BINARY_EMPTY:
                message = data = b""
            case _:
                self._reject("payload_protocol")
                return
        channel.messages_received += 1
        channel.bytes_received += len(data)
        self._events.append(DataChannelMessage(channel=stream, data=message))

    def message_queued(self, command: SendMessage) -> None:
        """The association took a message of ours: it counts as sent."""
        channel = self._channels.get(command.stream)
        if channel is None or command.ppid == PayloadProtocol.DCEP:
            return
        channel.messages_sent += 1
        if command.ppid in (PayloadProtocol.STRING, PayloadProtocol.BINARY):
            channel.bytes_sent += len(command.data)

    def buffered_amount_low(self, stream: int) -> None:
        """What waits on a stream fell to its threshold."""
        channel = self._channels.get(stream)
        if channel is not None and channel.watched:
            self._events.append(DataChannelBufferLow(channel=stream))

    def streams_reset(self, streams: tuple[int, ...]) -> None:
        """The peer reset its outgoing side of these; none named means all, RFC 6525 4.1."""
        for stream in streams or tuple(self._channels):
            channel = self._channels.get(stream)
            if channel is None:
                continue
            if channel.held:
                channel.held_reset = True
                continue
            channel.theirs_reset = True
            # RFC 8831 section 6.7: "the other side ... resets the corresponding
            # outgoing stream" in answer.
            self._start_closing(stream, channel)
            self._finish_closing(stream, channel)

    def reset_done(self, streams: tuple[int, ...]) -> None:
        """Our reset of these was acknowledged."""
        for stream in streams:
            channel = self._channels.get(stream)
            if channel is not None and channel.state is ChannelState.CLOSING:
                channel.ours_reset = True
                self._finish_closing(stream, channel)

    # Verbs

    def open_channel(self, parameters: Open, *, negotiated: int | None = None) -> int:
        """Open a channel; returns its id, usable at once for `send` where it is ordered.

        `negotiated` is the id both sides agreed on elsewhere. Raises UsageError if
        it is taken or out of range, if no id is free, or at `MAX_CHANNELS`.
        """
        if len(self._channels) >= MAX_CHANNELS:
            raise UsageError(f"at most {MAX_CHANNELS} channels")
        parameters.serialize()  # raises for what could not be sent
        if negotiated is None:
            number = self._last = self._free_id()
            channel = _Channel(parameters)
        else:
            number = negotiated
            if not 0 <= number <= MAX_STREAM:
                raise UsageError(f"a channel id is 0 to {MAX_STREAM}")
            if number in self._channels:
                raise UsageError("the channel id is in use")
            channel = _Channel(parameters, confirmed=True)
        self._channels[number] = channel
        if self._established:
            self._begin(number, channel)
        return number

    def send(self, channel: int, data: str | bytes) -> None:
        """Send text or bytes. Raises UsageError unless the channel is open and takes it."""
        found = self._channels.get(channel)
        if found is None or found.state is not ChannelState.OPEN:
            raise UsageError("the channel is not open")
        if isinstance(data, str):
            try:
                payload = data.encode()
            except UnicodeEncodeError:
                raise UsageError("text must be what UTF-8 can carry") from None
            ppid = PayloadProtocol.STRING if payload else PayloadProtocol.STRING_EMPTY
        else:
            if not isinstance(data, bytes):
                raise UsageError(f"a message is str or bytes, not {type(data).__name__}")
            payload = data
            ppid = PayloadProtocol.BINARY if payload else PayloadProtocol.BINARY_EMPTY
        if self._max_message_size and len(payload) > self._max_message_size:
            raise UsageError(f"the peer takes messages of up to {self._max_message_size} bytes")
        parameters = found.parameters
        lifetime = parameters.lifetime
        self._commands.append(
            SendMessage(
                stream=channel,
                ppid=ppid,
                data=payload or _EMPTY,
                # RFC 8832 section 6: ordered until the peer is known to know the channel.
                ordered=parameters.ordered or not found.confirmed,
                max_retransmits=parameters.max_retransmits,
                lifetime=None if lifetime is None else lifetime / 1000,
            )
        )

    def watch(self, channel: int) -> None:
        """Report from now on when what waits on the channel falls to its low-water mark.

        Raises UsageError unless the channel is open.
        """
        found = self._channels.get(channel)
        if found is None or found.state is not ChannelState.OPEN:
            raise UsageError("the channel is not open")
        found.watched = True

    def close_channel(self, channel: int) -> None:
        """Close a channel once what is queued was sent; no effect on one that is closing."""
        found = self._channels.get(channel)
        if found is not None:
            self._start_closing(channel, found)

    # Outputs

    def commands(self) -> list[SctpCommand]:
        """Drain what the association is to do."""
        commands, self._commands = self._commands, []
        return commands

    def next_events(self) -> list[DataChannelEvent]:
        """Drain what happened."""
        events, self._events = self._events, []
        return events

    # Private

    def _free_id(self) -> int:
        # In turn, so that a stream rests before it is used again: the peer may learn
        # of its end later than we do. Low ones, because peers take few streams; of so
        # many, one is always free.
        number: int = self._last
        while True:
            number = self._first + (number + 2 - self._first) % (2 * MAX_CHANNELS)
            if number not in self._channels:
                return number

    def _hold(self, channel: _Channel, ppid: int, data: bytes) -> None:
        """What comes after the peer's reset is for the next channel, which begins with OPEN."""
        opens = ppid == PayloadProtocol.DCEP and data[:1] != Ack().serialize()
        channels = self._channels.values()
        full = sum(len(each.held) for each in channels) >= MAX_HELD_MESSAGES
        size = len(data) + sum(each.held_bytes for each in channels)
        if not (opens or channel.held) or full or size > MAX_HELD_BYTES:
            self._reject("message_without_channel")
            return
        channel.held.append((ppid, data))
        channel.held_bytes += len(data)

    def _begin(self, number: int, channel: _Channel) -> None:
        """Announce a channel of ours on an association that is up."""
        if not channel.confirmed:
            message = channel.parameters.serialize()
            self._commands.append(
                SendMessage(stream=number, ppid=PayloadProtocol.DCEP, data=message)
            )
        self._set_open(number, channel)

    def _set_open(self, number: int, channel: _Channel) -> None:
        if channel.state is ChannelState.CONNECTING:
            channel.state = ChannelState.OPEN
            self._events.append(
                DataChannelOpened(
                    channel=number, parameters=channel.parameters, incoming=channel.incoming
                )
            )

    def _receive_dcep(self, stream: int, channel: _Channel | None, data: bytes) -> None:
        try:
            message = parse_dcep(data)
        except ParseError:
            self._reject("dcep_malformed")
            return
        if isinstance(message, Ack):
            if channel is None:
                self._reject("ack_without_channel")
            else:
                channel.confirmed = True
            return
        if channel is not None:
            # RFC 8832 section 6: an OPEN on a stream in use is an error of the peer.
            self._reject("open_twice")
            return
        if stream % 2 == self._first or stream > MAX_STREAM:
            self._reject("open_parity")
            self._commands.append(ResetStreams(streams=(stream,)))
            return
        if len(self._channels) >= MAX_CHANNELS:
            self._reject("too_many_channels")
            self._commands.append(ResetStreams(streams=(stream,)))
            return
        channel = self._channels[stream] = _Channel(message, incoming=True, confirmed=True)
        self._commands.append(
            SendMessage(stream=stream, ppid=PayloadProtocol.DCEP, data=Ack().serialize())
        )
        self._set_open(stream, channel)

    def _start_closing(self, number: int, channel: _Channel) -> None:
        if channel.state is ChannelState.CLOSING:
            return
        if channel.state is ChannelState.CONNECTING:
            # The peer never heard of it.
            self._remove(number)
            return
        channel.state = ChannelState.CLOSING
        self._commands.append(ResetStreams(streams=(number,)))

    def _finish_closing(self, number: int, channel: _Channel) -> None:
        if channel.ours_reset and channel.theirs_reset:
            self._remove(number)

    def _remove(self, number: int) -> None:
        channel = self._channels.pop(number, None)
        if channel is None:
            return
        self._events.append(DataChannelClosed(channel=number))
        if self._established:
            for ppid, data in channel.held:
                self.receive_message(number, ppid, data)
            if channel.held_reset:
                self.streams_reset((number,))

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
