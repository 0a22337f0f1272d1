"""Calls from browsers when the network, the relay or somebody on the way is bad."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from rtcproto.testing import LinkConfig
from tests.e2e.browser import Browser, CallReport
from tests.e2e.flood import Flood
from tests.e2e.impairment import Impairment
from tests.e2e.network import Namespace
from tests.e2e.programs import Server
from tests.e2e.test_call import BAR, check

pytestmark = pytest.mark.browser

# Each way: 40 ms +- 10, one datagram in 33 lost, one in 50 overtaken by the next two.
BAD = LinkConfig(delay=0.04, jitter=0.01, loss=0.03, reorder=0.02, reorder_delay=0.05)

# Of 100 packets 6 are lost on the two ways together, and a browser that conceals one also
# bends the beginning of the next: about 88 windows in 100 are left. In-band FEC, which would
# bring some of them back, is made by the sender for what the *first* way loses only.
BAD_BAR = 0.75

# Seconds until the audio is back after the relay was killed and started again: a client
# shows itself to the new relay with its next check, every 2.5 s in Chromium and up to 6 s
# in Firefox (consent, RFC 7675: 5 s +- 20 %), and a program takes its time to start.
RESUME = 9.0

# A certificate that nobody has.
OTHER_FINGERPRINT = ("a=fingerprint:sha-256 ..:..:..", "a=fingerprint:sha-256 00:11:22")


def test_call_over_a_bad_network(browser: Browser, namespace: Namespace, tmp_path: Path) -> None:
    """Loss, jitter, delay and reordering cost what they must and no more."""
    with ExitStack() as stack:
        # The path to the relay leads through the bad network, so that is what the answer names.
        reserved = Server(tmp_path, namespace.host)
        bad = stack.enter_context(Impairment(namespace.host, reserved.public, BAD, seed=7))
        reserved.advertised = bad.address
        server = stack.enter_context(reserved)
        report = browser.call(server.url, seconds=10)
        check(browser, report, BAD_BAR)
        assert report.remote() == bad.address
        assert bad.up.stats.lost > 5
        assert bad.down.stats.lost > 5
        assert bad.up.stats.reordered > 0


def test_relay_killed_and_started_again(browser: Browser, relayed: Server) -> None:
    """The audio comes back by itself: the relay keeps nothing that it cannot learn again."""
    calls = browser.start_calls(relayed.url, seconds=16)
    calls.wait_connected()
    time.sleep(3.0)
    relayed.kill_relay()
    relayed.start_relay()
    report = calls.reports()[0]
    found = report.find()
    gap = max(found.gaps(), key=lambda gap: gap[1] - gap[0])
    print(f"{browser.name}: {gap[1] - gap[0]:.1f} s without audio; {found}")
    assert gap[1] - gap[0] > 0.1, "the relay was not missed at all"
    assert gap[1] - gap[0] < RESUME
    # Half a second for the jitter buffer to find its depth again.
    assert found.share_from(gap[1] + 0.5) >= BAR
    assert "failed" not in report.states


def test_wrong_fingerprint_in_the_answer(browser: Browser, relayed: Server) -> None:
    """A browser that was told of another certificate does not talk to us."""
    report = browser.call(relayed.url, seconds=2, timeout=6, answer=OTHER_FINGERPRINT)
    no_media(report)


def test_wrong_fingerprint_in_the_offer(browser: Browser, relayed: Server) -> None:
    """We do not talk to a browser whose certificate is not the one that was offered."""
    report = browser.call(relayed.url, seconds=2, timeout=6, offer=OTHER_FINGERPRINT)
    no_media(report)
    log = relayed.transceiver.output()
    assert "connected," not in log
    assert "certificate is not the one" in log


def test_junk_flood_while_a_call_runs(
    browser: Browser, relayed: Server, namespace: Namespace
) -> None:
    """2,000 datagrams of junk per second at the relay's public port do not hurt a call."""
    calls = browser.start_calls(relayed.url, seconds=6)
    calls.wait_connected()
    with ExitStack() as stack:
        sockets = [stack.enter_context(namespace.udp_socket()) for _ in range(20)]
        for sock in sockets:
            sock.setblocking(False)
        flood = stack.enter_context(Flood(sockets, relayed.public, seed=11))
        time.sleep(6.0)
    report = calls.reports()[0]
    check(browser, report)
    print(f"{browser.name}: {flood.sent} datagrams of junk")
    assert flood.sent > 8000


def no_media(report: CallReport) -> None:
    """The call did not come about, and nothing was heard."""
    assert report.status == 201
    assert not report.connected
    assert report.stat("inbound-rtp").get("packetsReceived", 0) == 0
    assert not report.recording.any()
