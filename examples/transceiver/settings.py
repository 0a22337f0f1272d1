"""What the transceiver can be told on its command line, checked before a socket is opened."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence

import attrs

from examples.cli import LineParser, SettingsError, address, host, integer, token_codec
from rtcproto.datagram import Address
from rtcproto.routing import TokenCodec
from rtcproto.sdp import Setup

__all__ = ["Settings", "SettingsError", "parse_arguments"]


@attrs.frozen(kw_only=True)
class Settings:
    """One transceiver process.

    `http` and `udp` are bound; `advertise` is what the answers name: the relays'
    public addresses, or, without relays, our own `udp` address as clients see it.
    `max_connecting` of the `max_sessions` calls may be ones that are not connected.
    `relays` are the networks whose proxy header is believed; `codec` makes the
    routing tokens, None without relays.
    """

    http: Address
    udp: Address
    advertise: tuple[Address, ...]
    relays: tuple[str, ...] = ()
    codec: TokenCodec | None = None
    cluster: int = 0
    owner: int = 0
    epoch: int = 0
    setup: Setup = Setup.ACTIVE
    max_sessions: int = 1000
    max_connecting: int = 500
    tls: bool = False
    page: bool = True
    quiet: bool = False


def parse_arguments(arguments: Sequence[str]) -> Settings:
    """Settings from command line arguments; SettingsError with one line otherwise."""
    options = _parser().parse_args(arguments)
    if options.relay:
        if options.keys is None:
            raise SettingsError("--relay: the relays route by tokens, so --keys is needed too")
        if not options.relay_network:
            raise SettingsError("--relay: name the network of their inside with --relay-network")
        advertise = tuple(options.relay)
        if options.advertise is not None:
            raise SettingsError("--advertise: with --relay, the relays' addresses are advertised")
    else:
        name = options.udp[0] if options.advertise is None else options.advertise
        if ipaddress.ip_address(name).is_unspecified:
            raise SettingsError(f"--udp {name}: a wildcard needs --advertise HOST")
        advertise = ((name, options.udp[1]),)
    return Settings(
        http=options.http,
        udp=options.udp,
        advertise=advertise,
        relays=tuple(options.relay_network),
        codec=None if options.keys is None else token_codec(options.keys, "--keys"),
        cluster=options.cluster,
        owner=options.owner,
        epoch=options.epoch,
        setup=Setup(options.setup),
        max_sessions=options.max_sessions,
        max_connecting=options.max_connecting or (options.max_sessions + 1) // 2,
        tls=options.tls,
        quiet=options.quiet,
    )


def _parser() -> LineParser:
    parser = LineParser(
        prog="python -m examples.transceiver",
        description="Terminates WebRTC calls and echoes their audio.",
        epilog="HOST is numeric; IPv6 is written [::1]:3478.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--http", type=address, required=True, metavar="HOST:PORT",
        help="where offers are posted and the page is served")  # fmt: skip
    add("--udp", type=address, required=True, metavar="HOST:PORT",
        help="the one socket of all calls")  # fmt: skip
    add("--advertise", type=host, metavar="HOST",
        help="our host as clients see it, where it is not the bound one")  # fmt: skip
    add("--relay", type=address, action="append", default=[], metavar="HOST:PORT",
        help="a relay's public address, to be advertised instead of ours (may be repeated)",
        )  # fmt: skip
    add("--relay-network", type=_network, action="append", default=[], metavar="NETWORK",
        help="where relays may send from, such as 10.1.0.0/16 (may be repeated)")  # fmt: skip
    add("--keys", metavar="FILE", help="token keys, shared with the relays")
    add("--cluster", type=integer(0, 4095), default=0, metavar="N", help="our cluster (0-4095)")
    add("--owner", type=integer(0, 65535), default=0, metavar="N", help="our slot (0-65535)")
    add("--epoch", type=integer(0, 4095), default=0, metavar="N",
        help="how often the slot was given out (0-4095)")  # fmt: skip
    add("--setup", choices=("active", "passive"), default="active",
        help="our DTLS role where the client leaves the choice")  # fmt: skip
    add("--max-sessions", type=integer(1, 100_000), default=1000, metavar="N",
        help="calls at once (default 1000)")  # fmt: skip
    # Offers cost an attacker nothing: those that lead nowhere leave room for other calls.
    add("--max-connecting", type=integer(1, 100_000), metavar="N",
        help="calls that are not connected yet (default: half of --max-sessions)")  # fmt: skip
    add("--tls", action="store_true", help="HTTPS with a certificate made on the spot")
    add("--quiet", action="store_true", help="log warnings only, not every call")
    return parser


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: not a network") from None
