"""Fragments become messages, messages come in order: RFC 9260 sections 6.5, 6.6 and 6.9.

Neighbouring fragments of one message form a *run*, found by its first or last
TSN, so every fragment is placed in constant time. A run that begins and ends is a
message: delivered at once if unordered, else when the stream's turn comes. A message
in one piece and in order, which is nearly every message, is not stored at all.

What is held is bounded: each piece is charged its bytes and `ENTRY_OVERHEAD`. Beyond
the window, or `max_entries`, `has_room` is False and the transfer takes only what
moves the cumulative TSN; beyond twice that, it aborts. Called by the transfer.
Refused with PeerError: DATA without data, and a message over the limit.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcproto._serial import distance
from rtcproto.errors import PeerError
from rtcproto.sctp.chunks import Data
from rtcproto.sctp.events import MessageReceived

__all__ = ["ENTRY_OVERHEAD", "Reassembly"]

# What a held piece costs beside its bytes: object headers, its place in a list, its
# share of a run. (A one-byte chunk takes about 230 bytes in CPython.)
ENTRY_OVERHEAD = 256


class _Run:
    """Neighbouring fragments of one message."""

    __slots__ = ("begins", "ends", "first", "last", "parts", "ppid", "size", "ssn", "stream",
                 "unordered")  # fmt: skip

    def __init__(self, tsn: int, chunk: Data) -> None:
        self.first = tsn
        self.last = tsn
        self.begins = chunk.beginning
        self.ends = chunk.ending
        self.parts = [chunk.data]
        self.size = len(chunk.data)
        self.stream = chunk.stream
        self.ssn = chunk.ssn
        self.ppid = chunk.ppid
        self.unordered = chunk.unordered

    def belongs_with(self, other: _Run) -> bool:
        """Whether `other`, which follows directly, continues this message."""
        return (
            not self.ends
            and not other.begins
            and self.stream == other.stream
            and self.unordered == other.unordered
            and (self.unordered or self.ssn == other.ssn)
        )

    def append(self, other: _Run) -> None:
        """Take over what follows directly."""
        self.last = other.last
        self.ends = other.ends
        self.parts += other.parts
        self.size += other.size


class _Stream:
    """Order on one stream: the SSN that is next, and whole messages that came too early."""

    __slots__ = ("early", "next_ssn")

    def __init__(self) -> None:
        self.next_ssn = 0
        # SSN -> (ppid, data, pieces)
        self.early: dict[int, tuple[int, bytes, int]] = {}

    def passed(self, steps: int) -> list[int]:
        """Which of the next `steps` SSNs came early, in order."""
        early, next_ssn = self.early, self.next_ssn
        if steps <= len(early):
            # Whoever steps on by one each time must not have all of them looked at each time.
            return [ssn for n in range(steps) if (ssn := next_ssn + n & 0xFFFF) in early]
        ahead = sorted((distance(next_ssn, ssn, 16), ssn) for ssn in early)
        return [ssn for offset, ssn in ahead if 0 <= offset < steps]


class Reassembly:
    """What arrived and cannot be delivered yet."""

    __slots__ = ("_by_first", "_by_last", "_max_entries", "_max_message", "_streams", "_window",
                 "entries", "held")  # fmt: skip

    def __init__(self, window: int, max_entries: int, max_message: int) -> None:
        self._window = window
        self._max_entries = max_entries
        self._max_message = max_message
        self._by_first: dict[int, _Run] = {}
        self._by_last: dict[int, _Run] = {}
        self._streams: dict[int, _Stream] = {}
        # Pieces held, and their bytes.
        self.entries = 0
        self.held = 0

    @property
    def charge(self) -> int:
        """What is held, with overhead."""
        return self.held + self.entries * ENTRY_OVERHEAD

    @property
    def window_left(self) -> int:
        """What may still come: the a_rwnd to announce."""
        return max(0, self._window - self.charge)

    @property
    def has_room(self) -> bool:
        """Whether another piece is welcome wherever it belongs."""
        return self.entries < self._max_entries and self.charge < self._window

    @property
    def overflows(self) -> bool:
        """Whether the peer has ignored every limit."""
        return self.entries >= 2 * self._max_entries or self.charge >= 2 * self._window

    def add(self, tsn: int, chunk: Data) -> list[MessageReceived]:
        """Place a fragment that came for the first time; what it completes. PeerError."""
        if chunk.beginning and chunk.ending:
            if len(chunk.data) > self._max_message:
                raise PeerError("a message over the limit")
            if chunk.unordered:
                return [MessageReceived(chunk.stream, chunk.ppid, chunk.data)]
            return self._in_order(chunk.stream, chunk.ssn, chunk.ppid, chunk.data, 1, held=False)
        self.entries += 1
        self.held += len(chunk.data)
        run = self._extend(tsn, chunk) or self._join(_Run(tsn, chunk))
        if run is None:
            return []
        if run.size > self._max_message:
            raise PeerError("a message over the limit")
        if not (run.begins and run.ends):
            self._by_first[run.first] = run
            self._by_last[run.last] = run
            return []
        data = b"".join(run.parts)
        pieces = len(run.parts)
        if run.unordered:
            self._release(data, pieces)
            return [MessageReceived(run.stream, run.ppid, data)]
        return self._in_order(run.stream, run.ssn, run.ppid, data, pieces, held=True)

    def skip(
        self, tsn: int, streams: Sequence[tuple[int, int]], *, next_is_missing: bool
    ) -> list[MessageReceived]:
        """FORWARD-TSN: up to `tsn` nothing more comes; ordered streams go on behind their SSN.

        `next_is_missing` says that the TSN behind it did not arrive yet.
        """
        skipped = dict(streams)
        for run in [run for run in self._by_first.values() if run.first <= tsn]:
            # A message that goes on behind `tsn` may be alive: whole so far, and not named.
            goes_on = run.last > tsn or (run.last == tsn and next_is_missing)
            alive = run.begins and goes_on and not self._is_skipped(run, skipped)
            if not alive:
                self._drop(run)
        messages = []
        for stream_id, ssn in skipped.items():
            stream = self._stream(stream_id)
            # What is whole is delivered in its order, missing ones are passed over.
            steps = distance(stream.next_ssn, ssn, 16) + 1
            if steps <= 0:
                continue
            messages += [
                self._deliver(stream_id, *stream.early.pop(number))
                for number in stream.passed(steps)
            ]
            stream.next_ssn = ssn + 1 & 0xFFFF
            messages += self._deliver_ready(stream_id, stream)
        return messages

    def reset(self, streams: Sequence[int]) -> tuple[int, ...]:
        """The peer's SSNs start over; without names on all streams. What was reset."""
        names = tuple(streams) or tuple(self._streams)
        for stream_id in names:
            stream = self._streams.pop(stream_id, None)
            if stream is not None:
                for _, data, pieces in stream.early.values():
                    self._release(data, pieces)
        return names

    # Runs

    def _extend(self, tsn: int, chunk: Data) -> _Run | None:
        """The run before, with this fragment, where nothing follows yet: `_join` for the usual."""
        run = self._by_last.get(tsn - 1)
        if (
            run is None
            or run.ends
            or chunk.beginning
            or run.stream != chunk.stream
            or run.unordered != chunk.unordered
            or (run.ssn != chunk.ssn and not run.unordered)
            or tsn + 1 in self._by_first
        ):
            return None
        self._unlist(run)
        run.last = tsn
        run.ends = chunk.ending
        run.parts.append(chunk.data)
        run.size += len(chunk.data)
        return run

    def _join(self, run: _Run) -> _Run | None:
        """The run with its neighbours; None if what follows shows that its rest was given up."""
        left = self._by_last.get(run.first - 1)
        if left is not None:
            if left.belongs_with(run):
                self._unlist(left)
                left.append(run)
                run = left
            elif not left.ends:
                self._drop(left)
        right = self._by_first.get(run.last + 1)
        if right is not None:
            if run.belongs_with(right):
                self._unlist(right)
                run.append(right)
            elif not run.ends:
                self.entries -= len(run.parts)
                self.held -= run.size
                return None
        return run

    def _unlist(self, run: _Run) -> None:
        del self._by_first[run.first]
        del self._by_last[run.last]

    def _drop(self, run: _Run) -> None:
        self._unlist(run)
        self.entries -= len(run.parts)
        self.held -= run.size

    def _is_skipped(self, run: _Run, skipped: dict[int, int]) -> bool:
        ssn = None if run.unordered else skipped.get(run.stream)
        return ssn is not None and distance(run.ssn, ssn, 16) >= 0

    # Order

    def _stream(self, stream_id: int) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            self._streams[stream_id] = stream = _Stream()
        return stream

    def _in_order(
        self, stream_id: int, ssn: int, ppid: int, data: bytes, pieces: int, *, held: bool
    ) -> list[MessageReceived]:
        stream = self._stream(stream_id)
        ahead = distance(stream.next_ssn, ssn, 16)
        if ahead < 0 or ssn in stream.early:
            # An SSN that had its turn; its TSN is new, so the sender counts wrongly.
            if held:
                self._release(data, pieces)
            return []
        if not held:
            if not ahead:
                stream.next_ssn = ssn + 1 & 0xFFFF
                first = MessageReceived(stream_id, ppid, data)
                return [first, *self._deliver_ready(stream_id, stream)] if stream.early else [first]
            self.entries += 1
            self.held += len(data)
        stream.early[ssn] = (ppid, data, pieces)
        return [] if ahead else self._deliver_ready(stream_id, stream)

    def _deliver_ready(self, stream_id: int, stream: _Stream) -> list[MessageReceived]:
        messages = []
        while (early := stream.early.pop(stream.next_ssn, None)) is not None:
            stream.next_ssn = stream.next_ssn + 1 & 0xFFFF
            messages.append(self._deliver(stream_id, *early))
        return messages

    def _deliver(self, stream_id: int, ppid: int, data: bytes, pieces: int) -> MessageReceived:
        self._release(data, pieces)
        return MessageReceived(stream_id, ppid, data)

    def _release(self, data: bytes, pieces: int) -> None:
        self.entries -= pieces
        self.held -= len(data)
