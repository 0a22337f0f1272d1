"""The DTLS record layer, RFC 6347 section 4.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.dtls.record import (
    HEADER_SIZE,
    MAX_CIPHERTEXT,
    MAX_RECORDS,
    ContentType,
    Record,
    build_record,
    pack_datagrams,
    parse_records,
    renumber,
)
from rtcproto.errors import ParseError

ALERT = bytes.fromhex("15fefd00010000000000020002022a")


def test_fields_are_where_the_rfc_puts_them() -> None:
    """Content type, version, epoch, 48-bit sequence number, length, payload."""
    assert parse_records(ALERT) == [Record(21, 1, 2, b"\x02\x2a", ALERT)]
    assert build_record(22, 0, 0x0102_03040506, b"x") == bytes.fromhex(
        "16fefd0000010203040506000178"
    )


def test_several_records_in_a_datagram() -> None:
    """RFC 6347 section 4.1.1: multiple records may share a datagram."""
    other = build_record(ContentType.HANDSHAKE, 0, 7, b"abc")
    assert [r.raw for r in parse_records(ALERT + other + ALERT)] == [ALERT, other, ALERT]
    assert parse_records(b"") == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ALERT[:-1], "longer"),
        (ALERT + b"\x16", "truncated"),
        (b"\x13" + ALERT[1:], "not a DTLS"),
        (b"\x18" + ALERT[1:], "not a DTLS"),
        (b"\x2f" + ALERT[1:], "not a DTLS"),  # a DTLS 1.3 unified header
        (ALERT[:1] + b"\x03\x03" + ALERT[3:], "not a DTLS"),  # TLS
        (build_record(23, 1, 0, bytes(MAX_CIPHERTEXT + 1)), "limit"),
        (build_record(23, 1, 0, b"") * (MAX_RECORDS + 1), "too many"),
    ],
)
def test_what_is_no_datagram_of_ours(data: bytes, reason: str) -> None:
    """A datagram is records from end to end, or nothing of it is used."""
    with pytest.raises(ParseError, match=reason):
        parse_records(data)


def test_the_first_hello_may_say_another_version() -> None:
    """RFC 6347 section 4.2.1: a client may use {254, 255} in its first record header."""
    record = build_record(22, 0, 0, b"x")
    assert parse_records(record[:1] + b"\xfe\xff" + record[3:])[0].payload == b"x"


def test_the_longest_record() -> None:
    """2^14 + 2048 bytes of ciphertext, RFC 5246 section 6.2.3."""
    (record,) = parse_records(build_record(23, 1, 0, bytes(MAX_CIPHERTEXT)))
    assert len(record.raw) == MAX_CIPHERTEXT + HEADER_SIZE


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Parsing is total, and what parses is exactly what was there."""
    try:
        records = parse_records(data)
    except ParseError:
        return
    assert b"".join(record.raw for record in records) == data


def test_renumber_touches_nothing_else() -> None:
    """Only the 48 bits of the sequence number change; the epoch stays."""
    record = build_record(22, 3, 5, b"payload")
    assert renumber(record, 0xFFFF_FFFFFFFF) == build_record(22, 3, 0xFFFF_FFFFFFFF, b"payload")


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20), st.integers(100, 400))
def test_packing_keeps_order_and_size(records: list[bytes], mtu: int) -> None:
    """Nothing is lost or reordered, and only a record that is too long alone exceeds the MTU."""
    datagrams = pack_datagrams(records, mtu)
    assert b"".join(datagrams) == b"".join(records)
    assert all(len(datagram) <= mtu or datagram in records for datagram in datagrams)


def test_packing_fills_datagrams() -> None:
    """Records share datagrams as far as they fit."""
    assert pack_datagrams([b"a" * 60, b"b" * 40, b"c" * 1], 100) == [b"a" * 60 + b"b" * 40, b"c"]
