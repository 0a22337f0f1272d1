"""What the first byte of a datagram decides."""

from __future__ import annotations

import pytest

from rtcproto.demux import Kind, classify
from rtcproto.relay.kinds import FLOW, FLOW_FIRST, IS_MEDIA, NOWHERE, STUN, WAY, can_be_client


@pytest.mark.parametrize("first", range(256))
def test_ways_follow_the_demultiplexer(first: int) -> None:
    """STUN is looked into, DTLS and RTP follow their flow, the rest goes nowhere."""
    expected = {Kind.STUN: STUN, Kind.DTLS: FLOW, Kind.RTP: FLOW, Kind.RTCP: FLOW}
    kind = classify(bytes((first,)))
    assert WAY[first] == expected.get(kind, NOWHERE)
    assert (first in FLOW_FIRST) == (WAY[first] == FLOW)


def test_media_is_what_owners_send_to_proven_addresses_only() -> None:
    """SRTP and SRTCP (128 to 191) and DTLS application data (23)."""
    assert [first for first in range(256) if IS_MEDIA[first]] == [23, *range(128, 192)]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("192.0.2.1", True),
        ("127.0.0.1", True),
        ("2001:db8::1", True),
        ("::1", True),
        ("223.255.255.255", True),
        ("0.0.0.0", False),
        ("0.1.2.3", False),
        ("::", False),
        ("224.0.0.1", False),
        ("239.255.255.255", False),
        ("ff02::1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
    ],
)
def test_who_can_be_a_client(host: str, allowed: bool) -> None:
    """Nothing may make us send to many hosts at once, or to no host."""
    assert can_be_client((host, 5)) is allowed
