"""The Simple Proxy Protocol header for UDP, between relay and transceiver, both ways.

```text
 0               2                              18                             34      36      38
 | magic 0x56EC  | client address (16 bytes)    | proxy address (16 bytes)     | client| proxy |
 |               | IPv4 as ::ffff:a.b.c.d       |                              |  port |  port |
```

Towards the transceiver it says whom the datagram came from (client) and which
public address of the relay it hit (proxy); on the way back the same pair says
where to send it and from which address. So neither end needs a socket or a table
entry per client. An empty payload behind a header is a release: its sender has
nothing more to do with that client. Each tier of relays adds one header in front
and removes one on the way back.

The first byte, 0x56, belongs to none of the protocols of RFC 7983 that we speak,
so a datagram either starts with a header or does not. Call this before
demultiplexing, and only for datagrams of configured peers on an inside socket:
the header is not authenticated. It refuses short headers, other magics, port 0,
and more than `MAX_DEPTH` headers in a row.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from struct import Struct

from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError

__all__ = [
    "HEADER_SIZE",
    "MAGIC",
    "MAX_CACHED_HEADERS",
    "MAX_DEPTH",
    "HeaderCache",
    "encode_header",
    "has_header",
    "parse_header",
    "parse_headers",
]

# Bytes.
HEADER_SIZE = 38

# The first two bytes, 0x56EC.
MAGIC = b"\x56\xec"

# Two tiers of relays: a global one and one in front of the cluster.
MAX_DEPTH = 2

# Headers remembered by one cache: 16,384 of about 0.5 KB are 8 MB, and cover the
# calls of a busy process. When it is full all are forgotten, at 3 us to learn one anew.
MAX_CACHED_HEADERS = 16_384

_HEADER = Struct("!2s16s16sHH")
_MAPPED = bytes(10) + b"\xff\xff"


def has_header(data: bytes) -> bool:
    """True if a datagram starts like a proxy header (it may still be a truncated one)."""
    return data[:2] == MAGIC


def encode_header(client: Address, proxy: Address) -> bytes:
    """The 38 bytes for a client and the relay's public address.

    UsageError if a host is not an IP address or a port is not in 1..65535.
    """
    for _, port in (client, proxy):
        if not 0 < port < 65536:
            raise UsageError("a port in a proxy header is 1 to 65535")
    return _HEADER.pack(MAGIC, _packed(client[0]), _packed(proxy[0]), client[1], proxy[1])


def parse_header(data: bytes, offset: int = 0) -> tuple[Address, Address, int]:
    """The client, the proxy address and the offset of what follows; ParseError otherwise."""
    if len(data) - offset < HEADER_SIZE:
        raise ParseError("proxy", "truncated header", offset)
    magic, client, proxy, client_port, proxy_port = _HEADER.unpack_from(data, offset)
    if magic != MAGIC:
        raise ParseError("proxy", "no proxy header", offset)
    if not client_port or not proxy_port:
        raise ParseError("proxy", "port 0", offset)
    return (_text(client), client_port), (_text(proxy), proxy_port), offset + HEADER_SIZE


def parse_headers(data: bytes) -> tuple[list[tuple[Address, Address]], int]:
    """All headers in front of a datagram, outermost first, and the offset of the payload.

    The list is empty if there is none. ParseError if one is malformed or if
    there are more than `MAX_DEPTH`.
    """
    headers: list[tuple[Address, Address]] = []
    offset = 0
    while data[offset : offset + 2] == MAGIC:
        if len(headers) == MAX_DEPTH:
            raise ParseError("proxy", "too many headers", offset)
        client, proxy, offset = parse_header(data, offset)
        headers.append((client, proxy))
    return headers, offset


class HeaderCache:
    """Both directions with a memory, for a peer that sees the same headers at every packet.

    Turning sixteen bytes into the text of an address and back costs
    microseconds, a look-up a tenth of one. Bounded by `limit` headers each way;
    when a direction is full it is forgotten as a whole.
    """

    __slots__ = ("_encoded", "_limit", "_parsed")

    def __init__(self, limit: int = MAX_CACHED_HEADERS) -> None:
        self._limit = limit
        self._parsed: dict[bytes, tuple[Address, Address, int]] = {}
        self._encoded: dict[tuple[Address, Address], bytes] = {}

    def parse(self, data: bytes) -> tuple[Address, Address, int]:
        """As `parse_header(data)`."""
        header = data[:38]
        try:
            return self._parsed[header]
        except KeyError:
            parsed = parse_header(data)
        if len(self._parsed) >= self._limit:
            self._parsed.clear()
        self._parsed[header] = parsed
        return parsed

    def encode(self, client: Address, proxy: Address) -> bytes:
        """As `encode_header(client, proxy)`."""
        key = (client, proxy)
        try:
            return self._encoded[key]
        except KeyError:
            header = encode_header(client, proxy)
        if len(self._encoded) >= self._limit:
            self._encoded.clear()
        self._encoded[key] = header
        return header


def _packed(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        raise UsageError("a host in a proxy header is not an IP address") from None
    return _MAPPED + address.packed if address.version == 4 else address.packed


def _text(packed: bytes) -> str:
    if packed.startswith(_MAPPED):
        return f"{packed[12]}.{packed[13]}.{packed[14]}.{packed[15]}"
    return str(IPv6Address(packed))
