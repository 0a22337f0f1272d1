"""Bundling: RFC 9260 section 6.10."""

from __future__ import annotations

from rtcproto.sctp.packer import Packer


def test_chunks_are_bundled_in_order() -> None:
    """As many as fit, then a new packet."""
    packer = Packer(10)
    for chunk in (b"aaaa", b"bbbb", b"cccc"):
        packer.add(chunk)
    assert packer.finish() == [b"aaaabbbb", b"cccc"]


def test_room() -> None:
    """What the packet at hand still takes."""
    packer = Packer(10)
    assert packer.empty
    packer.add(b"aaaa")
    assert (packer.room, packer.empty) == (6, False)
    packer.close()
    assert (packer.room, packer.empty) == (10, True)


def test_a_chunk_that_fits_no_packet_is_dropped() -> None:
    """An echo of something larger than our packets."""
    packer = Packer(10)
    packer.add(b"x" * 12)
    assert packer.finish() == []
