"""The checklist of the one component we have: RFC 8445 sections 6.1.2 and 6.1.4.

RTP, RTCP, DTLS and data channels are bundled on one component, so there is one
checklist. It forms and prunes pairs, keeps at most `MAX_PAIRS`, freezes and
unfreezes by foundation and says which pair is to be checked next. It sends
nothing and knows no time; pacing is the agent's.
"""

from __future__ import annotations

from rtcproto.datagram import Address
from rtcproto.ice.candidate import Candidate
from rtcproto.ice.pair import CandidatePair, PairEvent, PairState, pair_priority

__all__ = ["MAX_PAIRS", "Checklist"]

# RFC 8445 section 6.1.2.5: "each agent MUST limit the total number of
# connectivity checks ... The default limit of candidate pairs ... is 100".
# The pair of lowest priority that was not checked yet gives way.
MAX_PAIRS = 100

_UNTRIED = (PairState.FROZEN, PairState.WAITING)


class Checklist:
    """Pairs by (remote address, base). Pairs are handed out live: the agent owns them."""

    __slots__ = ("_controlling", "_limit", "_pairs", "_triggered")

    def __init__(self, controlling: bool, limit: int = MAX_PAIRS) -> None:
        self._controlling = controlling
        self._limit = limit
        self._pairs: dict[tuple[Address, Address | None], CandidatePair] = {}
        # RFC 8445 section 6.1.4.1: the triggered-check queue, first in first
        # out. Every pair is in it at most once, which is its bound.
        self._triggered: dict[tuple[Address, Address | None], None] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def pairs(self) -> list[CandidatePair]:
        """All pairs, highest priority first."""
        return sorted(self._pairs.values(), key=lambda pair: -pair.priority)

    @property
    def valid(self) -> list[CandidatePair]:
        """The pairs whose checks were answered, highest priority first."""
        return [pair for pair in self.pairs if pair.state is PairState.SUCCEEDED]

    def get(self, address: Address, base: Address | None) -> CandidatePair | None:
        """The pair of a remote address and a base."""
        return self._pairs.get((address, base))

    def has_work(self) -> bool:
        """Whether `take` has a pair to give."""
        return bool(self._triggered) or any(
            pair.state is PairState.WAITING for pair in self._pairs.values()
        )

    def add(
        self, local: Candidate, base: Address | None, remote: Candidate, address: Address
    ) -> CandidatePair | None:
        """Form a pair, frozen; None if it is redundant, impossible, or one too many.

        Call `unfreeze` when all pairs of one occasion are in: which of them
        goes first depends on all their priorities.
        """
        # 6.1.2.2: "have the same IP address family"; a base of None is a
        # socket whose address nobody told us.
        if base is not None and (":" in base[0]) != (":" in address[0]):
            return None
        # 6.1.2.4: redundant pairs have the same base and the same remote candidate.
        if (address, base) in self._pairs:
            return None
        pair = CandidatePair(local, base, remote, address)
        pair.priority = self._priority(pair)
        if len(self._pairs) >= self._limit and not self._make_room(pair.priority):
            return None
        self._pairs[address, base] = pair
        return pair

    def remove(self, pair: CandidatePair) -> None:
        """Forget a pair."""
        del self._pairs[pair.address, pair.base]
        self._triggered.pop((pair.address, pair.base), None)

    def signalled(self, candidate: Candidate, address: Address) -> None:
        """A peer-reflexive candidate turned out to be this one: 7.3.1.3, last sentences."""
        for pair in self._pairs.values():
            if pair.address == address:
                pair.remote = candidate
                pair.priority = self._priority(pair)

    def unfreeze(self) -> None:
        """Let one pair of each foundation go first, and the others once it succeeded.

        6.1.2.6 for new pairs, 7.2.5.3.3 after a success, 6.1.4.2 when a check failed.
        """
        first: dict[tuple[str, str], CandidatePair] = {}
        busy: set[tuple[str, str]] = set()
        succeeded: set[tuple[str, str]] = set()
        for pair in self.pairs:
            match pair.state:
                case PairState.FROZEN:
                    first.setdefault(pair.foundation, pair)
                case PairState.WAITING | PairState.IN_PROGRESS:
                    busy.add(pair.foundation)
                case PairState.SUCCEEDED:
                    succeeded.add(pair.foundation)
                case PairState.FAILED:
                    pass
        if not first:
            return
        for pair in self._pairs.values():
            if pair.state is PairState.FROZEN and pair.foundation in succeeded:
                pair.advance(PairEvent.UNFREEZE)
        for foundation, pair in first.items():
            if foundation not in busy and pair.state is PairState.FROZEN:
                pair.advance(PairEvent.UNFREEZE)

    def trigger(self, pair: CandidatePair) -> None:
        """Queue a pair that is not valid for a check before all ordinary ones, 7.3.1.4."""
        pair.advance(PairEvent.TRIGGER)
        self._triggered[pair.address, pair.base] = None

    def take(self) -> CandidatePair | None:
        """The pair to check now, in progress from here on; None if there is none. 6.1.4.2."""
        while self._triggered:
            key = next(iter(self._triggered))
            del self._triggered[key]
            pair = self._pairs[key]
            # An answer to the check before may have come while it was queued.
            if pair.state is PairState.WAITING:
                pair.advance(PairEvent.SEND)
                return pair
        waiting = [pair for pair in self._pairs.values() if pair.state is PairState.WAITING]
        if not waiting:
            return None
        pair = max(waiting, key=lambda pair: pair.priority)
        pair.advance(PairEvent.SEND)
        return pair

    def set_controlling(self, controlling: bool) -> None:
        """Take a role; "a role switch requires an agent to recompute pair priorities"."""
        self._controlling = controlling
        for pair in self._pairs.values():
            pair.priority = self._priority(pair)

    def _priority(self, pair: CandidatePair) -> int:
        local, remote = pair.local.priority, pair.remote.priority
        return pair_priority(local, remote) if self._controlling else pair_priority(remote, local)

    def _make_room(self, priority: int) -> bool:
        failed = [pair for pair in self._pairs.values() if pair.state is PairState.FAILED]
        if failed:
            self.remove(failed[0])
            return True
        untried = [pair for pair in self._pairs.values() if pair.state in _UNTRIED]
        worst = min(untried, key=lambda pair: pair.priority, default=None)
        if worst is None or worst.priority >= priority:
            return False
        self.remove(worst)
        return True
