"""Ports and verification tags: RFC 9260 sections 8.5 and 8.5.1."""

from __future__ import annotations

import pytest

from rtcproto.sctp.chunks import Data, ForwardTsn, Sack
from rtcproto.sctp.control_chunks import (
    Abort,
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
)
from rtcproto.sctp.gate import admits
from rtcproto.sctp.packet import Chunk, Packet

OURS, THEIRS, ZERO, WRONG = 0xAABBCCDD, 0x11223344, 0, 0x55667788
PORTS = (5000, 5001)
# Chunk -> the tags under which it is listened to.
RULES: list[tuple[Chunk, set[int]]] = [
    (Init(1, 2, 3, 4, 5), {ZERO}),
    (InitAck(1, 2, 3, 4, 5), {OURS}),
    (CookieEcho(b"x"), {OURS, THEIRS, ZERO, WRONG}),  # judged by the cookie itself
    (CookieAck(), {OURS}),
    (Data(1, 2, 3, 4, b"x"), {OURS}),
    (Sack(1, 2), {OURS}),
    (ForwardTsn(1), {OURS}),
    (Heartbeat(), {OURS}),
    (HeartbeatAck(), {OURS}),
    (ReConfig(()), {OURS}),
    (Error(), {OURS}),
    (Shutdown(1), {OURS}),
    (ShutdownAck(), {OURS}),
    (Abort(), {OURS}),
    (Abort((), reflected=True), {THEIRS}),
    (ShutdownComplete(), {OURS}),
    (ShutdownComplete(reflected=True), {THEIRS}),
    (Unknown(99, 0, b""), {OURS}),
]


def admitted(packet: Packet, theirs: int = THEIRS) -> bool:
    """The gate's word."""
    return admits(packet, PORTS, OURS.to_bytes(4, "big"), theirs.to_bytes(4, "big"))


@pytest.mark.parametrize(("chunk", "tags"), RULES, ids=lambda v: type(v).__name__)
def test_c2_every_chunk_under_every_tag(chunk: Chunk, tags: set[int]) -> None:
    """C2: only the tag that RFC 9260 section 8.5 wants."""
    for tag in (OURS, THEIRS, ZERO, WRONG):
        assert admitted(Packet(5000, 5001, tag, (chunk,))) is (tag in tags)


def test_c2_a_reflected_tag_that_is_not_known_yet() -> None:
    """C2: before the peer's tag is known, zero is not it."""
    assert not admitted(Packet(5000, 5001, 0, (Abort((), reflected=True),)), theirs=0)


@pytest.mark.parametrize("ports", [(5001, 5000), (5000, 5000), (0, 5001)])
def test_other_ports(ports: tuple[int, int]) -> None:
    """RFC 8841: both are agreed on."""
    assert not admitted(Packet(*ports, OURS, (CookieAck(),)))


def test_an_init_comes_alone() -> None:
    """Section 6.10."""
    assert not admitted(Packet(5000, 5001, 0, (Init(1, 2, 3, 4, 5), CookieAck())))


def test_set_up_has_a_checksum() -> None:
    """RFC 9653 section 5.2: not agreed on yet, so not left out."""
    for chunk in (Init(1, 2, 3, 4, 5), CookieEcho(b"x")):
        tag = 0 if isinstance(chunk, Init) else OURS
        assert not admitted(Packet(5000, 5001, tag, (chunk,), checksum_was_zero=True))
    assert admitted(Packet(5000, 5001, OURS, (CookieAck(),), checksum_was_zero=True))


def test_nothing() -> None:
    """A packet without chunks says nothing."""
    assert not admitted(Packet(5000, 5001, OURS, ()))
