"""Which address of this computer a call leaves from."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from examples.probe.signalling import CallFailed
from rtcproto.datagram import Address, normalise
from rtcproto.errors import ParseError
from rtcproto.sdp import SdpCandidate, parse

__all__ = ["candidate_addresses", "own_host", "server_address"]


def server_address(url: str) -> Address:
    """The IP address and port behind a URL. Raises CallFailed for a name that does not resolve."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CallFailed(f"{url}: {error.strerror or error}") from None
    return normalise((str(found[0][4][0]), port))


def own_host(remote: Address) -> str | None:
    """Our address towards `remote`, or None without a route: the kernel knows, nothing is sent."""
    family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(remote)
            return normalise(sock.getsockname())[0]
    except OSError:
        return None


def candidate_addresses(answer: str) -> tuple[Address, ...]:
    """The UDP addresses that an answer names, in its order; none if it does not parse."""
    try:
        description = parse(answer)
    except ParseError:
        return ()
    candidates = [
        candidate for section in description.media for candidate in section.all(SdpCandidate)
    ]
    return tuple(
        (candidate.host, candidate.port)
        for candidate in candidates
        if candidate.transport.lower() == "udp" and _is_numeric(candidate.host)
    )


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
