"""The relays in front of this one: which are believed, and the header that each gets pushed.

A cluster relay trusts what an upstream relay says about clients, so its upstream face is bound to
the private network and only configured networks are listened to. The header pushed in front
of what they send is (client = the upstream relay, proxy = our upstream face): it names the way
back, and the owner returns it unread.

Called by the relay's core per packet. It remembers believed relays only, `MAX_UPSTREAMS` of
them; when full, all are forgotten and learnt anew.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

from rtcproto.datagram import Address
from rtcproto.routing.proxy import encode_header

__all__ = ["MAX_UPSTREAMS", "Upstreams"]

# More than a global tier has workers, each of which sends from a port of its own.
MAX_UPSTREAMS = 4096


class Upstreams:
    """The configured upstream relays, as seen from our `face` towards them (None: no tier)."""

    __slots__ = ("_face", "_headers", "_networks")

    def __init__(
        self, networks: tuple[IPv4Network | IPv6Network, ...], face: Address | None
    ) -> None:
        self._networks = networks
        self._face = face
        self._headers: dict[Address, bytes] = {}

    def header_of(self, relay: Address) -> bytes | None:
        """The header to push in front of what `relay` sends; None if it is not believed."""
        header = self._headers.get(relay)
        if header is not None or self._face is None:
            return header
        ip = ip_address(relay[0])
        if not relay[1] or relay == self._face or not any(ip in net for net in self._networks):
            return None
        header = encode_header(relay, self._face)
        if len(self._headers) >= MAX_UPSTREAMS:
            self._headers.clear()
        self._headers[relay] = header
        return header
