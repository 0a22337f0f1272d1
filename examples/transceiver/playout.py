"""The pacer of a call: answers leave as fast as they are heard, and stop at once.

A backend may hand over a whole answer in a moment; it waits here, and one Opus packet
leaves when the one before is over, whatever its duration. So what the caller has
heard is known exactly, and an interruption takes back all the rest.

Called by the agent of a call; Sans-IO. Answers are heard one after the other, in the
order of `begin`. RTP timestamps follow the clock: within an answer without a gap, and
over silence they jump, with the marker bit on the first packet behind it.

A pacer that wakes late, or a backend that delivers late, catches up without a gap as
long as it is behind by no more than `CATCH_UP`; beyond it the rest is heard later,
never faster: nothing is dropped, and no more than `CATCH_UP` of audio leaves at once.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TypeAlias

import attrs

from examples.transceiver.histogram import Histogram
from rtcproto.opus import samples_per_packet

__all__ = [
    "CATCH_UP",
    "MAX_PACKET",
    "MAX_QUEUED",
    "PacedFrame",
    "Playout",
    "PlayoutEvent",
    "Started",
    "Stopped",
]

_RATE = 48_000

# Seconds that may be caught up: three frames of 20 ms, which every jitter buffer takes.
CATCH_UP = 0.06

# Samples that may wait: ten minutes, as a backend without back-pressure may generate.
# What comes beyond is dropped and counted.
MAX_QUEUED = 600 * _RATE

# Bytes of a packet that a session sends at most.
MAX_PACKET = 1150

# How close to a point of the grid a time may be to be that point, in steps of the grid.
_SAME = 1e-3

# A deadline is due if it is less than this away, seconds: one sample.
_EPSILON = 1 / _RATE


@attrs.frozen
class PacedFrame:
    """One packet to be sent now. `timestamp` counts 48 kHz samples from any start."""

    payload: bytes
    timestamp: int
    marker: bool
    level: int | None


@attrs.frozen
class Started:
    """The first packet of an answer leaves."""

    response_id: str


@attrs.frozen
class Stopped:
    """The last packet of an answer is over."""

    response_id: str


PlayoutEvent: TypeAlias = Started | Stopped


class _Response:
    __slots__ = ("finished", "frames", "response_id", "sent")

    def __init__(self, response_id: str) -> None:
        self.response_id = response_id
        # Payload, samples, level, and when it was handed over.
        self.frames: deque[tuple[bytes, int, int | None, float]] = deque()
        self.sent = 0
        self.finished = False


class Playout:
    """What waits to be heard in one call. `lateness` counts seconds that packets left late.

    `grid` is that of whoever serves the deadlines, seconds: an answer begins on one of its
    points, so that its later packets are due when somebody looks.
    """

    __slots__ = (
        "_events",
        "_grid",
        "_next",
        "_queued",
        "_responses",
        "_timestamp",
        "dropped",
        "lateness",
    )

    def __init__(self, grid: float = 0.0) -> None:
        self._grid = grid
        self._responses: deque[_Response] = deque()
        # When the packet before is over, and the timestamp that follows it.
        self._next: float | None = None
        self._timestamp = 0
        self._queued = 0
        self._events: list[PlayoutEvent] = []
        # Packets that could not be queued: no Opus, too large, or too many.
        self.dropped = 0
        self.lateness = Histogram()

    # Getters

    @property
    def playing(self) -> str | None:
        """The answer that is being heard."""
        for response in self._responses:
            if response.sent:
                return response.response_id
        return None

    @property
    def queued_ms(self) -> int:
        """Milliseconds of audio that wait."""
        return self._queued // 48

    def sent_ms(self, response_id: str) -> int:
        """Milliseconds that were sent of an answer that is not over; else 0."""
        response = self._find(response_id)
        return 0 if response is None else response.sent // 48

    # Verbs

    def begin(self, response_id: str) -> None:
        """Make room for an answer behind those that wait. No effect the second time."""
        if self._find(response_id) is None:
            self._responses.append(_Response(response_id))

    def add(self, response_id: str, payload: bytes, now: float, level: int | None = None) -> None:
        """Queue one Opus packet of an answer that was begun and neither finished nor stopped."""
        response = self._find(response_id)
        duration = samples_per_packet(payload)
        if (
            response is None
            or response.finished
            or not duration
            or len(payload) > MAX_PACKET
            or self._queued + duration > MAX_QUEUED
        ):
            self.dropped += 1
            return
        response.frames.append((payload, duration, level, now))
        self._queued += duration

    def finish(self, response_id: str) -> None:
        """No more of this answer comes. `Stopped` follows once it was heard, if it was begun."""
        response = self._find(response_id)
        if response is not None:
            response.finished = True
            if not response.frames and not response.sent:
                self._responses.remove(response)

    def stop(self, response_id: str) -> int:
        """Send nothing more of an answer; the milliseconds that were sent of it."""
        response = self._find(response_id)
        if response is None:
            return 0
        self._responses.remove(response)
        self._queued -= sum(frame[1] for frame in response.frames)
        return response.sent // 48

    # Inputs

    def handle_timer(self, now: float) -> list[PacedFrame]:
        """The packets that are due at `now`, in order."""
        out: list[PacedFrame] = []
        responses = self._responses
        while responses:
            response = responses[0]
            if not response.frames:
                if not response.finished or not self._is_over(now):
                    break
                responses.popleft()
                self._events.append(Stopped(response.response_id))
                continue
            payload, duration, level, given = response.frames[0]
            # It could not leave before the one before was over, nor before it was there.
            due = given if self._next is None else max(self._next, given)
            if due > now + _EPSILON:
                break
            response.frames.popleft()
            self._queued -= duration
            self.lateness.add(now - due)
            out.append(PacedFrame(payload, *self._place(now), level))
            assert self._next is not None, "placing a packet sets when it is over"
            self._next += duration / _RATE
            self._timestamp += duration
            if not response.sent:
                self._events.append(Started(response.response_id))
            response.sent += duration
        return out

    # Outputs

    def next_events(self) -> list[PlayoutEvent]:
        """Drain what began and what is over."""
        events, self._events = self._events, []
        return events

    def get_timer(self) -> float | None:
        """When to call `handle_timer` at the latest, or None: nothing waits."""
        if not self._responses:
            return None
        response = self._responses[0]
        if response.frames:
            given = response.frames[0][3]
            return given if self._next is None else max(self._next, given)
        return self._next if response.finished else None

    # Private

    def _find(self, response_id: str) -> _Response | None:
        for response in self._responses:
            if response.response_id == response_id:
                return response
        return None

    def _is_over(self, now: float) -> bool:
        return self._next is None or self._next <= now + _EPSILON

    def _place(self, now: float) -> tuple[int, bool]:
        """The timestamp of a packet that leaves now, and whether it comes after a gap."""
        if self._next is None:
            self._next = self._point(now)
            return self._timestamp, True
        behind = self._point(now) - self._next
        if behind <= CATCH_UP:
            return self._timestamp, False
        # In whole milliseconds: every duration of an Opus packet but 2.5 ms is.
        self._timestamp += round(behind * 1000) * 48
        self._next = self._point(now)
        return self._timestamp, True

    def _point(self, now: float) -> float:
        """The point of the grid that was served at `now`, or a little before it."""
        return math.floor(now / self._grid + _SAME) * self._grid if self._grid else now
