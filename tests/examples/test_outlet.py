"""Where the server events of a call go, and what happens to those that cannot go there."""

from __future__ import annotations

import json

import pytest

from rtcproto.errors import BufferFull, UsageError
from tests.examples.call_scene import LOUD, QUIET, Listening, Recorder, Scene


@pytest.mark.parametrize("error", [BufferFull("full"), UsageError("larger than the peer takes")])
def test_events_that_cannot_be_sent(error: Exception) -> None:
    """They are counted, and nothing else happens."""
    scene = Scene()
    scene.wire.refusal = error
    scene.tell("response.cancel")
    assert scene.agent.counters.events_dropped == 1
    scene.wire.refusal = None
    scene.tell("response.cancel")
    assert scene.kinds()[-1] == "error"


def test_a_client_that_does_not_take_its_events() -> None:
    """Beyond a megabyte that waits, events are left out instead of piling up."""
    scene = Scene()
    scene.wire.backlog = (1 << 20) + 1
    for _ in range(5):
        scene.tell("response.cancel")
    assert scene.agent.counters.events_dropped == 5
    assert scene.kinds() == ["session.created", "conversation.created"]


def test_a_side_band_hears_everything() -> None:
    """A greeting of its own, then the events of the channel."""
    scene = Scene()
    ear, late = Listening(), Listening()
    scene.agent.attach(ear)
    assert [event["type"] for event in ear.heard] == ["session.created"]
    before = len(scene.wire.events)
    scene.say(LOUD, 400)
    scene.agent.attach(late)
    scene.say(QUIET, 600)
    assert ear.heard[1:] == [event for _, event in scene.wire.events[before:]]
    assert late.heard[1:] == ear.heard[-len(late.heard) + 1 :]
    scene.agent.detach(ear)
    scene.agent.detach(ear)
    heard = len(ear.heard)
    scene.tell("response.cancel")
    assert len(ear.heard) == heard


def test_a_side_band_speaks() -> None:
    """Its events count as the client's, up to 15 MiB."""
    scene = Scene(Recorder)
    update = {"type": "realtime", "instructions": "x" * 100_000}
    scene.agent.receive_event(json.dumps({"type": "session.update", "session": update}))
    assert scene.kinds()[-1] == "session.updated"
    scene.agent.receive_event(" " * (14 << 20) + '{"type":"response.create"}')
    assert scene.kinds()[-1] == "response.created"
