"""A dialogue with a call around it: a pacer that plays, and a log of all that was said.

Every event passes the contract: it has one of the published shapes, and it is JSON.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from examples.transceiver.backend import (
    BackendEvent,
    ResponseAudio,
    ResponseDone,
    ResponseRequest,
    ResponseTranscript,
)
from examples.transceiver.realtime.commands import (
    Command,
    PlayAudio,
    StartResponse,
    StopPlayout,
)
from examples.transceiver.realtime.decode import encode
from examples.transceiver.realtime.dialogue import Dialogue
from examples.transceiver.realtime.session_object import SessionObject
from examples.transceiver.realtime.tables import check
from rtcproto.opus import SILENCE_MONO

__all__ = ["FRAME_MS", "UNIX_TIME", "Event", "Scene", "counting"]

FRAME_MS = 20
UNIX_TIME = 1_800_000_000.0

Event = dict[str, Any]


def counting() -> Callable[[int], bytes]:
    """Entropy that counts, so that a failure reads the same each time."""
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


class Scene:
    """`events` and `done` hold every event and command so far, in order."""

    def __init__(self, config: object = None, *, accepts_append: bool = False) -> None:
        self.now = 100.0
        self.session = SessionObject(config, session_id="sess_1", unix_time=UNIX_TIME)
        self.dialogue = Dialogue(self.session, counting(), self.now, accepts_append=accepts_append)
        self.events: list[Event] = []
        self.done: list[Command] = []
        # Audio given to the pacer and sent by it, ms, by response.
        self.queued: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.drain()

    # -- Inputs

    def open(self) -> list[Event]:
        """The channel opens."""
        self.dialogue.opened(self.now)
        return self.drain()

    def client(self, kind: str, **fields: Any) -> list[Event]:
        """The client sends an event."""
        return self.raw(json.dumps({"type": kind, **fields}))

    def raw(self, data: str | bytes, **limits: int) -> list[Event]:
        """The client sends anything."""
        self.dialogue.receive_event(data, self.now, **limits)
        return self.drain()

    def turn(self, start: int = 0, end: int = 1000) -> list[Event]:
        """The caller says something."""
        self.dialogue.speech_started(start, self.now)
        return self.drain() + self.stop_speaking(end)

    def stop_speaking(self, end: int) -> list[Event]:
        """The caller falls silent."""
        self.dialogue.speech_stopped(end, self.now)
        return self.drain()

    def backend(self, *events: BackendEvent) -> list[Event]:
        """The backend says something."""
        for event in events:
            self.dialogue.receive_backend_event(event, self.now)
        return self.drain()

    def speak(self, words: str = "one two three four five", ms: int = 1000) -> list[Event]:
        """The active response gets words and audio."""
        response_id = self.active
        audio = [ResponseAudio(response_id, SILENCE_MONO) for _ in range(ms // FRAME_MS)]
        return self.backend(*audio, ResponseTranscript(response_id, words))

    def finish(self, usage: Mapping[str, Any] | None = None) -> list[Event]:
        """The active response is complete."""
        return self.backend(ResponseDone(self.active, usage))

    def play(self, ms: int | None = None) -> list[Event]:
        """The pacer sends so much of the first response that waits, or all of it."""
        response_id = next(each for each in self.queued if self.left(each))
        before, all_of_it = self.sent[response_id], self.queued[response_id]
        self.sent[response_id] = all_of_it if ms is None else min(before + ms, all_of_it)
        if not before:
            self.dialogue.playout_started(response_id, self.now)
        if not self.left(response_id):
            self.dialogue.playout_stopped(response_id, self.now)
        return self.drain()

    def left(self, response_id: str) -> int:
        """How much audio of a response waits."""
        return self.queued[response_id] - self.sent[response_id]

    # -- State

    @property
    def active(self) -> str:
        """The active response."""
        response_id = self.dialogue.active_response
        assert response_id is not None, "no response is active"
        return response_id

    @property
    def requests(self) -> list[ResponseRequest]:
        """What the backend was asked for."""
        return [each.request for each in self.commands(StartResponse)]

    def commands(self, kind: type[Any]) -> list[Any]:
        """The commands of one kind."""
        return [command for command in self.done if isinstance(command, kind)]

    def of(self, kind: str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event["type"] == kind]

    # -- The call

    def drain(self) -> list[Event]:
        """Do what the dialogue says, and fetch what it has to say."""
        while commands := self.dialogue.commands():
            for command in commands:
                self.done.append(command)
                self._carry_out(command)
        events = self.dialogue.events_to_send()
        for event in events:
            assert check(event) == [], event
            assert json.loads(encode(event)) == event
        self.events += events
        return events

    def _carry_out(self, command: Command) -> None:
        match command:
            case PlayAudio(response_id=response_id):
                self.sent.setdefault(response_id, 0)
                self.queued[response_id] = self.queued.get(response_id, 0) + FRAME_MS
            case StopPlayout(response_id=response_id):
                self.queued[response_id] = self.sent[response_id]
                self.dialogue.played(response_id, self.sent[response_id], self.now)
