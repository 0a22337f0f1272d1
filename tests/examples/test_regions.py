"""The nearest relays come first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from examples.transceiver.auth import Authority
from examples.transceiver.desk import Desk
from examples.transceiver.regions import Regions, order_relays, steer
from rtcproto.errors import ParseError

EU, US, ASIA = "203.0.113.1", "198.51.100.1", "2001:db8:a::1"
TABLE = f"""
relay eu {EU} 203.0.113.2   # two of them
relay us {US}
relay asia {ASIA}
network eu 192.0.2.0/24 2001:db8:e::/48
network us 192.0.2.128/25
near eu us asia
near asia us eu
"""
LINES = [
    f"a=candidate:1 1 udp 2130706431 {US} 3478 typ host\r\n",
    f"a=candidate:2 1 tcp 1671430143 {US} 443 typ host tcptype passive\r\n",
    f"a=candidate:3 1 udp 2130706431 {EU} 3478 typ host\r\n",
    f"a=candidate:4 1 tcp 1671430143 {EU} 443 typ host tcptype passive\r\n",
    f"a=candidate:5 1 udp 2130706431 {ASIA} 3478 typ host\r\n",
]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("eu", [EU, US, ASIA]),
        ("asia", [ASIA, US, EU]),
        # Nothing is known of what is near it: its own, then as configured.
        ("us", [US, EU, ASIA]),
        ("moon", [EU, US, ASIA]),
        (None, [EU, US, ASIA]),
    ],
)
def test_order(region: str | None, expected: list[str]) -> None:
    """The caller's region, then by distance, then as configured."""
    table = Regions.parse(TABLE)
    assert order_relays([EU, US, ASIA], region, table.relays, table.near) == expected


def test_equals_keep_their_order() -> None:
    """Two relays of one region, and relays of no known region."""
    table = Regions.parse(TABLE)
    hosts = ["10.0.0.1", "203.0.113.2", EU, "10.0.0.2"]
    ordered = order_relays(hosts, "eu", table.relays, table.near)
    assert ordered == ["203.0.113.2", EU, "10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize(
    ("client", "header", "region"),
    [
        ("192.0.2.1", None, "eu"),
        ("192.0.2.200", None, "us"),
        ("2001:db8:e::9", None, "eu"),
        ("2001:db8:e::/64", None, "eu"),
        ("10.0.0.1", None, None),
        ("10.0.0.1", "asia", "asia"),
        ("192.0.2.1", "us", "us"),
        # What a header says is not believed to be a region because it says so.
        ("192.0.2.1", "nowhere", "eu"),
        ("unix", None, None),
    ],
)
def test_where_a_caller_is(client: str, header: str | None, region: str | None) -> None:
    """A header goes before the table, the longest network before others."""
    assert Regions.parse(TABLE).region_of(client, header) == region


def test_answers() -> None:
    """Candidates move, UDP stays before TCP of the same relay, nothing else changes."""
    before = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    after = "a=end-of-candidates\r\na=mid:0\r\n"
    answer = before + "".join(LINES) + after
    steered = Regions.parse(TABLE).answer_for(answer, [US, EU, ASIA], "eu")
    assert steered == before + "".join(LINES[n] for n in (2, 3, 0, 1, 4)) + after
    assert steer(answer, []) == answer
    assert steer(before, [EU]) == before


@pytest.mark.parametrize(
    "line", ["relay eu", "relay eu host.example", "network eu 192.0.2.1/24", "far eu us", "x"]
)
def test_a_bad_line_is_named(line: str) -> None:
    """With its number."""
    with pytest.raises(ParseError) as caught:
        Regions.parse(f"relay eu {EU}\n\n{line}\n")
    assert caught.value.offset == 3


def desk(**fields: Any) -> Desk:
    """A desk that knows the regions and who is calling, and no calls."""
    nobody: Any = None
    return Desk(
        calls=nobody, owner=nobody, authority=Authority(None), register=nobody, check=nobody,
        owners=nobody, regions=Regions.parse(TABLE), relays=[US, EU, ASIA], **fields,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("proxies", "expected"), [(("10.0.0.0/8",), "asia"), ((), None), (("10.9.0.0/16",), None)]
)
def test_a_header_of_the_cdn(proxies: tuple[str, ...], expected: str | None) -> None:
    """Believed from trusted proxies, as the address of the caller is; anybody can write one."""
    request: Any = SimpleNamespace(remote="10.0.0.1", headers={"X-Region": "asia"})
    caller = desk(proxies=proxies, region_header="X-Region").caller(request)
    assert caller.region == expected


def test_the_address_of_the_caller() -> None:
    """Behind a trusted proxy, the one that it forwards."""
    headers = {"X-Forwarded-For": "198.51.100.9, 192.0.2.7"}
    request: Any = SimpleNamespace(remote="10.0.0.1", headers=headers)
    assert desk(proxies=("10.0.0.0/8",)).caller(request).region == "eu"
    direct: Any = SimpleNamespace(remote="192.0.2.200", headers={})
    assert desk().caller(direct).region == "us"
