"""DCEP messages, RFC 8832 section 5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.datachannel import Ack, Open, parse_dcep
from rtcproto.datachannel.dcep import MAX_TEXT
from rtcproto.errors import ParseError, UsageError

# As browsers send it for createDataChannel("oai-events"): reliable, ordered, no protocol.
BROWSER = bytes.fromhex("0300000000000000000a00006f61692d6576656e7473")


def test_browser_open() -> None:
    """A captured shape, both ways; browsers give priority 0 or 256."""
    message = Open(label="oai-events", priority=0)
    assert parse_dcep(BROWSER) == message
    assert message.serialize() == BROWSER


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (0x00, {}),
        (0x80, {"ordered": False}),
        (0x01, {"max_retransmits": 3}),
        (0x81, {"max_retransmits": 3, "ordered": False}),
        (0x02, {"lifetime": 3}),
        (0x82, {"lifetime": 3, "ordered": False}),
    ],
)
def test_channel_types(kind: int, fields: dict[str, int]) -> None:
    """RFC 8832 section 8.2.2: each type says order and which limit the parameter is."""
    message = Open(label="a", protocol="b", **fields)  # type: ignore[arg-type]
    data = message.serialize()
    assert data[1] == kind
    assert int.from_bytes(data[4:8], "big") == (3 if kind & 3 else 0)
    assert parse_dcep(data) == message


def test_ack() -> None:
    """One byte; what stands behind it means nothing."""
    assert Ack().serialize() == b"\x02"
    assert parse_dcep(b"\x02\0\0\0") == Ack()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        BROWSER[:-1],
        BROWSER + b"x",
        BROWSER[:11],
        b"\x03\x03" + BROWSER[2:],
        b"\x03\x40" + BROWSER[2:],
        BROWSER[:12] + b"\xff" * 10,
        b"\x03" + bytes(7) + b"\xff\xff\xff\xff",
        b"\x03" + bytes(7) + (MAX_TEXT + 1).to_bytes(2, "big") + bytes(2 + MAX_TEXT + 1),
    ],
)
def test_refuses_malformed(data: bytes) -> None:
    """Lengths that lie, unknown types, text that is none, and text without end."""
    with pytest.raises(ParseError):
        parse_dcep(data)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_retransmits": 1, "lifetime": 1},
        {"max_retransmits": -1},
        {"lifetime": 1 << 32},
        {"priority": 1 << 16},
    ],
)
def test_refuses_parameters_that_cannot_be_sent(fields: dict[str, int]) -> None:
    """The caller hears of it when the value is made."""
    with pytest.raises(UsageError):
        Open(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["x" * (MAX_TEXT + 1), "\ud800"])
def test_refuses_labels_that_cannot_be_sent(label: str) -> None:
    """Too long, or no text."""
    with pytest.raises(UsageError):
        Open(label=label).serialize()


@given(st.binary(max_size=64))
def test_total(data: bytes) -> None:
    """Any bytes give a message or ParseError, and a message survives the way back."""
    try:
        message = parse_dcep(data)
    except ParseError:
        return
    assert parse_dcep(message.serialize()) == message
