"""RFC 4787: the three mapping and the three filtering behaviours."""

import pytest

from rtcproto.testing.nat import FIRST_PORT, LAST_PORT, Behaviour, Nat

INSIDE = ("10.0.0.2", 5000)
PUBLIC = "203.0.113.1"
A1, A2, B1 = ("192.0.2.1", 1), ("192.0.2.1", 2), ("192.0.2.9", 1)
EI = Behaviour.ENDPOINT_INDEPENDENT
AD = Behaviour.ADDRESS_DEPENDENT
APD = Behaviour.ADDRESS_AND_PORT_DEPENDENT


@pytest.mark.parametrize(("mapping", "ports"), [(EI, 1), (AD, 2), (APD, 3)])
def test_mapping(mapping: Behaviour, ports: int) -> None:
    """Section 4.1: how many public ports three destinations cost."""
    nat = Nat(PUBLIC, mapping=mapping)
    outside = [nat.outbound(INSIDE, destination, 0.0) for destination in (A1, A2, B1)]
    assert len(set(outside)) == ports
    assert {host for host, _ in outside} == {PUBLIC}
    assert outside == [nat.outbound(INSIDE, destination, 1.0) for destination in (A1, A2, B1)]


@pytest.mark.parametrize(
    ("filtering", "passes"),
    [(EI, [True, True, True]), (AD, [True, True, False]), (APD, [True, False, False])],
)
def test_filtering(filtering: Behaviour, passes: list[bool]) -> None:
    """Section 5: who may answer once A1 was written to."""
    nat = Nat(PUBLIC, filtering=filtering)
    outside = nat.outbound(INSIDE, A1, 0.0)
    assert [nat.inbound(s, outside, 1.0) == INSIDE for s in (A1, A2, B1)] == passes


def test_two_insiders_get_two_ports() -> None:
    """Mappings are per internal endpoint, and answers find the right one."""
    nat = Nat(PUBLIC)
    other = ("10.0.0.3", 5000)
    first, second = nat.outbound(INSIDE, A1, 0.0), nat.outbound(other, A1, 0.0)
    assert first != second
    assert nat.inbound(A1, first, 0.0) == INSIDE
    assert nat.inbound(A1, second, 0.0) == other


def test_expiry_counts_outbound_packets_only() -> None:
    """Section 4.3, REQ-6: inbound traffic need not keep a mapping alive, and here does not."""
    nat = Nat(PUBLIC, expiry=30.0)
    outside = nat.outbound(INSIDE, A1, 0.0)
    assert nat.inbound(A1, outside, 29.9) == INSIDE
    assert nat.inbound(A1, outside, 30.0) is None
    renewed = nat.outbound(INSIDE, A1, 31.0)
    assert renewed != outside
    assert nat.inbound(A1, renewed, 60.9) == INSIDE
    assert nat.outbound(INSIDE, A1, 60.0) == renewed
    assert nat.inbound(A1, renewed, 89.0) == INSIDE


def test_rebinding_changes_the_mapping() -> None:
    """After rebind() the old port is dead and the next packet leaves from another."""
    nat = Nat(PUBLIC)
    before = nat.outbound(INSIDE, A1, 0.0)
    nat.rebind()
    assert nat.inbound(A1, before, 1.0) is None
    after = nat.outbound(INSIDE, A1, 1.0)
    assert after[0] == PUBLIC
    assert after != before
    nat.rebind("203.0.113.77")
    assert nat.outbound(INSIDE, A1, 2.0)[0] == "203.0.113.77"


def test_unknown_ports_and_hosts_are_dropped() -> None:
    """Nothing comes in without a mapping."""
    nat = Nat(PUBLIC)
    _, port = nat.outbound(INSIDE, A1, 0.0)
    assert nat.inbound(A1, (PUBLIC, port + 1), 0.0) is None
    assert nat.inbound(A1, ("203.0.113.2", port), 0.0) is None


def test_ports_run_out_loudly() -> None:
    """A scenario with more flows than ports fails instead of sharing one."""
    nat = Nat(PUBLIC, mapping=APD)
    for n in range(LAST_PORT - FIRST_PORT + 1):
        nat.outbound(INSIDE, (f"h{n}", 1), 0.0)
    with pytest.raises(RuntimeError, match="no port left"):
        nat.outbound(INSIDE, ("one more", 1), 0.0)
