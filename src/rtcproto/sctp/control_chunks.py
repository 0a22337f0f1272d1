"""The chunks that set an association up, keep it and end it: RFC 9260 section 3.3, RFC 6525.

All but INIT and SHUTDOWN are a header and either nothing, opaque bytes, or
parameters; one table says which. Called by the packet codec. A chunk of a type
not known here is kept as `Unknown`, whose two high type bits say what RFC 9260
section 3.2 wants done with it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from struct import Struct
from typing import TypeAlias

from rtcproto._attrs import wire
from rtcproto.errors import ParseError
from rtcproto.sctp.parameters import Parameter, parse_parameters, serialize_parameters

__all__ = [
    "Abort",
    "ChunkType",
    "ControlChunk",
    "CookieAck",
    "CookieEcho",
    "Error",
    "Heartbeat",
    "HeartbeatAck",
    "Init",
    "InitAck",
    "ReConfig",
    "Shutdown",
    "ShutdownAck",
    "ShutdownComplete",
    "Unknown",
    "parse_control",
]

_INIT = Struct("!LLHHL")
_HEADER = Struct("!BBH")


class ChunkType(enum.IntEnum):
    """https://www.iana.org/assignments/sctp-parameters (Chunk Types)."""

    DATA = 0
    INIT = 1
    INIT_ACK = 2
    SACK = 3
    HEARTBEAT = 4
    HEARTBEAT_ACK = 5
    ABORT = 6
    SHUTDOWN = 7
    SHUTDOWN_ACK = 8
    ERROR = 9
    COOKIE_ECHO = 10
    COOKIE_ACK = 11
    SHUTDOWN_COMPLETE = 14
    RE_CONFIG = 130
    FORWARD_TSN = 192


def _chunk(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    length = 4 + len(body)
    return _HEADER.pack(kind, flags, length) + body + bytes(-length & 3)


@wire
class Init:
    """The first chunk of an association. `initiate_tag` is never 0 from a correct peer."""

    initiate_tag: int
    a_rwnd: int
    outbound_streams: int
    inbound_streams: int
    initial_tsn: int
    parameters: tuple[Parameter, ...] = ()

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(ChunkType.INIT, _init_body(self))


@wire
class InitAck:
    """The answer to INIT; its parameters hold the state cookie."""

    initiate_tag: int
    a_rwnd: int
    outbound_streams: int
    inbound_streams: int
    initial_tsn: int
    parameters: tuple[Parameter, ...] = ()

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(ChunkType.INIT_ACK, _init_body(self))


@wire
class CookieEcho:
    """The state cookie, returned."""

    cookie: bytes

    def __repr__(self) -> str:
        return f"CookieEcho({len(self.cookie)} bytes)"

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(ChunkType.COOKIE_ECHO, self.cookie)


@wire
class CookieAck:
    """The association is up."""

    def serialize(self) -> bytes:
        """The chunk."""
        return _chunk(ChunkType.COOKIE_ACK)


@wire
class Heartbeat:
    """A question whether the peer is there; `parameters` come back as they are."""

    parameters: tuple[Parameter, ...] = ()

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(ChunkType.HEARTBEAT, serialize_parameters(self.parameters))


@wire
class HeartbeatAck:
    """The answer to it."""

    parameters: tuple[Parameter, ...] = ()

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(ChunkType.HEARTBEAT_ACK, serialize_parameters(self.parameters))


@wire
class Abort:
    """The end, at once. `reflected` (the T bit): the tag is the receiver's own, sent back."""

    causes: tuple[Parameter, ...] = ()
    reflected: bool = False

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(ChunkType.ABORT, serialize_parameters(self.causes), int(self.reflected))


@wire
class Error:
    """Something was wrong, the association goes on."""

    causes: tuple[Parameter, ...] = ()

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(ChunkType.ERROR, serialize_parameters(self.causes))


@wire
class Shutdown:
    """Nothing more will be sent; everything up to `cumulative` arrived."""

    cumulative: int

    def serialize(self) -> bytes:
        """The chunk."""
        return _chunk(ChunkType.SHUTDOWN, self.cumulative.to_bytes(4, "big"))


@wire
class ShutdownAck:
    """The other side is done as well."""

    def serialize(self) -> bytes:
        """The chunk."""
        return _chunk(ChunkType.SHUTDOWN_ACK)


@wire
class ShutdownComplete:
    """The end of an orderly shutdown. `reflected` as in `Abort`."""

    reflected: bool = False

    def serialize(self) -> bytes:
        """The chunk."""
        return _chunk(ChunkType.SHUTDOWN_COMPLETE, flags=int(self.reflected))


@wire
class ReConfig:
    """Requests and responses of stream reconfiguration, RFC 6525 section 3.1."""

    parameters: tuple[Parameter, ...]

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(ChunkType.RE_CONFIG, serialize_parameters(self.parameters))


@wire
class Unknown:
    """A chunk of a type not known here."""

    type: int
    flags: int
    body: bytes

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return _chunk(self.type, self.body, self.flags)


ControlChunk: TypeAlias = (
    Init
    | InitAck
    | CookieEcho
    | CookieAck
    | Heartbeat
    | HeartbeatAck
    | Abort
    | Error
    | Shutdown
    | ShutdownAck
    | ShutdownComplete
    | ReConfig
    | Unknown
)


def _init_body(chunk: Init | InitAck) -> bytes:
    fixed = _INIT.pack(
        chunk.initiate_tag,
        chunk.a_rwnd,
        chunk.outbound_streams,
        chunk.inbound_streams,
        chunk.initial_tsn,
    )
    return fixed + serialize_parameters(chunk.parameters)


def _parse_init(data: bytes, offset: int, end: int, kind: type[Init | InitAck]) -> ControlChunk:
    if end - offset < 16:
        raise ParseError("sctp", "INIT too short", offset)
    tag, a_rwnd, outbound, inbound, tsn = _INIT.unpack_from(data, offset)
    return kind(tag, a_rwnd, outbound, inbound, tsn, parse_parameters(data, offset + 16, end))


def _parse_shutdown(data: bytes, offset: int, end: int) -> Shutdown:
    if end - offset != 4:
        raise ParseError("sctp", "SHUTDOWN of a wrong length", offset)
    return Shutdown(int.from_bytes(data[offset:end], "big"))


_PARSERS: dict[int, Callable[[bytes, int, int, int], ControlChunk]] = {
    ChunkType.INIT: lambda data, at, end, _: _parse_init(data, at, end, Init),
    ChunkType.INIT_ACK: lambda data, at, end, _: _parse_init(data, at, end, InitAck),
    ChunkType.HEARTBEAT: lambda data, at, end, _: Heartbeat(parse_parameters(data, at, end)),
    ChunkType.HEARTBEAT_ACK: lambda data, at, end, _: HeartbeatAck(parse_parameters(data, at, end)),
    ChunkType.ABORT: lambda data, at, end, flags: Abort(
        parse_parameters(data, at, end), flags & 1 != 0
    ),
    ChunkType.SHUTDOWN: lambda data, at, end, _: _parse_shutdown(data, at, end),
    ChunkType.SHUTDOWN_ACK: lambda *_: ShutdownAck(),
    ChunkType.ERROR: lambda data, at, end, _: Error(parse_parameters(data, at, end)),
    ChunkType.COOKIE_ECHO: lambda data, at, end, _: CookieEcho(data[at:end]),
    ChunkType.COOKIE_ACK: lambda *_: CookieAck(),
    ChunkType.SHUTDOWN_COMPLETE: lambda _data, _at, _end, flags: ShutdownComplete(flags & 1 != 0),
    ChunkType.RE_CONFIG: lambda data, at, end, _: ReConfig(parse_parameters(data, at, end)),
}


def parse_control(kind: int, data: bytes, offset: int, end: int, flags: int) -> ControlChunk:
    """The body `data[offset:end]` of a chunk that is neither data nor an acknowledgement."""
    parse = _PARSERS.get(kind)
    if parse is None:
        return Unknown(kind, flags, data[offset:end])
    return parse(data, offset, end, flags)
