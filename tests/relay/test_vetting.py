"""Whom a token names, and which client a header may speak of."""

from __future__ import annotations

import pytest

from rtcproto.datagram import Address
from rtcproto.relay.policy import Drop
from rtcproto.relay.vetting import inner_header, owner_in
from rtcproto.routing import EncipheredTokenCodec, RoutingToken, StaticDirectory, encode_header

CODEC = EncipheredTokenCodec({"A": bytes(range(16))}, "A")
DIRECTORY = StaticDirectory.from_text("0/1=10.0.0.1:9000@3\n7/*=10.7.0.1:4100\n7/2=10.7.0.2:9")
OURS = (("203.0.113.1", 3478),)
CLIENT = ("192.0.2.1", 5000)
PUBLIC = ("203.0.113.9", 3478)


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        ((0, 1, 3), ("10.0.0.1", 9000)),
        ((0, 1, 2), Drop.STALE_EPOCH),
        ((0, 2, 3), Drop.UNKNOWN_OWNER),
        ((7, 1, 9), ("10.7.0.1", 4100)),
        ((7, 2, 0), ("10.7.0.2", 9)),
        ((7, 2, 1), Drop.STALE_EPOCH),
    ],
)
def test_owners(slot: tuple[int, int, int], expected: Address | Drop) -> None:
    """An owner's own entry goes before that of its cluster, which takes every epoch."""
    ufrag = CODEC.encode(RoutingToken(*slot, 5)).encode()
    assert owner_in(ufrag, CODEC, DIRECTORY) == expected
    assert owner_in(ufrag[:-1], CODEC, DIRECTORY) is Drop.BAD_TOKEN


@pytest.mark.parametrize(
    ("client", "public", "expected"),
    [
        (CLIENT, PUBLIC, (CLIENT, PUBLIC)),
        (("10.0.0.1", 9000), PUBLIC, Drop.LOOP),
        (OURS[0], PUBLIC, Drop.LOOP),
        (CLIENT, OURS[0], Drop.LOOP),
        (("ff02::1", 5), PUBLIC, Drop.BAD_HEADER),
    ],
)
def test_inner_headers(
    client: Address, public: Address, expected: tuple[Address, Address] | Drop
) -> None:
    """Wherever in the datagram the header stands."""
    header = encode_header(client, public)
    assert inner_header(header, 0, OURS, DIRECTORY) == expected
    assert inner_header(bytes(38) + header, 38, OURS, DIRECTORY) == expected
    assert inner_header(header[:-1], 0, OURS, DIRECTORY) is Drop.BAD_HEADER
