"""One call of a driver, as an application holds it."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from rtcproto.endpoint import Endpoint, SessionId
from rtcproto.errors import UsageError
from rtcproto.events import CloseReason, Event, SessionClosed
from rtcproto.session import SessionStats

__all__ = ["MAX_EVENTS", "Call", "EventHandler", "check_handler"]

# Events a slow reader of `async for event in call` may fall behind by (10 s of
# audio); beyond it the oldest is dropped.
MAX_EVENTS = 500

EventHandler: TypeAlias = Callable[["Call", Event], None]


def check_handler(handler: object) -> None:
    """Raise UsageError for what cannot be an `EventHandler`: a coroutine function, say."""
    if handler is None:
        return
    called = getattr(handler, "__call__", None)  # noqa: B004 - a method may be the coroutine
    if called is None:
        raise UsageError("a handler is a function of a call and an event")
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called):
        # Nobody would await it: its body would never run.
        raise UsageError("a handler is a plain function, not `async def`; iterate the call instead")


class Call:
    """One session of a `Driver`. Iterate it for its events, unless it has a handler.

    `id` is its name at the driver, `closed` the `SessionClosed` it ended with, or
    None, `events_dropped` what a slow reader lost.
    """

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
        # As soon as it is delivered, though a slow reader may not have come to it.
        self.closed: SessionClosed | None = None
        self._last_stats: SessionStats | None = None

    def send_audio(
        self,
        payload: bytes,
        *,
        timestamp: int | None = None,
        level: int | None = None,
        voice: bool = False,
    ) -> None:
        """Send one Opus packet; see `Session.send_audio`. No effect once the call is over."""
        if self.closed is not None:
            return
        self._endpoint.send_audio(
            self.id, payload, time.monotonic(), timestamp=timestamp, level=level, voice=voice
        )
        self._flush()

    def open_channel(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        lifetime: float | None = None,
        negotiated: int | None = None,
    ) -> int:
        """Open a data channel; see `Session.open_channel`."""
        channel = self._endpoint.open_channel(
            self.id,
            label,
            time.monotonic(),
            protocol=protocol,
            ordered=ordered,
            max_retransmits=max_retransmits,
            lifetime=lifetime,
            negotiated=negotiated,
        )
        self._flush()
        return channel

    def send_message(self, channel: int, data: str | bytes) -> None:
        """Send one message on a data channel; see `Session.send_message`.

        No effect once the call is over.
        """
        if self.closed is None:
            self._endpoint.send_message(self.id, channel, data, time.monotonic())
            self._flush()

    def buffered_amount(self, channel: int) -> int:
        """Bytes waiting on a data channel, 0 after the call; see `Session.buffered_amount`."""
        return 0 if self.closed else self._endpoint.buffered_amount(self.id, channel)

    def set_buffered_amount_low_threshold(self, channel: int, amount: int) -> None:
        """Set a low-water mark; see `Session.set_buffered_amount_low_threshold`."""
        self._endpoint.set_buffered_amount_low_threshold(self.id, channel, amount)

    def close_channel(self, channel: int) -> None:
        """Close a data channel; see `Session.close_channel`. No effect once the call is over."""
        if self.closed is None:
            self._endpoint.close_channel(self.id, channel, time.monotonic())
            self._flush()

    def accept_answer(self, answer: str) -> None:
        """Apply the peer's answer to an offer of ours; see `Session.accept_answer`."""
        self._endpoint.accept_answer(self.id, answer, time.monotonic())
        self._flush()

    def restart_ice(self, fragment: str) -> str:
        """Restart ICE with the peer's fragment; ours. See `Session.restart_ice`.

        Raises as that does, and UsageError once the call is over.
        """
        answer = self._endpoint.restart_ice(self.id, fragment, time.monotonic())
        self._flush()
        return answer

    def add_candidates(self, fragment: str) -> None:
        """Take candidates that the peer found later; see `Session.add_candidates`."""
        self._endpoint.add_candidates(self.id, fragment, time.monotonic())
        self._flush()

    def close(self) -> None:
        """End the session; `SessionClosed` follows. No effect if it is over."""
        self._endpoint.close_session(self.id, time.monotonic())
        self._flush()

    def stats(self) -> SessionStats:
        """What `Session.stats` says of the session now, or said at its end.

        Raises UsageError if it ended with INTERNAL_ERROR: its counters are not trusted.
        """
        if self._last_stats is not None:
            return self._last_stats
        return self._endpoint.stats(self.id, time.monotonic())

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield events until `SessionClosed`, which is the last.

        Once it was yielded, another iteration ends at once. Raises UsageError for a
        call with a handler, which gets them all.
        """
        if self._handler is not None:
            raise UsageError("the events of this call go to its handler")
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Event]:
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
            if self.closed is not None:
                return
            self._wake.clear()
            await self._wake.wait()

    def deliver(self, event: Event) -> None:
        """Hand one event to the handler or the iterator. For the driver."""
        if isinstance(event, SessionClosed):
            self.closed = event
            if event.reason is not CloseReason.INTERNAL_ERROR:
                self._last_stats = self._endpoint.stats(self.id, time.monotonic())
        if self._handler is not None:
            self._handler(self, event)
            return
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            self.events_dropped += 1
        self._events.append(event)
        self._wake.set()
