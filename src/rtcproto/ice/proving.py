"""Our own requests of a lite agent: what proves that the peer is where its checks come from.

An organ of `lite`, which says when a fresh check came and where; this one says
what to send, and whether an answer is good. RFC 8445 section 7.2 for the form,
RFC 7675 section 5.1 for the repetition.

Theory of operation. A path without a proof is asked on the short schedule
`PROVING`. A proven one is asked again, once each time, when a fresh check comes
there and the newest request is `CONSENT_SPACING` of the consent interval old; so
asking costs no timer, follows the peer's own random spacing, and stops with its
checks. When half the consent time has passed without an answer the short
schedule is tried again, and when all of it has, the proof is void (`paths`).
Without this, one answer would have been a proof for ever: whoever was at an
address once could keep our media there by checks in its name.

Bytes: a request leaves only within the credit, which authentic messages earn. Once
there is a proof the last of it is kept for proven paths: who replays old checks from many addresses
draws requests towards them, and must not starve the proof that media stands on.

Refuses: answers with another transaction id or without a good MAC; requests
before the peer's credentials are known.
"""

from __future__ import annotations

from collections.abc import Callable

from rtcproto.errors import ParseError
from rtcproto.ice.candidate import CandidateType, compute_priority
from rtcproto.ice.contract import Credentials, IceConfig
from rtcproto.ice.paths import PathState
from rtcproto.stun import (
    Attribute,
    Due,
    Message,
    RequestTemplate,
    Schedule,
    ShortTermKey,
    Transaction,
)

__all__ = ["ALLOWANCE", "CONSENT_SPACING", "PROVING", "RESERVE", "Prover"]

# When a proving request is repeated: 0.1, 0.3, 0.7 and 1.5 s after the first,
# given up 1.6 s later. RFC 8489 section 6.2.1 wants an RTO of 500 ms or more;
# media waits for this answer, and the handshake beside it repeats as fast.
PROVING = Schedule(rto=0.1, requests=5, patience=16.0)

# RFC 7675 section 5.1 has 4 s between consent checks at least: 0.8 times 5 s.
CONSENT_SPACING = 0.8

# Bytes that may be sent beyond those that authentic messages have brought: one
# full proving schedule (5 requests of about 100 bytes) on each of 8 paths. An
# answered check earns about 40 bytes, an answer 64, so a long session never
# comes near it; and never more than this is saved up.
ALLOWANCE = 4096

# Bytes of it that only requests on proven paths may use: nine of them, which is
# more than are asked in the 30 s that a proof lasts.
RESERVE = 1024


class Prover:
    """The requests of one lite agent, their credit and their counters.

    `checks`, `repeated` and `answered` count requests sent to prove a path, to
    prove it again, and answers; `round_trip` is that of the newest request
    answered at its first sending.
    """

    __slots__ = (
        "_consent",
        "_credit",
        "_entropy",
        "_key",
        "_patience",
        "_request",
        "_spacing",
        "_tiebreaker",
        "answered",
        "checks",
        "repeated",
        "round_trip",
        "round_trips",
    )

    def __init__(self, config: IceConfig, entropy: Callable[[int], bytes], credit: int) -> None:
        self._entropy = entropy
        self._tiebreaker = int.from_bytes(entropy(8), "big")
        self._spacing = CONSENT_SPACING * config.consent_interval
        self._patience = config.consent_timeout / 2
        # RFC 7675 section 5.1: "transmitted once only".
        self._consent = Schedule(rto=self._spacing, requests=1, patience=1.0)
        self._credit = credit
        self._request: RequestTemplate | None = None
        self._key: ShortTermKey | None = None
        self.checks = 0
        self.repeated = 0
        self.answered = 0
        self.round_trip: float | None = None
        self.round_trips = 0.0

    @property
    def credit(self) -> int:
        """Bytes that may be sent now."""
        return self._credit

    def set_remote(self, local_ufrag: str, remote: Credentials) -> None:
        """Take the peer's credentials. Raises `UsageError` if the ufrags fit no USERNAME."""
        key = ShortTermKey(remote.pwd)
        self._request = RequestTemplate(
            f"{remote.ufrag}:{local_ufrag}",
            key,
            [
                (Attribute.PRIORITY, compute_priority(CandidateType.PEER_REFLEXIVE)),
                (Attribute.ICE_CONTROLLED, self._tiebreaker),
            ],
        )
        self._key = key

    def earn(self, size: int) -> None:
        """Authentic bytes came, less those of the answer."""
        # Never more than at the start: what a long call has brought in hours is not
        # there to be spent in a second, towards addresses that were not asked.
        self._credit = min(self._credit + size, ALLOWANCE)

    def halve(self) -> int:
        """Give half of the credit away: how much that is."""
        given = self._credit // 2
        self._credit -= given
        return given

    def ask(self, state: PathState, now: float) -> bytes | None:
        """A fresh check came on this path: the request that is due, or None."""
        if state.proving is not None or self._request is None:
            return None
        schedule = PROVING
        if state.proof is not None:
            if now < state.asked_at + self._spacing:
                return None
            if now < state.proof + self._patience:
                schedule = self._consent
        transaction_id = self._entropy(12)
        data = self._request.build(transaction_id)
        state.proving = Transaction.start(transaction_id, data, schedule, now)
        state.asked_at = now
        state.asked = self._spend(len(data), state)
        return data if state.asked else None

    def repeat(self, state: PathState, now: float) -> bytes | None:
        """What time asks for on this path: a repetition, or None."""
        if state.proving is None:
            return None
        match state.proving.advance(now):
            case Due.RETRANSMIT if self._spend(len(state.proving.data), state):
                state.asked = True
                return state.proving.data
            case Due.TIMED_OUT:
                # Not fatal: the next fresh check there tries again.
                state.proving = None
            case _:
                # Nothing is due, or without credit: a later one may find some.
                pass
        return None

    def is_answer(self, state: PathState, message: Message) -> bool:
        """Whether a success response belongs to this path's request under way."""
        return (
            self._key is not None
            and state.proving is not None
            and state.proving.transaction_id == message.transaction_id
        )

    def read_answer(self, state: PathState, message: Message, now: float) -> None:
        """Take an answer. Raises `AuthenticationError`, or `ParseError` if it asks for more.

        RFC 8489 section 6.3.3: unknown required attributes void a success.
        """
        assert self._key is not None, "is_answer said so"
        assert state.proving is not None, "is_answer said so"
        self._key.verify(message)
        if message.unknown_required:
            raise ParseError("ice", "an answer with unknown required attributes")
        self.answered += 1
        self.earn(len(message.raw))
        round_trip = state.proving.round_trip(now)
        if round_trip is not None:
            self.round_trip = round_trip
            self.round_trips += round_trip
        state.proving = None

    def _spend(self, size: int, state: PathState) -> bool:
        kept = RESERVE if state.proof is None and self.answered else 0
        if size > self._credit - kept:
            return False
        self._credit -= size
        if state.proof is None:
            self.checks += 1
        else:
            self.repeated += 1
        return True
