"""One answer, from the request for it to its last packet.

Called by `bridge`. What a server makes is audio in any pieces; what comes out is packets of
20 ms, a few at a time, and after them how the answer ended.
"""

from __future__ import annotations

from typing import Final

from examples.transceiver.backend import (
    BackendEvent,
    ResponseAudio,
    ResponseDone,
    ResponseFailed,
    ResponseRequest,
)
from examples.transceiver.realtime_ws.codec import Codec, Encoder, Format
from examples.transceiver.realtime_ws.memory import Piece

__all__ = ["MAX_STEP", "Answer"]

# Packets that are encoded at once, 160 us each: what else the event loop has to do, the
# audio of other calls above all, is not late for it.
MAX_STEP: Final = 10


class Answer:
    """An answer that the server was asked for; `event_id` is that of the question."""

    __slots__ = (
        "_codec",
        "_encoder",
        "_end",
        "cancelled",
        "deadline",
        "event_id",
        "format",
        "name",
        "names",
        "pieces",
        "request",
        "words",
    )

    def __init__(
        self, request: ResponseRequest, event_id: str, codec: Codec, deadline: float
    ) -> None:
        self.request = request
        self.event_id = event_id
        self.deadline = deadline
        # What the server calls it, and its messages.
        self.name = ""
        self.names: list[str] = []
        self.pieces: list[Piece] = []
        self.words: list[str] = []
        self.cancelled = False
        self.format: Format | None = None
        self._codec = codec
        self._encoder: Encoder | None = None
        self._end: ResponseDone | ResponseFailed | None = None

    def take(self, item_id: str, content_index: int, data: bytes, given: Format) -> None:
        """Some audio."""
        if self.format is None:
            # It stays what it was at first: half an answer cannot be of another kind.
            self.format = given
        if self._encoder is None:
            self._encoder = self._codec.encoder(self.format)
        self.part(item_id)
        piece = self.pieces[-1] if self.pieces else None
        if piece is None or (piece.item_id, piece.content_index) != (item_id, content_index):
            piece = Piece(item_id, content_index)
            self.pieces.append(piece)
        piece.size += len(data)
        piece.audio_ms = self.format.milliseconds(piece.size)
        self._encoder.feed(data)

    def part(self, item_id: str) -> None:
        """The server calls a message of it so."""
        if item_id and item_id not in self.names:
            self.names.append(item_id)

    def end(self, event: ResponseDone | ResponseFailed) -> None:
        """The server has made all of it, or gave up."""
        self._end = event
        if self._encoder is not None:
            self._encoder.finish()

    def step(self) -> tuple[list[BackendEvent], bool]:
        """The next packets, and whether there is more to do; the end is the last of all."""
        events: list[BackendEvent] = []
        while self._encoder is not None and len(events) < MAX_STEP:
            packet = self._encoder.next_packet()
            if packet is None:
                break
            events.append(ResponseAudio(self.request.response_id, *packet))
        if len(events) == MAX_STEP:
            return events, True
        if self._end is not None:
            events.append(self._end)
        return events, False

    @property
    def ended(self) -> bool:
        """Whether the server makes no more of it."""
        return self._end is not None
