"""A running transceiver: one UDP socket for all calls, one HTTP server for their offers."""

from __future__ import annotations

import socket
import time
from types import TracebackType
from typing import Self

from aiohttp import web

from examples.page import page_routes
from examples.tls import self_signed_context
from examples.transceiver.callid import CallId
from examples.transceiver.echo import Echo
from examples.transceiver.settings import Settings
from examples.transceiver.signalling import Signalling
from examples.webserver import WebServer
from rtcproto import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.asyncio import Driver, open_endpoint
from rtcproto.datagram import Address
from rtcproto.dtls import Identity

__all__ = ["Transceiver"]


class Transceiver:
    """`async with Transceiver(settings) as transceiver:` serves until the block ends.

    Raises OSError if an address cannot be bound.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._driver: Driver | None = None
        self._web: WebServer | None = None

    @property
    def driver(self) -> Driver:
        """The driver of the endpoint, while serving."""
        if self._driver is None:
            raise RuntimeError("the transceiver is not running")
        return self._driver

    async def __aenter__(self) -> Self:
        settings = self.settings
        self._driver = await open_endpoint(endpoint_config(settings), settings.udp)
        application = web.Application()
        owner = CallId(settings.cluster, settings.owner, settings.epoch, "")
        application.add_routes(Signalling(self._driver, owner, Echo(owner)).routes())
        application.add_routes([web.get("/healthz", self._health)])
        if settings.page:
            application.add_routes(page_routes())
        self._web = WebServer(application)
        try:
            context = self_signed_context(settings.http[0]) if settings.tls else None
            await self._web.start(_bound(settings.http), context)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The calls' farewells wait for open HTTP connections, a second at most.
        if self._web is not None:
            await self._web.close()
        if self._driver is not None:
            self._driver.close()

    async def _health(self, request: web.Request) -> web.Response:
        stats = self.driver.endpoint.endpoint_stats()
        return web.json_response({"sessions": stats.sessions, "connecting": stats.connecting})


def _bound(where: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    return socket.create_server(where, family=family)


def endpoint_config(settings: Settings) -> EndpointConfig:
    """The library's configuration for these settings."""
    routing = None
    if settings.codec is not None:
        routing = RoutingConfig(
            codec=settings.codec,
            cluster=settings.cluster,
            owner=settings.owner,
            epoch=settings.epoch,
        )
    return EndpointConfig(
        session=SessionConfig(
            identity=Identity.generate(time.time()),
            addresses=settings.advertise,
            setup=settings.setup,
        ),
        routing=routing,
        relays=settings.relays,
        max_sessions=settings.max_sessions,
        max_connecting=settings.max_connecting,
    )
