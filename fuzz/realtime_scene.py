"""A realtime dialogue whose client sends the lines of the input.

A line that begins with one of a few control characters is no client event but something
that happens in the call: speech, an answer's audio and end, its playout. Whatever comes,
no input raises, and every event that is sent has its shape.
"""

from __future__ import annotations

import itertools

from examples.transceiver.backend import ResponseAudio, ResponseDone, ResponseTranscript
from examples.transceiver.realtime.commands import StopPlayout
from examples.transceiver.realtime.decode import encode
from examples.transceiver.realtime.dialogue import Dialogue
from examples.transceiver.realtime.session_object import SessionObject
from examples.transceiver.realtime.tables import check
from fuzz.samples import NOW, UNIX_TIME
from rtcproto.opus import SILENCE_MONO

__all__ = ["realtime_event"]

# Lines of one input: enough for a conversation.
MAX_LINES = 16


def realtime_event(data: bytes) -> None:
    """The dialogue takes anything, and what it sends has the published shapes."""
    numbers = itertools.count(1)
    session = SessionObject(session_id="sess_1", unix_time=UNIX_TIME)
    dialogue = Dialogue(session, lambda size: next(numbers).to_bytes(size, "big"), NOW)
    for line in data.split(b"\n", MAX_LINES)[:MAX_LINES]:
        if line[:1] < b" " and line:
            _happen(dialogue, line[0], line[-1])
        else:
            dialogue.receive_event(line, NOW)
        while commands := dialogue.commands():
            for command in commands:
                if isinstance(command, StopPlayout):
                    dialogue.played(command.response_id, line[-1] if line else 0, NOW)
        for event in dialogue.events_to_send():
            assert not check(event)
            encode(event).encode()


def _happen(dialogue: Dialogue, what: int, amount: int) -> None:
    """One of the things that happen in a call."""
    response_id = dialogue.active_response or "resp_none"
    match what % 8:
        case 0:
            dialogue.speech_started(amount, NOW)
        case 1:
            dialogue.speech_stopped(amount, NOW)
        case 2:
            for _ in range(amount % 16):
                dialogue.receive_backend_event(ResponseAudio(response_id, SILENCE_MONO), NOW)
            dialogue.playout_started(response_id, NOW)
        case 3:
            dialogue.receive_backend_event(ResponseTranscript(response_id, "one two "), NOW)
        case 4:
            dialogue.receive_backend_event(ResponseDone(response_id), NOW)
            dialogue.playout_stopped(response_id, NOW)
        case 5:
            dialogue.input_buffered(amount)
        case 6:
            dialogue.idle_timeout(amount, amount + 5000, NOW)
        case _:
            dialogue.opened(NOW)
