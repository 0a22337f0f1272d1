"""Whose proxy header is believed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from rtcproto.endpoint.relays import MAX_TRUSTED_HOSTS, RelayHeaders
from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.routing import encode_header

CLIENT, PROXY = ("192.0.2.1", 5000), ("198.51.100.1", 3478)
HEADER = encode_header(CLIENT, PROXY)


def test_only_the_relays_networks_are_believed() -> None:
    """R15: a header from elsewhere would lend its sender any address."""
    headers = RelayHeaders((ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))
    for host in ("10.1.2.3", "10.1.2.3", "2001:db8::7"):
        assert headers.path(HEADER + b"data", (host, 4000)) == (CLIENT, PROXY)
    for host in ("192.0.2.9", "11.0.0.1", "2001:db9::1"):
        with pytest.raises(AuthenticationError):
            headers.path(HEADER + b"data", (host, 4000))


def test_nobody_is_believed_without_networks() -> None:
    """The default."""
    with pytest.raises(AuthenticationError):
        RelayHeaders(()).path(HEADER, ("10.0.0.1", 4000))


def test_a_relay_may_send_nonsense() -> None:
    """It is said so, to be counted."""
    headers = RelayHeaders((ip_network("10.0.0.0/8"),))
    with pytest.raises(ParseError):
        headers.path(HEADER[:20], ("10.0.0.1", 4000))


def test_the_hosts_remembered_are_bounded() -> None:
    """A network may be large; what is beyond the limit is believed without being remembered."""
    headers = RelayHeaders((ip_network("10.0.0.0/8"),))
    for number in range(MAX_TRUSTED_HOSTS + 10):
        host = f"10.0.{number // 256}.{number % 256}"
        assert headers.path(HEADER, (host, 4000)) == (CLIENT, PROXY)
    assert len(headers._trusted) == MAX_TRUSTED_HOSTS
