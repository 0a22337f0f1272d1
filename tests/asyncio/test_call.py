"""A call as an asynchronous iterator."""

from __future__ import annotations

import asyncio
from typing import Any

from rtcproto import AudioReceived, CloseReason, Event, SessionClosed
from rtcproto.asyncio.call import MAX_EVENTS, Call


def audio(number: int) -> AudioReceived:
    """A frame told apart by its sequence number."""
    return AudioReceived(b"\xf8", 960 * number, number, None, None, False, 1, 0.0)


def make(handler: Any = None) -> Call:
    """A call of no driver."""
    nothing: Any = None
    return Call("id", nothing, lambda: None, handler)


def collect(call: Call) -> list[Event]:
    """What iteration yields once everything was delivered."""

    async def run() -> list[Event]:
        return [event async for event in call]

    return asyncio.run(run())


def test_iteration_ends_with_the_closing_event() -> None:
    """Events come in order; `SessionClosed` is the last and ends the loop."""
    call = make()
    end = SessionClosed(reason=CloseReason.PEER)
    for event in (audio(1), audio(2), end):
        call.deliver(event)
    assert collect(call) == [audio(1), audio(2), end]


def test_slow_reader_loses_the_oldest() -> None:
    """The queue is bounded; what is dropped is counted, and the end is never lost."""
    call = make()
    for number in range(MAX_EVENTS + 10):
        call.deliver(audio(number))
    call.deliver(SessionClosed(reason=CloseReason.PEER))
    events = collect(call)
    assert len(events) == MAX_EVENTS
    assert call.events_dropped == 11
    assert isinstance(events[-1], SessionClosed)


def test_waiting_reader_is_woken() -> None:
    """A reader that came first gets what is delivered later."""

    async def run() -> list[Event]:
        call = make()

        async def read() -> list[Event]:
            return [event async for event in call]

        reader = asyncio.ensure_future(read())
        await asyncio.sleep(0)
        call.deliver(audio(1))
        await asyncio.sleep(0)
        call.deliver(SessionClosed(reason=CloseReason.LOCAL))
        return await reader

    assert len(asyncio.run(run())) == 2


def test_handler_gets_events_at_once() -> None:
    """With a handler nothing is queued."""
    seen: list[Event] = []
    call = make(lambda _, event: seen.append(event))
    call.deliver(audio(1))
    assert seen == [audio(1)]


def test_audio_after_the_end_goes_nowhere() -> None:
    """A slow reader answers frames of a call that is over: no error, it will read of the end."""
    call = make()
    call.deliver(audio(1))
    call.deliver(SessionClosed(reason=CloseReason.PEER))
    call.send_audio(b"\xf8")
    assert len(collect(call)) == 2
