"""Reading handshake messages, RFC 6347 section 4.2 and RFC 5246 section 7.4."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto._wire import Writer
from rtcproto.dtls.handshake import (
    MAX_FRAGMENTS,
    ClientHello,
    Extension,
    Fragment,
    HandshakeType,
    ServerHello,
    build_fragment,
    parse_certificates,
    parse_fragments,
    parse_use_srtp,
)
from rtcproto.errors import ParseError
from tests.support.dtls import SUITES, client_hello, post_quantum_hello

SERVER_HELLO = bytes(
    Writer().uint(0xFEFD, 2).put(bytes(32)).vector(b"", 1).uint(0xC02B, 2).uint(0, 1)
    .vector(bytes.fromhex("00170000 000e0005 0002 0007 00".replace(" ", "")), 2)
)  # fmt: skip


def test_fragment_header() -> None:
    """Type, total length, message sequence, offset and length of the fragment."""
    data = bytes.fromhex("01 010203 0405 000102 000003".replace(" ", "")) + b"abc"
    assert parse_fragments(data) == [Fragment(1, 0x010203, 0x0405, 0x0102, b"abc")]
    assert build_fragment(1, 0x010203, 0x0405, 0x0102, b"abc") == data


def test_several_messages_in_one_record() -> None:
    """RFC 6347 section 4.2.3: one record may hold several messages."""
    first, second = build_fragment(14, 0, 4, 0, b""), build_fragment(11, 9, 5, 3, b"abc")
    assert [f.sequence for f in parse_fragments(first + second)] == [4, 5]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        build_fragment(1, 3, 0, 0, b"abc")[:-1],
        build_fragment(1, 3, 0, 0, b"abc") + b"\x01",
        build_fragment(1, 3, 0, 1, b"abc"),  # ends beyond its message
        build_fragment(14, 0, 0, 0, b"") * (MAX_FRAGMENTS + 1),
    ],
)
def test_what_is_no_handshake_record(data: bytes) -> None:
    """Truncated, overlong, empty, or a flood of fragments."""
    with pytest.raises(ParseError):
        parse_fragments(data)


def test_client_hello() -> None:
    """Version, suites, compressions and extensions of an ordinary hello."""
    hello = ClientHello.parse(client_hello())
    assert hello.version == 0xFEFD
    assert hello.cookie == b""
    assert hello.suites == SUITES
    assert hello.compressions == b"\0"
    assert hello.extensions[Extension.EXTENDED_MASTER_SECRET] == b""
    assert hello.numbers(Extension.SUPPORTED_GROUPS, 2) == (29, 23, 24)
    assert hello.numbers(Extension.SUPPORTED_VERSIONS, 1) is None


def test_post_quantum_hello() -> None:
    """A browser's hello: 1.3 before 1.2, a hybrid group first, 1,413 bytes."""
    body = post_quantum_hello()
    assert len(body) == 1413
    hello = ClientHello.parse(body)
    assert hello.numbers(Extension.SUPPORTED_VERSIONS, 1) == (0xFEFC, 0xFEFD)
    assert hello.numbers(Extension.SUPPORTED_GROUPS, 2) == (4588, 29, 23, 24)


def test_server_hello() -> None:
    """Version, suite, compression, extensions."""
    hello = ServerHello.parse(SERVER_HELLO)
    assert (hello.version, hello.suite, hello.compression) == (0xFEFD, 0xC02B, 0)
    assert parse_use_srtp(hello.extensions[Extension.USE_SRTP]) == (7,)


def test_hellos_without_extensions() -> None:
    """RFC 5246 section 7.4.1.2: the block of extensions may be absent."""
    bare = client_hello(extensions={})[:-2]
    assert ClientHello.parse(bare).extensions == {}


@pytest.mark.parametrize("body", [client_hello(), SERVER_HELLO, post_quantum_hello()])
def test_every_cut_of_a_hello(body: bytes) -> None:
    """A hello that ends early, anywhere, is a ParseError, but for one without extensions."""
    parse = ServerHello.parse if body is SERVER_HELLO else ClientHello.parse
    for cut in range(len(body)):
        try:
            hello = parse(body[:cut])
        except ParseError:
            continue
        assert hello.extensions == {}


def test_an_extension_given_twice() -> None:
    """RFC 5246 section 7.4.1.4: "There MUST NOT be more than one extension of the same type." """
    body = client_hello(extensions={23: b""})
    twice = body[:-6] + b"\0\x08" + body[-4:] * 2
    with pytest.raises(ParseError, match="twice"):
        ClientHello.parse(twice)


def test_bytes_behind_a_hello() -> None:
    """Nothing follows the extensions."""
    with pytest.raises(ParseError):
        ClientHello.parse(client_hello() + b"\0")


def test_an_odd_list_of_suites() -> None:
    """Suites are two bytes each."""
    body = bytearray(client_hello(suites=[0xC02B], extensions={}))
    at = body.index(bytes.fromhex("0002c02b"))
    body[at : at + 4] = bytes.fromhex("0003c02b00")  # a length of three, and a byte more
    with pytest.raises(ParseError):
        ClientHello.parse(bytes(body))


@pytest.mark.parametrize(
    ("body", "certificates"),
    [
        ("000000", []),
        ("000005 000002 3000", [b"\x30\x00"]),
        ("000009 000002 3000 000001 30", [b"\x30\x00", b"\x30"]),
        ("000003 000000", [b""]),
    ],
)
def test_certificates(body: str, certificates: list[bytes]) -> None:
    """A list of vectors; what they must be is for the vetting to say."""
    assert parse_certificates(bytes.fromhex(body.replace(" ", ""))) == certificates


@pytest.mark.parametrize("body", ["", "0000", "000001", "00000500000330", "00000000"])
def test_malformed_certificates(body: str) -> None:
    """Lengths must be right to the byte."""
    with pytest.raises(ParseError):
        parse_certificates(bytes.fromhex(body))


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    """Readers give a value or ParseError, nothing else."""
    for parse in (
        parse_fragments, ClientHello.parse, ServerHello.parse, parse_certificates, parse_use_srtp,
    ):  # fmt: skip
        with contextlib.suppress(ParseError):
            parse(data)


def test_types_are_the_registered_ones() -> None:
    """RFC 6347 section 4.3.2."""
    assert HandshakeType.HELLO_VERIFY_REQUEST == 3
    assert HandshakeType.FINISHED == 20
