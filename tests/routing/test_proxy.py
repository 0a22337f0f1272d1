"""The proxy header."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError
from rtcproto.routing.proxy import (
    HEADER_SIZE,
    MAGIC,
    MAX_DEPTH,
    HeaderCache,
    encode_header,
    has_header,
    parse_header,
    parse_headers,
)

CLIENT = ("192.0.2.1", 0x1234)
PROXY = ("198.51.100.7", 3478)
HEADER = bytes.fromhex(
    "56ec 00000000000000000000ffff c0000201 00000000000000000000ffff c6336407 1234 0d96"
)
HOSTS = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n))),
    st.integers(2**100, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n))),
)
ADDRESSES: st.SearchStrategy[Address] = st.tuples(HOSTS, st.integers(1, 65535))


def test_layout() -> None:
    """Magic, two addresses (IPv4 mapped), two ports, 38 bytes; both ways."""
    assert encode_header(CLIENT, PROXY) == HEADER
    assert len(HEADER) == HEADER_SIZE == 38
    assert parse_header(HEADER) == (CLIENT, PROXY, 38)


def test_ipv6() -> None:
    """IPv6 addresses are carried as they are and come back in the usual short text."""
    client, proxy = ("2001:db8::1", 1), ("2001:db8:0:1::ff", 65535)
    header = encode_header(client, proxy)
    assert header[2:18] == bytes.fromhex("20010db8000000000000000000000001")
    assert parse_header(header) == (client, proxy, 38)


@given(ADDRESSES, ADDRESSES, st.binary(max_size=20))
def test_round_trip(client: Address, proxy: Address, payload: bytes) -> None:
    """What is encoded is parsed, with and without a cache, whatever follows."""
    data = encode_header(client, proxy) + payload
    cache = HeaderCache()
    assert parse_header(data) == (client, proxy, 38)
    assert cache.parse(data) == cache.parse(data) == (client, proxy, 38)
    assert cache.encode(client, proxy) == cache.encode(client, proxy) == data[:38]


@pytest.mark.parametrize("length", range(38))
def test_truncated(length: int) -> None:
    """Every truncation is an error, cached or not, and is not remembered as something else."""
    cache = HeaderCache()
    for _ in range(2):
        with pytest.raises(ParseError):
            parse_header(HEADER[:length])
        with pytest.raises(ParseError):
            cache.parse(HEADER[:length])
    assert has_header(HEADER[:length]) is (length >= 2)


@pytest.mark.parametrize(
    "header",
    [b"\x56\xed" + HEADER[2:], HEADER[:34] + b"\0\0" + HEADER[36:], HEADER[:36] + b"\0\0"],
    ids=["magic", "client port 0", "proxy port 0"],
)
def test_malformed(header: bytes) -> None:
    """Another magic and port 0 are errors."""
    with pytest.raises(ParseError):
        parse_header(header)
    with pytest.raises(ParseError):
        HeaderCache().parse(header)


@given(st.binary(max_size=160))
def test_parsers_are_total(data: bytes) -> None:
    """Any bytes behind the magic give headers or ParseError."""
    for text in (data, MAGIC + data):
        try:
            headers, offset = parse_headers(text)
        except ParseError:
            continue
        assert offset == HEADER_SIZE * len(headers) <= len(text)
        assert len(headers) <= MAX_DEPTH


def test_stack() -> None:
    """Two tiers are read outermost first; a third header is refused."""
    outer = encode_header(("203.0.113.9", 9), PROXY)
    assert parse_headers(b"\x80rtp") == ([], 0)
    assert parse_headers(HEADER + b"\x80rtp") == ([(CLIENT, PROXY)], 38)
    assert parse_headers(outer + HEADER) == ([(("203.0.113.9", 9), PROXY), (CLIENT, PROXY)], 76)
    with pytest.raises(ParseError):
        parse_headers(outer + HEADER + HEADER)


@pytest.mark.parametrize(
    ("client", "proxy"),
    [
        (("localhost", 1), PROXY),
        (("", 1), PROXY),
        (CLIENT, ("192.0.2", 1)),
        (("192.0.2.1", 0), PROXY),
        (CLIENT, ("192.0.2.1", 65536)),
        (CLIENT, ("192.0.2.1", -1)),
    ],
)
def test_encode_refuses_what_is_no_address(client: Address, proxy: Address) -> None:
    """Names, broken addresses and impossible ports are the caller's mistakes."""
    with pytest.raises(UsageError):
        encode_header(client, proxy)
    with pytest.raises(UsageError):
        HeaderCache().encode(client, proxy)


def test_cache_is_bounded() -> None:
    """Neither direction remembers more than its limit, and both stay right."""
    cache = HeaderCache(limit=4)
    for port in range(1, 50):
        client = ("192.0.2.1", port)
        header = cache.encode(client, PROXY)
        assert cache.parse(header) == (client, PROXY, 38)
        assert len(cache._parsed) <= 4
        assert len(cache._encoded) <= 4
