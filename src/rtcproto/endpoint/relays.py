"""The proxy headers of datagrams that came through relays: believed or not, and what they say.

Called by `Endpoint` before anything else looks at a datagram. Only the networks of
the configuration are believed; to anybody else the header would lend any address. Behind
two tiers of relays there are two headers: the outer one names the relay in front of the
one that sent it, and both must be relays of ours. The innermost client is the client.
"""

from __future__ import annotations

import ipaddress

from rtcproto.datagram import Address
from rtcproto.endpoint.entries import Path
from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.routing import HEADER_SIZE, HeaderCache, has_header

__all__ = ["MAX_TRUSTED_HOSTS", "RelayHeaders"]

# Relay hosts remembered as believed, so that their addresses are parsed once.
MAX_TRUSTED_HOSTS = 1024


class RelayHeaders:
    """Reads and takes off the headers of the relays in `networks`."""

    __slots__ = ("_headers", "_networks", "_trusted")

    def __init__(self, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> None:
        self._networks = networks
        self._headers = HeaderCache()
        self._trusted: dict[str, bool] = {}

    def strip(self, data: bytes, source: Address) -> tuple[Path, bytes, bytes]:
        """The path that the headers of `data` name, the headers, and what is behind them.

        Answers go to `source` behind the same headers. Raises AuthenticationError if `source`, or
        the relay that an outer header names, is none of ours; ParseError for a malformed
        header, or a third.
        """
        self._check(source[0])
        client, proxy, _ = self._headers.parse(data)
        payload = data[HEADER_SIZE:]
        if not has_header(payload):
            return (client, proxy), data[:HEADER_SIZE], payload
        self._check(client[0])
        client, proxy, _ = self._headers.parse(payload)
        if has_header(payload[HEADER_SIZE:]):
            raise ParseError("proxy", "too many headers", 2 * HEADER_SIZE)
        return (client, proxy), data[: 2 * HEADER_SIZE], payload[HEADER_SIZE:]

    def _check(self, host: str) -> None:
        trusted = self._trusted.get(host)
        if trusted is None:
            trusted = self._is_relay(host)
        if not trusted:
            raise AuthenticationError("a proxy header from elsewhere than a relay")

    def _is_relay(self, host: str) -> bool:
        # Remembered per host, because parsing an address costs more than all the
        # rest; only hosts that are believed are remembered, so nobody else grows it.
        address = ipaddress.ip_address(host)
        believed = any(address in network for network in self._networks)
        if believed and len(self._trusted) < MAX_TRUSTED_HOSTS:
            self._trusted[host] = True
        return believed
