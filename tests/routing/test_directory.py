"""The directory of owners."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError
from rtcproto.routing.directory import (
    ANY_OWNER,
    LOOPBACK_NETWORKS,
    MAX_ENTRIES,
    Entry,
    StaticDirectory,
    parse_address,
    parse_entries,
    parse_entry,
)

TEXT = """
# the fleet
0/1=10.0.0.7:9000@3
0/2=[2001:db8::7]:9000   # IPv6
4095/65535=192.168.1.1:1@4095
"""


def test_from_text() -> None:
    """A file gives addresses and epochs; the epoch defaults to 0."""
    directory = StaticDirectory.from_text(TEXT)
    assert directory.entries == {
        (0, 1): Entry(("10.0.0.7", 9000), 3),
        (0, 2): Entry(("2001:db8::7", 9000), 0),
        (4095, 65535): Entry(("192.168.1.1", 1), 4095),
    }
    assert directory.lookup(0, 1) == Entry(("10.0.0.7", 9000), 3)
    assert directory.lookup(1, 0) is None
    assert directory.lists(("2001:db8::7", 9000))
    assert not directory.lists(("2001:db8::7", 9001))


def test_addresses_take_the_spelling_of_sockets() -> None:
    """An address is compared with what recvfrom says, so it is stored in that spelling."""
    directory = StaticDirectory({(0, 0): Entry(("2001:DB8:0:0::7", 1))})
    assert directory.lists(("2001:db8::7", 1))


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "192.0.2.1",
        "8.8.8.8",
        "fd00::1",
        "2001:db8::1",
        "2a00::1",
    ],
)
def test_ordinary_addresses_are_accepted(host: str) -> None:
    """Private networks are where transceivers live."""
    assert StaticDirectory({(0, 0): Entry((host, 9))}).lists((host, 9))


@pytest.mark.parametrize(
    "host", ["localhost", "", "127.1", "0x7f000001", "2130706433", "10.0.0.08", "fe80::1%eth0", "a"]
)
def test_names_and_spellings_are_refused(host: str) -> None:
    """What is not one plain address is refused even if everything is allowed."""
    with pytest.raises(UsageError):
        StaticDirectory({(0, 0): Entry((host, 9))}, allow=["0.0.0.0/0", "::/0"])


def test_named_networks_are_allowed() -> None:
    """Loopback by name is how a development set-up runs on one machine."""
    entries = {(0, 0): Entry(("127.0.0.1", 9)), (0, 1): Entry(("::1", 9))}
    assert StaticDirectory(entries, allow=LOOPBACK_NETWORKS).lists(("::1", 9))
    with pytest.raises(UsageError):
        StaticDirectory(entries, allow=["127.0.0.0/8"])


def test_own_addresses_are_refused_even_if_allowed() -> None:
    """A relay must not be made to send to itself (R10)."""
    own: list[Address] = [("10.0.0.1", 3478), ("127.0.0.1", 9)]
    for host, port in own:
        with pytest.raises(UsageError):
            StaticDirectory({(0, 0): Entry((host, port))}, allow=LOOPBACK_NETWORKS, own=own)
    assert StaticDirectory({(0, 0): Entry(("10.0.0.1", 3479))}, own=own).entries


@pytest.mark.parametrize(
    ("slot", "entry"),
    [
        ((4096, 0), Entry(("10.0.0.1", 1))),
        ((0, 65536), Entry(("10.0.0.1", 1))),
        ((-1, 0), Entry(("10.0.0.1", 1))),
        ((0, 0), Entry(("10.0.0.1", 1), 4096)),
        ((0, 0), Entry(("10.0.0.1", 1), -1)),
        ((0, 0), Entry(("10.0.0.1", 0))),
        ((0, 0), Entry(("10.0.0.1", 65536))),
    ],
)
def test_numbers_out_of_range(slot: tuple[int, int], entry: Entry) -> None:
    """Slots, epochs and ports are bounded by what a token and a socket can say."""
    with pytest.raises(UsageError):
        StaticDirectory({slot: entry})


def test_size_is_bounded() -> None:
    """More entries than slots are a mistake."""
    entries = {(0, n): Entry(("10.0.0.1", 1)) for n in range(MAX_ENTRIES)}
    entries[1, 0] = Entry(("10.0.0.1", 1))
    with pytest.raises(UsageError):
        StaticDirectory(entries)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[::1]:3478", ("::1", 3478)),
        ("[2001:DB8:0::1]:0", ("2001:db8::1", 0)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_parse_address(text: str, address: Address) -> None:
    """Numeric hosts with a port, IPv6 in brackets."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", "10.0.0.1", "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:65536", "10.0.0.1:-1", "::1:80",
     "[::1]", "[10.0.0.1]:80", "[::1:80", "localhost:80", "10.0.0.1:\u0664", "10.0.0.1:+1",
     "10.0.0.1:" + "9" * 5000],
)  # fmt: skip
def test_parse_address_refuses(text: str) -> None:
    """Anything else is a ParseError."""
    with pytest.raises(ParseError):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    ["", "0/1", "0=10.0.0.1:9", "/1=10.0.0.1:9", "0/=10.0.0.1:9", "a/1=10.0.0.1:9", "0/1=10.0.0.1",
     "0/1=10.0.0.1:9@", "0/1=10.0.0.1:9@x", "0/1=10.0.0.1:9@-1", "0/123456=10.0.0.1:9"],
)  # fmt: skip
def test_parse_entry_refuses(text: str) -> None:
    """A malformed entry is a ParseError."""
    with pytest.raises(ParseError):
        parse_entry(text)


@pytest.mark.parametrize(
    ("text", "line"), [("\n\n0/1=x", 3), ("0/1=10.0.0.1:9\n0/1=10.0.0.2:9", 2)]
)
def test_errors_name_the_line(text: str, line: int) -> None:
    """The 1-based line number is the error's offset."""
    with pytest.raises(ParseError) as raised:
        parse_entries(text)
    assert raised.value.offset == line


@given(st.text(max_size=60))
def test_parsers_are_total(text: str) -> None:
    """Any text gives entries or ParseError."""
    for parse in (parse_entry, parse_entries, parse_address):
        try:
            parse(text)
        except ParseError:
            continue


def test_whole_clusters() -> None:
    """One entry for all owners of a cluster that have none of their own; it has no epoch."""
    directory = StaticDirectory.from_text("7/*=10.7.0.1:4100\n7/2=10.7.0.2:9000@5")
    assert directory.lookup(7, 1) == directory.lookup(7, 65535) == Entry(("10.7.0.1", 4100), None)
    assert directory.lookup(7, 2) == Entry(("10.7.0.2", 9000), 5)
    assert directory.lookup(8, 1) is None
    assert directory.lists(("10.7.0.1", 4100))


@pytest.mark.parametrize("text", ["7/*=10.7.0.1:4100@1", "*/1=10.7.0.1:4100", "*/*=10.7.0.1:1"])
def test_clusters_have_no_epoch_and_owners_no_wildcard(text: str) -> None:
    """Epochs belong to owners; nothing stands for all clusters."""
    with pytest.raises(ParseError):
        parse_entry(text)


@pytest.mark.parametrize(
    ("slot", "epoch"), [((7, ANY_OWNER), 0), ((7, 1), None), ((7, ANY_OWNER - 1), None)]
)
def test_epochs_of_owners_and_clusters(slot: tuple[int, int], epoch: int | None) -> None:
    """An owner must have an epoch, a cluster none."""
    with pytest.raises(UsageError):
        StaticDirectory({slot: Entry(("10.0.0.1", 9000), epoch)})
