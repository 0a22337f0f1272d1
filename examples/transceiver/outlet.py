"""Where the server events of a call go: the client's data channel and the side bands.

Called by the agent of a call. Listeners hear every event; a client that does not take
its events, or takes none as large, loses them, and they are counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from examples.transceiver.metrics import Counters
from examples.transceiver.ports import Listener, Over
from rtcproto.errors import BufferFull, UsageError

__all__ = ["LABEL", "MAX_BACKLOG", "MessageCall", "Outlet"]

# The channel of the events, which the client opens.
LABEL = "oai-events"

# Bytes that may wait for a client that does not take its events; those that come
# meanwhile are left out. A minute of a talkative answer.
MAX_BACKLOG = 1 << 20


class MessageCall(Protocol):
    """What is needed of a call to send events."""

    def send_message(self, channel: int, data: str | bytes) -> None:
        """Send one message on a data channel."""

    def buffered_amount(self, channel: int) -> int:
        """Bytes that wait on a data channel."""


class Outlet:
    """The event channel of one call, once the client has opened it, and its listeners."""

    def __init__(self, call: MessageCall, counters: Counters) -> None:
        self.channel: int | None = None
        # Characters of all events so far, whoever took them.
        self.written = 0
        self._call = call
        self._counters = counters
        self._listeners: list[Listener] = []

    def attach(self, listener: Listener, greeting: Iterable[Mapping[str, Any]]) -> None:
        """Begin to tell `listener`, the greeting first."""
        for event in greeting:
            listener.hear(_text(event))
        self._listeners.append(listener)

    def detach(self, listener: Listener) -> None:
        """Stop; no effect if it is not attached."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def send(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Tell everybody, in order."""
        for event in events:
            text = _text(event)
            self.written += len(text)
            # Listeners hear of the end by themselves, in `close`.
            if event["type"] != "session.closed":
                for listener in self._listeners:
                    listener.hear(text)
            if self.channel is not None:
                self._send(self.channel, text)

    def close(self, over: Over, detail: str) -> None:
        """The call is over: tell whoever listens, for the last time."""
        self.channel = None
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.over(over, detail)

    def _send(self, channel: int, text: str) -> None:
        try:
            if self._call.buffered_amount(channel) > MAX_BACKLOG:
                self._counters.events_dropped += 1
                return
            self._call.send_message(channel, text)
        except (BufferFull, UsageError):
            # Larger than the client takes, or the channel is on its way down.
            self._counters.events_dropped += 1
        else:
            self._counters.events_out += 1


def _text(event: Mapping[str, Any]) -> str:
    # Escaped to ASCII: whatever strange text a client wrote can be sent back to it.
    return json.dumps(event, separators=(",", ":"))
