"""A bridge, played on from both sides by a test, with a codec that only copies."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from examples.transceiver.backend import (
    AudioFrame,
    BackendEvent,
    ResponseAudio,
    ResponseRequest,
    Turn,
)
from examples.transceiver.realtime.items import user_turn
from examples.transceiver.realtime.session_object import SessionObject
from examples.transceiver.realtime_ws.bridge import Bridge
from examples.transceiver.realtime_ws.codec import Format

__all__ = ["Copier", "Room", "audio_of", "frames", "session"]


class _Copy:
    """20 ms of the format for each packet, all of them its last byte; and back."""

    def __init__(self, given: Format) -> None:
        self.unit = given.rate // 50 * given.width
        self._data = b""
        self._finished = False

    def decode(self, payload: bytes) -> bytes:
        """Samples that show which packet they are of; nothing for what is broken."""
        return b"" if payload == b"broken" else payload[-1:] * self.unit

    def feed(self, data: bytes) -> None:
        """Take audio."""
        self._data += data

    def finish(self) -> None:
        """Take no more."""
        self._data += bytes(-len(self._data) % self.unit)

    def next_packet(self) -> tuple[bytes, int] | None:
        """20 ms."""
        if len(self._data) < self.unit:
            return None
        packet, self._data = self._data[:1], self._data[self.unit :]
        return b"\x78" + packet, 30


class Copier:
    """The codec; it counts what it made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def decoder(self, target: Format) -> _Copy:
        """To the format."""
        self.made.append(f"to {target.name}")
        return _Copy(target)

    def encoder(self, source: Format) -> _Copy:
        """From it."""
        self.made.append(f"from {source.name}")
        return _Copy(source)


def session(**fields: Any) -> Mapping[str, Any]:
    """A session object, with what a client says."""
    return SessionObject(fields or None, session_id="sess_1", unix_time=0.0).value()


def frames(count: int, start: int = 0) -> tuple[AudioFrame, ...]:
    """Packets of 20 ms from a number on; the last byte is the number."""
    return tuple(
        AudioFrame(b"\x78" + bytes((number % 256,)), number * 960, 960, 20)
        for number in range(start, start + count)
    )


def audio_of(events: list[dict[str, Any]]) -> bytes:
    """All audio that some events append."""
    return b"".join(
        base64.b64decode(event["audio"])
        for event in events
        if event["type"] == "input_audio_buffer.append"
    )


class Room:
    """One bridge. `now` moves in `wait` alone."""

    def __init__(self, *, connected: bool = True, **fields: Any) -> None:
        self.now = 1000.0
        self.codec = Copier()
        self.bridge = Bridge(self.codec, lambda size: bytes((128,)) * size)
        self.emitted: list[BackendEvent] = []
        self.bridge.update_session(session(**fields), self.now)
        self.items: list[Mapping[str, Any]] = []
        self._responses = 0
        if connected:
            self.connect()

    def connect(self) -> list[dict[str, Any]]:
        """The server is there and knows the session; what it was told after that."""
        self.bridge.retry.begun(self.now)
        self.bridge.opened(self.now)
        assert [event["type"] for event in self.sent()] == ["session.update"]
        self.server("session.updated", session={})
        return self.sent()

    def sent(self) -> list[dict[str, Any]]:
        """What was sent since."""
        events = []
        while (text := self.bridge.next_message()) is not None:
            events.append(json.loads(text))
        return events

    def kinds(self) -> list[str]:
        """The types of what was sent since; audio in a row counts once."""
        kinds: list[str] = []
        for event in self.sent():
            if not kinds or kinds[-1] != event["type"] or "append" not in kinds[-1]:
                kinds.append(event["type"])
        return kinds

    def server(self, kind: str, **fields: Any) -> list[BackendEvent]:
        """The server says something; what the call is told of it."""
        self.bridge.receive(json.dumps({"type": kind, **fields}), self.now)
        while self.bridge.work(self.now):
            pass
        return self.told()

    def told(self) -> list[BackendEvent]:
        """What the call was told since."""
        events = self.bridge.next_events()
        self.emitted += events
        return events

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while (at := self.bridge.get_timer()) is not None and at <= until:
            self.now = max(self.now, at)
            self.bridge.handle_timer(self.now)
        self.now = until

    def turn(self, item_id: str = "item_1", *, start: int = 0, count: int = 10) -> Turn:
        """The caller says something, which the call has detected."""
        said = frames(count, start)
        for frame in said[:3]:
            self.bridge.receive_frame(frame, self.now)
        self.bridge.speech_started(start * 20, self.now)
        for frame in said[3:]:
            self.bridge.receive_frame(frame, self.now)
        turn = Turn(item_id, said, start * 20, (start + count) * 20)
        self.bridge.commit_turn(turn, self.now)
        self.items.append(user_turn(item_id))
        return turn

    def ask(self, **parameters: Any) -> ResponseRequest:
        """The call wants an answer."""
        self._responses += 1
        number = self._responses
        request = ResponseRequest(
            f"resp_{number}",
            f"answer_{number}",
            "",
            ("audio",),
            tuple(self.items),
            None,
            parameters,
        )
        self.bridge.create_response(request, self.now)
        return request

    def answer(self, name: str, *pieces: bytes, item: str = "up_item") -> list[BackendEvent]:
        """The server begins an answer and says these pieces of audio."""
        self.server("response.created", response={"id": name})
        for piece in pieces:
            self.server(
                "response.output_audio.delta",
                response_id=name,
                item_id=item,
                content_index=0,
                delta=base64.b64encode(piece).decode(),
            )
        return self.emitted

    def audio(self) -> list[bytes]:
        """The packets that the call got."""
        self.told()
        return [event.frame for event in self.emitted if isinstance(event, ResponseAudio)]
