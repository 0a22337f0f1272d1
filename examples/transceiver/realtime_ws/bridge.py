"""The state machine between a call and a server of the Realtime WebSocket protocol.

Sans-IO: the methods of a backend with the time as their last argument, a connection that
comes (`opened`), says things (`receive`) and goes (`lost`); what comes of it is messages to
send, `next_message`, and events for the call, `next_events`. No input raises, whatever a
server says: what is malformed is counted and passed over.

Theory of operation: the call detects turns, so the server is told not to. A turn's audio is
sent while it is being said, from its beginning on, as soon as the call knows that somebody
speaks, and committed when the turn is over; where that was not possible, because nothing was
connected or the client commits by itself, the whole turn is sent then. The server has one
response at a time: the next is asked for when the one before is over, cancelled ones
included. What the server makes is encoded step by step, `work`, between other things.

A connection may be lost at any time. The answer that was being made fails, the call goes
on, and the next connection is told the session and the conversation before anything else.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final

from examples.transceiver.backend import (
    AudioFrame,
    BackendEvent,
    BackendFailed,
    InputTranscript,
    ResponseDone,
    ResponseFailed,
    ResponseFunctionCall,
    ResponseRequest,
    ResponseText,
    ResponseTranscript,
    Turn,
)
from examples.transceiver.realtime_ws.answer import Answer
from examples.transceiver.realtime_ws.codec import FORMATS, Codec
from examples.transceiver.realtime_ws.memory import Memory
from examples.transceiver.realtime_ws.preroll import Preroll
from examples.transceiver.realtime_ws.retry import Retry
from examples.transceiver.realtime_ws.shapes import (
    format_of,
    mapping,
    response_settings,
    session_change,
    text,
    whole_session,
)
from examples.transceiver.realtime_ws.teller import Teller

__all__ = ["Bridge"]

# Seconds until a new connection is used although the server has not confirmed the session.
SETUP_TIMEOUT: Final = 3.0

# Seconds that a response waits for a connection, or for the one before it to end.
WAITING_TIMEOUT: Final = 8.0

# Seconds until the server must have begun a response, and how long it may say nothing then.
CREATED_TIMEOUT: Final = 15.0
STALL_TIMEOUT: Final = 30.0

# Seconds until a cancelled response counts as over, whatever the server says.
CANCEL_TIMEOUT: Final = 2.0

# Characters of an error's text that are passed on.
_MAX_TEXT: Final = 500

# Errors that say that what we wanted is so already, or that it came too late to matter.
_HARMLESS: Final = frozenset({"response.cancel", "conversation.item.truncate", "replay"})


class Bridge:
    """One call's bridge."""

    def __init__(self, codec: Codec, entropy: Callable[[int], bytes]) -> None:
        self.memory = Memory()
        self._teller = Teller(codec)
        self.outgoing = self._teller.outgoing
        self.retry = Retry(entropy)
        # Messages of the server that could not be read.
        self.malformed = 0
        self.connections = 0
        self._codec = codec
        self._session: Mapping[str, Any] = {}
        # Whether the connection knows the session and the conversation, and until when the
        # server may take its time with that.
        self._ready = False
        self._setup_deadline = 0.0
        self._output = FORMATS["audio/pcm"]
        self._preroll = Preroll()
        # A response that is to be asked for, and until when.
        self._request: ResponseRequest | None = None
        self._request_deadline = 0.0
        self._answer: Answer | None = None
        self._complained = False
        self._events: list[BackendEvent] = []

    # -- State

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._teller.open

    @property
    def ready(self) -> bool:
        """Whether it knows the session and the conversation."""
        return self._ready

    @property
    def model(self) -> str:
        """The model that the client asked for."""
        return str(self._session.get("model") or "")

    # -- The call

    def update_session(self, session: Mapping[str, Any], now: float) -> None:
        """The session is this from now on."""
        before, self._session = self._session, session
        if self._preroll.configure(session["audio"]["input"]["turn_detection"]):
            self._forget_turn()
        change = session_change(before, session) if self._teller.open else None
        if change is not None:
            self._teller.update(change)

    def receive_frame(self, frame: AudioFrame, now: float) -> None:
        """Keep a frame for the turn that may begin, or send it with the one that has."""
        self.retry.want(now, hurried=False)
        if self._preroll.take(frame):
            self.outgoing.add((frame,))
            if self._preroll.endless:
                self._forget_turn()

    def speech_started(self, audio_start_ms: int, now: float) -> None:
        """Begin to send a turn."""
        self.retry.want(now, hurried=True)
        if not self._ready:
            return
        frames = self._preroll.begin(audio_start_ms)
        if frames is not None:
            self._clear_if_stale()
            self.outgoing.add(frames)

    def commit_turn(self, turn: Turn, now: float) -> None:
        """A turn is part of the conversation."""
        self.retry.want(now, hurried=True)
        self.memory.add_turn(turn)
        was_sent = self._preroll.end(turn.audio_start_ms)
        if self._ready:
            self._send_turn(turn, was_sent=was_sent)

    def create_response(self, request: ResponseRequest, now: float) -> None:
        """Ask for an answer, as soon as it can be."""
        self.retry.want(now, hurried=True)
        if "input" not in request.parameters:
            self.memory.show(request.items)
        self._request, self._request_deadline = request, now + WAITING_TIMEOUT
        self._ask(now)

    def cancel_response(self, response_id: str, now: float) -> None:
        """Nothing of it is wanted any more."""
        if self._request is not None and self._request.response_id == response_id:
            self._request = None
        answer = self._answer
        if answer is None or answer.request.response_id != response_id or answer.cancelled:
            return
        answer.cancelled = True
        self._remember(answer)
        if answer.ended or self.outgoing.withdraw(answer.event_id):
            self._answer = None
            return
        answer.deadline = now + CANCEL_TIMEOUT
        named = {"response_id": answer.name} if answer.name else {}
        self._teller.say("response.cancel", named, first=True)

    def add_item(self, item: Mapping[str, Any], previous: str | None, now: float) -> None:
        """The client put something into the conversation."""
        self.retry.want(now, hurried=True)
        name = self._teller.name_of(item["id"]) if self._ready else ""
        self.memory.add_item(item, name, previous)
        if not self._ready:
            return
        fields: dict[str, Any] = {"item": {**item, "id": name}}
        entry = None if previous is None else self.memory.find(previous)
        if previous is None:
            fields["previous_item_id"] = "root"
        elif entry is not None and entry.names:
            fields["previous_item_id"] = entry.names[-1]
        self._teller.say("conversation.item.create", fields)

    def delete_item(self, item_id: str, now: float) -> None:
        """Forget an item."""
        entry = self.memory.delete(item_id)
        for name in [] if entry is None else entry.names:
            self._teller.say("conversation.item.delete", {"item_id": name})

    def truncate_item(self, item_id: str, audio_end_ms: int, now: float) -> None:
        """Remember an answer only as far as it was heard."""
        for piece in self.memory.heard(item_id, audio_end_ms):
            cut = {
                "item_id": piece.item_id,
                "content_index": piece.content_index,
                "audio_end_ms": piece.audio_ms,
            }
            self._teller.say("conversation.item.truncate", cut)

    # -- The connection

    def opened(self, now: float) -> None:
        """There is a connection that knows nothing."""
        self.connections += 1
        self._setup_deadline = now + SETUP_TIMEOUT
        self._teller.reset(connected=True)
        self._teller.update(whole_session(self._session))

    def lost(self, reason: str, now: float, *, hopeless: bool = False) -> None:
        """It is gone, or did not come to be; `reason` is for people."""
        self.retry.failed(now, hopeless=hopeless)
        if not self._ready and not self._complained:
            self._complained = True
            self._events.append(BackendFailed("backend_unavailable", reason))
        answer, self._answer = self._answer, None
        if answer is not None and not answer.cancelled:
            self._remember(answer)
            self._fail(answer.request, "backend_disconnected", reason)
        if hopeless and self._request is not None:
            request, self._request = self._request, None
            self._fail(request, "backend_unavailable", reason)
        self._ready = False
        self._teller.reset(connected=False)
        self._preroll.forget()
        self.memory.lost()

    def receive(self, message: str | bytes, now: float) -> None:
        """One message of the server; `work` is to be called until it says that all is done."""
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            self.malformed += 1
            return
        kind = text(event, "type")
        match kind:
            case "session.updated":
                self._session_updated(mapping(event, "session"), now)
            case "error":
                self._error(mapping(event, "error"), now)
            case "input_audio_buffer.committed":
                self._committed(text(event, "item_id"))
            case "conversation.item.input_audio_transcription.completed":
                self._transcribed(text(event, "item_id"), text(event, "transcript"))
            case "response.created":
                self._created(mapping(event, "response"), now)
            case "response.done":
                self._done(mapping(event, "response"), now)
            case _:
                answer = self._answer
                if answer is None or answer.cancelled or answer.ended or not answer.name:
                    return
                if text(event, "response_id") == answer.name:
                    answer.deadline = now + STALL_TIMEOUT
                    self._part_of(answer, kind, event)

    def work(self, now: float) -> bool:
        """Encode some of an answer; whether there is more."""
        answer = self._answer
        if answer is None or answer.cancelled:
            return False
        events, more = answer.step()
        self._events += events
        if answer.ended and not more:
            self._remember(answer)
            self._answer = None
            self._ask(now)
        return more

    # -- Time

    def get_timer(self) -> float | None:
        """When to call `handle_timer` at the latest, or None."""
        deadlines = []
        if self._teller.open and not self._ready:
            deadlines.append(self._setup_deadline)
        if self._request is not None:
            deadlines.append(self._request_deadline)
        if self._answer is not None:
            deadlines.append(self._answer.deadline)
        return min(deadlines, default=None)

    def handle_timer(self, now: float) -> None:
        """Give up what took too long."""
        if self._teller.open and not self._ready and self._setup_deadline <= now:
            self._become_ready(now)
        answer = self._answer
        if answer is not None and answer.deadline <= now:
            self._answer = None
            if not answer.cancelled:
                self._remember(answer)
                if answer.name:
                    self._teller.say("response.cancel", {"response_id": answer.name})
                self._fail(answer.request, "backend_timeout", "the backend's server is silent")
            self._ask(now)
        if self._request is not None and self._request_deadline <= now:
            request, self._request = self._request, None
            self._fail(request, "backend_unavailable", "the backend's server cannot be reached")

    # -- Outputs

    def next_message(self) -> str | None:
        """The next message to send, or None. Does the work that it needs."""
        return self.outgoing.next_message() if self._teller.open else None

    def next_events(self) -> list[BackendEvent]:
        """Drain what the call is to be told."""
        events, self._events = self._events, []
        return events

    # -- Private: what is told

    def _send_turn(self, turn: Turn, *, was_sent: bool) -> None:
        if not was_sent:
            self._clear_if_stale()
            self.outgoing.add(turn.frames)
        self._teller.commit(turn.item_id)

    def _forget_turn(self) -> None:
        """What was sent of a turn will not be committed."""
        self._preroll.forget(stale=self._ready)

    def _clear_if_stale(self) -> None:
        if self._preroll.take_stale():
            self.outgoing.clear_audio()

    def _become_ready(self, now: float) -> None:
        """The session is told; now the conversation."""
        self._ready, self._complained = True, False
        self.retry.succeeded()
        for item_id, each in list(self.memory.told()):
            if isinstance(each, Turn):
                self._send_turn(each, was_sent=False)
                continue
            name = self._teller.name_of(item_id)
            entry = self.memory.find(item_id)
            if entry is not None:
                entry.names = [name] if name else []
            item = {**each, "id": name}
            self._teller.say("conversation.item.create", {"item": item}, replay=True)
        self._ask(now)

    def _ask(self, now: float) -> None:
        """Ask for the response that waits, if it can be."""
        request = self._request
        if request is None or not self._ready or self._answer is not None:
            return
        self._request = None
        settings = response_settings(request, self._session, self.memory.names())
        fields = {"response": settings} if settings else {}
        event_id = self._teller.say("response.create", fields)
        self._answer = Answer(request, event_id, self._codec, now + CREATED_TIMEOUT)

    # -- Private: what the server says

    def _session_updated(self, session: Mapping[str, Any], now: float) -> None:
        self._output = FORMATS.get(format_of(session, "output"), self._output)
        self._teller.updated(format_of(session, "input"))
        if self._teller.open and not self._ready:
            self._become_ready(now)

    def _committed(self, name: str) -> None:
        item_id = self._teller.committed()
        entry = None if item_id is None else self.memory.find(item_id)
        if entry is not None:
            entry.names = [name] if name else []
        elif item_id is not None and name:
            # It was deleted meanwhile.
            self._teller.say("conversation.item.delete", {"item_id": name})

    def _transcribed(self, name: str, words: str) -> None:
        item_id = self.memory.named(name)
        if item_id is not None and words:
            self.memory.understood(item_id, words)
            self._events.append(InputTranscript(item_id, words))

    def _created(self, response: Mapping[str, Any], now: float) -> None:
        answer, name = self._answer, text(response, "id")
        if answer is None or answer.name:
            # Nobody asked for it, or nobody waits for it any more.
            if name:
                self._teller.say("response.cancel", {"response_id": name})
            return
        answer.name = name
        if not answer.cancelled:
            answer.deadline = now + STALL_TIMEOUT
            answer.format = FORMATS.get(format_of(response, "output"))

    def _part_of(self, answer: Answer, kind: str, event: Mapping[str, Any]) -> None:
        response_id = answer.request.response_id
        match kind:
            case "response.output_audio.delta":
                try:
                    data = b64decode(text(event, "delta"), validate=True)
                except (binascii.Error, ValueError):
                    self.malformed += 1
                    return
                index = event.get("content_index")
                index = index if isinstance(index, int) else 0
                answer.take(text(event, "item_id"), index, data, self._output)
            case "response.output_audio_transcript.delta" if words := text(event, "delta"):
                answer.words.append(words)
                self._events.append(ResponseTranscript(response_id, words))
            case "response.output_text.delta" if words := text(event, "delta"):
                answer.words.append(words)
                self._events.append(ResponseText(response_id, words))
            case "response.output_item.done":
                item = mapping(event, "item")
                name, called = text(item, "id"), text(item, "name")
                if text(item, "type") == "message":
                    answer.part(name)
                elif text(item, "type") == "function_call" and called:
                    call_id, arguments = text(item, "call_id"), text(item, "arguments")
                    self.memory.add_call(call_id, called, arguments, name)
                    self._events.append(
                        ResponseFunctionCall(response_id, call_id, called, arguments)
                    )
            case _:
                pass  # the call makes its own of them

    def _done(self, response: Mapping[str, Any], now: float) -> None:
        answer, name = self._answer, text(response, "id")
        if answer is None or answer.ended or not name or name != answer.name:
            return
        if answer.cancelled:
            self._answer = None
            self._ask(now)
            return
        response_id = answer.request.response_id
        details = mapping(response, "status_details")
        match text(response, "status"):
            case "failed":
                error = mapping(details, "error")
                code = text(error, "code") or text(error, "type") or "backend_error"
                words = text(error, "message") or "the backend's server failed"
                answer.end(ResponseFailed(response_id, code, words[:_MAX_TEXT]))
            case "incomplete" | "cancelled" as status:
                code = text(details, "reason") or status
                answer.end(ResponseFailed(response_id, code, f"the response is {status}"))
            case _:
                answer.end(ResponseDone(response_id, mapping(response, "usage") or None))

    def _error(self, error: Mapping[str, Any], now: float) -> None:
        kind = self._teller.refused(text(error, "event_id"))
        code = text(error, "code") or text(error, "type") or "backend_error"
        words = (text(error, "message") or "the backend's server reports an error")[:_MAX_TEXT]
        answer = self._answer
        if kind in _HARMLESS:
            return
        if kind == "response.create":
            if answer is not None and answer.event_id == text(error, "event_id"):
                self._answer = None
                if not answer.cancelled:
                    self._fail(answer.request, code, words)
                self._ask(now)
            return
        self._events.append(BackendFailed(code, words))
        if kind == "session.update":
            self._session_updated({}, now)

    def _fail(self, request: ResponseRequest, code: str, words: str) -> None:
        self._events.append(ResponseFailed(request.response_id, code, words))

    def _remember(self, answer: Answer) -> None:
        """What a new connection is told of an answer, and what it is called here."""
        request = answer.request
        if answer.names and request.parameters.get("conversation") != "none":
            words = "".join(answer.words)
            self.memory.add_answer(request.item_id, words, answer.names, answer.pieces)
