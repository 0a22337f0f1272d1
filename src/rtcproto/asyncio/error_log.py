"""Log lines about a socket's errors, never more than one per second and kind.

Called by the driver. A dead link fails for every packet of every call; the log
tells of it, not of them.
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
        """Log `error` unless one of its kind was logged less than `LOG_INTERVAL` before `now`."""
        if now - self._logged.get(what, -LOG_INTERVAL) >= LOG_INTERVAL:
            self._logged[what] = now
            logger.debug("%s: %s", what, error)
