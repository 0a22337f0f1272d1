"""ICE-lite responder: answers checks, proves each path once, follows the peer's nomination.

RFC 8445 sections 2.5, 7.3 and 8.2. Knows one session's credentials and nothing
of DTLS or RTP. Called by the session's transport plane for every datagram that
demux calls STUN.

Theory of operation. A *check* is a Binding request with our ufrag and a valid
MESSAGE-INTEGRITY. It is answered and makes its path *validated*; the first
validated path carries DTLS at once, because a nomination may be far away. A
check proves knowledge of the password, not that the peer is at that address, so
for each new path one Binding request of our own goes out (the peer's
credentials, ICE-CONTROLLED, repeated on a short schedule); its answer makes the
path *proven*. Only a proven path is ever *selected*:

- USE-CANDIDATE asks for it, and is granted when the path is proven;
- with nothing selected, the first proven path is taken, so that media flows;
- a selected path that has been silent for some seconds yields to a proven path
  that has been heard since, nominated or not (`paths` has these rules).

A path that brings no fresh authentic message for `IceConfig.consent_timeout` is
forgotten; if it was the selected one, or the last one, `PathLost` says that
sending must stop. A new check starts everything again.

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
from rtcproto.ice.candidate import Candidate, CandidateType, compute_priority
from rtcproto.ice.contract import (
    Credentials,
    IceConfig,
    IceEvent,
    IceStats,
    Path,
    Timer,
)
from rtcproto.ice.memory import TransactionMemory
from rtcproto.ice.paths import PathState, PathTable
from rtcproto.stun import (
    Attribute,
    Class,
    Due,
    ErrorCode,
    Message,
    Method,
    RequestTemplate,
    Schedule,
    ShortTermKey,
    SuccessTemplate,
    Transaction,
    build,
)

__all__ = ["ALLOWANCE", "PROVING", "REASONS", "IceLite"]

# When a proving request is repeated: 0.1, 0.3, 0.7 and 1.5 s after the first,
# given up 1.6 s later. RFC 8489 section 6.2.1 wants an RTO of 500 ms or more;
# media waits for this answer, and the handshake beside it repeats as fast.
PROVING = Schedule(rto=0.1, requests=5, patience=16.0)

# Bytes that may be sent beyond those that authentic messages have brought: one
# full proving schedule (5 requests of about 100 bytes) on each of 8 paths. An
# answered check earns about 40 bytes, so a long session never comes near it; and
# never more than this is saved up.
ALLOWANCE = 4096

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

    `local` are our credentials, `entropy` gives transaction ids. Raises
    `UsageError` for credentials shorter or longer than RFC 8839 section 5.4
    allows.
    """

    __slots__ = (
        "_candidates",
        "_closed",
        "_config",
        "_credit",
        "_entropy",
        "_key",
        "_memory",
        "_now",
        "_out",
        "_paths",
        "_rejected",
        "_remote_key",
        "_request",
        "_requests_received",
        "_requests_sent",
        "_responses_received",
        "_responses_sent",
        "_rtt",
        "_rtt_total",
        "_server_half",
        "_success",
        "_tiebreaker",
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
        self._remote_key: ShortTermKey | None = None
        self._username: bytes | None = None
        self._request: RequestTemplate | None = None
        self._tiebreaker = int.from_bytes(entropy(8), "big")
        self._candidates: list[Candidate] = []

        # Paths; transaction ids that came; bytes left to send.
        self._paths = PathTable(config.max_paths, config.consent_timeout)
        self._memory = TransactionMemory(config.max_transactions)
        self._credit = ALLOWANCE

        # Outputs and counters.
        self._timers: TimerTable[Timer] = TimerTable()
        self._out: list[Datagram] = []
        self._rejected = dict.fromkeys(REASONS, 0)
        self._requests_received = 0
        self._requests_sent = 0
        self._responses_received = 0
        self._responses_sent = 0
        self._rtt: float | None = None
        self._rtt_total = 0.0

    # Getters

    @property
    def selected_path(self) -> Path | None:
        """Where media goes, or None."""
        return self._paths.selected

    @property
    def round_trip_time(self) -> float | None:
        """Seconds of the newest proving request that was answered at its first sending."""
        return self._rtt

    @property
    def remote_candidates(self) -> tuple[Candidate, ...]:
        """The peer's candidates, kept for diagnosis only."""
        return tuple(self._candidates)

    def is_validated(self, path: Path) -> bool:
        """Whether a check came on `path` within the consent time."""
        return self._paths.get(path) is not None

    def is_proven(self, path: Path) -> bool:
        """Whether the peer answered our own request on `path`."""
        state = self._paths.get(path)
        return state is not None and state.proven

    def stats(self) -> IceStats:
        """A snapshot of the counters; `rejected` has every reason, zeros included."""
        return IceStats(
            requests_received=self._requests_received,
            requests_sent=self._requests_sent,
            responses_received=self._responses_received,
            responses_sent=self._responses_sent,
            current_round_trip_time=self._rtt,
            total_round_trip_time=self._rtt_total,
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
            if state.proving is not None:
                match state.proving.advance(now):
                    case Due.RETRANSMIT:
                        state.asked |= self._send_proving(path, state.proving)
                    case Due.TIMED_OUT:
                        # Not fatal: the next fresh check there tries again.
                        state.proving = None
                    case Due.NOTHING:
                        pass
        self._paths.leave_silent(now)
        self._paths.forget_silent(now)
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
        key = ShortTermKey(credentials.pwd)
        self._request = RequestTemplate(
            f"{credentials.ufrag}:{self._ufrag}",
            key,
            [
                (Attribute.PRIORITY, compute_priority(CandidateType.PEER_REFLEXIVE)),
                (Attribute.ICE_CONTROLLED, self._tiebreaker),
            ],
        )
        self._remote_key = key
        self._username = self._server_half + credentials.ufrag.encode()
        self._paths.forget_evicted()
        for path, state in self._paths.items():
            state.proving = None
            self._prove(path, state, now)
        self._candidates.clear()
        for candidate in candidates:
            self.add_remote_candidate(candidate, now)
        self._arm()

    def add_remote_candidate(self, candidate: Candidate, now: float) -> None:
        """Keep a candidate for diagnosis; nothing is ever sent to it or resolved."""
        self._advance(now)
        if len(self._candidates) < self._config.max_remote_candidates:
            self._candidates.append(candidate)

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
        self._earn(len(message.raw) - len(answer))
        self._out.append(Datagram(answer, *path))
        if unknown:
            return self._reject("attributes")
        if not answers:
            state = self._paths.heard(path, now)
            if message.value(Attribute.USE_CANDIDATE) is not None:
                self._paths.nominate(path)
            self._prove(path, state, now)
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
        if (
            self._remote_key is None
            or state is None
            or state.proving is None
            or state.proving.transaction_id != message.transaction_id
        ):
            return self._reject("response")
        try:
            self._remote_key.verify(message)
        except AuthenticationError:
            return self._reject("integrity")
        if message.unknown_required:
            return self._reject("attributes")
        now = self._advance(now)
        self._responses_received += 1
        self._earn(len(message.raw))
        round_trip = state.proving.round_trip(now)
        if round_trip is not None:
            self._rtt = round_trip
            self._rtt_total += round_trip
        state.proving = None
        self._paths.restore(path, state, now)
        self._paths.prove(path, now)
        self._paths.leave_silent(now)
        return True

    # Private: proving

    def _prove(self, path: Path, state: PathState, now: float) -> None:
        """Start the proof of a path, unless it is proven, under way, or not possible yet."""
        if state.proven or state.proving is not None or self._request is None:
            return
        transaction_id = self._entropy(12)
        data = self._request.build(transaction_id)
        state.proving = Transaction.start(transaction_id, data, PROVING, now)
        state.asked = self._send_proving(path, state.proving)

    def _send_proving(self, path: Path, proving: Transaction) -> bool:
        # Without credit this transmission is skipped; a later one may find some.
        if len(proving.data) > self._credit:
            return False
        self._credit -= len(proving.data)
        self._requests_sent += 1
        self._out.append(Datagram(proving.data, *path))
        return True

    # Private: bookkeeping

    def _earn(self, size: int) -> None:
        # Never more than at the start: what a long call has brought in hours is not
        # there to be spent in a second, towards addresses that were not asked.
        self._credit = min(self._credit + size, ALLOWANCE)

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
