"""What the browser tests share: one namespace, one site, one process of each browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import BROWSERS, Browser, launch, sound_server, why_no_browser
from tests.e2e.network import Namespace, why_no_namespace
from tests.e2e.programs import Server
from tests.e2e.site import Site


@pytest.fixture(scope="session")
def namespace() -> Iterator[Namespace]:
    """Where the browsers live."""
    reason = why_no_namespace()
    if reason is not None:
        pytest.skip(f"browser tests need a network namespace: {reason}")
    with Namespace() as namespace:
        yield namespace


@pytest.fixture(scope="session")
def site(namespace: Namespace) -> Iterator[Site]:
    """What the browsers open."""
    with Site(namespace.listener()) as site:
        yield site


@pytest.fixture(scope="session", params=BROWSERS)
def browser(request: pytest.FixtureRequest, namespace: Namespace, site: Site) -> Iterator[Browser]:
    """Each of the browsers, one after the other; every test runs in both."""
    reason = why_no_browser(request.param)
    if reason is not None:
        pytest.skip(reason)
    if request.param == "firefox":
        with sound_server() as environment, launch("firefox", site, namespace, environment) as it:
            yield it
    else:
        with launch(request.param, site, namespace, {}) as it:
            yield it


@pytest.fixture
def relayed(tmp_path: Path, namespace: Namespace) -> Iterator[Server]:
    """A transceiver behind a relay."""
    with Server(tmp_path, namespace.host) as server:
        yield server
        print(server.logs())
