"""Our end of an interop call: an endpoint on a loopback socket, and what it heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import attrs

from rtcproto import (
    AudioLost,
    AudioReceived,
    Connected,
    EndpointConfig,
    Event,
    Identity,
    SessionClosed,
    SessionConfig,
    SessionStats,
)
from rtcproto.asyncio import Call, Driver, open_endpoint
from rtcproto.opus import OpusPacket, samples_per_packet

__all__ = ["Ours", "check_stream", "opened", "until"]

HOST = "127.0.0.1"

# Seconds for anything to happen on loopback; the usual is milliseconds.
LIMIT = 15.0


@cache
def _identity() -> Identity:
    return Identity.generate(time.time())


@attrs.define(eq=False)
class Ours:
    """An open endpoint and its one call. `echo`: return what is heard."""

    driver: Driver
    echo: bool
    call: Call | None = None
    events: list[Event] = attrs.field(factory=list)

    def accept_offer(self, offer: str) -> str:
        """Answer a peer; the answer."""
        self.call, answer = self.driver.accept_offer(offer, self._on_event)
        return answer

    def create_offer(self) -> str:
        """Call a peer; the offer."""
        self.call, offer = self.driver.create_offer(self._on_event)
        return offer

    def accept_answer(self, answer: str) -> None:
        """Take the peer's answer."""
        assert self.call is not None
        self.call.accept_answer(answer)

    @property
    def stats(self) -> SessionStats:
        """Those of the call."""
        assert self.call is not None
        return self.call.stats()

    @property
    def heard(self) -> list[AudioReceived]:
        """All audio so far."""
        return [event for event in self.events if isinstance(event, AudioReceived)]

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def connected(self) -> Connected:
        """Wait until the call is connected."""
        await until(lambda: self.of(Connected) or self.of(SessionClosed), "a connection")
        assert not self.of(SessionClosed), self.of(SessionClosed)
        (event,) = self.of(Connected)
        assert isinstance(event, Connected)
        return event

    async def closed(self) -> SessionClosed:
        """Wait until the call is over."""
        await until(lambda: self.of(SessionClosed), "the end of the session")
        (event,) = self.of(SessionClosed)
        assert isinstance(event, SessionClosed)
        return event

    async def talk(self, packets: Sequence[bytes], timestamps: Sequence[int] | None = None) -> None:
        """Send Opus packets in real time, at their timestamps if given, else back to back."""
        assert self.call is not None
        start, clock = time.monotonic(), 0
        for index, packet in enumerate(packets):
            clock = clock if timestamps is None else timestamps[index]
            await asyncio.sleep(max(0.0, start + clock / 48_000 - time.monotonic()))
            self.call.send_audio(packet, timestamp=clock)
            clock += samples_per_packet(packet)

    def _on_event(self, call: Call, event: Event) -> None:
        self.events.append(event)
        if self.echo and isinstance(event, AudioReceived):
            call.send_audio(event.payload, timestamp=event.timestamp)


@asynccontextmanager
async def opened(
    *, echo: bool, relay: Any = None, host: str = HOST, **fields: Any
) -> AsyncIterator[Ours]:
    """An endpoint for one call; `fields` are those of `SessionConfig`."""
    fields.setdefault("addresses", ((host, 0),))
    session = SessionConfig(identity=_identity(), allow_loopback=True, **fields)
    config = EndpointConfig(session=session, **(relay or {}))
    driver = await open_endpoint(config, (host, 0))
    try:
        yield Ours(driver, echo)
        assert driver.handler_errors == 0
    finally:
        driver.close()


async def until(condition: Callable[[], Any], what: str, limit: float = LIMIT) -> None:
    """Wait until `condition` holds; TimeoutError says what did not come."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} in {limit:g} s")
        await asyncio.sleep(0.005)


def check_stream(ours: Ours) -> list[int]:
    """We heard one gapless stream of 20 ms Opus packets; its timestamp jumps, in samples."""
    assert not ours.of(AudioLost)
    heard = ours.heard
    assert len({event.ssrc for event in heard}) == 1
    durations = {
        len(parsed.frames) * parsed.toc.frame_samples
        for parsed in (OpusPacket.parse(event.payload) for event in heard)
    }
    assert durations == {960}
    pairs = list(pairwise(heard))
    assert all(after.sequence == before.sequence + 1 for before, after in pairs)
    steps = [after.timestamp - before.timestamp for before, after in pairs]
    return [step for step in steps if step != 960]
