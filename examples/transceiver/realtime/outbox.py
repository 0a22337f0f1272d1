"""What a dialogue has to say: server events and commands, in order, until they are fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from examples.transceiver.realtime.commands import Command
from examples.transceiver.realtime.responses import Emission
from examples.transceiver.realtime.schema import Problem

__all__ = ["Outbox"]

# Random bytes of an id: enough that no two of a call are the same.
_ID_BYTES: Final = 12


class Outbox:
    """Collects one call's outputs and makes its ids."""

    __slots__ = ("_commands", "_entropy", "_events")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._events: list[dict[str, Any]] = []
        self._commands: list[Command] = []

    def new_id(self, prefix: str) -> str:
        """An id that nothing else has."""
        return f"{prefix}_{self._entropy(_ID_BYTES).hex()}"

    def event(self, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """An event with an id of its own; it is not put into the outbox."""
        return {"type": kind, "event_id": self.new_id("event"), **fields}

    def emit(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        self._events.append(self.event(kind, fields))

    def emit_all(self, emissions: Iterable[Emission]) -> None:
        """Send what an organ yields."""
        self._events.extend(self.event(kind, fields) for kind, fields in emissions)

    def emit_error(self, kind: str, problem: Problem, event_id: str | None = None) -> None:
        """Send an `error`; `event_id` is that of the client's event, if it is about one."""
        self.emit(
            "error",
            error={
                "type": kind,
                "code": problem.code,
                "message": problem.message,
                "param": problem.param,
                "event_id": event_id,
            },
        )

    def command(self, command: Command) -> None:
        """Have something done."""
        self._commands.append(command)

    def take_events(self) -> list[dict[str, Any]]:
        """All events since the last call."""
        events, self._events = self._events, []
        return events

    def take_commands(self) -> list[Command]:
        """All commands since the last call."""
        commands, self._commands = self._commands, []
        return commands
