"""Log lines about errors, never more than one per second and kind.

Called by the driver. A dead link fails for every packet of every call, and a peer may
be able to make a handler raise in every call it places; the log tells of it, not of them.
"""

from __future__ import annotations

import logging

__all__ = ["LOG_INTERVAL", "ErrorLog"]

logger = logging.getLogger("rtcproto.asyncio")

# Seconds between two lines of one kind.
LOG_INTERVAL = 1.0


class ErrorLog:
    """What was last logged, and when. `what` names a kind: one of the driver's few."""

    __slots__ = ("_logged",)

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}

    def tell(self, what: str, error: OSError, now: float) -> None:
        """Log `error` if that is due."""
        if self.due(what, now):
            logger.debug("%s: %s", what, error)

    def due(self, what: str, now: float) -> bool:
        """Whether none of its kind was logged less than `LOG_INTERVAL` before `now`; notes it."""
        if now - self._logged.get(what, -LOG_INTERVAL) < LOG_INTERVAL:
            return False
        self._logged[what] = now
        return True
