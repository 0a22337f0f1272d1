"""One call on virtual time: a caller, a wire that keeps what is sent, a backend on order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from examples.transceiver.agent import Agent
from examples.transceiver.backend import Emit, ResponseAudio
from examples.transceiver.callid import CallId
from examples.transceiver.parrot import Parrot
from examples.transceiver.ports import Over
from examples.transceiver.realtime.dialogue import Dialogue
from examples.transceiver.realtime.session_object import SessionObject
from examples.transceiver.ticker import Ticker
from rtcproto.datachannel import Open
from rtcproto.errors import UsageError
from rtcproto.events import AudioReceived, Connected, DataChannelMessage, DataChannelOpened
from tests.support.virtual_loop import VirtualLoop

__all__ = [
    "CONNECTED",
    "LOUD",
    "QUIET",
    "Listening",
    "Recorder",
    "Scene",
    "recorder",
    "start_answer",
]

LOUD, QUIET = 25, 90
CONNECTED = Connected(
    remote=("192.0.2.1", 1), local=None, srtp_profile="AEAD_AES_128_GCM", dtls_cipher=""
)


class Wire:
    """What the agent sends: audio and events, with the time."""

    id = "0123456789abcdef"

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.audio: list[tuple[float, bytes, int, int | None]] = []
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.backlog = 0
        self.refusal: Exception | None = None
        self.deaf = False
        self.closed = False

    def send_audio(
        self, payload: bytes, *, timestamp: int | None, level: int | None, voice: bool
    ) -> None:
        """Note a packet."""
        if self.deaf:
            raise UsageError("the peer does not receive audio")
        assert timestamp is not None
        self.audio.append((self._clock(), payload, timestamp, level))

    def send_message(self, channel: int, data: str | bytes) -> None:
        """Note an event."""
        assert channel == 1
        if self.refusal is not None:
            raise self.refusal
        if self.closed:
            raise UsageError("the session is closed")
        self.events.append((self._clock(), json.loads(data)))

    def buffered_amount(self, channel: int) -> int:
        """What the test says."""
        return self.backlog

    def restart_ice(self, fragment: str) -> str:
        """Answer with something that shows the question."""
        return f"restarted by {fragment}"

    def add_candidates(self, fragment: str) -> None:
        """Take only what is right."""
        if fragment != "good":
            raise UsageError("no")

    def close(self) -> None:
        """Note it."""
        self.closed = True


class Listening:
    """A side band that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.end: tuple[Over, str] | None = None

    def hear(self, text: str) -> None:
        """Keep it."""
        assert self.end is None
        self.heard.append(json.loads(text))

    def over(self, why: Over, detail: str) -> None:
        """Keep that."""
        assert self.end is None
        self.end = why, detail


class Recorder:
    """A backend that answers when the test says so; `broken` names methods that raise."""

    def __init__(self, session: Mapping[str, Any], emit: Emit) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.emit = emit
        self.broken: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """Every method notes its call."""

        def method(*arguments: Any) -> None:
            if name in self.broken:
                raise ZeroDivisionError(name)
            self.calls.append((name, arguments))

        return method

    def last(self, name: str) -> tuple[Any, ...]:
        """The arguments of the newest call of a method."""
        return next(arguments for called, arguments in reversed(self.calls) if called == name)


class Scene:
    """A call, its caller, and the time."""

    def __init__(
        self,
        factory: Any = None,
        session: Mapping[str, Any] | None = None,
        *,
        channel: bool = True,
        connected: bool = True,
        lifetime: float = 3600.0,
    ) -> None:
        self.loop = VirtualLoop()
        self.wire = Wire(self.loop.clock)
        self.ticker = Ticker(self.loop.clock, self.loop.later)
        self.over: list[Agent] = []
        self._count = 0
        self.position = 0
        self._sequence = 0
        configured = SessionObject(session, session_id="sess_1", unix_time=0.0, lifetime=lifetime)
        parrot = lambda session, emit: Parrot(session, emit, self.loop.later)  # noqa: E731
        self.agent = Agent(
            call_id=CallId(1, 2, 3, self.wire.id),
            call=self.wire,
            dialogue=Dialogue(configured, self._entropy, self.loop.now),
            session=configured.value(),
            factory=factory or parrot,
            ticker=self.ticker,
            clock=self.loop.clock,
            on_over=self.over.append,
        )
        if connected:
            self.agent.handle_event(CONNECTED)
        if channel:
            self.open_channel()

    def _entropy(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(size, "big")

    def open_channel(self, label: str = "oai-events", channel: int = 1) -> None:
        """The client's channel opens."""
        parameters = Open(label=label)
        self.agent.handle_event(
            DataChannelOpened(channel=channel, parameters=parameters, incoming=True)
        )

    def say(self, level: int | None, ms: int) -> None:
        """The caller sends packets of 20 ms; each payload says when."""
        for _ in range(ms // 20):
            self.loop.run(0.02)
            self._sequence += 1
            payload = b"\x78" + self._sequence.to_bytes(3, "big")
            event = AudioReceived(
                payload, self.position, self._sequence, level, True, False, 7, self.loop.now
            )
            self.position += 960
            self.agent.handle_event(event)

    def tell(self, kind: str, **fields: Any) -> None:
        """The client sends an event on its channel."""
        text = json.dumps({"type": kind, **fields})
        self.agent.handle_event(DataChannelMessage(channel=1, data=text))

    def kinds(self) -> list[str]:
        """The types of the events so far."""
        return [event["type"] for _, event in self.wire.events]

    def first(self, kind: str) -> dict[str, Any]:
        """The first event of a type."""
        return next(event for _, event in self.wire.events if event["type"] == kind)

    def at(self, kind: str) -> float:
        """When it was sent."""
        return next(at for at, event in self.wire.events if event["type"] == kind)

    def of(self, *kinds: str) -> list[str]:
        """The types of the events so far that are of these types."""
        return [kind for kind in self.kinds() if kind in kinds]


def recorder(scene: Scene) -> Recorder:
    """The scene's backend."""
    backend: Any = scene.agent.backend
    assert isinstance(backend, Recorder)
    return backend


def start_answer(scene: Scene, count: int = 100) -> str:
    """Let the caller speak and the recorder answer with so many packets; the response's id."""
    scene.say(LOUD, 1000)
    scene.say(QUIET, 520)
    (request,) = recorder(scene).last("create_response")
    for _ in range(count):
        recorder(scene).emit(ResponseAudio(request.response_id, b"\x78\x01", 30))
    response_id: str = request.response_id
    return response_id
