"""Browsers hear their own audio, through the relay and without it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, CallReport
from tests.e2e.network import Namespace
from tests.e2e.programs import Server, free_port

pytestmark = pytest.mark.browser

# The share of 20 ms windows that must come back.
BAR = 0.95


def check(browser: Browser, report: CallReport, bar: float = BAR) -> None:
    """The call connected and its audio came back."""
    assert report.connected, report.states
    found = report.find()
    print(f"{browser.name}: {found}")
    assert found.share >= bar, (str(found), found.gaps())


def test_call_through_the_relay(browser: Browser, relayed: Server, namespace: Namespace) -> None:
    """The signal comes back by way of the relay, which cannot be bypassed."""
    report = browser.call(relayed.url, seconds=8)
    check(browser, report)
    assert report.remote() == relayed.public
    assert "a=ice-lite" in report.answer
    for host in (namespace.host, "127.0.0.1"):
        assert not reachable(namespace, (host, relayed.udp[1])), "the transceiver's own port"


def test_call_over_tcp_where_udp_leads_nowhere(
    browser: Browser, namespace: Namespace, tmp_path: Path
) -> None:
    """The UDP port that is advertised does not answer; the call takes the relay's TCP port."""
    dead = free_port(namespace.host)
    with Server(tmp_path, namespace.host, tcp=True, advertise_port=dead) as server:
        report = browser.call(server.url, seconds=5)
        check(browser, report)
        assert report.remote() == server.tcp
        assert f" {dead} typ host" in report.answer
        server.wait_for_no_sessions()


def test_another_signal_is_not_what_came_back(browser: Browser, relayed: Server) -> None:
    """Negative control: a signal that was not played is not found in a real recording."""
    report = browser.call(relayed.url, seconds=4)
    check(browser, report)
    assert report.find(seed=report.seed + 1000).share < 0.1


def test_hanging_up_ends_the_call_on_the_server(browser: Browser, relayed: Server) -> None:
    """DELETE on the Location is answered with 200, and the session is gone."""
    report = browser.call(relayed.url, seconds=1)
    assert report.deleted == 200
    assert relayed.health()["sessions"] == 0


@pytest.mark.parametrize(
    ("relay", "setup"), [(False, "active"), (False, "passive"), (True, "passive")]
)
def test_call_without_relay_and_in_either_dtls_role(
    browser: Browser, namespace: Namespace, tmp_path: Path, relay: bool, setup: str
) -> None:
    """The transceiver serves clients by itself as well, as DTLS client and as DTLS server."""
    with Server(tmp_path, namespace.host, relay=relay, setup=setup) as server:
        report = browser.call(server.url, seconds=4)
        check(browser, report)
        assert report.remote() == server.public
        assert f"a=setup:{setup}" in report.answer
        # webrtc-stats: the role of the browser.
        expected = "server" if setup == "active" else "client"
        assert report.stat("transport").get("dtlsRole", expected) == expected


def test_several_calls_at_once(browser: Browser, relayed: Server) -> None:
    """Four calls from one page, each hears its own signal and no other."""
    calls = browser.start_calls(relayed.url, seconds=5, count=4)
    calls.wait_connected()
    assert relayed.health()["sessions"] == 4
    reports = calls.reports()
    for report in reports:
        check(browser, report)
    for report, other in pairwise(reports):
        assert report.find(seed=other.seed).share < 0.1


def reachable(namespace: Namespace, address: tuple[str, int]) -> bool:
    """Whether somebody in the browser's namespace finds a UDP port open there."""
    with namespace.udp_socket() as sock:
        sock.settimeout(1.0)
        sock.connect(address)
        sock.send(b"anybody here?")
        try:
            sock.recv(1)
        except ConnectionRefusedError:
            return False
        except TimeoutError:
            return True
    return True
