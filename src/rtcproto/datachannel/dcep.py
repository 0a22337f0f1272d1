"""Data Channel Establishment Protocol messages, RFC 8832 section 5.

```text
DATA_CHANNEL_OPEN  type 3 (1) | channel type (1) | priority (2) | reliability (4)
                   label length (2) | protocol length (2) | label ... | protocol ...
DATA_CHANNEL_ACK   type 2 (1)
```

Called by the channel manager. Refused: lengths that disagree with the message,
unknown channel types, text that is not UTF-8, and label and protocol of more than
`MAX_TEXT` bytes together, which a peer could make us hold for every channel.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias

import attrs

from rtcproto.errors import ParseError, UsageError

__all__ = ["Ack", "ChannelMessage", "MAX_TEXT", "Open", "parse_dcep"]

# Label and protocol of one channel together, bytes. RFC 8832 allows 64 KiB of each.
MAX_TEXT = 4096

_OPEN = Struct("!BBHLHH")
_TYPE_OPEN, _TYPE_ACK = 3, 2

# Channel types, RFC 8832 section 8.2.2: the high bit says unordered.
_RELIABLE, _REXMIT, _TIMED, _UNORDERED = 0, 1, 2, 0x80


@attrs.frozen(kw_only=True)
class Open:
    """A request for a channel on the stream it comes on.

    `max_retransmits` (a count) and `lifetime` (milliseconds) exclude each other;
    both None is a reliable channel. `priority` is RFC 8831 section 6.4's.
    """

    label: str = ""
    protocol: str = ""
    ordered: bool = True
    max_retransmits: int | None = None
    lifetime: int | None = None
    priority: int = 256

    def __attrs_post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.label, self.protocol)):
            raise UsageError("label and protocol are text")
        if self.max_retransmits is not None and self.lifetime is not None:
            raise UsageError("a channel limits retransmissions or lifetime, not both")
        for limit in (self.max_retransmits, self.lifetime):
            if limit is not None and not 0 <= limit <= 0xFFFFFFFF:
                raise UsageError("a reliability limit has 32 bits")
        if not 0 <= self.priority <= 0xFFFF:
            raise UsageError("a priority has 16 bits")

    def serialize(self) -> bytes:
        """The message. Raises UsageError if label and protocol are too long, or not UTF-8."""
        try:
            label, protocol = self.label.encode(), self.protocol.encode()
        except UnicodeEncodeError:
            raise UsageError("label and protocol are text that UTF-8 can carry") from None
        if len(label) + len(protocol) > MAX_TEXT:
            raise UsageError(f"label and protocol have at most {MAX_TEXT} bytes together")
        kind, limit = _RELIABLE, 0
        if self.max_retransmits is not None:
            kind, limit = _REXMIT, self.max_retransmits
        elif self.lifetime is not None:
            kind, limit = _TIMED, self.lifetime
        if not self.ordered:
            kind |= _UNORDERED
        fixed = _OPEN.pack(_TYPE_OPEN, kind, self.priority, limit, len(label), len(protocol))
        return fixed + label + protocol


@attrs.frozen
class Ack:
    """The answer to `Open`: the channel may be used in both directions."""

    def serialize(self) -> bytes:
        """The message."""
        return bytes((_TYPE_ACK,))


ChannelMessage: TypeAlias = Open | Ack


def parse_dcep(data: bytes) -> ChannelMessage:
    """The message in `data`. Raises ParseError."""
    # RFC 8832 5.2: an ACK is one byte; what follows it, if anything, means nothing.
    if data[:1] == bytes((_TYPE_ACK,)):
        return Ack()
    if len(data) < _OPEN.size or data[0] != _TYPE_OPEN:
        raise ParseError("dcep", "neither OPEN nor ACK, or too short")
    _, kind, priority, limit, label_length, protocol_length = _OPEN.unpack_from(data)
    middle = _OPEN.size + label_length
    end = middle + protocol_length
    if end != len(data):
        raise ParseError("dcep", "label and protocol lengths do not fit the message", 8)
    if label_length + protocol_length > MAX_TEXT:
        raise ParseError("dcep", "label and protocol too long", 8)
    if kind & ~_UNORDERED not in (_RELIABLE, _REXMIT, _TIMED):
        raise ParseError("dcep", "unknown channel type", 1)
    try:
        label, protocol = data[_OPEN.size : middle].decode(), data[middle:end].decode()
    except UnicodeDecodeError as error:
        raise ParseError("dcep", "label or protocol is not UTF-8", error.start) from None
    return Open(
        label=label,
        protocol=protocol,
        ordered=not kind & _UNORDERED,
        max_retransmits=limit if kind & 3 == _REXMIT else None,
        lifetime=limit if kind & 3 == _TIMED else None,
        priority=priority,
    )
