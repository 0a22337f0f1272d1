"""Transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.

```text
header(15, 205)  sender ssrc  media ssrc
base sequence(16)  packet status count(16)  reference time(24)  feedback count(8)
status chunks(16 each)  receive deltas(8 or 16 bits each)  zero bytes to a whole word

0 | symbol(2) | run length(13)        run of one symbol
1 0 | 14 symbols of one bit           0 not received, 1 small delta
1 1 | 7 symbols of two bits
symbols: 0 not received, 1 small delta (8 bits), 2 large delta (16 bits, signed), 3 reserved
```

Called by the compound codec. The value holds only the packets that were
received: each costs at least a byte on the wire, so memory and time are linear
in the datagram although one chunk can declare 8191 packets missing. Refuses
reserved symbols, chunks or deltas that end early, and bytes left over.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from rtcproto._attrs import wire
from rtcproto.errors import UsageError
from rtcproto.rtcp.header import PacketType, build_packet, malformed, words

__all__ = ["TransportFeedback", "parse_transport_feedback"]

_BODY = struct.Struct("!LLHHL")
_CHUNK = struct.Struct("!H")
_LARGE = struct.Struct("!h")

_FORMAT = 15
_SMALL, _BIG = 1, 2
_MAX_RUN = 0x1FFF

# Draft section 3.1: the reference time counts 64 ms, deltas count 250 us.
REFERENCE_TICK = 0.064
DELTA_TICK = 0.00025


@wire
class TransportFeedback:
    """Which packets of a transport arrived and when.

    `received` holds (offset from `base_sequence`, delta in 250 us since the one
    before), rising offsets below `count`; the first delta is from
    `reference_time`, 24 bits signed, in 64 ms of an arbitrary clock.
    `feedback_count` has 8 bits and counts these packets.
    """

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    count: int
    reference_time: int
    feedback_count: int
    received: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls,
        sender_ssrc: int,
        media_ssrc: int,
        feedback_count: int,
        arrivals: Sequence[tuple[int, float]],
    ) -> TransportFeedback:
        """Feedback on `arrivals`: (unwrapped sequence, arrival in seconds), rising sequences.

        `UsageError` if there is none, if they span 65536 or more, or if two
        neighbours are more than 8.19 s apart: then report them in two packets.
        """
        if not arrivals:
            raise UsageError("transport feedback needs at least one arrival")
        base = arrivals[0][0]
        reference = int(arrivals[0][1] // REFERENCE_TICK)
        last = round(reference * (REFERENCE_TICK / DELTA_TICK))
        received = []
        offset = -1
        for sequence, arrival in arrivals:
            ticks = round(arrival / DELTA_TICK)
            delta = ticks - last
            if not offset < sequence - base < 0xFFFF or not -0x8000 <= delta <= 0x7FFF:
                raise UsageError("arrivals do not fit one transport feedback")
            offset, last = sequence - base, ticks
            received.append((offset, delta))
        reference = ((reference + 0x800000) & 0xFFFFFF) - 0x800000
        return cls(
            sender_ssrc,
            media_ssrc,
            base & 0xFFFF,
            offset + 1,
            reference,
            feedback_count & 0xFF,
            tuple(received),
        )

    def arrivals(self) -> list[tuple[int, float]]:
        """(16-bit sequence, seconds on the receiver's clock) of each packet received, in order."""
        at = self.reference_time * REFERENCE_TICK
        result = []
        for offset, delta in self.received:
            at += delta * DELTA_TICK
            result.append(((self.base_sequence + offset) & 0xFFFF, at))
        return result

    def serialize(self) -> bytes:
        """The whole packet. `UsageError` if `received` is not rising offsets below `count`."""
        symbols = bytearray(self.count)
        deltas = bytearray()
        last = -1
        for offset, delta in self.received:
            if not last < offset < self.count:
                raise UsageError("received packets must rise and lie within the count")
            last = offset
            if 0 <= delta <= 0xFF:
                symbols[offset] = _SMALL
                deltas.append(delta)
            else:
                symbols[offset] = _BIG
                deltas += _LARGE.pack(delta)
        body = _BODY.pack(
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence,
            self.count,
            (self.reference_time & 0xFFFFFF) << 8 | self.feedback_count,
        )
        body = words(body + _build_chunks(symbols) + deltas)
        return build_packet(PacketType.TRANSPORT_FEEDBACK, _FORMAT, body)


def _build_chunks(symbols: bytearray) -> bytes:
    """The status chunks: the longest of a run or a vector at each step."""
    parts = []
    count = len(symbols)
    offset = 0
    while offset < count:
        symbol = symbols[offset]
        limit = min(count, offset + _MAX_RUN)
        run = offset + 1
        while run < limit and symbols[run] == symbol:
            run += 1
        if run - offset > 14 or run == count:
            chunk = symbol << 13 | (run - offset)
            offset = run
        else:
            vector = symbols[offset : offset + 14]
            if _BIG not in vector:
                chunk, size, bits = 0x8000, 14, 1
            else:
                chunk, size, bits = 0xC000, 7, 2
            for position, value in enumerate(vector[:size]):
                chunk |= value << (size - 1 - position) * bits
            offset += size
        parts.append(_CHUNK.pack(chunk))
    return b"".join(parts)


def _parse_chunks(data: bytes, offset: int, end: int, count: int) -> tuple[list[int], int]:
    """The received packets as offset * 4 + symbol, and where the deltas begin."""
    found: list[int] = []
    position = 0
    while position < count:
        if offset + 2 > end:
            raise malformed("fewer status chunks than counted", offset)
        chunk = data[offset] << 8 | data[offset + 1]
        if chunk < 0x8000:
            run = chunk & _MAX_RUN
            symbol = chunk >> 13
            if not run:
                raise malformed("status run of no packets", offset)
            # A run may overshoot the count: what lies beyond it is not declared.
            run = min(run, count - position)
            if symbol:
                # Each of these owes a delta, so more than the bytes left is a lie.
                if len(found) + run > end - offset or symbol == 3:
                    raise malformed("status run of received packets without deltas", offset)
                found += [at * 4 + symbol for at in range(position, position + run)]
            position += run
        else:
            size, bits, mask = (7, 2, 3) if chunk & 0x4000 else (14, 1, 1)
            # Most vectors of a hostile packet are empty; they cost no loop.
            for at in range(min(size, count - position) if chunk & 0x3FFF else 0):
                symbol = chunk >> (size - 1 - at) * bits & mask
                if symbol:
                    found.append((position + at) * 4 + symbol)
            position += size
        offset += 2
    return found, offset


def parse_transport_feedback(data: bytes, offset: int, end: int) -> TransportFeedback:
    """The body of 205/15."""
    if offset + _BODY.size > end:
        raise malformed("transport feedback shorter than its header", offset)
    sender, media, base, count, reference = _BODY.unpack_from(data, offset)
    found, offset = _parse_chunks(data, offset + _BODY.size, end, count)
    received = []
    for item in found:
        symbol = item & 3
        if symbol == _SMALL:
            if offset >= end:
                raise malformed("receive delta missing", offset)
            delta = data[offset]
            offset += 1
        elif symbol == _BIG:
            if offset + 2 > end:
                raise malformed("receive delta missing", offset)
            (delta,) = _LARGE.unpack_from(data, offset)
            offset += 2
        else:
            raise malformed("reserved status symbol", offset)
        received.append((item >> 2, delta))
    if end - offset > 3:
        raise malformed("bytes after the last receive delta", offset)
    reference_time = reference >> 8
    if reference_time >= 0x800000:
        reference_time -= 0x1000000
    return TransportFeedback(
        sender, media, base, count, reference_time, reference & 0xFF, tuple(received)
    )
