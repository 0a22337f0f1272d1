"""Chromium on a host of its own, with relays that go silent and a network without UDP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.browser import Browser
from tests.faults.chromium import (
    BEFORE,
    MOVE,
    black_holed,
    chromium,
    over_tcp,
    why_no_chromium,
)
from tests.faults.fabric import why_no_fabric
from tests.faults.town import Town

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two relays in front of two transceivers."""
    reason = why_no_fabric() or why_no_chromium()
    if reason is not None:
        pytest.skip(reason)
    with Town(tmp_path_factory.mktemp("town"), relays=2) as town:
        yield town


@pytest.fixture(scope="module")
def browser(town: Town) -> Iterator[Browser]:
    """Chromium on the clients' host."""
    with chromium(town) as browser:
        yield browser


def test_the_call_moves_when_its_relay_is_black_holed(town: Town, browser: Browser) -> None:
    """Both relays are in the answer; Chromium leaves the silent one without an ICE restart."""
    report, dead = black_holed(town, browser)
    assert report.connected
    assert report.remote()[0] != dead
    assert report.remote()[0] in [host.address for host in town.relay_hosts]
    found = report.find()
    assert found.share_from(BEFORE + MOVE) > 0.9, (str(found), found.gaps())
    assert "failed" not in report.states


def test_a_call_is_made_over_tcp_where_udp_is_swallowed(town: Town, browser: Browser) -> None:
    """Datagrams vanish without a word; the relay's TCP port takes the call."""
    report = over_tcp(town, browser)
    assert report.connected, report.states
    assert report.remote() in town.tcp
    assert report.find().share > 0.9
