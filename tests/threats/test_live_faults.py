"""One bug does not stop the loop: row P2 with real sockets.

`test_process` has the same on virtual time, where every wake-up can be counted.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from rtcproto.asyncio import Call, Driver, open_endpoint
from rtcproto.config import EndpointConfig, SessionConfig
from rtcproto.dtls import Identity
from rtcproto.events import AudioReceived, Connected, Event
from tests.support.calls import OPUS

pytestmark = pytest.mark.live

HOST = "127.0.0.1"

CALLS = 100
PACKETS = 50
# Of the packets, one in so many has the handler raise.
ONE_IN = 100


async def driver(identity: Identity, *, lite: bool) -> Driver:
    """An endpoint on loopback, at a port that the system chooses."""
    session = SessionConfig(
        identity=identity,
        addresses=((HOST, 0),),
        ice_lite=lite,
        allow_loopback=True,
    )
    config = EndpointConfig(session=session, max_sessions=CALLS, max_connecting=CALLS)
    return await open_endpoint(config, (HOST, 0))


async def faulty_handlers() -> tuple[dict[str, list[int]], set[str], int]:
    """Place the calls and talk in all: what each handler heard, who raised, what was counted."""
    identity = Identity.generate(time.time())
    server = await driver(identity, lite=True)
    clients = [await driver(identity, lite=False) for _ in range(CALLS)]
    heard: dict[str, list[int]] = {}
    raised: set[str] = set()
    connected = asyncio.Semaphore(0)
    packets = 0

    def handler(call: Call, event: Event) -> None:
        nonlocal packets
        if isinstance(event, Connected):
            connected.release()
        elif isinstance(event, AudioReceived):
            packets += 1
            heard.setdefault(call.id, []).append(int.from_bytes(event.payload[1:5], "big"))
            if packets % ONE_IN == 0:
                raised.add(call.id)
                raise ZeroDivisionError("a bug of the application")

    def placed(call: Call, event: Event) -> None:
        del call
        if isinstance(event, Connected):
            connected.release()

    try:
        pairs: list[tuple[Call, Call]] = []
        for client in clients:
            outgoing, offer = client.create_offer(placed)
            incoming, answer = server.accept_offer(offer, handler)
            outgoing.accept_answer(answer)
            pairs.append((incoming, outgoing))
        for _ in range(2 * CALLS):
            await asyncio.wait_for(connected.acquire(), 15)
        for number in range(PACKETS):
            for incoming, outgoing in pairs:
                if incoming.id not in raised:
                    outgoing.send_audio(OPUS + number.to_bytes(4, "big") + bytes(40))
                    # Callers who know nothing of one another do not speak in the same instant.
                    await asyncio.sleep(0)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        alive = {incoming.id for incoming, _ in pairs if server.call(incoming.id) is not None}
        assert alive == {incoming.id for incoming, _ in pairs} - raised
        return heard, raised, server.handler_errors
    finally:
        for open_one in (server, *clients):
            open_one.close()


def test_p2_a_handler_that_raises_live() -> None:
    """It raises on 1 % of the packets of 100 calls: those calls end, the others lose nothing."""
    heard, raised, errors = asyncio.run(faulty_handlers())
    assert len(raised) == errors
    assert CALLS * PACKETS // ONE_IN // 2 < errors < CALLS
    whole = [numbers for call, numbers in heard.items() if call not in raised]
    assert len(whole) == CALLS - len(raised)
    assert all(numbers == list(range(PACKETS)) for numbers in whole)
