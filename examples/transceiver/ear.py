"""The caller's side of a call: what is heard, kept, detected, and committed as turns.

Called by the agent of a call. `TimeLine` says where a packet belongs, `TurnDetector` who
speaks, `InputBuffer` keeps what may become a turn; this joins them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from examples.transceiver.backend import AudioFrame, Turn
from examples.transceiver.frames import InputBuffer, TimeLine, milliseconds
from examples.transceiver.meter import LevelMeter
from examples.transceiver.turns import SpeechStopped, TurnDetector, TurnEvent, TurnSettings
from rtcproto.events import AudioReceived
from rtcproto.opus import samples_per_packet

__all__ = ["MAX_TURNS", "Ear"]

# Seconds between two packets that are decoded for their level; one that comes sooner
# is as loud as the one before. Decoding costs thirty times what a packet costs else, and
# a client decides whether it sends levels, and how many packets.
MEASURE_INTERVAL = 0.005

# Committed turns that are kept for an answer: the newest, and one that comes meanwhile.
MAX_TURNS = 2


class Ear:
    """One caller, heard."""

    __slots__ = ("_buffer", "_detecting", "_detector", "_line", "_measured", "_meter", "_turns")

    def __init__(self) -> None:
        self._line = TimeLine()
        self._buffer = InputBuffer()
        self._detector = TurnDetector(None)
        self._detecting = False
        self._meter: LevelMeter | None = None
        # When that was last used, and what it said.
        self._measured: tuple[float, int | None] = (-math.inf, None)
        # By item, what may be answered yet.
        self._turns: dict[str, Turn] = {}

    # Getters

    @property
    def audio_ms(self) -> int:
        """How much audio is held, milliseconds."""
        return self._buffer.audio_ms

    @property
    def forgotten(self) -> int:
        """Frames of turns that were too long."""
        return self._buffer.dropped

    # Inputs

    def hear(self, event: AudioReceived, now: float) -> AudioFrame | None:
        """Take a packet: the frame that it is, or None if it is no Opus."""
        duration = samples_per_packet(event.payload)
        if not duration:
            return None
        position = self._line.place(event.ssrc, event.timestamp, duration, now)
        level = event.level
        if level is None and self._detecting:
            level = self._measure(event.payload, now)
        frame = AudioFrame(event.payload, position, duration, level, event.voice)
        self._buffer.add(frame)
        self._detector.receive(frame, now)
        return frame

    def handle_timer(self, now: float) -> None:
        """Act on what is due: a turn that ends without a packet, an idle caller."""
        self._detector.handle_timer(now)

    # Verbs

    def configure(self, turn_detection: Mapping[str, Any] | None) -> None:
        """Detect turns like this from now on; None: not at all."""
        self._detecting = turn_detection is not None
        settings = None if turn_detection is None else TurnSettings.of(turn_detection)
        self._detector.configure(settings)

    def answer_started(self) -> None:
        """The caller hears an answer."""
        self._detector.response_started()

    def answer_ended(self, now: float) -> None:
        """The caller has heard it to its end."""
        self._detector.response_ended(self._line.at(now), now)

    def trim(self) -> None:
        """Forget what no turn can want any more. Turns that were told must be committed."""
        self._buffer.trim(self._detector.needed_from)

    def commit(self, item_id: str, start_ms: int | None, end_ms: int | None) -> Turn:
        """What was heard between two times, as a turn; None: all there is."""
        if end_ms is None:
            # Whatever comes from now on belongs to another turn.
            start_ms, end_ms = self._buffer.start_ms, milliseconds(self._line.end)
            self._detector.committed()
        turn = Turn(item_id, self._buffer.take(start_ms, end_ms), start_ms or 0, end_ms)
        self._turns[item_id] = turn
        while len(self._turns) > MAX_TURNS:
            del self._turns[next(iter(self._turns))]
        return turn

    def take_turn(self, item_id: str | None) -> Turn | None:
        """A turn that was committed, to be answered; it is kept no longer."""
        return None if item_id is None else self._turns.pop(item_id, None)

    def clear(self) -> None:
        """Forget what is not committed."""
        self._buffer.clear()
        self._detector.committed()

    def close(self) -> None:
        """Forget everything: the call is over."""
        self.configure(None)
        self._buffer.clear()
        self._turns.clear()

    # Outputs

    def next_events(self) -> list[TurnEvent]:
        """Drain what was detected."""
        events = self._detector.next_events()
        for event in events:
            if isinstance(event, SpeechStopped):
                self._line.passed(event.audio_end_ms * 48)
        return events

    def get_timer(self) -> float | None:
        """When to call `handle_timer` at the latest, or None."""
        return self._detector.get_timer()

    # Private

    def _measure(self, payload: bytes, now: float) -> int | None:
        if self._meter is None:
            self._meter = LevelMeter()
        if now - self._measured[0] >= MEASURE_INTERVAL:
            self._measured = now, self._meter.level_of(payload)
        return self._measured[1]
