"""All calls of a transceiver: begun, found, hung up, counted, and nothing left of them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from examples.transceiver.backend import Emit
from examples.transceiver.callid import CallId
from examples.transceiver.calls import Calls
from examples.transceiver.echo import Echo
from examples.transceiver.parrot import Parrot
from examples.transceiver.realtime.session_object import InvalidSession
from rtcproto import EndpointConfig, Identity, SessionConfig
from rtcproto.asyncio import Call, Driver, open_endpoint
from rtcproto.errors import CapacityExceeded
from rtcproto.events import (
    CloseReason,
    Connected,
    DataChannelMessage,
    DataChannelOpened,
    Event,
    SessionClosed,
)
from tests.examples.call_scene import CONNECTED, Recorder, Wire

OWNER = CallId(1, 2, 3, "")


class FakeDriver:
    """Answers every offer, and lets the test say what happens to the call."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[Call, Event], None]] = {}
        self.wires: list[Wire] = []

    def accept_offer(self, offer: str, handler: Callable[[Call, Event], None]) -> tuple[Call, str]:
        """A call of its own for every offer."""
        wire = Wire(time.monotonic)
        wire.id = f"{len(self.wires):032x}"
        self.wires.append(wire)
        self.handlers[wire.id] = handler
        return cast(Call, wire), f"answer to {offer}"

    def happen(self, number: int, event: Event) -> None:
        """Something happens to a call."""
        wire = self.wires[number]
        self.handlers[wire.id](cast(Call, wire), event)


class Closing(Recorder):
    """A backend whose end can be watched, and fail."""

    closed = 0
    failing = False

    async def close(self) -> None:
        """Take a moment."""
        await asyncio.sleep(0)
        type(self).closed += 1
        if self.failing:
            raise ZeroDivisionError


def make(factory: Any = Closing, **options: Any) -> tuple[FakeDriver, Calls]:
    """Calls on a driver without a socket; needs a running loop."""
    driver = FakeDriver()
    Closing.closed, Closing.failing = 0, False
    return driver, Calls(cast(Driver, driver), OWNER, factory, **options)


def test_a_call_is_found_by_its_id_until_it_is_over() -> None:
    """The id says whose it is; another owner's is nobody's here."""

    async def scenario() -> None:
        driver, calls = make()
        call_id, answer = calls.create("an offer", None, "key")
        assert answer == "answer to an offer"
        assert call_id == OWNER.of(driver.wires[0].id)
        agent = calls.find(call_id)
        assert agent is not None
        assert not agent.connected
        assert calls.find(CallId(1, 2, 4, call_id.session)) is None
        assert calls.find(OWNER.of("f" * 32)) is None
        driver.happen(0, CONNECTED)
        assert agent.connected
        calls.hang_up(OWNER.of("f" * 32))
        calls.hang_up(call_id)
        assert driver.wires[0].closed
        driver.happen(0, SessionClosed(reason=CloseReason.LOCAL, detail=""))
        assert calls.find(call_id) is None
        assert len(calls) == 0
        driver.happen(0, CONNECTED)  # too late: nobody minds
        calls.hang_up(call_id)
        await calls.close()
        assert Closing.closed == 1

    asyncio.run(scenario())


def test_backends_that_fail_to_let_go(caplog: pytest.LogCaptureFixture) -> None:
    """Every one is asked, and one that raises is logged."""

    async def scenario() -> None:
        driver, calls = make()
        Closing.failing = True
        for number in range(3):
            calls.create("", None, None)
            driver.happen(number, SessionClosed(reason=CloseReason.PEER, detail=""))
        await calls.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
    assert Closing.closed == 3
    assert caplog.text.count("did not let go") == 3


def test_a_backend_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has a few seconds to let go; then the transceiver ends without it."""

    class Hanging(Closing):
        async def close(self) -> None:
            await asyncio.Event().wait()

    async def scenario() -> None:
        driver, calls = make(Hanging)
        calls.create("", None, None)
        driver.happen(0, SessionClosed(reason=CloseReason.PEER, detail=""))
        async with asyncio.timeout(5):
            await calls.close()

    monkeypatch.setattr("examples.transceiver.calls.CLOSE_TIMEOUT", 0.01)
    asyncio.run(scenario())
    assert "did not let go" in caplog.text


def test_without_a_backend_there_is_no_call(caplog: pytest.LogCaptureFixture) -> None:
    """A factory that raises: the client is told to come again, the session is closed."""

    def factory(session: Mapping[str, Any], emit: Emit) -> Any:
        raise ZeroDivisionError

    async def scenario() -> None:
        driver, calls = make(factory)
        with pytest.raises(CapacityExceeded):
            calls.create("", None, None)
        assert driver.wires[0].closed
        assert len(calls) == 0
        await calls.close()

    asyncio.run(scenario())
    assert "there is no backend" in caplog.text


def test_a_session_that_cannot_be() -> None:
    """It is refused before there is a call."""

    async def scenario() -> None:
        driver, calls = make()
        with pytest.raises(InvalidSession):
            calls.create("", {"type": "realtime", "output_modalities": ["smell"]}, None)
        assert driver.wires == []
        await calls.close()

    asyncio.run(scenario())


def test_a_model_may_have_a_backend_of_its_own() -> None:
    """The session names a model; one that nobody knows gets the default."""

    async def scenario() -> None:
        _, calls = make(by_model={"echo": Echo})
        kinds = []
        for model in ("echo", "other"):
            call_id, _ = calls.create("", {"type": "realtime", "model": model}, None)
            agent = calls.find(call_id)
            assert agent is not None
            kinds.append(type(agent.backend))
        assert kinds == [Echo, Closing]
        await calls.close()

    asyncio.run(scenario())


def test_figures_outlive_their_calls() -> None:
    """What calls counted is added up, those under way and those that are over."""

    async def scenario() -> None:
        driver, calls = make()
        for number in range(3):
            call_id, _ = calls.create("", None, None)
            agent = calls.find(call_id)
            assert agent is not None
            agent.counters.turns = 2
            agent.counters.answer.add(0.5)
            agent.playout.lateness.add(0.001)
            if number:
                driver.happen(number, SessionClosed(reason=CloseReason.PEER, detail=""))
        stats = calls.stats()
        assert stats["calls"] == 1
        assert stats["turns"] == 6
        assert stats["answer"]["count"] == 3
        assert stats["pacer_lateness"]["count"] == 3
        json.dumps(stats)
        # Asked at once again, nobody adds them up again.
        driver.happen(0, SessionClosed(reason=CloseReason.PEER, detail=""))
        assert calls.stats() is stats
        await calls.close()

    asyncio.run(scenario())


# -- With sockets


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Driver, Driver]]:
    """A server and a client on loopback."""
    host = ("127.0.0.1", 0)
    identity = Identity.generate(time.time())
    server = SessionConfig(identity=identity, addresses=(host,), allow_loopback=True)
    client = SessionConfig(
        identity=identity, addresses=(host,), ice_lite=False, allow_loopback=True
    )
    async with (
        await open_endpoint(EndpointConfig(session=server), host) as first,
        await open_endpoint(EndpointConfig(session=client), host) as second,
    ):
        yield first, second


class Client:
    """One call of ours to a transceiver, and what comes back."""

    def __init__(self, calls: Calls, driver: Driver) -> None:
        self.events: list[dict[str, Any]] = []
        self.audio = 0
        self.closed: SessionClosed | None = None
        self.ready = asyncio.Event()
        self._news = asyncio.Event()
        self.call, offer = driver.create_offer(self._handle)
        self.call_id, answer = calls.create(offer, None, None)
        self.call.accept_answer(answer)

    def _handle(self, call: Call, event: Event) -> None:
        match event:
            case Connected():
                call.open_channel("oai-events")
            case DataChannelOpened():
                self.ready.set()
            case DataChannelMessage():
                self.events.append(json.loads(event.data))
            case SessionClosed():
                self.closed = event
            case _:
                self.audio += 1
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when the condition holds."""
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def saw(self, kind: str) -> bool:
        """Whether an event of this type came."""
        return any(event["type"] == kind for event in self.events)


@pytest.mark.live
def test_a_conversation_over_sockets() -> None:
    """A client of ours speaks, is answered by the parrot, interrupts, and hangs up."""

    async def scenario() -> None:
        async with pair() as (server, driver):
            calls = Calls(server, OWNER, Parrot)
            client = Client(calls, driver)
            await client.until(lambda: client.saw("session.created"))
            assert client.call.id

            async def speak(level: int, frames: int) -> None:
                for _ in range(frames):
                    client.call.send_audio(b"\x78\x01\x02", level=level)
                    await asyncio.sleep(0.02)

            await speak(20, 100)
            await speak(100, 30)
            await client.until(lambda: client.saw("output_audio_buffer.started"))
            await client.until(lambda: client.audio > 5)
            await speak(20, 10)
            await client.until(lambda: client.saw("conversation.item.truncated"))
            assert client.saw("output_audio_buffer.cleared")
            heard = client.audio
            client.call.close()
            async with asyncio.timeout(20):
                while len(calls):
                    await asyncio.sleep(0.01)
            (cut,) = [e for e in client.events if e["type"] == "conversation.item.truncated"]
            # What was sent is what came: loopback loses nothing.
            assert cut["audio_end_ms"] == heard * 20
            assert calls.stats()["barge_in"]["count"] == 1
            await calls.close()

    asyncio.run(scenario())


@pytest.mark.live
def test_calls_in_a_row_leave_nothing() -> None:
    """A hundred calls, one after the other: no task, socket, session or agent is left."""

    async def scenario() -> None:
        async with pair() as (server, driver):
            calls = Calls(server, OWNER, Parrot)
            files = len(os.listdir("/proc/self/fd"))
            for _ in range(100):
                client = Client(calls, driver)
                await client.until(lambda client=client: client.saw("session.created"))
                calls.hang_up(client.call_id)
                await client.until(lambda client=client: client.closed)
            assert len(calls) == 0
            assert len(os.listdir("/proc/self/fd")) == files
            assert server.endpoint.endpoint_stats().sessions == 0
            await calls.close()
            assert len(asyncio.all_tasks()) == 1
            assert len(calls._ticker) == 0

    asyncio.run(scenario())
