"""Threats R14 and K1 against the STUN codec (R6 and R9 are in test_ice)."""

import ast
from pathlib import Path

import pytest

import rtcproto
from rtcproto.errors import ParseError
from rtcproto.stun import Attribute, Message, ShortTermKey, build, peek_username
from rtcproto.stun.message import MAX_ATTRIBUTES

CHECK = build(
    1,
    0,
    bytes(range(12)),
    [
        (Attribute.USERNAME, "server:client"),
        (Attribute.PRIORITY, 1),
        (Attribute.ICE_CONTROLLING, 2),
    ],
    ShortTermKey("p" * 22),
)
EMPTY = [(0xC000, b"")]
ATTRIBUTE_OFFSETS = (20, 40, 48, 60, 84)


def test_r14_length_lies_in_the_header():
    """Every other value of the length field is refused by parser and peek alike."""
    for length in range(65_536):
        if length == len(CHECK) - 20:
            continue
        data = CHECK[:2] + length.to_bytes(2, "big") + CHECK[4:]
        with pytest.raises(ParseError):
            Message.parse(data)
        assert peek_username(data) is None


@pytest.mark.parametrize("offset", ATTRIBUTE_OFFSETS)
def test_r14_length_lies_in_attributes(offset):
    """No length of an attribute reads past the end; all give a message or ParseError."""
    for length in (*range(200), 0x7FFF, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF):
        data = CHECK[: offset + 2] + length.to_bytes(2, "big") + CHECK[offset + 4 :]
        username = peek_username(data)
        assert username is None or len(username) <= len(data)
        if offset + 4 + length > len(data):
            with pytest.raises(ParseError):
                Message.parse(data)
            continue
        try:
            message = Message.parse(data)
        except ParseError:
            continue
        assert sum(len(value) + 4 for _, value in message.attributes) <= len(data) - 20


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_r14_odd_alignment(shift):
    """A message cut or padded to no multiple of 4 is refused, even with a true length field."""
    for data in (CHECK[:-shift], CHECK + bytes(shift)):
        mended = data[:2] + (len(data) - 20).to_bytes(2, "big") + data[4:]
        with pytest.raises(ParseError):
            Message.parse(mended)
        assert peek_username(mended) is None


def test_r14_wrong_cookie():
    """Every flipped bit of the cookie, and RFC 3489 messages without one."""
    for bit in range(32):
        data = bytearray(CHECK)
        data[4 + bit // 8] ^= 1 << bit % 8
        with pytest.raises(ParseError):
            Message.parse(bytes(data))
        assert peek_username(bytes(data)) is None


@pytest.mark.parametrize("count", [MAX_ATTRIBUTES + 1, 500])
def test_r14_many_attributes_are_refused(count):
    """A datagram of empty attributes: the walk ends behind the last one that a message may have."""
    allowed = build(1, 0, bytes(12), MAX_ATTRIBUTES * EMPTY, fingerprint=False)
    assert len(Message.parse(allowed).attributes) == MAX_ATTRIBUTES
    data = build(1, 0, bytes(12), count * EMPTY, fingerprint=False)
    with pytest.raises(ParseError) as caught:
        Message.parse(data)
    assert caught.value.offset == 20 + 4 * MAX_ATTRIBUTES


SECRETS = {"mac", "expected", "received", "digest", "password", "pwd", "tag", "hexdigest", "sha1"}
SECRETS |= {"sha256", "credentials"}


def _names(node):
    for child in ast.walk(node):
        if isinstance(child, ast.Name):
            yield child.id
        elif isinstance(child, ast.Attribute):
            yield child.attr


def test_k1_macs_are_compared_in_constant_time():
    """No == or != on a MAC, digest or password in stun and ice; compare_digest is what verifies."""
    root = Path(rtcproto.__file__).parent
    sources = [*root.glob("stun/*.py"), *root.glob("ice/*.py")]
    assert len(sources) > 8
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Compare):
                continue
            if any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
                assert not SECRETS & set(_names(node)), f"{path}:{node.lineno}"
    verifier = (root / "stun" / "integrity.py").read_text()
    assert verifier.count("hmac.compare_digest(") == 2
