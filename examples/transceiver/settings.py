"""What the transceiver can be told on its command line, checked before a socket is opened."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import attrs

from examples.cli import (
    LineParser,
    SettingsError,
    address,
    host,
    integer,
    read_text_file,
    redis_url,
    token_codec,
    warn_if_readable,
)
from examples.transceiver.auth import api_keys as parse_api_keys
from examples.transceiver.backends import BACKENDS
from examples.transceiver.realtime_ws import codec
from examples.transceiver.realtime_ws.connection import Upstream
from examples.transceiver.regions import Regions
from examples.transceiver.register import Limits
from rtcproto.datagram import Address
from rtcproto.errors import ParseError
from rtcproto.routing import TokenCodec
from rtcproto.sdp import Setup

__all__ = ["MIN_PER_SOURCE", "Settings", "SettingsError", "parse_arguments"]

# Calls that one source may always have connecting: a few people behind one address.
MIN_PER_SOURCE = 8


@attrs.frozen(kw_only=True)
class Settings:
    """One transceiver process.

    `http` and `udp` are bound; `advertise` is what the answers name: the relays'
    public addresses, or, without relays, our own `udp` address as clients see it.
    `max_connecting` of the `max_sessions` calls may be ones that are not connected.
    `relays` are the networks whose proxy header is believed; `codec` makes the
    routing tokens, None without relays. Without `api_keys` (None) everybody may call.
    `peers` are the HTTP addresses of the cluster's other owners, `proxies` the networks
    whose X-Forwarded-For is believed; `drain_timeout` is how long SIGTERM leaves calls.
    `backend` is the name of who answers the callers, `upstream` the server that `realtime-ws`
    asks.
    """

    http: Address
    udp: Address
    advertise: tuple[Address, ...]
    # The relays' TCP ports, for clients whose network blocks UDP.
    advertise_tcp: tuple[Address, ...] = ()
    relays: tuple[str, ...] = ()
    # Which relays are near whom, and the header in which a trusted proxy says where a caller is.
    regions: Regions | None = None
    region_header: str | None = None
    # Where to register for the relays to find us; there may be a password in it.
    directory: str | None = attrs.field(default=None, repr=False)
    codec: TokenCodec | None = None
    cluster: int = 0
    owner: int = 0
    epoch: int = 0
    setup: Setup = Setup.ACTIVE
    max_sessions: int = 1000
    max_connecting: int = 500
    api_keys: tuple[str, ...] | None = attrs.field(repr=False)
    limits: Limits
    peers: Mapping[int, str] = attrs.field(factory=dict)
    proxies: tuple[str, ...] = ()
    drain_timeout: float = 0.0
    backend: str = "parrot"
    upstream: Upstream | None = None
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
        if options.directory is not None and ipaddress.ip_address(options.udp[0]).is_unspecified:
            raise SettingsError("--directory: --udp must be the one address that relays send to")
        if options.advertise is not None:
            raise SettingsError("--advertise: with --relay, the relays' addresses are advertised")
    else:
        if options.directory is not None:
            raise SettingsError("--directory: it is for relays to find us, see --relay")
        if options.relay_tcp:
            raise SettingsError("--relay-tcp: it belongs to a relay, see --relay")
        name = options.udp[0] if options.advertise is None else options.advertise
        if ipaddress.ip_address(name).is_unspecified:
            raise SettingsError(f"--udp {name}: a wildcard needs --advertise HOST")
        advertise = ((name, options.udp[1]),)
    api_keys = None
    if options.api_key_file is not None:
        if options.no_auth:
            raise SettingsError("--no-auth: there are keys to ask for in --api-key-file")
        api_keys = tuple(_api_keys(options.api_key_file))
    elif not options.no_auth:
        raise SettingsError(
            "--api-key-file FILE is needed, so that not everybody may call, or --no-auth"
        )
    max_connecting = options.max_connecting or (options.max_sessions + 1) // 2
    return Settings(
        http=options.http,
        udp=options.udp,
        advertise=advertise,
        advertise_tcp=tuple(options.relay_tcp),
        directory=options.directory,
        regions=None if options.regions is None else _regions(options.regions),
        region_header=options.region_header,
        relays=tuple(options.relay_network),
        codec=None if options.keys is None else token_codec(options.keys, "--keys"),
        cluster=options.cluster,
        owner=options.owner,
        epoch=options.epoch,
        setup=Setup(options.setup),
        max_sessions=options.max_sessions,
        max_connecting=max_connecting,
        api_keys=api_keys,
        limits=Limits(
            per_key=options.max_calls_per_key or options.max_sessions,
            per_secret=options.max_calls_per_secret,
            # Some for everybody, but no source takes all the places of the others.
            per_source=options.max_connecting_per_source
            or max(MIN_PER_SOURCE, max_connecting // 4),
        ),
        peers=_peers(options.peer, options.owner),
        proxies=tuple(options.trusted_proxy),
        drain_timeout=float(options.drain_timeout),
        backend=options.backend,
        upstream=_upstream(options),
        tls=options.tls,
        quiet=options.quiet,
    )


def _parser() -> LineParser:
    parser = LineParser(
        prog="python -m examples.transceiver",
        description="Terminates WebRTC calls and lets a backend answer them.",
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
    add("--relay-tcp", type=address, action="append", default=[], metavar="HOST:PORT",
        help="a relay's TCP port, to be advertised beside it (may be repeated)")  # fmt: skip
    add("--regions", metavar="FILE",
        help="a table of regions: the relays near a caller come first in its answer",
        )  # fmt: skip
    add("--region-header", metavar="NAME",
        help="the header in which a --trusted-proxy names the caller's region")  # fmt: skip
    add("--directory", type=redis_url, metavar="redis://HOST:PORT",
        help="register here, so that the relays find us")  # fmt: skip
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
    add("--api-key-file", metavar="FILE", help="who may call: API keys, one per line")
    add("--no-auth", action="store_true", help="everybody may call (development)")
    add("--max-calls-per-key", type=integer(1, 100_000), metavar="N",
        help="calls at once with one API key (default: --max-sessions)")  # fmt: skip
    add("--max-calls-per-secret", type=integer(1, 100_000), default=10, metavar="N",
        help="calls at once with one client secret (default 10)")  # fmt: skip
    add("--max-connecting-per-source", type=integer(1, 100_000), metavar="N",
        help="with --no-auth, calls of one address that are not connected"
        f" (default: a quarter of --max-connecting, at least {MIN_PER_SOURCE})")  # fmt: skip
    add("--trusted-proxy", type=_network, action="append", default=[], metavar="NETWORK",
        help="whose X-Forwarded-For says where requests come from (may be repeated)")  # fmt: skip
    add("--peer", type=_peer, action="append", default=[], metavar="OWNER=URL",
        help="another transceiver of our cluster, such as 2=http://10.0.0.2:8080, for"
        " requests about its calls (may be repeated)")  # fmt: skip
    add("--drain-timeout", type=integer(0, 86_400), default=30, metavar="SECONDS",
        help="how long SIGTERM leaves calls before it ends them (default 30)")  # fmt: skip
    add("--backend", choices=tuple(BACKENDS), default="parrot",
        help="who answers: parrot repeats each turn of the caller (default), echo every"
        " packet at once, realtime-ws asks the server at --backend-url")  # fmt: skip
    add("--backend-url", type=_websocket, metavar="URL",
        help="for realtime-ws: ws:// or wss://HOST/v1/realtime")  # fmt: skip
    add("--backend-key-file", metavar="FILE", help="for realtime-ws: the server's API key")
    add("--backend-model", metavar="MODEL",
        help="for realtime-ws: the model of every call (default: what its client asks for)",
        )  # fmt: skip
    add("--tls", action="store_true", help="HTTPS with a certificate made on the spot")
    add("--quiet", action="store_true", help="log warnings only, not every call")
    return parser


def _api_keys(path: str) -> list[str]:
    text = read_text_file(path, "--api-key-file")
    warn_if_readable(path, "--api-key-file")
    try:
        return parse_api_keys(text)
    except ValueError as error:
        raise SettingsError(f"--api-key-file {path}: {error}") from None


def _upstream(options: argparse.Namespace) -> Upstream | None:
    given = options.backend_url, options.backend_key_file, options.backend_model
    if options.backend != "realtime-ws":
        if given != (None, None, None):
            raise SettingsError("--backend-url, -key-file and -model: for --backend realtime-ws")
        return None
    if options.backend_url is None:
        raise SettingsError("--backend realtime-ws: --backend-url is needed too")
    if not codec.available():
        raise SettingsError("--backend realtime-ws: it needs PyAV: pip install av")
    key = None
    if options.backend_key_file is not None:
        key = _backend_key(options.backend_key_file)
        parts = urlsplit(options.backend_url)
        if parts.scheme == "ws" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            print("warning: --backend-url: ws:// shows the key to the network", file=sys.stderr)
    return Upstream(url=options.backend_url, key=key, model=options.backend_model)


def _backend_key(path: str) -> str:
    key = read_text_file(path, "--backend-key-file").strip()
    warn_if_readable(path, "--backend-key-file")
    # It goes into a header as it is.
    if not (key.isascii() and key.isprintable() and key and " " not in key):
        raise SettingsError(f"--backend-key-file {path}: expected one key, on one line")
    return key


def _websocket(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
        bare = not (parts.fragment or parts.username or parts.password)
    except ValueError:
        usable = bare = False
    if not (usable and bare):
        # It is not repeated: there may be a password in it.
        raise argparse.ArgumentTypeError("expected ws://HOST/v1/realtime or wss://")
    return text


def _peers(pairs: Sequence[tuple[int, str]], own: int) -> dict[int, str]:
    peers = dict(pairs)
    if len(peers) != len(pairs):
        raise SettingsError("--peer: the same owner twice")
    # The same list for all of them is the easiest to get right.
    peers.pop(own, None)
    return peers


def _peer(text: str) -> tuple[int, str]:
    owner, equals, url = text.partition("=")
    try:
        number, parts = integer(0, 65535)(owner), urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        bare = not (parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    except (ValueError, argparse.ArgumentTypeError):
        usable = bare = False
    if not (equals and usable and bare):
        # It is not repeated: there may be a password in it.
        raise argparse.ArgumentTypeError("expected OWNER=http://HOST:PORT")
    return number, url


def _regions(path: str) -> Regions:
    try:
        return Regions.parse(read_text_file(path, "--regions"))
    except ParseError as error:
        raise SettingsError(f"--regions {path}: line {error.offset}: {error.reason}") from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: not a network") from None
