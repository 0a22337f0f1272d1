"""Settings of sessions and endpoints: frozen values, each default with its source.

`SessionConfig` may be shared by any number of sessions; what belongs to one
session alone (its ufrag, its peer's description) is not in it. What can never
work is refused when the value is made (`UsageError`), not at the first call.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from rtcproto.datagram import Address
from rtcproto.dtls import DtlsConfig, Identity
from rtcproto.errors import UsageError
from rtcproto.ice import IceConfig
from rtcproto.routing import TokenCodec
from rtcproto.sctp import SctpConfig
from rtcproto.sdp import OPUS_PARAMETERS, Setup
from rtcproto.sdp.lines import is_visible
from rtcproto.srtp import Profile

__all__ = ["EndpointConfig", "Entropy", "RoutingConfig", "SessionConfig", "check_address"]

Entropy: TypeAlias = Callable[[int], bytes]

# RFC 3550 section 6.5: the length of an SDES item is one byte.
MAX_CNAME = 255


def check_address(value: object, name: str) -> None:
    """Raise UsageError unless `value` is an `Address`: (numeric IP, port 0 to 65535).

    `name` is what the sentence calls it. Names are refused because nothing in the
    library resolves any, brackets because they belong to URLs.
    """
    if not isinstance(value, tuple) or len(value) != 2 or not isinstance(value[0], str):
        raise UsageError(
            f"{name} must be a pair of an IP address and a port, like ('192.0.2.1', 0)"
        )
    host, port = value
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(
            f"{name} must have a numeric IP address without brackets, no host name"
        ) from None
    if isinstance(ip, ipaddress.IPv6Address) and (ip.scope_id or ip.ipv4_mapped):
        raise UsageError(f"{name} must have no scope, and an IPv4 address its own form")
    if type(port) is not int or not 0 <= port <= 65535:
        raise UsageError(f"{name} must have a port from 0 to 65535")


def _addresses(_: object, attribute: Any, value: object) -> None:
    if not isinstance(value, tuple):
        raise UsageError(f"{attribute.name} must be a tuple of (IP address, port) pairs")
    for address in value:
        check_address(address, f"each of {attribute.name}")
        ip = ipaddress.ip_address(address[0])
        if ip.is_unspecified or ip.is_multicast:
            # A socket may be bound to 0.0.0.0; nobody can send to it.
            raise UsageError(f"{attribute.name} holds {ip}: name the address clients can reach")


def _is(kind: type) -> Any:
    def check(_: object, attribute: Any, value: object) -> None:
        if not isinstance(value, kind):
            raise UsageError(f"{attribute.name} must be an instance of {kind.__name__}")

    return check


def _setup(_: object, attribute: Any, value: object) -> None:
    if value not in (Setup.ACTIVE, Setup.PASSIVE):
        raise UsageError(f"{attribute.name} must be Setup.ACTIVE or Setup.PASSIVE")


def _profiles(_: object, attribute: Any, value: object) -> None:
    if (
        not isinstance(value, tuple)
        or not value
        or not all(isinstance(profile, Profile) for profile in value)
        or len(set(value)) != len(value)
    ):
        raise UsageError(f"{attribute.name} must be a tuple of distinct Profiles, one at least")


def _positive(_: object, attribute: Any, value: object) -> None:
    if not isinstance(value, int | float) or not value > 0:
        raise UsageError(f"{attribute.name} must be a number of seconds above 0")


def _at_least_one(_: object, attribute: Any, value: object) -> None:
    if type(value) is not int or value < 1:
        raise UsageError(f"{attribute.name} must be a whole number, 1 at least")


def _cname(_: object, attribute: Any, value: object) -> None:
    if not isinstance(value, str) or not is_visible(value) or len(value) > MAX_CNAME:
        raise UsageError(
            f"{attribute.name} must be 1 to {MAX_CNAME} visible ASCII characters without blanks"
        )


def _format_parameters(_: object, attribute: Any, value: object) -> None:
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise UsageError(f"{attribute.name} must be printable ASCII characters")


@attrs.frozen(kw_only=True)
class SessionConfig:
    """How one session behaves. Times are seconds.

    Raises UsageError for a value that can never work.
    """

    # The certificate; one per process is right (making a key costs more than a handshake).
    identity: Identity = attrs.field(validator=_is(Identity))

    # Where the peer can reach us: what the description advertises, in equal
    # priority. A lite agent's are public (a relay's, say), a full agent's are
    # addresses that its own socket is bound to. Port 0 is for `open_endpoint`, which
    # puts the bound port there. A full agent may do without (its peer learns them from
    # its checks); a lite one, which nobody could find, refuses to answer then.
    addresses: tuple[Address, ...] = attrs.field(default=(), validator=_addresses)

    # Where relays take TCP for clients whose network blocks UDP (RFC 6544): advertised beside
    # the address of the same host, at a lower priority. Paths over it are like any other.
    # For lite agents: nothing here connects or listens.
    tcp_addresses: tuple[Address, ...] = attrs.field(default=(), validator=_addresses)

    # A server behind a known address gathers nothing and sends no checks of its
    # own but one per path (RFC 8445 section 2.5). A client must be full.
    ice_lite: bool = True

    # "active" saves a round trip: our first flight leaves with the first STUN answer.
    setup: Setup = attrs.field(default=Setup.ACTIVE, validator=_setup)

    # What we offer or choose, best first: AEAD costs us half of AES-CM with HMAC-SHA1.
    srtp_profiles: tuple[Profile, ...] = attrs.field(
        default=(
            Profile.AEAD_AES_128_GCM,
            Profile.AES_CM_128_HMAC_SHA1_80,
            Profile.AEAD_AES_256_GCM,
        ),
        validator=_profiles,
    )

    ice: IceConfig = attrs.field(factory=IceConfig, validator=_is(IceConfig))

    # Data channels are offered and accepted with these settings; None: they are not,
    # and a data section of the peer's is rejected.
    sctp: SctpConfig | None = attrs.field(
        factory=SctpConfig, validator=attrs.validators.optional(_is(SctpConfig))
    )

    # An offerer that is never answered, a described session that nobody checks
    # (15 s, because each holds a place), one that is checked but never connected:
    # all must end.
    answer_timeout: float = attrs.field(default=30.0, validator=_positive)
    check_timeout: float = attrs.field(default=15.0, validator=_positive)
    setup_timeout: float = attrs.field(default=35.0, validator=_positive)

    # The canonical name in RTCP and SDP. One for all sessions tells the peer nothing.
    cname: str = attrs.field(default="rtcproto", validator=_cname)

    # RFC 7587 section 6.1: the format parameters we state for what we receive.
    opus_parameters: str = attrs.field(default=OPUS_PARAMETERS, validator=_format_parameters)

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
    """How many sessions share one socket, and behind which relays.

    Raises UsageError for a value that can never work.
    """

    session: SessionConfig = attrs.field(validator=_is(SessionConfig))

    # None: ufrags are random; otherwise every ufrag is a routing token.
    routing: RoutingConfig | None = None

    # Networks of the relays whose proxy header is believed ("10.0.0.0/8"). The
    # default believes nobody. Raises ValueError for what is not a network.
    relays: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = attrs.field(
        default=(), converter=_networks
    )

    # Admission limits: beyond them `CapacityExceeded` is raised (for HTTP: 503).
    max_sessions: int = attrs.field(default=2000, validator=_at_least_one)
    # Sessions not connected yet, which cost a handshake each.
    max_connecting: int = attrs.field(default=500, validator=_at_least_one)
