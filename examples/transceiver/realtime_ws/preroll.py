"""Which frames of a caller belong to the turn that is being said.

Frames are kept for as long as a turn may begin before it is noticed: the session's prefix
padding and a second. Once somebody speaks, every frame belongs to the turn until its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from examples.transceiver.backend import AudioFrame

__all__ = ["MAX_LIVE", "Preroll"]

_MS: Final = 48

# Samples beside the padding: speech that begins softly is noticed late.
_MARGIN: Final = 48_000

# Samples of a turn that are sent while it is being said. A turn that does not end by then
# is noise or music; its last minute is sent should it end.
MAX_LIVE: Final = 300 * 48_000


class Preroll:
    """One caller's frames."""

    __slots__ = ("_frames", "_from", "_length", "_live_samples", "_stale", "_start_ms")

    def __init__(self) -> None:
        self._frames: deque[AudioFrame] = deque()
        # From where on none is missing.
        self._from = 0
        self._length = _MARGIN
        # When the turn began that is being sent.
        self._start_ms: int | None = None
        self._live_samples = 0
        # The server has audio that is no part of a turn.
        self._stale = False

    @property
    def endless(self) -> bool:
        """Whether the turn takes too long to be sent on."""
        return self._live_samples > MAX_LIVE

    def configure(self, turn_detection: Mapping[str, Any] | None) -> bool:
        """Turns are detected like this; whether one that is being sent has no end now."""
        padding = (turn_detection or {}).get("prefix_padding_ms", 300)
        self._length = _MARGIN + padding * _MS
        return turn_detection is None and self._start_ms is not None

    def take(self, frame: AudioFrame) -> bool:
        """One more frame; whether it is to be sent now."""
        frames = self._frames
        frames.append(frame)
        while frames[0].timestamp < frame.timestamp - self._length:
            first = frames.popleft()
            self._from = max(self._from, first.timestamp + first.duration)
        if self._start_ms is None:
            return False
        self._live_samples += frame.duration
        return True

    def begin(self, audio_start_ms: int) -> tuple[AudioFrame, ...] | None:
        """A turn begins: what there is of it; None if its beginning is not there any more."""
        if self._start_ms is not None:
            self.forget(stale=True)
        start = audio_start_ms * _MS
        if start + _MS < self._from:
            return None
        self._start_ms, self._live_samples = audio_start_ms, 0
        return tuple(each for each in self._frames if each.timestamp + each.duration >= start + _MS)

    def end(self, audio_start_ms: int) -> bool:
        """A turn that began then is over; whether all of it was sent."""
        begun, self._start_ms = self._start_ms, None
        self._live_samples = 0
        if begun is not None and begun != audio_start_ms:
            self._stale = True
        return begun == audio_start_ms and not self._stale

    def forget(self, *, stale: bool = False) -> None:
        """What was sent is no turn; `stale` if the server still has it."""
        self._start_ms, self._stale, self._live_samples = None, stale, 0

    def take_stale(self) -> bool:
        """Whether the server has something to forget, which it is told now."""
        stale, self._stale = self._stale, False
        return stale
