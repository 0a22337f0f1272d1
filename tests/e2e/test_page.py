"""The demonstration's page works in both browsers."""

from __future__ import annotations

import socket
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rtcproto import Identity, Session, SessionConfig
from tests.e2e.browser import Browser
from tests.e2e.network import Namespace
from tests.e2e.process import Process
from tests.e2e.programs import Server, free_port

pytestmark = pytest.mark.browser


def use(
    browser: Browser, url: str, path: str, seconds: float, converse: bool = False
) -> dict[str, Any]:
    """Open the page, let it call for a while, hang up; what was seen."""
    browser.site.upstream = url
    order = {"kind": "page", "path": path, "seconds": seconds, "converse": converse}
    job = browser.site.submit(browser.name, order)
    report: dict[str, Any] = job.result(60)
    return report


@pytest.mark.parametrize("source", ["tone", "speech", "microphone"])
def test_page_calls_by_itself(browser: Browser, relayed: Server, source: str) -> None:
    """The page loads cleanly, calls, shows set-up, levels and network, and hangs up."""
    browser.site.forwarded.clear()
    report = use(browser, relayed.url, f"/?source={source}&answer=echo&auto=1", 3.0)
    print(browser.name, report)
    assert report["state"] == "connected", report
    assert report["problems"] == []
    assert report["error"] == ""
    assert all(answer < 400 for _, _, answer in browser.site.forwarded), browser.site.forwarded
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


def test_page_holds_a_conversation(browser: Browser, namespace: Namespace, tmp_path: Path) -> None:
    """Speech is answered; the first answer is interrupted by voice, the second by a button."""
    with Server(tmp_path, namespace.host, backend="parrot") as server:
        report = use(browser, server.url, "/?source=speech&auto=1", 0.3, converse=True)
    print(browser.name, report)
    assert report["state"] == "connected"
    assert report["problems"] == []
    assert report["error"] == ""
    assert report["interruptions"] == "2"
    assert report["latency"].endswith(" ms")
    assert [who for who, _, _ in report["turns"]] == ["You", "Answer", "You", "Answer"]
    for who, _, what in report["turns"]:
        assert (" s" in what) if who == "You" else what.startswith("interrupted after "), what


def test_page_shows_why_a_call_was_refused(
    browser: Browser, namespace: Namespace, tmp_path: Path
) -> None:
    """The server's own message is what the person reads."""
    with Server(tmp_path, namespace.host, max_sessions=1) as server:
        occupy(server)
        report = use(browser, server.url, "/?source=tone&auto=1", 0.2)
    assert report["state"] == "failed"
    assert report["error"].startswith("The server refused the call: ")
    assert report["status"] == "The call was refused."
    assert report["problems"] == []


def test_page_says_that_the_server_ended_the_call(
    browser: Browser, namespace: Namespace, tmp_path: Path
) -> None:
    """A server that is stopped says goodbye, and the page does not wait for a time-out."""
    with Server(tmp_path, namespace.host) as server:
        browser.site.upstream = server.url
        order = {"kind": "page", "path": "/?source=tone&answer=echo&auto=1", "seconds": 3.0}
        job = browser.site.submit(browser.name, order)
        job.wait_for("called", 30)
        server.transceiver.interrupt()
        report = job.result(60)
    assert report["state"] == "connected"
    assert report["error"] == "The server ended the call."


def test_page_does_not_know_a_source(
    browser: Browser, namespace: Namespace, tmp_path: Path
) -> None:
    """A source that does not exist is said; another one is not taken in its place."""
    with Server(tmp_path, namespace.host) as server:
        report = use(browser, server.url, "/?source=piano&auto=1", 0.2)
    assert report["state"] == "failed"
    assert '"piano"' in report["error"]


def test_page_of_the_demonstration(browser: Browser, namespace: Namespace, tmp_path: Path) -> None:
    """As `make demo` runs it: the front door serves the page, its calls reach a transceiver.

    Two calls reach both transceivers; hanging up finds the owner of the call.
    """
    browser.site.forwarded.clear()
    http = f"{namespace.host}:{free_port(namespace.host, socket.SOCK_STREAM)}"
    relay = (namespace.host, free_port(namespace.host))
    command = [sys.executable, "examples/demo.py", "--http", http]
    command += ["--relay", "{}:{}".format(*relay), "--transceivers", "2"]
    # What it makes for itself goes with the folder of the test.
    folder = {"TMPDIR": str(tmp_path)}
    with Process(command, tmp_path / "demo.log", folder) as demo:
        demo.wait_for(f"ready http://{http}")
        for _ in range(2):
            report = use(browser, f"http://{http}", "/?source=speech&answer=echo&auto=1", 2.0)
            assert report["state"] == "connected", (report, demo.output())
            assert report["remote"] == "{}:{} (udp)".format(*relay)
            assert min(report["levels"]) > -50
            assert report["problems"] == []
            assert report["after"] == "idle"
        deletes = [entry for entry in browser.site.forwarded if entry[0] == "DELETE"]
        assert [status for _, _, status in deletes] == [200, 200]
        assert len({path.split(".")[1] for _, path, _ in deletes}) == 2, "one owner took both"


def occupy(server: Server) -> None:
    """Take one of the server's places."""
    config = SessionConfig(
        identity=Identity.generate(time.time()), addresses=(("192.0.2.1", 9),), ice_lite=False
    )
    offer = Session(config, time.time(), 0.0).create_offer(0.0)
    request = urllib.request.Request(
        f"{server.url}/v1/realtime/calls",
        data=offer.encode(),
        headers={"Content-Type": "application/sdp"},
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        assert response.status == 201
