"""The routing token."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.routing.token import (
    CLUSTER_MAX,
    EPOCH_MAX,
    NONCE_MAX,
    OWNER_MAX,
    EncipheredTokenCodec,
    PlaintextTokenCodec,
    RoutingToken,
    TokenKeys,
    codec_from_text,
    mint,
)

KEY_A = bytes(range(16))
KEY_B = bytes(range(16, 32))
CODEC = EncipheredTokenCodec({"A": KEY_A, "b": KEY_B}, "A")
ICE_CHARS = set(string.ascii_letters + string.digits + "+/")
TOKENS = st.builds(
    RoutingToken,
    st.integers(0, CLUSTER_MAX),
    st.integers(0, OWNER_MAX),
    st.integers(0, EPOCH_MAX),
    st.integers(0, NONCE_MAX),
)


def test_known_block() -> None:
    """The layout is fixed: FIPS 197's example cipher under a block of our own making."""
    codec = EncipheredTokenCodec({"A": bytes(16)}, "A")
    # AES-128, key and block all zero: 66e94bd4ef8a2c3b884cfa59ca342b2e.
    assert codec.encode(RoutingToken(0, 0, 0, 0)) == "AZulL1O+KLDuITPpZyjQrLg"


@pytest.mark.parametrize(
    ("token", "ufrag"),
    [
        (RoutingToken(0, 0, 0, 0), "0AAAAAAAAAAAAAAAAAAAAAA"),
        (RoutingToken(0xABC, 0x1234, 0x567, 0x89ABCD), "0q8EjRWeJq80AAAAAAAAAAA"),
        (RoutingToken(CLUSTER_MAX, OWNER_MAX, EPOCH_MAX, NONCE_MAX), "0//////////8AAAAAAAAAAA"),
    ],
)
def test_plaintext_layout(token: RoutingToken, ufrag: str) -> None:
    """The fields stand where the module says, and both directions agree."""
    codec = PlaintextTokenCodec()
    assert codec.encode(token) == ufrag
    assert codec.decode(ufrag.encode()) == token


@given(TOKENS)
def test_round_trip(token: RoutingToken) -> None:
    """Every token comes back, in 23 ice-chars (RFC 8839 section 5.4 allows 4 to 256)."""
    ufrag = CODEC.encode(token)
    assert len(ufrag) == 23
    assert set(ufrag) <= ICE_CHARS
    assert CODEC.decode(ufrag.encode()) == token


@given(TOKENS)
def test_one_spelling(token: RoutingToken) -> None:
    """Any other last character that decodes to the same bits is refused (canonical base64)."""
    ufrag = CODEC.encode(token).encode()
    accepted = [last for last in range(256) if CODEC.decode(ufrag[:-1] + bytes([last])) == token]
    assert accepted == [ufrag[-1]]


@given(TOKENS, st.integers(0, 22), st.integers(1, 255))
def test_any_changed_byte_is_refused(token: RoutingToken, position: int, change: int) -> None:
    """A ufrag with one byte changed names nobody."""
    ufrag = bytearray(CODEC.encode(token).encode())
    ufrag[position] ^= change
    assert CODEC.decode(bytes(ufrag)) is None


@given(st.binary(max_size=64))
def test_decode_is_total(data: bytes) -> None:
    """Any bytes give None, never an exception."""
    assert CODEC.decode(data) is None


@given(st.text(alphabet=sorted(ICE_CHARS | {"=", "-", "_", "\n", " "}), min_size=22, max_size=22))
def test_decode_is_total_for_nearly_base64(text: str) -> None:
    """Padding, URL-safe characters and white space inside are refused, not skipped."""
    assert CODEC.decode(b"A" + text.encode()) is None


def test_rotation() -> None:
    """Tokens of every live key decode; only the active one writes; a removed key's are refused."""
    token = RoutingToken(1, 2, 3, 4)
    old = EncipheredTokenCodec({"A": KEY_A}, "A")
    both = EncipheredTokenCodec({"A": KEY_A, "b": KEY_B}, "b")
    new = EncipheredTokenCodec({"b": KEY_B}, "b")
    assert both.decode(old.encode(token).encode()) == token
    assert both.encode(token) == new.encode(token)
    assert new.decode(old.encode(token).encode()) is None


def test_the_id_selects_the_key() -> None:
    """A block under another configuration id is noise."""
    ufrag = CODEC.encode(RoutingToken(1, 2, 3, 4)).encode()
    assert CODEC.decode(b"b" + ufrag[1:]) is None


@pytest.mark.parametrize(
    ("keys", "active"),
    [
        ({}, "A"),
        ({"A": KEY_A}, "B"),
        ({"A": KEY_A[:-1]}, "A"),
        ({"A": KEY_A + b"\0"}, "A"),
        ({"-": KEY_A}, "-"),
        ({"AB": KEY_A}, "AB"),
        ({"": KEY_A}, ""),
        ({"\u0141": KEY_A}, "\u0141"),
        ({"A": KEY_A, "B": KEY_A}, "A"),
    ],
)
def test_bad_keys_are_refused(keys: dict[str, bytes], active: str) -> None:
    """A codec is not made from keys that would be weak or ambiguous."""
    with pytest.raises(UsageError):
        EncipheredTokenCodec(keys, active)


@pytest.mark.parametrize(
    "token",
    [
        RoutingToken(CLUSTER_MAX + 1, 0, 0, 0),
        RoutingToken(0, OWNER_MAX + 1, 0, 0),
        RoutingToken(0, 0, EPOCH_MAX + 1, 0),
        RoutingToken(0, 0, 0, NONCE_MAX + 1),
        RoutingToken(-1, 0, 0, 0),
        RoutingToken(0, 0, 0, -1),
    ],
)
def test_fields_out_of_range_are_refused(token: RoutingToken) -> None:
    """A field may not run over into its neighbour."""
    with pytest.raises(UsageError):
        CODEC.encode(token)


def test_mint_draws_the_nonce_from_entropy() -> None:
    """24 bits of entropy per token: K4 and RFC 8445 section 5.3."""
    asked: list[int] = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return b"\x01\x02\x03"

    ufrag = mint(CODEC, 1, 2, 3, entropy)
    assert asked == [3]
    assert CODEC.decode(ufrag.encode()) == RoutingToken(1, 2, 3, 0x010203)


def test_no_key_in_any_repr() -> None:
    """Neither codec nor parsed file shows a key."""
    keys = TokenKeys.parse("A " + KEY_A.hex())
    for text in (repr(CODEC), repr(keys), str(keys), repr(EncipheredTokenCodec(keys.keys, "A"))):
        assert KEY_A.hex() not in text
        assert repr(KEY_A)[2:-1] not in text


def test_key_file() -> None:
    """Comments, several ids and the active mark are read."""
    text = f"# rotation of May\nA {KEY_A.hex()}\n\nb {KEY_B.hex().upper()} active # new\n"
    keys = TokenKeys.parse(text)
    assert keys == TokenKeys(keys={"A": KEY_A, "b": KEY_B}, active="b")
    token = RoutingToken(9, 8, 7, 6)
    assert codec_from_text(text).decode(CODEC.encode(token).encode()) == token


def test_a_single_key_is_active() -> None:
    """The mark is needed only where there is a choice."""
    assert TokenKeys.parse(f"Z {KEY_A.hex()}").active == "Z"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"\u0141 {KEY_A.hex()}", 1),
        ("", 0),
        ("# nothing\n", 1),
        (f"A {KEY_A.hex()}\nA {KEY_B.hex()}", 2),
        (f"A {KEY_A.hex()}\nB {KEY_A.hex()}", 2),
        (f"A {KEY_A.hex()} active\nB {KEY_B.hex()} active", 2),
        (f"A {KEY_A.hex()}\nB {KEY_B.hex()}", 2),
        (f"A {KEY_A.hex()} passive", 1),
        (f"- {KEY_A.hex()}", 1),
        (f"AB {KEY_A.hex()}", 1),
        (f"A {KEY_A.hex()[:-2]}", 1),
        (f"A {KEY_A.hex()[:-1]}g", 1),
        ("A", 1),
        (f"plaintext\nA {KEY_A.hex()}", 2),
    ],
)
def test_bad_key_files(text: str, line: int) -> None:
    """The error names the line and never quotes it."""
    with pytest.raises(ParseError) as raised:
        TokenKeys.parse(text)
    assert raised.value.offset == line
    assert KEY_A.hex() not in str(raised.value)


def test_plaintext_must_be_asked_for_by_name() -> None:
    """A key file alone cannot switch the cipher off."""
    with pytest.raises(UsageError):
        codec_from_text("plaintext")
    assert isinstance(codec_from_text("plaintext", allow_plaintext=True), PlaintextTokenCodec)


@given(st.binary(max_size=40))
def test_plaintext_decode_is_total(data: bytes) -> None:
    """Any bytes give a token or None."""
    codec = PlaintextTokenCodec()
    token = codec.decode(data)
    assert token is None or codec.encode(token).encode() == data


@given(TOKENS, st.binary(min_size=1, max_size=3))
def test_plaintext_has_one_spelling(token: RoutingToken, tail: bytes) -> None:
    """Longer ufrags and set redundancy bits are refused here too."""
    codec = PlaintextTokenCodec()
    ufrag = codec.encode(token).encode()
    assert codec.decode(ufrag + tail) is None
    assert codec.decode(ufrag[:-2] + b"BA") is None
    assert codec.decode(ufrag[:-1] + b"=") is None
    assert codec.decode(b"1" + ufrag[1:]) is None
    assert codec.decode(b"0" + b"~" * 21 + b"A") is None
