"""Candidates: the RFC 8839 grammar, and the arithmetic of RFC 8445 section 5.1.

A `Candidate` is what one `a=candidate` line or one trickled candidate says. The
parser is total and linear: any text gives a value or `ParseError`. Names
(`.local` and others) are kept as text; nothing here, and nothing in this
library, ever resolves one. Unknown extensions stay in order, so a candidate
survives being parsed and written again.

Called by whoever turns descriptions into candidates (the session) and by the
agent. `is_routable` is the filter of the first: a peer chooses the addresses
its candidates name, so whoever hands them to an agent must first refuse those
that a stranger has no business to have checks sent to.
"""

from __future__ import annotations

import enum
import ipaddress
import zlib
from collections.abc import Iterable
from typing import TypeAlias

import attrs

from rtcproto.datagram import Address
from rtcproto.errors import ParseError

__all__ = [
    "Candidate",
    "CandidateType",
    "advertised_candidates",
    "candidate_address",
    "compute_foundation",
    "compute_priority",
    "host_candidate",
    "is_routable",
    "passive_candidate",
]

# RFC 6544 section 4.2: below every UDP candidate of the host type, whose preference is 126.
_TCP_HOST_PREFERENCE = 99

# RFC 6544 section 4.2: 2^13 times the direction preference (4, passive host), and a single address.
_PASSIVE_PREFERENCE = (4 << 13) + 8191

# What browsers write is below 300 characters; a longer line is refused unread.
MAX_CANDIDATE_LENGTH = 1024
# Chromium writes four extensions (generation, ufrag, network-id, network-cost).
MAX_EXTENSIONS = 16

# RFC 8839 section 5.1: foundation is 1*32ice-char, and ice-char is ALPHA / DIGIT / "+" / "/".
_ICE_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_MAX_FOUNDATION = 32
# RFC 1035: a name has at most 255 octets.
_MAX_HOST = 255

_IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class CandidateType(enum.Enum):
    """The candidate types of RFC 8445 section 5.1.1 as RFC 8839 spells them."""

    HOST = "host"
    SERVER_REFLEXIVE = "srflx"
    PEER_REFLEXIVE = "prflx"
    RELAYED = "relay"


# RFC 8445 section 5.1.2.2: recommended type preferences.
_TYPE_PREFERENCE = {
    CandidateType.HOST: 126,
    CandidateType.PEER_REFLEXIVE: 110,
    CandidateType.SERVER_REFLEXIVE: 100,
    CandidateType.RELAYED: 0,
}


@attrs.frozen(kw_only=True)
class Candidate:
    """One candidate, RFC 8839 section 5.1; `str()` gives `candidate:...` without `a=`.

    `transport` is lower case (`udp`, `tcp`); `host` is an IP address or a name,
    as written; `related` is raddr and rport; `tcptype` is RFC 6544's.
    """

    foundation: str
    component: int
    transport: str
    priority: int
    host: str
    port: int
    type: CandidateType
    related: tuple[str, int] | None = None
    tcptype: str | None = None
    extensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Candidate:
        """The candidate of `[a=][candidate:]foundation component ...`; `ParseError` otherwise."""
        if len(text) > MAX_CANDIDATE_LENGTH:
            raise _error("too long")
        # Trailing blanks are seen in the wild; blanks elsewhere are the grammar's.
        text = text.rstrip("\r\n ").removeprefix("a=").removeprefix("candidate:")
        words = text.split(" ")
        if len(words) < 8 or words[6].lower() != "typ":
            raise _error("not of the form 'foundation component transport priority host port typ'")
        try:
            kind = CandidateType(words[7].lower())
        except ValueError:
            raise _error("unknown candidate type") from None
        position = 8
        related_host: str | None = None
        related_port = 0
        if words[position : position + 1] == ["raddr"] and len(words) > position + 1:
            related_host = _host(words[position + 1])
            position += 2
            if words[position : position + 1] == ["rport"] and len(words) > position + 1:
                related_port = _number(words[position + 1], 65535, "rport")
                position += 2
        rest = words[position:]
        if len(rest) % 2:
            # RFC 8839: an extension's value may be empty, and the line may end in it.
            rest.append("")
        if len(rest) > 2 * MAX_EXTENSIONS:
            raise _error("too many extensions")
        tcptype = None
        extensions = []
        for name, value in zip(rest[::2], rest[1::2], strict=True):
            if not _is_visible(name) or not name or not _is_visible(value):
                raise _error("an extension is not made of visible characters")
            if name == "tcptype" and tcptype is None:
                tcptype = value
            else:
                extensions.append((name, value))
        return cls(
            foundation=_foundation(words[0]),
            component=_number(words[1], 999, "component"),
            transport=_token(words[2]).lower(),
            # 2**31 - 1 by the RFC; the attribute has 32 bits and some stacks use them all.
            priority=_number(words[3], 0xFFFFFFFF, "priority"),
            host=_host(words[4]),
            port=_number(words[5], 65535, "port"),
            type=kind,
            related=None if related_host is None else (related_host, related_port),
            tcptype=tcptype,
            extensions=tuple(extensions),
        )

    def __str__(self) -> str:
        parts = [
            f"candidate:{self.foundation} {self.component} {self.transport}",
            f"{self.priority} {self.host} {self.port} typ {self.type.value}",
        ]
        if self.related is not None:
            parts.append(f"raddr {self.related[0]} rport {self.related[1]}")
        if self.tcptype is not None:
            parts.append(f"tcptype {self.tcptype}")
        parts += [f"{name} {value}" for name, value in self.extensions]
        return " ".join(parts)


def compute_priority(
    kind: CandidateType, *, local_preference: int = 65535, component: int = 1
) -> int:
    """RFC 8445 section 5.1.2.1; 65535 is its local preference for a single address."""
    return (_TYPE_PREFERENCE[kind] << 24) + (local_preference << 8) + (256 - component)


def compute_foundation(
    kind: CandidateType, base_host: str, *, transport: str = "udp", server: str = ""
) -> str:
    """RFC 8445 section 5.1.1.3: equal for equal type, base IP address, protocol and server."""
    # A checksum hides nothing and need not: the line names the address anyway.
    return str(zlib.crc32(f"{kind.value} {transport} {base_host} {server}".encode()))


def host_candidate(
    address: Address, *, local_preference: int = 65535, component: int = 1
) -> Candidate:
    """The UDP host candidate of a bound address."""
    return Candidate(
        foundation=compute_foundation(CandidateType.HOST, address[0]),
        component=component,
        transport="udp",
        priority=compute_priority(
            CandidateType.HOST, local_preference=local_preference, component=component
        ),
        host=address[0],
        port=address[1],
        type=CandidateType.HOST,
    )


def passive_candidate(address: Address) -> Candidate:
    """The TCP passive host candidate of a relay's TCP port (RFC 6544 sections 4.1 and 4.5)."""
    return Candidate(
        foundation=compute_foundation(CandidateType.HOST, address[0], transport="tcp"),
        component=1,
        transport="tcp",
        priority=(_TCP_HOST_PREFERENCE << 24) + (_PASSIVE_PREFERENCE << 8) + 255,
        host=address[0],
        port=address[1],
        type=CandidateType.HOST,
        tcptype="passive",
    )


def advertised_candidates(
    addresses: Iterable[Address], tcp_addresses: Iterable[Address] = ()
) -> tuple[Candidate, ...]:
    """Host candidates of equal priority, each with the TCP ports of its host beside it."""
    waiting = list(tcp_addresses)
    candidates: list[Candidate] = []
    for address in addresses:
        candidates.append(host_candidate(address))
        beside = [tcp for tcp in waiting if tcp[0] == address[0]]
        candidates += map(passive_candidate, beside)
        waiting = [tcp for tcp in waiting if tcp not in beside]
    return (*candidates, *map(passive_candidate, waiting))


def candidate_address(candidate: Candidate) -> Address | None:
    """The address as a socket would report it, or None if `host` is not an IP address.

    Spellings of one address become one (`2001:DB8::0:1`, IPv4-mapped forms), so
    that it can be compared with the source of a datagram.
    """
    ip = _ip_address(candidate.host)
    if ip is None:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip), candidate.port


def is_routable(candidate: Candidate, *, allow_loopback: bool = False) -> bool:
    """Whether checks may be sent to a candidate that a peer named.

    Refused: names, anything but UDP and component 1, port 0, unspecified,
    loopback (unless allowed), link-local, multicast, broadcast and reserved
    addresses, and IPv6 forms that carry such an IPv4 address, or are IPv4-mapped
    at all: `::ffff:127.0.0.1` has slipped through many a filter. Private
    networks are not refused, for that is where host candidates live.
    """
    if candidate.transport != "udp" or candidate.component != 1 or candidate.port == 0:
        return False
    ip = _ip_address(candidate.host)
    return ip is not None and _is_routable_ip(ip, allow_loopback)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291 section 2.5.5.1, deprecated
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")  # RFC 1122 section 3.2.1.3


def _is_routable_ip(ip: _IPAddress, allow_loopback: bool) -> bool:
    if ip.is_loopback:
        return allow_loopback
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        # 240.0.0.0/4 is reserved and holds the broadcast address.
        return not ip.is_reserved and ip not in _THIS_NETWORK
    if ip.ipv4_mapped is not None or ip in _IPV4_COMPATIBLE or ip in _NAT64_LOCAL:
        return False
    if ip.is_site_local or ip.teredo is not None:
        return False
    embedded = ip.sixtofour
    if ip in _NAT64:
        embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    # Translated addresses are how an IPv6-only client names an IPv4 host: fine
    # for a public one, a way round this filter for any other.
    return embedded is None or embedded.is_global


def _ip_address(host: str) -> _IPAddress | None:
    # A scope id (fe80::1%eth0) means something on the peer's machine only.
    if "%" in host:
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _error(reason: str) -> ParseError:
    return ParseError("ice", reason)


def _number(word: str, maximum: int, what: str) -> int:
    # isdigit alone also takes digits of other scripts.
    if not 1 <= len(word) <= 10 or not (word.isascii() and word.isdigit()):
        raise _error(f"{what} is not a number")
    value = int(word)
    if value > maximum:
        raise _error(f"{what} is out of range")
    return value


def _is_visible(word: str) -> bool:
    return all("!" <= character <= "~" for character in word)


def _foundation(word: str) -> str:
    if not 1 <= len(word) <= _MAX_FOUNDATION or not _ICE_CHARS.issuperset(word):
        raise _error("foundation is not 1 to 32 ice-chars")
    return word


def _token(word: str) -> str:
    if not word or not _is_visible(word):
        raise _error("transport is not a token")
    return word


def _host(word: str) -> str:
    if not 1 <= len(word) <= _MAX_HOST or not _is_visible(word):
        raise _error("address is neither an IP address nor a name")
    return word
