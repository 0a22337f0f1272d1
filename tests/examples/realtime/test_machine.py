"""Anything in any order: the dialogue never raises, and what it says stays in order.

Client events that are right, nearly right and wrong, turns, a backend that speaks of
responses that are over, a pacer that plays a little: each step's events have their
published shapes (the scene checks that) and keep the rules that `Observer` knows.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from examples.transceiver.backend import (
    BackendEvent,
    BackendFailed,
    InputTranscript,
    ResponseAudio,
    ResponseDone,
    ResponseFailed,
    ResponseFunctionCall,
    ResponseText,
    ResponseTranscript,
)
from examples.transceiver.realtime.commands import AppendInput, FinishPlayout, PlayAudio
from examples.transceiver.realtime.conversation import MAX_CONVERSATION_BYTES, MAX_ITEMS
from examples.transceiver.realtime.playouts import MAX_PLAYOUTS
from examples.transceiver.realtime.tables import CLIENT
from rtcproto.opus import SILENCE_MONO
from tests.examples.realtime.observer import Observer
from tests.examples.realtime.scene import Event, Scene

TEXTS = st.sampled_from(["", "a", "one two three", "long", "\ud800", "ä\x00\U0001f600"])
LONG = "x" * 40_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 10**20) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
VOICES = st.sampled_from(["one", "two", {"id": "own"}])
DETECTIONS = st.sampled_from(
    [
        None,
        {"type": "server_vad"},
        {"type": "server_vad", "interrupt_response": False},
        {"type": "server_vad", "create_response": False},
        {"type": "server_vad", "interrupt_response": False, "create_response": False},
        {"type": "semantic_vad", "eagerness": "low"},
    ]
)
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "output_modalities": st.sampled_from([["audio"], ["text"]]),
        "conversation": st.sampled_from(["auto", "none"]),
        "audio": st.fixed_dictionaries({"output": st.fixed_dictionaries({"voice": VOICES})}),
        "input": st.just([]),
        "metadata": st.just({"a": "b"}),
    },
)
AUDIO_FRAMES = st.sampled_from([SILENCE_MONO] * 6 + [b"", b"\xff"])


class AnythingGoes(RuleBasedStateMachine):
    """One call that is treated badly by everybody."""

    scene: Scene
    observer: Observer

    @initialize(accepts_append=st.booleans(), detection=DETECTIONS)
    def begin(self, accepts_append: bool, detection: Any) -> None:
        """A call whose turns are detected somehow."""
        config = {"audio": {"input": {"turn_detection": detection}}}
        self.scene = Scene(config, accepts_append=accepts_append)
        self.observer = Observer()
        self.clock = 0
        self.responses = ["resp_unknown"]

    def seen(self, events: list[Event]) -> None:
        """Let the observer see what was said."""
        for event in events:
            self.observer.see(event)
            if event["type"] == "response.created":
                self.responses.append(event["response"]["id"])

    def an_item(self, data: st.DataObject) -> str:
        """An item of the conversation, or none."""
        return data.draw(st.sampled_from([*self.observer.items[-6:], "item_unknown", "item_a"]))

    # -- The client

    @rule()
    def open(self) -> None:
        """The channel opens, again and again."""
        self.seen(self.scene.open())

    @rule(detection=DETECTIONS, voice=VOICES, modality=st.sampled_from(["audio", "text"]))
    def update(self, detection: Any, voice: Any, modality: str) -> None:
        """session.update."""
        audio = {"input": {"turn_detection": detection}, "output": {"voice": voice}}
        session = {"audio": audio, "output_modalities": [modality]}
        self.seen(self.scene.client("session.update", session=session))

    @rule(response=RESPONSES)
    def respond(self, response: Any) -> None:
        """response.create."""
        self.seen(self.scene.client("response.create", response=response))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """response.cancel, of any response or the active one."""
        response_id = data.draw(st.sampled_from([*self.responses[-2:], None]))
        self.seen(self.scene.client("response.cancel", response_id=response_id))

    @rule(kind=st.sampled_from(["output_audio_buffer.clear", "input_audio_buffer.clear"]))
    def clear(self, kind: str) -> None:
        """The events that are nothing but their type."""
        self.seen(self.scene.client(kind))

    @rule(buffered=st.integers(-1, 3000))
    def commit(self, buffered: int) -> None:
        """input_audio_buffer.commit."""
        self.scene.dialogue.input_buffered(buffered)
        self.seen(self.scene.client("input_audio_buffer.commit"))

    @rule(audio=st.sampled_from(["", "AAAA", "AAA=", "no"]))
    def append(self, audio: str) -> None:
        """input_audio_buffer.append."""
        self.seen(self.scene.client("input_audio_buffer.append", audio=audio))

    @rule(
        data=st.data(),
        role=st.sampled_from(["user", "system", "assistant"]),
        item_id=st.sampled_from([None, "item_a", "item_b"]),
        size=st.sampled_from([1, 1, 100_000]),
    )
    def create(self, data: st.DataObject, role: str, item_id: str | None, size: int) -> None:
        """conversation.item.create, anywhere."""
        kind = "output_text" if role == "assistant" else "input_text"
        item: dict[str, Any] = {"type": "message", "role": role}
        item["content"] = [{"type": kind, "text": "x" * size}]
        if item_id is not None:
            item["id"] = item_id
        after = data.draw(st.sampled_from([None, "root", self.an_item(data)]))
        self.seen(self.scene.client("conversation.item.create", item=item, previous_item_id=after))

    @rule(data=st.data(), kind=st.sampled_from(["delete", "retrieve"]))
    def item(self, data: st.DataObject, kind: str) -> None:
        """conversation.item.delete and .retrieve."""
        item_id = self.an_item(data)
        self.seen(self.scene.client(f"conversation.item.{kind}", item_id=item_id))

    @rule(data=st.data(), index=st.integers(-1, 2), end=st.integers(-1, 300))
    def truncate(self, data: st.DataObject, index: int, end: int) -> None:
        """conversation.item.truncate."""
        fields = {"item_id": self.an_item(data), "content_index": index, "audio_end_ms": end}
        self.seen(self.scene.client("conversation.item.truncate", **fields))

    @rule(
        kind=st.sampled_from([*sorted(CLIENT), "x"]),
        fields=st.dictionaries(
            st.sampled_from(["item", "session", "response", "item_id", "audio", "event_id", "x"]),
            VALUES,
            max_size=3,
        ),
    )
    def nonsense(self, kind: str, fields: dict[str, Any]) -> None:
        """Events with anything in their fields."""
        self.seen(self.scene.client(kind, **fields))

    @rule(data=st.binary(max_size=20) | st.text(max_size=20) | VALUES.map(json.dumps))
    def garbage(self, data: str | bytes) -> None:
        """Whatever is no event: one error each."""
        events = self.scene.raw(data)
        self.seen(events)
        assert [event["type"] for event in events] in (["error"], [])

    # -- The caller

    @rule(length=st.integers(0, 2000))
    def speak(self, length: int) -> None:
        """The caller begins to speak."""
        self.clock += length
        self.scene.dialogue.speech_started(self.clock, self.scene.now)
        self.seen(self.scene.drain())

    @rule(length=st.integers(0, 2000))
    def fall_silent(self, length: int) -> None:
        """The caller's turn is over."""
        self.clock += length
        self.seen(self.scene.stop_speaking(self.clock))

    @rule()
    def say_nothing(self) -> None:
        """The idle timeout."""
        self.scene.dialogue.idle_timeout(self.clock, self.clock + 5000, self.scene.now)
        self.seen(self.scene.drain())

    # -- The backend and the playout

    @rule(data=st.data(), text=TEXTS, frame=AUDIO_FRAMES, times=st.integers(1, 8))
    def backend(self, data: st.DataObject, text: str, frame: bytes, times: int) -> None:
        """The backend speaks, of a response that is active, over, or none."""
        response_id = data.draw(st.sampled_from(self.responses[-2:]))
        text = LONG if text == "long" else text
        events: list[BackendEvent] = [
            ResponseAudio(response_id, frame),
            ResponseTranscript(response_id, text),
            ResponseText(response_id, text),
            ResponseFunctionCall(response_id, text, text, text),
        ]
        which = data.draw(st.integers(0, len(events) - 1))
        self.seen(self.scene.backend(*[events[which]] * times))

    @rule(data=st.data(), text=TEXTS)
    def backend_ends(self, data: st.DataObject, text: str) -> None:
        """A response is over, or something fails."""
        response_id = data.draw(st.sampled_from(self.responses[-2:]))
        text = LONG if text == "long" else text
        events: list[BackendEvent] = [
            ResponseDone(response_id, {"total_tokens": 1, text: text}),
            ResponseDone(response_id),
            ResponseFailed(response_id, text, text),
            ResponseFailed(response_id, "content_filter", text),
            InputTranscript(self.an_item(data), text),
            BackendFailed(text, text),
        ]
        self.seen(self.scene.backend(events[data.draw(st.integers(0, len(events) - 1))]))

    @precondition(lambda self: any(self.scene.left(each) for each in self.scene.queued))
    @rule(ms=st.sampled_from([0, 20, 60, None]))
    def play(self, ms: int | None) -> None:
        """The pacer sends some of what waits."""
        finished = {each.response_id for each in self.scene.commands(FinishPlayout)}
        first = next(each for each in self.scene.queued if self.scene.left(each))
        if first not in finished and ms is None:
            ms = 0  # a pacer does not report the end of what it may get more of
        self.seen(self.scene.play(ms))

    @rule(data=st.data(), ms=st.integers(-5, 500))
    def playout_lies(self, data: st.DataObject, ms: int) -> None:
        """Reports about responses that were not asked about."""
        response_id = data.draw(st.sampled_from([*self.responses[:-1][-3:], "resp_unknown"]))
        if self.scene.left(response_id) if response_id in self.scene.queued else False:
            return
        self.scene.dialogue.played(response_id, ms, self.scene.now)
        self.seen(self.scene.drain())

    # -- What always holds

    @invariant()
    def the_client_knows_the_conversation(self) -> None:
        """What the events told is what there is; and all of it is bounded."""
        if not hasattr(self, "scene"):
            return
        conversation = self.scene.dialogue.conversation
        assert [item["id"] for item in conversation.items()] == self.observer.items
        assert self.scene.dialogue.active_response == self.observer.active
        assert len(conversation) <= MAX_ITEMS
        assert conversation.size <= MAX_CONVERSATION_BYTES
        waiting = [
            each for each, state in self.observer.audio.items() if state in ("queued", "started")
        ]
        assert len(waiting) <= MAX_PLAYOUTS
        played = {each.response_id for each in self.scene.commands(PlayAudio)}
        assert {each for each in self.observer.audio if self.observer.audio[each] == "started"} <= (
            played
        )
        assert all(isinstance(each.audio, bytes) for each in self.scene.commands(AppendInput))

    def teardown(self) -> None:
        """The end of the call ends what is active, and says so last."""
        if not hasattr(self, "scene"):
            return
        self.scene.dialogue.close("over", self.scene.now)
        events = self.scene.drain()
        self.seen(events)
        assert events[-1]["type"] == "session.closed"
        assert self.observer.active is None


TestAnythingGoes = AnythingGoes.TestCase
TestAnythingGoes.settings = settings(max_examples=60, stateful_step_count=40)
