"""How loud is speech: from a session's `threshold` to levels, RFC 6464.

Levels are dBov as they are on the wire, without their sign: 0 is the loudest, 127 is
silence, so the louder of two levels is the smaller number. `thresholds` is the whole
mapping; `NoiseFloor` is what it knows of the room.
"""

from __future__ import annotations

import attrs

__all__ = ["SILENCE", "NoiseFloor", "Thresholds", "thresholds"]

# RFC 6464 section 3: "-127 dBov ... digital silence".
SILENCE = 127

# Where speech begins in a quiet room, for thresholds 0 and 1; linear between them.
# Speech at a browser's automatic gain has a median near 27 and its quiet vowels near
# 45, a fifth of that amplitude near 47 and 65. 0.5 is 45, then.
_QUIETEST = 70
_LOUDEST = 20

# How far above the noise of the room it begins, dB, likewise.
_LEAST_MARGIN = 6
_MARGIN_RANGE = 12

# How much quieter speech may get before it counts as silence, dB: without it every
# vowel that fades would be an end.
_HYSTERESIS = 6

# What is louder than this is no background, however long it lasts: whoever speaks
# without a pause must not become the noise.
_LOUDEST_FLOOR = 30

# The floor is the quietest frame of the last so many spans of so many samples at
# 48 kHz: four seconds, in which whoever speaks draws breath.
_SPANS = 4
_SPAN = 48_000


@attrs.frozen
class Thresholds:
    """Speech begins with levels up to `on` and goes on with levels up to `off`."""

    on: int
    off: int


def thresholds(threshold: float, floor: int) -> Thresholds:
    """The levels for a session's `threshold` (0 to 1) above a noise of level `floor`.

    | threshold | in a quiet room | above noise |
    |----------:|----------------:|------------:|
    | 0         | -70 dBov        | 6 dB        |
    | 0.25      | -58 dBov        | 9 dB        |
    | 0.5       | -45 dBov        | 12 dB       |
    | 0.75      | -32 dBov        | 15 dB       |
    | 1         | -20 dBov        | 18 dB       |

    The louder of the two counts. Speech ends 6 dB below where it begins.
    """
    threshold = min(1.0, max(0.0, threshold))
    quiet = round(_QUIETEST - (_QUIETEST - _LOUDEST) * threshold)
    margin = round(_LEAST_MARGIN + _MARGIN_RANGE * threshold)
    on = min(quiet, max(floor, _LOUDEST_FLOOR) - margin)
    return Thresholds(on, on + _HYSTERESIS)


class NoiseFloor:
    """The level of the room: the quietest frame of the last seconds.

    It rises only after four seconds without anything quieter, and falls at once. At
    first it is silence: the first words of a call must not pass for noise.
    """

    __slots__ = ("_collected", "_current", "_spans", "level")

    def __init__(self) -> None:
        self.level = SILENCE
        # The quietest level of each of the last spans; of the current one.
        self._spans = [SILENCE] * _SPANS
        self._current = 0
        self._collected = 0

    def add(self, level: int, duration: int) -> None:
        """Take the level of `duration` samples."""
        if level > self._current:
            self._current = level
        if level > self.level:
            self.level = level
        self._collected += duration
        if self._collected >= _SPAN:
            self._spans = [*self._spans[1:], self._current]
            self._current = self._collected = 0
            self.level = max(self._spans)
