"""What the caller hears of responses: which are queued, playing, or being stopped.

Per response with audio exactly one of `output_audio_buffer.stopped` and `.cleared` is
sent, and the first only after `.started`.
"""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["MAX_PLAYOUTS", "Playout", "Playouts"]

# Responses whose audio waits or plays at the same time. A response takes ten minutes of
# audio at most, so this bounds what waits; beyond, no further response is started.
MAX_PLAYOUTS: Final = 4


@attrs.define
class Playout:
    """One response's audio on its way to the caller.

    `item_id` is the message it belongs to. `finished` says that no more audio comes,
    `broken_off` that the response had more to say when it ended.
    """

    item_id: str
    started: bool = False
    finished: bool = False
    stopping: bool = False
    broken_off: bool = False


class Playouts:
    """The playouts of one call, by response id, oldest first."""

    __slots__ = ("_playouts",)

    def __init__(self) -> None:
        self._playouts: dict[str, Playout] = {}

    def __len__(self) -> int:
        return len(self._playouts)

    @property
    def full(self) -> bool:
        """Whether no response may be started until the caller has heard another."""
        return len(self._playouts) >= MAX_PLAYOUTS

    def find(self, response_id: str) -> Playout | None:
        """The playout of a response, as long as there is something to hear of it."""
        return self._playouts.get(response_id)

    def begin(self, response_id: str, item_id: str) -> None:
        """A response has audio; the first call counts."""
        self._playouts.setdefault(response_id, Playout(item_id))

    def finish(self, response_id: str, *, broken_off: bool) -> bool:
        """No more audio comes; whether there was any."""
        playout = self._playouts.get(response_id)
        if playout is None:
            return False
        playout.finished, playout.broken_off = True, broken_off
        return True

    def start(self, response_id: str) -> bool:
        """The first packet left; whether that was news."""
        playout = self._playouts.get(response_id)
        if playout is None or playout.started or playout.stopping:
            return False
        playout.started = True
        return True

    def drained(self, response_id: str) -> bool:
        """The last packet left; whether the playout is over by that."""
        playout = self._playouts.get(response_id)
        if playout is None or playout.stopping or not (playout.started and playout.finished):
            return False
        del self._playouts[response_id]
        return True

    def stop(self) -> list[str]:
        """Which responses are to be stopped now."""
        stopped = [each for each, playout in self._playouts.items() if not playout.stopping]
        for each in stopped:
            self._playouts[each].stopping = True
        return stopped

    def stopped(self, response_id: str) -> Playout | None:
        """A playout was stopped as told, and is forgotten; None if that was not told."""
        playout = self._playouts.get(response_id)
        if playout is None or not playout.stopping:
            return None
        return self._playouts.pop(response_id)
