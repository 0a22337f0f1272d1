"""A thin asyncio driver: one UDP socket, one `Endpoint`, any number of calls."""

from rtcproto.asyncio.call import Call, EventHandler
from rtcproto.asyncio.driver import Driver
from rtcproto.asyncio.opening import open_endpoint

__all__ = ["Call", "Driver", "EventHandler", "open_endpoint"]
