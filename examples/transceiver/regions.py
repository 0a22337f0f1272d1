"""Which relays come first in an answer: those nearest to the caller.

All relays of an answer have the same priority, so the caller's own checks choose; but checks
begin with the candidates that come first, and so does what a caller on a slow path hears first.
A caller's region is what a header of the CDN in front says, or the longest matching
network of a table:

```text
# region  its relays' hosts
relay    eu    203.0.113.1
relay    us    198.51.100.1
# region  networks of callers
network  eu    192.0.2.0/24
network  eu    2001:db8::/32
# region  others, the nearest first
near     eu    us asia
```

Pure: nothing is resolved, nothing is measured. A caller of no known region gets the relays as
they were configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import attrs

from rtcproto.errors import ParseError

__all__ = ["MAX_NETWORKS", "Regions", "order_relays", "steer"]

# A table of the world's regions has hundreds; a larger one is a mistake, and is searched per call.
MAX_NETWORKS = 4096

# Characters of a region's name; it comes from outside in a header.
MAX_NAME = 64

Network = IPv4Network | IPv6Network


def order_relays(
    relays: Iterable[str],
    region: str | None,
    regions_of: Mapping[str, str],
    near: Mapping[str, Sequence[str]],
) -> list[str]:
    """`relays` (hosts), those of `region` first, then those of regions near it, then the rest.

    Among equals the given order stays. `regions_of` is the region of each host, `near` the other
    regions by distance.
    """
    given = list(relays)
    if region is None:
        return given
    ranks = {name: rank for rank, name in enumerate((region, *near.get(region, ())))}
    return sorted(given, key=lambda host: ranks.get(regions_of.get(host, ""), len(ranks)))


def steer(answer: str, hosts: Sequence[str]) -> str:
    """The answer with its candidate lines in the order of `hosts`; everything else as it was.

    Lines of one host keep their order (UDP before TCP), those of unknown hosts come last.
    """
    ranks = {host: rank for rank, host in enumerate(hosts)}
    lines = answer.splitlines(keepends=True)
    places = [n for n, line in enumerate(lines) if line.startswith("a=candidate:")]
    # RFC 8839 section 5.1: foundation component transport priority address ...
    ordered = sorted(
        (lines[n] for n in places), key=lambda line: ranks.get(line.split()[4], len(ranks))
    )
    for place, line in zip(places, ordered, strict=True):
        lines[place] = line
    return "".join(lines)


@attrs.frozen(kw_only=True)
class Regions:
    """A table, parsed. Hosts are spelt as `ipaddress` spells them."""

    relays: Mapping[str, str] = attrs.field(factory=dict)
    networks: Sequence[tuple[Network, str]] = ()
    near: Mapping[str, Sequence[str]] = attrs.field(factory=dict)

    @classmethod
    def parse(cls, text: str) -> Regions:
        """Read the text form; ParseError names the line."""
        relays: dict[str, str] = {}
        networks: dict[Network, str] = {}
        near: dict[str, list[str]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            fields = line.partition("#")[0].split()
            if not fields:
                continue
            if len(fields) < 3 or len(fields[1]) > MAX_NAME:
                raise ParseError("regions", "expected: relay|network|near REGION ...", number)
            kind, region, *rest = fields
            try:
                if kind == "relay":
                    relays.update((str(ip_address(host)), region) for host in rest)
                elif kind == "network":
                    networks.update((ip_network(network), region) for network in rest)
                elif kind == "near":
                    near[region] = rest
                else:
                    raise ParseError("regions", "expected: relay|network|near REGION ...", number)
            except ValueError:
                raise ParseError("regions", f"not an address of a {kind}", number) from None
            if len(networks) > MAX_NETWORKS:
                raise ParseError("regions", "too many networks", number)
        # The longest first, so that the first match is the best.
        ordered = sorted(networks.items(), key=lambda item: -item[0].prefixlen)
        return cls(relays=relays, networks=ordered, near=near)

    def region_of(self, client: str, header: str | None = None) -> str | None:
        """The region of a caller: what a trusted header says, if we have it, else by host."""
        if header is not None and header in {*self.relays.values(), *self.near}:
            return header
        try:
            # Of IPv6 callers only the /64 may be known.
            ip = ip_address(client.partition("/")[0])
        except ValueError:
            return None
        return next((region for network, region in self.networks if ip in network), None)

    def answer_for(self, answer: str, hosts: Iterable[str], region: str | None) -> str:
        """An answer that names the relays at `hosts`, the nearest to `region` first."""
        return steer(answer, order_relays(hosts, region, self.relays, self.near))
