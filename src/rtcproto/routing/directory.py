"""The directory: which address serves `(cluster, owner)`, and in which epoch.

A routing token is an index into this list and never an address, so the list is
all that a relay can be made to send to. Therefore it is vetted when it is made:
special addresses are refused unless a network that contains them is named, and the
relay's own addresses are refused always (it would send to itself for ever). Host
names are refused: nothing in the library resolves names.

Text form, one entry per line, as on the command line of the relay:

```text
# cluster/owner=address[@epoch]
0/1=10.0.0.7:9000@3
0/2=[2001:db8::7]:9000
# cluster/*=address, for all other owners of a cluster
7/*=10.7.0.1:4100
```

The last form is what a global relay has: it knows clusters, and at each such address
is a relay that knows the owners, and checks the epochs.

Called by the relay at start and per check. Other directories (a shared store
with leases, say) provide the two methods of `Directory` over values that they
hold in memory: a look-up answers at once or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Protocol

import attrs

from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError
from rtcproto.routing.token import CLUSTER_MAX, EPOCH_MAX, OWNER_MAX

__all__ = [
    "ANY_OWNER",
    "LOOPBACK_NETWORKS",
    "MAX_ENTRIES",
    "Directory",
    "Entry",
    "Slot",
    "StaticDirectory",
    "check_address",
    "parse_address",
    "parse_entries",
    "parse_entry",
]

# As many as one cluster has slots for; a larger text is a mistake.
MAX_ENTRIES = OWNER_MAX + 1

# What a development set-up on one machine names to be allowed.
LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")

# The owner in the slot of a whole cluster; no token can name it.
ANY_OWNER = -1

Slot = tuple[int, int]


@attrs.frozen
class Entry:
    """Where an owner listens, and the `epoch` that its tokens must carry.

    None is for the relay of a cluster: epochs belong to owners, and it knows those.
    """

    address: Address
    epoch: int | None = 0


class Directory(Protocol):
    """What the relay asks of a directory."""

    def lookup(self, cluster: int, owner: int) -> Entry | None:
        """The entry of an owner, or None."""
        ...

    def lists(self, address: Address) -> bool:
        """True if some owner is at `address`: may it send to clients through us?"""
        ...


class StaticDirectory:
    """A directory that is fixed when it is made.

    `allow` names networks whose special addresses are wanted nevertheless
    (`LOOPBACK_NETWORKS` in development), `own` are the relay's own addresses.
    UsageError if an entry breaks a rule of `check_address`, or a number is out of range.
    """

    __slots__ = ("_addresses", "_entries")

    def __init__(
        self,
        entries: Mapping[Slot, Entry],
        *,
        allow: Iterable[str] = (),
        own: Collection[Address] = (),
    ) -> None:
        if len(entries) > MAX_ENTRIES:
            raise UsageError(f"more than {MAX_ENTRIES} directory entries")
        allowed = [ip_network(network) for network in allow]
        checked: dict[Slot, Entry] = {}
        for (cluster, owner), entry in entries.items():
            if not (0 <= cluster <= CLUSTER_MAX and ANY_OWNER <= owner <= OWNER_MAX):
                raise UsageError(f"no such slot: {cluster}/{owner}")
            if (entry.epoch is None) != (owner == ANY_OWNER):
                raise UsageError("an owner has an epoch, a whole cluster has none")
            if entry.epoch is not None and not 0 <= entry.epoch <= EPOCH_MAX:
                raise UsageError(f"no such epoch: {entry.epoch}")
            address = check_address(entry.address, allowed, own)
            checked[cluster, owner] = Entry(address, entry.epoch)
        self._entries = checked
        self._addresses = frozenset(entry.address for entry in checked.values())

    @classmethod
    def from_text(
        cls, text: str, *, allow: Iterable[str] = (), own: Collection[Address] = ()
    ) -> StaticDirectory:
        """Read the text form; ParseError names the line, UsageError the forbidden address."""
        return cls(parse_entries(text), allow=allow, own=own)

    def __repr__(self) -> str:
        return f"StaticDirectory({len(self._entries)} entries)"

    @property
    def entries(self) -> Mapping[Slot, Entry]:
        """A copy of the whole list."""
        return dict(self._entries)

    def lookup(self, cluster: int, owner: int) -> Entry | None:
        """The entry of an owner, else that of its whole cluster, or None."""
        entry = self._entries.get((cluster, owner))
        return self._entries.get((cluster, ANY_OWNER)) if entry is None else entry

    def lists(self, address: Address) -> bool:
        """True if some owner is at `address`."""
        return address in self._addresses


def check_address(
    address: Address,
    allowed: Iterable[IPv4Network | IPv6Network] = (),
    own: Collection[Address] = (),
) -> Address:
    """`address` in the spelling that sockets report, or UsageError if it may not be listed.

    Refused are: names and unusual spellings of numbers, scope ids, port 0, our own addresses,
    IPv4 in any IPv6 disguise (mapped, compatible, NAT64, 6to4, Teredo), and, unless
    `allowed` contains them, the unspecified, loopback, link-local, multicast, broadcast,
    "this network" and reserved ones.
    """
    host, port = address
    try:
        ip = ip_address(host)
    except ValueError:
        raise UsageError(f"not an IP address: {host!r}") from None
    if not 0 < port < 65536:
        raise UsageError(f"not a port: {port}")
    # The mapped form must not become another spelling of an address that was vetted as
    # IPv6 only: CVE-2026-27624 was exactly that. It cannot be allowed by name.
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            raise UsageError(f"an address with a scope id: {host}")
        if any(ip in network for network in _DISGUISED_IPV4) and ip not in _NOT_DISGUISED:
            raise UsageError(f"an IPv4 address in an IPv6 form: {host}")
    canonical = (str(ip), port)
    if canonical in own:
        raise UsageError(f"one of our own addresses: {host} port {port}")
    if _is_special(ip) and not any(ip in network for network in allowed):
        raise UsageError(f"a special address that was not allowed by name: {host}")
    return canonical


def parse_address(text: str) -> Address:
    """`host:port` or `[IPv6]:port`, both numeric; ParseError otherwise. Port 0 parses."""
    host, separator, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise ParseError("address", "brackets are for IPv6")
    elif ":" in host:
        raise ParseError("address", "an IPv6 address with a port is written [address]:port")
    # int() refuses thousands of digits with a ValueError of its own.
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    if not separator or not digits or int(port) > 65535:
        raise ParseError("address", "expected host:port")
    try:
        return str(ip_address(host)), int(port)
    except ValueError:
        raise ParseError("address", "the host is not an IP address") from None


def parse_entry(text: str) -> tuple[Slot, Entry]:
    """`cluster/owner=host:port[@epoch]` or `cluster/*=host:port`; ParseError otherwise.

    The epoch of an owner defaults to 0.
    """
    slot, separator, rest = text.strip().partition("=")
    cluster, slash, owner = slot.partition("/")
    address, at, epoch = rest.partition("@")
    whole = owner == "*" and not at
    numbers = [cluster, "0" if whole else owner, epoch if at else "0"]
    if (
        not separator
        or not slash
        or not all(n.isascii() and n.isdigit() and len(n) <= 5 for n in numbers)
    ):
        raise ParseError("directory", "expected cluster/owner=host:port[@epoch]")
    if whole:
        return (int(cluster), ANY_OWNER), Entry(parse_address(address), None)
    return (int(cluster), int(owner)), Entry(parse_address(address), int(numbers[2]))


def parse_entries(text: str) -> dict[Slot, Entry]:
    """A directory file: one entry per line, `#` starts a comment; ParseError names the line."""
    entries: dict[Slot, Entry] = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        try:
            slot, entry = parse_entry(content)
        except ParseError as error:
            raise ParseError("directory", error.reason, number) from None
        if slot in entries:
            raise ParseError("directory", "the slot appears twice", number)
        if len(entries) >= MAX_ENTRIES:
            raise ParseError("directory", "too many entries", number)
        entries[slot] = entry
    return entries


_DISGUISED_IPV4 = [
    IPv6Network(network)
    for network in (
        "::ffff:0:0/96",  # mapped, RFC 4291 section 2.5.5.2
        "::/96",  # compatible, RFC 4291 section 2.5.5.1
        "64:ff9b::/96",  # NAT64, RFC 6052
        "64:ff9b:1::/48",  # local NAT64, RFC 8215
        "2002::/16",  # 6to4, RFC 3056
        "2001::/32",  # Teredo, RFC 4380
    )
]
# These two lie in ::/96 but are special addresses of their own.
_NOT_DISGUISED = (IPv6Address("::"), IPv6Address("::1"))

_THIS_NETWORK = IPv4Network("0.0.0.0/8")


def _is_special(ip: IPv4Address | IPv6Address) -> bool:
    if (
        ip.is_unspecified
        or ip.is_loopback
        or ip.is_link_local
        or ip.is_multicast
        or ip.is_reserved  # 240.0.0.0/4 with the broadcast address; unassigned IPv6
    ):
        return True
    if isinstance(ip, IPv4Address):
        return ip in _THIS_NETWORK
    return ip.is_site_local
