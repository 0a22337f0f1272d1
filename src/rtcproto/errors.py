"""Every exception of the library, in one tree.

```text
RtcError
  UsageError                    the caller broke the contract; raised by verbs, at once
    BufferFull                  a bounded queue has no room
    CapacityExceeded            an admission limit was reached; try elsewhere or later
    DescriptionRefused          a well-formed description that cannot be served
  ParseError                    bytes or text do not decode; raised by codecs only
    DescriptionTooLarge         a description beyond the size limits
  AuthenticationError           MAC, tag or fingerprint does not match, or a replay
  PeerError                     an authenticated peer broke the protocol; ends one association
    DtlsAlert                   the peer sent, or earned, a fatal TLS alert
```

`ParseError`, `AuthenticationError` and `PeerError` never leave a
`receive_*` input: what a network can send is counted and dropped. Verbs that
take a description (`accept_offer`, `accept_answer`) let `ParseError` through,
because there the text is the caller's. Any other exception that escapes a
parser or an input is a bug.
"""

__all__ = [
    "AuthenticationError",
    "BufferFull",
    "CapacityExceeded",
    "DescriptionRefused",
    "DescriptionTooLarge",
    "DtlsAlert",
    "ParseError",
    "PeerError",
    "RtcError",
    "UsageError",
]


class RtcError(Exception):
    """Base class of everything this library raises."""


class UsageError(RtcError):
    """The caller asked for something that the current state does not allow."""


class BufferFull(UsageError):
    """A bounded queue has no room; nothing was queued."""


class CapacityExceeded(UsageError):
    """An admission limit was reached; nothing was created."""


class DescriptionRefused(UsageError):
    """A session description that parses but cannot be served (for HTTP: 422)."""


class ParseError(RtcError):
    """Bytes or text that do not decode.

    `protocol` is the codec's short name ("stun", "rtp", "sdp" ...), `reason`
    says what is wrong without quoting the input, `offset` is where it was
    noticed (bytes for binary protocols, the 1-based line number for SDP).
    """

    def __init__(self, protocol: str, reason: str, offset: int = 0) -> None:
        super().__init__(protocol, reason, offset)
        self.protocol = protocol
        self.reason = reason
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.protocol}: {self.reason} (at {self.offset})"


class DescriptionTooLarge(ParseError):
    """A session description beyond the size limits (for HTTP: 413)."""


class AuthenticationError(RtcError):
    """A MAC, an authentication tag or a fingerprint is wrong, or a packet is a replay."""


class PeerError(RtcError):
    """An authenticated peer broke the protocol; the association ends."""


class DtlsAlert(PeerError):
    """A fatal alert, RFC 5246 section 7.2: `level` and `description` are its two bytes."""

    def __init__(self, level: int, description: int) -> None:
        super().__init__(level, description)
        self.level = level
        self.description = description

    def __str__(self) -> str:
        return f"TLS alert {self.description} (level {self.level})"
