"""The relay's settings, the reasons for which it drops, and its counters.

Values only. The decisions are in `rtcproto.relay.core`; what they refuse is named
here, one member of `Drop` per guard, so that every guard can be seen to work.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

import attrs

from rtcproto.datagram import Address
from rtcproto.errors import UsageError
from rtcproto.routing.table import IDLE_TIMEOUT, MAX_FLOWS, TAKEOVER_SILENCE

__all__ = ["Drop", "RelayConfig", "RelayStats"]

Network: TypeAlias = IPv4Network | IPv6Network


def _networks(values: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(value) for value in values)


@attrs.frozen(kw_only=True)
class RelayConfig:
    """What a relay's core must be told.

    `publics` are the addresses that clients talk to, as clients see them (behind 1:1 NAT
    the advertised ones); they travel in proxy headers. `own` are all other addresses of the relay
    (bound ones, the inside face); nobody at one of ours can be a client.

    `recovery`: there is a store of flows, and somebody acts on `RelayCore.next_commands`.

    `upstream_face` is bound to the private network, for relays in front of this one;
    `upstreams` are the networks that those may send from, and they alone are believed there.
    """

    publics: frozenset[Address]
    own: frozenset[Address] = frozenset()
    max_flows: int = MAX_FLOWS
    idle_timeout: float = IDLE_TIMEOUT  # seconds
    takeover_silence: float = TAKEOVER_SILENCE  # seconds
    recovery: bool = False
    upstream_face: Address | None = None
    upstreams: tuple[Network, ...] = attrs.field(default=(), converter=_networks)

    def __attrs_post_init__(self) -> None:
        if self.upstream_face is not None and self.upstream_face in self.publics:
            raise UsageError("an upstream face is not public: it believes what it is told")
        if (self.upstream_face is None) != (not self.upstreams):
            raise UsageError("an upstream face and the networks of its relays go together")

    @property
    def ours(self) -> frozenset[Address]:
        """Every address of this relay."""
        faces = () if self.upstream_face is None else (self.upstream_face,)
        return self.publics | self.own | frozenset(faces)


class Drop(enum.IntEnum):
    """Why a datagram was not forwarded. `label` is for metrics; the comment says who does this."""

    EMPTY = 0  # an empty datagram of a client; forwarded, it would read as a release
    OVERSIZED = 1  # larger than anything that was negotiated
    NOT_ROUTABLE = 2  # a first byte of no protocol of ours
    HEADER_OUTSIDE = 3  # a proxy header on the public face: forged
    STUN_WITHOUT_UFRAG = 4  # a STUN request that names nobody, or is malformed
    BAD_TOKEN = 5  # a ufrag that no key of ours wrote
    UNKNOWN_OWNER = 6  # a token of a slot that the directory does not have
    STALE_EPOCH = 7  # a token of an earlier use of the slot
    NO_FLOW = 8  # media of a client that no owner has answered (yet)
    LOOP = 9  # from or to one of our own addresses or a transceiver, as if it were a client
    UNLISTED_PEER = 10  # inside, from an address that is no configured transceiver
    BAD_HEADER = 11  # inside, a missing, truncated or impossible header
    NESTED_HEADER = 12  # inside or from upstream, one header more than there can be
    FOREIGN_PUBLIC = 13  # inside, for a public address that is not ours
    FOREIGN_RELEASE = 14  # inside, release of a flow that the sender does not own
    UNLISTED_UPSTREAM = 15  # on or for the upstream face, a relay that was not configured
    NOT_WAITING = 16  # without a flow, and nothing to hope for from the store
    DRAINING = 17  # a check of an unknown client, when no new flows are taken

    @property
    def label(self) -> str:
        """The name in lower case."""
        return self.name.lower()


@attrs.frozen(kw_only=True)
class RelayStats:
    """Counters since the start. Inward is from clients to transceivers."""

    flows: int
    flows_unproven: int
    packets_inward: int
    bytes_inward: int
    packets_outward: int
    bytes_outward: int
    takeovers_refused: int  # replies of an owner to which a proven flow was not given
    flows_refused: int  # replies that found the table full of proven flows
    flow_events_dropped: int
    commands_dropped: int  # for the store, that nobody took in time
    drops: Mapping[Drop, int]
