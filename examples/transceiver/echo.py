"""The simplest inference there is: every Opus packet goes back as it came.

Nothing is decoded. The time line is the caller's, so silence (DTX) and loss are
heard by the caller as they happened on the way here.
"""

from __future__ import annotations

import logging
from typing import assert_never

from rtcproto.asyncio import Call
from rtcproto.events import (
    AudioLost,
    AudioReceived,
    Connected,
    Event,
    PathChanged,
    SessionClosed,
)

__all__ = ["echo"]

logger = logging.getLogger("transceiver")


def echo(call: Call, event: Event) -> None:
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
            logger.info("call %s: connected, %s", call.id, event.srtp_profile)
        case PathChanged():
            logger.info("call %s: the client moved to another path", call.id)
        case AudioLost():
            pass  # the caller sees the gap in what comes back
        case SessionClosed():
            logger.info("call %s: over, %s", call.id, event.reason.value)
        case _:
            assert_never(event)
