"""The life of a session: its states, the deadlines of those that must not last, its phases.

Called by `Session` and by its planes' pump. Holds no protocol; what a deadline or a
phase means is theirs to say.
"""

from __future__ import annotations

import enum

from rtcproto._timers import TimerTable
from rtcproto.config import SessionConfig
from rtcproto.errors import UsageError
from rtcproto.events import CloseReason
from rtcproto.session.stats import SetupPhases

__all__ = ["EXPIRED", "Lifecycle", "SessionState", "Timer"]


class SessionState(enum.Enum):
    """The life of a session, in order."""

    NEW = "no description from the peer yet"
    CONNECTING = "described; waiting for a path, DTLS, or both"
    CONNECTED = "audio flows"
    CLOSED = "over"


class Timer(enum.Enum):
    """The session's own deadlines; the planes have theirs (CONNECTED has ICE's consent)."""

    ANSWER = "our offer must be answered"
    CHECK = "the peer must send its first connectivity check"
    SETUP = "the session must be connected"


# Why the session ends when a deadline passes.
EXPIRED = {
    Timer.ANSWER: CloseReason.NO_ANSWER,
    Timer.CHECK: CloseReason.NO_CHECK,
    Timer.SETUP: CloseReason.SETUP_TIMEOUT,
}


class Lifecycle:
    """Where one session stands. `state` is for its owners to read."""

    __slots__ = ("_config", "_now", "_phases", "_started", "_timers", "state")

    def __init__(self, config: SessionConfig, now: float) -> None:
        self.state = SessionState.NEW
        self._now = now
        self._config = config
        self._started = now
        self._phases: dict[str, float] = {}
        self._timers: TimerTable[Timer] = TimerTable()
        self._timers.set(Timer.ANSWER, now + config.answer_timeout)

    # Getters

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self.state is SessionState.CLOSED

    @property
    def phases(self) -> SetupPhases:
        """Seconds from the start to each phase."""
        return SetupPhases(**self._phases)

    @property
    def timeout_reason(self) -> str | None:
        """What the next deadline here is for, in words."""
        timer = self._timers.reason()
        return None if timer is None else timer.value

    def get_timer(self) -> float | None:
        """The next deadline, or None."""
        return self._timers.next()

    def require_new(self) -> None:
        """Raise UsageError unless no description came from the peer yet."""
        if self.closed:
            raise UsageError("the session is closed")
        if self.state is not SessionState.NEW:
            raise UsageError("the session already has a description")

    def require_described(self) -> None:
        """Raise UsageError unless both descriptions are known and the session is not over."""
        if self.closed:
            raise UsageError("the session is closed")
        if self.state is SessionState.NEW:
            raise UsageError("the session has no description of the peer")

    # Moves

    def clamp(self, now: float) -> float:
        """The time to go by: it never runs backwards."""
        # A caller mixing clocks must not rewind deadlines.
        if now > self._now:
            self._now = now
        return self._now

    def expired(self, now: float) -> list[CloseReason]:
        """Why the session is to end by now, if it is."""
        return [EXPIRED[timer] for timer in self._timers.expired(now)]

    def described(self, now: float) -> None:
        """Both descriptions are known: the set-up starts."""
        self.state = SessionState.CONNECTING
        self._timers.stop(Timer.ANSWER)
        # The checks of an answerer that is a full agent may overtake its answer.
        self._phases = dict.fromkeys(self._phases, 0.0)
        if not self._phases:
            self._timers.set(Timer.CHECK, now + self._config.check_timeout)
        self._timers.set(Timer.SETUP, now + self._config.setup_timeout)
        self._started = now

    def checked(self, now: float) -> None:
        """The peer sent a good check."""
        self._timers.stop(Timer.CHECK)
        self.reached("first_check", now)

    def reached(self, phase: str, now: float) -> None:
        """Note when a phase was reached first."""
        self._phases.setdefault(phase, now - self._started)

    def connected(self) -> None:
        """The set-up is over."""
        self.state = SessionState.CONNECTED
        self._timers.stop_all()

    def ended(self) -> None:
        """Everything is over."""
        self.state = SessionState.CLOSED
        self._timers.stop_all()
