"""One log line per kind and second."""

from __future__ import annotations

import logging

import pytest

from rtcproto.asyncio.error_log import LOG_INTERVAL, ErrorLog


def test_one_line_per_kind_and_interval(caplog: pytest.LogCaptureFixture) -> None:
    """The first of a kind is told at once, others only once the interval is over."""
    caplog.set_level(logging.DEBUG, "rtcproto.asyncio")
    log = ErrorLog()
    for now in (0.0, LOG_INTERVAL / 2, LOG_INTERVAL):
        log.tell("send", OSError("unreachable"), now)
    log.tell("receive", OSError("refused"), LOG_INTERVAL)
    assert caplog.messages == ["send: unreachable", "send: unreachable", "receive: refused"]
