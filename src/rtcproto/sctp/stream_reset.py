"""Closing and reusing streams: RFC 6525, as data channels need it (RFC 8831 section 6.7).

Either side closes its *outgoing* streams with a request that names the last TSN
they used; the other performs it once everything up to there arrived, and answers.
One request is outstanding in either direction (section 5.1.1), so a flood of them
meets a constant state. Adding streams is granted up to our limit; the requests
that data channels never make (incoming reset, TSN reset) are denied.
Called by the transfer. Refused with ParseError: parameters of a wrong length.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from struct import Struct

from rtcproto._attrs import wire
from rtcproto._serial import distance
from rtcproto.errors import ParseError
from rtcproto.sctp.parameters import Parameter, ParameterType

__all__ = ["Answer", "Result", "StreamReset"]

_OUTGOING = Struct("!LLL")
_PAIR = Struct("!LL")
_ADD = Struct("!LHH")
_WORD = 0xFFFFFFFF

# Streams named in one request, so that it fits the smallest packet; the rest
# follow with the next one.
MAX_STREAMS_PER_REQUEST = 200


class Result(enum.IntEnum):
    """RFC 6525 section 4.4."""

    NOTHING_TO_DO = 0
    PERFORMED = 1
    DENIED = 2
    WRONG_SSN = 3
    REQUEST_IN_PROGRESS = 4
    BAD_SEQUENCE_NUMBER = 5
    IN_PROGRESS = 6


@wire
class Answer:
    """The peer's last word on our request."""

    streams: tuple[int, ...]
    accepted: bool


@wire
class _Deferred:
    """A request of the peer whose last TSN did not arrive yet."""

    sequence: int
    last_tsn: int
    streams: tuple[int, ...]


class StreamReset:
    """Both directions of resetting streams."""

    __slots__ = ("_deferred", "_expected", "_last_result", "_parameter", "_request", "_responses",
                 "_sequence", "_waiting", "inbound_limit", "inbound_streams")  # fmt: skip

    def __init__(
        self, our_tsn: int, their_tsn: int, inbound_streams: int, inbound_limit: int
    ) -> None:
        # RFC 6525 section 4.1: sequence numbers start with the initial TSN.
        self._sequence = our_tsn & _WORD
        self._expected = their_tsn & _WORD
        # Streams to close, in the order asked for; (sequence, streams) of our request.
        self._waiting: dict[int, None] = {}
        self._request: tuple[int, tuple[int, ...]] | None = None
        self._parameter = Parameter(ParameterType.OUTGOING_RESET_REQUEST)
        self._last_result = Result.NOTHING_TO_DO
        self._deferred: _Deferred | None = None
        self._responses: list[Parameter] = []
        self.inbound_streams = inbound_streams
        self.inbound_limit = inbound_limit

    # Our side

    @property
    def outstanding(self) -> bool:
        """Whether a request of ours waits for its answer."""
        return self._request is not None

    @property
    def has_work(self) -> bool:
        """Whether an answer waits, or a new request could be made."""
        return bool(self._responses) or (bool(self._waiting) and self._request is None)

    def is_closing(self, stream: int) -> bool:
        """Whether a reset of the stream was asked for and not answered."""
        return stream in self._waiting or (self._request is not None and stream in self._request[1])

    def ask(self, streams: Sequence[int]) -> None:
        """Close these when the request before is answered and what waits on them is sent."""
        for stream in streams:
            if not self.is_closing(stream):
                self._waiting[stream] = None

    def waiting(self) -> tuple[int, ...]:
        """Streams a new request could name; none while one is outstanding."""
        return () if self._request is not None else tuple(self._waiting)

    def begin(self, streams: Sequence[int], last_tsn: int) -> None:
        """Make a request for these; `last_tsn` is the last one assigned (section 4.1)."""
        chosen = tuple(streams)[:MAX_STREAMS_PER_REQUEST]
        for stream in chosen:
            del self._waiting[stream]
        value = _OUTGOING.pack(self._sequence, self._expected - 1 & _WORD, last_tsn & _WORD)
        value += b"".join(stream.to_bytes(2, "big") for stream in chosen)
        self._request = (self._sequence, chosen)
        self._parameter = Parameter(ParameterType.OUTGOING_RESET_REQUEST, value)
        self._sequence = self._sequence + 1 & _WORD

    def request(self) -> Parameter:
        """The outstanding request, the same each time it is sent."""
        return self._parameter

    def responses(self) -> list[Parameter]:
        """Drain what we answer."""
        responses, self._responses = self._responses, []
        return responses

    # The peer's side

    def receive(self, parameter: Parameter, cumulative: int) -> Answer | tuple[int, ...] | None:
        """Take one parameter: an `Answer` to us, streams that the peer reset, or None.

        Streams without a name mean all of them: an empty tuple. Raises ParseError.
        """
        match parameter.type:
            case ParameterType.RECONFIG_RESPONSE:
                return self._take_response(parameter.value)
            case ParameterType.OUTGOING_RESET_REQUEST:
                return self._take_reset(parameter.value, cumulative)
            case ParameterType.ADD_OUTGOING_STREAMS:
                self._take_addition(parameter.value)
            case (
                ParameterType.INCOMING_RESET_REQUEST
                | ParameterType.TSN_RESET_REQUEST
                | ParameterType.ADD_INCOMING_STREAMS
            ):
                if len(parameter.value) < 4:
                    raise ParseError("sctp", "request too short")
                sequence = int.from_bytes(parameter.value[:4], "big")
                if self._is_next(sequence):
                    self._answer(sequence, Result.DENIED)
            case _:
                pass  # nothing that RFC 6525 knows
        return None

    def due(self, cumulative: int) -> tuple[int, ...] | None:
        """The streams of a deferred request whose last TSN has arrived by now."""
        deferred = self._deferred
        if deferred is None or distance(deferred.last_tsn, cumulative & _WORD, 32) < 0:
            return None
        self._deferred = None
        self._last_result = Result.PERFORMED
        self._respond(deferred.sequence, Result.PERFORMED)
        return deferred.streams

    def _take_response(self, value: bytes) -> Answer | None:
        if len(value) < 8:
            raise ParseError("sctp", "response too short")
        sequence, result = _PAIR.unpack_from(value)
        if self._request is None or self._request[0] != sequence:
            return None
        if result == Result.IN_PROGRESS:
            # Section 5.2.7: the same request again, when the timer says so.
            return None
        streams = self._request[1]
        self._request = None
        return Answer(streams, result in (Result.NOTHING_TO_DO, Result.PERFORMED))

    def _take_reset(self, value: bytes, cumulative: int) -> tuple[int, ...] | None:
        if len(value) < 12 or len(value) % 2:
            raise ParseError("sctp", "outgoing reset request of a wrong length")
        sequence, _, last_tsn = _OUTGOING.unpack_from(value)
        if not self._is_next(sequence):
            return None
        streams = tuple(
            int.from_bytes(value[at : at + 2], "big") for at in range(12, len(value), 2)
        )
        if any(stream >= self.inbound_streams for stream in streams):
            self._answer(sequence, Result.WRONG_SSN)
            return None
        if distance(last_tsn, cumulative & _WORD, 32) < 0:
            self._answer(sequence, Result.IN_PROGRESS)
            self._deferred = _Deferred(sequence, last_tsn, streams)
            return None
        self._answer(sequence, Result.PERFORMED)
        return streams

    def _take_addition(self, value: bytes) -> None:
        if len(value) < 8:
            raise ParseError("sctp", "request to add streams too short")
        sequence, number, _ = _ADD.unpack_from(value)
        if not self._is_next(sequence):
            return
        if self.inbound_streams + number > self.inbound_limit:
            self._answer(sequence, Result.DENIED)
        else:
            self.inbound_streams += number
            self._answer(sequence, Result.PERFORMED)

    def _is_next(self, sequence: int) -> bool:
        """Whether a request is new; one repeated gets its answer again, others a refusal."""
        if sequence == self._expected:
            # A peer that goes on to the next request has given up on the deferred one.
            self._deferred = None
            return True
        if sequence == self._expected - 1 & _WORD:
            self._respond(sequence, self._last_result)
        else:
            self._respond(sequence, Result.BAD_SEQUENCE_NUMBER)
        return False

    def _answer(self, sequence: int, result: Result) -> None:
        self._expected = sequence + 1 & _WORD
        self._last_result = result
        self._respond(sequence, result)

    def _respond(self, sequence: int, result: Result) -> None:
        # One answer per packet is all a peer with one outstanding request can use.
        self._responses = [Parameter(ParameterType.RECONFIG_RESPONSE, _PAIR.pack(sequence, result))]
