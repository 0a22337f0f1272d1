"""The relays in front of this one."""

from __future__ import annotations

from ipaddress import ip_network

from rtcproto.relay import upstream
from rtcproto.relay.upstream import Upstreams
from rtcproto.routing import parse_header

FACE = ("10.1.0.9", 4100)
NETWORKS = (ip_network("10.0.0.0/24"), ip_network("2001:db8::/64"))


def test_configured_networks_only() -> None:
    """Any port of a host in one of the networks; nobody else, and never ourselves."""
    upstreams = Upstreams(NETWORKS, FACE)
    for relay in (("10.0.0.1", 4000), ("10.0.0.1", 4001), ("2001:db8::1", 4000)):
        header = upstreams.header_of(relay)
        assert header is not None
        assert parse_header(header) == (relay, FACE, 38)
        assert upstreams.header_of(relay) is header
    for stranger in (("10.0.1.1", 4000), ("10.0.0.1", 0), ("2001:db9::1", 4), ("192.0.2.1", 4)):
        assert upstreams.header_of(stranger) is None
    assert Upstreams((ip_network("10.1.0.0/24"),), FACE).header_of(FACE) is None


def test_without_a_face_there_is_no_tier() -> None:
    """A relay that nobody stands in front of believes nobody."""
    assert Upstreams((), None).header_of(("10.0.0.1", 4000)) is None


def test_memory_is_bounded() -> None:
    """Ports of a believed host are many; what is remembered of them has a limit."""
    upstreams = Upstreams((ip_network("10.0.0.0/8"),), FACE)
    for n in range(upstream.MAX_UPSTREAMS + 10):
        assert upstreams.header_of((f"10.0.{n >> 8}.{n & 255}", 4000)) is not None
    assert len(upstreams._headers) <= upstream.MAX_UPSTREAMS
