"""One call of a driver, as an application holds it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from rtcproto.endpoint import Endpoint, SessionId
from rtcproto.events import Event, SessionClosed
from rtcproto.session import SessionStats

__all__ = ["MAX_EVENTS", "Call", "EventHandler"]

# Events a slow reader of `async for event in call` may fall behind by (10 s of
# audio); beyond it the oldest is dropped.
MAX_EVENTS = 500

EventHandler: TypeAlias = Callable[["Call", Event], None]


class Call:
    """One session of a `Driver`. Iterate it for its events, unless it has a handler."""

    def __init__(
        self,
        session_id: SessionId,
        endpoint: Endpoint,
        flush: Callable[[], None],
        handler: EventHandler | None,
    ) -> None:
        self.id = session_id
        self.events_dropped = 0
        self._endpoint = endpoint
        # What a verb produced leaves with whatever else this turn of the loop produces.
        self._flush = flush
        self._handler = handler
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        # `SessionClosed` was delivered, though a slow reader may not have come to it.
        self._over = False

    def send_audio(
        self,
        payload: bytes,
        *,
        timestamp: int | None = None,
        level: int | None = None,
        voice: bool = False,
    ) -> None:
        """Send one Opus packet; see `Session.send_audio`. No effect once the call is over."""
        if self._over:
            return
        self._endpoint.send_audio(
            self.id, payload, time.monotonic(), timestamp=timestamp, level=level, voice=voice
        )
        self._flush()

    def accept_answer(self, answer: str) -> None:
        """Apply the peer's answer to an offer of ours; see `Session.accept_answer`."""
        self._endpoint.accept_answer(self.id, answer, time.monotonic())
        self._flush()

    def close(self) -> None:
        """End the session; `SessionClosed` follows. No effect if it is over."""
        self._endpoint.close_session(self.id, time.monotonic())
        self._flush()

    def stats(self) -> SessionStats:
        """What `Session.stats` says of the session now."""
        return self._endpoint.stats(self.id, time.monotonic())

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield events until `SessionClosed`, which is the last."""
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, SessionClosed):
                    return
            self._wake.clear()
            await self._wake.wait()

    def deliver(self, event: Event) -> None:
        """Hand one event to the handler or the iterator. For the driver."""
        self._over = isinstance(event, SessionClosed)
        if self._handler is not None:
            self._handler(self, event)
            return
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            self.events_dropped += 1
        self._events.append(event)
        self._wake.set()
