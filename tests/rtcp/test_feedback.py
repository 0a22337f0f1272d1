"""RFC 4585, RFC 5104 and REMB: feedback messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import ParseError, UsageError
from rtcproto.rtcp import Fir, Nack, Pli, Remb, Unknown, build_compound, parse_compound


def test_nack_layout():
    """RFC 4585 6.2.1: the first lost packet, and a bit for each of the next sixteen."""
    nack = Nack.of(1, 2, [100, 101, 116, 117])
    assert nack.entries == ((100, 0x8001), (117, 0))
    wire = bytes.fromhex("81cd0004 00000001 00000002 00648001 00750000")
    assert build_compound([nack]) == wire
    assert parse_compound(wire) == [nack]
    assert nack.sequences() == [100, 101, 116, 117]


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 40), max_size=60))
def test_nack_names_what_was_lost(first, steps):
    """Any rising list of sequence numbers, across the wrap, comes back as it was."""
    lost = [first]
    for step in steps:
        lost.append((lost[-1] + step) & 0xFFFF)
    (nack,) = parse_compound(build_compound([Nack.of(1, 2, lost)]))
    assert nack.sequences() == lost


def test_pli():
    """RFC 4585 6.3.1: two sources and nothing else."""
    wire = bytes.fromhex("81ce0002 00000001 00000002")
    assert build_compound([Pli(1, 2)]) == wire
    assert parse_compound(wire) == [Pli(1, 2)]


def test_fir():
    """RFC 5104 4.3.1: a source and a command number for each entry."""
    wire = bytes.fromhex("84ce0004 00000001 00000000 00000002 07000000")
    assert build_compound([Fir(1, 0, ((2, 7),))]) == wire
    assert parse_compound(wire) == [Fir(1, 0, ((2, 7),))]


def test_remb_layout():
    """draft-alvestrand-rmcat-remb: 6 bits of exponent, 18 bits of mantissa."""
    wire = bytes.fromhex("8fce0005 00000001 00000000 52454d42 010bffff 00000002")
    remb = Remb(1, 0, 0x3FFFF << 2, (2,))
    assert build_compound([remb]) == wire
    assert parse_compound(wire) == [remb]


def test_remb_rounds_down():
    """A rate of more than 18 bits is said as the next lower one that can be."""
    (remb,) = parse_compound(build_compound([Remb(1, 0, (1 << 20) + 1)]))
    assert remb.bitrate == 1 << 20


def test_remb_limits():
    """No rate beyond the exponent, no negative one, no 256 sources."""
    for remb in (Remb(1, 0, 1 << 81), Remb(1, 0, -1), Remb(1, 0, 1, (2,) * 256)):
        with pytest.raises(UsageError):
            build_compound([remb])


def test_other_application_feedback_is_kept():
    """206/15 that is not REMB belongs to another application."""
    wire = bytes.fromhex("8fce0004 00000001 00000000 41424344 00000000")
    assert parse_compound(wire) == [Unknown(206, 15, wire[4:])]


@pytest.mark.parametrize(
    "wire",
    [
        "81cd0001 00000001",  # NACK without sources
        "81cd0002 00000001 00000002",  # NACK without entries
        "81ce0001 00000001",  # PLI without sources
        "81ce0003 00000001 00000002 00000000",  # PLI with information
        "84ce0002 00000001 00000000",  # FIR without entries
        "84ce0003 00000001 00000000 00000002",  # half a FIR entry
        "8fce0004 00000001 00000000 52454d42 01000000",  # REMB counts one source too many
        "8fce0005 00000001 00000000 52454d42 00000000 00000001",  # and one too few
    ],
)
def test_malformed(wire):
    """Information that is not whole entries, or not as many as counted."""
    with pytest.raises(ParseError):
        parse_compound(bytes.fromhex(wire))


@pytest.mark.parametrize("packet", [Nack.of(1, 2, []), Fir(1, 0, ())])
def test_nothing_to_say(packet):
    """A message without entries would be refused by its reader, so it is not built."""
    with pytest.raises(UsageError):
        build_compound([packet])
