"""Whether the peer is still there when nothing is said: RFC 9260 section 8.3.

A heartbeat carries its time and a nonce that nobody can guess; only the answer to
the newest one counts, so a flood of answers measures nothing. Called by the
association, which owns the timer.
"""

from __future__ import annotations

import hmac
from struct import Struct

from rtcproto.sctp.control_chunks import Heartbeat, HeartbeatAck
from rtcproto.sctp.parameters import Parameter, ParameterType, find

__all__ = ["Heartbeats"]

_INFO = Struct("!d8s")
NONCE_SIZE = 8


class Heartbeats:
    """The one heartbeat that may be open."""

    __slots__ = ("_nonce",)

    def __init__(self) -> None:
        self._nonce = b""

    @property
    def open(self) -> bool:
        """Whether one is not answered."""
        return bool(self._nonce)

    def ask(self, nonce: bytes, now: float) -> Heartbeat:
        """A heartbeat; one before it counts no more."""
        self._nonce = nonce
        return Heartbeat((Parameter(ParameterType.HEARTBEAT_INFO, _INFO.pack(now, nonce)),))

    def receive(self, chunk: HeartbeatAck, now: float) -> float | None:
        """The round trip in seconds if it answers the open one, else None."""
        info = find(chunk.parameters, ParameterType.HEARTBEAT_INFO)
        if not self._nonce or info is None or len(info) != _INFO.size:
            return None
        sent_at, nonce = _INFO.unpack(info)
        if not hmac.compare_digest(nonce, self._nonce):
            return None
        self._nonce = b""
        return now - float(sent_at)
