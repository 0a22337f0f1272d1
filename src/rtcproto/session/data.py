"""The data plane: SCTP and the data channels of one session.

Called by the session's planes with what comes out of DTLS. Knows both the
association and the manager of the channels, which do not know each other; hands
out packets for DTLS and events for the application.

Theory of operation: nothing is taken or sent before `start`, that is before the
fingerprint matched and the path is proven; what comes early is held. Then the
association begins at once, whether or not a channel waits, because the peer does the
same. The association may end (the peer aborts it, or breaks a limit): its channels end
with it, and the call goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from rtcproto.datachannel import (
    ChannelManager,
    DataChannelEvent,
    DataChannelStats,
    Open,
    ResetStreams,
    SctpCommand,
    SendMessage,
)
from rtcproto.errors import BufferFull, UsageError
from rtcproto.sctp import (
    Association,
    AssociationClosed,
    BufferedAmountLow,
    Established,
    MessageAbandoned,
    MessageReceived,
    ResetDone,
    SctpEvent,
    StreamsReset,
)
from rtcproto.sdp import DataNegotiated
from rtcproto.session.stats import SctpTransportStats

__all__ = ["DataPlane"]

# Packets that overtake the end of the set-up: a peer's INIT and its repetitions.
MAX_EARLY_PACKETS = 16

# What channels want of an association whose send buffer is full. Two for each of 256
# channels; a peer that opens and resets without reading loses its answers beyond.
MAX_WAITING_COMMANDS = 512


class DataPlane:
    """Data channels over `association`, which must not have been started.

    `is_client` is our DTLS role. What `negotiated` says of the peer is told to the
    association here.
    """

    __slots__ = (
        "_association",
        "_deadline",
        "_dropped",
        "_early",
        "_manager",
        "_over",
        "_remote_init",
        "_started",
        "_waiting",
    )

    def __init__(
        self, association: Association, negotiated: DataNegotiated, is_client: bool
    ) -> None:
        association.set_remote(negotiated.remote_port, negotiated.remote_max_message_size)
        self._association = association
        self._manager = ChannelManager(is_client, negotiated.remote_max_message_size)
        self._remote_init = negotiated.remote_init
        # The association's, as of its last change: asked for with every audio packet.
        self._deadline: float | None = None
        self._started = False
        self._over = False
        self._early: list[bytes] = []
        self._waiting: list[SctpCommand] = []
        self._dropped: dict[str, int] = {}

    # Getters

    @property
    def dropped(self) -> dict[str, int]:
        """What was dropped here and what the peer asked for in vain, by reason."""
        return {**self._manager.rejected, **self._dropped}

    def buffered_amount(self, channel: int) -> int:
        """Bytes on the channel that have not been sent for the first time."""
        return self._association.buffered_amount(channel)

    def channel_stats(self) -> tuple[DataChannelStats, ...]:
        """One value per channel."""
        return self._manager.stats()

    def transport_stats(self) -> SctpTransportStats:
        """The figures of the association."""
        stats = self._association.stats()
        return SctpTransportStats(
            state=stats.state.name.lower(),
            smoothed_round_trip_time=stats.round_trip_time,
            congestion_window=stats.congestion_window,
            receiver_window=stats.peer_receive_window,
            bytes_in_flight=stats.bytes_in_flight,
            retransmissions=stats.retransmissions,
            messages_abandoned=stats.messages_abandoned,
            packets_dropped=stats.packets_dropped,
        )

    # Inputs

    def receive(self, packets: Sequence[bytes], now: float) -> None:
        """Take SCTP packets that DTLS has authenticated."""
        for packet in packets:
            if self._started:
                self._association.receive_packet(packet, now)
            elif len(self._early) < MAX_EARLY_PACKETS:
                self._early.append(packet)
            else:
                self._drop("sctp_early")
        self._pump(now)

    def handle_timer(self, now: float) -> None:
        """Act on deadlines at or before `now`."""
        if self._deadline is not None and self._deadline <= now:
            self._association.handle_timer(now)
            self._pump(now)

    # Verbs

    def start(self, now: float) -> None:
        """The session is connected: bring the association up."""
        self._started = True
        if self._remote_init is None:
            self._association.start(now)
        else:
            # Looked into when the description was: it cannot fail now.
            self._association.start_with(self._remote_init, now)
        early, self._early = self._early, []
        self.receive(early, now)

    def open_channel(self, parameters: Open, negotiated: int | None, now: float) -> int:
        """Open a channel; see `Session.open_channel`."""
        if self._over:
            raise UsageError("the SCTP association is over")
        channel = self._manager.open_channel(parameters, negotiated=negotiated)
        self._pump(now)
        return channel

    def send_message(self, channel: int, data: str | bytes, now: float) -> None:
        """Queue one message; see `Session.send_message`."""
        if self._waiting:
            raise BufferFull("the send buffer is full")
        self._manager.send(channel, data)
        for command in self._manager.commands():
            self._carry_out(command, now)
        self._pump(now)

    def close_channel(self, channel: int, now: float) -> None:
        """Close a channel; see `Session.close_channel`."""
        self._manager.close_channel(channel)
        self._pump(now)

    def set_low_threshold(self, channel: int, amount: int) -> None:
        """Set a low-water mark; see `Session.set_buffered_amount_low_threshold`."""
        self._manager.watch(channel)
        self._association.set_buffered_amount_low_threshold(channel, amount)

    def close(self) -> None:
        """The session is over, and every channel with it."""
        self._over = True
        self._deadline = None
        self._manager.association_closed()

    # Outputs

    def packets_to_send(self) -> list[bytes]:
        """Drain the packets for DTLS."""
        return self._association.packets_to_send()

    def next_events(self) -> list[DataChannelEvent]:
        """Drain what happened to the channels."""
        return self._manager.next_events()

    def get_timer(self) -> float | None:
        """The next deadline, or None."""
        return self._deadline

    # Private

    def _pump(self, now: float) -> None:
        self._take_events()
        commands, self._waiting = self._waiting + self._manager.commands(), []
        for number, command in enumerate(commands):
            try:
                self._carry_out(command, now)
            except BufferFull:
                self._wait(commands[number:])
                break
            except UsageError:
                # The association is on its way down, or never got there.
                self._drop("sctp_closing")
        # Sending may leave a buffer at its low-water mark at once.
        self._take_events()
        self._deadline = self._association.get_timer()

    def _take_events(self) -> None:
        for event in self._association.next_events():
            self._on_sctp(event)

    def _wait(self, commands: list[SctpCommand]) -> None:
        self._waiting = commands[:MAX_WAITING_COMMANDS]
        for _ in commands[MAX_WAITING_COMMANDS:]:
            self._drop("sctp_full")

    def _carry_out(self, command: SctpCommand, now: float) -> None:
        match command:
            case SendMessage():
                self._association.send_message(
                    command.stream,
                    command.ppid,
                    command.data,
                    now,
                    ordered=command.ordered,
                    max_retransmits=command.max_retransmits,
                    lifetime=command.lifetime,
                )
                self._manager.message_queued(command)
            case ResetStreams(streams=streams):
                try:
                    self._association.reset_streams(streams, now)
                except UsageError:
                    # The peer knows no resets (RFC 6525): it will never answer, so the
                    # channel is gone for us; its stream is not used again.
                    self._manager.reset_done(streams)
                    self._manager.streams_reset(streams)
            case _:
                assert_never(command)

    def _on_sctp(self, event: SctpEvent) -> None:
        match event:
            case Established():
                self._manager.association_established()
            case MessageReceived(stream=stream, ppid=ppid, data=data):
                self._manager.receive_message(stream, ppid, data)
            case StreamsReset(streams=streams):
                self._manager.streams_reset(streams)
            case ResetDone(streams=streams):
                self._manager.reset_done(streams)
            case BufferedAmountLow(stream=stream):
                self._manager.buffered_amount_low(stream)
            case MessageAbandoned():
                pass  # counted in the statistics
            case AssociationClosed():
                self.close()
            case _:
                assert_never(event)

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
