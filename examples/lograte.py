"""At most so many log lines per second from what clients can provoke."""

from __future__ import annotations

import logging

__all__ = ["MAX_LINES", "LogRate", "limit_logs"]

# Lines per second of one logger. More tell nothing more, and fill disks.
MAX_LINES = 10


class LogRate(logging.Filter):
    """Lets `MAX_LINES` records through in a second; the next one says how many it left out."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is logged."""
        second = int(record.created)
        if second != self._second:
            self._second, self._lines = second, 0
            left_out, self._left_out = self._left_out, 0
            if left_out:
                record.msg = f"{left_out} lines were left out; then: {record.getMessage()}"
                record.args = None
        if self._lines >= MAX_LINES:
            self._left_out += 1
            return False
        self._lines += 1
        return True


def limit_logs(*names: str) -> None:
    """Limit the loggers of these names, each by itself. No effect on one that is limited."""
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(known, LogRate) for known in logger.filters):
            logger.addFilter(LogRate())
