"""The probe's Ogg Opus reader: RFC 3533 pages, RFC 7845 headers."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.probe.media import SPEECH, TONE, load_frames
from examples.probe.ogg import MAX_FILE, MAX_PACKET, read_ogg_opus
from rtcproto.opus import samples_per_packet

HEAD = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 312, 48000, 0, 0)
TAGS = b"OpusTags" + bytes(8)


def checksum(page: bytes) -> int:
    """RFC 3533 section 6, bit by bit: nothing in common with the reader's table."""
    crc = 0
    for byte in page:
        for bit in range(7, -1, -1):
            feedback = (crc >> 31) ^ (byte >> bit & 1)
            crc = (crc << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if feedback else 0)
    return crc


def page(
    number: int, lacing: bytes, body: bytes, kind: int = 0, serial: int = 7, version: int = 0
) -> bytes:
    """One page with a good checksum."""
    head = struct.pack("<4sBBqII", b"OggS", version, kind, 0, serial, number)
    rest = bytes([len(lacing)]) + lacing + body
    return head + struct.pack("<I", checksum(head + bytes(4) + rest)) + rest


def lace(*packets: bytes) -> tuple[bytes, bytes]:
    """Lacing values and body of whole packets."""
    values = b"".join(
        b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets
    )
    return values, b"".join(packets)


def recording(*packets: bytes, head: bytes = HEAD, tags: bytes = TAGS) -> bytes:
    """A stream as opusenc writes it: a page for each header, one for the audio."""
    return page(0, *lace(head), kind=2) + page(1, *lace(tags)) + page(2, *lace(*packets), kind=4)


def test_reads_packets() -> None:
    """Packets come out whole and in order, of lengths around the lacing limit."""
    packets = tuple(bytes([n % 256]) * n for n in (1, 254, 255, 256, 510, 511))
    read = read_ogg_opus(recording(*packets))
    assert read.packets == packets
    assert (read.channels, read.pre_skip) == (1, 312)


def test_packet_across_pages() -> None:
    """RFC 3533 section 5: a packet may continue on the next page."""
    data = page(0, *lace(HEAD), kind=2) + page(1, *lace(TAGS))
    data += page(2, b"\xff", b"a" * 255) + page(3, b"\x03\x02", b"bbbcc", kind=1 | 4)
    assert read_ogg_opus(data).packets == (b"a" * 255 + b"bbb", b"cc")


@pytest.mark.parametrize("path", [SPEECH, TONE], ids=["speech", "tone"])
def test_our_recordings(path: object) -> None:
    """What the probe sends is 20 ms frames that fit a packet, hardly two of them alike."""
    assert path in (SPEECH, TONE)
    frames = load_frames(SPEECH if path == SPEECH else TONE)
    assert {samples_per_packet(frame) for frame in frames} == {960}
    assert max(map(len, frames)) <= 1150
    # Longer than the matcher's window, so that repetitions are told apart.
    assert len(frames) > 190
    assert len(set(frames)) > 0.97 * len(frames)


def flipped(data: bytes, index: int) -> bytes:
    """The same with one bit changed."""
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


GOOD = recording(b"\xf8one", b"\xf8two")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "last page"),
        (b"RIFF" + bytes(40), "not an Ogg page"),
        (GOOD[:20], "header is cut off"),
        (GOOD[:-1], "page is cut off"),
        (GOOD[:30], "page is cut off"),
        (flipped(GOOD, len(GOOD) - 1), "checksum"),
        (flipped(GOOD, 6), "checksum"),
        (page(0, *lace(HEAD), kind=2, version=1), "not an Ogg page"),
        (page(0, *lace(HEAD), kind=2) + page(2, *lace(TAGS)), "page 1 is missing"),
        (page(0, *lace(HEAD), kind=2) + page(1, *lace(TAGS), serial=8), "more than one stream"),
        (page(0, *lace(HEAD)), "more than one stream"),
        (GOOD + GOOD, "more than one stream"),
        (page(0, *lace(HEAD), kind=2) + page(1, *lace(TAGS)), "last page is missing"),
        (recording(b"x", head=b"OpusHead"), "not Opus"),
        (recording(b"x", head=b"Vorbis__" + HEAD[8:]), "not Opus"),
        (recording(b"x", head=HEAD[:8] + b"\x10" + HEAD[9:]), "version"),
        (recording(b"x", head=HEAD[:9] + b"\x03" + HEAD[10:]), "mono or stereo"),
        (recording(b"x", head=HEAD[:-1] + b"\x01"), "mono or stereo"),
        (recording(b"x", tags=b"OpusHead"), "OpusTags"),
        (recording(), "no audio"),
        (recording(b"x", b""), "empty audio packet"),
        (
            page(0, *lace(HEAD), kind=2) + page(1, *lace(TAGS)) + page(2, b"\xff", b"a" * 255, 4),
            "not complete",
        ),
        (
            page(0, *lace(HEAD), kind=2) + page(1, *lace(TAGS)) + page(2, b"\x01", b"a", 1 | 4),
            "none was open",
        ),
        (bytes(MAX_FILE + 1), "more than"),
    ],
)
def test_refuses(data: bytes, said: str) -> None:
    """What is not a recording is refused in words."""
    with pytest.raises(ValueError, match=said):
        read_ogg_opus(data)


def test_packets_are_bounded() -> None:
    """A packet that goes on over many pages is given up, RFC 7845 section 6."""
    pages = [page(0, *lace(HEAD), kind=2), page(1, *lace(TAGS))]
    pages += [
        page(2 + number, b"\xff" * 255, bytes(255 * 255), kind=1 if number else 0)
        for number in range(MAX_PACKET // (255 * 255) + 1)
    ]
    with pytest.raises(ValueError, match=str(MAX_PACKET)):
        read_ogg_opus(b"".join(pages))


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, len(GOOD)))
def test_total(junk: bytes, start: int, end: int) -> None:
    """Any bytes give a recording or a ValueError."""
    for data in (junk, GOOD[:start] + junk + GOOD[end:]):
        try:
            read = read_ogg_opus(data)
        except ValueError:
            continue
        assert read.packets
