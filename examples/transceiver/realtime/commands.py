"""What a dialogue asks of its call: one frozen value per command, carried out in order.

Those for the backend are named after its methods. Those for the playout are about one
response: audio of several may wait, and is heard in the order in which it was given.
`StopPlayout` is the only one with an answer: how much was sent, told to
`Dialogue.played` at once, since the conversation is cut exactly there.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeAlias

import attrs

from examples.transceiver.backend import ResponseRequest

__all__ = [
    "AddItem",
    "AppendInput",
    "CancelResponse",
    "ClearInput",
    "Command",
    "CommitTurn",
    "ConfigureTurns",
    "DeleteItem",
    "FinishPlayout",
    "HangUp",
    "HangUpReason",
    "PlayAudio",
    "StartResponse",
    "StopPlayout",
    "TruncateItem",
    "UpdateSession",
]


class HangUpReason(Enum):
    """Why the dialogue ends the call by itself."""

    EXPIRED = "expired"


@attrs.frozen
class UpdateSession:
    """Tell the backend what the session is now."""

    session: Mapping[str, Any]


@attrs.frozen
class ConfigureTurns:
    """Detect turns like this from now on; None: the client commits by itself.

    Always in the terms of `server_vad`, every field present.
    """

    turn_detection: Mapping[str, Any] | None


@attrs.frozen
class CommitTurn:
    """Take what the input buffer holds as the turn `item_id`, and tell the backend.

    Of a turn that was detected, from where its speech began (padding included) to
    where it ended, in ms of the caller's audio; None: all there is.
    """

    item_id: str
    audio_start_ms: int | None
    audio_end_ms: int | None


@attrs.frozen
class ClearInput:
    """Forget what the input buffer holds."""


@attrs.frozen
class AppendInput:
    """Audio that the client sent as an event, in the session's input format."""

    audio: bytes = attrs.field(repr=lambda audio: f"<{len(audio)} bytes>")


@attrs.frozen
class StartResponse:
    """Ask the backend for an answer.

    `request.turn` is None: the call puts the turn `turn_item_id` there, which it got
    by `CommitTurn` and which nothing has answered yet.
    """

    request: ResponseRequest
    turn_item_id: str | None


@attrs.frozen
class CancelResponse:
    """Tell the backend that nothing of this response is wanted any more."""

    response_id: str


@attrs.frozen
class PlayAudio:
    """Queue one Opus packet for the caller; the first one begins the response's playout."""

    response_id: str
    frame: bytes = attrs.field(repr=lambda frame: f"<{len(frame)} bytes>")


@attrs.frozen
class FinishPlayout:
    """No more audio of this response comes: it is over once its buffer is drained."""

    response_id: str


@attrs.frozen
class StopPlayout:
    """Send nothing more of this response, and call `Dialogue.played` at once."""

    response_id: str


@attrs.frozen
class AddItem:
    """Tell the backend of an item that the client put into the conversation."""

    item: Mapping[str, Any]
    previous_item_id: str | None


@attrs.frozen
class DeleteItem:
    """Tell the backend, and forget the turn of that name."""

    item_id: str


@attrs.frozen
class TruncateItem:
    """Tell the backend that only this much of an answer was heard."""

    item_id: str
    audio_end_ms: int


@attrs.frozen
class HangUp:
    """End the call, once the events that are due have been sent."""

    reason: HangUpReason


Command: TypeAlias = (
    UpdateSession
    | ConfigureTurns
    | CommitTurn
    | ClearInput
    | AppendInput
    | StartResponse
    | CancelResponse
    | PlayAudio
    | FinishPlayout
    | StopPlayout
    | AddItem
    | DeleteItem
    | TruncateItem
    | HangUp
)
