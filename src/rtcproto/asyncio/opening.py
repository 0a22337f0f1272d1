"""Binds a socket and starts a driver on it."""

from __future__ import annotations

import socket
import sys
import time

import attrs

from rtcproto.asyncio.driver import DRAIN_TICK, Driver
from rtcproto.config import EndpointConfig, check_address
from rtcproto.datagram import Address
from rtcproto.endpoint import Endpoint
from rtcproto.errors import UsageError

__all__ = ["open_endpoint"]

# The receive buffer asked of the kernel, bytes: half a second of 1,000 calls.
RECEIVE_BUFFER = 4 << 20

# Linux's ip(7); the socket module has no names for them before Python 3.14.
IP_MTU_DISCOVER = 10
IP_PMTUDISC_DONT = 0


async def open_endpoint(
    config: EndpointConfig, bind: Address, *, drain_tick: float = DRAIN_TICK
) -> Driver:
    """Bind a UDP socket to `bind` (an IP address; port 0 for any) and drive an endpoint on it.

    Where the sessions' `addresses` have port 0, the bound port is advertised.
    Raises UsageError for what is no such address or a `drain_tick` below 0, and
    OSError if the address cannot be bound.
    """
    if not isinstance(config, EndpointConfig):
        raise UsageError("config must be an instance of EndpointConfig")
    check_address(bind, "bind")
    if not drain_tick >= 0:
        raise UsageError("drain_tick must be a number of seconds, 0 at least")
    host, port = bind
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if sys.platform == "linux" and sock.family == socket.AF_INET:
            # A relay's header can make a handshake datagram exceed a link's MTU.
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        sock.bind((host, port))
        config = _with_port(config, sock.getsockname()[1])
        endpoint = Endpoint(config, time.time(), time.monotonic())
    except BaseException:
        sock.close()
        raise
    return Driver(endpoint, sock, drain_tick)


def _with_port(config: EndpointConfig, port: int) -> EndpointConfig:
    # A client learns its port by binding the socket, and then it is too late to say so.
    addresses = tuple((host, named or port) for host, named in config.session.addresses)
    return attrs.evolve(config, session=attrs.evolve(config.session, addresses=addresses))
