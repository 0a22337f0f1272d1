"""The relay's look at whether clients arrive under their own addresses."""

from __future__ import annotations

import pytest

from examples.relay.translated import FEW, LOOK_AT, AddressCheck
from rtcproto.datagram import Address
from rtcproto.routing.table import FlowAdded, FlowProven

PUBLIC, OWNER = ("203.0.113.1", 3478), ("10.0.0.1", 9000)


def warnings_after(hosts: list[str], via: Address | None = None) -> list[str]:
    """What is said when these get flows, one after the other; the gauge says the same."""
    warnings: list[str] = []
    check = AddressCheck(warnings.append)
    for port, host in enumerate(hosts, start=1024):
        added = FlowAdded(client=(host, port), public=PUBLIC, owner=OWNER, via=via)
        proven = FlowProven(client=(host, port), public=PUBLIC, owner=OWNER, via=via)
        check.observe([added, proven], 0.0)
    assert check.values() == {"clients_look_translated": len(warnings)}
    return warnings


@pytest.mark.parametrize(
    ("hosts", "count"),
    [
        (["10.0.0.7"], "1 private address:"),
        (["100.64.3.1", "100.64.3.2", "fd00::7"], "3 private addresses:"),
        ([f"10.0.0.{node}" for node in range(FEW)], f"{FEW} private addresses:"),
    ],
    ids=["one node", "a few", "as many as are few"],
)
def test_clients_behind_nodes_are_noticed(hosts: list[str], count: str) -> None:
    """Said once, when enough were seen; no address is in the text."""
    (text,) = warnings_after((hosts * LOOK_AT)[: 2 * LOOK_AT])
    assert count in text
    assert "externalTrafficPolicy: Local" in text
    assert not any(host in text for host in hosts)
    assert warnings_after((hosts * LOOK_AT)[: LOOK_AT - 1]) == []


@pytest.mark.parametrize(
    "hosts",
    [
        ["10.0.0.7"] * (LOOK_AT - 1) + ["8.8.8.8"],
        ["2001:4860::1"] * LOOK_AT,
        [f"10.0.0.{number}" for number in range(LOOK_AT)],
        ["127.0.0.1"] * LOOK_AT,
    ],
    ids=["one is public", "one public address", "a private network", "loopback"],
)
def test_clients_of_their_own_are_not(hosts: list[str]) -> None:
    """One public address is enough, or many private ones; a developer's machine is neither."""
    assert warnings_after(hosts) == []
    # Decided: what comes later changes nothing.
    assert warnings_after(hosts + ["10.0.0.7"] * LOOK_AT) == []


def test_clients_of_other_relays_are_not_looked_at() -> None:
    """Behind an upstream relay it is that relay's to know."""
    assert warnings_after(["10.0.0.7"] * LOOK_AT, via=("10.1.0.1", 4000)) == []
