"""Turn detection without decoding: who speaks is heard in the levels that packets carry.

A client says in every packet how loud it is (RFC 6464). Speech begins with enough
loud audio in a row and ends after `silence_duration_ms` without any; see `levels` for
what is loud. The voice bit beside the level is not used: Chromium sets it always.

Called by the agent of a call for every frame, in the terms of `frames.TimeLine`.
Sans-IO: `now` only measures how long nothing came. A frame that was lost is silence, and
so is one that comes late; where packets stop altogether (DTX, a muted track), a
deadline stands in for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from examples.transceiver.backend import AudioFrame
from examples.transceiver.frames import milliseconds
from examples.transceiver.levels import SILENCE, NoiseFloor, thresholds

__all__ = [
    "GRACE",
    "ONSET",
    "IdleTimeout",
    "SpeechStarted",
    "SpeechStopped",
    "TurnDetector",
    "TurnEvent",
    "TurnSettings",
]

# Samples of loud audio that make speech: two frames of 20 ms. A click is one.
ONSET = 1920

# Seconds that packets may be late before their absence is silence: jitter on a poor
# mobile link. It delays the end of a turn only where packets stop with the speech.
GRACE = 0.1

# What a session may ask for at most, milliseconds: more would keep more than is kept.
MAX_PADDING_MS = 5_000
MAX_SILENCE_MS = 30_000


@attrs.frozen(kw_only=True)
class TurnSettings:
    """The fields of `server_vad` that say when a turn begins and ends."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None

    @classmethod
    def of(cls, turn_detection: Mapping[str, Any]) -> TurnSettings:
        """The settings in a session's `turn_detection`, which was checked, within our limits."""
        idle = turn_detection.get("idle_timeout_ms")
        padding = turn_detection.get("prefix_padding_ms", 300)
        silence = turn_detection.get("silence_duration_ms", 500)
        return cls(
            threshold=turn_detection.get("threshold", 0.5),
            prefix_padding_ms=min(max(0, padding), MAX_PADDING_MS),
            silence_duration_ms=min(max(0, silence), MAX_SILENCE_MS),
            idle_timeout_ms=idle,
        )


@attrs.frozen
class SpeechStarted:
    """A turn began at `audio_start_ms`, padding included; its first packet came at `heard`."""

    audio_start_ms: int
    heard: float


@attrs.frozen
class SpeechStopped:
    """It ended at `audio_end_ms`, silence included; its last loud packet came at `heard`."""

    audio_end_ms: int
    heard: float


@attrs.frozen
class IdleTimeout:
    """Nobody spoke between these times: since the last answer was over."""

    audio_start_ms: int
    audio_end_ms: int


TurnEvent: TypeAlias = SpeechStarted | SpeechStopped | IdleTimeout


class TurnDetector:
    """Says when the caller speaks. Give it frames and deadlines, drain `next_events`."""

    __slots__ = (
        "_arrival",
        "_earliest",
        "_events",
        "_floor",
        "_heard",
        "_idle_at",
        "_idle_from",
        "_line_end",
        "_loud",
        "_onset",
        "_settings",
        "_start",
        "_thresholds",
        "_voiced_end",
        "speaking",
    )

    def __init__(self, settings: TurnSettings | None) -> None:
        self.speaking = False
        self._settings = settings
        self._floor = NoiseFloor()
        self._thresholds = thresholds(0.5, SILENCE)
        # The newest frame's end, and when it came.
        self._line_end = 0
        self._arrival = 0.0
        # Loud samples in a row that are not speech yet, and where they began.
        self._loud = 0
        self._onset = 0
        # No turn begins before this: it is part of the one before.
        self._earliest = 0
        # Of the turn under way: its start, the end of its last loud frame, and when the
        # last loud frame came.
        self._start = 0
        self._voiced_end = 0
        self._heard = 0.0
        # When an answer was over, and when that is too long ago.
        self._idle_from = 0
        self._idle_at: float | None = None
        self._events: list[TurnEvent] = []
        self.configure(settings)

    # Getters

    @property
    def needed_from(self) -> int:
        """The position from which a later turn may want frames."""
        settings = self._settings
        if settings is None:
            return self._earliest
        if self.speaking:
            return self._start
        begins = self._onset if self._loud else self._line_end - ONSET
        begins -= settings.prefix_padding_ms * 48
        if self._idle_at is not None:
            begins = min(begins, self._idle_from)
        return max(begins, self._earliest)

    # Inputs

    def receive(self, frame: AudioFrame, now: float) -> None:
        """Take a frame, whose level is known or counts as silence."""
        begin = frame.timestamp
        end = begin + frame.duration
        if end <= self._line_end:
            return
        gap, self._line_end, self._arrival = begin - self._line_end, end, now
        settings = self._settings
        if settings is None:
            return
        level = SILENCE if frame.level is None else frame.level
        before = self._floor.level
        self._floor.add(level, frame.duration)
        if self._floor.level != before:
            self._thresholds = thresholds(settings.threshold, self._floor.level)
        silence = settings.silence_duration_ms * 48
        if self.speaking and begin - self._voiced_end >= silence > 0:
            self._stop(silence)
        if self.speaking:
            if level <= self._thresholds.off:
                self._voiced_end, self._heard = end, now
            elif end - self._voiced_end >= silence:
                self._stop(silence)
        elif level > self._thresholds.off:
            self._loud = 0
        elif level <= self._thresholds.on:
            if not self._loud or gap >= ONSET:
                self._loud, self._onset, self._heard = 0, begin, now
            self._loud += frame.duration
            if self._loud >= ONSET:
                self._begin(settings, end, now)

    def handle_timer(self, now: float) -> None:
        """Act on what is due at or before `now`: packets that stopped, an idle caller."""
        settings = self._settings
        if settings is None:
            return
        if self.speaking and self._silent_at(settings) <= now:
            silence = settings.silence_duration_ms * 48
            self._line_end = max(self._line_end, self._voiced_end + silence)
            self._arrival = now
            self._stop(silence)
        if self._idle_at is not None and self._idle_at <= now:
            end = self._line_end + max(0, round((now - self._arrival) * 48_000))
            self._idle_at = None
            self._earliest = max(self._earliest, end)
            self._events.append(IdleTimeout(milliseconds(self._idle_from), milliseconds(end)))

    # Verbs

    def configure(self, settings: TurnSettings | None) -> None:
        """Detect turns like this from now on; None: not at all."""
        self._settings = settings
        if settings is None or settings.idle_timeout_ms is None:
            self._idle_at = None
        if settings is None:
            self.speaking = False
            self._loud = 0
        else:
            self._thresholds = thresholds(settings.threshold, self._floor.level)

    def committed(self) -> None:
        """All that was heard so far belongs to a turn, or was thrown away.

        Who speaks goes on to speak: the rest is a turn of its own, told by its end alone.
        """
        self._earliest = self._start = self._line_end

    def response_started(self) -> None:
        """An answer is being given: who listens is not idle."""
        self._idle_at = None

    def response_ended(self, position: int, now: float) -> None:
        """The caller has heard an answer to its end, which was at `position`."""
        settings = self._settings
        if settings is not None and settings.idle_timeout_ms is not None and not self.speaking:
            self._idle_from = position
            self._idle_at = now + settings.idle_timeout_ms / 1000

    # Outputs

    def next_events(self) -> list[TurnEvent]:
        """Drain what was detected."""
        events, self._events = self._events, []
        return events

    def get_timer(self) -> float | None:
        """When to call `handle_timer` at the latest, or None."""
        if self.speaking and self._settings is not None:
            return self._silent_at(self._settings)
        return self._idle_at

    # Private

    def _silent_at(self, settings: TurnSettings) -> float:
        rest = self._voiced_end + settings.silence_duration_ms * 48 - self._line_end
        return self._arrival + rest / 48_000 + GRACE

    def _begin(self, settings: TurnSettings, end: int, now: float) -> None:
        heard = self._heard
        self.speaking = True
        self._loud = 0
        self._idle_at = None
        self._voiced_end, self._heard = end, now
        self._start = max(self._earliest, self._onset - settings.prefix_padding_ms * 48)
        self._events.append(SpeechStarted(milliseconds(self._start), heard))

    def _stop(self, silence: int) -> None:
        self.speaking = False
        self._loud = 0
        end = self._voiced_end + silence
        self._earliest = end
        self._events.append(SpeechStopped(milliseconds(end), self._heard))
