"""RFC 8285 header extensions, both forms, and the elements that are acted on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.rtp.extensions import (
    AudioLevel,
    build_extensions,
    decode_abs_send_time,
    decode_text,
    decode_transport_sequence,
    encode_abs_send_time,
    encode_text,
    encode_transport_sequence,
    find_extension,
    parse_extensions,
)

one_byte = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=6)
two_byte = st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=6)


def test_one_byte_form():
    """RFC 8285 4.2: identifier and length minus one share a byte; zero bytes are padding."""
    block = bytes.fromhex("10850042aabbcc91303100")
    assert parse_extensions(0xBEDE, block) == {1: b"\x85", 4: b"\xaa\xbb\xcc", 9: b"\x30\x31"}


def test_two_byte_form():
    """RFC 8285 4.3: identifier and length in a byte each, length zero allowed, appbits ignored."""
    block = bytes.fromhex("0100001402aabbff01070000")
    for profile in (0x1000, 0x100F):
        assert parse_extensions(profile, block) == {1: b"", 20: b"\xaa\xbb", 255: b"\x07"}
        assert find_extension(profile, block, 255) == b"\x07"


@pytest.mark.parametrize("stop", ["f000", "f3010203", "0212"])
def test_one_byte_form_ends_at_15_and_at_zero_with_length(stop):
    """RFC 8285 4.2: identifier 15, and 0 with a length, end the block; what precedes counts."""
    block = bytes.fromhex("1085" + stop + "2086")
    assert parse_extensions(0xBEDE, block) == {1: b"\x85"}
    assert find_extension(0xBEDE, block, 1) == b"\x85"
    assert find_extension(0xBEDE, block, 2) is None


@pytest.mark.parametrize("profile", [None, 0, 0xBEDF, 0x1010, 0xFFFF])
def test_other_profiles_have_no_elements(profile):
    """A block of another profile is not ours to read."""
    assert parse_extensions(profile, b"\x10\x85\x00\x00") == {}
    assert find_extension(profile, b"\x10\x85\x00\x00", 1) is None


@pytest.mark.parametrize(
    ("profile", "block"), [(0xBEDE, "10854f00"), (0x1000, "010185ff"), (0x1000, "0101850502aa")]
)
def test_element_beyond_the_block(profile, block):
    """A length beyond the block is a ParseError; the elements before it can still be found."""
    data = bytes.fromhex(block)
    with pytest.raises(ParseError):
        parse_extensions(profile, data)
    assert find_extension(profile, data, 1) == b"\x85"
    assert find_extension(profile, data, data[-2]) is None


def test_first_of_a_repeated_identifier_counts():
    """Both readers agree where an identifier repeats."""
    block = bytes.fromhex("10011002")
    assert parse_extensions(0xBEDE, block) == {1: b"\x01"}
    assert find_extension(0xBEDE, block, 1) == b"\x01"


@given(one_byte)
def test_one_byte_round_trip(elements):
    """Short elements take the one-byte form, padded to whole words."""
    profile, block = build_extensions(elements.items())
    assert profile == (0xBEDE if elements else None)
    assert len(block) % 4 == 0
    assert parse_extensions(profile, block) == elements
    for identifier in range(1, 15):
        assert find_extension(profile, block, identifier) == elements.get(identifier)


@given(two_byte)
def test_two_byte_round_trip(elements):
    """What does not fit the one-byte form takes the other."""
    elements[200] = b""
    profile, block = build_extensions(elements.items())
    assert profile == 0x1000
    assert len(block) % 4 == 0
    assert parse_extensions(profile, block) == elements
    for identifier in (*elements, 77):
        assert find_extension(profile, block, identifier) == elements.get(identifier)


@given(st.sampled_from([0xBEDE, 0x1000, 0x1005, 7, None]), st.binary(max_size=60))
def test_readers_agree_on_any_bytes(profile, block):
    """Both readers are total, and find what the full parse lists."""
    found = {i: data for i in range(256) if (data := find_extension(profile, block, i)) is not None}
    try:
        elements = parse_extensions(profile, block)
    except ParseError:
        return
    assert elements == found


@pytest.mark.parametrize("element", [(0, b"a"), (256, b"a"), (1, bytes(256)), (-1, b"a")])
def test_build_refuses(element):
    """Identifiers and lengths that neither form can carry are the caller's mistake."""
    with pytest.raises(UsageError):
        build_extensions([element])


def test_build_refuses_a_block_beyond_its_length_field():
    """The block's length is 16 bits of words."""
    with pytest.raises(UsageError):
        build_extensions([(20, bytes(255))] * 1100)


def test_audio_level():
    """RFC 6464: voice is the top bit, the level is -dBov in the rest."""
    assert AudioLevel.parse(b"\x85") == AudioLevel(5, True)
    assert AudioLevel.parse(b"\x7f\x00") == AudioLevel(127, False)
    assert AudioLevel(5, True).serialize() == b"\x85"
    assert AudioLevel(127, False).serialize() == b"\x7f"
    with pytest.raises(ParseError):
        AudioLevel.parse(b"")
    for level in (-1, 128):
        with pytest.raises(UsageError):
            AudioLevel(level, False).serialize()


def test_text_elements():
    """MID and RID are UTF-8 of 1 to 255 bytes."""
    assert encode_text("audio0") == b"audio0"
    assert decode_text(b"hi") == "hi"
    with pytest.raises(ParseError):
        decode_text(b"\xff")
    for text in ("", "x" * 256):
        with pytest.raises(UsageError):
            encode_text(text)


def test_abs_send_time():
    """24 bits of 6.18 fixed point: 64 s range, 3.8 us steps."""
    assert encode_abs_send_time(1.0) == b"\x04\x00\x00"
    assert encode_abs_send_time(64.5) == b"\x02\x00\x00"
    assert decode_abs_send_time(b"\x02\x00\x00") == 0.5
    assert decode_abs_send_time(encode_abs_send_time(63.999999)) < 64
    with pytest.raises(ParseError):
        decode_abs_send_time(b"\0\0")


def test_transport_sequence():
    """16 bits big-endian; the unwrapped number is taken modulo 65536."""
    assert encode_transport_sequence(65537) == b"\0\1"
    assert decode_transport_sequence(b"\x12\x34\x00\x00") == 0x1234
    with pytest.raises(ParseError):
        decode_transport_sequence(b"\x12")
