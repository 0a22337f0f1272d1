"""Our own Binding requests under way, RFC 8445 section 7.2, by transaction id.

A table for the agent: what each request was for, when it is repeated, when it
has failed. The schedule of one request is `stun.transaction`'s. Consent
requests leave once; the others are repeated.
"""

from __future__ import annotations

import enum

from rtcproto.ice.pair import CandidatePair
from rtcproto.stun import Due, Schedule, Transaction

__all__ = ["MAX_OUTSTANDING", "Outstanding", "OutstandingCheck", "Purpose"]

# 100 pairs with a check and a cancelled one each, and some consent requests.
# The oldest gives way: its answer will be taken for a stranger's.
MAX_OUTSTANDING = 256


class Purpose(enum.Enum):
    """What a request is sent for, which decides what its answer and its failure mean."""

    CHECK = "whether the pair works; the pair fails with it"
    NOMINATE = "the same, with USE-CANDIDATE, on a valid pair; the pair fails with it"
    CONSENT = "whether the peer still wants to receive, RFC 7675; failure is left to expiry"
    PROBE = "which paths are alive, when the selected one may not be; failure means nothing"


class OutstandingCheck:
    """One request. A cancelled one is not repeated but its answer is still welcome."""

    __slots__ = ("cancelled", "controlling", "pair", "purpose", "transaction")

    def __init__(
        self, transaction: Transaction, pair: CandidatePair, purpose: Purpose, controlling: bool
    ) -> None:
        self.transaction = transaction
        self.pair = pair
        self.purpose = purpose
        # The role the request was sent in: a role conflict is about that one.
        self.controlling = controlling
        self.cancelled = False


class Outstanding:
    """Requests under way."""

    __slots__ = ("_checks",)

    def __init__(self) -> None:
        self._checks: dict[bytes, OutstandingCheck] = {}

    def __len__(self) -> int:
        return len(self._checks)

    @property
    def deadline(self) -> float | None:
        """When `due` has something to say."""
        return min((check.transaction.deadline for check in self._checks.values()), default=None)

    def start(
        self,
        transaction_id: bytes,
        data: bytes,
        schedule: Schedule,
        pair: CandidatePair,
        purpose: Purpose,
        controlling: bool,
        now: float,
    ) -> None:
        """Note a request that leaves now."""
        if len(self._checks) >= MAX_OUTSTANDING:
            del self._checks[next(iter(self._checks))]
        transaction = Transaction.start(transaction_id, data, schedule, now)
        self._checks[transaction_id] = OutstandingCheck(transaction, pair, purpose, controlling)

    def get(self, transaction_id: bytes) -> OutstandingCheck | None:
        """The request of a transaction id."""
        return self._checks.get(transaction_id)

    def remove(self, transaction_id: bytes) -> None:
        """Forget one request: it was answered."""
        del self._checks[transaction_id]

    def cancel(self, pair: CandidatePair) -> None:
        """Stop repeating the requests of a pair, RFC 8445 section 7.3.1.4."""
        for check in self._checks.values():
            if check.pair is pair:
                check.cancelled = True

    def forget(self, pair: CandidatePair) -> None:
        """Drop the requests of a pair: RFC 7675, "MUST be discarded when consent expires"."""
        for transaction_id in [i for i, check in self._checks.items() if check.pair is pair]:
            del self._checks[transaction_id]

    def clear(self) -> None:
        """Forget everything."""
        self._checks.clear()

    def due(self, now: float) -> tuple[list[OutstandingCheck], list[OutstandingCheck]]:
        """What to repeat, and what has failed and is forgotten now. Cancelled ones just go."""
        repeat: list[OutstandingCheck] = []
        failed: list[OutstandingCheck] = []
        for transaction_id, check in list(self._checks.items()):
            match check.transaction.advance(now):
                case Due.NOTHING:
                    pass
                case Due.RETRANSMIT:
                    if not check.cancelled:
                        repeat.append(check)
                case Due.TIMED_OUT:
                    del self._checks[transaction_id]
                    if not check.cancelled:
                        failed.append(check)
        return repeat, failed
