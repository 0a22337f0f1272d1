"""What answers a caller: the interface between a call and an inference backend.

Frames go in, frames and events come out. A `BackendFactory` makes one `Backend` per
call. Everything runs on the event loop's thread, so no method may block; what takes
time is the backend's own task, and what comes of it goes to `emit`, at any time.

Audio is Opus packets both ways, with the times that they stand for. Nothing in a call
decodes them: a backend that wants samples brings its own codec. It may produce audio
faster than it is heard: the call paces it.

Order: `update_session` at first, so that a backend knows the session before any audio;
then, per turn, `receive_frame` as frames arrive, `speech_started`, `commit_turn` once the
turn is part of the conversation, and `create_response`. Of one response, all that it has is emitted
before `ResponseDone` or `ResponseFailed`; after `cancel_response` nothing of it is
wanted, and what still comes is dropped by the caller. A method that raises costs one
error event, never the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import attrs

__all__ = [
    "AudioFrame",
    "Backend",
    "BackendEvent",
    "BackendFactory",
    "BackendFailed",
    "DirectAudio",
    "Emit",
    "InputTranscript",
    "ResponseAudio",
    "ResponseDone",
    "ResponseFailed",
    "ResponseFunctionCall",
    "ResponseRequest",
    "ResponseText",
    "ResponseTranscript",
    "Turn",
]


@attrs.frozen
class AudioFrame:
    """One Opus packet of the caller, as it arrived.

    `timestamp` and `duration` count 48 kHz samples; the first frame of a call has
    timestamp 0, and a jump is silence or loss. Frames are not put in order: a late
    one has a lower timestamp than the one before it. `level` is -dBov, 0 (loudest)
    to 127 (silence), and `voice` the sender's own opinion, RFC 6464; both None where
    the packet says nothing.
    """

    payload: bytes = attrs.field(repr=lambda payload: f"<{len(payload)} bytes>")
    timestamp: int
    duration: int
    level: int | None = None
    voice: bool | None = None


@attrs.frozen
class Turn:
    """What the caller said, from the padding before it to its end.

    `item_id` names its item in the conversation. Times are milliseconds of the
    caller's audio, as in the events of the interface; `frames` are in order.
    """

    item_id: str
    frames: tuple[AudioFrame, ...] = attrs.field(repr=lambda frames: f"<{len(frames)} frames>")
    audio_start_ms: int
    audio_end_ms: int


@attrs.frozen
class ResponseRequest:
    """An answer to be given.

    `item_id` names the assistant's message to come. `items` is the conversation so
    far in the shape it has on the wire, `turn` the newest turn that was committed
    and not answered, if there is one. `parameters` holds what else the session and
    the client's `response.create` say: voice, tools, tool_choice, max_output_tokens,
    metadata.
    """

    response_id: str
    item_id: str
    instructions: str
    modalities: tuple[str, ...]
    items: tuple[Mapping[str, Any], ...]
    turn: Turn | None
    parameters: Mapping[str, Any]


@attrs.frozen
class ResponseAudio:
    """One Opus packet of a response; its duration is the packet's own.

    `level` is how loud it is, -dBov, where the backend knows: the caller's client is told.
    """

    response_id: str
    frame: bytes = attrs.field(repr=lambda frame: f"<{len(frame)} bytes>")
    level: int | None = None


@attrs.frozen
class ResponseTranscript:
    """A piece of what the audio of a response says."""

    response_id: str
    delta: str


@attrs.frozen
class ResponseText:
    """A piece of a response in text."""

    response_id: str
    delta: str


@attrs.frozen
class ResponseFunctionCall:
    """The response calls a tool of the client. `arguments` is JSON."""

    response_id: str
    call_id: str
    name: str
    arguments: str


@attrs.frozen
class ResponseDone:
    """All of the response was handed over; the caller may still be hearing it."""

    response_id: str
    usage: Mapping[str, Any] | None = None


@attrs.frozen
class ResponseFailed:
    """The response ends here, with an error. The call stays up."""

    response_id: str
    code: str
    message: str


@attrs.frozen
class InputTranscript:
    """What the caller said in the turn `item_id`."""

    item_id: str
    transcript: str


@attrs.frozen
class BackendFailed:
    """Something is wrong that is not about one response. The call stays up."""

    code: str
    message: str


@attrs.frozen
class DirectAudio:
    """One Opus packet that is sent at once, on the time line of the caller's own frames.

    It belongs to no response and is not paced, and the events say nothing of it.
    """

    frame: AudioFrame


BackendEvent: TypeAlias = (
    ResponseAudio
    | ResponseTranscript
    | ResponseText
    | ResponseFunctionCall
    | ResponseDone
    | ResponseFailed
    | InputTranscript
    | BackendFailed
)

Emit: TypeAlias = Callable[[BackendEvent | DirectAudio], None]


class Backend(Protocol):
    """One call's backend. No method blocks, and none is called after `close`."""

    def update_session(self, session: Mapping[str, Any]) -> None:
        """The session is this from now on. Called first of all, and at every change."""

    def receive_frame(self, frame: AudioFrame) -> None:
        """Take a frame of the caller. Called for every one, silence included."""

    def speech_started(self, audio_start_ms: int) -> None:
        """The caller speaks, padding included from this time on; a turn with this start follows.

        Not always: turn detection may be switched off meanwhile, or the client may commit
        by itself. A turn is what `commit_turn` says; this is for who wants its audio before.
        """

    def commit_turn(self, turn: Turn) -> None:
        """Take note that a turn is part of the conversation now."""

    def create_response(self, request: ResponseRequest) -> None:
        """Begin to answer. At most one response is under way at a time."""

    def cancel_response(self, response_id: str) -> None:
        """Stop: the caller interrupted it, or the client cancelled it."""

    def add_item(self, item: Mapping[str, Any], previous_item_id: str | None) -> None:
        """Take an item that the client put into the conversation, after the one named."""

    def delete_item(self, item_id: str) -> None:
        """Forget an item."""

    def truncate_item(self, item_id: str, audio_end_ms: int) -> None:
        """Remember an answer only as far as it was heard."""

    async def close(self) -> None:
        """Let go of everything. The last call of all, soon after the call's end."""


BackendFactory: TypeAlias = Callable[[Mapping[str, Any], Emit], Backend]
"""Makes the backend of one call out of its session object and where its events go."""
