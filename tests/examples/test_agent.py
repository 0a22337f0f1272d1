"""One call from end to end on virtual time: caller, turns, dialogue, parrot, pacer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from examples.transceiver.backend import (
    AudioFrame,
    BackendFailed,
    Emit,
    ResponseAudio,
    ResponseDone,
    ResponseFailed,
    ResponseRequest,
    Turn,
)
from examples.transceiver.callid import CallId
from examples.transceiver.ports import Over
from examples.transceiver.ticker import TICK
from rtcproto.errors import UsageError
from rtcproto.events import (
    AudioReceived,
    CloseReason,
    DataChannelClosed,
    DataChannelMessage,
    SessionClosed,
)
from tests.examples.call_scene import (
    CONNECTED,
    LOUD,
    QUIET,
    Listening,
    Recorder,
    Scene,
    recorder,
    start_answer,
)

# -- A conversation


def test_a_caller_speaks_and_is_answered() -> None:
    """The whole loop, with the parrot: events in order, the answer at its pace."""
    scene = Scene()
    assert scene.kinds() == ["session.created", "conversation.created"]
    scene.say(QUIET, 400)
    scene.say(LOUD, 1000)
    scene.say(QUIET, 3000)
    assert scene.of(
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.created",
        "response.content_part.added",
        "output_audio_buffer.started",
        "response.done",
        "output_audio_buffer.stopped",
    ) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.created",
        "response.content_part.added",
        "output_audio_buffer.started",
        "response.done",
        "output_audio_buffer.stopped",
    ]
    assert scene.first("input_audio_buffer.speech_started")["audio_start_ms"] == 100
    assert scene.first("input_audio_buffer.speech_stopped")["audio_end_ms"] == 1900
    assert scene.first("response.done")["response"]["status"] == "completed"
    # What was said, with 60 ms of the silence on either side.
    spoken = [payload for _, payload, _, _ in scene.wire.audio]
    assert spoken == [b"\x78" + n.to_bytes(3, "big") for n in range(18, 74)]
    assert {level for _, _, _, level in scene.wire.audio} == {LOUD, QUIET}
    times = [at for at, _, _, _ in scene.wire.audio]
    assert all(abs(b - a - 0.02) < 1e-6 for a, b in pairwise(times))
    assert scene.at("output_audio_buffer.stopped") == pytest.approx(times[-1] + 0.02)


def test_the_answer_begins_at_once() -> None:
    """Nothing but the silence that ends a turn lies between the caller's words and ours."""
    scene = Scene()
    scene.say(LOUD, 1000)
    scene.say(QUIET, 1000)
    answer = scene.agent.counters.answer
    assert answer.count == 1
    assert 0.5 <= answer.longest <= 0.5 + TICK + 1e-6


def test_a_call_without_a_channel_is_a_call() -> None:
    """A client that opens no data channel is answered as well, and no event is kept."""
    scene = Scene(channel=False)
    scene.open_channel("chat", 3)
    scene.say(LOUD, 1000)
    scene.say(QUIET, 2000)
    assert scene.wire.audio
    assert scene.wire.events == []


def test_nothing_is_sent_before_the_call_is_connected() -> None:
    """An answer waits, and is whole then."""
    scene = Scene(Recorder, connected=False)
    assert not scene.agent.connected
    scene.tell("response.create")
    (request,) = recorder(scene).last("create_response")
    recorder(scene).emit(ResponseAudio(request.response_id, b"\x78\x01"))
    scene.loop.run(1.0)
    assert scene.wire.audio == []
    scene.agent.handle_event(CONNECTED)
    scene.loop.run(0.1)
    assert len(scene.wire.audio) == 1


# -- Interruptions


@pytest.mark.parametrize("spoken_ms", [100, 340, 980, 1500])
def test_barge_in_is_exact(spoken_ms: int) -> None:
    """Speech stops an answer within a frame; the conversation is cut where it was heard."""
    scene = Scene(Recorder)
    response_id = start_answer(scene, 200)
    scene.say(QUIET, spoken_ms)
    before = len(scene.wire.audio)
    scene.say(LOUD, 40)
    stopped_at = scene.loop.now
    sent = len(scene.wire.audio)
    assert sent - before <= 2
    scene.say(LOUD, 500)
    assert len(scene.wire.audio) == sent
    assert all(at <= stopped_at for at, *_ in scene.wire.audio)
    done = scene.first("response.done")["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"]["reason"] == "turn_detected"
    assert scene.first("output_audio_buffer.cleared")["response_id"] == response_id
    truncated = scene.first("conversation.item.truncated")
    assert truncated["audio_end_ms"] == sent * 20
    assert scene.at("output_audio_buffer.cleared") == stopped_at
    calls = [name for name, _ in recorder(scene).calls]
    assert calls.index("cancel_response") < calls.index("truncate_item")
    assert recorder(scene).last("truncate_item")[1] == sent * 20
    # Two frames are what makes speech.
    assert scene.agent.counters.barge_in.count == 1
    assert scene.agent.counters.barge_in.longest == pytest.approx(0.02)


def test_what_was_made_already_is_not_heard_either() -> None:
    """An answer whose generation has ended is stopped all the same."""
    scene = Scene(Recorder)
    response_id = start_answer(scene, 200)
    recorder(scene).emit(ResponseDone(response_id))
    scene.say(QUIET, 400)
    scene.say(LOUD, 100)
    sent = len(scene.wire.audio)
    scene.loop.run(5.0)
    assert len(scene.wire.audio) == sent
    assert scene.first("response.done")["response"]["status"] == "completed"
    assert scene.first("conversation.item.truncated")["audio_end_ms"] == sent * 20


def test_a_client_that_clears_the_output() -> None:
    """The SDK's interrupt(): the same, but for the reason."""
    scene = Scene(Recorder)
    start_answer(scene, 200)
    scene.say(QUIET, 400)
    sent = len(scene.wire.audio)
    scene.tell("response.cancel")
    scene.tell("output_audio_buffer.clear")
    scene.loop.run(2.0)
    assert len(scene.wire.audio) == sent
    assert scene.first("response.done")["response"]["status_details"]["reason"] == (
        "client_cancelled"
    )
    assert scene.first("conversation.item.truncated")["audio_end_ms"] == sent * 20
    assert scene.agent.counters.barge_in.count == 0


def test_speech_that_must_not_interrupt() -> None:
    """interrupt_response: false leaves the answer alone."""
    detection = {"type": "server_vad", "interrupt_response": False}
    scene = Scene(Recorder, {"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
    start_answer(scene, 100)
    scene.say(LOUD, 1000)
    assert "output_audio_buffer.cleared" not in scene.kinds()
    assert len(scene.wire.audio) >= 49


def test_late_audio_of_an_interrupted_answer_is_not_heard() -> None:
    """A backend that goes on talks to nobody."""
    scene = Scene(Recorder)
    response_id = start_answer(scene, 100)
    scene.say(QUIET, 200)
    scene.say(LOUD, 100)
    sent = len(scene.wire.audio)
    for _ in range(10):
        recorder(scene).emit(ResponseAudio(response_id, b"\x78\x01"))
    recorder(scene).emit(ResponseDone(response_id))
    scene.loop.run(2.0)
    assert len(scene.wire.audio) == sent


# -- Turns


def test_the_backend_gets_frames_and_turns() -> None:
    """Every frame at once, the turn when it is committed, and again with the request."""
    scene = Scene(Recorder)
    scene.say(QUIET, 400)
    scene.say(LOUD, 1000)
    scene.say(QUIET, 520)
    frames = [arguments[0] for name, arguments in recorder(scene).calls if name == "receive_frame"]
    assert len(frames) == 96
    assert all(isinstance(frame, AudioFrame) for frame in frames)
    (turn,) = recorder(scene).last("commit_turn")
    assert isinstance(turn, Turn)
    assert turn.frames == tuple(frames[5:95])
    assert (turn.audio_start_ms, turn.audio_end_ms) == (100, 1900)
    # Told when it was heard: after two loud frames, before the rest.
    names = [name for name, _ in recorder(scene).calls]
    assert recorder(scene).last("speech_started") == (100,)
    assert names[: names.index("speech_started")].count("receive_frame") == 22
    (request,) = recorder(scene).last("create_response")
    assert isinstance(request, ResponseRequest)
    assert request.turn == turn
    committed = scene.first("input_audio_buffer.committed")
    assert turn.item_id == committed["item_id"]


def test_turns_by_hand() -> None:
    """turn_detection: null. The client commits what there is, and asks for the answer."""
    session = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    scene = Scene(Recorder, session)
    scene.tell("input_audio_buffer.commit", event_id="e1")
    assert scene.first("error")["error"]["event_id"] == "e1"
    scene.say(LOUD, 1000)
    assert "input_audio_buffer.speech_started" not in scene.kinds()
    scene.tell("input_audio_buffer.clear")
    scene.say(LOUD, 600)
    scene.tell("input_audio_buffer.commit")
    scene.tell("response.create")
    (request,) = recorder(scene).last("create_response")
    assert len(request.turn.frames) == 30
    assert (request.turn.audio_start_ms, request.turn.audio_end_ms) == (1000, 1600)


def test_only_the_newest_turns_are_kept() -> None:
    """Turns that nobody wants answered do not pile up."""
    session = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    scene = Scene(Recorder, session)
    for _ in range(10):
        scene.say(LOUD, 100)
        scene.tell("input_audio_buffer.commit")
    assert len(scene.agent._ear._turns) == 2
    scene.tell("response.create")
    (request,) = recorder(scene).last("create_response")
    assert request.turn.audio_start_ms == 900


def test_a_session_update_changes_the_detection() -> None:
    """silence_duration_ms counts from the moment it is set."""
    scene = Scene(Recorder)
    detection = {"type": "server_vad", "silence_duration_ms": 200, "prefix_padding_ms": 0}
    scene.tell(
        "session.update",
        session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}},
    )
    scene.say(LOUD, 400)
    scene.say(QUIET, 200)
    assert scene.first("input_audio_buffer.speech_stopped")["audio_end_ms"] == 600
    update = recorder(scene).last("update_session")[0]
    assert update["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 200


def test_packets_that_stop_end_a_turn() -> None:
    """A client that goes silent on the wire is answered too."""
    scene = Scene()
    scene.say(LOUD, 1000)
    scene.loop.run(2.0)
    assert scene.first("input_audio_buffer.speech_stopped")["audio_end_ms"] == 1500
    assert scene.wire.audio


def test_an_idle_caller_is_spoken_to() -> None:
    """idle_timeout_ms after the end of an answer: a turn of silence and another answer."""
    detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    scene = Scene(session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
    scene.say(LOUD, 400)
    scene.say(QUIET, 7500)
    triggered = scene.first("input_audio_buffer.timeout_triggered")
    assert 4950 <= triggered["audio_end_ms"] - triggered["audio_start_ms"] <= 5050
    assert scene.kinds().count("response.created") == 2


# -- What goes wrong


@pytest.mark.parametrize("broken", ["receive_frame", "commit_turn", "create_response"])
def test_a_backend_that_raises_costs_an_error(broken: str) -> None:
    """One event, no call; and not one for every frame."""
    scene = Scene(Recorder)
    recorder(scene).broken = {broken}
    scene.say(LOUD, 400)
    scene.say(QUIET, 520)
    errors = [event["error"]["code"] for _, event in scene.wire.events if event["type"] == "error"]
    assert errors
    assert set(errors) == {"backend_error"}
    assert len(errors) <= 2
    assert not scene.wire.closed
    if broken == "create_response":
        assert scene.first("response.done")["response"]["status"] == "failed"
    recorder(scene).broken = set()
    scene.tell("response.create")
    assert recorder(scene).last("create_response")


def test_a_backend_that_dies_in_an_answer() -> None:
    """What was said is heard to its end, the response has failed, the call goes on."""
    scene = Scene(Recorder)
    response_id = start_answer(scene, 20)
    recorder(scene).emit(ResponseFailed(response_id, "gone", "the model is gone"))
    scene.loop.run(1.0)
    assert len(scene.wire.audio) == 20
    assert scene.first("response.done")["response"]["status"] == "failed"
    assert scene.first("error")["error"]["code"] == "gone"
    assert scene.kinds()[-1] == "output_audio_buffer.stopped"
    recorder(scene).emit(BackendFailed("down", "still down"))
    assert scene.wire.events[-1][1]["error"]["code"] == "down"
    assert not scene.wire.closed


def test_a_factory_that_raises_is_told() -> None:
    """There is no call without a backend."""

    def factory(session: Mapping[str, Any], emit: Emit) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Scene(factory)


def test_a_factory_that_speaks_at_once() -> None:
    """What a backend emits while it is made is told after the session's own events."""

    def factory(session: Mapping[str, Any], emit: Emit) -> Any:
        emit(BackendFailed("cold", "still warming up"))
        return Recorder(session, emit)

    scene = Scene(factory, channel=False)
    ear = Listening()
    scene.agent.attach(ear)
    assert recorder(scene).calls[0][0] == "update_session"


def test_a_client_that_only_sends(caplog: pytest.LogCaptureFixture) -> None:
    """Told once, counted, and the events go on."""
    scene = Scene()
    scene.wire.deaf = True
    with caplog.at_level("INFO", logger="transceiver"):
        scene.say(LOUD, 1000)
        scene.say(QUIET, 2000)
    assert scene.agent.counters.packets_unsent > 10
    assert caplog.text.count("cannot send audio") == 1
    assert "output_audio_buffer.stopped" in scene.kinds()


def test_what_is_no_opus_is_counted() -> None:
    """A packet without a duration reaches nobody."""
    scene = Scene(Recorder)
    scene.agent.handle_event(AudioReceived(b"\x03\x00", 0, 1, LOUD, True, False, 7, 0.0))
    assert scene.agent.counters.packets_bad == 1
    assert "receive_frame" not in [name for name, _ in recorder(scene).calls]


@pytest.mark.parametrize("data", ["", "[]", "nonsense", b"\xff\xfe", '{"type":1}', "x" * 2_000_000])
def test_nonsense_is_answered(data: str | bytes) -> None:
    """Whatever a client says, it is told what is wrong with it."""
    scene = Scene()
    scene.agent.handle_event(DataChannelMessage(channel=1, data=data))
    assert scene.kinds()[-1] == "error"
    scene.agent.handle_event(DataChannelMessage(channel=9, data=data))
    assert scene.kinds().count("error") == 1


def test_restarts_and_candidates_are_the_calls() -> None:
    """What WHIP wants is passed on, errors included."""
    scene = Scene()
    assert scene.agent.restart_ice("me") == "restarted by me"
    scene.agent.add_candidates("good")
    with pytest.raises(UsageError):
        scene.agent.add_candidates("bad")


# -- The end


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (CloseReason.LOCAL, Over.CLOSE_REQUESTED),
        (CloseReason.PEER, Over.REMOTE_HANGUP),
        (CloseReason.CONSENT_EXPIRED, Over.CONNECTION_LOST),
        (CloseReason.NO_CHECK, Over.CONNECTION_LOST),
        (CloseReason.SETUP_TIMEOUT, Over.CONNECTION_LOST),
        (CloseReason.HANDSHAKE_FAILED, Over.ERROR),
        (CloseReason.INTERNAL_ERROR, Over.ERROR),
    ],
)
def test_why_it_is_over(reason: CloseReason, word: Over) -> None:
    """In a word for programs, and in a sentence."""
    scene = Scene()
    ear = Listening()
    scene.agent.attach(ear)
    scene.agent.handle_event(SessionClosed(reason=reason, detail=""))
    assert ear.end == (word, reason.value)


def test_nothing_is_left_of_a_call() -> None:
    """In the middle of an answer: no deadline, no packet, no event; the backend is told."""
    scene = Scene(Recorder)
    ear = Listening()
    scene.agent.attach(ear)
    response_id = start_answer(scene, 100)
    backend = recorder(scene)
    scene.agent.handle_event(SessionClosed(reason=CloseReason.PEER, detail=""))
    assert scene.over == [scene.agent]
    assert len(scene.ticker) == 0
    assert scene.loop.pending == 0
    assert backend.last("cancel_response") == (response_id,)
    calls, sent, heard = len(backend.calls), len(scene.wire.audio), len(ear.heard)
    backend.emit(ResponseAudio(response_id, b"\x78\x01"))
    scene.say(LOUD, 200)
    scene.tell("response.create")
    scene.agent.handle_timer(scene.loop.now)
    scene.agent.handle_event(SessionClosed(reason=CloseReason.PEER, detail=""))
    scene.loop.run(10)
    assert (len(backend.calls), len(scene.wire.audio), len(ear.heard)) == (calls, sent, heard)
    assert len(scene.over) == 1
    assert len(scene.ticker) == 0


def test_a_channel_that_closes_is_not_the_call() -> None:
    """Events go nowhere then; a second channel may take its place."""
    scene = Scene()
    scene.agent.handle_event(DataChannelClosed(channel=5))
    scene.agent.handle_event(DataChannelClosed(channel=1))
    before = len(scene.wire.events)
    scene.say(LOUD, 400)
    assert len(scene.wire.events) == before
    scene.open_channel()
    scene.tell("response.cancel")
    assert scene.kinds()[-1] == "error"


def test_an_hour_is_all() -> None:
    """A warning before the end, the end, and the word for it."""
    scene = Scene(lifetime=120.0)
    ear = Listening()
    scene.agent.attach(ear)
    scene.loop.run(61)
    assert scene.kinds()[-1] == "session.expiring"
    assert not scene.wire.closed
    scene.loop.run(60)
    assert scene.kinds()[-1] == "session.closed"
    assert scene.wire.closed
    scene.agent.handle_event(SessionClosed(reason=CloseReason.LOCAL, detail=""))
    assert ear.end is not None
    assert ear.end[0] is Over.EXPIRED
    assert "session.closed" not in [event["type"] for event in ear.heard]


def test_stats() -> None:
    """What was counted and measured, with an id that cannot end the call."""
    scene = Scene()
    scene.say(LOUD, 1000)
    scene.say(QUIET, 1000)
    stats = scene.agent.stats()
    assert stats.call_id == "rtc_1.2.3.01234567..."
    assert stats.counters.packets_in == 100
    assert stats.counters.turns == stats.counters.responses == 1
    assert stats.lateness["count"] == stats.counters.packets_out == len(scene.wire.audio)
    assert stats.lateness["max"] <= TICK
    assert stats.queued_ms > 0


def test_logs_do_not_have_whole_ids(caplog: pytest.LogCaptureFixture) -> None:
    """What the log says of a call begins as the id in its Location, which could end the call."""
    with caplog.at_level("INFO", logger="transceiver"):
        scene = Scene(connected=False)
        scene.agent.handle_event(SessionClosed(reason=CloseReason.LOCAL, detail=""))
    call_id = scene.agent.call_id
    assert str(call_id).startswith("rtc_1.2.3.01234567")
    assert [record.getMessage() for record in caplog.records] == [
        f"call {call_id.shown}: over, {CloseReason.LOCAL.value}"
    ]
    assert CallId.parse(call_id.shown) is None
