"""What a connection was told, so that what the server says of it can be understood.

Servers name an event of ours in their errors by its id, and the items that they make of
committed audio by nothing but the order of the commits. Called by `bridge`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from examples.transceiver.realtime_ws.codec import Codec
from examples.transceiver.realtime_ws.outgoing import Outgoing
from examples.transceiver.realtime_ws.shapes import MAX_ITEM_ID, format_of

__all__ = ["MAX_TOLD_EVENTS", "Teller"]

# Events that are remembered in case there is something wrong with them: errors come at once.
MAX_TOLD_EVENTS: Final = 256


class Teller:
    """One call's. Nothing is said while there is no connection, `open` says so."""

    def __init__(self, codec: Codec) -> None:
        self.outgoing = Outgoing(codec)
        self.open = False
        # Updates of the session that the server has not confirmed.
        self._updates = 0
        self._named = 0
        # By event id, what was said, and which item of ours it was about.
        self._told: dict[str, tuple[str, str]] = {}
        # The turns that were committed and have no name yet, in order.
        self._commits: deque[str] = deque()

    def reset(self, *, connected: bool) -> None:
        """The connection is gone, or new."""
        self.open = connected
        self._updates = 0
        self._told.clear()
        self._commits.clear()
        self.outgoing.reset()

    def say(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        replay: bool = False,
        first: bool = False,
        input_format: str = "",
    ) -> str:
        """Send an event; its id. One that is a `replay` may fail without anybody noticing."""
        if not self.open:
            return ""
        event_id = self.outgoing.say(kind, fields, first=first, input_format=input_format)
        self._tell(event_id, "replay" if replay else kind, "")
        return event_id

    def update(self, change: Mapping[str, Any]) -> None:
        """Send what changes in the session."""
        self._updates += 1
        self.say("session.update", {"session": change}, input_format=format_of(change, "input"))

    def commit(self, item_id: str) -> None:
        """The audio that was sent is this turn."""
        self._tell(self.outgoing.commit(), "input_audio_buffer.commit", item_id)
        self._commits.append(item_id)

    def name_of(self, item_id: str) -> str:
        """What the server is to call an item of ours."""
        if len(item_id) <= MAX_ITEM_ID:
            return item_id
        self._named += 1
        return f"item_long_{self._named}"

    # -- What the server says of it

    def updated(self, input_format: str) -> None:
        """It has a new session; the format is the one it takes, once it knows the newest."""
        self._updates = max(0, self._updates - 1)
        if not self._updates:
            self.outgoing.use(input_format)

    def committed(self) -> str | None:
        """It has made an item of a turn; our id of that."""
        return self._commits.popleft() if self._commits else None

    def refused(self, event_id: str) -> str:
        """It does not take an event; what that was, or nothing: none of ours."""
        kind, about = self._told.pop(event_id, ("", ""))
        if kind == "input_audio_buffer.commit" and about in self._commits:
            self._commits.remove(about)
        return kind

    def _tell(self, event_id: str, kind: str, about: str) -> None:
        self._told[event_id] = kind, about
        while len(self._told) > MAX_TOLD_EVENTS:
            del self._told[next(iter(self._told))]
