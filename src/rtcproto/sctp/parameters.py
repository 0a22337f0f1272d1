"""Type-length-value parameters and error causes of SCTP: RFC 9260 sections 3.2.1 and 3.3.10.

```text
 | type (2) | length (2), itself and the type included, padding not | value ... | 0-3 zero bytes |
```

Chunks carry lists of them; unknown ones are kept as they are. Called by the
chunk codecs and the association. Refused: a length below 4 or beyond the chunk,
and more than `MAX_PARAMETERS`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from struct import Struct

from rtcproto._attrs import wire
from rtcproto.errors import ParseError

__all__ = [
    "Cause",
    "MAX_PARAMETERS",
    "Parameter",
    "ParameterType",
    "find",
    "parse_parameters",
    "serialize_parameters",
]

_HEADER = Struct("!HH")
_unpack_header = _HEADER.unpack_from

# An INIT of a WebRTC peer carries about six, a RE-CONFIG two.
MAX_PARAMETERS = 64


class ParameterType(enum.IntEnum):
    """https://www.iana.org/assignments/sctp-parameters (Chunk Parameter Types)."""

    HEARTBEAT_INFO = 1
    IPV4_ADDRESS = 5
    IPV6_ADDRESS = 6
    STATE_COOKIE = 7
    UNRECOGNIZED = 8
    COOKIE_PRESERVATIVE = 9
    HOST_NAME = 11
    SUPPORTED_ADDRESS_TYPES = 12
    OUTGOING_RESET_REQUEST = 13
    INCOMING_RESET_REQUEST = 14
    TSN_RESET_REQUEST = 15
    RECONFIG_RESPONSE = 16
    ADD_OUTGOING_STREAMS = 17
    ADD_INCOMING_STREAMS = 18
    # RFC 9653 section 4, RFC 5061 section 4.2.7, RFC 3758 section 3.1.
    ZERO_CHECKSUM_ACCEPTABLE = 0x8001
    SUPPORTED_EXTENSIONS = 0x8008
    FORWARD_TSN_SUPPORTED = 0xC000


class Cause(enum.IntEnum):
    """https://www.iana.org/assignments/sctp-parameters (Error Cause Codes)."""

    INVALID_STREAM = 1
    MISSING_PARAMETER = 2
    STALE_COOKIE = 3
    OUT_OF_RESOURCE = 4
    UNRESOLVABLE_ADDRESS = 5
    UNRECOGNIZED_CHUNK = 6
    INVALID_PARAMETER = 7
    UNRECOGNIZED_PARAMETERS = 8
    NO_USER_DATA = 9
    COOKIE_WHILE_SHUTTING_DOWN = 10
    RESTART_WITH_NEW_ADDRESSES = 11
    USER_INITIATED_ABORT = 12
    PROTOCOL_VIOLATION = 13


@wire
class Parameter:
    """One parameter or error cause; `type` is the number on the wire."""

    type: int
    value: bytes = b""

    def __repr__(self) -> str:
        # A state cookie is a secret of sorts: show what it is, not what it says.
        return f"Parameter({self.type:#x}, {len(self.value)} bytes)"


def find(parameters: Iterable[Parameter], kind: int) -> bytes | None:
    """The value of the first parameter of this type, or None."""
    for parameter in parameters:
        if parameter.type == kind:
            return parameter.value
    return None


def parse_parameters(data: bytes, offset: int, end: int) -> tuple[Parameter, ...]:
    """The parameters in `data[offset:end]`. Raises ParseError."""
    found: list[Parameter] = []
    while end - offset >= 4:
        kind, length = _unpack_header(data, offset)
        if length < 4 or length > end - offset:
            raise ParseError("sctp", "parameter longer than its chunk, or too short", offset)
        if len(found) >= MAX_PARAMETERS:
            raise ParseError("sctp", "too many parameters", offset)
        found.append(Parameter(kind, data[offset + 4 : offset + length]))
        # RFC 9260 3.2.1: the padding of the last one may be missing from the chunk's length.
        offset += length + (-length & 3)
    if offset < end:
        raise ParseError("sctp", "bytes behind the last parameter", offset)
    return tuple(found)


def serialize_parameters(parameters: Iterable[Parameter]) -> bytes:
    """The parameters as bytes, each padded to a whole word but for the last.

    RFC 9260 section 3.2: a chunk's length counts "any padding of the
    variable-length parameters other than the last"; padding the chunk supplies it.
    """
    parts = bytearray()
    for parameter in parameters:
        parts += bytes(-len(parts) & 3)
        parts += _HEADER.pack(parameter.type, 4 + len(parameter.value))
        parts += parameter.value
    return bytes(parts)
