"""The simplest inference there is: every Opus packet goes back as it came.

Nothing is decoded. The time line is the caller's, so silence (DTX) and loss are
heard by the caller as they happened on the way here. What cannot be sent back is
left out: packets that are too large for us, all of them to a client that only sends.
"""

from __future__ import annotations

import logging
from typing import assert_never

from examples.transceiver.callid import CallId
from rtcproto.asyncio import Call
from rtcproto.errors import UsageError
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
    """Handles the events of all calls of `owner`; logs what happens to them."""

    def __init__(self, owner: CallId) -> None:
        self._owner = owner
        # Packets that were left out, by call; only of calls that go on.
        self._left_out: dict[str, int] = {}

    def __call__(self, call: Call, event: Event) -> None:
        """Handle one event of one call."""
        match event:
            case AudioReceived():
                self._send(call, event)
            case Connected():
                self._log(call, f"connected, {event.srtp_profile}")
            case PathChanged():
                self._log(call, "the client moved to another path")
            case AudioLost():
                pass  # the caller sees the gap in what comes back
            case SessionClosed():
                left_out = self._left_out.pop(call.id, 0)
                more = f"; {left_out} packets not echoed" if left_out else ""
                self._log(call, f"over, {event.reason.value}{more}")
            case _:
                assert_never(event)

    def _send(self, call: Call, event: AudioReceived) -> None:
        try:
            call.send_audio(
                event.payload,
                timestamp=event.timestamp,
                level=event.level,
                voice=bool(event.voice),
            )
        except UsageError as error:
            # The client may send what it takes no echo of.
            if call.id not in self._left_out:
                self._log(call, f"cannot echo: {error}")
            self._left_out[call.id] = self._left_out.get(call.id, 0) + 1

    def _log(self, call: Call, what: str) -> None:
        logger.info("call %s: %s", self._owner.of(call.id).shown, what)
