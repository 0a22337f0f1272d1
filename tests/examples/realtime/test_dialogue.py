"""The dialogue: which events go to the client, in which order, and what the call is told."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from examples.transceiver.backend import (
    BackendFailed,
    InputTranscript,
    ResponseAudio,
    ResponseDone,
    ResponseFailed,
    ResponseFunctionCall,
    ResponseText,
    ResponseTranscript,
)
from examples.transceiver.realtime.answers import Answers
from examples.transceiver.realtime.commands import (
    AddItem,
    AppendInput,
    CancelResponse,
    ClearInput,
    CommitTurn,
    ConfigureTurns,
    DeleteItem,
    FinishPlayout,
    HangUp,
    HangUpReason,
    PlayAudio,
    StartResponse,
    StopPlayout,
    TruncateItem,
    UpdateSession,
)
from examples.transceiver.realtime.dialogue import WARNING_SECONDS
from examples.transceiver.realtime.playouts import MAX_PLAYOUTS
from examples.transceiver.realtime.responses import MAX_RESPONSE_AUDIO_MS
from examples.transceiver.realtime.session_object import SESSION_SECONDS
from examples.transceiver.realtime.tables import CLIENT
from rtcproto.opus import SILENCE_MONO, build_packet, parse_toc, samples_per_packet
from tests.examples.realtime.scene import Event, Scene

MANUAL = {"audio": {"input": {"turn_detection": None}}}


def kinds(events: list[Event]) -> list[str]:
    """The types of events."""
    return [event["type"] for event in events]


def error(events: list[Event]) -> dict[str, Any]:
    """The only event, which is an error."""
    assert kinds(events) == ["error"], events
    found = events[0]["error"]
    assert isinstance(found, dict)
    return found


def user(text: str, **more: Any) -> dict[str, Any]:
    """An item that a client writes."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **more}


# -- The session


def test_the_session_is_shown_when_the_channel_opens() -> None:
    """session.created comes at channel open, with tracing in it; once."""
    scene = Scene()
    assert kinds(scene.events) == []
    created = scene.open()
    assert kinds(created) == ["session.created", "conversation.created"]
    assert created[0]["session"]["tracing"] is None
    assert created[0]["session"]["id"] == "sess_1"
    assert scene.open() == []


def test_the_backend_and_the_turns_know_the_session_first() -> None:
    """Before anything happens the call is told of the session and of how turns are detected."""
    update, turns = Scene().done
    assert isinstance(update, UpdateSession)
    assert update.session["object"] == "realtime.session"
    assert isinstance(turns, ConfigureTurns)
    assert turns.turn_detection is not None
    assert turns.turn_detection["silence_duration_ms"] == 500


def test_what_the_browser_sdk_sends_at_first_is_acknowledged() -> None:
    """The two updates of the SDK, as it writes them, each give session.updated."""
    scene = Scene()
    scene.open()
    pcm = {"type": "audio/pcm", "rate": 24000}
    update = {
        "type": "realtime",
        "instructions": "Be brief.",
        "model": "some-model",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": pcm,
                "noise_reduction": None,
                "transcription": {"model": "some-transcriber"},
                "turn_detection": {"type": "semantic_vad"},
            },
            "output": {"format": pcm, "speed": 1},
        },
    }
    (updated,) = scene.client("session.update", session=update)
    assert updated["type"] == "session.updated"
    assert updated["session"]["instructions"] == "Be brief."
    tracing = {"type": "realtime", "tracing": "auto"}
    (updated,) = scene.client("session.update", session=tracing)
    assert updated["session"]["tracing"] == "auto"
    assert updated["session"]["instructions"] == "Be brief."


def test_a_changed_turn_detection_reaches_the_detector_and_no_other_change_does() -> None:
    """ConfigureTurns comes with what changed it."""
    scene = Scene()
    scene.client("session.update", session={"instructions": "a"})
    assert len(scene.commands(ConfigureTurns)) == 1
    scene.client("session.update", session=MANUAL)
    assert scene.commands(ConfigureTurns)[-1].turn_detection is None
    assert len(scene.commands(UpdateSession)) == 3


def test_an_update_that_is_wrong_changes_nothing_and_names_the_field() -> None:
    """The error says which parameter, and carries the client's event id."""
    scene = Scene()
    detection = {"type": "server_vad", "threshold": 1.5}
    found = error(
        scene.client(
            "session.update",
            event_id="mine",
            session={"instructions": "x", "audio": {"input": {"turn_detection": detection}}},
        )
    )
    assert found["type"] == "invalid_request_error"
    assert found["code"] == "invalid_value"
    assert found["param"] == "session.audio.input.turn_detection.threshold"
    assert found["event_id"] == "mine"
    assert scene.session.value()["instructions"] == ""


# -- A conversation by voice


def test_a_turn_and_its_answer_in_their_order() -> None:
    """The whole of one exchange, as clients expect it."""
    scene = Scene()
    scene.open()
    turn = scene.turn(300, 1500)
    assert kinds(turn) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    item_id = turn[0]["item_id"]
    assert turn[0]["audio_start_ms"] == 300
    assert turn[1]["audio_end_ms"] == 1500
    assert [turn[1]["item_id"], turn[2]["item_id"], turn[3]["item"]["id"]] == [item_id] * 3
    assert turn[3]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert turn[3]["previous_item_id"] is None
    assert scene.commands(CommitTurn) == [CommitTurn(item_id, 300, 1500)]
    (start,) = scene.commands(StartResponse)
    assert start.turn_item_id == item_id
    assert [item["id"] for item in start.request.items] == [item_id]

    response_id = scene.active
    assert kinds(scene.backend(ResponseAudio(response_id, SILENCE_MONO))) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ]
    assert kinds(scene.play(0)) == ["output_audio_buffer.started"]
    assert kinds(scene.speak("hello", 100)) == ["response.output_audio_transcript.delta"]
    done = scene.finish({"total_tokens": 3, "input_token_details": {"text_tokens": 1, "x": "y"}})
    assert kinds(done) == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = done[-1]["response"]
    assert response["status"] == "completed"
    assert response["usage"] == {
        "total_tokens": 3,
        "input_token_details": {"text_tokens": 1, "x": 0},
    }
    assert response["output"][0]["content"] == [{"type": "output_audio", "transcript": "hello"}]
    assert response["output"][0]["id"] == start.request.item_id
    assert scene.of("conversation.item.done")[-1]["previous_item_id"] == item_id
    assert scene.commands(FinishPlayout) == [FinishPlayout(response_id)]
    assert kinds(scene.play()) == ["output_audio_buffer.stopped"]


def test_frames_are_handed_over_in_order() -> None:
    """Each packet of the active response is given to the pacer as it is."""
    scene = Scene()
    scene.turn()
    scene.speak(ms=60)
    assert scene.commands(PlayAudio) == [PlayAudio(scene.active, SILENCE_MONO)] * 3


def test_speech_interrupts_while_the_answer_is_being_made() -> None:
    """cancelled by turn_detected, cleared, truncated at what was sent, then a new turn."""
    scene = Scene()
    scene.turn(0, 1000)
    scene.speak("one two three", 1000)
    response_id = scene.active
    scene.play(420)
    scene.dialogue.speech_started(2000, scene.now)
    events = scene.drain()
    assert kinds(events)[0] == "input_audio_buffer.speech_started"
    assert kinds(events)[-3:] == [
        "response.done",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    done, cleared, truncated = events[-3:]
    assert done["response"]["status"] == "cancelled"
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["response"]["output"][0]["status"] == "incomplete"
    assert cleared["response_id"] == response_id
    assert truncated["audio_end_ms"] == 420
    assert truncated["item_id"] == done["response"]["output"][0]["id"]
    names = [type(each) for each in scene.done[-4:]]
    assert names == [CancelResponse, FinishPlayout, StopPlayout, TruncateItem]
    # The words of an answer that was broken off may be ahead of its audio: none stay.
    item = scene.client("conversation.item.retrieve", item_id=truncated["item_id"])[0]["item"]
    assert item["content"][0]["transcript"] == ""
    assert "response.created" in kinds(scene.stop_speaking(3000))


def test_speech_interrupts_what_is_still_heard_after_the_answer_was_made() -> None:
    """The response is done already: cleared and truncated, with the words that were heard."""
    scene = Scene()
    scene.turn()
    scene.speak("one two three four five", 1000)
    scene.finish()
    scene.play(500)
    events = scene.turn(2000, 3000)
    assert kinds(events)[:3] == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    assert scene.of("response.done")[0]["response"]["status"] == "completed"
    item = scene.client("conversation.item.retrieve", item_id=events[2]["item_id"])[0]["item"]
    assert item["content"][0]["transcript"] == "one two"


def test_what_was_all_heard_is_not_truncated() -> None:
    """Stopped between the last packet and its end: cleared, and the conversation stays."""
    scene = Scene()
    scene.turn()
    scene.speak(ms=100)
    scene.play(100)
    scene.finish()
    assert kinds(scene.client("output_audio_buffer.clear")) == ["output_audio_buffer.cleared"]


def test_speech_does_not_interrupt_where_the_session_says_so() -> None:
    """The turn is committed, and answered when the active response is done."""
    detection = {"type": "server_vad", "interrupt_response": False}
    scene = Scene({"audio": {"input": {"turn_detection": detection}}})
    scene.turn()
    scene.speak()
    first = scene.active
    assert "response.created" not in kinds(scene.turn(2000, 3000))
    assert scene.active == first
    assert kinds(scene.finish())[-2:] == ["response.done", "response.created"]
    assert len(scene.requests) == 2
    assert scene.commands(StopPlayout) == []


def test_a_turn_is_not_answered_where_the_session_says_so() -> None:
    """create_response false: committed only; the client's response.create takes the turn."""
    detection = {"type": "server_vad", "create_response": False}
    scene = Scene({"audio": {"input": {"turn_detection": detection}}})
    item_id = scene.turn()[0]["item_id"]
    assert scene.requests == []
    assert kinds(scene.client("response.create")) == ["response.created"]
    assert scene.commands(StartResponse)[0].turn_item_id == item_id


def test_a_turn_is_given_to_one_response_only_and_not_when_deleted() -> None:
    """The newest turn that nothing has answered."""
    scene = Scene()
    scene.turn()
    scene.finish()
    scene.client("response.create")
    assert scene.commands(StartResponse)[1].turn_item_id is None
    scene.finish()
    scene.client("session.update", session=MANUAL)
    scene.dialogue.input_buffered(500)
    item_id = scene.client("input_audio_buffer.commit")[0]["item_id"]
    scene.client("conversation.item.delete", item_id=item_id)
    scene.client("response.create")
    assert scene.commands(StartResponse)[2].turn_item_id is None


def test_speech_that_makes_no_sense_is_passed_over() -> None:
    """A second start, an end without start, and either of them without turn detection."""
    scene = Scene()
    assert scene.stop_speaking(10) == []
    scene.dialogue.speech_started(0, scene.now)
    scene.dialogue.speech_started(5, scene.now)
    assert kinds(scene.drain()) == ["input_audio_buffer.speech_started"]
    scene.client("session.update", session=MANUAL)
    assert scene.stop_speaking(10) == []
    assert scene.turn() == []


def test_the_words_of_a_turn() -> None:
    """Clients that asked for a transcription get it, and with it how long the turn was."""
    scene = Scene({"audio": {"input": {"transcription": {"model": "x"}}}})
    item_id = scene.turn(300, 1500)[0]["item_id"]
    (told,) = scene.backend(InputTranscript(item_id, "good morning"))
    assert told["type"] == "conversation.item.input_audio_transcription.completed"
    assert told["usage"] == {"type": "duration", "seconds": 1.2}
    item = scene.client("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert item["content"] == [{"type": "input_audio", "transcript": "good morning"}]


def test_words_that_nobody_asked_for_are_kept_and_not_told() -> None:
    """Without a transcription in the session; and those of no turn at all are dropped."""
    scene = Scene()
    item_id = scene.turn()[0]["item_id"]
    assert scene.backend(InputTranscript(item_id, "words")) == []
    assert scene.backend(InputTranscript("item_other", "words")) == []
    scene.client("conversation.item.create", item=user("typed", id="item_typed"))
    scene.backend(InputTranscript("item_typed", "words"))
    items = {item["id"]: item["content"][0] for item in scene.dialogue.conversation.items()}
    assert items[item_id]["transcript"] == "words"
    assert items["item_typed"] == {"type": "input_text", "text": "typed"}


def test_a_caller_who_says_nothing_is_spoken_to() -> None:
    """timeout_triggered, the silence committed, and a response."""
    scene = Scene()
    scene.dialogue.idle_timeout(1000, 6000, scene.now)
    assert kinds(scene.drain()) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    scene.dialogue.idle_timeout(7000, 12000, scene.now)
    assert scene.drain() == [], "a response is active"


# -- The client commits by itself


def test_manual_turns() -> None:
    """commit makes an item and no response; an empty buffer is an error; clear empties."""
    scene = Scene(MANUAL)
    assert error(scene.client("input_audio_buffer.commit"))["code"] == (
        "input_audio_buffer_commit_empty"
    )
    scene.dialogue.input_buffered(240)
    events = scene.client("input_audio_buffer.commit")
    assert kinds(events) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert scene.commands(CommitTurn) == [CommitTurn(events[0]["item_id"], None, None)]
    scene.dialogue.input_buffered(240)
    assert kinds(scene.client("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert scene.commands(ClearInput) == [ClearInput()]
    assert error(scene.client("input_audio_buffer.commit"))["event_id"] is None


def test_a_commit_amid_speech() -> None:
    """What was said so far has the announced id; the rest is a turn of its own."""
    scene = Scene()
    scene.dialogue.speech_started(0, scene.now)
    (started,) = scene.drain()
    scene.dialogue.input_buffered(400)
    committed = scene.client("input_audio_buffer.commit")[0]
    assert committed["item_id"] == started["item_id"]
    rest = scene.stop_speaking(900)
    assert rest[0]["item_id"] != started["item_id"]
    assert scene.commands(CommitTurn)[1] == CommitTurn(rest[0]["item_id"], None, None)


def test_audio_in_events_is_refused_or_taken() -> None:
    """A call's audio comes over its media connection, unless the call can take it."""
    audio = base64.b64encode(bytes(960)).decode()
    refused = error(Scene().client("input_audio_buffer.append", audio=audio, event_id="e"))
    assert refused["code"] == "append_not_supported"
    assert refused["event_id"] == "e"
    scene = Scene(MANUAL, accepts_append=True)
    assert scene.client("input_audio_buffer.append", audio=audio) == []
    assert scene.commands(AppendInput) == [AppendInput(bytes(960))]
    assert kinds(scene.client("input_audio_buffer.commit"))[0] == "input_audio_buffer.committed"


@pytest.mark.parametrize("audio", ["no base64!", "AAA", base64.b64encode(bytes(3)).decode()])
def test_audio_that_does_not_decode(audio: str) -> None:
    """An error, and nothing is appended."""
    scene = Scene(MANUAL, accepts_append=True)
    assert error(scene.client("input_audio_buffer.append", audio=audio))["param"] == "audio"
    assert scene.commands(AppendInput) == []


# -- Responses


def test_responses_come_one_after_the_other() -> None:
    """A second response.create while one is active is an error with its event id."""
    scene = Scene()
    scene.client("response.create")
    found = error(scene.client("response.create", event_id="second"))
    assert found["code"] == "conversation_already_has_active_response"
    assert found["event_id"] == "second"
    scene.finish()
    assert kinds(scene.client("response.create")) == ["response.created"]


def test_cancelling() -> None:
    """Generation ends; what was handed over is still played; clear ends that as well."""
    scene = Scene()
    assert error(scene.client("response.cancel", event_id="c"))["code"] == (
        "response_cancel_not_active"
    )
    scene.client("response.create")
    scene.speak(ms=200)
    scene.play(60)
    response_id = scene.active
    assert error(scene.client("response.cancel", response_id="resp_other"))["param"] is None
    done = scene.client("response.cancel", response_id=response_id)[-1]
    assert done["response"]["status_details"]["reason"] == "client_cancelled"
    assert scene.commands(CancelResponse) == [CancelResponse(response_id)]
    assert scene.commands(StopPlayout) == []
    scene.play(40)
    assert kinds(scene.client("output_audio_buffer.clear")) == [
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    assert scene.events[-1]["audio_end_ms"] == 100


def test_clear_alone_ends_the_response_that_is_speaking() -> None:
    """As the SDK interrupts once the audio has been announced as done."""
    scene = Scene()
    scene.client("response.create")
    scene.speak()
    scene.play(20)
    assert kinds(scene.client("output_audio_buffer.clear"))[-3:] == [
        "response.done",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]


def test_clear_with_nothing_to_hear_is_answered_by_nothing() -> None:
    """The SDK sends it at every interruption; a response that is silent so far goes on."""
    scene = Scene()
    assert scene.client("output_audio_buffer.clear") == []
    scene.client("response.create")
    assert scene.client("output_audio_buffer.clear") == []
    assert scene.active


def test_a_response_that_is_cut_before_it_is_heard() -> None:
    """cleared without started, and truncated at 0."""
    scene = Scene()
    scene.client("response.create")
    scene.speak()
    scene.finish()
    events = scene.client("output_audio_buffer.clear")
    assert kinds(events) == ["output_audio_buffer.cleared", "conversation.item.truncated"]
    assert events[1]["audio_end_ms"] == 0


def test_late_backend_events_are_dropped() -> None:
    """Nothing of a response that is over reaches the client or the pacer."""
    scene = Scene()
    scene.client("response.create")
    response_id = scene.active
    scene.client("response.cancel")
    late = [
        ResponseAudio(response_id, SILENCE_MONO),
        ResponseTranscript(response_id, "x"),
        ResponseText(response_id, "x"),
        ResponseFunctionCall(response_id, "c", "n", "{}"),
        ResponseDone(response_id),
        ResponseFailed(response_id, "x", "y"),
    ]
    assert scene.backend(*late) == []
    assert scene.commands(PlayAudio) == []


def test_late_backend_events_do_not_reach_the_next_response() -> None:
    """Nor do those of a response that never was."""
    scene = Scene()
    scene.client("response.create")
    first = scene.active
    scene.client("response.cancel")
    scene.client("response.create")
    for response_id in (first, "resp_unknown"):
        assert scene.backend(ResponseText(response_id, "x"), ResponseDone(response_id)) == []
    assert scene.active != first


def test_a_backend_that_fails_amid_an_answer() -> None:
    """An error, response.done failed, and the call goes on."""
    scene = Scene()
    scene.client("response.create")
    scene.speak(ms=40)
    events = scene.backend(ResponseFailed(scene.active, "overloaded", "try again"))
    assert events[0]["error"]["message"] == "try again"
    assert events[0]["error"]["type"] == "server_error"
    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["status_details"]["error"] == {
        "type": "server_error",
        "code": "overloaded",
    }
    assert kinds(scene.play()) == ["output_audio_buffer.started", "output_audio_buffer.stopped"]
    assert kinds(scene.client("response.create")) == ["response.created"]


def test_a_backend_that_fails_beside_responses() -> None:
    """An error event; nothing else changes."""
    scene = Scene()
    scene.client("response.create")
    found = error(scene.backend(BackendFailed("gone", "reconnecting \ud800")))
    assert found == {
        "type": "server_error",
        "code": "gone",
        "message": "reconnecting ?",
        "param": None,
        "event_id": None,
    }
    assert scene.active


def test_a_backend_that_ran_out_of_tokens() -> None:
    """Incomplete with the published reason, which is no error."""
    scene = Scene()
    scene.client("response.create")
    (done,) = scene.backend(ResponseFailed(scene.active, "max_output_tokens", ""))
    assert done["response"]["status_details"] == {
        "type": "incomplete",
        "reason": "max_output_tokens",
    }


def test_a_backend_whose_audio_is_no_opus() -> None:
    """The response fails; no such packet is sent."""
    scene = Scene()
    scene.client("response.create")
    events = scene.backend(ResponseAudio(scene.active, b"\xff\xff"))
    assert kinds(events) == ["error", "response.done"]
    assert scene.commands(PlayAudio) == []
    assert len(scene.commands(CancelResponse)) == 1


def test_function_calls_go_out_and_their_results_come_in() -> None:
    """arguments delta and done, the item completed; the output is told to the backend."""
    scene = Scene()
    scene.client("response.create")
    events = scene.backend(
        ResponseFunctionCall(scene.active, "call_1", "weather", '{"city":"Ulm"}'),
        ResponseDone(scene.active),
    )
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    item = events[-2]["item"]
    assert (item["status"], item["call_id"], item["name"]) == ("completed", "call_1", "weather")
    output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    created = scene.client("conversation.item.create", item=output)
    assert created[0]["previous_item_id"] == item["id"]
    assert scene.commands(AddItem)[0].item["output"] == "sunny"
    scene.client("response.create")
    assert [each["type"] for each in scene.requests[1].items] == [
        "function_call",
        "function_call_output",
    ]


def test_speech_and_a_function_call_in_one_response() -> None:
    """Two items, in the order in which they began."""
    scene = Scene()
    scene.client("response.create")
    scene.speak("let me see", 40)
    scene.backend(ResponseFunctionCall(scene.active, "", "look", "{}"))
    output = scene.finish()[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call"]
    assert output[1]["call_id"].startswith("call_")
    indexes = {
        event["item"]["id"]: event["output_index"]
        for event in scene.of("response.output_item.done")
    }
    assert indexes == {output[0]["id"]: 0, output[1]["id"]: 1}


def test_answers_in_text() -> None:
    """Text parts; audio that was not asked for is dropped, its words are text."""
    scene = Scene({"output_modalities": ["text"]})
    scene.client("response.create")
    events = scene.backend(
        ResponseAudio(scene.active, SILENCE_MONO),
        ResponseText(scene.active, "a"),
        ResponseTranscript(scene.active, "b"),
        ResponseDone(scene.active),
    )
    assert scene.commands(PlayAudio) == []
    assert events[2]["part"] == {"type": "text", "text": ""}
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "output_text", "text": "ab"}]
    assert scene.of("response.output_text.done")[0]["text"] == "ab"


def test_what_response_create_says_holds_for_that_response() -> None:
    """Instructions, voice, tools and metadata over those of the session; own input."""
    scene = Scene({"instructions": "session", "audio": {"output": {"voice": "one"}}})
    scene.client("conversation.item.create", item=user("hello", id="item_a"))
    events = scene.client(
        "response.create",
        response={
            "instructions": "only now",
            "audio": {"output": {"voice": "two"}},
            "conversation": "none",
            "metadata": {"topic": "test"},
            "input": [{"type": "item_reference", "id": "item_a"}, user("more")],
        },
    )
    assert events[0]["response"]["metadata"] == {"topic": "test"}
    assert events[0]["response"]["audio"]["output"]["voice"] == "two"
    assert events[0]["response"]["conversation_id"] is None
    (request,) = scene.requests
    assert request.instructions == "only now"
    assert request.parameters["voice"] == "two"
    assert [item["content"][0]["text"] for item in request.items] == ["hello", "more"]
    spoken = scene.backend(ResponseText(scene.active, "x"), ResponseDone(scene.active))
    assert not [kind for kind in kinds(spoken) if kind.startswith("conversation.")]
    assert len(scene.dialogue.conversation) == 1
    scene.client("response.create")
    assert scene.requests[1].instructions == "session"


@pytest.mark.parametrize(
    ("response", "param"),
    [
        ({"output_modalities": ["smell"]}, "response.output_modalities[0]"),
        ({"output_modalities": ["audio", "text"]}, "response.output_modalities"),
        ({"max_output_tokens": 0}, "response.max_output_tokens"),
        ({"max_output_tokens": "none"}, "response.max_output_tokens"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "response.tools[0].type"),
        ({"metadata": {"a": 1}}, "response.metadata"),
        ({"metadata": {str(n): "" for n in range(17)}}, "response.metadata"),
        ({"input": [{"type": "item_reference", "id": "item_x"}]}, "response.input[0].id"),
        ({"input": [user("x" * 200_000)]}, "response.input[0]"),
        ({"surprise": 1}, "response.surprise"),
        (7, "response"),
    ],
)
def test_responses_that_cannot_be_created(response: object, param: str) -> None:
    """The error names the parameter, and no response is active."""
    scene = Scene()
    found = error(scene.client("response.create", response=response, event_id="r"))
    assert found["param"] == param
    assert found["event_id"] == "r"
    assert scene.dialogue.active_response is None


def test_the_voice_is_fixed_once_it_was_heard() -> None:
    """Neither the session nor a response changes it after the first audio."""
    scene = Scene({"audio": {"output": {"voice": "one"}}})
    two = {"audio": {"output": {"voice": "two"}}}
    assert kinds(scene.client("session.update", session=two)) == ["session.updated"]
    scene.client("response.create")
    scene.speak()
    scene.finish()
    one = {"audio": {"output": {"voice": "one"}}}
    assert error(scene.client("session.update", session=one))["code"] == "cannot_update_voice"
    assert error(scene.client("response.create", response=one))["code"] == "cannot_update_voice"
    assert kinds(scene.client("session.update", session=two)) == ["session.updated"]
    assert kinds(scene.client("response.create", response=two)) == ["response.created"]


def test_the_voice_that_a_response_asked_for_is_the_one_that_stays() -> None:
    """It is the one that was heard, so answers to turns keep it."""
    scene = Scene({"audio": {"output": {"voice": "one"}}})
    two = {"audio": {"output": {"voice": "two"}}}
    scene.client("response.create", response=two)
    scene.speak()
    scene.finish()
    scene.turn()
    assert scene.requests[1].parameters["voice"] == "two"


def test_a_voice_of_the_clients_own() -> None:
    """The session and the backend have it as it was written, the response shows its id."""
    voice = {"id": "voice_1"}
    scene = Scene({"audio": {"output": {"voice": voice}}})
    (created,) = scene.client("response.create")
    assert created["response"]["audio"]["output"]["voice"] == "voice_1"
    assert scene.requests[0].parameters["voice"] == voice
    scene.speak()
    scene.finish()
    assert kinds(scene.client("response.create")) == ["response.created"]


def test_a_response_ends_where_it_has_no_room_left() -> None:
    """More text than one message carries: incomplete, and the backend is told to stop."""
    scene = Scene()
    scene.client("response.create")
    response_id = scene.active
    for _ in range(200):
        scene.backend(ResponseTranscript(response_id, "x" * 1000))
    (done,) = scene.of("response.done")
    assert done["response"]["status_details"]["reason"] == "max_output_tokens"
    assert scene.commands(CancelResponse) == [CancelResponse(response_id)]
    assert len(str(done)) < 200_000


def test_a_response_ends_where_it_has_spoken_too_long() -> None:
    """More audio than may wait: incomplete as well; what there is is played."""
    scene = Scene()
    scene.client("response.create")
    packet = build_packet(parse_toc(0xFC), [b"\x00"] * 3)
    assert samples_per_packet(packet) == 60 * 48
    packets = MAX_RESPONSE_AUDIO_MS // 60
    response_id = scene.active
    scene.backend(*[ResponseAudio(response_id, packet)] * packets)
    assert scene.active == response_id
    events = scene.backend(ResponseAudio(response_id, packet))
    assert events[-1]["response"]["status"] == "incomplete"
    assert scene.commands(FinishPlayout) == [FinishPlayout(response_id)]


def test_responses_do_not_pile_up_unheard() -> None:
    """Beyond a few that wait to be played no more is started until one was heard."""
    scene = Scene()
    for _ in range(MAX_PLAYOUTS):
        scene.client("response.create")
        scene.speak(ms=40)
        scene.finish()
    found = error(scene.client("response.create", event_id="x"))
    assert found["code"] == "output_audio_buffer_full"
    scene.play()
    assert kinds(scene.client("response.create")) == ["response.created"]


def test_several_responses_that_wait_are_all_cleared() -> None:
    """Each that was handed over has exactly one end."""
    scene = Scene()
    for _ in range(3):
        scene.client("response.create")
        scene.speak(ms=40)
        scene.finish()
    scene.play()
    scene.client("output_audio_buffer.clear")
    ends = [
        event["response_id"]
        for event in scene.events
        if event["type"] in ("output_audio_buffer.stopped", "output_audio_buffer.cleared")
    ]
    assert len(ends) == len(set(ends)) == 3


def test_a_playout_that_makes_no_sense_is_passed_over() -> None:
    """Of responses that are unknown, not finished, not started, or not to be stopped."""
    scene = Scene()
    scene.client("response.create")
    scene.speak(ms=40)
    response_id = scene.active
    for each in ("resp_unknown", response_id):
        scene.dialogue.playout_stopped(each, scene.now)
        scene.dialogue.played(each, 20, scene.now)
    scene.dialogue.playout_started("resp_unknown", scene.now)
    assert scene.drain() == []


# -- The conversation


def test_items_are_created_retrieved_and_deleted() -> None:
    """added and done with the place; the backend is told."""
    scene = Scene()
    created = scene.client("conversation.item.create", item=user("b"))
    item_id = created[0]["item"]["id"]
    assert kinds(created) == ["conversation.item.added", "conversation.item.done"]
    assert item_id.startswith("item_")
    first = scene.client(
        "conversation.item.create", item=user("a", id="mine"), previous_item_id="root"
    )
    assert first[0]["previous_item_id"] is None
    middle = scene.client("conversation.item.create", item=user("ab"), previous_item_id="mine")
    assert middle[0]["previous_item_id"] == "mine"
    texts = [item["content"][0]["text"] for item in scene.dialogue.conversation.items()]
    assert texts == ["a", "ab", "b"]
    assert [each.previous_item_id for each in scene.commands(AddItem)] == [None, None, "mine"]
    (retrieved,) = scene.client("conversation.item.retrieve", item_id="mine")
    assert retrieved["item"] == first[0]["item"]
    (deleted,) = scene.client("conversation.item.delete", item_id="mine")
    assert deleted["type"] == "conversation.item.deleted"
    assert scene.commands(DeleteItem) == [DeleteItem("mine")]
    assert error(scene.client("conversation.item.retrieve", item_id="mine"))["code"] == (
        "item_not_found"
    )


def test_the_backend_gets_audio_that_the_conversation_does_not_keep() -> None:
    """A client's own audio item: shown with its transcript, handed on as written."""
    scene = Scene()
    part = {"type": "input_audio", "audio": "AAAA"}
    item = {"type": "message", "role": "user", "content": [part]}
    added = scene.client("conversation.item.create", item=item)[0]
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert scene.commands(AddItem)[0].item["content"] == [part]


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"item": user("x", id="mine")}, "item_already_exists", "item.id"),
        ({"item": user("x"), "previous_item_id": "gone"}, "item_not_found", "previous_item_id"),
        ({"item": {"type": "song"}}, "invalid_value", "item.type"),
        ({"item": {"role": "user", "content": []}}, "missing_required_parameter", "item.type"),
        (
            {"item": {"type": "message", "role": "narrator", "content": []}},
            "invalid_value",
            "item.role",
        ),
        (
            {"item": {"type": "message", "role": "system", "content": [{"type": "input_audio"}]}},
            "invalid_value",
            "item.content[0].type",
        ),
        ({"item": user("x" * 140_000)}, "item_too_large", "item"),
        (
            {"item": {"type": "function_call_output", "call_id": "no", "output": ""}},
            "tool_call_not_found",
            "item.call_id",
        ),
        ({}, "missing_required_parameter", "item"),
    ],
)
def test_items_that_cannot_be_created(fields: dict[str, Any], code: str, param: str) -> None:
    """The error says what and where; the conversation is as it was."""
    scene = Scene()
    scene.client("conversation.item.create", item=user("first", id="mine"))
    found = error(scene.client("conversation.item.create", event_id="i", **fields))
    assert (found["code"], found["param"], found["event_id"]) == (code, param, "i")
    assert len(scene.dialogue.conversation) == 1


def test_the_ids_of_items_to_come_are_taken() -> None:
    """A client cannot take the id of the turn that is being spoken or of the answer."""
    scene = Scene()
    scene.dialogue.speech_started(0, scene.now)
    item_id = scene.drain()[0]["item_id"]
    assert error(scene.client("conversation.item.create", item=user("x", id=item_id)))["code"] == (
        "item_already_exists"
    )
    scene.stop_speaking(100)
    item_id = scene.requests[0].item_id
    assert error(scene.client("conversation.item.create", item=user("x", id=item_id)))["code"] == (
        "item_already_exists"
    )


def test_an_item_that_is_being_made_is_neither_deleted_nor_truncated() -> None:
    """Its response would go on with it."""
    scene = Scene()
    scene.client("response.create")
    scene.speak()
    item_id = scene.requests[0].item_id
    assert error(scene.client("conversation.item.delete", item_id=item_id))["code"] == (
        "item_in_progress"
    )
    found = scene.client(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0
    )
    assert error(found)["code"] == "item_in_progress"


def test_an_answer_may_be_deleted_while_it_is_heard() -> None:
    """Stopping it later finds nothing to cut, even where another item took its id."""
    scene = Scene()
    scene.client("response.create")
    scene.speak()
    scene.finish()
    scene.play(100)
    item_id = scene.requests[0].item_id
    scene.client("conversation.item.delete", item_id=item_id)
    scene.client("conversation.item.create", item=user("other", id=item_id))
    assert kinds(scene.client("output_audio_buffer.clear")) == ["output_audio_buffer.cleared"]


def test_a_client_truncates() -> None:
    """Down to any length there is; the backend is told."""
    scene = Scene()
    scene.client("response.create")
    scene.speak("one two three four", 400)
    scene.finish()
    item_id = scene.requests[0].item_id
    (truncated,) = scene.client(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=200
    )
    assert truncated["audio_end_ms"] == 200
    assert scene.commands(TruncateItem) == [TruncateItem(item_id, 200)]
    again = scene.client(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=201
    )
    assert error(again)["param"] == "audio_end_ms"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"item_id": "gone", "content_index": 0, "audio_end_ms": 0}, "item_id"),
        ({"item_id": "mine", "content_index": 0, "audio_end_ms": 0}, "item_id"),
        ({"item_id": "ours", "content_index": 1, "audio_end_ms": 0}, "content_index"),
        ({"item_id": "ours", "content_index": -1, "audio_end_ms": 0}, "content_index"),
        ({"item_id": "text", "content_index": 0, "audio_end_ms": 0}, "content_index"),
        ({"item_id": "ours", "content_index": 0, "audio_end_ms": 1}, "audio_end_ms"),
        ({"item_id": "ours", "content_index": 0, "audio_end_ms": -1}, "audio_end_ms"),
        ({"item_id": "ours", "content_index": 0, "audio_end_ms": 0.5}, "audio_end_ms"),
        ({"item_id": "ours", "content_index": 0}, "audio_end_ms"),
    ],
)
def test_what_cannot_be_truncated(fields: dict[str, Any], param: str) -> None:
    """Only the audio of an assistant's message, and not beyond its end."""
    scene = Scene()
    scene.client("conversation.item.create", item=user("x", id="mine"))
    for item_id, part in (
        ("ours", {"type": "output_audio", "transcript": "x"}),
        ("text", {"type": "output_text", "text": "x"}),
    ):
        item = {"type": "message", "role": "assistant", "content": [part], "id": item_id}
        assert kinds(scene.client("conversation.item.create", item=item))
    found = error(scene.client("conversation.item.truncate", event_id="t", **fields))
    assert (found["param"], found["event_id"]) == (param, "t")
    assert scene.commands(TruncateItem) == []


def test_the_oldest_items_go_when_the_conversation_is_full() -> None:
    """Clients and the backend are told of each; what is new stays."""
    scene = Scene()
    for index in range(12):
        item = user("x" * 100_000, id=f"item_{index}")
        scene.client("conversation.item.create", item=item)
    gone = [event["item_id"] for event in scene.of("conversation.item.deleted")]
    assert gone == ["item_0", "item_1"]
    assert [each.item_id for each in scene.commands(DeleteItem)] == gone
    assert scene.dialogue.conversation.items()[-1]["id"] == "item_11"


# -- Bad input


@pytest.mark.parametrize(
    ("data", "code", "event_id"),
    [
        (b"", "invalid_json", None),
        (b"\xff\xfe{}", "invalid_json", None),
        ('{"type": "response.create", "event_id": "e1"', "invalid_json", "e1"),
        ('{"type": NaN}', "invalid_json", None),
        ('{"type": "x", "n": 1e999, "event_id": "e2"}', "invalid_json", "e2"),
        ('{"type": "response.cancel", "response_id": "\\ud800"}', "invalid_json", None),
        ("[" * 5000, "invalid_json", None),
        ('{"event_id": "deep", "a": ' + "[" * 40 + "]" * 40 + "}", "invalid_json", "deep"),
        ("[]", "invalid_type", None),
        ('"response.create"', "invalid_type", None),
        ("{}", "missing_required_parameter", None),
        ('{"type": 5, "event_id": "e3"}', "invalid_type", "e3"),
        ('{"type": "session.destroy", "event_id": "e4"}', "unknown_event", "e4"),
        ('{"type": "session.created", "event_id": "e5"}', "unknown_event", "e5"),
        ('{"type": "session.update", "event_id": "e6"}', "missing_required_parameter", "e6"),
        ('{"type": "response.cancel", "event_id": 7}', "invalid_type", None),
        (
            '{"type": "response.cancel", "event_id": "' + "x" * 513 + '"}',
            "invalid_value",
            None,
        ),
        (
            '{"type": "conversation.item.retrieve", "item_id": {}, "event_id": "e8"}',
            "invalid_type",
            "e8",
        ),
        ('{"type": "response.cancel", "more": 1, "event_id": "e9"}', "unknown_parameter", "e9"),
    ],
)
def test_events_that_cannot_be_read(data: str | bytes, code: str, event_id: str | None) -> None:
    """H1: each gets an error with the client's event id where that can be read."""
    scene = Scene()
    found = error(scene.raw(data))
    assert (found["type"], found["code"]) == ("invalid_request_error", code)
    assert found["event_id"] == event_id


def test_events_that_are_too_large() -> None:
    """Over 1 MiB on the channel; a side band may say that it takes more."""
    scene = Scene()
    audio = "A" * (1024 * 1024)
    event = '{"type": "input_audio_buffer.append", "audio": "' + audio + '", "event_id": "big"}'
    found = error(scene.raw(event))
    assert (found["code"], found["event_id"]) == ("event_too_large", "big")
    assert error(scene.raw(event.encode()))["code"] == "event_too_large"
    larger = error(scene.raw(event, max_bytes=15 * 1024 * 1024))
    assert larger["code"] == "append_not_supported"


@pytest.mark.parametrize("kind", sorted(CLIENT))
def test_every_client_event_is_handled(kind: str) -> None:
    """With an empty body and with a usable one: acted on or answered, never raised at."""
    fields: dict[str, Any] = {
        "session": {},
        "audio": "",
        "item": user("x"),
        "item_id": "item_x",
        "content_index": 0,
        "audio_end_ms": 0,
    }
    scene = Scene()
    scene.client(kind)
    wanted = [each for each in fields if f"{each}=" in CLIENT[kind]]
    scene.client(kind, **{each: fields[each] for each in wanted})
    scene.client(kind, **dict.fromkeys(wanted), event_id="nulls")
    assert kind not in kinds(scene.events)


# -- The end


def test_the_session_ends_after_its_time_with_a_warning() -> None:
    """session.expiring a minute before; session.closed and HangUp at the end."""
    scene = Scene()
    start = scene.now
    warning = scene.dialogue.get_timer()
    assert warning == start + SESSION_SECONDS - WARNING_SECONDS
    scene.dialogue.handle_timer(warning - 0.001)
    assert scene.drain() == []
    scene.dialogue.handle_timer(warning)
    (expiring,) = scene.drain()
    assert (expiring["type"], expiring["seconds_left"]) == ("session.expiring", 60)
    assert expiring["expires_at"] == scene.session.value()["expires_at"]
    assert scene.dialogue.get_timer() == start + SESSION_SECONDS
    scene.client("response.create")
    scene.dialogue.handle_timer(start + SESSION_SECONDS)
    events = scene.drain()
    assert kinds(events) == ["response.done", "session.closed"]
    assert events[-1]["reason"] == "expired"
    assert scene.commands(HangUp) == [HangUp(HangUpReason.EXPIRED)]
    assert scene.dialogue.get_timer() is None


def test_nothing_happens_after_the_end() -> None:
    """close tells the reason once; every input is passed over from then on."""
    scene = Scene()
    scene.client("response.create")
    scene.speak()
    scene.dialogue.close("gone", scene.now)
    assert scene.drain()[-1]["reason"] == "gone"
    assert scene.dialogue.closed
    scene.dialogue.close("again", scene.now)
    scene.dialogue.handle_timer(1e9)
    scene.dialogue.idle_timeout(0, 1, scene.now)
    scene.dialogue.playout_started("x", scene.now)
    scene.dialogue.playout_stopped("x", scene.now)
    scene.dialogue.played("x", 0, scene.now)
    assert scene.open() == scene.turn() == scene.client("response.create") == []
    assert scene.backend(BackendFailed("a", "b")) == []


def test_a_late_observer_is_greeted() -> None:
    """With the session as it is now, and nobody else hears of it."""
    scene = Scene()
    scene.client("session.update", session={"instructions": "now"})
    (greeting,) = scene.dialogue.greeting()
    assert greeting["type"] == "session.created"
    assert greeting["session"]["instructions"] == "now"
    assert scene.drain() == []


def test_quiet_means_that_nothing_is_answered_or_heard() -> None:
    """The idle timeout waits until the last of an answer was heard."""
    scene = Scene()
    scene.client("response.create")
    scene.speak(ms=40)
    scene.finish()
    answers = scene.dialogue._answers
    assert isinstance(answers, Answers)
    assert not answers.quiet
    scene.play()
    assert answers.quiet
