"""The demonstration's page works in both browsers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import Browser
from tests.e2e.network import Namespace
from tests.e2e.programs import Server

pytestmark = pytest.mark.browser


def use(browser: Browser, server: Server, path: str, seconds: float) -> dict[str, Any]:
    """Open the page, let it call for a while, hang up; what was seen."""
    browser.site.upstream = server.url
    browser.site.forwarded.clear()
    job = browser.site.submit(browser.name, {"kind": "page", "path": path, "seconds": seconds})
    report: dict[str, Any] = job.result(60)
    return report


@pytest.mark.parametrize("source", ["tone", "speech", "microphone"])
def test_page_calls_by_itself(browser: Browser, relayed: Server, source: str) -> None:
    """The page loads cleanly, calls, shows set-up, levels and network, and hangs up."""
    report = use(browser, relayed, f"/?source={source}&auto=1", 3.0)
    print(browser.name, report)
    assert report["state"] == "connected", report
    assert report["problems"] == []
    assert report["error"] == ""
    assert all(status < 400 for _, _, status in browser.site.forwarded), browser.site.forwarded
    assert all(phase.endswith(" ms") for phase in report["phases"])
    assert report["remote"] == "{}:{} (udp)".format(*relayed.public)
    sent, received = report["packets"]
    assert sent > 50
    assert received > 0.9 * sent
    # Both meters moved; a fake microphone beeps once a second and is silent in between.
    if source != "microphone":
        assert min(report["levels"]) > -50
    assert report["rtt"].endswith(" ms")
    assert report["after"] == "idle"
    relayed.wait_for_no_sessions()


def test_page_shows_why_a_call_was_refused(
    browser: Browser, namespace: Namespace, tmp_path: Path
) -> None:
    """The server's own message is what the person reads."""
    with Server(tmp_path, namespace.host, max_sessions=0) as server:
        report = use(browser, server, "/?source=tone&auto=1", 0.2)
    assert report["state"] == "failed"
    assert report["error"].startswith("The server refused the call: ")
    assert report["problems"] == []
