"""A call as an asynchronous iterator."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from rtcproto import AudioReceived, CloseReason, Event, SessionClosed, UsageError
from rtcproto.asyncio.call import MAX_EVENTS, Call, check_handler


def audio(number: int) -> AudioReceived:
    """A frame told apart by its sequence number."""
    return AudioReceived(b"\xf8", 960 * number, number, None, None, False, 1, 0.0)


class Counters:
    """An endpoint that knows nothing but counters, each time new ones."""

    def __init__(self) -> None:
        self.asked = 0

    def stats(self, session_id: str, now: float) -> tuple[str, int]:
        """The how manyeth time it was asked."""
        self.asked += 1
        return session_id, self.asked


def stats(call: Call) -> Any:
    """What `Counters` said."""
    return call.stats()


class Recorder:
    """An endpoint that notes what it is told, but for the time."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, verb: str) -> Any:
        def note(*arguments: Any, **named: Any) -> int:
            timeless = tuple(each for each in arguments if not isinstance(each, float))
            self.told.append((verb, *timeless, named))
            return 7

        return note


def test_data_channel_verbs_reach_the_session_and_leave_at_once() -> None:
    """The same as the endpoint's without id and time; each is followed by a flush."""
    endpoint: Any = Recorder()
    flushes: list[int] = []
    call = Call("id", endpoint, lambda: flushes.append(len(endpoint.told)), None)
    assert call.open_channel("chat", protocol="p", ordered=False, lifetime=0.5) == 7
    call.send_message(7, "hello")
    assert call.buffered_amount(7) == 7
    call.set_buffered_amount_low_threshold(7, 100)
    call.close_channel(7)
    parameters = {
        "protocol": "p",
        "ordered": False,
        "max_retransmits": None,
        "lifetime": 0.5,
        "negotiated": None,
    }
    assert endpoint.told == [
        ("open_channel", "id", "chat", parameters),
        ("send_message", "id", 7, "hello", {}),
        ("buffered_amount", "id", 7, {}),
        ("set_buffered_amount_low_threshold", "id", 7, 100, {}),
        ("close_channel", "id", 7, {}),
    ]
    assert flushes == [1, 2, 5]


def test_fragments_reach_the_session_and_what_they_draw_leaves_at_once() -> None:
    """A restart returns what the endpoint answered."""
    endpoint: Any = Recorder()
    flushes: list[int] = []
    call = Call("id", endpoint, lambda: flushes.append(len(endpoint.told)), None)
    answer: Any = call.restart_ice("a=ice-ufrag:abcd")
    assert answer == 7
    call.add_candidates("a=end-of-candidates")
    assert endpoint.told == [
        ("restart_ice", "id", "a=ice-ufrag:abcd", {}),
        ("add_candidates", "id", "a=end-of-candidates", {}),
    ]
    assert flushes == [1, 2]


def test_data_channel_verbs_after_the_end_go_nowhere() -> None:
    """A slow reader may answer a message of a call that is over."""
    call = make()
    call.deliver(SessionClosed(reason=CloseReason.PEER))
    call.send_message(1, "late")
    call.close_channel(1)
    assert call.buffered_amount(1) == 0


def make(handler: Any = None) -> Call:
    """A call of no driver."""
    endpoint: Any = Counters()
    return Call("id", endpoint, lambda: None, handler)


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


def test_iteration_after_the_end_is_over_at_once() -> None:
    """A second loop over the events of a call that ended waits for nothing."""
    call = make()
    call.deliver(SessionClosed(reason=CloseReason.PEER))
    assert len(collect(call)) == 1
    assert collect(call) == []


def test_every_reader_learns_of_the_end() -> None:
    """Two tasks may wait for events; each gets some, both finish."""

    async def run() -> list[list[Event]]:
        call = make()

        async def read() -> list[Event]:
            return [event async for event in call]

        readers = [asyncio.ensure_future(read()) for _ in range(2)]
        await asyncio.sleep(0)
        call.deliver(SessionClosed(reason=CloseReason.LOCAL))
        return [await reader for reader in readers]

    assert sorted(map(len, asyncio.run(run()))) == [0, 1]


def test_a_call_with_a_handler_is_not_iterated() -> None:
    """Nothing would ever come, and the loop would wait for ever."""
    with pytest.raises(UsageError, match="handler"):
        collect(make(lambda call, event: None))


def test_the_end_and_the_last_statistics_stay() -> None:
    """What the counters said when the end was delivered, however late one asks."""
    call = make()
    assert call.closed is None
    assert stats(call) == ("id", 1)
    end = SessionClosed(reason=CloseReason.PEER)
    call.deliver(end)
    assert call.closed is end
    assert stats(call) == stats(call) == ("id", 2)


def test_a_broken_session_is_not_asked() -> None:
    """Its state made the library raise once; the end must arrive all the same."""
    seen: list[tuple[Event, Any]] = []
    call = make(lambda call, event: seen.append((event, call.closed)))
    end = SessionClosed(reason=CloseReason.INTERNAL_ERROR)
    call.deliver(end)
    assert seen == [(end, end)]
    assert stats(call) == ("id", 1)


class Handlers:
    """Objects and methods as handlers."""

    async def slow(self, call: Call, event: Event) -> None:
        """Never awaited."""

    async def __call__(self, call: Call, event: Event) -> None:
        """Never awaited."""

    def plain(self, call: Call, event: Event) -> None:
        """What a handler is."""


@pytest.mark.parametrize("handler", [Handlers().slow, Handlers(), partial(Handlers().slow)])
def test_coroutine_functions_are_no_handlers(handler: Any) -> None:
    """Nobody awaits them; their body would never run, nor anyone know."""
    with pytest.raises(UsageError, match="plain function"):
        check_handler(handler)


def test_handlers_are_callable() -> None:
    """What is None or a function is taken, whatever else is not."""
    check_handler(None)
    check_handler(Handlers().plain)
    with pytest.raises(UsageError, match="a function"):
        check_handler(7)
