"""The sending side of one RTP stream: sequence, timestamp, header template, counts.

RFC 3550 sections 5.1 and 6.4.1. One object per outgoing SSRC, owned by the media
plane. It builds the header; SRTP puts payload and tag behind it.

Theory of operation: everything in the header but marker, sequence, timestamp and
audio level is constant for the life of the stream. So the layout becomes one
`struct` format, and the constant bytes (SSRC, extension header, MID, the head of
the audio-level element) become one field of it, packed together at every packet.
The sequence number is an unwrapped integer here and wraps only in the packet;
the same integer is the index by which SRTP enciphers, so it never goes back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from struct import Struct

from rtcproto._attrs import wire
from rtcproto.errors import UsageError
from rtcproto.rtp.extensions import build_extensions, encode_text

__all__ = ["FIRST_SEQUENCE_LIMIT", "SendStream", "SenderInfo"]

# A receiver that misses the first packets takes the rollover counter for zero.
# Starting in the lower half leaves it 32768 packets in which that is true.
FIRST_SEQUENCE_LIMIT = 1 << 15

_WORDS = Struct("!HH")
_MASK32 = 0xFFFFFFFF


@functools.lru_cache(maxsize=64)  # an entry per layout; layouts differ in the length of the MID
def _layout(constant: int, padding: int, with_level: bool) -> Struct:
    return Struct(f"!BBHL{constant}s{'B' if with_level else ''}{padding}x")


@wire
class SenderInfo:
    """What a sender report says of its sender, RFC 3550 6.4.1, apart from the wall clock."""

    ssrc: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int


class SendStream:
    """One outgoing stream.

    `first_sequence` (0 to 2**15 - 1) and `first_timestamp` (32 bits) are to be drawn
    at random by the caller, RFC 3550 5.1. The timestamps given to the verbs count in
    units of `clock_rate` from any origin: `first_timestamp` is added here and the
    sum wraps. `mid` is (identifier, value) and rides in every packet;
    `audio_level_id` opens the slot that `level` and `voice` fill. `UsageError` for
    values out of range.
    """

    __slots__ = (
        "_constant",
        "_first",
        "_last_time",
        "_last_timestamp",
        "_level_constant",
        "_pack",
        "_pack_level",
        "clock_rate",
        "first_sequence",
        "first_timestamp",
        "octets",
        "payload_type",
        "sequence",
        "ssrc",
    )

    def __init__(
        self,
        *,
        ssrc: int,
        payload_type: int,
        clock_rate: int,
        first_sequence: int,
        first_timestamp: int,
        mid: tuple[int, str] | None = None,
        audio_level_id: int | None = None,
    ) -> None:
        if not 0 <= ssrc <= _MASK32 or not 0 <= payload_type <= 0x7F or clock_rate <= 0:
            raise UsageError("SSRC, payload type or clock rate out of range")
        if not 0 <= first_sequence < FIRST_SEQUENCE_LIMIT:
            raise UsageError("the first sequence number is below 2**15")
        self.ssrc = ssrc
        self.payload_type = payload_type
        self.clock_rate = clock_rate
        self.first_sequence = first_sequence
        # The unwrapped sequence number of the next packet.
        self.sequence = first_sequence
        self.first_timestamp = first_timestamp & _MASK32
        self.octets = 0
        self._last_timestamp = self.first_timestamp
        self._last_time = 0.0

        elements = [] if mid is None else [(mid[0], encode_text(mid[1]))]
        ssrc_bytes = ssrc.to_bytes(4, "big")
        profile, block = build_extensions(elements)
        if profile is None:
            self._first = 0x80
            self._constant = ssrc_bytes
        else:
            self._first = 0x90
            self._constant = ssrc_bytes + _WORDS.pack(profile, len(block) // 4) + block
        self._pack = _layout(len(self._constant), 0, False).pack
        # Without a slot the level goes nowhere.
        self._level_constant = b""
        self._pack_level: Callable[..., bytes] | None = None
        if audio_level_id is not None:
            # 0xFF is in no UTF-8 text, and the level comes last: rindex finds its place.
            profile, block = build_extensions([*elements, (audio_level_id, b"\xff")])
            at = block.rindex(b"\xff")
            self._level_constant = ssrc_bytes + _WORDS.pack(profile, len(block) // 4) + block[:at]
            self._pack_level = _layout(len(self._level_constant), len(block) - at - 1, True).pack

    @property
    def packets(self) -> int:
        """How many packets have been sent."""
        return self.sequence - self.first_sequence

    def header(
        self, timestamp: int, marker: bool, size: int, level: int | None, voice: bool, now: float
    ) -> bytes:
        """The header of the next packet, which carries `size` payload bytes.

        Advances `sequence` and the counts. `level` in -dBov (0 to 127), or None to
        leave the element out; `UsageError` if it is out of range.
        """
        sequence = self.sequence
        second = self.payload_type | 0x80 if marker else self.payload_type
        timestamp = timestamp + self.first_timestamp & 0xFFFFFFFF
        pack_level = self._pack_level
        if level is None or pack_level is None:
            header = self._pack(self._first, second, sequence & 0xFFFF, timestamp, self._constant)
        elif 0 <= level <= 127:
            header = pack_level(
                0x90,
                second,
                sequence & 0xFFFF,
                timestamp,
                self._level_constant,
                level | 0x80 if voice else level,
            )
        else:
            raise UsageError("an audio level is 0 to 127 -dBov")
        self.sequence = sequence + 1
        self.octets += size
        self._last_timestamp = timestamp
        self._last_time = now
        return header

    def packet(
        self,
        payload: bytes,
        timestamp: int,
        marker: bool,
        level: int | None,
        voice: bool,
        now: float,
    ) -> bytes:
        """The next packet in plain form; as `header`, which SRTP uses instead."""
        return self.header(timestamp, marker, len(payload), level, voice, now) + payload

    def sender_info(self, now: float) -> SenderInfo | None:
        """Counts, and the RTP timestamp that corresponds to `now`; None before the first packet.

        RFC 3550 6.4.1: the timestamp is that of the report's own moment, so the last
        packet's is carried forward by the clock. Both counts wrap at 32 bits.
        """
        if not self.packets:
            return None
        elapsed = int((now - self._last_time) * self.clock_rate)
        return SenderInfo(
            self.ssrc,
            self._last_timestamp + elapsed & _MASK32,
            self.packets & _MASK32,
            self.octets & _MASK32,
        )
