"""The default backend: it says what the caller said last, in the caller's own voice.

No key, no model, no codec: an answer is the Opus packets of the caller's turn, less the
silence around it, and where packets were missing a packet says so, which keeps its
rhythm. So the whole loop can be felt on a laptop: talk, be answered, interrupt.

It generates faster than real time, in pieces, as a model does: `AHEAD` seconds at once
and the next when half of them have passed. A caller who has not spoken yet is greeted.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from examples.probe.ogg import read_ogg_opus
from examples.transceiver.backend import (
    AudioFrame,
    Emit,
    ResponseAudio,
    ResponseDone,
    ResponseRequest,
    ResponseText,
    ResponseTranscript,
    Turn,
)
from examples.transceiver.levels import SILENCE
from examples.transceiver.ticker import Later
from rtcproto.opus import samples_per_packet

__all__ = ["AHEAD", "Parrot"]

# Seconds of audio that are handed over at once.
AHEAD = 0.5

# What is this much quieter than the loudest frame of a turn, dB, is the silence around it,
# and how many frames of it stay on either side: consonants are quiet.
_AROUND = 30
_MARGIN = 3

# A hole longer than this is not filled: the rest of it is silence that nobody misses, samples.
_MAX_HOLE = 96_000

_SPEECH = Path(__file__).parent.parent / "media" / "speech.ogg"
# Packets of that recording which are its first word, 20 ms each, and the word.
_GREETING = 30
_GREETING_SAYS = "Hello."


class Parrot:
    """One call's parrot; its own `BackendFactory`. `later` is the event loop's `call_later`."""

    def __init__(self, session: Mapping[str, Any], emit: Emit, later: Later | None = None) -> None:
        self._emit = emit
        self._later = later or asyncio.get_running_loop().call_later
        self._response_id: str | None = None
        self._rest: deque[ResponseAudio] = deque()

    def update_session(self, session: Mapping[str, Any]) -> None:
        """A parrot has one voice, and follows no instructions."""

    def receive_frame(self, frame: AudioFrame) -> None:
        """The frames of a turn come with the turn."""

    def speech_started(self, audio_start_ms: int) -> None:
        """It waits for the end of the turn."""

    def commit_turn(self, turn: Turn) -> None:
        """The newest turn comes with the request."""

    def create_response(self, request: ResponseRequest) -> None:
        """Repeat the turn, or greet who has not spoken yet."""
        response_id, turn = request.response_id, request.turn
        frames = list(audible(turn.frames)) if turn is not None else []
        if frames:
            seconds = sum(frame.duration for frame in frames) / 48_000
            words = f"You spoke for {seconds:.1f} seconds."
        elif turn is not None:
            words = "I heard nothing."
        else:
            frames, words = list(_greeting()), _GREETING_SAYS
        if "audio" not in request.modalities:
            self._emit(ResponseText(response_id, words))
            self._emit(ResponseDone(response_id))
            return
        self._response_id = response_id
        self._rest = deque(
            ResponseAudio(response_id, frame.payload, frame.level) for frame in frames
        )
        self._emit(ResponseTranscript(response_id, words))
        self._go_on(response_id)

    def cancel_response(self, response_id: str) -> None:
        """Say no more of it."""
        if response_id == self._response_id:
            self._response_id = None
            self._rest.clear()

    def add_item(self, item: Mapping[str, Any], previous_item_id: str | None) -> None:
        """Only what was said is repeated."""

    def delete_item(self, item_id: str) -> None:
        """Nothing is remembered."""

    def truncate_item(self, item_id: str, audio_end_ms: int) -> None:
        """Nothing is remembered."""

    async def close(self) -> None:
        """Say no more."""
        self._response_id = None
        self._rest.clear()

    def _go_on(self, response_id: str) -> None:
        given = 0
        # Cancelled by what it emits, or before its time came.
        while response_id == self._response_id:
            if not self._rest:
                self._response_id = None
                self._emit(ResponseDone(response_id))
            elif given >= AHEAD * 48_000:
                self._later(AHEAD / 2, functools.partial(self._go_on, response_id))
                return
            else:
                audio = self._rest.popleft()
                given += samples_per_packet(audio.frame)
                self._emit(audio)


def audible(frames: tuple[AudioFrame, ...]) -> Iterable[AudioFrame]:
    """A turn without the silence around it, and with something for what is missing in it."""
    levels = [SILENCE if frame.level is None else frame.level for frame in frames]
    quiet = min(levels, default=SILENCE) + _AROUND
    loud = [number for number, level in enumerate(levels) if level < quiet]
    if not loud:
        return
    end = 0
    for frame in frames[max(0, loud[0] - _MARGIN) : loud[-1] + 1 + _MARGIN]:
        if end:
            yield from _filling(frame, min(frame.timestamp - end, _MAX_HOLE))
        yield frame
        end = frame.timestamp + frame.duration


def _filling(frame: AudioFrame, hole: int) -> Iterable[AudioFrame]:
    """Packets that say "nothing was transmitted" (RFC 6716 section 3.2.1): a TOC alone."""
    toc = frame.payload[:1]
    # One frame per packet, whatever the number in the packet beside it.
    toc = bytes((toc[0] & 0xFC,))
    duration = samples_per_packet(toc)
    for _ in range(hole // duration):
        yield AudioFrame(toc, 0, duration, SILENCE)


@functools.cache
def _greeting() -> tuple[AudioFrame, ...]:
    packets = read_ogg_opus(_SPEECH.read_bytes()).packets[:_GREETING]
    return tuple(
        AudioFrame(packet, number * 960, samples_per_packet(packet))
        for number, packet in enumerate(packets)
    )
