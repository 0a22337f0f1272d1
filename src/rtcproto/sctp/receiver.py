"""The receiving half of an association: tracker and reassembly, and the limits on both.

RFC 9260 sections 6.2, 6.5 and 6.6, RFC 3758 section 3.6. Decides what of the
peer's data is taken. Called by the transfer; PeerError ends the association.
"""

from __future__ import annotations

from rtcproto.errors import PeerError
from rtcproto.sctp.chunks import Data, ForwardTsn, Sack
from rtcproto.sctp.config import SctpConfig
from rtcproto.sctp.data_tracker import MAX_AHEAD, Acknowledge, DataTracker
from rtcproto.sctp.events import MessageReceived
from rtcproto.sctp.reassembly import Reassembly

__all__ = ["Receiver"]


class Receiver:
    """What comes in, and what is said about it."""

    __slots__ = ("_forwarded", "_got_data", "_immediate", "_max_gaps", "_reassembly", "_tracker",
                 "invalid_stream", "received", "streams")  # fmt: skip

    def __init__(self, config: SctpConfig, first_tsn: int, streams: int) -> None:
        self._tracker = DataTracker(first_tsn)
        self._reassembly = Reassembly(
            config.receive_window, config.max_entries, config.max_message_size
        )
        self._max_gaps = config.max_entries
        # Streams that the peer may use.
        self.streams = streams
        # Of the packet at hand: whether it had data, and asked for an answer at once.
        self._got_data = False
        self._immediate = False
        # Or had a FORWARD-TSN. Another would have all that is held looked at again, for
        # eight bytes; nobody sends two, and one that counts is repeated.
        self._forwarded = False
        # A stream beyond that was used; the owner tells the peer.
        self.invalid_stream: int | None = None
        self.received = 0

    @property
    def cumulative(self) -> int:
        """The TSN up to which everything arrived, unwrapped."""
        return self._tracker.cumulative

    @property
    def due(self) -> Acknowledge:
        """How urgent a SACK is."""
        return self._tracker.due

    @property
    def charge(self) -> int:
        """What counts against the window."""
        return self._reassembly.charge

    def receive_data(self, chunk: Data) -> list[MessageReceived]:
        """A DATA chunk; the messages it completes. Raises PeerError."""
        if not chunk.data:
            # RFC 9260 section 6.2: "an ABORT chunk with a 'No User Data' error cause".
            raise PeerError("DATA without data")
        tracker, reassembly = self._tracker, self._reassembly
        self._got_data = True
        self._immediate |= chunk.immediate
        tsn = tracker.unwrapped(chunk.tsn)
        if not tracker.is_new(tsn):
            return []
        # Gaps cost memory as well, even where what lies between them was delivered.
        if not reassembly.has_room or tracker.gaps >= self._max_gaps:
            if reassembly.overflows:
                raise PeerError("more pieces than any window allows")
            if tsn != tracker.cumulative + 1:
                # Not recorded, so it will come again, when there may be room. What is
                # next in line is taken all the same: only it can make room.
                self._immediate = True
                return []
        tracker.record(tsn)
        if chunk.stream >= self.streams:
            self.invalid_stream = chunk.stream
            return []
        messages = reassembly.add(tsn, chunk)
        self.received += len(messages)
        return messages

    def receive_forward_tsn(self, chunk: ForwardTsn) -> list[MessageReceived]:
        """A FORWARD-TSN that was agreed on; ignored unless plausible, and the packet's first."""
        if self._forwarded:
            return []
        self._forwarded = True
        tracker = self._tracker
        tsn = tracker.unwrapped(chunk.cumulative)
        # An old one is answered as well: the SACK that it repeats was lost.
        self._got_data = True
        self._immediate = True
        if not tracker.cumulative < tsn <= tracker.cumulative + MAX_AHEAD:
            return []
        tracker.skip_to(tsn)
        streams = [pair for pair in chunk.streams if pair[0] < self.streams]
        messages = self._reassembly.skip(tsn, streams, next_is_missing=tracker.cumulative == tsn)
        self.received += len(messages)
        return messages

    def end_packet(self) -> bool:
        """All chunks of a packet were handed over; whether it had data."""
        if not self._got_data:
            return False
        self._tracker.end_packet(self._immediate)
        self._got_data = self._immediate = self._forwarded = False
        return True

    def acknowledge_now(self) -> None:
        """A SACK was held back long enough."""
        self._tracker.due = Acknowledge.NOW

    def sack(self) -> Sack:
        """The acknowledgement."""
        return self._tracker.sack(self._reassembly.window_left)

    def reset(self, streams: tuple[int, ...]) -> tuple[int, ...]:
        """The peer starts these streams over; what was reset."""
        return self._reassembly.reset(streams)
