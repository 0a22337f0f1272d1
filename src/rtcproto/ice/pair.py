"""Candidate pairs, RFC 8445 sections 6.1.2 and 7.2.5.3, with their states as one table.

A pair is a local candidate's base and a remote candidate; it is also the
*path* that events name. `TRANSITIONS` is the whole state machine: what is not
in it cannot happen. The checklist decides when an
event occurs, the agent what it means.
"""

from __future__ import annotations

import enum

from rtcproto.datagram import Address
from rtcproto.ice.candidate import Candidate, CandidateType, compute_priority
from rtcproto.ice.consent import Consent

__all__ = ["TRANSITIONS", "CandidatePair", "PairEvent", "PairState", "pair_priority"]


class PairState(enum.Enum):
    """RFC 8445 section 6.1.2.6."""

    FROZEN = "no check has been sent, and none may be until another pair lets it"
    WAITING = "a check is to be sent as soon as pacing allows"
    IN_PROGRESS = "a check has been sent and not been answered"
    SUCCEEDED = "a check was answered; the pair is valid"
    FAILED = "a check was not answered, was refused, or consent expired"


class PairEvent(enum.Enum):
    """What can happen to a pair."""

    UNFREEZE = "its foundation's turn has come, 6.1.2.6 and 7.2.5.3.3"
    TRIGGER = "the peer checked it, or it is to be checked again, 7.3.1.4"
    SEND = "its check leaves, 6.1.4.2"
    SUCCEED = "its check was answered, 7.2.5.3"
    FAIL = "its check timed out or was refused, 7.2.5.2, or consent expired, RFC 7675"


TRANSITIONS: dict[PairState, dict[PairEvent, PairState]] = {
    PairState.FROZEN: {
        PairEvent.UNFREEZE: PairState.WAITING,
        PairEvent.TRIGGER: PairState.WAITING,
    },
    PairState.WAITING: {
        PairEvent.TRIGGER: PairState.WAITING,
        PairEvent.SEND: PairState.IN_PROGRESS,
        # A cancelled check may still be answered, 7.3.1.4, or refused.
        PairEvent.SUCCEED: PairState.SUCCEEDED,
        PairEvent.FAIL: PairState.FAILED,
    },
    PairState.IN_PROGRESS: {
        PairEvent.TRIGGER: PairState.WAITING,
        PairEvent.SUCCEED: PairState.SUCCEEDED,
        PairEvent.FAIL: PairState.FAILED,
    },
    PairState.SUCCEEDED: {
        # Nominating and consent checks run on a valid pair and leave it valid.
        PairEvent.SUCCEED: PairState.SUCCEEDED,
        PairEvent.FAIL: PairState.FAILED,
    },
    PairState.FAILED: {
        PairEvent.TRIGGER: PairState.WAITING,
    },
}


class CandidatePair:
    """One pair. `base` is the local side as the shell names it, `address` the remote one."""

    __slots__ = (
        "address",
        "base",
        "consent",
        "local",
        "nominated",
        "nominated_at",
        "priority",
        "remote",
        "state",
        "validated",
    )

    def __init__(
        self, local: Candidate, base: Address | None, remote: Candidate, address: Address
    ) -> None:
        self.local = local
        self.base = base
        self.remote = remote
        self.address = address
        self.priority = 0
        self.state = PairState.FROZEN
        # A check with valid MESSAGE-INTEGRITY came on it, or an answer did.
        self.validated = False
        # The peer nominated it before it was valid: to be granted when it is, 7.3.1.5.
        self.nominated = False
        # When a nomination of it was last granted.
        self.nominated_at: float | None = None
        # Set while the pair is valid.
        self.consent: Consent | None = None

    def __repr__(self) -> str:
        return f"CandidatePair({self.base} -> {self.address}, {self.state.name})"

    @property
    def foundation(self) -> tuple[str, str]:
        """RFC 8445 section 6.1.2.6: "the combination of the foundations"."""
        return self.local.foundation, self.remote.foundation

    @property
    def reflexive_priority(self) -> int:
        """RFC 8445 section 7.1.1: what a check says in PRIORITY.

        The priority that the local candidate would have as a peer-reflexive one.
        """
        local_preference = (self.local.priority >> 8) & 0xFFFF
        return compute_priority(CandidateType.PEER_REFLEXIVE, local_preference=local_preference)

    def advance(self, event: PairEvent) -> None:
        """Take the transition of `TRANSITIONS`; a `KeyError` here is a bug of the caller's."""
        self.state = TRANSITIONS[self.state][event]


def pair_priority(controlling: int, controlled: int) -> int:
    """RFC 8445 section 6.1.2.3, from the candidate priorities of the two agents."""
    return (
        (min(controlling, controlled) << 32)
        + 2 * max(controlling, controlled)
        + (controlling > controlled)
    )
