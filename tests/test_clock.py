"""Conversions between clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.clock import (
    NTP_UNIX_OFFSET,
    WallClock,
    compact_to_seconds,
    ntp_compact,
    ntp_from_unix,
    unix_from_ntp,
)


def test_ntp_of_known_instants() -> None:
    """RFC 868: 1970 is 2,208,988,800 s after 1900; the fraction counts 2**-32 s."""
    assert ntp_from_unix(0.0) == NTP_UNIX_OFFSET << 32
    assert ntp_from_unix(0.5) == (NTP_UNIX_OFFSET << 32) + (1 << 31)
    assert ntp_from_unix(-NTP_UNIX_OFFSET) == 0


def test_the_2036_era_wraps() -> None:
    """RFC 3550 section 4: the seconds overflow in 2036, only differences matter."""
    end_of_era = (1 << 32) - NTP_UNIX_OFFSET
    assert ntp_from_unix(end_of_era + 5.0) == 5 << 32


@given(st.floats(0, 2_000_000_000))
def test_ntp_round_trip(unix_time: float) -> None:
    """Unix -> NTP -> Unix loses less than a microsecond of this era."""
    assert unix_from_ntp(ntp_from_unix(unix_time)) == pytest.approx(unix_time, abs=1e-6)


@given(st.integers(0, 2**64 - 1))
def test_compact_is_the_middle(ntp: int) -> None:
    """RFC 3550 section 4: the low 16 bits of the seconds and the high 16 of the fraction."""
    compact = ntp_compact(ntp)
    assert compact == int.from_bytes(ntp.to_bytes(8, "big")[2:6], "big")
    assert 0 <= compact < 1 << 32


def test_compact_durations() -> None:
    """RFC 3550 section 6.4.1, DLSR: units of 1/65,536 s; its example delay is 5.250 s."""
    assert compact_to_seconds(0x0005_4000) == 5.25


def test_round_trip_time_of_the_rfc() -> None:
    """RFC 3550 section 6.4.1, figure 2: A - LSR - DLSR = 6.125 s."""
    assert compact_to_seconds(0xB710_8000 - 0xB705_2000 - 0x0005_4000) == 6.125


def test_wall_clock_advances_with_now() -> None:
    """Wall time enters once; from then on it moves as the monotonic clock does."""
    clock = WallClock(1_700_000_000.0, 1000.0)
    assert clock.unix(1000.0) == 1_700_000_000.0
    assert clock.unix(1002.5) == 1_700_000_002.5
    assert clock.unix(999.0) == 1_699_999_999.0
    assert clock.ntp(1002.5) == ntp_from_unix(1_700_000_002.5)
