"""Addresses and datagrams, the only things the library exchanges with a network.

An `Address` is exactly what `socket.recvfrom` gave, cut to two fields: the
textual IP address and the port. The shell normalises it once (IPv4-mapped
IPv6 addresses become IPv4, scope ids are dropped); inside the library it is
compared and hashed, never resolved.
"""

from __future__ import annotations

from typing import TypeAlias

from rtcproto._attrs import wire

__all__ = ["MAX_DATAGRAM_IN", "MAX_DATAGRAM_OUT", "Address", "Datagram", "normalise"]

# What we accept in one datagram, bytes of UDP payload. Larger ones are dropped:
# nothing we negotiate needs more, and it bounds every copy made of one.
MAX_DATAGRAM_IN = 2048

# What we send in one datagram, bytes of UDP payload (the browsers' own figure).
MAX_DATAGRAM_OUT = 1200

Address: TypeAlias = tuple[str, int]


@wire
class Datagram:
    """One UDP payload to send.

    `source` is the local address it must leave from (behind a relay: the
    relay's public address the client talks to); None where there is only one.
    """

    data: bytes
    destination: Address
    source: Address | None = None

    def __repr__(self) -> str:
        return f"Datagram({len(self.data)} bytes, {self.destination}, {self.source})"


def normalise(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """The `Address` of a socket address: no scope id, IPv4-mapped shown as IPv4."""
    host = sockaddr[0]
    if ":" in host:
        host = host.partition("%")[0]
        if host.lower().startswith("::ffff:") and "." in host:
            host = host[7:]
    return host, sockaddr[1]
