"""The echo: every packet back at once, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from examples.transceiver.backend import AudioFrame, BackendEvent, DirectAudio, Emit, ResponseDone
from examples.transceiver.echo import Echo
from rtcproto.events import CloseReason, SessionClosed
from tests.examples.call_scene import LOUD, QUIET, Scene
from tests.examples.test_parrot import request


def test_every_frame_goes_back() -> None:
    """The same bytes, time, level and voice."""
    emitted: list[BackendEvent | DirectAudio] = []
    echo = Echo({}, emitted.append)
    frame = AudioFrame(b"\x78\x01", 4800, 960, 33, True)
    echo.receive_frame(frame)
    assert emitted == [DirectAudio(frame)]


def test_the_time_line_is_the_callers() -> None:
    """In a call: at once, with the gaps that the caller left, and its levels."""
    scene = Scene(Echo)
    scene.say(LOUD, 60)
    scene.position += 4 * 960
    scene.loop.run(0.08)
    scene.say(QUIET, 40)
    assert [timestamp // 960 for _, _, timestamp, _ in scene.wire.audio] == [0, 1, 2, 7, 8]
    assert [level for *_, level in scene.wire.audio] == [LOUD] * 3 + [QUIET] * 2
    sent = [at for at, *_ in scene.wire.audio]
    assert sent == pytest.approx([1000 + n * 0.02 for n in (1, 2, 3, 8, 9)])


def test_its_responses_are_empty() -> None:
    """It talks all the time; asked for an answer it has none, and the session goes on."""
    scene = Scene(Echo)
    scene.tell("response.create")
    done = scene.first("response.done")["response"]
    assert (done["status"], done["output"]) == ("completed", [])
    emitted: list[BackendEvent | DirectAudio] = []
    echo = Echo({}, emitted.append)
    echo.create_response(request(None))
    assert emitted == [ResponseDone("resp_1")]
    asyncio.run(echo.close())


def test_what_cannot_be_sent_back_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """A client that only sends: legal, told once, counted, no error."""
    scene = Scene(Echo)
    scene.wire.deaf = True
    with caplog.at_level("INFO", logger="transceiver"):
        scene.say(LOUD, 2000)
        scene.agent.handle_event(SessionClosed(reason=CloseReason.LOCAL, detail=""))
    assert [record.getMessage() for record in caplog.records] == [
        "call rtc_1.2.3.01234567...: cannot send audio: the peer does not receive audio",
        f"call rtc_1.2.3.01234567...: over, {CloseReason.LOCAL.value}; 100 packets not sent",
    ]
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_nothing_is_echoed_after_the_end() -> None:
    """What a backend emits once its call is over goes nowhere."""
    emits = []

    def factory(session: Mapping[str, Any], emit: Emit) -> Echo:
        emits.append(emit)
        return Echo(session, emit)

    scene = Scene(factory)
    scene.agent.handle_event(SessionClosed(reason=CloseReason.LOCAL, detail=""))
    emits[0](DirectAudio(AudioFrame(b"\x78\x01", 0, 960)))
    assert scene.wire.audio == []
