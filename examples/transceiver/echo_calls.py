"""Calls that are echoed: a `ports.CallTable` on a driver, for as long as calls have no agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.transceiver.callid import CallId
from examples.transceiver.echo import Echo
from examples.transceiver.ports import Listener, why_over
from rtcproto.asyncio import Call, Driver
from rtcproto.errors import DescriptionRefused
from rtcproto.events import Connected, Event, SessionClosed

__all__ = ["EchoCall", "EchoCalls"]


class EchoCall:
    """One call. A `ports.CallHandle`."""

    def __init__(self) -> None:
        self.connected = False
        self._listeners: list[Listener] = []

    def attach(self, listener: Listener) -> None:
        """Begin to tell `listener`."""
        self._listeners.append(listener)

    def detach(self, listener: Listener) -> None:
        """Stop."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def receive_event(self, text: str | bytes) -> None:
        """An echo has nothing that could be asked for."""

    def restart_ice(self, fragment: str) -> str:
        """An echo's client calls again."""
        raise DescriptionRefused("ICE cannot be restarted here")

    def add_candidates(self, fragment: str) -> None:
        """An ICE-lite server needs none."""

    def tell(self, event: Event) -> None:
        """One event of the driver."""
        if isinstance(event, Connected):
            self.connected = True
        elif isinstance(event, SessionClosed):
            for listener in self._listeners:
                listener.over(why_over(event.reason), event.reason.value)


class EchoCalls:
    """All calls of `driver`."""

    def __init__(self, driver: Driver, owner: CallId) -> None:
        self._driver = driver
        self._owner = owner
        self._echo = Echo(owner)
        self._calls: dict[str, EchoCall] = {}

    def create(
        self, offer: str, session: Mapping[str, Any] | None, owner_key: str | None
    ) -> tuple[CallId, str]:
        """Answer an offer. Raises as `Driver.accept_offer`."""
        call, answer = self._driver.accept_offer(offer, self._handle)
        self._calls[call.id] = EchoCall()
        return self._owner.of(call.id), answer

    def find(self, call_id: CallId) -> EchoCall | None:
        """The live call with this id, or None."""
        return self._calls.get(call_id.session) if self._is_ours(call_id) else None

    def hang_up(self, call_id: CallId) -> None:
        """End a call."""
        call = self._driver.call(call_id.session) if self._is_ours(call_id) else None
        if call is not None:
            call.close()

    def _is_ours(self, call_id: CallId) -> bool:
        return call_id == self._owner.of(call_id.session)

    def _handle(self, call: Call, event: Event) -> None:
        kept = self._calls.get(call.id)
        if isinstance(event, SessionClosed):
            self._calls.pop(call.id, None)
        if kept is not None:
            kept.tell(event)
        self._echo(call, event)
