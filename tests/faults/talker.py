"""The transceiver program with one model more: `talker` speaks 50 packets a second, unasked.

What a caller hears then depends on nobody but the owner and the way to the caller, as with an
assistant in the middle of a sentence. In a call to the echo, the owner is silent but for echoes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, cast

from examples.transceiver.backend import AudioFrame, DirectAudio, Emit
from examples.transceiver.backends import BY_MODEL
from examples.transceiver.echo import Echo
from examples.transceiver.main import main

__all__ = ["FRAME", "Talker", "frame"]

# Seconds and samples of one packet.
FRAME, SAMPLES = 0.02, 960


def frame(number: int) -> bytes:
    """A packet of 20 ms that can be told from all others, as long as speech is."""
    return b"\xf8" + number.to_bytes(4, "big") + bytes(75)


class Talker(Echo):
    """It hears nothing and says something from the caller's first packet on."""

    def __init__(self, session: Mapping[str, Any], emit: Emit) -> None:
        super().__init__(session, emit)
        self._task: asyncio.Task[None] | None = None

    def receive_frame(self, frame: AudioFrame) -> None:
        """The caller is there."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._talk())

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            self._emit(DirectAudio(AudioFrame(frame(number), number * SAMPLES, SAMPLES)))
            number += 1
            await asyncio.sleep(began + number * FRAME - loop.time())

    async def close(self) -> None:
        """Be quiet."""
        if self._task is not None:
            self._task.cancel()


if __name__ == "__main__":
    cast(dict[str, Any], BY_MODEL)["talker"] = Talker
    sys.exit(main())
