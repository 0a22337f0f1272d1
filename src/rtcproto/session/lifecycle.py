"""The states of a session and the deadlines of those that must not last."""

from __future__ import annotations

import enum

from rtcproto.events import CloseReason

__all__ = ["EXPIRED", "SessionState", "Timer"]


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
