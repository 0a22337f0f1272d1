"""Chromium as a client of a `Town`: a headless one, on the clients' host."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.e2e.browser import Browser, CallReport, launch, why_no_browser
from tests.e2e.network import inside
from tests.e2e.site import Site
from tests.faults.report import Row
from tests.faults.town import CLIENTS, Town

__all__ = ["black_holed", "chromium", "over_tcp", "rows", "why_no_chromium"]

# Seconds of signal: before the relay goes, until Chromium has moved, and a little of what follows.
BEFORE, MOVE, AFTER = 2.0, 7.0, 1.0


def why_no_chromium() -> str | None:
    """Why there is none here, or None."""
    return why_no_browser("chromium")


@contextmanager
def chromium(town: Town) -> Iterator[Browser]:
    """One that is running, with the test page open."""
    listener = inside(town.clients.namespace, lambda: socket.create_server(("127.0.0.1", 0)))
    with Site(listener) as site, launch("chromium", site, town.clients, {}) as browser:
        yield browser


def black_holed(town: Town, browser: Browser) -> tuple[CallReport, str]:
    """A call whose relay, of two, goes silent; the address of that relay."""
    calls = browser.start_calls(town.urls[0], seconds=BEFORE + MOVE + AFTER)
    calls.wait_connected()
    before = [town.packets_from_clients(number) for number in range(len(town.relays))]
    time.sleep(BEFORE)
    after = [town.packets_from_clients(number) for number in range(len(town.relays))]
    forwarded = [b - a for a, b in zip(before, after, strict=True)]
    used = town.relay_hosts[forwarded.index(max(forwarded))]
    used.unplug()
    report = calls.reports()[0]
    used.plug()
    return report, used.address


def over_tcp(town: Town, browser: Browser, seconds: float = 3.0) -> CallReport:
    """A call of a client all of whose datagrams are swallowed."""
    with ExitStack() as stack:
        for host in town.relay_hosts:
            stack.enter_context(host.refusing_udp_from(CLIENTS))
        return browser.call(town.urls[0], seconds=seconds)


def rows(town: Town) -> Iterator[Row]:
    """Both, as rows of the table; none where there is no Chromium."""
    reason = why_no_chromium()
    if reason is not None:
        return
    with chromium(town) as browser:
        report, dead = black_holed(town, browser)
        moved = report.connected and report.remote()[0] != dead
        yield _row("one of two relays black-holed, Chromium", report, "it moves", moved)
        report = over_tcp(town, browser)
        local = report.stat("local-candidate", protocol="tcp")
        used_tcp = report.connected and report.remote() in town.tcp and bool(local)
        yield _row("UDP blocked from the start, Chromium", report, "connects by TCP", used_tcp)


def _row(fault: str, report: CallReport, goal: str, met: bool) -> Row:
    # By the recording: windows of 20 ms that did not come back.
    gaps = report.find().gaps() if report.connected else [(0.0, float("inf"))]
    longest = 1000 * max((end - begin for begin, end in gaps), default=0.0)
    return Row(
        fault=fault,
        calls=1,
        gap_median=longest,
        gap_longest=longest,
        lost_calls=int(not report.connected),
        goal=goal,
        met=met,
    )
