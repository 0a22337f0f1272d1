"""STUN messages: RFC 8489 sections 5, 6 and 14, with the vectors of RFC 5769 both ways."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtcproto.errors import AuthenticationError, ParseError, UsageError
from rtcproto.stun import (
    Attribute,
    Class,
    ErrorCode,
    Integrity,
    LongTermKey,
    Message,
    Method,
    PasswordAlgorithm,
    RequestTemplate,
    ShortTermKey,
    SuccessTemplate,
    build,
    peek_username,
)
from tests.stun import vectors

KEY = ShortTermKey(vectors.PASSWORD)
LONG_TERM_KEY = LongTermKey(vectors.USERNAME, vectors.REALM, vectors.PREPARED_PASSWORD)
SHA256_KEY = LongTermKey(
    vectors.USERNAME, vectors.REALM, vectors.PREPARED_PASSWORD, PasswordAlgorithm.SHA256
)

# (vector, key, which integrity, with FINGERPRINT)
PUBLISHED = [
    pytest.param(vectors.REQUEST, KEY, Integrity.SHA1, True, id="rfc5769-2.1"),
    pytest.param(vectors.RESPONSE_V4, KEY, Integrity.SHA1, True, id="rfc5769-2.2"),
    pytest.param(vectors.RESPONSE_V6, KEY, Integrity.SHA1, True, id="rfc5769-2.3"),
    pytest.param(vectors.LONG_TERM_REQUEST, LONG_TERM_KEY, Integrity.SHA1, False, id="rfc5769-2.4"),
    pytest.param(vectors.SHA256_REQUEST, SHA256_KEY, Integrity.SHA256, False, id="rfc8489-B.1"),
]

TRANSACTION = bytes(range(12))


def message(*attributes, key=None, cls=Class.REQUEST, **options):
    """A parsed Binding message with these attributes."""
    return Message.parse(build(Method.BINDING, cls, TRANSACTION, attributes, key, **options))


# RFC 5769 and RFC 8489 appendix B.1


@pytest.mark.parametrize(("vector", "key", "integrity", "with_fingerprint"), PUBLISHED)
def test_published_vector_parses(vector, key, integrity, with_fingerprint):
    """Every part of a published message is found, and its MAC verifies."""
    parsed = Message.parse(vector.data)
    assert (parsed.method, parsed.cls) == (vector.method, vector.cls)
    assert parsed.transaction_id == vector.transaction_id
    assert [(kind, parsed.get(kind)) for kind, _ in vector.attributes] == vector.attributes
    assert (parsed.get(Attribute.FINGERPRINT) is not None) is with_fingerprint
    assert parsed.unknown_required == ()
    if integrity is Integrity.SHA1:
        key.verify(parsed)
    else:
        key.verify_sha256(parsed)


@pytest.mark.parametrize(("vector", "key", "integrity", "with_fingerprint"), PUBLISHED)
def test_published_vector_is_rebuilt_byte_for_byte(vector, key, integrity, with_fingerprint):
    """Building from decoded values gives the published bytes, MAC and CRC included."""
    rebuilt = build(
        vector.method,
        vector.cls,
        vector.transaction_id,
        vector.attributes,
        key,
        with_fingerprint,
        integrity=integrity,
        padding=vector.padding,
    )
    assert rebuilt == vector.data


@pytest.mark.parametrize(("vector", "key", "integrity", "with_fingerprint"), PUBLISHED)
def test_published_vector_is_rebuilt_from_its_raw_attributes(
    vector, key, integrity, with_fingerprint
):
    """Raw values, integrity included, go back where they came from."""
    parsed = Message.parse(vector.data)
    rebuilt = build(
        parsed.method,
        parsed.cls,
        parsed.transaction_id,
        parsed.attributes,
        fingerprint=False,
        padding=vector.padding,
    )
    assert rebuilt == vector.data


def test_vector_as_printed_in_rfc_8489_is_rejected():
    """Erratum 6268: the printed length is wrong; with it mended the MAC still fails."""
    printed = vectors.SHA256_AS_PRINTED
    with pytest.raises(ParseError):
        Message.parse(printed)
    mended = Message.parse(printed[:2] + (len(printed) - 20).to_bytes(2, "big") + printed[4:])
    for key in (SHA256_KEY, LONG_TERM_KEY, ShortTermKey(vectors.PREPARED_PASSWORD)):
        with pytest.raises(AuthenticationError):
            key.verify_sha256(mended)


# Section 5: the header


def _cut(data, start, replacement):
    return data[:start] + replacement + data[start + len(replacement) :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "shorter than a header"),
        (vectors.REQUEST.data[:19], "shorter than a header"),
        (_cut(vectors.REQUEST.data, 4, b"\x21\x12\xa4\x43"), "wrong magic cookie"),
        (_cut(vectors.REQUEST.data, 0, b"\x40\x01"), "first two bits"),
        (_cut(vectors.REQUEST.data, 2, b"\x00\x54"), "length field"),
        (vectors.REQUEST.data + b"\0\0\0\0", "length field"),
        (vectors.REQUEST.data[:-1], "length field"),
        (bytes.fromhex("000100032112a442") + bytes(12) + b"abc", "length field"),
        (bytes.fromhex("000100042112a442") + bytes(12) + b"\0\6\0\1", "beyond the end"),
        (bytes.fromhex("000100042112a442") + bytes(12) + b"\0\6\xff\xff", "beyond the end"),
        (_cut(vectors.REQUEST.data, 104, b"\0\0\0\0"), "FINGERPRINT does not match"),
    ],
)
def test_malformed_message_is_refused(data, reason):
    """R14: lengths and the cookie are checked before anything is read."""
    with pytest.raises(ParseError, match=reason):
        Message.parse(data)


def test_every_truncation_of_a_message_is_refused():
    """R14: no prefix of a message is a message."""
    for size in range(len(vectors.REQUEST.data)):
        with pytest.raises(ParseError):
            Message.parse(vectors.REQUEST.data[:size])


def test_every_single_bit_flip_is_noticed():
    """FINGERPRINT catches one flipped bit anywhere before it."""
    data = bytearray(vectors.REQUEST.data)
    for bit in range((len(data) - 8) * 8):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises((ParseError, AuthenticationError)):
            KEY.verify(Message.parse(bytes(data)))
        data[bit // 8] ^= 1 << bit % 8


@given(st.integers(0, 0xFFF), st.sampled_from(Class), st.binary(min_size=12, max_size=12))
def test_method_and_class_round_trip(method, cls, transaction_id):
    """The interleaved bits of the message type come apart as they went in."""
    parsed = Message.parse(build(method, cls, transaction_id, []))
    assert (parsed.method, parsed.cls, parsed.transaction_id) == (method, cls, transaction_id)


def test_fingerprint_must_be_last():
    """RFC 8489 section 14.7: an attribute behind FINGERPRINT makes the message invalid."""
    data = build(1, 0, TRANSACTION, [(Attribute.FINGERPRINT, 0), (Attribute.PRIORITY, 1)])
    with pytest.raises(ParseError, match="not the last"):
        Message.parse(data)


# Section 14: attributes


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF).filter(lambda kind: kind != Attribute.FINGERPRINT),
            st.binary(max_size=40),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_any_attributes_round_trip(attributes, with_fingerprint):
    """Known or not, every attribute is kept with its bytes and its place."""
    data = build(1, 0, TRANSACTION, attributes, fingerprint=with_fingerprint)
    parsed = Message.parse(data)
    kept = parsed.attributes[:-1] if with_fingerprint else parsed.attributes
    assert kept == attributes
    assert parsed.raw == data


def test_first_of_several_attributes_counts():
    """RFC 8489 section 14: "only the first occurrence needs to be processed"."""
    parsed = message((Attribute.PRIORITY, 1), (Attribute.PRIORITY, 2))
    assert parsed.get(Attribute.PRIORITY) == 1


def test_attributes_behind_integrity_are_ignored():
    """RFC 8489 section 14.5: only integrity and FINGERPRINT are seen behind MESSAGE-INTEGRITY."""
    signed = build(1, 0, TRANSACTION, [(Attribute.PRIORITY, 7)], KEY, fingerprint=False)
    mac = (Attribute.MESSAGE_INTEGRITY, signed[-20:])
    parsed = message(
        (Attribute.PRIORITY, 7),
        mac,
        (Attribute.USE_CANDIDATE, True),
        (0x0BAD, b""),
        (Attribute.MESSAGE_INTEGRITY_SHA256, bytes(32)),
    )
    KEY.verify(parsed)
    assert parsed.get(Attribute.PRIORITY) == 7
    assert parsed.get(Attribute.USE_CANDIDATE) is None
    assert parsed.unknown_required == ()
    assert parsed.get(Attribute.MESSAGE_INTEGRITY_SHA256) == bytes(32)
    assert parsed.get(Attribute.FINGERPRINT) is not None


def test_unknown_comprehension_required_attributes_are_listed():
    """RFC 8489 section 6.3.1: types below 0x8000 must be understood, the others need not."""
    parsed = message((0x7FFF, b"x"), (0xC057, b"\0\0\0\1"), (0x0003, b""), (Attribute.REALM, "r"))
    assert parsed.unknown_required == (0x7FFF, 0x0003)
    assert parsed.get(0xC057) == b"\0\0\0\1"


def test_building_rejects_what_does_not_fit():
    """A caller's mistake is a UsageError, before any byte is made."""
    for attributes, transaction_id in [
        ([], b"short"),
        ([(0x9999, "text for an unknown attribute")], TRANSACTION),
        ([(Attribute.PRIORITY, 1 << 32)], TRANSACTION),
        ([(0x9999, bytes(65536))], TRANSACTION),
        ([(0x9999, bytes(40000)), (0x9999, bytes(40000))], TRANSACTION),
    ]:
        with pytest.raises(UsageError):
            build(1, 0, transaction_id, attributes)
    with pytest.raises(UsageError):
        build(0x1000, 0, TRANSACTION, [])
    with pytest.raises(UsageError):
        build(1, 0, TRANSACTION, [], padding=b"")


def test_repr_names_attributes_and_shows_no_values():
    """A log line of a message never quotes a user name or a MAC."""
    shown = repr(Message.parse(vectors.REQUEST.data))
    assert "USERNAME" in shown
    assert "evtj" not in shown
    assert "0xc057" in repr(message((0xC057, b"")))


# Templates


def test_request_template_equals_the_generic_build():
    """The fast path makes the same bytes as `build`."""
    attributes = [(Attribute.ICE_CONTROLLED, 5), (Attribute.PRIORITY, 77)]
    template = RequestTemplate("them:us", KEY, attributes)
    expected = build(1, 0, TRANSACTION, [(Attribute.USERNAME, "them:us"), *attributes], KEY)
    assert template.build(TRANSACTION) == expected


@pytest.mark.parametrize("mapped", [("192.0.2.1", 9), ("2001:db8::1", 65535)])
def test_success_template_equals_the_generic_build(mapped):
    """The fast path makes the same bytes as `build`, 64 or 76 of them."""
    expected = build(1, 2, TRANSACTION, [(Attribute.XOR_MAPPED_ADDRESS, mapped)], KEY)
    assert SuccessTemplate(KEY).build(TRANSACTION, mapped) == expected
    assert len(expected) == (64 if "." in mapped[0] else 76)


# Totality


@given(st.binary(max_size=200))
@example(b"\0" * 20)
def test_parse_is_total(data):
    """Any bytes give a message or ParseError, with or without a good header."""
    _exercise(data)
    body = data[: len(data) & ~3]
    header = b"\0\1" + len(body).to_bytes(2, "big") + bytes.fromhex("2112a442") + bytes(12)
    _exercise(header + body)


def _exercise(data):
    peek_username(data)
    try:
        parsed = Message.parse(data)
    except ParseError:
        return
    assert isinstance(repr(parsed), str)
    assert isinstance(parsed.unknown_required, tuple)
    for kind in Attribute:
        try:
            parsed.get(kind)
        except ParseError:
            continue
    for verify in (KEY.verify, KEY.verify_sha256):
        with pytest.raises(AuthenticationError):
            verify(parsed)


def test_wrong_attribute_values_are_parse_errors():
    """R14: a value that its attribute cannot have never passes as one."""
    for kind, value in [
        (Attribute.XOR_MAPPED_ADDRESS, b""),
        (Attribute.XOR_MAPPED_ADDRESS, b"\0\1" + bytes(18)),
        (Attribute.XOR_MAPPED_ADDRESS, b"\0\3" + bytes(6)),
        (Attribute.MAPPED_ADDRESS, b"\0\2" + bytes(6)),
        (Attribute.PRIORITY, b"\0\0\0"),
        (Attribute.ICE_CONTROLLING, bytes(9)),
        (Attribute.USERNAME, b"\xff"),
        (Attribute.USERNAME, b"x" * 509),
        (Attribute.ERROR_CODE, b"\0\0\4"),
        (Attribute.ERROR_CODE, b"\0\0\2\0"),
        (Attribute.ERROR_CODE, b"\0\0\4\x64"),
        (Attribute.UNKNOWN_ATTRIBUTES, b"\0"),
    ]:
        with pytest.raises(ParseError):
            message((kind, value)).get(kind)


def test_error_code_ignores_reserved_bits():
    """RFC 8489 section 14.8: receivers must ignore the reserved bits."""
    parsed = message((Attribute.ERROR_CODE, b"\xff\xff\xfc\x57why"))
    assert parsed.get(Attribute.ERROR_CODE) == ErrorCode(487, "why")


def _corpus():
    root = os.environ.get("RTCPROTO_CORPORA")
    if not root:
        return []
    folders = ("coturn-fuzzstun", "coturn-fuzzstunclient", "mediasoup-worker-crashes")
    return [path for folder in folders for path in sorted(Path(root, folder).glob("*"))]


@pytest.mark.skipif(not _corpus(), reason="RTCPROTO_CORPORA names no folder with STUN seeds")
def test_foreign_seeds_raise_nothing_undeclared():
    """R14: corpora of other projects, whole and at every truncation of the first 200 bytes."""
    for path in _corpus():
        data = path.read_bytes()
        _exercise(data)
        for size in range(min(len(data), 200)):
            _exercise(data[:size])
