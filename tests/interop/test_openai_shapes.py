"""What the backend `realtime-ws` sends, as the official Python client understands it.

And the server that it is tested with, talked to by that client.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from examples.transceiver.realtime.items import function_call, user_turn, with_transcript
from tests.examples.realtime_ws.room import Room, session
from tests.support.realtime_server import RealtimeServer

openai = pytest.importorskip("openai", reason="openai is not installed (the extra 'peers')")
types = pytest.importorskip("openai.types.realtime")
pytest.importorskip("websockets", reason="websockets is not installed (the extra 'peers')")
pydantic = pytest.importorskip("pydantic")

pytestmark = pytest.mark.interop

PATIENCE = 20.0
KEY = "sk-test-0123456789"
TOOL = {"type": "function", "name": "weather", "description": "d", "parameters": {}}


def strange(value: Any, path: str = "") -> list[str]:
    """The fields of a model of the client that it does not know."""
    if isinstance(value, list):
        return [each for part in value for each in strange(part, path)]
    if not isinstance(value, pydantic.BaseModel):
        return []
    found = [f"{path}.{name}" for name in value.model_extra or ()]
    for name in value.model_fields_set:
        found += strange(getattr(value, name, None), f"{path}.{name}")
    return found


def everything_that_is_sent() -> list[dict[str, Any]]:
    """Events of a call in which all that can happen happens."""
    room = Room(connected=False)
    sent: list[dict[str, Any]] = []

    def collect() -> None:
        sent.extend(room.sent())

    asked = {
        "instructions": "Be kind.",
        "tools": [TOOL],
        "tool_choice": "auto",
        "max_output_tokens": 100,
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
        "audio": {
            "input": {
                "transcription": {"model": "whisper-1", "language": "en"},
                "noise_reduction": {"type": "near_field"},
                "format": {"type": "audio/pcmu"},
            },
            "output": {"voice": "marin", "speed": 1.25},
        },
    }
    room.bridge.update_session(session(**asked), room.now)
    room.bridge.opened(room.now)
    collect()
    room.server("session.updated", session={})
    changed = {**asked, "instructions": "", "audio": {"output": {"speed": 1.0}}}
    room.bridge.update_session(session(**changed), room.now)
    room.turn("item_1")
    room.ask(metadata={"a": "b"}, conversation="none", tools=[], voice="cedar")
    collect()
    room.server("input_audio_buffer.committed", item_id="up_1")
    room.answer("up_r", bytes(9600))
    room.bridge.cancel_response("resp_1", room.now)
    room.server("response.done", response={"id": "up_r"})
    room.ask()
    collect()
    room.answer("up_s", bytes(9600))
    call = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    room.server("response.output_item.done", response_id="up_s", item={**call, "id": "up_c"})
    room.server("response.done", response={"id": "up_s", "status": "completed"})
    room.bridge.truncate_item("answer_2", 20, room.now)
    texts = [{"type": "input_text", "text": "Hello."}]
    message = {"object": "realtime.item", "status": "completed", "type": "message"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
    room.bridge.add_item({**message, "id": "a", "role": "system", "content": texts}, None, 0.0)
    room.bridge.add_item({**message, "id": "b", "role": "user", "content": texts}, "a", 0.0)
    room.bridge.add_item({**output, "id": "c"}, "b", room.now)
    room.bridge.delete_item("a", room.now)
    # A turn that the client took back, and one that it commits by itself.
    room.bridge.receive_frame(room.turn("item_2", start=50).frames[-1], room.now)
    room.bridge.speech_started(1200, room.now)
    room.turn("item_3", start=80)
    collect()
    room.items = [
        with_transcript(user_turn("item_1"), "Rain?"),
        function_call("item_9", "completed", "call_1", "weather", "{}"),
        {**output, "id": "c", "object": "realtime.item", "status": "completed"},
        *room.items[1:],
    ]
    room.ask(input=[{"type": "item_reference", "id": "item_1"}, output])
    room.bridge.memory.show(tuple(room.items))
    room.bridge.lost("gone", room.now)
    room.ask()
    sent.extend(room.connect())
    return sent


def test_every_event_has_the_published_shape() -> None:
    """It is one of the client's own types, and holds nothing that the type has not."""

    events = everything_that_is_sent()
    kinds = {event["type"] for event in events}
    assert kinds == {
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.clear",
        "input_audio_buffer.commit",
        "conversation.item.create",
        "conversation.item.delete",
        "conversation.item.truncate",
        "response.create",
        "response.cancel",
    }
    for event in events:
        name = "".join(part.capitalize() for part in event["type"].replace("_", ".").split("."))
        model = getattr(types, f"{name}Event").model_validate(event)
        assert strange(model, event["type"]) == []
        if event["type"] == "session.update":
            assert type(model.session).__name__ == "RealtimeSessionCreateRequest"


def test_the_client_talks_to_the_server_of_the_tests() -> None:
    """A turn of samples, an answer of the same: events of the client's types all along."""

    async def run() -> tuple[list[Any], bytes]:
        samples, heard, said = bytes(range(240)) * 60, [], b""
        async with RealtimeServer(key=KEY) as server:
            base = server.url.replace("ws://", "http://").removesuffix("/realtime")
            api = openai.AsyncOpenAI(api_key=KEY, base_url=base, max_retries=0)
            async with asyncio.timeout(PATIENCE), api.realtime.connect(model="repeater") as line:
                heard.append(await line.recv())
                audio = {"input": {"turn_detection": None, "transcription": {"model": "any"}}}
                await line.session.update(session={"type": "realtime", "audio": audio})
                heard.append(await line.recv())
                await line.input_audio_buffer.append(audio=base64.b64encode(samples).decode())
                await line.input_audio_buffer.commit()
                await line.response.create()
                async for event in line:
                    heard.append(event)
                    if event.type == "response.output_audio.delta":
                        said += base64.b64decode(event.delta)
                    if event.type == "response.done":
                        break
            await api.close()
            assert server.paths == ["/v1/realtime?model=repeater"]
        assert said == samples
        return heard, said

    heard, _ = asyncio.run(run())
    adapter = pydantic.TypeAdapter(types.RealtimeServerEvent)
    for event in heard:
        adapter.validate_python(event.to_dict())
    assert heard[0].type == "session.created"
    assert heard[1].session.audio.input.turn_detection is None
    assert heard[-1].response.usage.output_tokens == 4
