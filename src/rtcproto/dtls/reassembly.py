"""Putting handshake messages together: RFC 6347 sections 4.2.2 and 4.2.3.

`Reassembler` takes fragments of plaintext handshake messages in any order, split
anywhere, repeated and overlapping, and yields whole messages in the order of
their message sequence numbers. Nobody has been authenticated at this stage, so:

- the key is the message sequence number, never the type;
- memory follows what came, not what was declared, and everything is capped;
- a fragment that contradicts what is held (other type, other total, other bytes)
  is dropped. When that happens again the older claim goes instead, so that one
  forged fragment cannot block the real message for ever;
- a message that came whole replaces an unfinished one at once.

A refused message (`reject`) leaves its place free for the real one.
"""

from __future__ import annotations

import enum

from rtcproto._attrs import wire
from rtcproto.dtls.handshake import Fragment

__all__ = ["Added", "Message", "Reassembler"]

# The largest handshake message taken; a chain of RSA certificates has 5 KiB.
MAX_MESSAGE = 32 * 1024
# Bytes held over all unfinished messages of one association.
MAX_BUFFERED = 64 * 1024
# The longest flight has five messages; a window of eight sequence numbers.
MAX_AHEAD = 8
# Separate pieces of one message; the least MTU that DTLS stacks use gives 30.
MAX_PIECES = 256
# Contradictions after which the older claim on a sequence number is given up.
MAX_CONFLICTS = 2


class Added(enum.Enum):
    """What became of a fragment."""

    NEW = "kept, or already known"
    REPEATED = "belongs to a message that was delivered earlier"
    CONFLICT = "contradicts what is held"
    OVER_LIMIT = "too long, too far ahead, or no room"


@wire
class Message:
    """A whole handshake message."""

    message_type: int
    sequence: int
    body: bytes


class _Partial:
    """The pieces of one message: disjoint, in order, adjacent ones joined."""

    __slots__ = ("conflicts", "held", "message_type", "pieces", "total")

    def __init__(self, message_type: int, total: int) -> None:
        self.message_type = message_type
        self.total = total
        self.pieces: list[tuple[int, bytearray]] = []
        self.held = 0
        self.conflicts = 0

    @property
    def complete(self) -> bool:
        return self.held == self.total

    def add(self, start: int, body: bytes) -> bool:
        """Merge `body` in; False if it contradicts a piece that is there."""
        end = start + len(body)
        pieces = self.pieces
        # pieces[first:last] are those that `body` overlaps or touches.
        first, last = 0, len(pieces)
        while first < last and pieces[first][0] + len(pieces[first][1]) < start:
            first += 1
        while last > first and pieces[last - 1][0] > end:
            last -= 1
        for at, piece in pieces[first:last]:
            low, high = max(at, start), min(at + len(piece), end)
            if piece[low - at : high - at] != body[low - start : high - start]:
                return False
        if last - first == 1:
            at, piece = pieces[first]
            if at <= start:  # the usual case: in order, so only the end grows
                fresh = max(end - (at + len(piece)), 0)
                piece += body[len(body) - fresh :]
                self.held += fresh
                return True
        low = min(start, pieces[first][0]) if first < last else start
        high = max(end, pieces[last - 1][0] + len(pieces[last - 1][1])) if first < last else end
        joined = bytearray(high - low)
        joined[start - low : end - low] = body
        for at, piece in pieces[first:last]:
            joined[at - low : at - low + len(piece)] = piece
        self.held += len(joined) - sum(len(piece) for _, piece in pieces[first:last])
        pieces[first:last] = [(low, joined)]
        return True

    def body(self) -> bytes:
        return bytes(self.pieces[0][1]) if self.pieces else b""


class Reassembler:
    """Fragments in, whole messages in sequence out."""

    __slots__ = ("_expected", "_partials")

    def __init__(self) -> None:
        self._expected = 0
        self._partials: dict[int, _Partial] = {}

    @property
    def expected(self) -> int:
        """The sequence number of the next message to be delivered."""
        return self._expected

    @property
    def buffered(self) -> int:
        """Bytes held."""
        return sum(partial.held for partial in self._partials.values())

    def add(self, fragment: Fragment) -> Added:
        """Take one fragment."""
        sequence, body = fragment.sequence, fragment.body
        if sequence < self._expected:
            return Added.REPEATED
        if sequence >= self._expected + MAX_AHEAD or fragment.total > MAX_MESSAGE:
            return Added.OVER_LIMIT
        # Only an empty message can be carried by an empty fragment; any other
        # one would be work without progress.
        if not body and fragment.total:
            return Added.OVER_LIMIT
        if not self._make_room(sequence, len(body)):
            return Added.OVER_LIMIT
        partial = self._partials.get(sequence)
        whole = len(body) == fragment.total
        if partial is None or (whole and not partial.complete):
            partial = self._partials[sequence] = _Partial(fragment.message_type, fragment.total)
        elif len(partial.pieces) >= MAX_PIECES:
            return Added.OVER_LIMIT
        same = partial.message_type == fragment.message_type and partial.total == fragment.total
        if same and partial.add(fragment.offset, body):
            return Added.NEW
        partial.conflicts += 1
        if partial.conflicts >= MAX_CONFLICTS:
            del self._partials[sequence]
        return Added.CONFLICT

    def _make_room(self, sequence: int, size: int) -> bool:
        """Room for `size` bytes of message `sequence`; later messages yield to earlier ones."""
        while self.buffered + size > MAX_BUFFERED:
            furthest = max(self._partials)
            if furthest <= sequence:
                return False
            del self._partials[furthest]
        return True

    def peek(self) -> Message | None:
        """The next message in sequence, if it is whole."""
        partial = self._partials.get(self._expected)
        if partial is None or not partial.complete:
            return None
        return Message(partial.message_type, self._expected, partial.body())

    def accept(self) -> None:
        """The message last peeked was used; go on to the one after it."""
        del self._partials[self._expected]
        self._expected += 1

    def reject(self) -> None:
        """The message last peeked was refused; wait for another with its number."""
        del self._partials[self._expected]
