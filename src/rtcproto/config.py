"""Settings of sessions and endpoints: frozen values, each default with its source.

`SessionConfig` may be shared by any number of sessions; what belongs to one
session alone (its ufrag, its peer's description) is not in it.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from typing import TypeAlias

import attrs

from rtcproto.datagram import Address
from rtcproto.dtls import DtlsConfig, Identity
from rtcproto.ice import IceConfig
from rtcproto.routing import TokenCodec
from rtcproto.sdp import OPUS_PARAMETERS, Setup
from rtcproto.srtp import Profile

__all__ = ["EndpointConfig", "Entropy", "RoutingConfig", "SessionConfig"]

Entropy: TypeAlias = Callable[[int], bytes]


@attrs.frozen(kw_only=True)
class SessionConfig:
    """How one session behaves. Times are seconds."""

    # The certificate; one per process is right (making a key costs more than a handshake).
    identity: Identity

    # Where the peer can reach us: what the description advertises, in equal
    # priority. A lite agent's are public (a relay's, say), a full agent's are
    # addresses that its own socket is bound to.
    addresses: tuple[Address, ...] = ()

    # A server behind a known address gathers nothing and sends no checks of its
    # own but one per path (RFC 8445 section 2.5). A client must be full.
    ice_lite: bool = True

    # "active" saves a round trip: our first flight leaves with the first STUN answer.
    setup: Setup = Setup.ACTIVE

    # What we offer or choose, best first: AEAD costs us half of AES-CM with HMAC-SHA1.
    srtp_profiles: tuple[Profile, ...] = (
        Profile.AEAD_AES_128_GCM,
        Profile.AES_CM_128_HMAC_SHA1_80,
        Profile.AEAD_AES_256_GCM,
    )

    ice: IceConfig = attrs.field(factory=IceConfig)

    # An offerer that is never answered, a described session that nobody checks
    # (threat H4: 15 s), one that is checked but never connected: all must end.
    answer_timeout: float = 30.0
    check_timeout: float = 15.0
    setup_timeout: float = 35.0

    # The canonical name in RTCP and SDP. One for all sessions tells the peer nothing.
    cname: str = "rtcproto"

    # RFC 7587 section 6.1: the format parameters we state for what we receive.
    opus_parameters: str = OPUS_PARAMETERS

    # Whether checks may be sent to loopback addresses that the peer names: for
    # tests and demonstrations on one machine, never for a server.
    allow_loopback: bool = False

    # Randomness for credentials, SSRCs and transaction ids; a seeded one makes
    # a run repeatable (but for OpenSSL's own keys).
    entropy: Entropy = os.urandom

    def dtls(self) -> DtlsConfig:
        """The settings of the DTLS machine that follow from these."""
        return DtlsConfig(
            identity=self.identity, profiles=tuple(int(profile) for profile in self.srtp_profiles)
        )


@attrs.frozen(kw_only=True)
class RoutingConfig:
    """Who we are to the relays: what the token in each of our ufrags says."""

    codec: TokenCodec
    cluster: int
    owner: int
    epoch: int


def _networks(
    values: tuple[str, ...],
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(value) for value in values)


@attrs.frozen(kw_only=True)
class EndpointConfig:
    """How many sessions share one socket, and behind which relays."""

    session: SessionConfig

    # None: ufrags are random; otherwise every ufrag is a routing token.
    routing: RoutingConfig | None = None

    # Networks of the relays whose proxy header is believed ("10.0.0.0/8"). The
    # default believes nobody. Raises ValueError for what is not a network.
    relays: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = attrs.field(
        default=(), converter=_networks
    )

    # Admission limits: beyond them `CapacityExceeded` is raised (for HTTP: 503).
    max_sessions: int = 2000
    # Sessions not connected yet, which cost a handshake each.
    max_connecting: int = 500
