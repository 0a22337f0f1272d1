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
        stripped = headers.strip(HEADER + b"data", (host, 4000))
        assert stripped == ((CLIENT, PROXY), HEADER, b"data")
    for host in ("192.0.2.9", "11.0.0.1", "2001:db9::1"):
        with pytest.raises(AuthenticationError):
            headers.strip(HEADER + b"data", (host, 4000))


def test_nobody_is_believed_without_networks() -> None:
    """The default."""
    with pytest.raises(AuthenticationError):
        RelayHeaders(()).strip(HEADER, ("10.0.0.1", 4000))


def test_a_relay_may_send_nonsense() -> None:
    """It is said so, to be counted."""
    headers = RelayHeaders((ip_network("10.0.0.0/8"),))
    with pytest.raises(ParseError):
        headers.strip(HEADER[:20], ("10.0.0.1", 4000))


def test_the_hosts_remembered_are_bounded() -> None:
    """A network may be large; what is beyond the limit is believed without being remembered."""
    headers = RelayHeaders((ip_network("10.0.0.0/8"),))
    for number in range(MAX_TRUSTED_HOSTS + 10):
        host = f"10.0.{number // 256}.{number % 256}"
        assert headers.strip(HEADER, (host, 4000)) == ((CLIENT, PROXY), HEADER, b"")
    assert len(headers._trusted) == MAX_TRUSTED_HOSTS


ABOVE, FACE = ("10.0.0.1", 4000), ("10.7.0.1", 4100)
RELAY = ("10.7.0.1", 4000)
STACK = encode_header(ABOVE, FACE) + HEADER


def test_two_tiers() -> None:
    """The innermost client is the client; answers carry both headers back."""
    headers = RelayHeaders((ip_network("10.0.0.0/8"),))
    assert headers.strip(STACK + b"data", RELAY) == ((CLIENT, PROXY), STACK, b"data")
    assert headers.strip(STACK, RELAY) == ((CLIENT, PROXY), STACK, b"")


def test_both_tiers_must_be_ours() -> None:
    """R15: a relay that names a stranger as the relay in front of it is not believed."""
    headers = RelayHeaders((ip_network("10.7.0.0/16"),))
    with pytest.raises(AuthenticationError):
        headers.strip(STACK + b"data", RELAY)
    with pytest.raises(AuthenticationError):
        headers.strip(encode_header(CLIENT, FACE) + HEADER + b"data", RELAY)


def test_a_third_header_is_refused() -> None:
    """R15: nested three deep, and truncated at every length behind the first."""
    headers = RelayHeaders((ip_network("10.0.0.0/8"),))
    with pytest.raises(ParseError):
        headers.strip(encode_header(ABOVE, FACE) + STACK + b"data", RELAY)
    for length in range(40, 76):
        with pytest.raises(ParseError):
            headers.strip(STACK[:length], RELAY)
