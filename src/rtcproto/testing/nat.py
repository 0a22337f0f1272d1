"""A network address translator in the terms of RFC 4787.

Mapping (section 4.1) and filtering (section 5) are chosen apart, each
endpoint-independent, address-dependent or address-and-port-dependent. Mappings
expire after `expiry` seconds without an *outbound* packet (section 4.3: "A NAT
UDP mapping timer MUST NOT expire in less than two minutes", which many break).
`rebind()` is what a reboot or a change of network does to a call: every mapping
is forgotten and later ones get other ports, or another public host.

Not modelled: hairpinning (section 6), port parity and contiguity (section 4.2).
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from rtcproto.datagram import Address

__all__ = ["Behaviour", "Nat"]

# The dynamic ports; the first mapping gets the first of them.
FIRST_PORT = 49152
LAST_PORT = 65535

_Key: TypeAlias = tuple[Address, str | Address | None]


class Behaviour(enum.Enum):
    """RFC 4787 section 4.1 and 5: what a mapping, or a permission, depends on."""

    ENDPOINT_INDEPENDENT = "the internal address and port alone"
    ADDRESS_DEPENDENT = "also the external address"
    ADDRESS_AND_PORT_DEPENDENT = "also the external address and port"

    def key(self, external: Address) -> str | Address | None:
        """The part of `external` that matters under this behaviour."""
        match self:
            case Behaviour.ENDPOINT_INDEPENDENT:
                return None
            case Behaviour.ADDRESS_DEPENDENT:
                return external[0]
            case Behaviour.ADDRESS_AND_PORT_DEPENDENT:
                return external


@attrs.define
class _Mapping:
    internal: Address
    key: _Key
    expires: float
    # External endpoints that were written to, reduced to what filtering looks at.
    permitted: set[str | Address | None] = attrs.field(factory=set)


class Nat:
    """Translates the addresses of the hosts behind it to ports of `public_host`."""

    __slots__ = ("_by_key", "_by_port", "_next_port", "expiry", "filtering", "mapping", "public")

    def __init__(
        self,
        public_host: str,
        mapping: Behaviour = Behaviour.ENDPOINT_INDEPENDENT,
        filtering: Behaviour = Behaviour.ADDRESS_AND_PORT_DEPENDENT,
        expiry: float = 120.0,
    ) -> None:
        self.public = public_host
        self.mapping = mapping
        self.filtering = filtering
        self.expiry = expiry
        self._by_key: dict[_Key, int] = {}
        self._by_port: dict[int, _Mapping] = {}
        self._next_port = FIRST_PORT

    def outbound(self, source: Address, destination: Address, now: float) -> Address:
        """The public source of a datagram from inside; makes or refreshes its mapping."""
        key = (source, self.mapping.key(destination))
        port = self._by_key.get(key)
        if port is None or self._by_port[port].expires <= now:
            if port is not None:
                del self._by_port[port]
            port = self._new_port()
            self._by_key[key] = port
            self._by_port[port] = _Mapping(source, key, 0.0)
        entry = self._by_port[port]
        entry.expires = now + self.expiry
        entry.permitted.add(self.filtering.key(destination))
        return self.public, port

    def inbound(self, source: Address, destination: Address, now: float) -> Address | None:
        """The internal destination of a datagram from outside, or None: it is filtered."""
        entry = self._by_port.get(destination[1])
        if destination[0] != self.public or entry is None or entry.expires <= now:
            return None
        if self.filtering.key(source) not in entry.permitted:
            return None
        return entry.internal

    def rebind(self, public_host: str | None = None) -> None:
        """Forget every mapping; what comes next leaves from other ports (or another host)."""
        self._by_key.clear()
        self._by_port.clear()
        if public_host is not None:
            self.public = public_host

    def _new_port(self) -> int:
        if len(self._by_port) > LAST_PORT - FIRST_PORT:
            raise RuntimeError("the NAT has no port left")
        while self._next_port in self._by_port:
            self._advance()
        port = self._next_port
        self._advance()
        return port

    def _advance(self) -> None:
        self._next_port = FIRST_PORT if self._next_port == LAST_PORT else self._next_port + 1
