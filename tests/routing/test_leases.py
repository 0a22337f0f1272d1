"""A directory that transceivers write themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.routing import leases
from rtcproto.routing.directory import ANY_OWNER, Entry
from rtcproto.routing.leases import GRACE, LeaseBook, build_lease, parse_lease

FIRST = Entry(("10.0.0.1", 9000), 3)
MOVED = Entry(("10.0.0.9", 9000), 4)
SIX = Entry(("2001:db8::1", 9000), 0)


def record(slot: tuple[int, int], entry: Entry, expires: float = 100.0) -> dict[str, str]:
    """What the store has."""
    field, value = build_lease(slot, entry, expires)
    return {field: value}


def make_book(**fields: object) -> LeaseBook:
    """A book of one network per family."""
    return LeaseBook(["10.0.0.0/24", "2001:db8::/64"], **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("entry", [FIRST, SIX])
def test_records_can_be_read_again(entry: Entry) -> None:
    """Both families; milliseconds are kept."""
    assert parse_lease(*build_lease((0, 7), entry, 1800000015.25)) == ((0, 7), entry, 1800000015.25)


def test_a_cluster_has_no_lease() -> None:
    """Who could write one could take over every owner of it."""
    with pytest.raises(UsageError):
        build_lease((0, ANY_OWNER), Entry(("10.0.0.1", 9000), None), 1.0)
    with pytest.raises(ParseError):
        parse_lease("0/*", "10.0.0.1:9000 100.0")


@given(st.text(max_size=20), st.text(max_size=40))
def test_any_text_is_a_record_or_a_parse_error(field: str, value: str) -> None:
    """Whatever stands in the store, reading it raises nothing, and changes nothing."""
    book = make_book()
    try:
        parse_lease(field, value)
    except ParseError:
        assert book.update({field: value}, 0.0, 0.0) is None
        assert book.refused == 1


def test_an_owner_registers_and_moves() -> None:
    """A new address and epoch are followed with the read that shows them."""
    book = make_book()
    directory = book.update(record((0, 1), FIRST), 0.0, 0.0)
    assert directory is not None
    assert directory.lookup(0, 1) == FIRST
    assert book.update(record((0, 1), FIRST, 101.0), 1.0, 1.0) is None
    directory = book.update(record((0, 1), MOVED), 2.0, 2.0)
    assert directory is not None
    assert directory.lookup(0, 1) == MOVED
    assert not directory.lists(FIRST.address)


@pytest.mark.parametrize("gone", ["absent", "expired"])
def test_an_owner_that_stops_goes_after_a_while(gone: str) -> None:
    """Time counts in which the store was read."""
    book = make_book()
    book.update(record((0, 1), FIRST), 0.0, 0.0)
    records = {} if gone == "absent" else record((0, 1), FIRST, 0.5)
    for second in range(1, int(GRACE) + 1):
        assert book.update(records, float(second), float(second)) is None
    directory = book.update(records, GRACE + 1, GRACE + 1)
    assert directory is not None
    assert directory.lookup(0, 1) is None


def test_a_store_that_was_down_and_came_back_empty() -> None:
    """Owners have the whole grace to register again, and one that does is never missed."""
    book = make_book()
    book.update(record((0, 1), FIRST), 0.0, 0.0)
    assert book.update({}, 0.0, 3600.0) is None
    assert book.update({}, 0.0, 3600.0 + leases.MAX_PAUSE) is None
    assert book.update(record((0, 1), FIRST), 0.0, 3600.0 + 2 * leases.MAX_PAUSE) is None
    assert book.update({}, 0.0, 3600.0 + 3 * leases.MAX_PAUSE) is None
    assert book.directory.lookup(0, 1) == FIRST


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "10.0.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1",
     "::ffff:10.0.0.1", "fe80::1", "2001:db9::1"],
)  # fmt: skip
def test_r1_the_store_cannot_steer_calls_elsewhere(host: str) -> None:
    """Special addresses, and ordinary ones outside the networks of transceivers."""
    book = make_book()
    assert book.update(record((0, 1), Entry((host, 9000))), 0.0, 0.0) is None
    assert book.directory.entries == {}
    assert book.refused == 1


def test_r10_our_own_addresses() -> None:
    """A record that points back at the relay is ignored."""
    book = make_book(own=[FIRST.address])
    assert book.update(record((0, 1), FIRST), 0.0, 0.0) is None


def test_loopback_must_be_allowed_and_configured() -> None:
    """Both, on a development machine."""
    local = Entry(("127.0.0.1", 9000))
    book = LeaseBook(["127.0.0.0/8"], allow=["127.0.0.0/8"])
    assert book.update(record((0, 1), local), 0.0, 0.0) is not None
    assert LeaseBook(["127.0.0.0/8"]).update(record((0, 1), local), 0.0, 0.0) is None


def test_static_entries_stay() -> None:
    """What was configured by hand is not replaced by what somebody wrote to a store."""
    book = make_book(static={(0, 1): FIRST})
    book.update({**record((0, 1), MOVED), **record((0, 2), SIX)}, 0.0, 0.0)
    assert book.directory.entries == {(0, 1): FIRST, (0, 2): SIX}
    assert book.set_static({}).entries == {(0, 1): MOVED, (0, 2): SIX}
    with pytest.raises(UsageError):
        book.set_static({(0, 1): Entry(("127.0.0.1", 9))})


def test_records_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond the limit are ignored and counted."""
    monkeypatch.setattr(leases, "MAX_LEASES", 3)
    book = make_book()
    records: dict[str, str] = {}
    for owner in range(5):
        records |= record((0, owner), FIRST)
    book.update(records, 0.0, 0.0)
    assert len(book.directory.entries) == 3
    assert book.refused == 2
