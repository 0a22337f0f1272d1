"""One call: what happens in it is told to its parts, and what they want is done.

The parts know nothing of each other: `TimeLine`, `InputBuffer` and `TurnDetector` hear
the caller, the `Dialogue` speaks the events of the interface, the `Backend` answers, the
`Playout` paces. They are Sans-IO but for the backend; this is where they meet the
`Call` of the driver, the side bands and the clock. Everything runs on the loop's thread,
without a task of its own: deadlines are the `Ticker`'s.

A backend that raises, or fails, costs an error event and not the call. Events go to
the client's data channel `oai-events` and to every listener; a call without such a
channel is a call all the same.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, assert_never

import attrs

from examples.transceiver.allowance import Allowance
from examples.transceiver.backend import (
    Backend,
    BackendEvent,
    BackendFactory,
    BackendFailed,
    DirectAudio,
    ResponseAudio,
    ResponseFailed,
)
from examples.transceiver.callid import CallId
from examples.transceiver.ear import Ear
from examples.transceiver.metrics import AgentStats, Counters
from examples.transceiver.outlet import LABEL, MessageCall, Outlet
from examples.transceiver.playout import Playout, Started, Stopped
from examples.transceiver.ports import Listener, Over, why_over
from examples.transceiver.realtime.commands import (
    AddItem,
    AppendInput,
    CancelResponse,
    ClearInput,
    Command,
    CommitTurn,
    ConfigureTurns,
    DeleteItem,
    FinishPlayout,
    HangUp,
    PlayAudio,
    StartResponse,
    StopPlayout,
    TruncateItem,
    UpdateSession,
)
from examples.transceiver.realtime.decode import MAX_CHANNEL_EVENT
from examples.transceiver.realtime.dialogue import Dialogue
from examples.transceiver.ticker import TICK, Ticker
from examples.transceiver.turns import (
    IdleTimeout,
    SpeechStarted,
    SpeechStopped,
)
from rtcproto.errors import UsageError
from rtcproto.events import (
    AudioLost,
    AudioReceived,
    Connected,
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Event,
    PathChanged,
    SessionClosed,
)

__all__ = ["MAX_SIDE_BAND_EVENT", "Agent", "MediaCall"]

logger = logging.getLogger("transceiver")

# Bytes of an event from a side band, which may hold audio: 15 MiB, as published.
MAX_SIDE_BAND_EVENT = 15 << 20

# Seconds between two error events about a backend that raises at every frame.
FAILURE_INTERVAL = 1.0


class MediaCall(MessageCall, Protocol):
    """What an agent needs of `rtcproto.asyncio.Call`."""

    @property
    def id(self) -> str:
        """The session's id at the driver."""

    def send_audio(
        self, payload: bytes, *, timestamp: int | None, level: int | None, voice: bool
    ) -> None:
        """Send one Opus packet."""

    def restart_ice(self, fragment: str) -> str:
        """Restart ICE."""

    def add_candidates(self, fragment: str) -> None:
        """Take more candidates."""

    def close(self) -> None:
        """End the session."""


class Agent:
    """The runner of one call; a `ports.CallHandle`. `handle_event` gets the call's events.

    Raises what `factory` raises. `on_over` is called once, when the call is over; the
    backend is to be closed then.
    """

    def __init__(
        self,
        *,
        call_id: CallId,
        call: MediaCall,
        dialogue: Dialogue,
        session: Mapping[str, Any],
        factory: BackendFactory,
        ticker: Ticker,
        clock: Callable[[], float],
        on_over: Callable[[Agent], None],
    ) -> None:
        self.call_id = call_id
        self.connected = False
        self.counters = Counters()
        self._call = call
        self._dialogue = dialogue
        self._ticker = ticker
        self._clock = clock
        self._on_over = on_over
        self._over: Over | None = None
        self._outlet = Outlet(call, self.counters)
        # What the client and the side bands may have done by events.
        self._client, self._observers = Allowance(clock()), Allowance(clock())
        self._ear = Ear()
        self._playout = Playout(TICK)
        # What the backend emitted and is not told to the dialogue yet.
        self._emitted: deque[BackendEvent] = deque()
        # Not before there is a backend to be told.
        self._pumping = True
        self._last_failure: float | None = None
        self._hanging_up = False
        # When the ticker calls.
        self._wakes_at: float | None = None
        # How loud the audio is that the dialogue is being told of.
        self._level: int | None = None
        # When the speech began that is being told of, and when the last turn was over.
        self._interrupted_at: float | None = None
        self._spoken_at: float | None = None
        self.backend: Backend = factory(session, self._emit)
        self._pumping = False
        self._pump(clock())

    # -- For HTTP

    def attach(self, listener: Listener) -> None:
        """Begin to tell `listener`, with a `session.created` of its own first."""
        self._outlet.attach(listener, self._dialogue.greeting())

    def detach(self, listener: Listener) -> None:
        """Stop; no effect if it is not attached."""
        self._outlet.detach(listener)

    def receive_event(self, text: str | bytes) -> None:
        """One client event from a listener, any text at all. Never raises."""
        self._client_event(text, MAX_SIDE_BAND_EVENT, self._observers)

    def restart_ice(self, fragment: str) -> str:
        """Restart ICE with the client's fragment; ours. Raises as `Call.restart_ice`."""
        return self._call.restart_ice(fragment)

    def add_candidates(self, fragment: str) -> None:
        """Take candidates that the client found later. Raises as `Call.add_candidates`."""
        self._call.add_candidates(fragment)

    def hang_up(self) -> None:
        """End the call; its listeners hear of it soon."""
        self._call.close()

    def stats(self) -> AgentStats:
        """What was counted and measured so far."""
        return AgentStats(
            call_id=self.call_id.shown,
            connected=self.connected,
            counters=self.counters,
            packets_unqueued=self._playout.dropped,
            frames_forgotten=self._ear.forgotten,
            lateness=self._playout.lateness.as_dict(),
            queued_ms=self._playout.queued_ms,
        )

    @property
    def playout(self) -> Playout:
        """The pacer, to be read."""
        return self._playout

    # -- Inputs

    def handle_event(self, event: Event) -> None:
        """Take one event of the call."""
        match event:
            case AudioReceived():
                self._hear(event, self._clock())
            case Connected():
                self.connected = True
                self._log(f"connected, {event.srtp_profile}")
                self._arm()
            case DataChannelOpened():
                if event.label == LABEL and self._outlet.channel is None:
                    self._outlet.channel = event.channel
                    self._dialogue.opened(self._clock())
                    self._pump(self._clock())
            case DataChannelMessage():
                if event.channel == self._outlet.channel:
                    self._client_event(event.data, MAX_CHANNEL_EVENT, self._client)
            case DataChannelClosed():
                if event.channel == self._outlet.channel:
                    self._outlet.channel = None
            case PathChanged():
                self._log("the client moved to another path")
            case AudioLost() | DataChannelBufferLow():
                pass  # what is lost is silence
            case SessionClosed():
                self._finish(event)
            case _:
                assert_never(event)

    def handle_timer(self, now: float) -> None:
        """Act on what is due: a turn's end, packets to be sent, the session's end."""
        self._wakes_at = None
        if self._over is not None:
            return
        self._ear.handle_timer(now)
        self._tell_turns(now)
        self._play(now)
        self._dialogue.handle_timer(now)
        self._pump(now)

    # -- The caller

    def _hear(self, event: AudioReceived, now: float) -> None:
        frame = None if self._over is not None else self._ear.hear(event, now)
        if frame is None:
            self.counters.packets_bad += 1
            return
        self.counters.packets_in += 1
        self._guard(self.backend.receive_frame, frame)
        self._tell_turns(now)
        self._ear.trim()
        self._wake_at(self._ear.get_timer())

    def _tell_turns(self, now: float) -> None:
        for event in self._ear.next_events():
            match event:
                case SpeechStarted():
                    self._interrupted_at, self._spoken_at = event.heard, None
                    self._dialogue.speech_started(event.audio_start_ms, now)
                    # First of all the answer that is interrupted stops.
                    self._pump(now)
                    self._guard(self.backend.speech_started, event.audio_start_ms)
                case SpeechStopped():
                    self._spoken_at = event.heard
                    self._dialogue.speech_stopped(event.audio_end_ms, now)
                case IdleTimeout():
                    self._dialogue.idle_timeout(event.audio_start_ms, event.audio_end_ms, now)
                case _:
                    assert_never(event)
            self._pump(now)
            self._interrupted_at = None

    def _client_event(self, data: str | bytes, max_bytes: int, allowance: Allowance) -> None:
        if self._over is not None:
            return
        now = self._clock()
        self.counters.events_in += 1
        if not allowance.admits(now):
            self.counters.events_refused += 1
            if allowance.tells(now):
                self._dialogue.too_many_events()
                self._pump(now)
            return
        before = self._outlet.written
        self._dialogue.input_buffered(self._ear.audio_ms)
        self._dialogue.receive_event(data, now, max_bytes=max_bytes)
        self._pump(now)
        allowance.spend(len(data), self._outlet.written - before)

    # -- The backend

    def _emit(self, event: BackendEvent | DirectAudio) -> None:
        if self._over is not None:
            return
        if isinstance(event, DirectAudio):
            frame = event.frame
            self._send_audio(frame.payload, frame.timestamp, frame.level, bool(frame.voice))
            return
        self._emitted.append(event)
        self._pump(self._clock())

    def _guard(self, method: Callable[..., None], *arguments: object) -> bool:
        """Call the backend; whether it did not raise."""
        try:
            method(*arguments)
        except Exception:
            self.counters.backend_errors += 1
            now = self._clock()
            if self._last_failure is None or now - self._last_failure >= FAILURE_INTERVAL:
                self._last_failure = now
                logger.exception("call %s: the backend raised", self.call_id.shown)
                self._emit(BackendFailed("backend_error", "the backend failed"))
            return False
        return True

    # -- Doing what is wanted

    def _pump(self, now: float) -> None:
        """Carry out and send all that the dialogue wants, and tell it what comes of that."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while True:
                while commands := self._dialogue.commands():
                    for command in commands:
                        self._execute(command, now)
                self._outlet.send(self._dialogue.events_to_send())
                if self._hanging_up:
                    # Not before the client was told why.
                    self._hanging_up = False
                    self._call.close()
                if not self._emitted:
                    break
                event = self._emitted.popleft()
                self._level = event.level if isinstance(event, ResponseAudio) else None
                self._dialogue.receive_backend_event(event, now)
        finally:
            self._pumping = False
        self._arm()

    def _execute(self, command: Command, now: float) -> None:
        backend = self.backend
        match command:
            case PlayAudio(response_id=response_id, frame=payload):
                self._playout.begin(response_id)
                self._playout.add(response_id, payload, now, self._level)
            case FinishPlayout(response_id=response_id):
                self._playout.finish(response_id)
            case StopPlayout(response_id=response_id):
                self._stop_playout(response_id, now)
            case StartResponse():
                self._start_response(command)
            case CancelResponse(response_id=response_id):
                self._guard(backend.cancel_response, response_id)
            case CommitTurn():
                turn = self._ear.commit(
                    command.item_id, command.audio_start_ms, command.audio_end_ms
                )
                self.counters.turns += 1
                self._guard(backend.commit_turn, turn)
            case ClearInput():
                self._ear.clear()
            case ConfigureTurns(turn_detection=asked):
                self._ear.configure(asked)
            case UpdateSession(session=session):
                self._guard(backend.update_session, session)
            case AddItem(item=item, previous_item_id=previous):
                self._guard(backend.add_item, item, previous)
            case DeleteItem(item_id=item_id):
                self._ear.take_turn(item_id)
                self._guard(backend.delete_item, item_id)
            case TruncateItem(item_id=item_id, audio_end_ms=audio_end_ms):
                self._guard(backend.truncate_item, item_id, audio_end_ms)
            case AppendInput():
                pass  # refused by the dialogue: the audio of a call is its media
            case HangUp():
                self._hanging_up = True
            case _:
                assert_never(command)

    def _stop_playout(self, response_id: str, now: float) -> None:
        sent = self._playout.stop(response_id)
        if self._interrupted_at is not None:
            self.counters.barge_in.add(now - self._interrupted_at)
        self._dialogue.played(response_id, sent, now)

    def _start_response(self, command: StartResponse) -> None:
        turn = self._ear.take_turn(command.turn_item_id)
        request = attrs.evolve(command.request, turn=turn)
        self.counters.responses += 1
        if not self._guard(self.backend.create_response, request):
            failed = ResponseFailed(request.response_id, "backend_error", "the backend failed")
            self._emit(failed)

    # -- Out

    def _play(self, now: float) -> None:
        if not self.connected:
            return
        for frame in self._playout.handle_timer(now):
            self._send_audio(frame.payload, frame.timestamp, frame.level, False)
        for event in self._playout.next_events():
            match event:
                case Started(response_id=response_id):
                    if self._spoken_at is not None:
                        self.counters.answer.add(now - self._spoken_at)
                        self._spoken_at = None
                    self._ear.answer_started()
                    self._dialogue.playout_started(response_id, now)
                case Stopped(response_id=response_id):
                    self._ear.answer_ended(now)
                    self._dialogue.playout_stopped(response_id, now)
                case _:
                    assert_never(event)

    def _send_audio(self, payload: bytes, timestamp: int, level: int | None, voice: bool) -> None:
        try:
            self._call.send_audio(payload, timestamp=timestamp, level=level, voice=voice)
        except UsageError as error:
            # The client may send what it takes no answer to, or only send.
            if not self.counters.packets_unsent:
                self._log(f"cannot send audio: {error}")
            self.counters.packets_unsent += 1
        else:
            self.counters.packets_out += 1

    def _arm(self) -> None:
        self._wake_at(self._ear.get_timer())
        self._wake_at(self._dialogue.get_timer())
        if self.connected:
            self._wake_at(self._playout.get_timer())

    def _wake_at(self, deadline: float | None) -> None:
        # One that moved on is looked at when it would have been due: the end of a turn
        # moves with every packet of it.
        if deadline is None or self._over is not None:
            return
        if self._wakes_at is None or deadline < self._wakes_at:
            self._wakes_at = deadline
            self._ticker.at(self, deadline)

    # -- The end

    def _finish(self, event: SessionClosed) -> None:
        if self._over is not None:
            return
        # It has closed itself when its time was up.
        over = Over.EXPIRED if self._dialogue.closed else why_over(event.reason)
        now = self._clock()
        self._outlet.channel = None
        self._dialogue.close(over.value, now)
        self._pump(now)
        self._over = over
        self.connected = False
        self._ticker.at(self, None)
        self._ear.close()
        self._emitted.clear()
        self._log(f"over, {event.reason.value}{self.counters.remarks()}")
        self._outlet.close(over, event.reason.value)
        self._on_over(self)

    def _log(self, what: str) -> None:
        logger.info("call %s: %s", self.call_id.shown, what)
