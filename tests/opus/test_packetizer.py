"""RFC 6716 section 3.2, RFC 7587 section 4.2: frames grouped into packets and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.opus import (
    SILENCE_MONO,
    SILENCE_STEREO,
    OpusPacket,
    build_packet,
    join,
    parse_toc,
    samples_per_packet,
    split,
)

TOC = parse_toc(0xF8)


@pytest.mark.parametrize(
    ("frames", "packet"),
    [
        ([b"a"], "f861"),
        ([b""], "f8"),
        ([b"a", b"b"], "f96162"),
        ([b"a", b"bc"], "fa01616263"),
        ([b"a", b"b", b"c"], "fb03616263"),
        ([b"a", b"", b"c"], "fb8301006163"),
    ],
)
def test_smallest_code(frames, packet):
    """One, two equal, two, several equal, several frames: the code with the least to say."""
    assert build_packet(TOC, frames) == bytes.fromhex(packet)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6))
def test_split_and_join(frames):
    """Frames of up to 120 ms joined and split are the same frames."""
    singles = [build_packet(TOC, [frame]) for frame in frames]
    joined = join(singles)
    assert list(OpusPacket.parse(joined).frames) == frames
    assert samples_per_packet(joined) == 960 * len(frames)
    assert split(joined) == singles


def test_join_needs_one_configuration():
    """One TOC byte speaks for all frames, so mono and stereo do not join."""
    with pytest.raises(UsageError, match="share"):
        join([SILENCE_MONO, SILENCE_STEREO])
    with pytest.raises(UsageError, match="share"):
        join([SILENCE_MONO, b"\x78abc"])


def test_join_limits():
    """Nothing, junk, or more than 120 ms."""
    for payloads in ([], [b"\xfb"], [SILENCE_MONO] * 7):
        with pytest.raises(UsageError):
            join(payloads)
    assert samples_per_packet(join([SILENCE_MONO] * 6)) == 5760


def test_split_junk():
    """What does not parse is not split."""
    with pytest.raises(ParseError):
        split(b"\xfa")


def test_build_nothing():
    """A packet has a frame."""
    with pytest.raises(UsageError):
        build_packet(TOC, [])


def test_silence():
    """The silence payloads are one fullband CELT frame of 20 ms in one and two channels."""
    for payload, stereo in ((SILENCE_MONO, False), (SILENCE_STEREO, True)):
        packet = OpusPacket.parse(payload)
        assert (packet.samples, packet.toc.stereo, packet.toc.config) == (960, stereo, 31)
        assert packet.frames == (b"\xff\xfe",)
