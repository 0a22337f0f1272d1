"""A running transceiver: one UDP socket for all calls, one HTTP server for their offers."""

from __future__ import annotations

import asyncio
import socket
import time
from types import TracebackType
from typing import Self

from aiohttp import web

from examples.page import page_routes
from examples.tls import self_signed_context
from examples.transceiver.auth import Authority
from examples.transceiver.backends import BACKENDS, BY_MODEL
from examples.transceiver.callid import CallId
from examples.transceiver.calls import Calls
from examples.transceiver.desk import Desk
from examples.transceiver.owners import Owners
from examples.transceiver.realtime.decode import MAX_CHANNEL_EVENT
from examples.transceiver.register import Register
from examples.transceiver.responses import json_errors
from examples.transceiver.sessions import check_session
from examples.transceiver.settings import Settings
from examples.transceiver.sideband import SideBand
from examples.transceiver.signalling import Signalling
from examples.transceiver.whip import Whip
from examples.webserver import WebServer
from rtcproto import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.asyncio import Driver, open_endpoint
from rtcproto.datagram import Address
from rtcproto.dtls import Identity
from rtcproto.sctp import SctpConfig

__all__ = ["Transceiver"]

# Seconds between two looks at whether the last call has ended.
DRAIN_POLL = 0.1


class Transceiver:
    """`async with Transceiver(settings) as transceiver:` serves until the block ends.

    Raises OSError if an address cannot be bound.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._driver: Driver | None = None
        self._calls: Calls | None = None
        self._desk: Desk | None = None
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
        owner = CallId(settings.cluster, settings.owner, settings.epoch, "")
        factory = BACKENDS[settings.backend](settings)
        self._calls = calls = Calls(self._driver, owner, factory, by_model=BY_MODEL)
        self._desk = desk = Desk(
            calls=calls,
            owner=owner,
            authority=Authority(settings.api_keys),
            register=Register(calls, settings.limits),
            check=check_session,
            owners=Owners(owner, settings.peers),
            proxies=settings.proxies,
            regions=settings.regions,
            region_header=settings.region_header,
            relays=[host for host, _ in settings.advertise],
        )
        application = web.Application(middlewares=[json_errors])
        for routes in (Signalling(desk), SideBand(desk), Whip(desk)):
            application.add_routes(routes.routes())
        application.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/livez", self._live),
                web.get("/readyz", self._ready),
            ]
        )
        if settings.page:
            application.add_routes(page_routes())
        self._web = WebServer(application)
        try:
            await desk.owners.hop.start()
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
        # The calls first, while there are side bands that can be told; no new ones meanwhile.
        if self._desk is not None:
            self._desk.draining = True
        if self._driver is not None:
            self._driver.close()
        if self._web is not None:
            await self._web.close()
        if self._calls is not None:
            await self._calls.close()
        if self._desk is not None:
            await self._desk.owners.hop.close()

    async def drain(self) -> None:
        """Take no more calls; return when those there are have ended, or had their time."""
        if self._desk is None:
            raise RuntimeError("the transceiver is not running")
        self._desk.draining = True
        deadline = asyncio.get_running_loop().time() + self.settings.drain_timeout
        while self.driver.endpoint.endpoint_stats().sessions:
            if asyncio.get_running_loop().time() >= deadline:
                return
            await asyncio.sleep(DRAIN_POLL)

    async def _health(self, request: web.Request) -> web.Response:
        stats = self.driver.endpoint.endpoint_stats()
        calls = {} if self._calls is None else self._calls.stats()
        return web.json_response(
            {"sessions": stats.sessions, "connecting": stats.connecting, "voice": calls}
        )

    async def _live(self, request: web.Request) -> web.Response:
        # That it answers is the answer.
        return web.json_response({"live": True})

    async def _ready(self, request: web.Request) -> web.Response:
        # A full transceiver is ready: the side bands of its calls come here, too.
        ready = self._desk is not None and not self._desk.draining
        return web.json_response({"ready": ready}, status=200 if ready else 503)


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
            tcp_addresses=settings.advertise_tcp,
            setup=settings.setup,
            sctp=SctpConfig(max_message_size=MAX_CHANNEL_EVENT),
        ),
        routing=routing,
        relays=settings.relays,
        max_sessions=settings.max_sessions,
        max_connecting=settings.max_connecting,
    )
