"""The state machine of one call's event interface.

Sans-IO: told of client events, of turns, of the backend and of the playout, it says which
events to send and what to do. No input raises, whatever a client, a backend or a playout
says. Every server event has the shape that `tables` gives it.

Theory of operation: the dialogue itself holds the session and the caller's side, that is
the input buffer and the turn that is being spoken. `answers` has the responses and what is
heard of them, `history` the conversation. Speech that begins interrupts, speech that ends
is a turn, and a turn is answered, each as the session's turn detection says; with none
the client commits and asks for answers by itself. A turn that ends while a response is
active, and has not interrupted it, is answered after it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from examples.transceiver.backend import BackendEvent
from examples.transceiver.realtime.answers import Answers
from examples.transceiver.realtime.commands import (
    AppendInput,
    ClearInput,
    Command,
    ConfigureTurns,
    HangUp,
    HangUpReason,
    UpdateSession,
)
from examples.transceiver.realtime.conversation import Conversation
from examples.transceiver.realtime.decode import MAX_CHANNEL_EVENT, decode
from examples.transceiver.realtime.history import History
from examples.transceiver.realtime.outbox import Outbox
from examples.transceiver.realtime.schema import Problem
from examples.transceiver.realtime.session_object import SessionObject

__all__ = ["WARNING_SECONDS", "Dialogue"]

# How long before the session's end `session.expiring` is sent, seconds.
WARNING_SECONDS: Final = 60.0

# Bytes of a millisecond of audio in an event, by format.
_BYTES_PER_MS: Final = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}


class Dialogue:
    """One call's dialogue. See the package for when its outputs are drained.

    `entropy` makes ids; `now` is when the session began. Audio in events is refused
    unless `accepts_append`: the audio of a call comes over its media connection.
    """

    __slots__ = (
        "_accepts_append",
        "_answers",
        "_buffered_ms",
        "_closed",
        "_deadline",
        "_history",
        "_opened",
        "_outbox",
        "_session",
        "_speech_item",
        "_speech_start_ms",
        "_warning_time",
    )

    def __init__(
        self,
        session: SessionObject,
        entropy: Callable[[int], bytes],
        now: float,
        *,
        accepts_append: bool = False,
    ) -> None:
        self._session = session
        self._accepts_append = accepts_append
        self._outbox = Outbox(entropy)
        self._history = History(self._outbox)
        self._answers = Answers(session, self._history, self._outbox)
        self._opened = False
        self._closed = False
        self._deadline = now + session.lifetime
        # None once the warning was given.
        self._warning_time: float | None = self._deadline - WARNING_SECONDS
        # The item that the caller's speech will be, from its start to its end.
        self._speech_item: str | None = None
        self._speech_start_ms: int | None = None
        self._buffered_ms = 0
        self._outbox.command(UpdateSession(session.value()))
        self._outbox.command(ConfigureTurns(session.turn_detection))

    # -- State

    @property
    def closed(self) -> bool:
        """Whether it is over: inputs change nothing any more."""
        return self._closed

    @property
    def active_response(self) -> str | None:
        """The id of the response that the backend works on."""
        return self._answers.active

    @property
    def conversation(self) -> Conversation:
        """The conversation, to be read."""
        return self._history.conversation

    def greeting(self) -> list[dict[str, Any]]:
        """What an observer that comes later is sent first, and nobody else."""
        return [self._outbox.event("session.created", {"session": self._session.value()})]

    # -- Outputs

    def events_to_send(self) -> list[dict[str, Any]]:
        """The server events since the last call, in order."""
        return self._outbox.take_events()

    def commands(self) -> list[Command]:
        """What is to be done since the last call, in order."""
        return self._outbox.take_commands()

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        if self._closed:
            return None
        return self._deadline if self._warning_time is None else self._warning_time

    # -- Inputs: the call

    def opened(self, now: float) -> None:
        """The client's channel is open. Only the first call counts."""
        if self._opened or self._closed:
            return
        self._opened = True
        self._outbox.emit("session.created", session=self._session.value())
        conversation = {"id": self.conversation.id, "object": "realtime.conversation"}
        self._outbox.emit("conversation.created", conversation=conversation)

    def close(self, reason: str, now: float) -> None:
        """The call is over; observers are told why."""
        if self._closed:
            return
        self._answers.abandon()
        self._outbox.emit("session.closed", reason=reason)
        self._closed = True

    def handle_timer(self, now: float) -> None:
        """Warn of the session's end, and end it."""
        if self._closed:
            return
        if now >= self._deadline:
            self.close(HangUpReason.EXPIRED.value, now)
            self._outbox.command(HangUp(HangUpReason.EXPIRED))
        elif self._warning_time is not None and now >= self._warning_time:
            self._warning_time = None
            self._outbox.emit(
                "session.expiring",
                expires_at=self._session.value()["expires_at"],
                seconds_left=round(self._deadline - now),
            )

    # -- Inputs: client events

    def receive_event(
        self, data: str | bytes, now: float, *, max_bytes: int = MAX_CHANNEL_EVENT
    ) -> None:
        """One event of the client, from its channel or a side band."""
        if self._closed:
            return
        event, event_id, problem = decode(data, max_bytes)
        if event is not None:
            problem = self._handle(event)
        if problem is not None:
            self._outbox.emit_error("invalid_request_error", problem, event_id)

    def too_many_events(self) -> None:
        """Events were not handed on, as there were too many."""
        if not self._closed:
            problem = Problem("rate_limit_exceeded", "too many events: wait a few seconds")
            self._outbox.emit_error("invalid_request_error", problem)

    def _handle(self, event: Mapping[str, Any]) -> Problem | None:
        """Act on an event whose shape is right."""
        match event["type"]:
            case "session.update":
                return self._update_session(event["session"])
            case "response.create":
                return self._answers.create(event.get("response") or {})
            case "response.cancel":
                return self._answers.cancel(event.get("response_id"))
            case "conversation.item.create":
                reserved = (self._speech_item, self._answers.item_to_come)
                return self._history.create(event["item"], event.get("previous_item_id"), reserved)
            case "conversation.item.retrieve":
                return self._history.retrieve(event["item_id"])
            case "conversation.item.delete":
                return self._history.delete(event["item_id"])
            case "conversation.item.truncate":
                return self._history.truncate(
                    event["item_id"], event["content_index"], event["audio_end_ms"]
                )
            case "input_audio_buffer.append":
                return self._append_input(event["audio"])
            case "input_audio_buffer.commit":
                return self._commit_input()
            case "input_audio_buffer.clear":
                self._clear_input()
            case "output_audio_buffer.clear":
                self._answers.clear_output()
            case unhandled:
                raise AssertionError(f"the table takes {unhandled}, and nothing handles it")
        return None

    def _update_session(self, update: Mapping[str, Any]) -> Problem | None:
        before = self._session.turn_detection
        problem = self._session.update(update)
        if problem is not None:
            return problem
        value = self._session.value()
        self._outbox.emit("session.updated", session=value)
        self._outbox.command(UpdateSession(value))
        after = self._session.turn_detection
        if after != before:
            self._outbox.command(ConfigureTurns(after))
            if after is None:
                self._speech_item = self._speech_start_ms = None
        return None

    # -- Inputs: the caller's audio

    def input_buffered(self, audio_ms: int) -> None:
        """How much audio the input buffer holds; told before the event that may commit it."""
        self._buffered_ms = audio_ms

    def speech_started(self, audio_start_ms: int, now: float) -> None:
        """The caller began to speak, counted from the padding before it."""
        detection = self._session.turn_detection
        if self._closed or detection is None or self._speech_item is not None:
            return
        self._speech_item, self._speech_start_ms = self._outbox.new_id("item"), audio_start_ms
        self._outbox.emit(
            "input_audio_buffer.speech_started",
            audio_start_ms=audio_start_ms,
            item_id=self._speech_item,
        )
        if detection["interrupt_response"]:
            self._answers.interrupt()

    def speech_stopped(self, audio_end_ms: int, now: float) -> None:
        """The caller's turn is over."""
        detection = self._session.turn_detection
        if self._closed or detection is None or self._speech_item is None:
            return
        item_id, start = self._speech_item, self._speech_start_ms
        self._speech_item = self._speech_start_ms = None
        self._outbox.emit(
            "input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=item_id
        )
        self._commit(item_id, start, audio_end_ms, answer=detection["create_response"])

    def idle_timeout(self, audio_start_ms: int, audio_end_ms: int, now: float) -> None:
        """The caller has said nothing for so long that the backend is to say something."""
        if self._closed or self._session.turn_detection is None:
            return
        if self._speech_item is not None or not self._answers.quiet:
            return
        item_id = self._outbox.new_id("item")
        self._outbox.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=audio_start_ms,
            audio_end_ms=audio_end_ms,
            item_id=item_id,
        )
        self._commit(item_id, audio_start_ms, audio_end_ms, answer=True)

    def _append_input(self, audio: str) -> Problem | None:
        if not self._accepts_append:
            reason = "this call's audio comes over its media connection"
            return Problem("append_not_supported", reason, "audio")
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            return Problem("invalid_value", "audio has to be base64", "audio")
        kind = self._session.input_format
        if kind == "audio/pcm" and len(data) % 2:
            return Problem("invalid_value", "audio has half a sample at its end", "audio")
        self._outbox.command(AppendInput(data))
        self._buffered_ms += len(data) // _BYTES_PER_MS[kind]
        return None

    def _commit_input(self) -> Problem | None:
        if self._buffered_ms <= 0:
            return Problem("input_audio_buffer_commit_empty", "the input buffer holds no audio")
        item_id = self._speech_item or self._outbox.new_id("item")
        if self._speech_item is not None:
            # The rest of what the caller is saying is a turn of its own.
            self._speech_item, self._speech_start_ms = self._outbox.new_id("item"), None
        self._commit(item_id, None, None, answer=False)
        return None

    def _clear_input(self) -> None:
        self._buffered_ms = 0
        # What is said from now on is a turn yet, of which only the end is known.
        self._speech_start_ms = None
        self._outbox.command(ClearInput())
        self._outbox.emit("input_audio_buffer.cleared")

    def _commit(self, item_id: str, start: int | None, end: int | None, *, answer: bool) -> None:
        known = start is not None and end is not None
        length = end - start if start is not None and end is not None else self._buffered_ms
        self._buffered_ms = 0
        self._history.commit(item_id, start, end if known else None, length)
        self._answers.turn_committed(item_id, answer=answer)

    # -- Inputs: the backend and the playout

    def receive_backend_event(self, event: BackendEvent, now: float) -> None:
        """What the backend says; nothing counts of a response that is not active."""
        if not self._closed:
            self._answers.receive_backend_event(event)

    def playout_started(self, response_id: str, now: float) -> None:
        """The first packet of a response left."""
        if not self._closed:
            self._answers.playout_started(response_id)

    def playout_stopped(self, response_id: str, now: float) -> None:
        """The last packet of a finished response left: its buffer is drained."""
        if not self._closed:
            self._answers.playout_stopped(response_id)

    def played(self, response_id: str, audio_ms: int, now: float) -> None:
        """The answer to `StopPlayout`: so much was sent, and no more will be."""
        if not self._closed:
            self._answers.played(response_id, audio_ms)
