"""How many events of a client are acted on, by what they cost."""

from __future__ import annotations

import json

import pytest

from examples.transceiver.allowance import (
    BURST,
    PER_EVENT,
    RATE,
    TELLING_INTERVAL,
    Allowance,
)
from rtcproto.events import DataChannelMessage
from tests.examples.call_scene import Listening, Recorder, Scene

# Events of one caller within ten seconds, at one time each hundredth of a second.
FLOOD = 20_000


def test_what_is_spent_comes_back() -> None:
    """A burst, then a rate; a quiet hour saves up no more than the burst."""
    allowance = Allowance(0.0)
    assert allowance.admits(0.0)
    allowance.spend(0, BURST - PER_EVENT)
    assert not allowance.admits(0.0)
    assert allowance.admits(0.5)
    allowance.spend(0, RATE // 2)
    assert not allowance.admits(0.5)
    assert allowance.admits(3600.0)
    allowance.spend(0, BURST)
    assert not allowance.admits(3600.0)


def test_a_debt_is_over_some_time() -> None:
    """An event that costs more than there is keeps a client waiting, not for ever."""
    allowance = Allowance(0.0)
    allowance.spend(100 * BURST, 0)
    assert not allowance.admits(BURST / RATE - 1)
    assert allowance.admits(BURST / RATE + 1)


def test_time_that_goes_back_gives_nothing() -> None:
    """Whatever the clock says."""
    allowance = Allowance(10.0)
    allowance.spend(0, BURST)
    assert not allowance.admits(0.0)
    assert not allowance.admits(0.0)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("response.cancel", {}),
        ("session.update", {"session": {}}),
        ("conversation.item.retrieve", {"item_id": "large"}),
    ],
)
def test_a_flood_of_events_is_answered_within_limits(kind: str, fields: dict[str, object]) -> None:
    """Small events that draw large answers: what is written is the allowance, and one error a
    second; the side bands go on."""
    scene = Scene(Recorder, {"instructions": "x" * 100_000})
    text = "y" * 100_000
    content = [{"type": "input_text", "text": text}]
    item = {"id": "large", "type": "message", "role": "user", "content": content}
    scene.tell("conversation.item.create", item=item)
    ear = Listening()
    scene.agent.attach(ear)
    before, written = len(scene.wire.events), scene.agent._outlet.written
    message = DataChannelMessage(channel=1, data=json.dumps({"type": kind, **fields}))
    for _ in range(1000):
        scene.loop.run(0.01)
        for _ in range(FLOOD // 1000):
            scene.agent.handle_event(message)
    # The last one may cost what it likes.
    assert scene.agent._outlet.written - written <= BURST + 10 * RATE + 200_000
    assert len(scene.wire.events) - before <= (BURST + 10 * RATE) // PER_EVENT + 20
    codes = [event["error"]["code"] for _, event in scene.wire.events if event["type"] == "error"]
    assert 1 <= codes.count("rate_limit_exceeded") <= 10 / TELLING_INTERVAL + 1
    counters = scene.agent.counters
    assert FLOOD / 4 < counters.events_refused < FLOOD
    assert "events refused" in counters.remarks()
    scene.agent.receive_event(json.dumps({"type": "conversation.item.delete", "item_id": "large"}))
    assert ear.heard[-1]["type"] == "conversation.item.deleted"
    # Whoever waits as told is heard again.
    scene.loop.run(2.0)
    scene.tell("session.update", session={"instructions": "short"})
    assert scene.kinds()[-1] == "session.updated"


def test_a_history_is_told_in_one_go() -> None:
    """Five hundred items of two kilobytes each, as fast as they come."""
    scene = Scene(Recorder)
    for _ in range(500):
        content = [{"type": "input_text", "text": "x" * 2048}]
        scene.tell(
            "conversation.item.create",
            item={"type": "message", "role": "user", "content": content},
        )
    assert scene.kinds().count("conversation.item.done") == 500
    assert scene.agent.counters.events_refused == 0
