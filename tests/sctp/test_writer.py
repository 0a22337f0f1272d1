"""Header and checksum of what leaves: RFC 9260 section 3.1, RFC 9653."""

from __future__ import annotations

import pytest

from rtcproto.errors import ParseError
from rtcproto.sctp.control_chunks import CookieAck
from rtcproto.sctp.packet import Packet
from rtcproto.sctp.writer import Writer

BODY = CookieAck().serialize()


def test_packets_carry_ports_tag_and_checksum() -> None:
    """What the codec reads back."""
    writer = Writer(5000, 5001)
    writer.learn(b"\1\2\3\4")
    writer.write(BODY)
    assert [Packet.parse(packet) for packet in writer.drain()] == [
        Packet(5000, 5001, 0x01020304, (CookieAck(),))
    ]
    assert writer.drain() == []
    assert (writer.packets, writer.octets) == (1, 16)


def test_zero_checksum_except_in_set_up() -> None:
    """RFC 9653 section 5.1: a packet with INIT or COOKIE-ECHO always has its CRC."""
    writer = Writer(5000, 5000)
    writer.learn(b"\1\2\3\4")
    writer.zero_checksum = True
    writer.write(BODY)
    writer.write_setup(BODY, b"\0\0\0\0")
    plain, setup = writer.drain()
    with pytest.raises(ParseError):
        Packet.parse(plain)
    assert Packet.parse(plain, True).checksum_was_zero
    assert Packet.parse(setup).tag == 0
