"""The chunks of set-up and tear-down: RFC 9260 section 3.3."""

from __future__ import annotations

import base64

import pytest

from rtcproto.errors import ParseError
from rtcproto.sctp.control_chunks import (
    Abort,
    ControlChunk,
    CookieAck,
    CookieEcho,
    Error,
    Heartbeat,
    HeartbeatAck,
    Init,
    InitAck,
    ReConfig,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    Unknown,
    parse_control,
)
from rtcproto.sctp.parameters import Cause, Parameter, ParameterType
from tests.support.vectors import from_hex

# The INIT of draft-hancke-tsvwg-snap-00, section "SDP sctp-init attribute".
SNAP_INIT = "AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA"

# Laid out by hand from the diagrams of RFC 9260 section 3.3.
VECTORS: list[tuple[str, ControlChunk]] = [
    (
        "02 00 001c 00000001 00000100 0002 0003 00000004 0007 0008 61626364",
        InitAck(1, 256, 2, 3, 4, (Parameter(ParameterType.STATE_COOKIE, b"abcd"),)),
    ),
    (
        "04 00 000b 0001 0007 616263 00",
        Heartbeat((Parameter(ParameterType.HEARTBEAT_INFO, b"abc"),)),
    ),
    (
        "05 00 000b 0001 0007 616263 00",
        HeartbeatAck((Parameter(ParameterType.HEARTBEAT_INFO, b"abc"),)),
    ),
    ("06 00 0004", Abort()),
    (
        "06 01 0009 000c 0005 7800 0000",
        Abort((Parameter(Cause.USER_INITIATED_ABORT, b"x"),), reflected=True),
    ),
    ("07 00 0008 0000000a", Shutdown(10)),
    ("08 00 0004", ShutdownAck()),
    ("09 00 000c 0006 0008 7f000004", Error((Parameter(6, from_hex("7f000004")),))),
    ("0a 00 0007 616263 00", CookieEcho(b"abc")),
    ("0b 00 0004", CookieAck()),
    ("0e 01 0004", ShutdownComplete(reflected=True)),
    (
        "82 00 0010 0010 000c 00000001 00000001",
        ReConfig((Parameter(ParameterType.RECONFIG_RESPONSE, from_hex("00000001 00000001")),)),
    ),
    ("7f 05 0006 6162 0000", Unknown(127, 5, b"ab")),
]


@pytest.mark.parametrize(("text", "chunk"), VECTORS, ids=lambda v: type(v).__name__)
def test_both_ways(text: str, chunk: ControlChunk) -> None:
    """Parsed and serialised as the RFC draws it; no length counts the last padding."""
    raw = from_hex(text)
    assert chunk.serialize() == raw
    assert parse_control(raw[0], raw, 4, int.from_bytes(raw[2:4], "big"), raw[1]) == chunk


def test_the_init_of_the_snap_draft() -> None:
    """A foreign INIT, with a last parameter whose padding is missing."""
    raw = base64.b64decode(SNAP_INIT)
    chunk = parse_control(1, raw, 4, 30, 0)
    assert chunk.serialize() == raw + bytes(2)
    assert chunk == Init(
        0x896CDD1D,
        0x500000,
        65535,
        65535,
        0xE079651D,
        (
            Parameter(ParameterType.FORWARD_TSN_SUPPORTED),
            Parameter(ParameterType.SUPPORTED_EXTENSIONS, b"\x82\xc0"),
        ),
    )


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (1, bytes(15)),
        (2, bytes(15)),
        (7, bytes(3)),
        (7, bytes(5)),
        (4, b"\0\1\0\3"),
        (1, bytes(16) + b"\0\1\0\xff"),
    ],
)
def test_bodies_that_cannot_be(kind: int, body: bytes) -> None:
    """Fixed fields cut short and parameters that overrun are refused."""
    with pytest.raises(ParseError):
        parse_control(kind, body, 0, len(body), 0)


@pytest.mark.parametrize("kind", range(256))
def test_every_type_is_total(kind: int) -> None:
    """Any type with any small body is a value or a ParseError."""
    for size in range(24):
        for filler in (b"\0", b"\xff", b"\4"):
            body = filler * size
            try:
                parse_control(kind, body, 0, size, 0xFF)
            except ParseError:
                continue


def test_a_cookie_is_not_shown() -> None:
    """The state cookie stays out of logs."""
    assert repr(CookieEcho(b"abc")) == "CookieEcho(3 bytes)"
