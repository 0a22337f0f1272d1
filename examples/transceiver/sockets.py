"""What every WebSocket here has in common, whether it ends here or is passed on.

Nothing is compressed, so a small message is a small message; a peer that does not answer
a ping is gone; and the connection lives as long as its handler, not `webserver.LIFETIME`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from aiohttp import web

from examples.transceiver.auth import WEBSOCKET_PROTOCOL
from examples.transceiver.bodies import Refused
from examples.webserver import keep_open

__all__ = ["HEARTBEAT", "MAX_MESSAGE", "check_upgrade", "open_socket", "until_first"]

# Bytes of one message: what the interface allows for audio in an event.
MAX_MESSAGE = 15 << 20

# Seconds between two pings.
HEARTBEAT = 20.0

# Seconds that the other side has to answer our close.
CLOSE_TIMEOUT = 2.0


def check_upgrade(request: web.Request) -> None:
    """Raise Refused for what does not ask for a WebSocket of ours."""
    if request.headers.get("Upgrade", "").strip().lower() != "websocket":
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        raise Refused(426, "upgrade_required", "this is for WebSockets", headers=headers)
    asked = request.headers.get("Sec-WebSocket-Protocol")
    if asked is not None and WEBSOCKET_PROTOCOL not in [each.strip() for each in asked.split(",")]:
        # aiohttp would log what was asked for, and a key may be among it.
        message = f"the only subprotocol is {WEBSOCKET_PROTOCOL}"
        raise Refused(400, "unsupported_subprotocol", message)


async def open_socket(request: web.Request) -> web.WebSocketResponse:
    """Take the upgrade that `check_upgrade` found."""
    socket = web.WebSocketResponse(
        protocols=(WEBSOCKET_PROTOCOL,),
        # aiohttp refuses what has as many.
        max_msg_size=MAX_MESSAGE + 1,
        heartbeat=HEARTBEAT,
        timeout=CLOSE_TIMEOUT,
        compress=False,
    )
    await socket.prepare(request)
    keep_open(request)
    return socket


async def until_first(*work: Coroutine[object, object, None]) -> None:
    """Run all until one of them ends, and end the others. Raises what one raised.

    So nobody reads from a WebSocket that is closed then: aiohttp would not wait for the
    other side's close, which would find the connection gone.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
