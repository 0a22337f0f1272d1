"""The ufrag without a parse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError
from rtcproto.stun import (
    Attribute,
    Class,
    Message,
    ShortTermKey,
    build,
    peek_server_ufrag,
    peek_username,
)
from rtcproto.stun.peek import MAX_ATTRIBUTES_WALKED
from tests.stun import vectors

TRANSACTION = bytes(range(12))
KEY = ShortTermKey(vectors.PASSWORD)


def test_peek_of_the_published_request():
    """RFC 5769 section 2.1: USERNAME is the fourth attribute."""
    assert peek_username(vectors.REQUEST.data) == b"evtj:h6vY"
    assert peek_server_ufrag(vectors.REQUEST.data) == b"evtj"


@pytest.mark.parametrize("place", range(5))
def test_username_is_found_at_any_place(place):
    """Stacks put USERNAME where they like."""
    attributes = [(0xC057, bytes(n)) for n in range(4)]
    attributes.insert(place, (Attribute.USERNAME, "server:client"))
    assert peek_server_ufrag(build(1, 0, TRANSACTION, attributes, KEY)) == b"server"


def _message(cls=Class.REQUEST, method=1, attributes=((Attribute.USERNAME, "a:b"),), key=KEY):
    return build(method, cls, TRANSACTION, attributes, key)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(24),
        _message()[:-1],
        _message() + b"\0\0\0\0",
        _message(cls=Class.SUCCESS),
        _message(cls=Class.ERROR),
        _message(method=3),
        _message(attributes=()),
        _message(attributes=[(0xC000, b"")] * (MAX_ATTRIBUTES_WALKED + 1) + [(6, b"a:b")]),
        build(1, 0, TRANSACTION, [(Attribute.MESSAGE_INTEGRITY, bytes(20)), (6, b"a:b")]),
        build(1, 0, TRANSACTION, [(Attribute.MESSAGE_INTEGRITY_SHA256, bytes(32)), (6, b"a:b")]),
        b"\0\1\0\4!\x12\xa4B" + TRANSACTION + b"\0\6\0\1",
        b"\0\1\0\4!\x12\xa4B" + TRANSACTION + b"\xc0\x57\xff\xff",
    ],
)
def test_nothing_to_peek(data):
    """None for whatever is no Binding request with a USERNAME its owner would see."""
    assert peek_username(data) is None
    assert peek_server_ufrag(data) is None


def test_indication_may_carry_a_username():
    """A Binding indication with a USERNAME is routed like a request."""
    assert peek_server_ufrag(_message(cls=Class.INDICATION)) == b"a"


@pytest.mark.parametrize("username", ["", "nocolon", ":client"])
def test_username_without_a_server_half(username):
    """A user name without a colon, or with nothing before it, routes nowhere."""
    data = _message(attributes=[(Attribute.USERNAME, username)])
    assert peek_username(data) == username.encode()
    assert peek_server_ufrag(data) is None


@given(
    st.lists(
        st.tuples(st.sampled_from([6, 8, 0x1C, 0x24, 0xC057]), st.binary(max_size=9)), max_size=6
    )
)
def test_peek_agrees_with_the_parser(attributes):
    """For every well-formed request the two see the same USERNAME."""
    data = build(1, 0, TRANSACTION, attributes)
    assert peek_username(data) == Message.parse(data).value(Attribute.USERNAME)


@given(st.binary(max_size=120))
def test_peek_is_total(data):
    """Any bytes give bytes or None, also behind a good header."""
    peek_server_ufrag(data)
    body = data[: len(data) & ~3]
    framed = b"\0\1" + len(body).to_bytes(2, "big") + b"!\x12\xa4B" + TRANSACTION + body
    username = peek_username(framed)
    try:
        parsed = Message.parse(framed)
    except ParseError:
        return
    if len(parsed.attributes) <= MAX_ATTRIBUTES_WALKED:
        assert username == parsed.value(Attribute.USERNAME)
