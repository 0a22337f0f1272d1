"""Bytes become operations: a scene is acted out as the input says, invariants after each step.

`relay_ops` plays clients, owners, strangers and time around one relay core;
`session_ops` (in `session_scene.py`) plays a network between two sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from fuzz.samples import NOW, TOKEN_CODEC, TOKENS, check, rtp_packet, token_ufrag
from rtcproto import stun
from rtcproto.datagram import Address
from rtcproto.relay import RelayConfig, RelayCore
from rtcproto.routing import HEADER_SIZE, Entry, StaticDirectory, encode_header

__all__ = ["Script", "relay_ops"]

T = TypeVar("T")

# Where one input is cut off.
MAX_OPERATIONS = 64

PUBLICS: tuple[Address, ...] = (("203.0.113.10", 3478), ("203.0.113.11", 3478))
INSIDE: Address = ("10.0.0.1", 7000)
OWNERS: tuple[Address, ...] = (("10.0.1.1", 9000), ("10.0.1.2", 9000), ("2001:db8::9", 9000))
STRANGER: Address = ("10.0.9.9", 9000)
CLIENTS: tuple[Address, ...] = (
    ("192.0.2.1", 5000),
    ("192.0.2.1", 5001),
    ("198.51.100.7", 6000),
    ("2001:db8::5", 7000),
    PUBLICS[0],
    OWNERS[0],
)
MAX_FLOWS = 4

DIRECTORIES = (
    StaticDirectory({(0, n): Entry(OWNERS[n]) for n in range(3)}),
    StaticDirectory({(0, 0): Entry(OWNERS[1], 1), (0, 2): Entry(OWNERS[0])}),
    StaticDirectory({}),
)

PAYLOADS = (
    check(token_ufrag(0)),
    check(token_ufrag(1)),
    check(token_ufrag(2, epoch=1)),
    check("notatoken"),
    stun.build(stun.Method.BINDING, stun.Class.SUCCESS, bytes(12), []),
    stun.build(stun.Method.BINDING, stun.Class.INDICATION, bytes(12), []),
    rtp_packet(),
    bytes([23, 254, 253]) + bytes(40),  # a DTLS record of application data
    bytes([22, 254, 253]) + bytes(40),  # and of a handshake
    b"",
    b"\xff" * 20,
    bytes([0x80, 200]) + bytes(26),
)


class Script:
    """Reads an input as a sequence of choices; at its end every choice is the first."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def operations(self) -> Iterator[int]:
        """One byte per operation, until the input or `MAX_OPERATIONS` is used up."""
        for _ in range(MAX_OPERATIONS):
            if self._position >= len(self._data):
                return
            yield self.byte()

    def byte(self) -> int:
        """The next byte, 0 behind the end."""
        position = self._position
        self._position += 1
        return self._data[position] if position < len(self._data) else 0

    def pick(self, values: tuple[T, ...]) -> T:
        """One of `values`."""
        return values[self.byte() % len(values)]

    def take(self, most: int = 64) -> bytes:
        """Raw bytes: a length byte, then so many."""
        size = self.byte() % (most + 1)
        start = self._position
        self._position += size
        return self._data[start : start + size]

    def payload(self, payloads: tuple[bytes, ...]) -> bytes:
        """A prepared payload, one with a byte changed, a cut one, or raw bytes."""
        how = self.byte()
        if how % 8 == 7:
            return self.take()
        data = payloads[(how >> 3) % len(payloads)]
        if how % 8 == 5 and data:
            at = self.byte() % len(data)
            return data[:at] + bytes([self.byte()]) + data[at + 1 :]
        if how % 8 == 6:
            return data[: self.byte()]
        return data


def relay_ops(data: bytes) -> None:
    """One datagram in gives at most one out, only where it may go; only owners make flows."""
    script = Script(data)
    directory = DIRECTORIES[0]
    config = RelayConfig(publics=frozenset(PUBLICS), own=frozenset({INSIDE}), max_flows=MAX_FLOWS)
    core = RelayCore(config, TOKEN_CODEC, directory)
    now = NOW
    for operation in script.operations():
        flows = core.flows
        match operation % 6:
            case 0 | 1:
                payload, local = script.payload(PAYLOADS), script.pick(PUBLICS)
                core.receive_outside(payload, script.pick(CLIENTS), local, now)
                assert core.flows == flows, "a client changed a flow"
                _check_inward(core, payload, directory)
            case 2 | 3:
                payload = script.payload(PAYLOADS)
                client, public = script.pick(CLIENTS), script.pick(PUBLICS)
                if operation & 0x80:
                    payload = encode_header(client, public)[: script.byte()] + payload
                else:
                    payload = encode_header(client, public) + payload
                source = script.pick((*OWNERS, STRANGER))
                core.receive_inside(payload, source, now)
                _check_outward(core, payload, directory.lists(source))
            case 4:
                now += script.pick((0.0, 0.02, 1.0, 14.9, 15.1, 31.0, 1e6))
                core.handle_timer(now)
                deadline = core.get_timer()
                assert deadline is None or deadline > now
            case _:
                directory = script.pick(DIRECTORIES)
                core.set_directory(directory, now)
                core.set_codec(script.pick(TOKENS), now)
                assert all(directory.lists(owner) for owner in core.flows.values())
        assert len(core.flows) <= MAX_FLOWS
        core.next_events()
    core.stats()


def _check_inward(core: RelayCore, payload: bytes, directory: StaticDirectory) -> None:
    """Inward: header and the very payload, to a listed owner."""
    out = core.datagrams_to_send()
    assert len(out) <= 1
    for datagram in out:
        assert directory.lists(datagram.destination)
        assert datagram.data[HEADER_SIZE:] == payload
        assert datagram.source is None


def _check_outward(core: RelayCore, payload: bytes, listed: bool) -> None:
    """Outward: the payload without its header, from a public address, to no address of ours."""
    out = core.datagrams_to_send()
    assert len(out) <= 1
    for datagram in out:
        assert listed
        assert payload[HEADER_SIZE:] == datagram.data
        assert datagram.source in PUBLICS
        assert datagram.destination not in (*PUBLICS, INSIDE)
