"""What the relay can be told on its command line, checked before a socket is opened."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import attrs

from examples.cli import (
    LineParser,
    SettingsError,
    address,
    host,
    integer,
    network,
    read_text_file,
    redis_url,
    token_codec,
)
from examples.relay.columns import is_available
from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError
from rtcproto.routing import (
    LOOPBACK_NETWORKS,
    Entry,
    StaticDirectory,
    TokenCodec,
    parse_entry,
)
from rtcproto.routing.directory import parse_entries

__all__ = ["IO", "MAX_WORKERS", "RelaySettings", "SettingsError", "parse_arguments"]

# How packets are moved: one system call each, many with one call (Linux), or whatever
# is better on this machine.
IO = ("auto", "plain", "batched")

# How the address of a store begins.
REDIS = ("redis://", "rediss://")

# One per core, and nobody has more cores on one port.
MAX_WORKERS = 128

# Bytes: 50 ms of 100,000 packets a second.
SOCKET_BUFFER = 4 * 1024 * 1024


@attrs.frozen(kw_only=True)
class RelaySettings:
    """One relay process.

    `listen`: where clients reach us, one socket each. `advertise`: the hosts that clients
    see instead of the bound ones, at most one per address family. `inside`: our address towards
    transceivers, that of the first worker; the next ones take the next ports. `drain_tick`: seconds
    between looks while packets come. `advertise_at`: what clients see instead of single
    addresses of the machine, for a wildcard bind. `io`: see `IO`. `pin`: each worker stays on
    one core. `socket_buffer`: bytes of kernel buffer asked for per socket and
    direction (the kernel may give less). `drain_timeout`: seconds that calls have to end after
    SIGTERM. `http`: where health and metrics are served. `files`: those that keys and transceivers
    were read from.
    """

    listen: Sequence[Address]
    inside: Address
    transceivers: Mapping[tuple[int, int], Entry]
    codec: TokenCodec
    advertise: Sequence[str] = ()
    advertise_at: Mapping[str, str] = attrs.field(factory=dict)
    allow: Sequence[str] = ()
    drain_tick: float = 0.0005
    stats_interval: float | None = None
    io: str = "auto"
    workers: int = 1
    pin: bool = False
    socket_buffer: int = SOCKET_BUFFER
    drain_timeout: float = 0.0
    http: Address | None = None
    files: Sequence[str] = ()
    # Where clients reach us that cannot use UDP.
    tcp: Sequence[Address] = ()
    # Where relays in front of this one reach us, and the networks that they are in.
    upstream: Address | None = None
    upstream_networks: Sequence[str] = ()
    # Where flows are kept for others to find, and where transceivers register, from which networks.
    # There may be passwords in the addresses.
    redis: str | None = attrs.field(default=None, repr=False)
    owners: str | None = attrs.field(default=None, repr=False)
    owner_networks: Sequence[str] = ()

    def __attrs_post_init__(self) -> None:
        if not self.listen and self.upstream is None:
            raise SettingsError("--listen: at least one public address is needed, or --upstream")
        if (self.upstream is None) != (not self.upstream_networks):
            raise SettingsError("--upstream: name the network of those relays, --upstream-network")
        if self.upstream is not None and ip_address(self.upstream[0]).is_unspecified:
            # Whoever can send to it from the right network is believed.
            raise SettingsError("--upstream: must be one address of the private network")
        if any(where[1] and where in self.listen for where in self.tcp):
            # Transceivers tell the two ways to one client by the public address.
            raise SettingsError("--tcp: must be another port than --listen, or another host")
        if (self.owners is None) != (not self.owner_networks):
            raise SettingsError(
                "--directory redis://: name the networks of transceivers, --transceiver-network"
            )
        if not self.transceivers and self.owners is None:
            raise SettingsError("no transceivers: use --transceiver or --directory")
        advertised = [_version(name) for name in self.advertise]
        if len(set(advertised)) != len(advertised):
            raise SettingsError("--advertise: at most one host per address family")
        for name in (*self.advertise, *self.advertise_at.values(), *self.advertise_at):
            if ip_address(name).is_unspecified or ip_address(name).is_multicast:
                raise SettingsError(f"--advertise {name}: not the address of a host")
        for name, _ in (*self.listen, *self.tcp):
            seen = {*advertised, *map(_version, self.advertise_at)}
            if ip_address(name).is_unspecified and _version(name) not in seen:
                # The header to transceivers must name an address that clients can use.
                raise SettingsError(f"--listen {name}: a wildcard needs --advertise HOST")
        if ip_address(self.inside[0]).is_unspecified:
            # Whoever can send to the inside face and looks like a transceiver is believed, so
            # it must not be reachable from everywhere.
            raise SettingsError("--inside: must be one address of the private network")
        if self.inside[1] + self.workers > 65536:
            raise SettingsError(f"--inside: there is no port for each of {self.workers} workers")
        if self.workers > 1 and not hasattr(os, "fork"):
            raise SettingsError("--workers: not on this system")
        if self.io == "batched" and not is_available():
            raise SettingsError("--io batched: not on this system")
        for local, public in self.advertise_at.items():
            if _version(local) != _version(public):
                raise SettingsError(f"--advertise {local}={public}: not of one address family")
        family = _version(self.inside[0])
        for (cluster, owner), entry in self.transceivers.items():
            if _version(entry.address[0]) != family:
                raise SettingsError(
                    f"transceiver {cluster}/{owner}: not of the address family of --inside"
                )
        self.directory(())

    def public_of(self, bound: Address) -> Address:
        """The address of a bound socket as clients see it."""
        for name in self.advertise:
            if _version(name) == _version(bound[0]):
                return str(ip_address(name)), bound[1]
        return bound

    def has_default_public(self, bound: Address) -> bool:
        """True if one host is advertised for every address of this family."""
        return any(_version(name) == _version(bound[0]) for name in self.advertise)

    def advertised_at(self, version: int) -> dict[str, str]:
        """What single addresses of the machine, of one IP version, are advertised as."""
        return {
            local: public
            for local, public in self.advertise_at.items()
            if _version(local) == version
        }

    def directory(self, own: Sequence[Address]) -> StaticDirectory:
        """The vetted list of transceivers, none of which may be one of our `own` addresses."""
        try:
            return StaticDirectory(self.transceivers, allow=self.allow, own=own)
        except UsageError as error:
            hint = " (--allow-loopback is for development)" if "special" in str(error) else ""
            raise SettingsError(f"transceivers: {error}{hint}") from None


def parse_arguments(arguments: Sequence[str]) -> RelaySettings:
    """Settings from command line arguments; SettingsError with one line otherwise."""
    options = _parser().parse_args(arguments)
    transceivers: dict[tuple[int, int], Entry] = {}
    owners = None
    if options.directory is not None and options.directory.lower().startswith(REDIS):
        try:
            owners = redis_url(options.directory)
        except argparse.ArgumentTypeError as error:
            raise SettingsError(f"--directory: {error}") from None
    elif options.directory is not None:
        try:
            transceivers.update(parse_entries(read_text_file(options.directory, "--directory")))
        except ParseError as error:
            raise SettingsError(
                f"--directory {options.directory}: line {error.offset}: {error.reason}"
            ) from None
    for slot, entry in options.transceiver:
        if slot in transceivers:
            raise SettingsError(f"transceiver {slot[0]}/{slot[1]} is given twice")
        transceivers[slot] = entry
    # A store is no file, and its address may hold a password.
    read = options.keys, None if owners is not None else options.directory
    codec = token_codec(options.keys, "--keys", allow_plaintext=options.allow_plaintext_tokens)
    return RelaySettings(
        listen=options.listen,
        inside=options.inside,
        transceivers=transceivers,
        codec=codec,
        advertise=[name for local, name in options.advertise if local is None],
        advertise_at=_advertise_at(options.advertise),
        allow=LOOPBACK_NETWORKS if options.allow_loopback else (),
        drain_tick=options.drain_tick / 1000,
        stats_interval=options.stats,
        io=options.io,
        workers=options.workers,
        pin=options.pin,
        socket_buffer=options.socket_buffer * 1024,
        drain_timeout=options.drain_timeout,
        http=options.http,
        tcp=options.tcp,
        upstream=options.upstream,
        upstream_networks=options.upstream_network,
        redis=options.redis,
        owners=owners,
        owner_networks=options.transceiver_network,
        files=[name for name in read if name is not None],
    )


def _parser() -> LineParser:
    parser = LineParser(
        prog="python -m examples.relay",
        description="One public UDP port in front of many WebRTC transceivers.",
        epilog="HOST is numeric; IPv6 is written [::1]:3478.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--listen", type=address, action="append", default=[], metavar="HOST:PORT",
        help="public address for clients (may be repeated)")  # fmt: skip
    add("--advertise", type=_advertised, action="append", default=[], metavar="[LOCAL=]HOST",
        help="the public host as clients see it, where it is not the bound one; with LOCAL, "
        "for that address of the machine (may be repeated)")  # fmt: skip
    add("--tcp", type=address, action="append", default=[], metavar="HOST:PORT",
        help="TCP port for clients whose network blocks UDP (may be repeated)")  # fmt: skip
    add("--upstream", type=address, metavar="HOST:PORT",
        help="our address towards relays in front of this one")  # fmt: skip
    add("--upstream-network", type=network, action="append", default=[], metavar="NETWORK",
        help="where those relays send from, such as 10.1.0.0/16 (may be repeated)")  # fmt: skip
    add("--inside", type=address, required=True, metavar="HOST:PORT",
        help="our address towards the transceivers; further workers take the next ports",
        )  # fmt: skip
    add("--transceiver", type=_entry, action="append", default=[],
        metavar="CLUSTER/OWNER=HOST:PORT[@EPOCH]",
        help="one transceiver (may be repeated)")  # fmt: skip
    add("--directory", metavar="FILE|redis://HOST:PORT",
        help="a file of such entries, one per line, or where transceivers register")  # fmt: skip
    add("--transceiver-network", type=network, action="append", default=[], metavar="NETWORK",
        help="where transceivers that register can be (may be repeated)")  # fmt: skip
    add("--redis", type=redis_url, metavar="redis://HOST:PORT",
        help="keep flows in this store, so that others find them")  # fmt: skip
    add("--keys", metavar="FILE", required=True,
        help="token keys, one per line: ID, 32 hex digits, optionally 'active'")  # fmt: skip
    add("--drain-tick", type=_milliseconds, default=0.5, metavar="MS",
        help="while packets come, look for more so often: less CPU, that much delay (default 0.5)",
        )  # fmt: skip
    add("--workers", type=integer(1, MAX_WORKERS), default=1, metavar="N",
        help="processes that share the public ports (default 1)")  # fmt: skip
    add("--pin", action="store_true", help="keep each worker on a core of its own")
    add("--io", choices=IO, default="auto",
        help="how packets are moved: one per system call, or many (default: what is better here)",
        )  # fmt: skip
    add("--socket-buffer", type=integer(64, 1 << 20), default=SOCKET_BUFFER // 1024,
        metavar="KIB", help="kernel buffer of each socket (default 4096)")  # fmt: skip
    add("--drain-timeout", type=_drain_seconds, default=0.0, metavar="SECONDS",
        help="after SIGTERM, keep existing calls for so long (default 0)")  # fmt: skip
    add("--http", type=address, metavar="HOST:PORT",
        help="serve /livez, /readyz and /metrics here; not for the public")  # fmt: skip
    add("--stats", type=_seconds, metavar="SECONDS", help="print counters as JSON so often")
    add("--allow-loopback", action="store_true",
        help="transceivers may be on loopback addresses (development)")  # fmt: skip
    add("--allow-plaintext-tokens", action="store_true",
        help="accept a key file that says 'plaintext' (debugging; anybody can forge these)",
        )  # fmt: skip
    return parser


def _entry(text: str) -> tuple[tuple[int, int], Entry]:
    try:
        return parse_entry(text)
    except ParseError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error.reason}") from None


def _advertised(text: str) -> tuple[str | None, str]:
    local, separator, public = text.rpartition("=")
    return (host(local) if separator else None), host(public)


def _advertise_at(pairs: Sequence[tuple[str | None, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for local, public in pairs:
        if local is None:
            continue
        if local in found or public in found.values():
            raise SettingsError(f"--advertise {local}={public}: one of them is given twice")
        found[local] = public
    return found


def _drain_seconds(text: str) -> float:
    return _number(text, 0.0, 86400.0)


def _milliseconds(text: str) -> float:
    return _number(text, 0.0, 100.0)


def _seconds(text: str) -> float:
    return _number(text, 0.1, 86400.0)


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {low:g} to {high:g}")
    return value


def _version(name: str) -> int:
    return ip_address(name).version
