"""The candidate attribute, RFC 8839 section 5.1."""

import pytest

from rtcproto.errors import ParseError
from rtcproto.sdp import SdpCandidate
from rtcproto.sdp.attributes import parse_attribute

LINES = [
    "candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
    "candidate:4 1 udp 2113937151 e0c6fca5-6f55.local 33420 typ host generation 0 network-cost 9",
    "candidate:2 1 TCP 2105458943 2001:db8::7 9 typ host tcptype active",
    "candidate:0 2 UDP 1685921790 198.51.100.4 41073 typ srflx raddr 0.0.0.0 rport 0",
    "candidate:3 1 udp 0 turn.example 0 typ made-up x y x z",
    "candidate:1 1 tcp 1671430143 192.0.2.1 443 typ host tcptype passive ufrag a/u0/b",
]


@pytest.mark.parametrize("line", LINES)
def test_candidate_both_ways(line: str) -> None:
    """Addresses, names, TCP, second components, unknown types and extensions survive."""
    value = parse_attribute(line, 1)
    assert isinstance(value, SdpCandidate)
    assert str(value) == line


def test_candidate_fields() -> None:
    """Each field lands where it belongs; unknown pairs are kept in order."""
    assert parse_attribute(
        "candidate:f 2 UDP 7 h.local 5 typ srflx raddr 192.0.2.9 rport 6 tcptype so ufrag u g 0", 1
    ) == SdpCandidate(
        foundation="f",
        component=2,
        transport="UDP",
        priority=7,
        host="h.local",
        port=5,
        type="srflx",
        related_host="192.0.2.9",
        related_port=6,
        tcptype="so",
        extensions=(("ufrag", "u"), ("g", "0")),
    )


@pytest.mark.parametrize(
    "line",
    [
        "candidate:",
        "candidate:1 1 udp 1 192.0.2.1 9 typ",
        "candidate:1 1 udp 1 192.0.2.1 9 type host",
        "candidate:1 257 udp 1 192.0.2.1 9 typ host",
        "candidate:1 1 udp 4294967296 192.0.2.1 9 typ host",
        "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
        "candidate:1 1 udp 1 192.0.2.1 -1 typ host",
        "candidate:1 1 udp 1 192.0.2.1 9 typ host generation",
        "candidate:1 1 udp 1 192.0.2.1 9 typ host raddr x rport 65536",
        "candidate:1 1 udp 1 h\u00f6st 9 typ host",
    ],
)
def test_malformed_candidates_are_refused(line: str) -> None:
    """A missing field, a number out of range, a name without a value: ParseError."""
    with pytest.raises(ParseError):
        parse_attribute(line, 1)
