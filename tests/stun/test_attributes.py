"""STUN attribute values: RFC 8489 section 14, one row per attribute."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.stun import Attribute, ErrorCode
from rtcproto.stun.attributes import decode_value, encode_value, is_understood

TRANSACTION = bytes(range(12))

# (attribute, value, the bytes on the wire in TRANSACTION)
ROWS = [
    (Attribute.MAPPED_ADDRESS, ("192.0.2.1", 32853), "00018055c0000201"),
    (Attribute.XOR_MAPPED_ADDRESS, ("192.0.2.1", 32853), "0001a147e112a643"),
    (
        Attribute.XOR_MAPPED_ADDRESS,
        ("2001:db8::1", 1),
        "000221130113a9fa000102030405060708090a0a",
    ),
    (Attribute.ALTERNATE_SERVER, ("2001:db8::1", 1), "0002000120010db8" + "00" * 11 + "01"),
    (Attribute.USERNAME, "evtj:h6vY", "6576746a3a68367659"),
    (Attribute.SOFTWARE, "", ""),
    (Attribute.ERROR_CODE, ErrorCode(487, "Role"), "00000457526f6c65"),
    (Attribute.UNKNOWN_ATTRIBUTES, (0x7F01, 3), "7f010003"),
    (Attribute.PRIORITY, 0x6E0001FF, "6e0001ff"),
    (Attribute.USE_CANDIDATE, True, ""),
    (Attribute.ICE_CONTROLLED, 0x932FF9B151263B36, "932ff9b151263b36"),
    (Attribute.ICE_CONTROLLING, 1, "0000000000000001"),
    (0xC057, b"\0\1\0\x0a", "0001000a"),
]


@pytest.mark.parametrize(("attribute", "value", "wire"), ROWS)
def test_value_both_ways(attribute, value, wire):
    """Each registry row encodes to its bytes and decodes back."""
    assert encode_value(attribute, value, TRANSACTION).hex() == wire
    assert decode_value(attribute, bytes.fromhex(wire), TRANSACTION) == value


addresses = st.tuples(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str), st.integers(0, 65535)
)


@given(
    st.sampled_from([Attribute.XOR_MAPPED_ADDRESS, Attribute.MAPPED_ADDRESS]),
    addresses,
    st.binary(min_size=12, max_size=12),
)
def test_addresses_round_trip(attribute, address, transaction_id):
    """Any address and port, IPv4 and IPv6, plain and XORed."""
    encoded = encode_value(attribute, address, transaction_id)
    assert decode_value(attribute, encoded, transaction_id) == address


@given(st.sampled_from(Attribute), st.binary(max_size=800))
def test_decoding_is_total(attribute, value):
    """Any bytes give a value or ParseError, and what decodes exactly can be encoded again."""
    try:
        decoded = decode_value(attribute, value, TRANSACTION)
    except ParseError:
        return
    assert decode_value(attribute, encode_value(attribute, decoded, TRANSACTION), TRANSACTION) == (
        decoded
    )


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (Attribute.XOR_MAPPED_ADDRESS, ("client.local", 1)),
        (Attribute.XOR_MAPPED_ADDRESS, ("192.0.2.1", 65536)),
        (Attribute.XOR_MAPPED_ADDRESS, "192.0.2.1"),
        (Attribute.PRIORITY, -1),
        (Attribute.PRIORITY, "high"),
        (Attribute.USERNAME, "x" * 509),
        (Attribute.USERNAME, 7),
        (Attribute.ERROR_CODE, ErrorCode(299)),
        (Attribute.ERROR_CODE, ErrorCode(700)),
        (Attribute.USE_CANDIDATE, False),
        (Attribute.UNKNOWN_ATTRIBUTES, (65536,)),
        (0xC057, 5),
    ],
)
def test_unfit_value_is_a_usage_error(attribute, value):
    """A value that its attribute cannot carry is the caller's mistake."""
    with pytest.raises(UsageError):
        encode_value(attribute, value, TRANSACTION)


def test_understood_are_exactly_the_registered():
    """Comprehension is decided by the registry."""
    assert all(is_understood(attribute) for attribute in Attribute)
    assert not is_understood(0x7FFF)


def test_a_value_of_a_wrong_type_is_named() -> None:
    """The sentence speaks of the value, not of what failed inside."""
    wrong: Any = 7
    with pytest.raises(UsageError, match="0x0006 takes no value of type int"):
        encode_value(0x0006, wrong, bytes(12))
