"""What the demonstration can be told on its command line, checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import attrs

from examples.cli import LineParser, SettingsError, address, host, integer
from rtcproto.datagram import Address

__all__ = ["DemoSettings", "SettingsError", "parse_arguments"]


@attrs.frozen(kw_only=True)
class DemoSettings:
    """One demonstration.

    `relays` are the addresses where relays listen, none to do without them;
    `advertise` are the hosts that answers name instead, at most one per address
    family; `media_host` is where transceivers listen for clients without relays.
    """

    http: Address
    relays: tuple[Address, ...]
    media_host: str
    advertise: tuple[str, ...] = ()
    transceivers: int = 2
    max_sessions: int = 1000
    max_connecting: int | None = None
    probe: bool = False
    once: bool = False
    tls: bool = False
    verbose: bool = False

    def public(self, bound: Address) -> Address:
        """A bound address as clients see it."""
        for name in self.advertise:
            if ip_address(name).version == ip_address(bound[0]).version:
                return name, bound[1]
        return bound

    @property
    def certificate_host(self) -> str:
        """The host that a certificate is made for."""
        return self.advertise[0] if self.advertise else reachable(self.http)[0]


def reachable(bound: Address) -> Address:
    """Where a program on this machine finds what is bound there: a wildcard is no destination."""
    name, port = bound
    parsed = ip_address(name)
    if not parsed.is_unspecified:
        return bound
    return ("127.0.0.1" if parsed.version == 4 else "::1"), port


def parse_arguments(arguments: Sequence[str]) -> DemoSettings:
    """Settings from command line arguments; SettingsError with one line otherwise."""
    options = _parser().parse_args(arguments)
    if not options.relay and not options.no_relay:
        raise SettingsError("--relay HOST:PORT is needed, or --no-relay")
    versions = [ip_address(name).version for name in options.advertise]
    if len(set(versions)) != len(versions):
        raise SettingsError("--advertise: at most one host per address family")
    named = [where for where in options.relay if where[1]]
    if len(set(named)) != len(named):
        raise SettingsError("--relay: the same address twice")
    settings = DemoSettings(
        http=options.http,
        relays=() if options.no_relay else tuple(options.relay),
        media_host=(options.relay or [options.http])[0][0],
        advertise=tuple(options.advertise),
        transceivers=options.transceivers,
        max_sessions=options.max_sessions,
        max_connecting=options.max_connecting,
        # There is nothing else that could happen once.
        probe=options.probe or options.once,
        once=options.once,
        tls=options.tls,
        verbose=options.verbose,
    )
    for bound in settings.relays or ((settings.media_host, 0),):
        if ip_address(settings.public(bound)[0]).is_unspecified:
            raise SettingsError(f"{bound[0]}: clients cannot send there, add --advertise HOST")
    return settings


def _parser() -> LineParser:
    parser = LineParser(
        prog="python examples/demo.py",
        description="Relays, transceivers and a page on one machine; serves until Ctrl-C.",
        epilog="HOST is numeric; IPv6 is written [::1]:3478.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--http", type=address, required=True, metavar="HOST:PORT",
        help="the page, and where offers are posted")  # fmt: skip
    add("--relay", type=address, action="append", default=[], metavar="HOST:PORT",
        help="where a relay listens for clients (may be repeated)")  # fmt: skip
    add("--no-relay", action="store_true", help="clients talk to the transceivers' own ports")
    add("--transceivers", type=integer(1, 100), default=2, metavar="N", help="how many (default 2)")
    add("--advertise", type=host, action="append", default=[], metavar="HOST",
        help="the host that answers name, where it is not the bound one (one per address family)",
        )  # fmt: skip
    add("--probe", action="store_true", help="place a call and print what it was like")
    add("--once", action="store_true", help="exit after that call, with its status")
    add("--tls", action="store_true", help="HTTPS with a certificate made on the spot")
    add("--max-sessions", type=integer(1, 100_000), default=1000, metavar="N",
        help="calls that one transceiver takes (default 1000)")  # fmt: skip
    add("--max-connecting", type=integer(1, 100_000), metavar="N",
        help="how many of them may be not connected yet (default: half of them)")  # fmt: skip
    add("--verbose", action="store_true", help="print what happens to every call")
    return parser
