"""The backend `realtime-ws` with a server of that protocol: real sockets, real speech."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from examples.probe.ogg import read_ogg_opus
from examples.transceiver.realtime_ws import outgoing
from examples.transceiver.realtime_ws.connection import MAX_MESSAGE, RealtimeWs, Upstream
from rtcproto import EndpointConfig, Identity, SessionConfig
from rtcproto.asyncio import Call, open_endpoint
from rtcproto.events import AudioReceived, Connected, DataChannelMessage, Event
from tests.e2e.house import HOST, House
from tests.support.realtime_server import RealtimeServer

numpy = pytest.importorskip("numpy", reason="numpy is not installed (the extra 'dev')")
av = pytest.importorskip("av", reason="PyAV is not installed (the extra 'examples')")

pytestmark = pytest.mark.live

KEY = "upstream-key-0123456789"
SPEECH = read_ogg_opus(
    (Path(__file__).parent.parent.parent / "examples/media/speech.ogg").read_bytes()
).packets

# An Opus packet of 20 ms that says nothing, and levels of speech and silence.
SILENT = b"\xf8\xff\xfe"
LOUD, QUIET = 25, 127

# Seconds until something that is under way must have happened, on a busy machine.
PATIENCE = 20.0


class Caller:
    """A client without a browser."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.audio: list[AudioReceived] = []
        self.call: Call
        self._channel: int | None = None
        self._position = 0

    def handle(self, call: Call, event: Event) -> None:
        """Note what happens."""
        match event:
            case Connected():
                self._channel = call.open_channel("oai-events")
            case DataChannelMessage():
                self.events.append(json.loads(event.data))
            case AudioReceived():
                self.audio.append(event)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Return when `condition` holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError([event["type"] for event in self.events]) from None

    def tell(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        assert self._channel is not None
        self.call.send_message(self._channel, json.dumps({"type": kind, **fields}))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one type, in order."""
        return [event for event in self.events if event["type"] == kind]

    def say(self, packets: tuple[bytes, ...]) -> None:
        """A turn: speech, and enough silence behind it. Faster than anybody speaks."""
        said = [(packet, LOUD) for packet in packets] + [(SILENT, QUIET)] * 27
        for packet, level in said:
            self.call.send_audio(packet, timestamp=self._position, level=level, voice=level < 50)
            self._position += 960

    async def connect(self) -> None:
        """Wait for the channel."""
        await self.until(lambda: self.of("session.created"))


@asynccontextmanager
async def calling(folder: Path, url: str, *flags: str) -> AsyncIterator[tuple[House, Caller]]:
    """A transceiver whose backend is the server at `url`, and a caller with a call."""
    key = folder / "upstream-key"
    key.touch(mode=0o600)
    key.write_text(KEY + "\n")
    settings = ("--no-auth", "--backend=realtime-ws", f"--backend-url={url}")
    config = SessionConfig(
        identity=Identity.generate(time.time()),
        addresses=((HOST, 0),),
        ice_lite=False,
        allow_loopback=True,
    )
    caller = Caller()
    async with (
        House(folder, *settings, f"--backend-key-file={key}", *flags) as house,
        await open_endpoint(EndpointConfig(session=config), (HOST, 0)) as driver,
        aiohttp.ClientSession() as http,
    ):
        caller.call, sdp = driver.create_offer(caller.handle)
        headers = {"Content-Type": "application/sdp"}
        async with http.post(house.url + "/v1/realtime/calls", data=sdp, headers=headers) as answer:
            assert answer.status == 201
            caller.call.accept_answer(await answer.text())
        await caller.connect()
        yield house, caller
        assert KEY not in repr(house.transceiver.settings)


def loudness(packets: Sequence[bytes]) -> Any:
    """The loudness of each 20 ms of some packets, decoded."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.layout = "mono"
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    samples = numpy.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(float)
    return numpy.sqrt((samples[: len(samples) // 960 * 960].reshape(-1, 960) ** 2).mean(axis=1))


def likeness(said: Sequence[bytes], heard: Sequence[bytes]) -> float:
    """How alike the loudness of two recordings is over time, at the best shift: 1 is the same."""
    one, other = loudness(said), loudness(heard)
    shifts = range(len(other) - len(one) + 1)
    return max(float(numpy.corrcoef(one, other[n : n + len(one)])[0, 1]) for n in shifts)


def test_speech_comes_back(tmp_path: Path) -> None:
    """What the caller says goes to the server as samples, and comes back as packets."""

    async def run() -> None:
        async with (
            RealtimeServer(key=KEY) as server,
            calling(tmp_path, server.url, "--backend-model=repeater") as (_, caller),
        ):
            session = {
                "instructions": "Repeat.",
                "audio": {"input": {"transcription": {"model": "any"}}},
            }
            caller.tell("session.update", session=session)
            caller.say(SPEECH[:100])
            await caller.until(lambda: caller.of("output_audio_buffer.stopped"))
            assert server.paths == ["/v1/realtime?model=repeater"]
            told = server.of("session.update")[0]["session"]
            assert told["instructions"] == "Repeat."
            assert told["audio"]["input"]["turn_detection"] is None
            # The turn with its padding and its silence, as samples at 24 kHz.
            (stopped,) = caller.of("input_audio_buffer.speech_stopped")
            (turn,) = server.turns
            assert abs(len(turn) / 48 - stopped["audio_end_ms"]) < 25
            (done,) = caller.of("response.done")
            assert done["response"]["status"] == "completed"
            assert done["response"]["usage"]["output_tokens"] == 4
            said = done["response"]["output"][0]["content"][0]["transcript"]
            assert said == "I repeat."
            (words,) = caller.of("conversation.item.input_audio_transcription.completed")
            assert words["transcript"] == f"{len(turn)} bytes"
            heard = [event.payload for event in caller.audio]
            assert likeness(SPEECH[:100], heard) > 0.9

    asyncio.run(run())


def test_the_server_is_killed_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    """An error event and a failed response; the call stays up; the next turn is answered.

    The new connection is told the turn before, whose words nobody knows, by its audio.
    """

    async def run() -> None:
        async with (
            RealtimeServer(key=KEY, hold=2) as server,
            calling(tmp_path, server.url) as (house, caller),
        ):
            caller.say(SPEECH[:50])
            await caller.until(lambda: caller.of("output_audio_buffer.started"))
            server.kill()
            await caller.until(lambda: caller.of("response.done"))
            (error,) = caller.of("error")
            assert error["error"]["type"] == "server_error"
            assert error["error"]["code"] == "backend_disconnected"
            assert caller.of("response.done")[0]["response"]["status"] == "failed"
            server.hold = None
            caller.say(SPEECH[50:100])
            await caller.until(lambda: len(caller.of("response.done")) == 2)
            assert caller.of("response.done")[1]["response"]["status"] == "completed"
            assert server.connections == 2
            assert len(server.turns) == 3
            first, again = server.turns[:2]
            # Sent while it was said and as it was kept, it is the same; the codec goes on.
            assert abs(len(first) - len(again)) < 1000
            assert house.sessions == 1

    asyncio.run(run())


def test_a_slow_server_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads nothing for a while: what is said too much is dropped, the call goes on."""
    monkeypatch.setattr(outgoing, "MAX_QUEUED", 8 * 48_000)
    backends: list[RealtimeWs] = []
    made = Upstream.backend

    def noted(self: Upstream, session: Any, emit: Any) -> RealtimeWs:
        backends.append(made(self, session, emit))
        return backends[-1]

    monkeypatch.setattr(Upstream, "backend", noted)

    async def run() -> None:
        async with (
            RealtimeServer(key=KEY) as server,
            calling(tmp_path, server.url) as (house, caller),
        ):
            caller.say(SPEECH[:350])
            await caller.until(lambda: caller.of("response.done"))
            (backend,) = backends
            assert backend.bridge.outgoing.dropped == 0
            server.hears.clear()
            stopped = "input_audio_buffer.speech_stopped"
            # The same again, until what is between them is full: some MB.
            while not backend.bridge.outgoing.dropped:
                said = len(caller.of(stopped))
                caller.say(SPEECH[:350])
                await caller.until(lambda said=said: len(caller.of(stopped)) > said)
                # Time enough for a server that reads.
                await asyncio.sleep(0.1)
            assert backend.bridge.outgoing.queued <= 8 * 48_000
            # The events of the call go on meanwhile.
            caller.tell("session.update", session={"instructions": "Be quick."})
            await caller.until(lambda: caller.of("session.updated"))
            server.hears.set()
            await caller.until(
                lambda: any(
                    update["session"].get("instructions") == "Be quick."
                    for update in server.of("session.update")
                )
            )
            assert backend.bridge.outgoing.queued == 0
            assert house.sessions == 1
            assert server.connections == 1

    asyncio.run(run())


def test_a_tool_is_called_and_answers(tmp_path: Path) -> None:
    """The model's question reaches the client, and the client's answer the model."""
    tool = {"type": "function", "name": "weather", "description": "", "parameters": {}}

    async def run() -> None:
        async with (
            RealtimeServer(key=KEY) as server,
            calling(tmp_path, server.url) as (_, caller),
        ):
            caller.tell("session.update", session={"tools": [tool]})
            caller.say(SPEECH[:30])
            await caller.until(lambda: caller.of("response.done"))
            (asked,) = caller.of("response.function_call_arguments.done")
            assert (asked["name"], asked["arguments"]) == ("weather", '{"city":"Paris"}')
            item = {
                "type": "function_call_output",
                "call_id": asked["call_id"],
                "output": "It is sunny.",
            }
            caller.tell("conversation.item.create", item=item)
            caller.tell("response.create")
            await caller.until(lambda: len(caller.of("response.done")) == 2)
            (put,) = server.of("conversation.item.create")
            assert put["item"]["output"] == "It is sunny."
            words = caller.of("response.output_audio_transcript.done")
            assert [event["transcript"] for event in words] == ["It is sunny."]
            assert caller.of("error") == []

    asyncio.run(run())


def test_an_interruption_reaches_the_server(tmp_path: Path) -> None:
    """What the pacer has sent is what the server remembers, to the millisecond."""

    async def run() -> None:
        async with (
            RealtimeServer(key=KEY) as server,
            calling(tmp_path, server.url) as (_, caller),
        ):
            caller.say(SPEECH[:100])
            await caller.until(lambda: len(caller.audio) > 10)
            caller.say(SPEECH[:20])
            await caller.until(lambda: caller.of("conversation.item.truncated"))
            await caller.until(lambda: server.of("conversation.item.truncate"))
            (ours,) = caller.of("conversation.item.truncated")
            (theirs,) = server.of("conversation.item.truncate")
            assert theirs["audio_end_ms"] == ours["audio_end_ms"]
            assert 200 < ours["audio_end_ms"] < 2000
            # The second turn is answered.
            await caller.until(lambda: len(caller.of("output_audio_buffer.stopped")) == 1)
            assert len(server.turns) == 2
            assert caller.of("error") == []

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_speech_comes_back_as_g711(tmp_path: Path, kind: str) -> None:
    """Where the client's session says so, that is what the server gets and gives."""

    async def run() -> None:
        async with (
            RealtimeServer(key=KEY) as server,
            calling(tmp_path, server.url) as (_, caller),
        ):
            audio = {side: {"format": {"type": kind}} for side in ("input", "output")}
            caller.tell("session.update", session={"audio": audio})
            caller.say(SPEECH[:60])
            await caller.until(lambda: caller.of("output_audio_buffer.stopped"))
            (stopped,) = caller.of("input_audio_buffer.speech_stopped")
            assert abs(len(server.turns[0]) / 8 - stopped["audio_end_ms"]) < 25
            heard = [event.payload for event in caller.audio]
            assert likeness(SPEECH[:60], heard) > 0.85

    asyncio.run(run())


def test_a_wrong_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The caller is told at once; nothing that is logged shows a key."""
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        async with (
            RealtimeServer(key="another") as server,
            calling(tmp_path, server.url) as (_, caller),
        ):
            caller.say(SPEECH[:10])
            await caller.until(lambda: caller.of("response.done"))
            assert caller.of("response.done")[0]["response"]["status"] == "failed"
            codes = {event["error"]["code"] for event in caller.of("error")}
            assert codes == {"backend_unavailable"}

    asyncio.run(run())
    assert "HTTP 401" in caplog.text
    assert KEY not in caplog.text


def test_what_a_server_says_has_limits(tmp_path: Path) -> None:
    """Nonsense is passed over; a message that is too large ends the connection, not the call."""

    async def run() -> None:
        async with (
            RealtimeServer(key=KEY) as server,
            calling(tmp_path, server.url) as (house, caller),
        ):
            caller.say(SPEECH[:10])
            await caller.until(lambda: caller.of("response.done"))
            await server.send("nonsense")
            await server.send("x" * MAX_MESSAGE)
            await caller.until(lambda: server.connections == 2)
            caller.say(SPEECH[:10])
            await caller.until(lambda: len(caller.of("response.done")) == 2)
            assert caller.of("error") == []
            assert house.sessions == 1

    asyncio.run(run())


def test_calls_leave_nothing_behind(tmp_path: Path) -> None:
    """Calls that end, in an answer and before the first word: no task, no connection."""

    async def run() -> None:
        before = asyncio.all_tasks()
        async with RealtimeServer(key=KEY, hold=1) as server:
            for turns in (1, 0):
                async with calling(tmp_path, server.url) as (_, caller):
                    if turns:
                        caller.say(SPEECH[:10])
                        await caller.until(lambda: caller.of("output_audio_buffer.started"))
            async with asyncio.timeout(PATIENCE):
                while server.open:
                    await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    asyncio.run(run())
