"""Which transactions a peer has used: what makes a replayed check have no effect.

An organ of both agents; it sees transaction ids of authentic checks only, so
nobody but the holder of the password can add to it. Neither the source address
nor the time is under a check's MAC: the id is all that tells a replay.

Theory of operation. The newest `MAX_RECENT` ids are kept with their path, the
time of their first coming and the number of answers given. What repeats one on
its path is a retransmission for as long as its sender may retransmit
(`ANSWER_WINDOW`) and as often (`MAX_ANSWERS`); whatever else repeats one is a
replay. Older ones, up to the limit, are kept as bare ids: replays, wherever
they come from. Beyond the limit the oldest goes, and a recording of it counts as
a fresh check again.

Why retransmissions at all: libwebrtc sends each check once, under a new id;
Firefox and aioice repeat one up to seven times, and the pair fails if the answer
is lost and none of these draws another.

Why thousands: a recording that outlives the memory lets anybody pose as new
paths of the peer at the rate at which he replays it, without the password. A
browser checks every 2.5 s, so 256 ids are 11 minutes of a call and 4,096 nearly
three hours. A bare id costs about 84 bytes in CPython: 340 KiB for a session
that gets there.
"""

from __future__ import annotations

from rtcproto.ice.contract import Path

__all__ = ["ANSWER_WINDOW", "MAX_ANSWERS", "MAX_RECENT", "TransactionMemory"]

# RFC 8489 section 6.2.1: "assuming an RTO of 500 ms", the request is sent seven
# times within 31.5 s, and the transaction fails after 39.5 s. So many answers
# on one path, in so many seconds after the first; nothing later is its client's.
MAX_ANSWERS = 7
ANSWER_WINDOW = 39.5

# Ids that are kept with their path. A client gives up on a request after 40 s
# (RFC 8489 section 6.2.1), and sends far fewer than 256 new ones in that time.
MAX_RECENT = 256


class TransactionMemory:
    """The last `limit` transaction ids of one session."""

    __slots__ = ("_limit", "_recent", "_spent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Both oldest first: id -> (path, answers given, when it came first), and ids of
        # no use any more.
        self._recent: dict[bytes, tuple[Path, int, float]] = {}
        self._spent: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._recent) + len(self._spent)

    def recall(self, transaction_id: bytes, path: Path, now: float) -> int | None:
        """How often this id was answered on `path`, 0 for a new one; None if it must not be."""
        known = self._recent.get(transaction_id)
        if known is None:
            return None if transaction_id in self._spent else 0
        where, answers, first = known
        if where != path or answers >= MAX_ANSWERS or now >= first + ANSWER_WINDOW:
            return None
        return answers

    def remember(self, transaction_id: bytes, path: Path, now: float) -> None:
        """Note that this id, which came on `path`, is answered once more."""
        _, answers, first = self._recent.get(transaction_id, (path, 0, now))
        self._recent[transaction_id] = (path, answers + 1, first)
        if len(self._recent) > min(self._limit, MAX_RECENT):
            oldest = next(iter(self._recent))
            del self._recent[oldest]
            self._spent[oldest] = None
        if len(self) > self._limit:
            del self._spent[next(iter(self._spent))]

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self._spent.clear()
