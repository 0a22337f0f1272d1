"""The driver on a virtual event loop: what it adds to the endpoint, and what it must not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import rtcproto.asyncio.call as call_module
import rtcproto.asyncio.driver as driver_module
from rtcproto import (
    AudioReceived,
    Connected,
    Endpoint,
    EndpointConfig,
    Event,
    Identity,
    SessionClosed,
    SessionConfig,
    UsageError,
)
from rtcproto.asyncio import Call, Driver
from rtcproto.testing import UNIX_TIME, World
from tests.support.fake_loop import FakeLoop, FakeSocket

OPUS = b"\xf8" + bytes(60)
SERVER = ("192.0.2.1", 5000)


class Bench:
    """A serving driver, and drivers of clients, on one loop and one wire."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, early: float = 0.0) -> None:
        self.loop = FakeLoop(early)
        self.wire: dict[tuple[str, int], FakeSocket] = {}
        self.sockets: list[FakeSocket] = []
        self._world = World(1)
        monkeypatch.setattr(driver_module.asyncio, "get_running_loop", lambda: self.loop)
        monkeypatch.setattr(driver_module.time, "monotonic", self.loop.time)
        monkeypatch.setattr(call_module.time, "monotonic", self.loop.time)
        self.server = self.driver(SERVER, ice_lite=True)

    def driver(self, address: tuple[str, int], *, ice_lite: bool, tick: float = 0.002) -> Driver:
        """A driver bound to `address`."""
        sock = FakeSocket(address, self.wire)
        self.sockets.append(sock)
        config = SessionConfig(
            identity=Identity.generate(UNIX_TIME),
            addresses=(address,),
            ice_lite=ice_lite,
            entropy=self._world.entropy(f"{address}"),
        )
        endpoint = Endpoint(EndpointConfig(session=config), UNIX_TIME, self.loop.now)
        driver: Any = Driver
        made: Driver = driver(endpoint, sock, tick)
        return made

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.loop.run_until(self.loop.now + seconds, self.sockets)

    def place(self, number: int, handler: Any, caller: Any) -> tuple[Call, Call]:
        """A call from a new client; the server's and the client's side of it."""
        client = self.driver((f"198.51.100.{number}", 6000), ice_lite=False)
        outgoing, offer = client.create_offer(caller)
        incoming, answer = self.server.accept_offer(offer, handler)
        outgoing.accept_answer(answer)
        return incoming, outgoing


def echo(call: Call, event: Event) -> None:
    """Send every packet back."""
    if isinstance(event, AudioReceived):
        call.send_audio(event.payload, timestamp=event.timestamp, level=event.level)


def test_call_is_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer, answer, audio there and back, close: all of it through the driver alone."""
    bench = Bench(monkeypatch)
    events: list[Event] = []
    incoming, outgoing = bench.place(1, echo, lambda _, event: events.append(event))
    bench.run(0.5)
    for _ in range(10):
        outgoing.send_audio(OPUS, level=9)
        bench.run(0.02)
    bench.run(0.1)
    audio = [event for event in events if isinstance(event, AudioReceived)]
    assert isinstance(events[0], Connected)
    assert [(event.payload, event.level) for event in audio] == [(OPUS, 9)] * 10
    assert bench.server.call(incoming.id) is incoming
    assert incoming.stats().state == "connected"
    outgoing.close()
    bench.run(0.1)
    assert isinstance(events[-1], SessionClosed)
    assert bench.server.call(incoming.id) is None


def test_wakes_for_deadlines_that_fire_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that wakes a hair early neither spins nor misses the deadline."""
    bench = Bench(monkeypatch, early=1e-6)
    events: list[Event] = []
    client = bench.driver(("198.51.100.1", 6000), ice_lite=False)
    _, offer = client.create_offer()
    bench.server.accept_offer(offer, lambda _, event: events.append(event))
    bench.run(16)
    assert [type(event) for event in events] == [SessionClosed]


def test_handler_that_raises_ends_only_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat P2: one application bug costs one call and is counted; the others go on."""
    bench = Bench(monkeypatch)
    seen: list[Event] = []

    def broken(call: Call, event: Event) -> None:
        if isinstance(event, AudioReceived):
            raise RuntimeError("a bug of the application")

    bad, bad_caller = bench.place(1, broken, lambda *_: None)
    good, good_caller = bench.place(2, echo, lambda _, event: seen.append(event))
    bench.run(0.5)
    for caller in (bad_caller, good_caller, good_caller):
        caller.send_audio(OPUS)
    bench.run(0.5)
    assert bench.server.handler_errors == 1
    assert bench.server.call(bad.id) is None
    assert bench.server.call(good.id) is good
    assert sum(isinstance(event, AudioReceived) for event in seen) == 2


def test_p3_handlers_that_raise_do_not_flood_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Threat P3: all are counted; one a second is told, with its traceback."""
    bench = Bench(monkeypatch)

    def broken(call: Call, event: Event) -> None:
        raise RuntimeError("a bug of the application")

    for number in range(1, 9):
        bench.place(number, broken, lambda *_: None)
    bench.run(0.9)
    assert bench.server.handler_errors >= 8
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None


def test_errors_of_the_socket_are_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """ICMP errors and failed sends are counted; the call goes on when they stop."""
    bench = Bench(monkeypatch)
    heard: list[Event] = []
    _, outgoing = bench.place(1, echo, lambda _, event: heard.append(event))
    bench.run(0.5)
    server = bench.sockets[0]
    server.inbox.append(ConnectionRefusedError("a port of a client that left"))
    server.refuse = True
    outgoing.send_audio(OPUS)
    bench.run(0.1)
    assert bench.server.datagrams_unsent >= 1
    server.refuse = False
    outgoing.send_audio(OPUS)
    bench.run(0.1)
    assert sum(isinstance(event, AudioReceived) for event in heard) == 1


def test_busy_socket_is_drained_once_per_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """With packets closer than the tick, wake-ups follow the tick, not the packets."""
    bench = Bench(monkeypatch)
    _, outgoing = bench.place(1, lambda *_: None, lambda *_: None)
    bench.run(0.5)
    server, before = bench.sockets[0], bench.loop.wakeups
    for _ in range(1000):
        server.inbox.append((b"\x00junk", ("203.0.113.5", 9)))
        bench.run(0.0001)
    assert bench.loop.wakeups - before <= 0.1 / 0.002 + 10
    assert outgoing.stats().state == "connected"


def test_quiet_socket_is_watched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a busy spell the driver waits for the socket, and hears it within no time."""
    bench = Bench(monkeypatch)
    incoming, outgoing = bench.place(1, lambda *_: None, lambda *_: None)
    bench.run(0.5)
    server = bench.sockets[0]
    for _ in range(50):
        server.inbox.append((b"\x00junk", ("203.0.113.5", 9)))
        bench.run(0.0001)
    bench.run(0.01)
    assert server.fileno() in bench.loop.readers
    before = bench.loop.wakeups
    bench.run(0.05)
    assert bench.loop.wakeups == before, "an idle driver still looks on every tick"
    outgoing.send_audio(OPUS)
    bench.run(0.0)
    assert incoming.stats().inbound_rtp[0].packets_received == 1


def test_closed_by_a_handler_while_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler may close the driver at any moment; nothing touches the socket afterwards."""
    bench = Bench(monkeypatch)

    def on_event(call: Call, event: Event) -> None:
        if isinstance(event, AudioReceived):
            bench.server.close()

    _, outgoing = bench.place(1, on_event, lambda *_: None)
    bench.run(0.5)
    for _ in range(5):
        bench.sockets[0].inbox.append((b"\x00junk", ("203.0.113.5", 9)))
        bench.run(0.0001)
    outgoing.send_audio(OPUS)
    bench.run(0.1)
    assert bench.sockets[0].fileno() == -1
    assert not bench.loop.readers.keys() & {-1}


def test_close_says_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the driver ends every call at both ends, once."""
    bench = Bench(monkeypatch)
    ends: list[Event] = []
    for number in (1, 2):
        bench.place(number, lambda _, event: ends.append(event), lambda *_: None)
    bench.run(0.5)
    ends.clear()
    bench.server.close()
    bench.server.close()
    bench.run(0.1)
    assert [type(event) for event in ends] == [SessionClosed] * 2
    assert bench.sockets[0].fileno() == -1
    assert not bench.sockets[0].inbox or bench.sockets[0].fileno() not in bench.loop.readers


def test_sessions_do_not_share_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of a driver has its own id and finds its own session."""
    bench = Bench(monkeypatch)
    calls = [bench.place(number, echo, lambda *_: None)[0] for number in (1, 2, 3)]
    assert len({call.id for call in calls}) == 3
    for first, second in itertools.combinations(calls, 2):
        assert bench.server.call(first.id) is not bench.server.call(second.id)


def test_a_closed_driver_takes_no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would never send a packet; and nothing is created."""
    bench = Bench(monkeypatch)
    client = bench.driver(("198.51.100.1", 6000), ice_lite=False)
    _, offer = client.create_offer()
    bench.server.close()
    client.close()
    with pytest.raises(UsageError, match="closed"):
        client.create_offer()
    with pytest.raises(UsageError, match="closed"):
        bench.server.accept_offer(offer)
    assert len(bench.server.endpoint) == 0


def test_an_async_handler_opens_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before the endpoint makes a session."""
    bench = Bench(monkeypatch)
    client = bench.driver(("198.51.100.1", 6000), ice_lite=False)

    async def handler(call: Call, event: Event) -> None:
        """Never awaited."""

    unsuited: Any = handler
    _, offer = client.create_offer()
    with pytest.raises(UsageError, match="plain function"):
        bench.server.accept_offer(offer, unsuited)
    with pytest.raises(UsageError, match="plain function"):
        client.create_offer(unsuited)
    assert len(bench.server.endpoint) == 0
    assert len(client.endpoint) == 1


def test_statistics_outlive_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler of the end may ask, and so may anyone later, on both sides."""
    bench = Bench(monkeypatch)
    at_end: list[Any] = []

    def handler(call: Call, event: Event) -> None:
        if isinstance(event, SessionClosed):
            at_end.append(call.stats())

    incoming, outgoing = bench.place(1, handler, echo)
    bench.run(2.0)
    outgoing.send_audio(OPUS)
    bench.run(0.5)
    outgoing.close()
    bench.run(1.0)
    assert [stats.state for stats in at_end] == ["closed"]
    assert incoming.stats() is at_end[0]
    assert incoming.closed is not None
    assert outgoing.stats().outbound_rtp.packets_sent == 1
    assert outgoing.closed is not None


def test_the_end_of_the_block_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    """`async with` gives the driver itself and closes it, whatever happened inside."""
    bench = Bench(monkeypatch)

    async def run() -> None:
        async with bench.server as driver:
            assert driver is bench.server
            raise LookupError

    coroutine = run()
    with pytest.raises(LookupError):
        coroutine.send(None)
    with pytest.raises(UsageError, match="closed"):
        bench.server.create_offer()
