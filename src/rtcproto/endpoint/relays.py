"""The proxy header of datagrams that came through a relay: believed or not, and what it says.

Called by `Endpoint` before anything else looks at a datagram. Only the networks of
the configuration are believed; to anybody else the header would lend any address.
"""

from __future__ import annotations

import ipaddress

from rtcproto.datagram import Address
from rtcproto.endpoint.entries import Path
from rtcproto.errors import AuthenticationError
from rtcproto.routing import HeaderCache

__all__ = ["MAX_TRUSTED_HOSTS", "RelayHeaders"]

# Relay hosts remembered as believed, so that their addresses are parsed once.
MAX_TRUSTED_HOSTS = 1024


class RelayHeaders:
    """Reads the headers of the relays in `networks`."""

    __slots__ = ("_headers", "_networks", "_trusted")

    def __init__(self, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> None:
        self._networks = networks
        self._headers = HeaderCache()
        self._trusted: dict[str, bool] = {}

    def path(self, data: bytes, source: Address) -> Path:
        """The client and the public address that the header of `data` names.

        Raises AuthenticationError if `source` is no relay, ParseError for no header.
        """
        trusted = self._trusted.get(source[0])
        if trusted is None:
            trusted = self._is_relay(source[0])
        if not trusted:
            raise AuthenticationError("a proxy header from elsewhere than a relay")
        client, proxy, _ = self._headers.parse(data)
        return client, proxy

    def _is_relay(self, host: str) -> bool:
        # Remembered per host, because parsing an address costs more than all the
        # rest; only hosts that are believed are remembered, so nobody else grows it.
        address = ipaddress.ip_address(host)
        believed = any(address in network for network in self._networks)
        if believed and len(self._trusted) < MAX_TRUSTED_HOSTS:
            self._trusted[host] = True
        return believed
