"""What a caller says about its own side before a description is built.

`AnswerConfig` and `OfferConfig` share most fields; every name and credential in
them is checked on construction (`UsageError`), so that a line which `answer` or
`offer` writes always has the shape it should have (`checks`). Every value that must be
unpredictable (ufrag, pwd, SSRC, session id) comes from the caller: this package
draws no entropy.
"""

from __future__ import annotations

import attrs

from rtcproto.errors import UsageError
from rtcproto.sdp import checks
from rtcproto.sdp.attributes import Direction, SdpCandidate, Setup
from rtcproto.sdp.lines import visible

__all__ = ["AnswerConfig", "DataConfig", "OPUS_PARAMETERS", "OfferConfig"]

# RFC 7587 section 6.1; the browsers' own values. In-band FEC costs nothing until
# the encoder is told of loss; minptime=10 is the shortest packet we ask for.
OPUS_PARAMETERS = "minptime=10;useinbandfec=1"

# libwebrtc offers Opus as 111; an answerer follows whatever the offer says.
OPUS_PAYLOAD_TYPE = 111


@attrs.frozen(kw_only=True)
class DataConfig:
    """Our side of data channels (RFC 8841).

    `max_message_size` is the largest message we take, in bytes. `init` is our
    SCTP INIT chunk, to spare SCTP its handshake if the peer gives one as well
    (draft-hancke-tsvwg-snap); None to leave that alone.
    """

    # RFC 8841 4.4: over DTLS nobody else is on the ports, so any will do.
    port: int = attrs.field(default=5000, validator=checks.within(1, 0xFFFF))
    # libwebrtc reads it into 32 signed bits. Zero would invite messages of any size.
    max_message_size: int = attrs.field(default=262144, validator=checks.within(1, 2**31 - 1))
    init: bytes | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.some_bytes)
    )


@attrs.frozen(kw_only=True)
class _LocalConfig:
    """What an answer and an offer have in common; every field may differ per session.

    `fingerprint` is (hash name in lower case, digest in upper-case hex with
    colons). `stream_id` and `track_id` become `a=msid`. `extensions` are the
    URIs of header extensions wanted beside audio-level and mid, `feedback` the
    RTCP feedback types wanted (`transport-cc`, `nack` ...): name only what the
    caller acts on. Without `data` there are no data channels.
    """

    ufrag: str = attrs.field(validator=checks.ufrag)
    pwd: str = attrs.field(repr=False, validator=checks.pwd)
    fingerprint: tuple[str, str] = attrs.field(validator=checks.fingerprint)
    ssrc: int = attrs.field(validator=checks.within(0, 0xFFFFFFFF))
    cname: str = attrs.field(validator=visible)
    # RFC 9429 5.2.1: it fits a 64-bit signed integer; 62 random bits are recommended.
    session_id: int = attrs.field(validator=checks.within(0, 2**63 - 1))
    session_version: int = attrs.field(default=1, validator=checks.within(0, 2**63 - 1))
    stream_id: str = attrs.field(default="rtcproto", validator=checks.stream)
    track_id: str = attrs.field(default="audio", validator=visible)
    candidates: tuple[SdpCandidate, ...] = attrs.field(default=(), validator=checks.candidates)
    opus_parameters: str = attrs.field(default=OPUS_PARAMETERS, validator=checks.format_parameters)
    extensions: tuple[str, ...] = attrs.field(default=(), validator=checks.each_visible)
    feedback: tuple[str, ...] = attrs.field(default=(), validator=checks.each_visible)
    data: DataConfig | None = None


@attrs.frozen(kw_only=True)
class AnswerConfig(_LocalConfig):
    """Our side of an answer.

    `setup` is what to answer to `actpass`: ACTIVE (the default: our ClientHello
    leaves with the first STUN response, which saves a round trip) or PASSIVE.
    `ice_lite` announces an ICE-lite agent (RFC 8839 section 5.3).
    """

    setup: Setup = attrs.field(default=Setup.ACTIVE, converter=Setup)
    ice_lite: bool = False

    @setup.validator
    def _check_setup(self, _: object, value: Setup) -> None:
        if value not in (Setup.ACTIVE, Setup.PASSIVE):
            raise UsageError("setup of an answer must be active or passive")


@attrs.frozen(kw_only=True)
class OfferConfig(_LocalConfig):
    """Our side of an offer: one Opus section and, with `data`, one for data channels.

    RFC 8842 section 5.2: an initial offer SHOULD say `actpass`; the two fixed
    roles exist to test answerers with.
    """

    setup: Setup = attrs.field(default=Setup.ACTPASS, converter=Setup)
    direction: Direction = attrs.field(default=Direction.SENDRECV, converter=Direction)
    # RFC 3551 section 6: 96 to 127 are the dynamic ones. With rtcp-mux, RFC 5761
    # section 4 rules 64 to 95 out as well.
    payload_type: int = attrs.field(default=OPUS_PAYLOAD_TYPE)
    mid: str = attrs.field(default="0", validator=visible)
    data_mid: str = attrs.field(default="1", validator=visible)

    @setup.validator
    def _check_setup(self, _: object, value: Setup) -> None:
        if value is Setup.HOLDCONN:
            raise UsageError("setup of an offer must be actpass, active or passive")

    @data_mid.validator
    def _check_data_mid(self, _: object, value: str) -> None:
        if self.data is not None and value == self.mid:
            raise UsageError("mid and data_mid must differ")

    @payload_type.validator
    def _check_payload_type(self, _: object, value: int) -> None:
        if not 96 <= value <= 127:
            raise UsageError("payload_type must be within 96 .. 127")
