"""Two associations on a path that the input controls: packets in, and an application as well.

`sctp_ops` lets the bytes send, reset and close, and drop, double, swap, cut and change
packets. After each step: no exception, deadlines ahead, packets within the MTU, no
message that was not sent (unless packets were changed, when anything may be said).
"""

from __future__ import annotations

import random

from fuzz.ops import Script
from fuzz.samples import NOW
from rtcproto.errors import ParseError, UsageError
from rtcproto.sctp import (
    Association,
    AssociationClosed,
    AssociationState,
    MessageReceived,
    SctpConfig,
)
from rtcproto.sctp.packet import Packet

__all__ = ["sctp_ops", "sctp_packet"]

CONFIG = SctpConfig(
    remote_max_message_size=0, send_buffer=60_000, receive_window=40_000, max_entries=64
)
SIZES = (1, 30, 1132, 1133, 4000, 20_000)
PAUSES = (0.0, 0.01, 0.1, 0.5, 2.0, 31.0, -1.0)
MAX_WIRE = 64


def sctp_packet(data: bytes) -> None:
    """A packet that parses is built again to one that parses alike."""
    for zero_checksum in (False, True):
        try:
            packet = Packet.parse(data, zero_checksum)
        except ParseError:
            continue
        assert Packet.parse(packet.serialize()).chunks == packet.chunks


def sctp_ops(data: bytes) -> None:
    """Acts out the input; see the module."""
    scene = _Scene()
    script = Script(data)
    for operation in script.operations():
        scene.step(operation, script)


class _Scene:
    """Both ends, what is on its way, and what was sent."""

    def __init__(self) -> None:
        self.now = NOW
        self.ends = [Association(CONFIG, random.Random(seed).randbytes, NOW) for seed in range(2)]
        self.wires: list[list[bytes]] = [[], []]
        self.sent: list[set[bytes]] = [set(), set()]
        self.changed = False
        self.number = 0
        self.over = [False, False]

    def step(self, operation: int, script: Script) -> None:
        """One operation on one end."""
        number = operation >> 7
        end, wire = self.ends[number], self.wires[number]
        match operation & 0x7F:
            case kind if kind % 8 == 0:
                self._ask(end, number, script)
            case kind if kind % 8 in (1, 2, 3):
                for _ in range(script.byte() % 16 + 1):
                    if wire:
                        self.ends[1 - number].receive_packet(wire.pop(0), self.now)
                        self._collect()
            case kind if kind % 8 == 4 and wire:
                self._mistreat(number, script)
            case kind if kind % 8 == 5:
                self.now += script.pick(PAUSES)
                for each in self.ends:
                    each.handle_timer(self.now)
            case kind if kind % 8 == 6:
                self._send(end, number, script)
            case _:
                # Straight out of DTLS: whatever the peer's machine would never say.
                self.changed = True
                head = Packet(5000, 5000, self._tag(number), ()).serialize(True)
                self.ends[number].receive_packet(head + script.take(), self.now)
        self._collect()

    def _ask(self, end: Association, number: int, script: Script) -> None:
        try:
            match script.byte() % 8:
                case 0 | 1 | 2:
                    end.start(self.now)
                case 3:
                    end.start_with(self.ends[1 - number].local_init(), self.now)
                case 4 | 5:
                    end.reset_streams([script.byte() % 4], self.now)
                case 6:
                    end.close(self.now)
                case _:
                    end.abort(self.now)
        except UsageError:
            return

    def _send(self, end: Association, number: int, script: Script) -> None:
        how = script.byte()
        self.number += 1
        message = b"%05d" % self.number + bytes(script.pick(SIZES))
        try:
            end.send_message(
                how % 4,
                51,
                message,
                self.now,
                ordered=bool(how & 4),
                max_retransmits=(None, None, 0, 2)[how >> 3 & 3],
                lifetime=(None, None, 0.0, 0.3)[how >> 5 & 3],
            )
        except UsageError:
            return
        self.sent[number].add(message)

    def _mistreat(self, number: int, script: Script) -> None:
        wire = self.wires[number]
        at = script.byte() % len(wire)
        match script.byte() % 5:
            case 0 | 1:
                del wire[at]
            case 2:
                wire.append(wire[at])
            case 3:
                wire.append(wire.pop(at))
            case _:
                self.changed = True
                packet = bytearray(wire[at])
                packet[12 + script.byte() % max(1, len(packet) - 12)] ^= script.byte() | 1
                # Without a checksum, as RFC 9653 has it: DTLS would have let it through.
                packet[8:12] = bytes(4)
                wire[at] = bytes(packet)

    def _tag(self, number: int) -> int:
        return int.from_bytes(self.ends[number].local_init()[4:8], "big")

    def _collect(self) -> None:
        for number, end in enumerate(self.ends):
            packets = end.packets_to_send()
            assert all(len(packet) <= CONFIG.mtu for packet in packets)
            self.wires[number] += packets
            del self.wires[number][MAX_WIRE:]
            events = end.next_events()
            assert not (self.over[number] and (events or packets)), "after the end"
            for event in events:
                if isinstance(event, MessageReceived):
                    assert self.changed or event.data in self.sent[1 - number]
                elif isinstance(event, AssociationClosed):
                    self.over[number] = True
                    assert event is events[-1]
                    assert end.state is AssociationState.ENDED
            stats = end.stats()
            assert 0 <= stats.send_buffered <= CONFIG.send_buffer + 60_000
            assert 0 <= stats.receive_buffered <= 3 * CONFIG.receive_window
            assert stats.bytes_in_flight >= 0
            deadline = end.get_timer()
            assert deadline is None or not self.over[number]
