"""The simplest backend there is: every Opus packet goes back as it came.

Nothing is decoded and nobody waits for his turn. The time line is the caller's, so
silence (DTX) and loss are heard by the caller as they happened on the way here. To
the events of the interface it has nothing to say: its responses are empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.transceiver.backend import (
    AudioFrame,
    DirectAudio,
    Emit,
    ResponseDone,
    ResponseRequest,
    Turn,
)

__all__ = ["Echo"]


class Echo:
    """One call's echo; its own `BackendFactory`."""

    def __init__(self, session: Mapping[str, Any], emit: Emit) -> None:
        self._emit = emit

    def update_session(self, session: Mapping[str, Any]) -> None:
        """Nothing in a session changes an echo."""

    def receive_frame(self, frame: AudioFrame) -> None:
        """Send it back."""
        self._emit(DirectAudio(frame))

    def speech_started(self, audio_start_ms: int) -> None:
        """Nobody waits for turns."""

    def commit_turn(self, turn: Turn) -> None:
        """It was sent back already."""

    def create_response(self, request: ResponseRequest) -> None:
        """Say nothing else."""
        self._emit(ResponseDone(request.response_id))

    def cancel_response(self, response_id: str) -> None:
        """None goes on."""

    def add_item(self, item: Mapping[str, Any], previous_item_id: str | None) -> None:
        """An echo remembers nothing."""

    def delete_item(self, item_id: str) -> None:
        """It has none."""

    def truncate_item(self, item_id: str, audio_end_ms: int) -> None:
        """It has none."""

    async def close(self) -> None:
        """There is nothing to let go of."""
