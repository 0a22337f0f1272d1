"""Which valid pair carries media: nomination, consent, and moving away from a dead one.

RFC 8445 section 8.1 and RFC 7675. An organ of the agent, which tells it what
was answered, what the peer nominated and what time it is; it sends nothing but
lists the requests it wants sent, `requests()`, for the agent to build.

Consent is kept on the selected pair and on the best others, `max_paths` in all;
the rest are let to expire. When a consent check on the selected pair stays
unanswered while other pairs are valid, a controlling agent probes them all once
and moves to the best that answers, if the selected one still does not. RFC 8445
knows no second nomination without an ICE restart; lite responders and
libwebrtc take one, libwebrtc itself does the same, and a controlled peer that
ignores it has lost nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from rtcproto._timers import TimerTable
from rtcproto.ice.checklist import Checklist
from rtcproto.ice.consent import Consent
from rtcproto.ice.contract import (
    IceConfig,
    IceEvent,
    Path,
    PathLost,
    PathProven,
    PathSelected,
    PathValidated,
    Timer,
)
from rtcproto.ice.outstanding import Purpose
from rtcproto.ice.pair import CandidatePair, PairEvent, PairState
from rtcproto.ice.tables import LocalCandidates

__all__ = ["Selection"]

# Seconds a consent check on the selected pair may stay unanswered before other
# pairs are probed, and again before we move to one that answered. At least
# this; three round trips where they are longer.
SUSPICION = 0.5

# A peer of RFC 5245 nominates every pair it checks. Within this many seconds of
# one nomination another counts only for a pair of no lower priority, so that
# its best pair wins; a later one is a peer that wants to move.
NOMINATION_HOLD = 3.0


class Selection:
    """The valid pairs of one agent, and the one of them that is selected."""

    __slots__ = (
        "_checklist",
        "_config",
        "_controlling",
        "_entropy",
        "_events",
        "_locals",
        "_nominating",
        "_patience",
        "_requests",
        "_selected",
        "_suspected",
        "_timers",
    )

    def __init__(
        self,
        config: IceConfig,
        controlling: bool,
        checklist: Checklist,
        local_candidates: LocalCandidates,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._config = config
        self._controlling = controlling
        self._checklist = checklist
        self._locals = local_candidates
        self._entropy = entropy
        self._timers: TimerTable[Timer] = TimerTable()
        self._selected: CandidatePair | None = None
        # Controlling: the pair we asked for, and when.
        self._nominating: tuple[CandidatePair, float] | None = None
        # When all paths were probed because the selected one had gone silent.
        self._suspected: float | None = None
        # How long silence must last to be one; follows the round-trip time.
        self._patience = SUSPICION
        self._requests: list[tuple[CandidatePair, Purpose]] = []
        self._events: list[IceEvent] = []

    # Getters.

    @property
    def selected(self) -> CandidatePair | None:
        """The pair that carries media."""
        return self._selected

    def path(self, pair: CandidatePair) -> Path:
        """The path of a pair, its local side named as the shell names it."""
        return pair.address, self._locals.name(pair.base)

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do, as of the last call of `settle`."""
        return self._timers.next()

    # What happened.

    def set_controlling(self, controlling: bool) -> None:
        """The role changed: nominations of ours are void."""
        self._controlling = controlling
        self._nominating = None
        self._suspected = None
        self._timers.stop(Timer.NOMINATION)

    def checked(self, pair: CandidatePair) -> None:
        """A check with valid MESSAGE-INTEGRITY came on the pair."""
        if not pair.validated:
            pair.validated = True
            self._events.append(PathValidated(path=self.path(pair)))

    def answered(self, pair: CandidatePair, round_trip: float | None, now: float) -> bool:
        """The peer answered a request on the pair; True if that made it valid."""
        if round_trip is not None:
            self._patience = max(SUSPICION, 3 * round_trip)
        fresh = pair.consent is None
        if pair.consent is None:
            pair.advance(PairEvent.SUCCEED)
            pair.consent = Consent(self._config.consent_timeout, now)
            if self._kept() < self._config.max_paths:
                self._schedule(pair.consent, now)
            self.checked(pair)
            self._events.append(PathProven(path=self.path(pair)))
        pair.consent.answered(now)
        if pair.nominated:
            self.nominated_by_peer(pair, now)
        if self._controlling:
            self._consider(now)
        return fresh

    def nomination_answered(self, pair: CandidatePair, now: float) -> None:
        """The peer answered our USE-CANDIDATE: 8.1.1."""
        if self._controlling and self._nominating is not None and self._nominating[0] is pair:
            self._nominating = None
            self._select(pair, now)

    def nominated_by_peer(self, pair: CandidatePair, now: float) -> None:
        """Grant the peer's USE-CANDIDATE, at once or when the pair is valid: 7.3.1.5."""
        pair.nominated = pair.state is not PairState.SUCCEEDED
        if pair.nominated or self._controlling:
            return
        current = self._selected
        if current is not None and current is not pair and current.nominated_at is not None:
            recent = now - current.nominated_at < NOMINATION_HOLD
            if recent and pair.priority < current.priority:
                return
        pair.nominated_at = now
        self._select(pair, now)

    def failed(self, pair: CandidatePair, now: float) -> None:
        """The pair is not valid any more, or never was: timeout, refusal, revoked consent."""
        had_consent = pair.consent
        if pair.state is PairState.FAILED:
            return
        pair.advance(PairEvent.FAIL)
        pair.consent = None
        pair.validated = pair.nominated = False
        if self._nominating is not None and self._nominating[0] is pair:
            self._nominating = None
        if pair is self._selected:
            self._selected = self._suspected = None
            # Another path with fresh consent takes over, nominated or not: it is
            # that or silence.
            best = next((p for p in self._checklist.valid if _fresh(p, now)), None)
            if best is not None:
                self._select(best, now)
                if self._controlling:
                    self._nominate(best, now)
        if had_consent is not None and not self._checklist.valid:
            self._events.append(PathLost(silent_for=now - had_consent.given))

    def handle_timer(self, now: float) -> list[CandidatePair]:
        """Ask for consent where it is due; the pairs whose consent has expired."""
        for timer in self._timers.expired(now):
            if timer is Timer.NOMINATION:
                self._nominate_best(now)
        expired = []
        for pair in self._checklist.valid:
            consent = pair.consent
            if consent is None:
                continue
            if now >= consent.expiry:
                expired.append(pair)
            elif consent.check is not None and now >= consent.check:
                consent.sent(now)
                self._schedule(consent, now)
                self._requests.append((pair, Purpose.CONSENT))
        return expired

    def settle(self, now: float) -> None:
        """End of every input: look at the selected pair's silence, and set the deadlines."""
        watched = self._watch(now)
        deadlines = [pair.consent.deadline for pair in self._checklist.valid if pair.consent]
        if watched is not None:
            deadlines.append(watched)
        if deadlines:
            self._timers.set(Timer.CONSENT, min(deadlines))
        else:
            self._timers.stop(Timer.CONSENT)

    def close(self) -> None:
        """Forget everything there is to do."""
        self._timers.stop_all()
        self._selected = self._nominating = None
        self._requests = []
        self._events = []

    # Outputs.

    def requests(self) -> list[tuple[CandidatePair, Purpose]]:
        """Drain the requests to send."""
        requests, self._requests = self._requests, []
        return requests

    def next_events(self) -> list[IceEvent]:
        """Drain the events."""
        events, self._events = self._events, []
        return events

    # Nomination.

    def _select(self, pair: CandidatePair, now: float) -> None:
        self._suspected = None
        if pair.consent is not None and pair.consent.check is None:
            self._schedule(pair.consent, now)
        if self._selected is not pair:
            self._selected = pair
            self._events.append(PathSelected(path=self.path(pair)))

    def _consider(self, now: float) -> None:
        """Nominate, if nothing is selected and nothing better need be waited for."""
        if self._selected is not None:
            return
        if self._nominating is not None:
            # One that is not answered as fast as others gives way to the best of them.
            if now - self._nominating[1] > self._patience:
                self._nominate_best(now)
        elif self._config.nomination_delay <= 0:
            self._nominate_best(now)
        elif self._timers.get(Timer.NOMINATION) is None:
            self._timers.set(Timer.NOMINATION, now + self._config.nomination_delay)

    def _nominate_best(self, now: float) -> None:
        refused = None if self._nominating is None else self._nominating[0]
        for pair in self._checklist.valid:
            if pair is not refused and _fresh(pair, now):
                self._nominate(pair, now)
                return

    def _nominate(self, pair: CandidatePair, now: float) -> None:
        self._nominating = (pair, now)
        self._requests.append((pair, Purpose.NOMINATE))

    # Silence.

    def _watch(self, now: float) -> float | None:
        """Probe or move if the selected pair is silent; when to look again."""
        selected = self._selected
        if not self._controlling or selected is None or selected.consent is None:
            return None
        asked = selected.consent.unanswered
        if asked is None:
            self._suspected = None
            return None
        others = [pair for pair in self._checklist.valid if pair is not selected]
        if not others:
            return None
        if self._suspected is None:
            if now < asked + self._patience:
                return asked + self._patience
            self._suspected = now
            kept = [pair for pair in others if pair.consent and pair.consent.check is not None]
            self._requests += [(pair, Purpose.PROBE) for pair in (selected, *kept)]
        verdict = self._suspected + self._patience
        if now < verdict:
            return verdict
        if self._nominating is None:
            for pair in others:
                if pair.consent is not None and pair.consent.given >= self._suspected:
                    self._nominate(pair, now)
                    break
        return None

    # Consent.

    def _kept(self) -> int:
        valid = self._checklist.valid
        return sum(1 for pair in valid if pair.consent and pair.consent.check is not None)

    def _schedule(self, consent: Consent, now: float) -> None:
        fraction = int.from_bytes(self._entropy(2), "big") / 65536
        consent.schedule(self._config.consent_interval, fraction, now)


def _fresh(pair: CandidatePair, now: float) -> bool:
    return pair.consent is not None and now < pair.consent.expiry
