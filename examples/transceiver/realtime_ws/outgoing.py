"""What waits to be sent to a server: events and the caller's audio, in their order.

Audio waits as the caller's own Opus packets, which are small, and is decoded when it is
taken: `next_message` does so much work as one message of `CHUNK` needs, and no more. What
comes late finds its place as long as it waits; lost packets and silence that was not sent
(DTX) are silence of that length, `MAX_GAP` at most.

A server that is slow is not waited for: of more than `MAX_QUEUED` of audio the oldest is
dropped and counted. Events are never dropped; beyond `MAX_EVENTS` or `MAX_EVENT_BYTES`
`overflown` says that this server takes too little, and the connection is to be given up.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from examples.transceiver.backend import AudioFrame
from examples.transceiver.realtime_ws.codec import FORMATS, Codec, Decoder, Format

__all__ = ["CHUNK", "MAX_EVENTS", "MAX_EVENT_BYTES", "MAX_GAP", "MAX_QUEUED", "Outgoing"]

# Samples at 48 kHz of one message: ten a second. A turn's last one is shorter.
CHUNK: Final = 4_800

# Samples that may wait: the longest turn that is kept, one minute.
MAX_QUEUED: Final = 60 * 48_000

# Samples of silence that stand for what did not come. A longer pause tells nobody more.
MAX_GAP: Final = 2 * 48_000

# Samples that a server takes for a turn at least: published as 100 ms.
MIN_TURN: Final = 4_800

# Events that may wait, and their characters: one of a side band may have 15 MiB.
MAX_EVENTS: Final = 1_000
MAX_EVENT_BYTES: Final = 16 << 20


@attrs.define(eq=False)
class _Event:
    text: str
    event_id: str
    # Once it was sent, audio comes in this format.
    input_format: str = ""
    # What audio was sent before it is no turn.
    clears: bool = False


@attrs.define(eq=False)
class _Audio:
    frames: deque[AudioFrame] = attrs.field(factory=deque)
    samples: int = 0


@attrs.define(eq=False)
class _Commit:
    text: str


class Outgoing:
    """One connection's queue. `dropped` counts frames that had to go, `late` those too late."""

    def __init__(self, codec: Codec) -> None:
        self.dropped = 0
        self.late = 0
        self._codec = codec
        self._format = FORMATS["audio/pcm"]
        self._decoder: Decoder | None = None
        self._queue: deque[_Event | _Audio | _Commit] = deque()
        self._frames = 0
        self._samples = 0
        self._events = 0
        self._bytes = 0
        self._count = 0
        # Samples that the server has for the turn that is not committed yet, and where they
        # end on the caller's line of time; None: wherever the next packet begins.
        self._given = 0
        self._position: int | None = None

    @property
    def queued(self) -> int:
        """Samples of audio that wait."""
        return self._samples

    @property
    def overflown(self) -> bool:
        """Whether more events wait than may."""
        return self._events > MAX_EVENTS or self._bytes > MAX_EVENT_BYTES

    def reset(self) -> None:
        """There is another connection: nothing waits, and the server has nothing."""
        self._queue.clear()
        self._samples = self._events = self._bytes = 0
        self._begin_turn()

    def use(self, name: str) -> None:
        """Send audio in this format from now on; no effect if it is none that we know."""
        found: Format = FORMATS.get(name, self._format)
        if found != self._format:
            self._format, self._decoder = found, None

    # -- What is to be sent

    def say(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        first: bool = False,
        input_format: str = "",
        clears: bool = False,
    ) -> str:
        """Queue an event, before all others if `first`; its event_id."""
        event_id, text = self._written(kind, fields)
        event = _Event(text, event_id, input_format, clears)
        (self._queue.appendleft if first else self._queue.append)(event)
        self._events += 1
        self._bytes += len(text)
        return event_id

    def commit(self) -> str:
        """What audio came so far is a turn; the id of the event that says so."""
        event_id, text = self._written("input_audio_buffer.commit", {})
        self._queue.append(_Commit(text))
        return event_id

    def clear_audio(self) -> None:
        """What audio came since the last turn is none."""
        last = self._queue[-1] if self._queue else None
        if isinstance(last, _Audio):
            self._queue.pop()
            self._samples -= last.samples
        self.say("input_audio_buffer.clear", {}, clears=True)

    def add(self, frames: Iterable[AudioFrame]) -> None:
        """Queue audio behind what is queued."""
        for frame in frames:
            last = self._queue[-1] if self._queue else None
            if not isinstance(last, _Audio):
                last = _Audio()
                self._queue.append(last)
            later = []
            while last.frames and last.frames[-1].timestamp > frame.timestamp:
                later.append(last.frames.pop())
            last.frames.append(frame)
            last.frames.extend(reversed(later))
            last.samples += frame.duration
            self._samples += frame.duration
        while self._samples > MAX_QUEUED:
            self._drop()

    def withdraw(self, event_id: str) -> bool:
        """Take back an event; False if it was sent already."""
        for event in self._queue:
            if isinstance(event, _Event) and event.event_id == event_id:
                self._queue.remove(event)
                self._events -= 1
                self._bytes -= len(event.text)
                return True
        return False

    # -- Sending

    def next_message(self) -> str | None:
        """The next message, or None: there is none now."""
        while self._queue:
            head = self._queue[0]
            if isinstance(head, _Audio):
                alone = len(self._queue) == 1
                if alone and head.samples < CHUNK:
                    return None
                data = self._taken(head)
                if not head.frames and not alone:
                    self._queue.popleft()
                if data:
                    return _append(data)
            elif isinstance(head, _Commit):
                missing = MIN_TURN - self._given
                if missing > 0:
                    self._given += missing
                    return _append(self._format.silent(missing))
                self._begin_turn()
                self._queue.popleft()
                return head.text
            else:
                self._queue.popleft()
                self._events -= 1
                self._bytes -= len(head.text)
                self.use(head.input_format)
                if head.clears:
                    self._begin_turn()
                return head.text
        return None

    def _taken(self, run: _Audio) -> bytes:
        """A message's worth of a run, decoded."""
        if self._decoder is None:
            self._decoder = self._codec.decoder(self._format)
        out, wanted = bytearray(), CHUNK
        while run.frames and wanted > 0:
            frame = run.frames.popleft()
            run.samples -= frame.duration
            self._samples -= frame.duration
            gap = 0 if self._position is None else frame.timestamp - self._position
            if gap < 0:
                # Silence stands for it already.
                self.late += 1
                continue
            gap = min(gap, MAX_GAP)
            out += self._format.silent(gap) + self._decoder.decode(frame.payload)
            self._position = frame.timestamp + frame.duration
            self._given += gap + frame.duration
            wanted -= gap + frame.duration
        return bytes(out)

    def _drop(self) -> None:
        run = next(each for each in self._queue if isinstance(each, _Audio) and each.frames)
        frame = run.frames.popleft()
        run.samples -= frame.duration
        self._samples -= frame.duration
        # No silence for it: that would cost as much.
        self._position = None
        self.dropped += 1

    def _begin_turn(self) -> None:
        self._given, self._position = 0, None

    def _written(self, kind: str, fields: Mapping[str, Any]) -> tuple[str, str]:
        self._count += 1
        event_id = f"bridge_{self._count}"
        event = {"type": kind, "event_id": event_id, **fields}
        return event_id, json.dumps(event, separators=(",", ":"))


def _append(data: bytes) -> str:
    audio = base64.b64encode(data).decode("ascii")
    return f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}'
