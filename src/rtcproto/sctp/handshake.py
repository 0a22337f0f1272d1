"""What two sides tell each other in INIT and INIT-ACK, and what follows from it.

RFC 9260 sections 3.3.2, 3.3.3 and 5.1; RFC 5061 section 4.2.7, RFC 3758 section
3.1 and RFC 9653 section 4 for the extensions. Pure functions and values: the
association owns state and timers. Refused: numbers that RFC 9260 forbids.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Sequence

from rtcproto._attrs import wire
from rtcproto.errors import ParseError, PeerError
from rtcproto.sctp.config import SctpConfig
from rtcproto.sctp.control_chunks import ChunkType, Init, InitAck, parse_control
from rtcproto.sctp.cookie import CookieState
from rtcproto.sctp.parameters import (
    Parameter,
    ParameterType,
    find,
    serialize_parameters,
)

__all__ = [
    "Agreement",
    "Feature",
    "Verdict",
    "agree",
    "agree_by_cookie",
    "judge",
    "make_cookie",
    "make_init",
    "make_init_ack",
    "parse_init",
    "unknown",
]

# RFC 9653 section 4: the error detection method identifier of DTLS.
_EDMID_DTLS = (1).to_bytes(4, "big")

# Bytes of unrecognised parameters reported in an INIT-ACK: more than any real
# INIT has, less than would make the answer much larger than the question.
MAX_REPORTED = 256


class Feature(enum.IntFlag):
    """Extensions that the peer announced."""

    NONE = 0
    FORWARD_TSN = 1
    RECONFIGURATION = 2
    ZERO_CHECKSUM = 4


@wire
class Agreement:
    """The numbers of an association, both sides'. Tags and TSNs as on the wire."""

    our_tag: int
    their_tag: int
    our_tsn: int
    their_tsn: int
    # What the peer takes at first.
    a_rwnd: int
    # What both sides support: the smaller of offer and limit, in either direction.
    outbound_streams: int
    inbound_streams: int
    features: Feature


def make_init(config: SctpConfig, tag: int, tsn: int) -> Init:
    """Our INIT."""
    return Init(
        tag,
        config.receive_window,
        config.outbound_streams,
        config.inbound_streams,
        tsn,
        tuple(_our_parameters(config)),
    )


def make_init_ack(config: SctpConfig, tag: int, tsn: int, cookie: bytes, init: Init) -> InitAck:
    """Our answer to `init`, with the cookie and what we did not recognise."""
    parameters = [Parameter(ParameterType.STATE_COOKIE, cookie), *_our_parameters(config)]
    reported = 0
    for parameter in unknown(init.parameters):
        reported += len(parameter.value) + 8
        if reported > MAX_REPORTED:
            break
        parameters.append(Parameter(ParameterType.UNRECOGNIZED, serialize_parameters([parameter])))
    return InitAck(
        tag,
        config.receive_window,
        config.outbound_streams,
        config.inbound_streams,
        tsn,
        tuple(parameters),
    )


def agree(config: SctpConfig, our_tag: int, our_tsn: int, theirs: Init | InitAck) -> Agreement:
    """What our numbers and the peer's chunk make. Raises PeerError."""
    # RFC 9260 section 3.3.2: "an association with an Initiate Tag of 0 ... MUST be
    # destroyed"; the same for no streams.
    if not theirs.initiate_tag or not theirs.outbound_streams or not theirs.inbound_streams:
        raise PeerError("an INIT with a zero where none may be")
    return Agreement(
        our_tag,
        theirs.initiate_tag,
        our_tsn,
        theirs.initial_tsn,
        theirs.a_rwnd,
        min(config.outbound_streams, theirs.inbound_streams),
        min(config.inbound_streams, theirs.outbound_streams),
        _features(theirs.parameters),
    )


def make_cookie(agreement: Agreement, our_tie: int, their_tie: int, now: float) -> CookieState:
    """What a cookie must hold to rebuild `agreement`."""
    return CookieState(
        now,
        agreement.their_tag,
        agreement.our_tag,
        agreement.their_tsn,
        agreement.our_tsn,
        agreement.a_rwnd,
        agreement.outbound_streams,
        agreement.inbound_streams,
        our_tie,
        their_tie,
        agreement.features,
    )


def agree_by_cookie(state: CookieState) -> Agreement:
    """The agreement that `make_cookie` put in."""
    return Agreement(
        state.our_tag,
        state.their_tag,
        state.our_tsn,
        state.their_tsn,
        state.a_rwnd,
        state.outbound_streams,
        state.inbound_streams,
        Feature(state.features),
    )


class Verdict(enum.Enum):
    """What to do about a returned cookie: RFC 9260 sections 5.1.5 and 5.2.4."""

    ESTABLISH = "the handshake is complete (5.1 D; 5.2.4 B and D before that)"
    REPEAT = "our COOKIE-ACK was lost (5.2.4 D)"
    RESTART = "the peer began anew (5.2.4 A)"
    STALE = "ours, and too old"
    DISCARD = "nothing to do with us any more (5.2.4 C)"


def judge(
    state: CookieState, our_tag: int, known: Agreement | None, age_limit: float, now: float
) -> Verdict:
    """What a cookie of ours means; `known` is the association that exists, if any."""
    same_ours = _same(state.our_tag, our_tag)
    if known is not None:
        same_theirs = _same(state.their_tag, known.their_tag)
        if same_ours and same_theirs:
            return Verdict.REPEAT
        ties = _same(state.our_tie, known.our_tag) and _same(state.their_tie, known.their_tag)
        anew = ties and not same_ours and not same_theirs
        return Verdict.RESTART if anew else Verdict.DISCARD
    if now - state.made_at > age_limit:
        return Verdict.STALE
    return Verdict.ESTABLISH if same_ours else Verdict.DISCARD


def _same(tag: int, other: int) -> bool:
    return hmac.compare_digest(tag.to_bytes(4, "big"), other.to_bytes(4, "big"))


def parse_init(data: bytes) -> Init:
    """A lone INIT chunk, as `a=sctp-init` carries it. Raises ParseError."""
    if len(data) < 4 or data[0] != ChunkType.INIT:
        raise ParseError("sctp", "not an INIT chunk")
    end = int.from_bytes(data[2:4], "big")
    if not 4 <= end <= len(data) < end + 4:
        raise ParseError("sctp", "an INIT chunk of another length")
    chunk = parse_control(ChunkType.INIT, data, 4, end, data[1])
    assert isinstance(chunk, Init), "the type was looked at"
    return chunk


def unknown(parameters: Sequence[Parameter]) -> list[Parameter]:
    """The parameters to report: RFC 9260 section 3.2.1, by their two highest bits."""
    found = []
    for parameter in parameters:
        if parameter.type in _KNOWN:
            continue
        if parameter.type & 0x4000:
            found.append(parameter)
        if not parameter.type & 0x8000:
            break
    return found


_KNOWN = frozenset(ParameterType)


def _our_parameters(config: SctpConfig) -> list[Parameter]:
    extensions = bytes([ChunkType.RE_CONFIG, ChunkType.FORWARD_TSN])
    parameters = [
        Parameter(ParameterType.FORWARD_TSN_SUPPORTED),
        Parameter(ParameterType.SUPPORTED_EXTENSIONS, extensions),
    ]
    if config.zero_checksum:
        parameters.append(Parameter(ParameterType.ZERO_CHECKSUM_ACCEPTABLE, _EDMID_DTLS))
    return parameters


def _features(parameters: Sequence[Parameter]) -> Feature:
    extensions = find(parameters, ParameterType.SUPPORTED_EXTENSIONS) or b""
    features = Feature.NONE
    forward = find(parameters, ParameterType.FORWARD_TSN_SUPPORTED) is not None
    if forward or ChunkType.FORWARD_TSN in extensions:
        features |= Feature.FORWARD_TSN
    if ChunkType.RE_CONFIG in extensions:
        features |= Feature.RECONFIGURATION
    if find(parameters, ParameterType.ZERO_CHECKSUM_ACCEPTABLE) == _EDMID_DTLS:
        features |= Feature.ZERO_CHECKSUM
    return features
