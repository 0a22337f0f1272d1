"""Candidates: RFC 8839 section 5.1, RFC 8445 section 5.1.2, and the routability filter."""

import ipaddress

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError
from rtcproto.ice.candidate import (
    MAX_CANDIDATE_LENGTH,
    Candidate,
    CandidateType,
    candidate_address,
    compute_foundation,
    compute_priority,
    host_candidate,
    is_routable,
)

# As written by: RFC 8839 section 5.1, Chromium (UDP, TCP, mDNS), Firefox, Pion.
LINES = [
    "candidate:1 1 udp 2130706431 203.0.113.141 8998 typ host",
    "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
    "candidate:8421 1 udp 167 1.2.3.4 51 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag ab",
    "candidate:3359 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active generation 0",
    "candidate:0 1 udp 2122187007 2d1b3f1e-8d6f-4a0c-9d1b-9b1f3c5b6f00.local 51234 typ host",
    "candidate:1 1 udp 2130706431 2001:db8::1 5000 typ prflx",
    "candidate:1 2 udp 2130706430 192.0.2.1 5001 typ relay raddr 192.0.2.9 rport 4",
]


@pytest.mark.parametrize("line", LINES)
def test_round_trip(line: str) -> None:
    """What was written is written again, names and unknown extensions included."""
    assert str(Candidate.parse(line)) == line
    assert Candidate.parse("a=" + line + " \r\n") == Candidate.parse(line)
    assert Candidate.parse(line.removeprefix("candidate:")) == Candidate.parse(line)


def test_fields() -> None:
    """Every field lands where its name says, extensions in order."""
    assert Candidate.parse(
        "candidate:ab+/ 1 UDP 5 h.local 9 typ srflx raddr 10.0.0.1 rport 7 x y tcptype so u v"
    ) == Candidate(
        foundation="ab+/",
        component=1,
        transport="udp",
        priority=5,
        host="h.local",
        port=9,
        type=CandidateType.SERVER_REFLEXIVE,
        related=("10.0.0.1", 7),
        tcptype="so",
        extensions=(("x", "y"), ("u", "v")),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "candidate:",
        "candidate:1 1 udp 1 192.0.2.1 1 typ",
        "candidate:1 1 udp 1 192.0.2.1 1 host typ",
        "candidate:1 1 udp 1 192.0.2.1 1 typ hosts",
        "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
        "candidate:1 1 udp 1 192.0.2.1 -1 typ host",
        "candidate:1 1 udp 4294967296 192.0.2.1 1 typ host",
        "candidate:1 1000 udp 1 192.0.2.1 1 typ host",
        "candidate:1 1 udp \u0661 192.0.2.1 1 typ host",
        "candidate:1 1 udp 00000000001 192.0.2.1 1 typ host",
        "candidate:1_ 1 udp 1 192.0.2.1 1 typ host",
        "candidate:" + 33 * "a" + " 1 udp 1 192.0.2.1 1 typ host",
        "candidate:1 1 udp 1  1 typ host",
        "candidate:1 1 \t 1 192.0.2.1 1 typ host",
        "candidate:1 1 udp 1 " + 256 * "a" + " 1 typ host",
        "candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 192.0.2.1 rport 70000",
        "candidate:1 1 udp 1 192.0.2.1 1 typ host a b  c",
        "candidate:1 1 udp 1 192.0.2.1 1 typ host a \x7f",
        "candidate:1 1 udp 1 192.0.2.1 1 typ host" + 17 * " a b",
        "candidate:1 1 udp 1 192.0.2.1 1 typ host a " + MAX_CANDIDATE_LENGTH * "b",
    ],
)
def test_refused(text: str) -> None:
    """Text outside the grammar, or beyond a limit, is a `ParseError`."""
    with pytest.raises(ParseError):
        Candidate.parse(text)


@given(st.text(max_size=80) | st.sampled_from(LINES).flatmap(lambda x: st.text(x, max_size=90)))
def test_total(text: str) -> None:
    """Any text gives a candidate that survives a round trip, or `ParseError`."""
    try:
        candidate = Candidate.parse(text)
    except ParseError:
        return
    assert Candidate.parse(str(candidate)) == candidate


@given(st.sampled_from(LINES), st.data())
def test_total_near_the_grammar(line: str, data: st.DataObject) -> None:
    """Lines with words dropped, doubled or replaced keep to the same two outcomes."""
    words = line.split(" ")
    index = data.draw(st.integers(0, len(words) - 1))
    words[index : index + 1] = data.draw(
        st.lists(st.sampled_from([*words, "raddr", "rport", "", "tcptype"]), max_size=3)
    )
    try:
        candidate = Candidate.parse(" ".join(words))
    except ParseError:
        return
    assert Candidate.parse(str(candidate)) == candidate


def test_priority() -> None:
    """RFC 8445 section 5.1.2.1; the host figure is that of RFC 8839's example."""
    assert compute_priority(CandidateType.HOST) == 2130706431
    assert compute_priority(CandidateType.SERVER_REFLEXIVE) == 1694498815
    assert compute_priority(CandidateType.PEER_REFLEXIVE) == (110 << 24) + (65535 << 8) + 255
    assert compute_priority(CandidateType.RELAYED, local_preference=1, component=2) == 256 + 254


def test_foundation() -> None:
    """RFC 8445 section 5.1.1.3: equal exactly for the same type, base, protocol and server."""
    base = compute_foundation(CandidateType.HOST, "192.0.2.1")
    assert base == compute_foundation(CandidateType.HOST, "192.0.2.1")
    others = [
        compute_foundation(CandidateType.RELAYED, "192.0.2.1"),
        compute_foundation(CandidateType.HOST, "192.0.2.2"),
        compute_foundation(CandidateType.HOST, "192.0.2.1", transport="tcp"),
        compute_foundation(CandidateType.HOST, "192.0.2.1", server="192.0.2.9"),
    ]
    assert len({base, *others}) == 5
    assert Candidate.parse(str(host_candidate(("192.0.2.1", 7)))).foundation == base


def test_address() -> None:
    """One address has one spelling; names have none and are not resolved."""
    host = host_candidate(("192.0.2.1", 7))
    assert candidate_address(host) == ("192.0.2.1", 7)
    spelled = {
        "2001:DB8:0::1": ("2001:db8::1", 7),
        "::ffff:192.0.2.1": ("192.0.2.1", 7),
        "x.local": None,
        "localhost": None,
        "127.1": None,
        "2130706433": None,
        "fe80::1%eth0": None,
    }
    for text, address in spelled.items():
        assert candidate_address(attrs.evolve(host, host=text)) == address


ROUTABLE = [
    "192.0.2.1",
    "8.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "2001:4860::1",
    "fd00::1",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
UNROUTABLE = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "ff02::1",
    "fec0::1",
    "::ffff:8.8.8.8",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::808:808",
    "2002:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fe80::1%eth0",
    "a.local",
    "localhost",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
]


@pytest.mark.parametrize("host", ROUTABLE)
def test_routable(host: str) -> None:
    """Public and private addresses may have checks sent to them."""
    assert is_routable(attrs.evolve(host_candidate(("192.0.2.1", 7)), host=host))


@pytest.mark.parametrize("allow_loopback", [False, True])
@pytest.mark.parametrize("host", UNROUTABLE)
def test_unroutable(host: str, allow_loopback: bool) -> None:
    """Addresses that no peer has any business to name are refused in every spelling."""
    candidate = attrs.evolve(host_candidate(("192.0.2.1", 7)), host=host)
    assert not is_routable(candidate, allow_loopback=allow_loopback)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    """Loopback is refused unless it is allowed."""
    candidate = attrs.evolve(host_candidate(("192.0.2.1", 7)), host=host)
    assert not is_routable(candidate)
    assert is_routable(candidate, allow_loopback=True)


def test_unroutable_kind() -> None:
    """Port 0, TCP and other components are refused."""
    host = host_candidate(("192.0.2.1", 7))
    for wrong in ({"port": 0}, {"transport": "tcp"}, {"component": 2}):
        assert not is_routable(attrs.evolve(host, **wrong))


@given(st.ip_addresses())
def test_filter_is_total(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """No address makes the filter raise, and none it passes is loopback or link-local."""
    if is_routable(attrs.evolve(host_candidate(("192.0.2.1", 7)), host=str(ip))):
        assert not any((ip.is_loopback, ip.is_link_local, ip.is_unspecified, ip.is_multicast))
