"""Responses, from what asks for them to the last that is heard of them.

At most one response is active, from `response.created` to `response.done`: that is what
the backend works on. What it says is played meanwhile and after. A playout ends by itself
or is stopped, and only the call's pacer knows how much was sent until then: the
conversation is cut when it has said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, assert_never

from examples.transceiver.backend import (
    BackendEvent,
    BackendFailed,
    InputTranscript,
    ResponseAudio,
    ResponseDone,
    ResponseFailed,
    ResponseFunctionCall,
    ResponseRequest,
    ResponseText,
    ResponseTranscript,
)
from examples.transceiver.realtime.commands import (
    CancelResponse,
    FinishPlayout,
    PlayAudio,
    StartResponse,
    StopPlayout,
)
from examples.transceiver.realtime.history import History
from examples.transceiver.realtime.outbox import Outbox
from examples.transceiver.realtime.playouts import Playouts
from examples.transceiver.realtime.requests import Asked, asked_response
from examples.transceiver.realtime.responses import MAX_RESPONSE_BYTES, Response
from examples.transceiver.realtime.schema import Problem
from examples.transceiver.realtime.session_object import SessionObject
from rtcproto.errors import ParseError
from rtcproto.opus import OpusPacket

__all__ = ["Answers"]

# Characters of what a backend says went wrong, and of what it understood the caller to say.
_MAX_MESSAGE: Final = 1024
_MAX_TRANSCRIPT: Final = 16 * 1024

# Characters of the names in a function call.
_MAX_NAME: Final = 64

# Failures that are no failure but an end: the published reasons of an incomplete response.
_INCOMPLETE: Final = ("max_output_tokens", "content_filter")


# The published fields of a response's usage, and how many details of each are passed on.
_USAGE: Final = (
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "input_token_details",
    "output_token_details",
)
_MAX_DETAILS: Final = 16


class Answers:
    """The responses of one call. A method that returns a Problem has then done nothing."""

    __slots__ = (
        "_active",
        "_due",
        "_history",
        "_outbox",
        "_playouts",
        "_session",
        "_unanswered",
    )

    def __init__(self, session: SessionObject, history: History, outbox: Outbox) -> None:
        self._session = session
        self._history = history
        self._outbox = outbox
        self._active: Response | None = None
        self._playouts = Playouts()
        # The newest turn that nothing has answered, and whether an answer is to begin as
        # soon as there may be one.
        self._unanswered: str | None = None
        self._due = False

    @property
    def active(self) -> str | None:
        """The id of the response that the backend works on."""
        return None if self._active is None else self._active.id

    @property
    def item_to_come(self) -> str | None:
        """The id that the active response's message has or will have."""
        return None if self._active is None else self._active.item_id

    @property
    def quiet(self) -> bool:
        """Whether nothing is being answered and nothing is to be heard."""
        return self._active is None and not len(self._playouts)

    # -- What begins and ends responses

    def create(self, wanted: Mapping[str, Any]) -> Problem | None:
        """A client wants a response."""
        if self._active is not None:
            return Problem(
                "conversation_already_has_active_response",
                f"the response {self._active.id} is active: wait until it is done",
            )
        if self._playouts.full:
            return Problem("output_audio_buffer_full", "too many responses wait to be heard")
        asked = asked_response(wanted, self._session, self._history.conversation)
        if isinstance(asked, Problem):
            return asked
        self._start(asked)
        return None

    def turn_committed(self, item_id: str, *, answer: bool) -> None:
        """There is a new turn; whether an answer is to begin as soon as there may be one."""
        self._unanswered = item_id
        if answer:
            self._due = True
            self._answer()

    def cancel(self, response_id: str | None) -> Problem | None:
        """A client wants no more to be generated. What it has is played to its end."""
        if self._active is None or response_id not in (None, self._active.id):
            return Problem("response_cancel_not_active", "no such response is active")
        self._cancel({"type": "cancelled", "reason": "client_cancelled"})
        return None

    def clear_output(self) -> None:
        """A client wants to hear no more of what is being said."""
        # The response that is speaking would go on speaking.
        if self._active is not None and self._playouts.find(self._active.id) is not None:
            self._cancel({"type": "cancelled", "reason": "client_cancelled"})
        self._stop_playouts()

    def interrupt(self) -> None:
        """The caller speaks."""
        self._due = False
        if self._active is not None:
            self._cancel({"type": "cancelled", "reason": "turn_detected"})
        self._stop_playouts()

    def abandon(self) -> None:
        """The call is over."""
        self._due = False
        if self._active is not None:
            self._cancel({"type": "cancelled"})

    # -- The playout

    def playout_started(self, response_id: str) -> None:
        """The first packet of a response left."""
        if self._playouts.start(response_id):
            self._outbox.emit("output_audio_buffer.started", response_id=response_id)

    def playout_stopped(self, response_id: str) -> None:
        """The last packet of a response left."""
        if self._playouts.drained(response_id):
            self._outbox.emit("output_audio_buffer.stopped", response_id=response_id)
            self._answer()

    def played(self, response_id: str, audio_ms: int) -> None:
        """A playout was stopped, as told, after so much of it."""
        playout = self._playouts.stopped(response_id)
        if playout is None:
            return
        self._outbox.emit("output_audio_buffer.cleared", response_id=response_id)
        self._history.heard(playout.item_id, audio_ms, broken_off=playout.broken_off)
        self._answer()

    # -- The backend

    def receive_backend_event(self, event: BackendEvent) -> None:
        """What the backend says. Of a response that is not active, nothing counts."""
        match event:
            case InputTranscript(item_id=item_id, transcript=transcript):
                words = _clean(transcript, _MAX_TRANSCRIPT)
                self._history.transcribed(item_id, words, tell=self._session.transcribes)
            case BackendFailed():
                self._outbox.emit_error("server_error", _failure(event.code, event.message))
            case _:
                if self._active is not None and event.response_id == self._active.id:
                    self._response_event(self._active, event)

    def _response_event(
        self,
        response: Response,
        event: ResponseAudio
        | ResponseTranscript
        | ResponseText
        | ResponseFunctionCall
        | ResponseDone
        | ResponseFailed,
    ) -> None:
        match event:
            case ResponseAudio(frame=frame):
                self._audio(response, frame)
            case ResponseTranscript(delta=delta) if response.speaks:
                self._outbox.emit_all(response.transcript(_clean(delta, MAX_RESPONSE_BYTES)))
            case ResponseTranscript(delta=delta) | ResponseText(delta=delta):
                self._outbox.emit_all(response.text(_clean(delta, MAX_RESPONSE_BYTES)))
            case ResponseFunctionCall():
                self._function_call(response, event)
            case ResponseDone(usage=usage):
                self._finish("completed", {"type": "completed"}, usage)
            case ResponseFailed(code=code) if code in _INCOMPLETE:
                self._finish("incomplete", {"type": "incomplete", "reason": code})
            case ResponseFailed():
                self._fail(_failure(event.code, event.message))
            case _:
                assert_never(event)
        if self._active is response and response.full:
            self._outbox.command(CancelResponse(response.id))
            reason = {"type": "incomplete", "reason": "max_output_tokens"}
            self._finish("incomplete", reason)

    def _audio(self, response: Response, frame: bytes) -> None:
        if not response.speaks:
            return  # nobody asked for it
        try:
            samples = OpusPacket.parse(frame).samples
        except ParseError:
            self._outbox.command(CancelResponse(response.id))
            self._fail(Problem("invalid_audio", "the backend made audio that is no Opus packet"))
            return
        self._session.audio_sent(response.voice)
        self._outbox.emit_all(response.audio(samples))
        self._playouts.begin(response.id, response.item_id)
        self._outbox.command(PlayAudio(response.id, frame))

    def _function_call(self, response: Response, event: ResponseFunctionCall) -> None:
        self._outbox.emit_all(
            response.function_call(
                self._outbox.new_id("item"),
                _clean(event.call_id, _MAX_NAME) or self._outbox.new_id("call"),
                _clean(event.name, _MAX_NAME),
                _clean(event.arguments, MAX_RESPONSE_BYTES),
            )
        )

    # -- Beginning and ending

    def _answer(self) -> None:
        """Begin the answer that is due, if there may be one now."""
        if self._due and self._active is None and not self._playouts.full:
            asked = asked_response({}, self._session, self._history.conversation)
            assert not isinstance(asked, Problem), "the session's own values fit"
            self._start(asked)

    def _start(self, asked: Asked) -> None:
        conversation = self._history.conversation
        self._active = response = Response(
            self._outbox.new_id("resp"),
            self._outbox.new_id("item"),
            asked.settings,
            conversation if asked.in_band else None,
        )
        turn = None
        if asked.in_band and not asked.own_input:
            turn, self._unanswered, self._due = self._unanswered, None, False
        request = ResponseRequest(
            response_id=response.id,
            item_id=response.item_id,
            instructions=asked.settings["instructions"],
            modalities=tuple(asked.settings["output_modalities"]),
            items=asked.items,
            turn=None,
            parameters=asked.parameters,
        )
        self._outbox.emit_all(response.created())
        # A turn that was deleted since is not answered either.
        known = turn is not None and conversation.find(turn) is not None
        self._outbox.command(StartResponse(request, turn if known else None))

    def _cancel(self, details: Mapping[str, Any]) -> None:
        assert self._active is not None, "callers look"
        self._outbox.command(CancelResponse(self._active.id))
        self._finish("cancelled", details)

    def _fail(self, problem: Problem) -> None:
        self._outbox.emit_error("server_error", problem)
        error = {"type": "server_error", "code": problem.code}
        self._finish("failed", {"type": "failed", "error": error})

    def _finish(
        self, status: str, details: Mapping[str, Any], usage: Mapping[str, Any] | None = None
    ) -> None:
        response, self._active = self._active, None
        assert response is not None, "callers look"
        self._outbox.emit_all(response.finish(status, details, _counted(usage)))
        if self._playouts.finish(response.id, broken_off=status != "completed"):
            self._outbox.command(FinishPlayout(response.id))
        self._history.evict()
        self._answer()

    def _stop_playouts(self) -> None:
        for response_id in self._playouts.stop():
            self._outbox.command(StopPlayout(response_id))


def _failure(code: str, message: str) -> Problem:
    return Problem(_clean(code, _MAX_NAME), _clean(message, _MAX_MESSAGE))


def _counted(usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Of what a backend says about tokens, the numbers; details are one or two levels below."""
    if usage is None:
        return None
    return {name: _counts(usage[name], 2) for name in _USAGE if name in usage}


def _counts(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping) and depth:
        return {
            _clean(str(name), _MAX_NAME): _counts(each, depth - 1)
            for name, each in list(value.items())[:_MAX_DETAILS]
        }
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _clean(text: str, limit: int) -> str:
    """Text of a backend as it may be sent: so many characters, all of them Unicode."""
    return text[:limit].encode("utf-8", "replace").decode("utf-8")
