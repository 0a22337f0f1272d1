"""A thin asyncio driver: one UDP socket, one `Endpoint`, one deadline.

It does what the loop in the package's docstring does, and nothing else: every
protocol decision is the endpoint's. Created by `open_endpoint`.

The socket is drained at each wake-up instead of asking the event loop again for
every datagram: at voice rates wake-ups cost more than everything else together.
When they come closer than `drain_tick` seconds, the driver sleeps that long
between them, so a busy server pays for one wake-up per tick, not per packet.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import Self

from rtcproto.asyncio.call import Call, EventHandler, check_handler
from rtcproto.asyncio.error_log import ErrorLog
from rtcproto.datagram import MAX_DATAGRAM_IN, Address, normalise
from rtcproto.endpoint import Endpoint, SessionId
from rtcproto.errors import UsageError
from rtcproto.events import Event, SessionClosed
from rtcproto.routing import HEADER_SIZE

__all__ = ["DRAIN_TICK", "Driver"]

logger = logging.getLogger("rtcproto.asyncio")

# Seconds between two wake-ups of a busy socket. A tenth of an Opus frame: half
# the CPU at fifty calls, for a delay that nobody hears.
DRAIN_TICK = 0.002

# Datagrams taken per wake-up, so that a flood cannot keep the event loop from
# its timers and other tasks.
MAX_DRAIN = 512

# Bytes asked of the socket: the largest datagram we take, behind two proxy
# headers, and one more, so that a larger one is seen to be larger.
MAX_READ = MAX_DATAGRAM_IN + 2 * HEADER_SIZE + 1


class Driver:
    """Runs one endpoint on a socket until `close()` or the end of its `async with`."""

    def __init__(
        self, endpoint: Endpoint, sock: socket.socket, drain_tick: float = DRAIN_TICK
    ) -> None:
        self.endpoint = endpoint
        self.address: Address = normalise(sock.getsockname())
        self.handler_errors = 0
        self.datagrams_unsent = 0
        self._socket = sock
        self._family = sock.family
        self._tick = drain_tick
        self._loop = asyncio.get_running_loop()
        self._calls: dict[SessionId, Call] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._flush_pending = False
        self._last_wake = 0.0
        self._errors = ErrorLog()
        self._loop.add_reader(sock.fileno(), self._on_readable)

    def accept_offer(self, offer: str, handler: EventHandler | None = None) -> tuple[Call, str]:
        """Answer an offer: call and answer. Raises as the endpoint, UsageError after `close`."""
        self._check(handler)
        session_id, answer = self.endpoint.accept_offer(offer, time.monotonic())
        return self._new_call(session_id, handler), answer

    def create_offer(self, handler: EventHandler | None = None) -> tuple[Call, str]:
        """Offer a session: the call, to be given the answer, and the offer. Raises likewise."""
        self._check(handler)
        session_id, offer = self.endpoint.create_offer(time.monotonic())
        return self._new_call(session_id, handler), offer

    def call(self, session_id: SessionId) -> Call | None:
        """The live call with this id, or None."""
        return self._calls.get(session_id)

    def flush_soon(self) -> None:
        """Send and deliver what verbs produced, once in this turn of the event loop."""
        if not self._flush_pending:
            self._flush_pending = True
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Close every session, send their farewells, close the socket."""
        if self._socket.fileno() < 0:
            return
        self.endpoint.close(time.monotonic())
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _check(self, handler: EventHandler | None) -> None:
        if self._socket.fileno() < 0:
            raise UsageError("the driver is closed")
        check_handler(handler)

    def _new_call(self, session_id: SessionId, handler: EventHandler | None) -> Call:
        call = Call(session_id, self.endpoint, self.flush_soon, handler)
        self._calls[session_id] = call
        self.flush_soon()
        return call

    def _on_readable(self) -> None:
        now = time.monotonic()
        self._drain(now)
        if now - self._last_wake < self._tick and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.call_later(self._tick, self._on_tick)
        self._last_wake = now

    def _on_tick(self) -> None:
        # Busy: read at once instead of asking the event loop to watch the socket again.
        received = self._socket.fileno() >= 0 and self._drain(time.monotonic())
        if self._socket.fileno() < 0:
            return  # closed, by a handler perhaps
        if received:
            self._loop.call_later(self._tick, self._on_tick)
        else:
            self._loop.add_reader(self._socket.fileno(), self._on_readable)

    def _drain(self, now: float) -> bool:
        """Take what has arrived, a bounded number of datagrams; False if there was nothing."""
        receive, receive_datagram = self._socket.recvfrom, self.endpoint.receive_datagram
        v6 = self._family == socket.AF_INET6
        received = False
        for _ in range(MAX_DRAIN):
            try:
                data, source = receive(MAX_READ)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:  # an ICMP error of an earlier send surfaces here
                self._errors.tell("receive", error, now)
                continue
            received = True
            receive_datagram(data, normalise(source) if v6 else source, now)
        self._flush()
        return received

    def _on_timer(self) -> None:
        deadline, self._timer, self._timer_at = self._timer_at, None, None
        # Event loops wake a hair early; the endpoint must not see that.
        self.endpoint.handle_timer(max(time.monotonic(), deadline or 0.0))
        self._flush()

    def _flush(self) -> None:
        # What handlers produce leaves below: they need not ask for another flush.
        self._flush_pending = True
        while events := self.endpoint.next_events():
            for session_id, event in events:
                self._deliver(session_id, event)
        self._flush_pending = False
        if self._socket.fileno() < 0:
            return
        send, v6 = self._socket.sendto, self._family == socket.AF_INET6
        for datagram in self.endpoint.datagrams_to_send():
            host, port = datagram.destination
            try:
                send(datagram.data, (f"::ffff:{host}" if v6 and "." in host else host, port))
            except OSError as error:
                self.datagrams_unsent += 1  # UDP promises nothing; the protocols retransmit
                self._errors.tell("send", error, time.monotonic())
        self._arm(self.endpoint.get_timer())

    def _deliver(self, session_id: SessionId, event: Event) -> None:
        call = self._calls.get(session_id)
        if call is None:
            return
        if isinstance(event, SessionClosed):
            del self._calls[session_id]
        try:
            call.deliver(event)
        except Exception:
            self.handler_errors += 1
            if self._errors.due("handler", time.monotonic()):
                logger.exception("the handler of a call raised; closing that call")
            self.endpoint.close_session(session_id, time.monotonic())

    def _arm(self, deadline: float | None) -> None:
        if deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at, self._timer = deadline, None
        if deadline is not None:
            delay = max(0.0, deadline - time.monotonic())
            self._timer = self._loop.call_later(delay, self._on_timer)
