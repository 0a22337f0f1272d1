"""Who runs where: the command line of every process of the demonstration."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path

import attrs

from examples.cli import SettingsError, show
from examples.demonstration.settings import DemoSettings
from rtcproto.datagram import Address

__all__ = ["Job", "Plan"]

# Where relays and transceivers talk to each other, and the front door to transceivers.
INSIDE = "127.0.0.1"


@attrs.frozen
class Job:
    """One process: its name for people, its module, its arguments."""

    name: str
    module: str
    arguments: tuple[str, ...]


class Plan:
    """The processes for some settings, with free ports chosen; `keys` is the token key file.

    `backends` are the transceivers' HTTP addresses, by owner; `relays` the
    relays as clients see them. Raises SettingsError if a host is not ours or a port in use.
    """

    def __init__(self, settings: DemoSettings, keys: Path) -> None:
        self._settings = settings
        self._keys = str(keys)
        count = settings.transceivers
        media_host = INSIDE if settings.relays else settings.media_host
        with ExitStack() as held:
            # Held until all are chosen, so that they differ.
            bound = tuple(_free(held, where) for where in settings.relays)
            inside = [_free(held, (INSIDE, 0)) for _ in bound]
            media = [_free(held, (media_host, 0)) for _ in range(count)]
            kind = socket.SOCK_STREAM
            self.backends = tuple(_free(held, (INSIDE, 0), kind) for _ in range(count))
        self.relays = tuple(map(settings.public, bound))
        self.relay_jobs = [self._relay(*pair, media) for pair in zip(bound, inside, strict=True)]
        self.owner_jobs = [self._transceiver(owner, media[owner]) for owner in range(count)]

    def _relay(self, bound: Address, inside: Address, media: Sequence[Address]) -> Job:
        arguments = ["--listen", show(bound), "--inside", show(inside)]
        public = self._settings.public(bound)
        if public != bound:
            arguments += ["--advertise", public[0]]
        for owner, where in enumerate(media):
            arguments += ["--transceiver", f"0/{owner}={show(where)}"]
        arguments += ["--keys", self._keys, "--allow-loopback"]
        return Job(f"relay {show(bound)}", "examples.relay", tuple(arguments))

    def _transceiver(self, owner: int, media: Address) -> Job:
        settings = self._settings
        arguments = ["--http", show(self.backends[owner]), "--udp", show(media)]
        if self.relays:
            for relay in self.relays:
                arguments += ["--relay", show(relay)]
            arguments += ["--relay-network", INSIDE]
        elif settings.public(media) != media:
            arguments += ["--advertise", settings.public(media)[0]]
        # The keys matter only with relays; with them or without, an owner is in its call ids.
        arguments += ["--keys", self._keys, "--owner", str(owner)]
        arguments += ["--max-sessions", str(settings.max_sessions)]
        if settings.max_connecting is not None:
            arguments += ["--max-connecting", str(settings.max_connecting)]
        # A demonstration is for everybody, and ends when it is told to. Only the front door
        # is in front of it, and says who asks.
        arguments += ["--no-auth", "--trusted-proxy", INSIDE, "--drain-timeout", "0"]
        if not settings.verbose:
            arguments.append("--quiet")
        return Job(f"transceiver {owner}", "examples.transceiver", tuple(arguments))


def _free(held: ExitStack, where: Address, kind: socket.SocketKind = socket.SOCK_DGRAM) -> Address:
    """The address with a free port if it has port 0, bound until `held` is left.

    A relay's own port is bound as well, so that one in use is said before anything starts.
    """
    family = socket.AF_INET6 if ip_address(where[0]).version == 6 else socket.AF_INET
    sock = held.enter_context(socket.socket(family, kind))
    try:
        sock.bind(where)
    except OSError as error:
        name = f"--relay {show(where)}" if where[1] else where[0]
        raise SettingsError(f"{name}: {error.strerror}") from None
    return where[0], sock.getsockname()[1]
