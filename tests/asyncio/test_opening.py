"""Opening an endpoint: the only code that binds a socket. Real sockets, so marked live."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from rtcproto import EndpointConfig, Identity, SessionConfig, UsageError
from rtcproto.asyncio import open_endpoint
from rtcproto.testing import UNIX_TIME

pytestmark = pytest.mark.live


def config(host: str = "127.0.0.1") -> EndpointConfig:
    """A client whose port is not known before the socket is bound."""
    session = SessionConfig(
        identity=Identity.generate(UNIX_TIME), addresses=((host, 0),), ice_lite=False
    )
    return EndpointConfig(session=session)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_advertises_the_bound_port(host: str) -> None:
    """The offer names the port that the socket got, for both families."""

    async def run() -> None:
        driver = await open_endpoint(config(host), (host, 0))
        try:
            _, offer = driver.create_offer()
            assert driver.address[1] > 0
            assert f" {host} {driver.address[1]} typ host" in offer
        finally:
            driver.close()

    asyncio.run(run())


def test_port_in_use_is_an_error_at_once() -> None:
    """The caller hears of it, and no socket is left open."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="in use"):
            asyncio.run(open_endpoint(config(), taken.getsockname()))


@pytest.mark.parametrize(
    "bind",
    [("127.0.0.1", 99999), ("[::1]", 0), ("localhost", 0), "127.0.0.1", None, ("127.0.0.1", "0")],
)
def test_what_is_no_address_is_refused(bind: Any) -> None:
    """One sentence instead of whatever the socket module says."""
    with pytest.raises(UsageError, match="bind must"):
        asyncio.run(open_endpoint(config(), bind))


def test_other_arguments_are_checked() -> None:
    """Settings of the other kind, and a tick that runs backwards."""
    session: Any = config().session
    with pytest.raises(UsageError, match="EndpointConfig"):
        asyncio.run(open_endpoint(session, ("127.0.0.1", 0)))
    with pytest.raises(UsageError, match="drain_tick"):
        asyncio.run(open_endpoint(config(), ("127.0.0.1", 0), drain_tick=-1.0))
