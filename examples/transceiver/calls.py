"""All calls of this transceiver: begun by an offer, each run by an `Agent`.

A `ports.CallTable`. It ties a call of the driver to its session object, dialogue and
backend, and lets go of the backend when the call is over.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from examples.transceiver.agent import Agent
from examples.transceiver.backend import BackendFactory
from examples.transceiver.callid import CallId
from examples.transceiver.histogram import Histogram
from examples.transceiver.metrics import Counters
from examples.transceiver.realtime.dialogue import Dialogue
from examples.transceiver.realtime.session_object import SESSION_SECONDS, SessionObject
from examples.transceiver.ticker import Ticker
from rtcproto.asyncio import Call, Driver
from rtcproto.errors import CapacityExceeded
from rtcproto.events import Event

__all__ = ["CLOSE_TIMEOUT", "Calls"]

logger = logging.getLogger("transceiver")

# Seconds for which figures of all calls stand: adding them up takes as long as a packet
# of each call does, and anybody may ask.
STATS_INTERVAL = 1.0

# Seconds that a backend has to let go of a call that is over.
CLOSE_TIMEOUT = 5.0


class Calls:
    """The calls of one driver. `owner` says whose they are, `factory` who answers them.

    `by_model` are the models of sessions that another factory answers; `lifetime` is how
    long a call may last, seconds.
    """

    def __init__(
        self,
        driver: Driver,
        owner: CallId,
        factory: BackendFactory,
        *,
        by_model: Mapping[str, BackendFactory] | None = None,
        lifetime: float = SESSION_SECONDS,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._driver = driver
        self._owner = owner
        self._factory = factory
        self._by_model = by_model or {}
        self._lifetime = lifetime
        self._entropy = entropy
        self._ticker = Ticker(time.monotonic, asyncio.get_running_loop().call_later)
        self._agents: dict[str, Agent] = {}
        self._closing: set[asyncio.Task[None]] = set()
        # Of the calls that are over.
        self._counters = Counters()
        self._lateness = Histogram()
        # When they were added up, and what came of it.
        self._stats: tuple[float, dict[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self._agents)

    def create(
        self, offer: str, session: Mapping[str, Any] | None, owner_key: str | None
    ) -> tuple[CallId, str]:
        """Answer an offer. `owner_key` is for whoever looks after quotas; nothing here asks.

        Raises ParseError, DescriptionTooLarge or DescriptionRefused for the offer,
        InvalidSession for the session, CapacityExceeded if there is no room or no backend.
        """
        configured = SessionObject(
            session,
            session_id=f"sess_{self._entropy(12).hex()}",
            unix_time=time.time(),
            lifetime=self._lifetime,
        )
        value = configured.value()
        factory = self._by_model.get(value.get("model", ""), self._factory)
        call, answer = self._driver.accept_offer(offer, self._deliver)
        call_id = self._owner.of(call.id)
        try:
            agent = Agent(
                call_id=call_id,
                call=call,
                dialogue=Dialogue(configured, self._entropy, time.monotonic()),
                session=value,
                factory=factory,
                ticker=self._ticker,
                clock=time.monotonic,
                on_over=self._on_over,
            )
        except Exception:
            call.close()
            logger.exception("call %s: there is no backend for it", call_id.shown)
            raise CapacityExceeded("the backend takes no calls") from None
        self._agents[call.id] = agent
        return call_id, answer

    def find(self, call_id: CallId) -> Agent | None:
        """The live call with this id, or None."""
        if call_id != self._owner.of(call_id.session):
            return None
        return self._agents.get(call_id.session)

    def hang_up(self, call_id: CallId) -> None:
        """End a call; no effect if it is over."""
        agent = self.find(call_id)
        if agent is not None:
            logger.info("call %s: ended by request", call_id.shown)
            agent.hang_up()

    def stats(self) -> dict[str, Any]:
        """What all calls counted and measured, those that are over included.

        Not older than `STATS_INTERVAL`.
        """
        now = time.monotonic()
        if self._stats is None or now - self._stats[0] >= STATS_INTERVAL:
            self._stats = now, self._add_up()
        return self._stats[1]

    async def close(self) -> None:
        """Wait until the backends of the calls that are over have let go; serve no deadlines."""
        self._ticker.close()
        if self._closing:
            await asyncio.wait(self._closing)

    def _add_up(self) -> dict[str, Any]:
        counters, lateness = Counters(), Histogram()
        counters.merge(self._counters)
        lateness.merge(self._lateness)
        for agent in self._agents.values():
            counters.merge(agent.counters)
            lateness.merge(agent.playout.lateness)
        return {
            "calls": len(self._agents),
            **counters.as_dict(),
            "pacer_lateness": lateness.as_dict(),
        }

    def _deliver(self, call: Call, event: Event) -> None:
        agent = self._agents.get(call.id)
        if agent is not None:
            agent.handle_event(event)

    def _on_over(self, agent: Agent) -> None:
        del self._agents[agent.call_id.session]
        self._counters.merge(agent.counters)
        self._lateness.merge(agent.playout.lateness)
        task = asyncio.get_running_loop().create_task(_close(agent))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close(agent: Agent) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await agent.backend.close()
    except Exception:
        logger.exception("call %s: the backend did not let go", agent.call_id.shown)
