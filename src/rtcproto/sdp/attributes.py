"""Attributes (`a=` lines) as typed values, and the registry that parses them.

One class per attribute that somebody here acts on; each knows its grammar in
both directions. `Attribute` itself keeps everything else, flags included, as it
came. `description` calls `parse_attribute` for each `a=` line.

RFC 8866 section 6 (rtpmap, fmtp, direction), 5888 (group, mid), 8839 (ICE),
8122 (fingerprint), 4145 and 5763 (setup), 8285 (extmap), 4585 (rtcp-fb), 8830
(msid), 5576 (ssrc), 8841 (sctp-port, max-message-size), draft-hancke-tsvwg-snap
(sctp-init).

A malformed value of a known attribute is a `ParseError` with its line number:
guessing what a credential or a fingerprint may have meant is how sessions get
downgraded. Candidates are values only: nothing here resolves, filters or
trusts an address in them.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import attrs

from rtcproto.errors import ParseError
from rtcproto.sdp.candidate import SdpCandidate
from rtcproto.sdp.lines import bounded_number, is_ice_chars, is_visible

__all__ = [
    "ABS_SEND_TIME_URI",
    "AUDIO_LEVEL_URI",
    "Attribute",
    "AttributeValue",
    "Direction",
    "ExtMap",
    "Fingerprint",
    "Fmtp",
    "Group",
    "IcePwd",
    "IceUfrag",
    "MID_URI",
    "MaxMessageSize",
    "Mid",
    "Msid",
    "RtcpFeedback",
    "RtpMap",
    "SctpInit",
    "SctpPort",
    "SdpCandidate",
    "Setup",
    "SetupAttribute",
    "Ssrc",
    "TRANSPORT_CC_URI",
    "parse_attribute",
]

AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

# Bytes of a digest by the hash names of RFC 8122 section 5; other names are kept unjudged.
_DIGEST_LENGTHS = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}

_HEX = frozenset("0123456789abcdefABCDEF")


class Direction(enum.StrEnum):
    """Direction of a stream or of a header extension, as its describer sees it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """True if the describer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """True if the describer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def mirrored(self) -> Direction:
        """The same flow seen from the other side (RFC 3264 section 6.1)."""
        return direction(sends=self.receives, receives=self.sends)


def direction(*, sends: bool, receives: bool) -> Direction:
    """The direction of someone who `sends` and `receives`."""
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


class Setup(enum.StrEnum):
    """Who opens the DTLS association (RFC 4145 section 4, RFC 5763 section 5)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


@attrs.frozen
class Attribute:
    """Any attribute without a class of its own; `value` is None for a flag."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


@attrs.frozen
class Mid:
    """`a=mid` (RFC 5888 section 4): the name of a media section."""

    id: str

    def __str__(self) -> str:
        return f"mid:{self.id}"

    @classmethod
    def parse(cls, value: str, number: int) -> Mid:
        """Parse the text after `mid:`."""
        if not is_visible(value):
            raise ParseError("sdp", "mid: not a token", number)
        return cls(value)


@attrs.frozen
class Group:
    """`a=group` (RFC 5888 section 5, RFC 8843 for BUNDLE)."""

    semantics: str
    mids: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((f"group:{self.semantics}", *self.mids))

    @classmethod
    def parse(cls, value: str, number: int) -> Group:
        """Parse the text after `group:`."""
        fields = value.split()
        if not fields:
            raise ParseError("sdp", "group: no semantics", number)
        return cls(fields[0], tuple(fields[1:]))


@attrs.frozen
class IceUfrag:
    """`a=ice-ufrag` (RFC 8839 section 5.4): 4 to 256 characters."""

    value: str

    def __str__(self) -> str:
        return f"ice-ufrag:{self.value}"

    @classmethod
    def parse(cls, value: str, number: int) -> IceUfrag:
        """Parse the text after `ice-ufrag:`."""
        if not is_ice_chars(value, 4, 256):
            raise ParseError("sdp", "ice-ufrag: not 4 to 256 ICE characters", number)
        return cls(value)


@attrs.frozen
class IcePwd:
    """`a=ice-pwd` (RFC 8839 section 5.4): 22 to 256 characters."""

    value: str = attrs.field(repr=False)

    def __str__(self) -> str:
        return f"ice-pwd:{self.value}"

    @classmethod
    def parse(cls, value: str, number: int) -> IcePwd:
        """Parse the text after `ice-pwd:`."""
        if not is_ice_chars(value, 22, 256):
            raise ParseError("sdp", "ice-pwd: not 22 to 256 ICE characters", number)
        return cls(value)


class Fingerprint(NamedTuple):
    """`a=fingerprint` (RFC 8122 section 5): hash name in lower case, digest in upper case."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"fingerprint:{self.algorithm} {self.value}"

    @classmethod
    def parse(cls, value: str, number: int) -> Fingerprint:
        """Parse the text after `fingerprint:`; hex digits in either case are taken."""
        fields = value.split()
        if len(fields) != 2:
            raise ParseError("sdp", "fingerprint: not a hash name and a digest", number)
        algorithm, digest = fields[0].lower(), fields[1]
        # Two digits and a colon at a time, the last colon left out; as a whole, because a loop
        # over the octets of both ends' fingerprints would be a sixth of answering an offer.
        octets, over = divmod(len(digest) + 1, 3)
        digits = digest[0::3] + digest[1::3]
        if over or digest[2::3].strip(":") or not octets or not _HEX.issuperset(digits):
            raise ParseError("sdp", "fingerprint: digest is not colon-separated hex", number)
        if octets != _DIGEST_LENGTHS.get(algorithm, octets):
            raise ParseError("sdp", "fingerprint: digest has the wrong length", number)
        return cls(algorithm, digest.upper())


@attrs.frozen
class SetupAttribute:
    """`a=setup` (RFC 4145 section 4)."""

    role: Setup

    def __str__(self) -> str:
        return f"setup:{self.role}"

    @classmethod
    def parse(cls, value: str, number: int) -> SetupAttribute:
        """Parse the text after `setup:`."""
        try:
            return cls(Setup(value))
        except ValueError:
            raise ParseError("sdp", "setup: unknown role", number) from None


@attrs.frozen
class RtpMap:
    """`a=rtpmap` (RFC 8866 section 6.6). The encoding name keeps its case; compare it folded."""

    payload_type: int
    encoding: str
    clock_rate: int
    parameters: str | None = None

    def __str__(self) -> str:
        tail = "" if self.parameters is None else f"/{self.parameters}"
        return f"rtpmap:{self.payload_type} {self.encoding}/{self.clock_rate}{tail}"

    @classmethod
    def parse(cls, value: str, number: int) -> RtpMap:
        """Parse the text after `rtpmap:`."""
        fields = value.split()
        if len(fields) != 2:
            raise ParseError("sdp", "rtpmap: not a payload type and an encoding", number)
        encoding = fields[1].split("/")
        if not 2 <= len(encoding) <= 3 or not encoding[0]:
            raise ParseError(
                "sdp", "rtpmap: encoding is not name/rate or name/rate/channels", number
            )
        return cls(
            bounded_number(fields[0], 127, "rtpmap: payload type", number),
            encoding[0],
            bounded_number(encoding[1], 0xFFFFFFFF, "rtpmap: clock rate", number),
            encoding[2] if len(encoding) == 3 else None,
        )


@attrs.frozen
class Fmtp:
    """`a=fmtp` (RFC 8866 section 6.15); the parameters stay text, codecs read them."""

    format: str
    text: str

    def __str__(self) -> str:
        return f"fmtp:{self.format} {self.text}"

    @classmethod
    def parse(cls, value: str, number: int) -> Fmtp:
        """Parse the text after `fmtp:`."""
        fields = value.split(None, 1)
        if len(fields) != 2:
            raise ParseError("sdp", "fmtp: no parameters", number)
        return cls(fields[0], fields[1])


@attrs.frozen
class RtcpFeedback:
    """`a=rtcp-fb` (RFC 4585 section 4.2); `payload_type` is digits or `*`."""

    payload_type: str
    feedback: str

    def __str__(self) -> str:
        return f"rtcp-fb:{self.payload_type} {self.feedback}"

    @classmethod
    def parse(cls, value: str, number: int) -> RtcpFeedback:
        """Parse the text after `rtcp-fb:`."""
        fields = value.split()
        if len(fields) < 2:
            raise ParseError("sdp", "rtcp-fb: not a payload type and a feedback type", number)
        return cls(fields[0], " ".join(fields[1:]))


@attrs.frozen
class ExtMap:
    """`a=extmap` (RFC 8285 section 5): a header extension, its local id and direction."""

    id: int
    uri: str
    direction: Direction = Direction.SENDRECV
    attributes: str = ""

    def __str__(self) -> str:
        way = "" if self.direction is Direction.SENDRECV else f"/{self.direction}"
        tail = f" {self.attributes}" if self.attributes else ""
        return f"extmap:{self.id}{way} {self.uri}{tail}"

    @classmethod
    def parse(cls, value: str, number: int) -> ExtMap:
        """Parse the text after `extmap:`."""
        fields = value.split(None, 2)
        if len(fields) < 2:
            raise ParseError("sdp", "extmap: not an id and a URI", number)
        # An answer repeats both, so they may not hold what some reader takes for a line end.
        if not (value.isascii() and value.replace("\t", " ").isprintable()):
            raise ParseError("sdp", "extmap: not printable ASCII", number)
        identifier, _, way = fields[0].partition("/")
        try:
            flow = Direction(way) if way else Direction.SENDRECV
        except ValueError:
            raise ParseError("sdp", "extmap: unknown direction", number) from None
        return cls(
            bounded_number(identifier, 0xFFFF, "extmap: id", number),
            fields[1],
            flow,
            fields[2] if len(fields) == 3 else "",
        )


@attrs.frozen
class Msid:
    """`a=msid` (RFC 8830): the stream (`-` for none) and, in most senders, the track."""

    stream: str
    track: str | None = None

    def __str__(self) -> str:
        return f"msid:{self.stream}" if self.track is None else f"msid:{self.stream} {self.track}"

    @classmethod
    def parse(cls, value: str, number: int) -> Msid:
        """Parse the text after `msid:`."""
        fields = value.split()
        if not 1 <= len(fields) <= 2:
            raise ParseError("sdp", "msid: not a stream and a track", number)
        return cls(fields[0], fields[1] if len(fields) == 2 else None)


@attrs.frozen
class Ssrc:
    """`a=ssrc` (RFC 5576 section 4.1): one source-level attribute."""

    ssrc: int
    name: str
    value: str | None = None

    def __str__(self) -> str:
        tail = "" if self.value is None else f":{self.value}"
        return f"ssrc:{self.ssrc} {self.name}{tail}"

    @classmethod
    def parse(cls, value: str, number: int) -> Ssrc:
        """Parse the text after `ssrc:`."""
        identifier, _, rest = value.partition(" ")
        name, colon, text = rest.strip().partition(":")
        if not name:
            raise ParseError("sdp", "ssrc: no attribute", number)
        ssrc = bounded_number(identifier, 0xFFFFFFFF, "ssrc: identifier", number)
        return cls(ssrc, name, text if colon else None)


@attrs.frozen
class SctpPort:
    """`a=sctp-port` (RFC 8841 section 5): 0 asks for no association, or for its end."""

    value: int

    def __str__(self) -> str:
        return f"sctp-port:{self.value}"

    @classmethod
    def parse(cls, value: str, number: int) -> SctpPort:
        """Parse the text after `sctp-port:`."""
        return cls(bounded_number(value, 0xFFFF, "sctp-port", number))


@attrs.frozen
class MaxMessageSize:
    """`a=max-message-size` (RFC 8841 section 6): bytes the describer takes, 0 for any number."""

    value: int

    def __str__(self) -> str:
        return f"max-message-size:{self.value}"

    @classmethod
    def parse(cls, value: str, number: int) -> MaxMessageSize:
        """Parse the text after `max-message-size:`."""
        return cls(bounded_number(value, 2**64 - 1, "max-message-size", number))


@attrs.frozen
class SctpInit:
    """`a=sctp-init` (draft-hancke-tsvwg-snap): an SCTP INIT chunk, its bytes unjudged."""

    chunk: bytes

    def __str__(self) -> str:
        return f"sctp-init:{base64.b64encode(self.chunk).decode('ascii')}"

    @classmethod
    def parse(cls, value: str, number: int) -> SctpInit:
        """Parse the text after `sctp-init:`."""
        try:
            chunk = base64.b64decode(value, validate=True)
        except ValueError:
            chunk = b""
        # "If the data is not properly base64-encoded this results in an error."
        if not chunk:
            raise ParseError("sdp", "sctp-init: not base64", number)
        return cls(chunk)


AttributeValue: TypeAlias = (
    Attribute
    | ExtMap
    | Fingerprint
    | Fmtp
    | Group
    | IcePwd
    | IceUfrag
    | MaxMessageSize
    | Mid
    | Msid
    | RtcpFeedback
    | RtpMap
    | SctpInit
    | SctpPort
    | SdpCandidate
    | SetupAttribute
    | Ssrc
)

# https://www.iana.org/assignments/sdp-parameters (att-field): name -> typed parser.
_PARSERS: Mapping[str, Callable[[str, int], AttributeValue]] = {
    "candidate": SdpCandidate.parse,
    "extmap": ExtMap.parse,
    "fingerprint": Fingerprint.parse,
    "fmtp": Fmtp.parse,
    "group": Group.parse,
    "ice-pwd": IcePwd.parse,
    "ice-ufrag": IceUfrag.parse,
    "max-message-size": MaxMessageSize.parse,
    "mid": Mid.parse,
    "msid": Msid.parse,
    "rtcp-fb": RtcpFeedback.parse,
    "rtpmap": RtpMap.parse,
    "sctp-init": SctpInit.parse,
    "sctp-port": SctpPort.parse,
    "setup": SetupAttribute.parse,
    "ssrc": Ssrc.parse,
}


def parse_attribute(text: str, number: int) -> AttributeValue:
    """The typed value of one `a=` line, given the text after `a=` and the line's number."""
    name, colon, value = text.partition(":")
    if not is_visible(name):
        raise ParseError("sdp", "attribute without a proper name", number)
    parser = _PARSERS.get(name)
    if parser is None:
        return Attribute(name, value if colon else None)
    return parser(value.strip(" \t"), number)
