"""What waits for a server: its order, its limits, and silence of the right length."""

from __future__ import annotations

import json
from typing import Any

import pytest

from examples.transceiver.backend import AudioFrame
from examples.transceiver.realtime_ws import outgoing as module
from examples.transceiver.realtime_ws.outgoing import Outgoing
from tests.examples.realtime_ws.room import Copier, audio_of, frames

UNIT = 960


def sent(queue: Outgoing) -> list[dict[str, Any]]:
    """All that is there to be sent."""
    events = []
    while (text := queue.next_message()) is not None:
        events.append(json.loads(text))
    return events


def queue_of(*given: AudioFrame) -> Outgoing:
    """A queue with a turn in it."""
    queue = Outgoing(Copier())
    queue.add(given)
    queue.commit()
    return queue


def said(*numbers: int) -> bytes:
    """What the frames of these numbers are as samples."""
    return b"".join(bytes((number,)) * UNIT for number in numbers)


def test_audio_waits_for_more_of_it() -> None:
    """A message of 100 ms, and less only when something is behind it."""
    queue = Outgoing(Copier())
    queue.add(frames(7))
    assert audio_of(sent(queue)) == said(0, 1, 2, 3, 4)
    queue.say("session.update", {})
    events = sent(queue)
    assert audio_of(events) == said(5, 6)
    assert events[-1]["type"] == "session.update"
    assert sent(queue) == []


def test_lost_packets_are_silence() -> None:
    """Of the length that is missing."""
    one, _, _, four, five, six = frames(6)
    assert audio_of(sent(queue_of(one, four, five, six))) == (
        said(0) + bytes(2 * UNIT) + said(3, 4, 5)
    )


def test_a_long_pause_has_an_end() -> None:
    """A minute of silence that was not sent (DTX) is two seconds of it."""
    first, later = frames(1)[0], frames(1, 3000)[0]
    audio = audio_of(sent(queue_of(first, later)))
    assert len(audio) == 2 * UNIT + 2 * 48_000


def test_packets_that_come_late_find_their_place() -> None:
    """As long as they wait; after that silence stands for them, and they are counted."""
    a, b, c, d, e, f = frames(6)
    queue = Outgoing(Copier())
    queue.add((b, a, d))
    queue.add((c, f))
    assert audio_of(sent(queue)) == said(0, 1, 2, 3) + bytes(UNIT) + said(5)
    queue.add((e,))
    queue.commit()
    assert audio_of(sent(queue)) == b""
    assert queue.late == 1


def test_a_packet_that_cannot_be_decoded() -> None:
    """It costs itself."""
    a, b, c = frames(3)
    broken = AudioFrame(b"broken", b.timestamp, 960)
    assert audio_of(sent(queue_of(a, broken, c)))[: 2 * UNIT] == said(0, 2)


def test_the_next_turn_begins_anew() -> None:
    """What nobody said between two turns is no silence in the second."""
    queue = queue_of(*frames(5))
    queue.add(frames(5, 500))
    queue.commit()
    assert audio_of(sent(queue)) == said(0, 1, 2, 3, 4, *(n % 256 for n in range(500, 505)))


def test_a_slow_server_loses_the_oldest_audio() -> None:
    """A minute waits; events are not dropped; there is no silence for what was."""
    queue = Outgoing(Copier())
    queue.say("session.update", {})
    queue.add(frames(3000 + 70))
    assert queue.queued == module.MAX_QUEUED
    assert queue.dropped == 70
    queue.commit()
    events = sent(queue)
    assert (events[0]["type"], events[-1]["type"]) == (
        "session.update",
        "input_audio_buffer.commit",
    )
    assert audio_of(events)[: 2 * UNIT] == said(70, 71)
    assert len(audio_of(events)) == 3000 * UNIT
    assert queue.queued == 0


@pytest.mark.parametrize(
    ("count", "size"), [(module.MAX_EVENTS + 1, 1), (2, module.MAX_EVENT_BYTES // 2)]
)
def test_too_many_events_end_the_connection(count: int, size: int) -> None:
    """They cannot be left out, and must not pile up."""
    queue = Outgoing(Copier())
    for _ in range(count):
        assert not queue.overflown
        queue.say("conversation.item.create", {"item": "x" * size})
    assert queue.overflown
    queue.reset()
    assert not queue.overflown
    assert sent(queue) == []


def test_events_can_be_taken_back() -> None:
    """Until they are sent."""
    queue = Outgoing(Copier())
    event_id = queue.say("response.create", {})
    assert queue.withdraw(event_id)
    assert sent(queue) == []
    event_id = queue.say("response.create", {})
    sent(queue)
    assert not queue.withdraw(event_id)


def test_urgent_events_come_first() -> None:
    """A cancellation does not wait behind what the caller says."""
    queue = Outgoing(Copier())
    queue.add(frames(5))
    queue.say("response.cancel", {}, first=True)
    assert sent(queue)[0]["type"] == "response.cancel"


def test_a_format_holds_from_its_event_on() -> None:
    """Audio before the update is in the old one."""
    codec = Copier()
    queue = Outgoing(codec)
    queue.add(frames(5))
    queue.say("session.update", {}, input_format="audio/pcmu")
    queue.add(frames(5, 5))
    queue.use("unknown")
    events = sent(queue)
    assert len(audio_of(events[:1])) == 5 * UNIT
    assert len(audio_of(events[2:])) == 5 * 160
    assert codec.made == ["to audio/pcm", "to audio/pcmu"]


def test_clearing_forgets_what_waits() -> None:
    """And what the server has."""
    queue = Outgoing(Copier())
    queue.add(frames(7))
    sent(queue)
    queue.clear_audio()
    queue.add(frames(5, 2))
    assert queue.queued == 5 * 960
    queue.commit()
    events = sent(queue)
    assert events[0]["type"] == "input_audio_buffer.clear"
    assert audio_of(events) == said(2, 3, 4, 5, 6)
