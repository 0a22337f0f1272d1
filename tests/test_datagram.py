"""Addresses and datagrams."""

import pytest

from rtcproto.datagram import MAX_DATAGRAM_IN, MAX_DATAGRAM_OUT, Datagram, normalise


@pytest.mark.parametrize(
    ("sockaddr", "address"),
    [
        (("192.0.2.1", 80), ("192.0.2.1", 80)),
        (("2001:db8::1", 80, 0, 0), ("2001:db8::1", 80)),
        (("fe80::1%eth0", 80, 0, 3), ("fe80::1", 80)),
        (("::ffff:192.0.2.1", 80, 0, 0), ("192.0.2.1", 80)),
        (("::FFFF:192.0.2.1", 80, 0, 0), ("192.0.2.1", 80)),
        (("::1", 80, 0, 0), ("::1", 80)),
    ],
)
def test_normalise(sockaddr: tuple, address: tuple[str, int]) -> None:
    """One spelling per peer: no scope id, no flow label, IPv4-mapped shown as IPv4."""
    assert normalise(sockaddr) == address


def test_normalising_twice_changes_nothing() -> None:
    """The result is itself a socket address in normal form."""
    once = normalise(("::ffff:192.0.2.1", 9, 0, 0))
    assert normalise(once) == once


def test_repr_shows_a_length_never_the_payload() -> None:
    """Payloads are calls of people: logs get their length."""
    shown = repr(Datagram(b"secret", ("192.0.2.1", 80), ("198.51.100.1", 9)))
    assert "6 bytes" in shown
    assert "secret" not in shown


def test_source_is_optional_and_counts_in_equality() -> None:
    """With one local address there is nothing to choose."""
    peer = ("192.0.2.1", 80)
    assert Datagram(b"x", peer).source is None
    assert Datagram(b"x", peer) == Datagram(b"x", peer)
    assert Datagram(b"x", peer) != Datagram(b"x", peer, ("198.51.100.1", 9))


def test_limits_leave_room_for_each_other() -> None:
    """What we send, anyone's 1,280-byte IPv6 path carries, and we would accept ourselves."""
    assert MAX_DATAGRAM_OUT + 40 + 8 <= 1280
    assert MAX_DATAGRAM_OUT < MAX_DATAGRAM_IN
