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


class Reassembler:
    """Fragments in, whole messages in sequence out."""

    __slots__ = ("_expected", "_partials", "_whole")

    def __init__(self) -> None:
        self._expected = 0
        self._partials: dict[int, _Partial] = {}
        # Complete messages, by sequence number; a number is in one table at most.
        self._whole: dict[int, Message] = {}

    @property
    def expected(self) -> int:
        """The sequence number of the next message to be delivered."""
        return self._expected

    @property
    def buffered(self) -> int:
        """Bytes held."""
        return sum(partial.held for partial in self._partials.values()) + sum(
            len(message.body) for message in self._whole.values()
        )

    def add(self, fragment: Fragment) -> Added:
        """Take one fragment."""
        sequence, body, total = fragment.sequence, fragment.body, fragment.total
        if sequence < self._expected:
            return Added.REPEATED
        if sequence >= self._expected + MAX_AHEAD or total > MAX_MESSAGE:
            return Added.OVER_LIMIT
        # Only an empty message can be carried by an empty fragment; any other
        # one would be work without progress.
        if not body and total:
            return Added.OVER_LIMIT
        known = self._whole.get(sequence)
        if known is not None:
            return self._compare(known, fragment)
        if not self._make_room(sequence, len(body)):
            return Added.OVER_LIMIT
        if len(body) == total:
            self._partials.pop(sequence, None)
            self._whole[sequence] = Message(fragment.message_type, sequence, body)
            return Added.NEW
        return self._add_part(fragment)

    def _compare(self, known: Message, fragment: Fragment) -> Added:
        """A fragment of a message that is whole and waits for those before it."""
        end = fragment.offset + len(fragment.body)
        if (
            known.message_type == fragment.message_type
            and len(known.body) == fragment.total
            and known.body[fragment.offset : end] == fragment.body
        ):
            return Added.NEW
        return Added.CONFLICT

    def _add_part(self, fragment: Fragment) -> Added:
        sequence = fragment.sequence
        partial = self._partials.get(sequence)
        if partial is None:
            partial = self._partials[sequence] = _Partial(fragment.message_type, fragment.total)
        elif len(partial.pieces) >= MAX_PIECES:
            return Added.OVER_LIMIT
        same = partial.message_type == fragment.message_type and partial.total == fragment.total
        if same and partial.add(fragment.offset, fragment.body):
            if partial.held == partial.total:
                del self._partials[sequence]
                body = bytes(partial.pieces[0][1])
                self._whole[sequence] = Message(partial.message_type, sequence, body)
            return Added.NEW
        partial.conflicts += 1
        if partial.conflicts >= MAX_CONFLICTS:
            del self._partials[sequence]
        return Added.CONFLICT

    def _make_room(self, sequence: int, size: int) -> bool:
        """Room for `size` bytes of message `sequence`; later messages yield to earlier ones."""
        while (self._partials or self._whole) and self.buffered + size > MAX_BUFFERED:
            furthest = max([*self._partials, *self._whole])
            if furthest <= sequence:
                return False
            self._partials.pop(furthest, None)
            self._whole.pop(furthest, None)
        return True

    def peek(self) -> Message | None:
        """The next message in sequence, if it is whole."""
        return self._whole.get(self._expected)

    def accept(self) -> None:
        """The message last peeked was used; go on to the one after it."""
        del self._whole[self._expected]
        self._expected += 1

    def reject(self) -> None:
        """The message last peeked was refused; wait for another with its number."""
        del self._whole[self._expected]
