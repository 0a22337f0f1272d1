"""A transceiver's registration: its slot, address and epoch in the relays' shared store.

Renewed three times per lease. While the store is down the relays keep what they know, and this
goes on trying; nothing else in the transceiver depends on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Self

import redis.asyncio

from examples.relay.store import CHANGED, OWNERS, connect
from rtcproto.routing import LEASE, Entry, build_lease

__all__ = ["Registration"]

# Seconds between renewals, and between attempts after a failure.
RENEWAL = LEASE / 3
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

TIMEOUT = 1.0

_log = logging.getLogger("transceiver")


class Registration:
    """`async with Registration(url, slot, entry):` is registered until the block ends.

    Raises SettingsError if `url` is no redis:// address.
    """

    def __init__(self, url: str, slot: tuple[int, int], entry: Entry) -> None:
        connect(url).close()
        self._url = url
        self._slot = slot
        self._entry = entry
        self._task: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self.is_registered = False

    def renew_now(self) -> None:
        """Do not wait for the next renewal."""
        self._again.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        client = redis.asyncio.Redis.from_url(
            self._url,
            decode_responses=True,
            # Somebody else's record in our place may be anything.
            encoding_errors="replace",
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=None,
        )
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    self._again.clear()
                    await self._renew(client)
                    self.is_registered = True
                    pause = FIRST_PAUSE
                    # Not wait_for: it may swallow the cancellation that ends us.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(RENEWAL):
                            await self._again.wait()
                except redis.RedisError as error:
                    if self.is_registered or pause == FIRST_PAUSE:
                        _log.warning("not registered: %s", type(error).__name__)
                    self.is_registered = False
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            await client.aclose()

    async def _renew(self, client: redis.asyncio.Redis) -> None:
        seconds, microseconds = await client.time()
        expires = seconds + microseconds / 1e6 + LEASE
        field, value = build_lease(self._slot, self._entry, expires)
        before = await client.hget(OWNERS, field)
        await client.hset(OWNERS, field, value)
        if before is None or str(before).partition(" ")[0] != value.partition(" ")[0]:
            # Relays read all of it now instead of within a second.
            await client.publish(CHANGED, field)
