"""The state machine between a call and a server of the Realtime protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.backend import (
    BackendFailed,
    InputTranscript,
    ResponseAudio,
    ResponseDone,
    ResponseFailed,
    ResponseFunctionCall,
    ResponseText,
    ResponseTranscript,
    Turn,
)
from examples.transceiver.realtime.items import with_transcript
from examples.transceiver.realtime_ws import bridge as module
from examples.transceiver.realtime_ws.answer import MAX_STEP
from examples.transceiver.realtime_ws.preroll import MAX_LIVE
from tests.examples.realtime_ws.room import Room, audio_of, frames, session

UNIT = 960


# -- Turns


def test_a_turn_is_sent_while_it_is_said() -> None:
    """From its first frame on, in messages of 100 ms; then the commit and the question."""
    room = Room()
    said = frames(12)
    for frame in said[:3]:
        room.bridge.receive_frame(frame, room.now)
    assert room.sent() == []
    room.bridge.speech_started(0, room.now)
    room.bridge.receive_frame(said[3], room.now)
    assert room.sent() == []
    room.bridge.receive_frame(said[4], room.now)
    early = room.sent()
    assert len(early) == 1
    for frame in said[5:]:
        room.bridge.receive_frame(frame, room.now)
    room.bridge.commit_turn(Turn("item_1", said, 0, 240), room.now)
    room.ask()
    rest = room.sent()
    assert [event["type"].rpartition(".")[2] for event in rest] == [
        "append",
        "append",
        "commit",
        "create",
    ]
    assert audio_of(early + rest) == b"".join(frame.payload[-1:] * UNIT for frame in said)


def test_silence_between_turns_is_not_sent() -> None:
    """What nobody said costs nothing, and the second turn holds the second turn."""
    room = Room()
    room.turn(count=10)
    room.sent()
    for frame in frames(500, 10):
        room.bridge.receive_frame(frame, room.now)
    assert room.sent() == []
    turn = room.turn("item_2", start=510, count=10)
    assert audio_of(room.sent()) == b"".join(frame.payload[-1:] * UNIT for frame in turn.frames)


def test_the_padding_comes_with_the_turn() -> None:
    """Frames from before anybody knew that this is speech, and none from before that."""
    room = Room()
    said = frames(60)
    for frame in said[:40]:
        room.bridge.receive_frame(frame, room.now)
    room.bridge.speech_started(500, room.now)
    for frame in said[40:]:
        room.bridge.receive_frame(frame, room.now)
    room.bridge.commit_turn(Turn("item_1", said[25:], 500, 1200), room.now)
    assert audio_of(room.sent()) == b"".join(frame.payload[-1:] * UNIT for frame in said[25:])


def test_a_client_that_commits_by_itself() -> None:
    """No speech was told of: the turn is sent when it is committed."""
    room = Room(audio={"input": {"turn_detection": None}})
    for frame in frames(20):
        room.bridge.receive_frame(frame, room.now)
    assert room.sent() == []
    room.bridge.commit_turn(Turn("item_1", frames(20), 0, 400), room.now)
    events = room.sent()
    assert len(audio_of(events)) == 20 * UNIT
    assert events[-1]["type"] == "input_audio_buffer.commit"


@pytest.mark.parametrize("how", ["another start", "detection off", "never ends"])
def test_what_was_sent_of_no_turn_is_taken_back(how: str) -> None:
    """The server forgets it before it gets the turn that is one."""
    room = Room()
    for frame in frames(10):
        room.bridge.receive_frame(frame, room.now)
    room.bridge.speech_started(0, room.now)
    assert len(audio_of(room.sent())) == 10 * UNIT
    if how == "detection off":
        off = session(audio={"input": {"turn_detection": None}})
        room.bridge.update_session(off, room.now)
        room.bridge.receive_frame(frames(1, 10)[0], room.now)
    elif how == "never ends":
        for frame in frames(MAX_LIVE // 960 + 10, 10):
            room.bridge.receive_frame(frame, room.now)
            room.bridge.next_message()
    assert "input_audio_buffer.clear" not in room.kinds()
    room.bridge.commit_turn(Turn("item_1", frames(6, 4), 80, 200), room.now)
    events = room.sent()
    assert events[0]["type"] == "input_audio_buffer.clear"
    assert audio_of(events) == b"".join(frame.payload[-1:] * UNIT for frame in frames(6, 4))


def test_a_short_turn_is_made_long_enough() -> None:
    """Servers take no turn of less than 100 ms."""
    room = Room()
    room.bridge.commit_turn(Turn("item_1", frames(2), 0, 40), room.now)
    assert audio_of(room.sent()) == bytes(UNIT) + b"\x01" * UNIT + bytes(3 * UNIT)


def test_turns_are_known_by_their_order() -> None:
    """Transcripts find the item that they are of; names of the server stay its own."""
    room = Room()
    room.turn("item_1")
    room.turn("item_2", start=10)
    room.sent()
    room.server("input_audio_buffer.committed", item_id="up_1")
    room.server("input_audio_buffer.committed", item_id="up_2")
    done = "conversation.item.input_audio_transcription.completed"
    assert room.server(done, item_id="up_2", transcript="Two.") == [
        InputTranscript("item_2", "Two.")
    ]
    assert room.server(done, item_id="up_9", transcript="Nine.") == []
    room.bridge.delete_item("item_1", room.now)
    (event,) = room.sent()
    assert (event["type"], event["item_id"]) == ("conversation.item.delete", "up_1")


def test_a_turn_that_is_deleted_before_it_has_a_name() -> None:
    """It is deleted at the server once it has one."""
    room = Room()
    room.turn("item_1")
    room.bridge.delete_item("item_1", room.now)
    room.sent()
    room.server("input_audio_buffer.committed", item_id="up_1")
    assert [event["item_id"] for event in room.sent()] == ["up_1"]


def test_a_commit_that_was_refused_is_no_turn() -> None:
    """The next name is that of the next turn, and the call hears of the error."""
    room = Room()
    room.turn("item_1")
    (commit,) = [event for event in room.sent() if event["type"].endswith("commit")]
    room.turn("item_2", start=10)
    told = room.server("error", error={"code": "no", "event_id": commit["event_id"]})
    assert told == [BackendFailed("no", "the backend's server reports an error")]
    room.server("input_audio_buffer.committed", item_id="up_2")
    assert room.bridge.memory.named("up_2") == "item_2"


# -- Answers


def test_an_answer() -> None:
    """Audio becomes packets, words are passed on, usage is told at the very end."""
    room = Room()
    room.turn()
    room.ask()
    room.sent()
    room.answer("up_r", b"a" * 1000, b"b" * 1000)
    part = {"response_id": "up_r", "item_id": "up_item", "content_index": 0}
    room.server("response.output_audio_transcript.delta", **part, delta="Hello.")
    room.server("response.output_text.delta", **part, delta="Text.")
    room.server(
        "response.done",
        response={"id": "up_r", "status": "completed", "usage": {"total_tokens": 3}},
    )
    assert [event for event in room.emitted if not isinstance(event, ResponseAudio)] == [
        ResponseTranscript("resp_1", "Hello."),
        ResponseText("resp_1", "Text."),
        ResponseDone("resp_1", {"total_tokens": 3}),
    ]
    assert room.audio() == [b"\x78a", b"\x78a", b"\x78b"]
    assert isinstance(room.emitted[-1], ResponseDone)


def test_a_long_piece_is_done_in_steps() -> None:
    """No more packets at once than other calls can wait for, and the end after the last."""
    room = Room()
    room.ask()
    room.sent()
    room.answer("up_r")
    delta = {"response_id": "up_r", "item_id": "i", "content_index": 0}
    text = json.dumps(
        {"type": "response.output_audio.delta", **delta, "delta": "AAAA" * (25 * UNIT // 3)}
    )
    room.bridge.receive(text, room.now)
    assert room.told() == []
    sizes = []
    while room.bridge.work(room.now):
        sizes.append(len(room.told()))
    assert sizes == [MAX_STEP, MAX_STEP]
    assert len(room.told()) == 5


def test_what_differs_from_the_session_is_asked_for() -> None:
    """And nothing else: no instructions, tools or voice that the server knows already."""
    tool = {"type": "function", "name": "weather"}
    room = Room(tools=[tool], tool_choice="auto")
    room.ask(tools=[tool], tool_choice="none", conversation="none", metadata={"a": "b"})
    (event,) = room.sent()
    assert event["response"] == {
        "tool_choice": "none",
        "conversation": "none",
        "metadata": {"a": "b"},
    }


def test_references_name_what_the_server_knows() -> None:
    """A response with its own input: items by the server's names."""
    room = Room()
    room.turn("item_1")
    room.sent()
    room.server("input_audio_buffer.committed", item_id="up_1")
    room.ask(input=[{"type": "item_reference", "id": "item_1"}])
    (event,) = room.sent()
    assert event["response"]["input"] == [{"type": "item_reference", "id": "up_1"}]


def test_tools_pass_both_ways() -> None:
    """The call of a tool comes whole; its output goes to the server behind it."""
    room = Room(tools=[{"type": "function", "name": "weather"}])
    room.ask()
    room.sent()
    room.answer("up_r")
    item = {
        "id": "up_call",
        "type": "function_call",
        "call_id": "call_7",
        "name": "weather",
        "arguments": "{}",
    }
    room.server("response.output_item.done", response_id="up_r", item=item)
    room.server("response.done", response={"id": "up_r", "status": "completed"})
    assert room.emitted == [
        ResponseFunctionCall("resp_1", "call_7", "weather", "{}"),
        ResponseDone("resp_1", None),
    ]
    output = {
        "id": "item_out",
        "type": "function_call_output",
        "call_id": "call_7",
        "output": "sunny",
    }
    room.bridge.add_item(output, "item_of_the_call", room.now)
    (event,) = room.sent()
    assert event["item"] == output
    assert "previous_item_id" not in event


def test_items_are_put_where_the_client_wants_them() -> None:
    """After an item by the server's name for it, or before all others."""
    room = Room()
    room.turn("item_1")
    room.sent()
    room.server("input_audio_buffer.committed", item_id="up_1")
    content = [{"type": "input_text", "text": "Be brief."}]
    item = {"type": "message", "role": "system", "content": content}
    room.bridge.add_item({**item, "id": "item_2"}, "item_1", room.now)
    room.bridge.add_item({**item, "id": "x" * 60}, None, room.now)
    one, other = room.sent()
    assert (one["previous_item_id"], one["item"]["id"]) == ("up_1", "item_2")
    assert other["previous_item_id"] == "root"
    assert len(other["item"]["id"]) <= 32


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (
            {"status": "failed", "status_details": {"error": {"code": "c", "message": "m"}}},
            ResponseFailed("resp_1", "c", "m"),
        ),
        (
            {"status": "failed"},
            ResponseFailed("resp_1", "backend_error", "the backend's server failed"),
        ),
        (
            {"status": "incomplete", "status_details": {"reason": "max_output_tokens"}},
            ResponseFailed("resp_1", "max_output_tokens", "the response is incomplete"),
        ),
        (
            {"status": "cancelled"},
            ResponseFailed("resp_1", "cancelled", "the response is cancelled"),
        ),
    ],
)
def test_answers_that_fail(response: dict[str, Any], expected: ResponseFailed) -> None:
    """The call is told why, in the server's words."""
    room = Room()
    room.ask()
    room.sent()
    room.answer("up_r", b"a" * UNIT)
    assert room.server("response.done", response={"id": "up_r", **response}) == [expected]


def test_a_question_that_is_refused() -> None:
    """That response fails; the next one is asked for."""
    room = Room()
    room.ask()
    (event,) = room.sent()
    error = {"code": "bad", "message": "No.", "event_id": event["event_id"]}
    assert room.server("error", error=error) == [ResponseFailed("resp_1", "bad", "No.")]
    room.ask()
    assert room.kinds() == ["response.create"]


# -- Interruption


def test_an_interruption() -> None:
    """The server stops, forgets what was not heard, and is asked again once it has stopped."""
    room = Room()
    room.turn()
    room.ask()
    room.sent()
    room.answer("up_r", bytes(50 * UNIT))
    before = len(room.audio())
    room.bridge.cancel_response("resp_1", room.now)
    room.bridge.truncate_item("answer_1", 480, room.now)
    cancel, cut = room.sent()
    assert (cancel["type"], cancel["response_id"]) == ("response.cancel", "up_r")
    assert cut["type"] == "conversation.item.truncate"
    assert (cut["item_id"], cut["content_index"], cut["audio_end_ms"]) == ("up_item", 0, 480)
    # What still comes of it is not wanted.
    room.answer("", bytes(UNIT))
    assert len(room.audio()) == before
    room.turn("item_2", start=100)
    room.ask()
    assert "response.create" not in room.kinds()
    room.server("response.done", response={"id": "up_r", "status": "cancelled"})
    assert room.kinds() == ["response.create"]
    assert not any(isinstance(event, ResponseFailed) for event in room.emitted)


def test_nothing_is_cut_beyond_what_the_server_made() -> None:
    """The packet that was filled up with silence is longer than the audio."""
    room = Room()
    room.ask()
    room.sent()
    room.answer("up_r", bytes(2 * UNIT + 100))
    room.server("response.done", response={"id": "up_r", "status": "completed"})
    room.bridge.truncate_item("answer_1", 60, room.now)
    assert room.sent() == []
    room.bridge.truncate_item("answer_1", 20, room.now)
    assert [event["audio_end_ms"] for event in room.sent()] == [20]


def test_an_answer_of_two_messages_is_cut_in_both() -> None:
    """One is heard in part, the other not at all."""
    room = Room()
    room.ask()
    room.sent()
    room.answer("up_r", bytes(10 * UNIT), item="up_a")
    room.answer("", bytes(0))
    delta = {"response_id": "up_r", "item_id": "up_b", "content_index": 1}
    room.server("response.output_audio.delta", **delta, delta="AAAA" * (UNIT // 3))
    room.server("response.done", response={"id": "up_r", "status": "completed"})
    room.sent()
    room.bridge.truncate_item("answer_1", 40, room.now)
    cut = [(each["item_id"], each["content_index"], each["audio_end_ms"]) for each in room.sent()]
    assert cut == [("up_a", 0, 40), ("up_b", 1, 0)]
    room.bridge.delete_item("answer_1", room.now)
    assert [event["item_id"] for event in room.sent()] == ["up_a", "up_b"]


def test_a_question_that_was_not_sent_is_taken_back() -> None:
    """It waits behind audio: nothing is asked, nothing is cancelled."""
    room = Room()
    room.turn()
    room.ask()
    room.bridge.cancel_response("resp_1", room.now)
    assert room.kinds() == ["input_audio_buffer.append", "input_audio_buffer.commit"]


def test_a_question_that_nobody_has_answered_yet() -> None:
    """It is cancelled without a name; if nothing comes of that, the next is asked."""
    room = Room()
    room.ask()
    room.sent()
    room.bridge.cancel_response("resp_1", room.now)
    (cancel,) = room.sent()
    assert "response_id" not in cancel
    room.ask()
    assert room.sent() == []
    room.wait(module.CANCEL_TIMEOUT)
    assert room.kinds() == ["response.create"]


def test_what_came_too_late_is_no_error() -> None:
    """The response was over when the server heard that it is cancelled."""
    room = Room()
    room.ask()
    room.sent()
    room.answer("up_r", bytes(UNIT))
    room.bridge.cancel_response("resp_1", room.now)
    (cancel,) = room.sent()
    error = {"code": "response_cancel_not_active", "event_id": cancel["event_id"]}
    assert room.server("error", error=error) == []


def test_nobody_asked_for_that() -> None:
    """A response that the server begins by itself is cancelled and not heard."""
    room = Room()
    assert room.answer("up_own", bytes(UNIT)) == []
    assert [event["response_id"] for event in room.sent()] == ["up_own"]


# -- The session


def test_the_session_is_told_first() -> None:
    """Without what the client left open; the server does not look for turns."""
    room = Room(connected=False, instructions="Be kind.", model="m")
    assert room.bridge.model == "m"
    room.bridge.opened(room.now)
    (event,) = room.sent()
    assert event["session"] == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be kind.",
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": None},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.0},
        },
    }


def test_changes_of_the_session_are_told() -> None:
    """What changed, and nothing that is not the server's matter."""
    room = Room(instructions="Be kind.")
    room.bridge.update_session(session(instructions="Be short."), room.now)
    (event,) = room.sent()
    assert event["session"] == {"type": "realtime", "instructions": "Be short."}
    vad = {"type": "server_vad", "threshold": 0.3}
    changed = session(instructions="Be short.", audio={"input": {"turn_detection": vad}})
    room.bridge.update_session(changed, room.now)
    assert room.sent() == []


def test_a_session_that_is_refused_is_told_of() -> None:
    """The call hears why, and goes on with what the server has."""
    room = Room(connected=False)
    room.bridge.opened(room.now)
    (event,) = room.sent()
    error = {"code": "no_such_voice", "message": "No.", "event_id": event["event_id"]}
    assert room.server("error", error=error) == [BackendFailed("no_such_voice", "No.")]
    assert room.bridge.ready


def test_a_server_that_confirms_nothing() -> None:
    """It is used after a while."""
    room = Room(connected=False)
    room.bridge.opened(room.now)
    room.turn()
    room.ask()
    assert room.kinds() == ["session.update"]
    room.wait(module.SETUP_TIMEOUT)
    assert room.kinds()[-1] == "response.create"


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_g711(name: str) -> None:
    """Where the session says so, a frame is 160 bytes both ways."""
    kind = {"format": {"type": name}}
    room = Room(audio={"input": kind, "output": kind})
    room.turn(count=10)
    assert len(audio_of(room.sent())) == 1600
    room.server("session.updated", session={"audio": {"output": kind}})
    room.ask()
    room.sent()
    room.answer("up_r", b"a" * 320)
    assert len(room.audio()) == 2
    assert room.codec.made == [f"to {name}", f"from {name}"]
    room.bridge.truncate_item("answer_1", 20, room.now)


def test_the_server_has_the_last_word_about_formats() -> None:
    """It was asked for PCM and says that it takes and makes G.711."""
    room = Room(connected=False)
    room.bridge.opened(room.now)
    room.sent()
    kind = {"format": {"type": "audio/pcmu"}}
    room.server("session.updated", session={"audio": {"input": kind, "output": kind}})
    room.turn(count=10)
    assert len(audio_of(room.sent())) == 1600


# -- Connections that end


def test_the_server_dies_in_the_middle_of_an_answer() -> None:
    """That answer fails, at once; the next connection knows the conversation."""
    room = Room(tools=[{"type": "function", "name": "weather"}])
    room.turn("item_1")
    room.ask()
    room.sent()
    room.server("input_audio_buffer.committed", item_id="up_1")
    room.answer("up_r", bytes(UNIT))
    part = {"response_id": "up_r", "item_id": "up_item", "content_index": 0}
    room.server("response.output_audio_transcript.delta", **part, delta="I am")
    room.told()
    room.bridge.lost("gone", room.now)
    assert room.told() == [ResponseFailed("resp_1", "backend_disconnected", "gone")]
    assert room.bridge.retry.at is not None
    # Meanwhile the caller speaks.
    room.turn("item_2", start=100)
    room.ask()
    assert room.sent() == []
    events = room.connect()
    kinds = [event["type"] for event in events if "append" not in event["type"]]
    assert kinds == ["input_audio_buffer.commit"] * 2 + ["response.create"]
    assert len(audio_of(events)) == 20 * UNIT
    room.server("input_audio_buffer.committed", item_id="up_8")
    room.server("input_audio_buffer.committed", item_id="up_9")
    assert room.bridge.memory.named("up_9") == "item_2"


def test_what_the_next_connection_is_told() -> None:
    """Words where they are known, tools and their outputs, in the order of the conversation."""
    room = Room()
    room.turn("item_1")
    room.sent()
    room.server("input_audio_buffer.committed", item_id="up_1")
    done = "conversation.item.input_audio_transcription.completed"
    room.server(done, item_id="up_1", transcript="How are you?")
    room.items = [with_transcript(room.items[0], "How are you?")]
    room.ask()
    room.sent()
    room.answer("up_r", bytes(UNIT))
    part = {"response_id": "up_r", "item_id": "up_item", "content_index": 0}
    room.server("response.output_audio_transcript.delta", **part, delta="Fine.")
    room.server("response.done", response={"id": "up_r", "status": "completed"})
    room.bridge.lost("gone", room.now)
    told = [event["item"] for event in room.connect()]
    assert told == [
        {
            "id": "item_1",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "How are you?"}],
        },
        {
            "id": "answer_1",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Fine."}],
        },
    ]
    # These names hold now.
    room.bridge.delete_item("item_1", room.now)
    assert [event["item_id"] for event in room.sent()] == ["item_1"]


def test_errors_of_what_is_told_again_are_kept_from_the_call() -> None:
    """It could do nothing about them."""
    room = Room()
    content = [{"type": "input_text", "text": "Hello."}]
    item = {"id": "item_1", "type": "message", "role": "user", "content": content}
    room.bridge.add_item(item, None, room.now)
    room.sent()
    room.bridge.lost("gone", room.now)
    (event,) = room.connect()
    assert event["item"] == item
    assert room.server("error", error={"code": "x", "event_id": event["event_id"]}) == []


def test_nobody_is_there() -> None:
    """One error for the first attempt that fails, one per response, none for each attempt."""
    room = Room(connected=False)
    room.bridge.receive_frame(frames(1)[0], room.now)
    assert room.bridge.retry.at == room.now
    for _ in range(3):
        room.bridge.retry.begun(room.now)
        room.bridge.lost("no", room.now)
    assert room.told() == [BackendFailed("backend_unavailable", "no")]
    room.ask()
    room.wait(module.WAITING_TIMEOUT)
    (failed,) = room.told()
    assert isinstance(failed, ResponseFailed)
    assert failed.code == "backend_unavailable"


def test_a_wrong_key_is_told_at_once() -> None:
    """Waiting does not help there."""
    room = Room(connected=False)
    room.ask()
    room.bridge.retry.begun(room.now)
    room.bridge.lost("refused", room.now, hopeless=True)
    assert [type(event) for event in room.told()] == [BackendFailed, ResponseFailed]
    assert room.bridge.get_timer() is None


def test_a_server_that_falls_silent() -> None:
    """Before an answer, and in the middle of it: the answer fails, the call goes on."""
    room = Room()
    room.ask()
    room.sent()
    room.wait(module.CREATED_TIMEOUT)
    assert [event.code for event in room.told() if isinstance(event, ResponseFailed)] == [
        "backend_timeout"
    ]
    room.ask()
    room.sent()
    room.answer("up_r", bytes(UNIT))
    room.told()
    room.wait(module.STALL_TIMEOUT)
    assert [event.code for event in room.told() if isinstance(event, ResponseFailed)] == [
        "backend_timeout"
    ]
    assert room.kinds() == ["response.cancel"]


# -- Nonsense

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "item",
                    "item_id",
                    "response",
                    "response_id",
                    "delta",
                    "error",
                    "code",
                    "session",
                    "audio",
                    "output",
                    "format",
                    "type",
                    "content_index",
                    "status",
                    "usage",
                    "status_details",
                    "event_id",
                    "transcript",
                    "name",
                    "call_id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
_KINDS = [
    "session.updated",
    "error",
    "input_audio_buffer.committed",
    "conversation.item.input_audio_transcription.completed",
    "response.created",
    "response.done",
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_item.done",
]


@given(st.lists(st.tuples(st.sampled_from(_KINDS), _JSON), max_size=8))
def test_nothing_that_a_server_says_raises(said: list[tuple[str, Any]]) -> None:
    """Fields of any kind in any event, while there is a response and while there is none."""
    room = Room()
    room.turn()
    room.ask()
    room.answer("up_r", bytes(UNIT))
    for kind, value in said:
        fields = value if isinstance(value, dict) else {"item_id": value, "response": value}
        room.server(
            kind, **{"response_id": "up_r", **{k: v for k, v in fields.items() if k != "type"}}
        )
    room.bridge.lost("gone", room.now)
    room.connect()


@pytest.mark.parametrize(
    "message",
    [
        "",
        "nonsense",
        "[]",
        "1",
        '{"type":7}',
        b"\xff\xfe",
        "[" * 100_000,
        '{"type":"response.done"}',
    ],
)
def test_what_is_no_event_is_passed_over(message: str | bytes) -> None:
    """The connection goes on, and so does the answer."""
    room = Room()
    room.ask()
    room.answer("up_r", bytes(UNIT))
    room.bridge.receive(message, room.now)
    room.answer("", bytes(UNIT))
    room.server("response.done", response={"id": "up_r", "status": "completed"})
    assert isinstance(room.emitted[-1], ResponseDone)


def test_audio_that_is_none() -> None:
    """What is not base64 is counted."""
    room = Room()
    room.ask()
    room.sent()
    room.answer("up_r")
    room.server("response.output_audio.delta", response_id="up_r", item_id="i", delta="%%%")
    assert room.bridge.malformed == 1
    assert room.audio() == []
