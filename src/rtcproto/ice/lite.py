"""ICE-lite responder: answers checks, proves each path, follows the peer's nomination.

RFC 8445 sections 2.5, 7.3 and 8.2. Knows one session's credentials and nothing
of DTLS or RTP. Called by the session's transport plane for every datagram that
demux calls STUN.

Theory of operation. A *check* is a Binding request with our ufrag and a valid
MESSAGE-INTEGRITY. It is answered and makes its path *validated*; the first
validated path carries DTLS at once, because a nomination may be far away. A
check proves knowledge of the password, not that the peer is at that address, so
for each new path one Binding request of our own goes out (the peer's
credentials, ICE-CONTROLLED, repeated on a short schedule); its answer makes the
path *proven*, and is asked for again every few seconds (`proving`). Only a proven
path is ever *selected*:

- USE-CANDIDATE asks for it, and is granted when the path is proven;
- with nothing selected, the first proven path is taken, so that media flows;
- a selected path that has been silent for some seconds yields to a proven path
  that has been heard since, nominated or not (`paths` has these rules).

A path that brings no fresh authentic message for `IceConfig.consent_timeout` is
forgotten, and a proof that was not renewed for as long is void; if it was the
selected path, or the last one, `PathLost` says that sending must stop. A new check
starts everything again.

Replays: neither address nor time is under the MAC, so `memory` keeps the newest
`max_transactions` ids. One that comes from another path has no effect; one from
the same path is a retransmission while its sender may still retransmit: it is
answered (`memory` says how often; once only on an unproven path beside a selected
one) and refreshes nothing. Replays that outlive the memory look like new paths. They can push a
roaming peer's new path out of the table, but not its proof: see `paths`.

Bytes: an answer is never larger than its request, and everything sent stays
within what authentic messages have brought plus `ALLOWANCE`, in the whole session
and, since no more than that is saved up, in any part of it.

Departures from RFC 8445, besides the proving request: nomination waits for the
proof, and a lite agent's role conflict needs no repair (section 7.3.1.1 is for
full agents), so ICE-CONTROLLED from a peer is no error.

Refuses: to answer or remember anything that is not authentic; to send to an
address that a candidate names (they are counted and kept, nothing more).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtcproto._timers import TimerTable
from rtcproto.datagram import MAX_DATAGRAM_IN, Address, Datagram
from rtcproto.errors import AuthenticationError, ParseError, UsageError
from rtcproto.ice.candidate import Candidate
from rtcproto.ice.contract import (
    Credentials,
    IceConfig,
    IceEvent,
    IceStats,
    Path,
    Timer,
)
from rtcproto.ice.memory import TransactionMemory
from rtcproto.ice.paths import PathTable
from rtcproto.ice.proving import ALLOWANCE, Prover
from rtcproto.stun import (
    Attribute,
    Class,
    ErrorCode,
    Message,
    Method,
    ShortTermKey,
    SuccessTemplate,
    build,
)

__all__ = ["REASONS", "IceLite"]

# The fixed reasons under which `IceStats.rejected` counts.
REASONS = (
    "oversized",  # longer than any check can be
    "malformed",  # no STUN message, or a wrong FINGERPRINT
    "method",  # not Binding, or an error response
    "username",  # USERNAME absent or of another session
    "integrity",  # MESSAGE-INTEGRITY absent or wrong
    "attributes",  # authentic, with an unknown comprehension-required attribute
    "replay",  # a transaction id that came before
    "response",  # no such transaction, or from another address
    "short",  # an authentic request smaller than its answer
)


class IceLite:
    """One session's lite agent; implements `IceMachine`. See the module's theory of operation.

    `local` are our credentials, `entropy` gives transaction ids, `credit` the bytes that
    may be sent before any came. Raises `UsageError` for credentials shorter or
    longer than RFC 8839 section 5.4 allows.
    """

    __slots__ = (
        "_candidates",
        "_closed",
        "_config",
        "_entropy",
        "_key",
        "_memory",
        "_now",
        "_out",
        "_paths",
        "_prover",
        "_rejected",
        "_requests_received",
        "_responses_sent",
        "_server_half",
        "_success",
        "_timers",
        "_ufrag",
        "_username",
    )

    def __init__(
        self,
        config: IceConfig,
        local: Credentials,
        entropy: Callable[[int], bytes],
        now: float,
        credit: int = ALLOWANCE,
    ) -> None:
        # RFC 8839 section 5.4: at least 4 and 22 characters; 32 and 256 at most.
        if not 4 <= len(local.ufrag) <= 32 or not 22 <= len(local.pwd) <= 256:
            raise UsageError("a ufrag has 4 to 32 characters, a password 22 to 256")
        self._config = config
        self._entropy = entropy
        self._now = now
        self._closed = False

        # Credentials, ours and (from `set_remote` on) the peer's.
        self._ufrag = local.ufrag
        self._key = ShortTermKey(local.pwd)
        self._success = SuccessTemplate(self._key)
        self._server_half = f"{local.ufrag}:".encode()
        self._username: bytes | None = None
        self._candidates: list[Candidate] = []

        # Paths; transaction ids that came; requests of our own.
        self._paths = PathTable(config.max_paths, config.consent_timeout)
        self._memory = TransactionMemory(config.max_transactions)
        self._prover = Prover(config, entropy, credit)

        # Outputs and counters.
        self._timers: TimerTable[Timer] = TimerTable()
        self._out: list[Datagram] = []
        self._rejected = dict.fromkeys(REASONS, 0)
        self._requests_received = 0
        self._responses_sent = 0

    # Getters

    @property
    def selected_path(self) -> Path | None:
        """Where media goes, or None."""
        return self._paths.selected

    @property
    def round_trip_time(self) -> float | None:
        """Seconds of the newest request of ours that was answered at its first sending."""
        return self._prover.round_trip

    @property
    def remote_candidates(self) -> tuple[Candidate, ...]:
        """The peer's candidates, kept for diagnosis only."""
        return tuple(self._candidates)

    def is_validated(self, path: Path) -> bool:
        """Whether a check came on `path` within the consent time."""
        return self._paths.get(path) is not None

    def is_proven(self, path: Path) -> bool:
        """Whether the peer answered our own request on `path` within the consent time."""
        state = self._paths.get(path)
        return state is not None and state.proven

    def stats(self) -> IceStats:
        """A snapshot of the counters; `rejected` has every reason, zeros included."""
        return IceStats(
            requests_received=self._requests_received,
            requests_sent=self._prover.checks,
            responses_received=self._prover.answered,
            responses_sent=self._responses_sent,
            consent_requests_sent=self._prover.repeated,
            current_round_trip_time=self._prover.round_trip,
            total_round_trip_time=self._prover.round_trips,
            rejected=dict(self._rejected),
        )

    # Inputs

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        """Take a STUN datagram; True if it is authentic and was accepted.

        False for replays from another address and for requests that RFC 8489
        section 6.3.1 says not to process: no address may be learned from them.
        """
        if self._closed:
            return False
        if len(data) > MAX_DATAGRAM_IN:
            return self._reject("oversized")
        try:
            message = Message.parse(data)
        except ParseError:
            return self._reject("malformed")
        if message.method != Method.BINDING:
            return self._reject("method")
        path = (source, local)
        match message.cls:
            case Class.REQUEST:
                accepted = self._receive_request(message, path, now)
            case Class.SUCCESS:
                accepted = self._receive_success(message, path, now)
            case Class.INDICATION:
                # RFC 8445 section 11: a keep-alive, carries no credentials.
                return False
            case _:
                return self._reject("method")
        if accepted:
            self._arm()
        return accepted

    def handle_timer(self, now: float) -> None:
        """Repeat proving requests, leave silent paths; early or late calls are harmless."""
        now = self._advance(now)
        if self._closed or not self._timers.expired(now):
            return
        for path, state in self._paths.items():
            self._send(self._prover.repeat(state, now), path)
        self._paths.leave_silent(now)
        self._paths.forget_silent(now)
        self._paths.end_proofs(now)
        self._arm()

    # Verbs

    def set_remote(
        self, credentials: Credentials, candidates: Sequence[Candidate], now: float
    ) -> None:
        """Set the peer's credentials; proofs start on the paths that are known.

        Credentials given before are replaced: proofs under way start again, proven
        paths stay. Raises `UsageError` if the two ufrags do not fit a
        USERNAME, which leaves everything as it was.
        """
        now = self._advance(now)
        if self._closed:
            raise UsageError("the ICE agent is closed")
        self._prover.set_remote(self._ufrag, credentials)
        self._username = self._server_half + credentials.ufrag.encode()
        self._paths.forget_evicted()
        for path, state in self._paths.items():
            state.proving = None
            self._send(self._prover.ask(state, now), path)
        self._candidates.clear()
        for candidate in candidates:
            self.add_remote_candidate(candidate, now)
        self._arm()

    def add_remote_candidate(self, candidate: Candidate, now: float) -> None:
        """Keep a candidate for diagnosis; nothing is ever sent to it or resolved."""
        self._advance(now)
        if len(self._candidates) < self._config.max_remote_candidates:
            self._candidates.append(candidate)

    def successor(self, local: Credentials, now: float) -> IceLite:
        """A new agent for an ICE restart, with half of this one's budget."""
        return IceLite(self._config, local, self._entropy, now, self._prover.halve())

    def close(self, now: float) -> None:
        """Forget everything that was queued; nothing is sent or reported afterwards."""
        self._advance(now)
        self._closed = True
        self._paths.clear()
        self._memory.clear()
        self._timers.stop_all()
        self._out = []

    # Outputs

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[IceEvent]:
        """Drain the events."""
        return self._paths.next_events()

    def get_timer(self) -> float | None:
        """The next deadline, or None."""
        return self._timers.next()

    # Private: messages

    def _receive_request(self, message: Message, path: Path, now: float) -> bool:
        # Silence before authentication: until the MAC has passed, a counter is
        # all that changes.
        username = message.value(Attribute.USERNAME) or b""
        if not username.startswith(self._server_half) or (
            self._username is not None and username != self._username
        ):
            return self._reject("username")
        try:
            self._key.verify(message)
        except AuthenticationError:
            return self._reject("integrity")
        now = self._advance(now)
        transaction_id = message.transaction_id
        answers = self._memory.recall(transaction_id, path, now)
        if answers is None or (answers and self._answers_once(path)):
            return self._reject("replay")
        unknown = message.unknown_required
        answer = (
            self._refusal(transaction_id, unknown)
            if unknown
            else self._success.build(transaction_id, path[0])
        )
        if len(answer) > len(message.raw):
            return self._reject("short")
        self._memory.remember(transaction_id, path, now)
        self._requests_received += 1
        self._responses_sent += 1
        self._prover.earn(len(message.raw) - len(answer))
        self._out.append(Datagram(answer, *path))
        if unknown:
            return self._reject("attributes")
        if not answers:
            state = self._paths.heard(path, now)
            if message.value(Attribute.USE_CANDIDATE) is not None:
                self._paths.nominate(path)
            self._send(self._prover.ask(state, now), path)
            self._paths.leave_silent(now)
        return True

    def _answers_once(self, path: Path) -> bool:
        # In a call under way, what repeats a check from an unproven address may
        # well be a replay, older than our memory: one answer. During set-up a
        # lost answer is likelier, and a browser that repeats must be heard.
        return self._paths.selected is not None and not self.is_proven(path)

    def _refusal(self, transaction_id: bytes, unknown: tuple[int, ...]) -> bytes:
        # RFC 8489 section 6.3.1: "the server MUST reply with an error response
        # with an error code of 420 (Unknown Attribute)".
        return build(
            Method.BINDING,
            Class.ERROR,
            transaction_id,
            [
                (Attribute.ERROR_CODE, ErrorCode(420)),
                # Naming a few is enough, and keeps the answer below the request.
                (Attribute.UNKNOWN_ATTRIBUTES, unknown[:4]),
            ],
            self._key,
        )

    def _receive_success(self, message: Message, path: Path, now: float) -> bool:
        state = self._paths.waiting(path, max(now, self._now))
        # RFC 8445 section 7.2.5.2.1: source and destination of the response must
        # mirror those of the request; here that is what the proof consists of.
        if state is None or not self._prover.is_answer(state, message):
            return self._reject("response")
        try:
            self._prover.read_answer(state, message, max(now, self._now))
        except AuthenticationError:
            return self._reject("integrity")
        except ParseError:
            return self._reject("attributes")
        now = self._advance(now)
        self._paths.restore(path, state, now)
        self._paths.prove(path, now)
        self._paths.leave_silent(now)
        return True

    # Private: bookkeeping

    def _send(self, request: bytes | None, path: Path) -> None:
        if request is not None:
            self._out.append(Datagram(request, *path))

    def _advance(self, now: float) -> float:
        # Time that runs backwards is held at the last instant.
        self._now = max(self._now, now)
        return self._now

    def _reject(self, reason: str) -> bool:
        self._rejected[reason] += 1
        return False

    def _arm(self) -> None:
        """Set both timers from the state; cheap, because paths are few."""
        proofs = [s.proving.deadline for _, s in self._paths.items() if s.proving is not None]
        self._set(Timer.CHECK, min(proofs, default=None))
        self._set(Timer.CONSENT, self._paths.deadline())

    def _set(self, timer: Timer, deadline: float | None) -> None:
        if deadline is None:
            self._timers.stop(timer)
        else:
            self._timers.set(timer, deadline)
