"""Conversions between the three clocks of a media session. Pure arithmetic.

- `now`: seconds on the caller's monotonic clock; every deadline is on it.
- wall time: Unix seconds, entered once, paired with a `now` (`WallClock`).
- RTP time: ticks of the media clock (48,000 per second for Opus), from a
  random start, modulo 2**32 on the wire.

NTP time stamps (RFC 3550 section 4) are unsigned 32.32 fixed point since 1900;
their middle 32 bits are the compact form that reports carry.
"""

from __future__ import annotations

from rtcproto._attrs import wire

__all__ = [
    "NTP_UNIX_OFFSET",
    "WallClock",
    "compact_to_seconds",
    "ntp_compact",
    "ntp_from_unix",
    "unix_from_ntp",
]

# Seconds from 1900-01-01 to 1970-01-01, RFC 868.
NTP_UNIX_OFFSET = 2_208_988_800


def ntp_from_unix(unix_time: float) -> int:
    """The 64-bit NTP time stamp of a Unix time in seconds, modulo the 2036 era change."""
    return int((unix_time + NTP_UNIX_OFFSET) * 4294967296.0) & 0xFFFFFFFFFFFFFFFF


def unix_from_ntp(ntp: int) -> float:
    """Unix seconds of a 64-bit NTP time stamp of the current era."""
    return ntp / 4294967296.0 - NTP_UNIX_OFFSET


def ntp_compact(ntp: int) -> int:
    """The middle 32 bits of an NTP time stamp: 16.16 fixed point, RFC 3550 section 4."""
    return (ntp >> 16) & 0xFFFFFFFF


def compact_to_seconds(compact: int) -> float:
    """Seconds of a 16.16 fixed-point duration (DLSR, round-trip times)."""
    return compact / 65536.0


@wire
class WallClock:
    """Wall time as it was told once: `unix_time` seconds when the caller's clock said `now`."""

    unix_time: float
    now: float

    def unix(self, now: float) -> float:
        """Unix time at the caller's instant `now`."""
        return self.unix_time + (now - self.now)

    def ntp(self, now: float) -> int:
        """64-bit NTP time stamp at the caller's instant `now`."""
        return ntp_from_unix(self.unix(now))
