"""The parrot: what it repeats, how fast, and that it can be interrupted."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from examples.transceiver.backend import (
    AudioFrame,
    BackendEvent,
    DirectAudio,
    ResponseAudio,
    ResponseDone,
    ResponseRequest,
    ResponseText,
    ResponseTranscript,
    Turn,
)
from examples.transceiver.parrot import AHEAD, Parrot, audible
from rtcproto.opus import is_dtx, samples_per_packet
from tests.support.virtual_loop import VirtualLoop

LOUD, QUIET = 20, 90


def frames(levels: list[int | None], start: int = 0) -> tuple[AudioFrame, ...]:
    """Frames of 20 ms with these levels, each with bytes of its own."""
    return tuple(
        AudioFrame(b"\x78" + number.to_bytes(2, "big"), start + number * 960, 960, level)
        for number, level in enumerate(levels)
    )


def request(turn: Turn | None, *modalities: str) -> ResponseRequest:
    """A request for an answer to a turn."""
    return ResponseRequest("resp_1", "item_2", "", modalities or ("audio",), (), turn, {})


class Room:
    """A parrot on virtual time, and what it emits."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.emitted: list[BackendEvent | DirectAudio] = []
        self.parrot = Parrot({}, self.emitted.append, self.loop.later)

    def audio(self) -> list[bytes]:
        """The packets that were emitted."""
        return [event.frame for event in self.emitted if isinstance(event, ResponseAudio)]


def test_it_repeats_the_turn_byte_by_byte() -> None:
    """The caller's own packets, with their levels."""
    room = Room()
    spoken = frames([LOUD] * 10)
    room.parrot.create_response(request(Turn("item_1", spoken, 0, 200)))
    assert room.audio() == [frame.payload for frame in spoken]
    assert room.emitted[0] == ResponseTranscript("resp_1", "You spoke for 0.2 seconds.")
    assert room.emitted[1] == ResponseAudio("resp_1", spoken[0].payload, LOUD)
    assert room.emitted[-1] == ResponseDone("resp_1")


def test_silence_around_is_left_out() -> None:
    """Padding and the pause that ended the turn are not part of the answer, but for 60 ms."""
    spoken = frames([QUIET] * 15 + [LOUD, QUIET, QUIET, LOUD] + [QUIET] * 25)
    assert list(audible(spoken)) == list(spoken[12:22])


@pytest.mark.parametrize("levels", [[None] * 5, [127] * 5, [QUIET] * 5, []])
def test_where_nothing_stands_out_all_is_said(levels: list[int | None]) -> None:
    """Without levels, or with the same one throughout."""
    assert list(audible(frames(levels))) == list(frames(levels))


def test_the_rhythm_is_kept() -> None:
    """Where 60 ms were lost, three packets say that there is nothing."""
    spoken = (*frames([LOUD] * 3), *frames([LOUD] * 3, start=6 * 960))
    said = list(audible(spoken))
    assert len(said) == 9
    assert all(is_dtx(frame.payload) for frame in said[3:6])
    assert sum(samples_per_packet(frame.payload) for frame in said) == 9 * 960


def test_a_long_hole_is_not_kept() -> None:
    """A turn that was muted for a minute makes no answer of a minute."""
    spoken = (*frames([LOUD] * 3), *frames([LOUD] * 3, start=60 * 48_000))
    assert len(list(audible(spoken))) == 6 + 100


def test_it_is_faster_than_real_time_but_not_at_once() -> None:
    """An answer of six seconds is made in three, in pieces."""
    room = Room()
    room.parrot.create_response(request(Turn("item_1", frames([LOUD] * 300), 0, 6000)))
    sizes = [len(room.audio())]
    while not isinstance(room.emitted[-1], ResponseDone):
        room.loop.run(AHEAD / 2)
        sizes.append(len(room.audio()))
    assert [b - a for a, b in pairwise(sizes)] == [25] * 11
    assert sizes[-1] == 300


def test_it_stops_when_told_so() -> None:
    """After a cancellation nothing of the response comes, nor its end."""
    room = Room()
    room.parrot.create_response(request(Turn("item_1", frames([LOUD] * 300), 0, 6000)))
    room.parrot.cancel_response("resp_0")
    room.loop.run(AHEAD / 2)
    before = len(room.emitted)
    room.parrot.cancel_response("resp_1")
    room.loop.run(10)
    assert len(room.emitted) == before
    assert room.loop.pending == 0


def test_a_new_answer_is_not_mixed_with_the_old() -> None:
    """What was left of a cancelled one stays unsaid."""
    room = Room()
    room.parrot.create_response(request(Turn("item_1", frames([LOUD] * 100), 0, 2000)))
    room.parrot.cancel_response("resp_1")
    room.emitted.clear()
    room.parrot.create_response(
        ResponseRequest("resp_2", "item_4", "", ("audio",), (), Turn("i", frames([1]), 0, 20), {})
    )
    room.loop.run(10)
    assert len(room.audio()) == 1
    assert room.emitted[-1] == ResponseDone("resp_2")


def test_who_has_not_spoken_is_greeted() -> None:
    """response.create at the beginning: a word of the recorded speech."""
    room = Room()
    room.parrot.create_response(request(None))
    room.loop.run(2)
    assert len(room.audio()) == 30
    assert ResponseTranscript("resp_1", "Hello.") in room.emitted
    assert room.emitted[-1] == ResponseDone("resp_1")


def test_a_turn_of_nothing() -> None:
    """A commit of an empty buffer is answered without audio."""
    room = Room()
    room.parrot.create_response(request(Turn("item_1", (), 0, 0)))
    assert room.emitted == [
        ResponseTranscript("resp_1", "I heard nothing."),
        ResponseDone("resp_1"),
    ]


def test_text_only() -> None:
    """Where no audio is wanted, it says how long it listened."""
    room = Room()
    room.parrot.create_response(request(Turn("item_1", frames([LOUD] * 50), 0, 1000), "text"))
    assert room.emitted == [
        ResponseText("resp_1", "You spoke for 1.0 seconds."),
        ResponseDone("resp_1"),
    ]


def test_closing_ends_it() -> None:
    """Nothing is said after the end of the call."""
    room = Room()
    room.parrot.create_response(request(Turn("item_1", frames([LOUD] * 300), 0, 6000)))
    before = len(room.emitted)
    asyncio.run(room.parrot.close())
    room.loop.run(10)
    assert len(room.emitted) == before
