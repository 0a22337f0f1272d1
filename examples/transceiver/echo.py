"""The simplest inference there is: every Opus packet goes back as it came.

Nothing is decoded. The time line is the caller's, so silence (DTX) and loss are
heard by the caller as they happened on the way here.
"""

from __future__ import annotations

import logging
from typing import assert_never

from examples.transceiver.callid import CallId
from rtcproto.asyncio import Call
from rtcproto.events import (
    AudioLost,
    AudioReceived,
    Connected,
    Event,
    PathChanged,
    SessionClosed,
)

__all__ = ["Echo"]

logger = logging.getLogger("transceiver")


class Echo:
    """Handles the events of all calls of `owner`; logs them by the ids that HTTP clients know."""

    def __init__(self, owner: CallId) -> None:
        self._owner = owner

    def __call__(self, call: Call, event: Event) -> None:
        """Handle one event of one call."""
        match event:
            case AudioReceived():
                call.send_audio(
                    event.payload,
                    timestamp=event.timestamp,
                    level=event.level,
                    voice=bool(event.voice),
                )
            case Connected():
                self._log(call, f"connected, {event.srtp_profile}")
            case PathChanged():
                self._log(call, "the client moved to another path")
            case AudioLost():
                pass  # the caller sees the gap in what comes back
            case SessionClosed():
                self._log(call, f"over, {event.reason.value}")
            case _:
                assert_never(event)

    def _log(self, call: Call, what: str) -> None:
        logger.info("call %s: %s", self._owner.of(call.id), what)
