"""The full ICE agent: RFC 8445 in either role, consent by RFC 7675, trickle by RFC 8838.

One component, host candidates of its own; peer-reflexive ones are learned.
Driven through the contract of `rtcproto.ice.contract` by whoever owns the
sockets. It looks at addresses but never resolves a name, and sends checks
wherever remote candidates say: filter them first with `candidate.is_routable`.

Theory of operation. `set_remote` sends the first check at once, further ones
follow every Ta. An answer makes a pair valid (`PathValidated`, `PathProven`)
and starts its consent. DTLS may use that path at once, so nomination is not
urgent and stays regular: the controlling agent nominates the best valid pair,
by default as soon as there is one (`IceConfig.nomination_delay`), and the pair
is selected when that request is answered (`PathSelected`). A USE-CANDIDATE in
the very first check, as RFC 5245 allowed, would gain nothing, also with a
lite peer. The controlled agent grants a nomination once the pair is valid.

What happens to valid pairs afterwards (nomination, consent, moving from a dead
relay to a live one) is `ice.selection`'s.

Nothing unauthenticated has an effect. Departures: an authentic answer from the
wrong address is ignored, where RFC 8445 section 7.2.5.2.1 would fail the pair,
because anyone on the path could cause that by copying one; after consent was
lost a path may be validated again by new checks under the same credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtcproto._timers import TimerTable
from rtcproto.datagram import Address, Datagram
from rtcproto.errors import AuthenticationError, ParseError, UsageError
from rtcproto.ice.binding import Binding, CheckRequest
from rtcproto.ice.candidate import Candidate
from rtcproto.ice.checklist import Checklist
from rtcproto.ice.contract import Credentials, IceConfig, IceEvent, IceStats, Path, Timer
from rtcproto.ice.counters import Counters, Reason
from rtcproto.ice.memory import TransactionMemory
from rtcproto.ice.outstanding import Outstanding, OutstandingCheck, Purpose
from rtcproto.ice.pair import CandidatePair, PairState
from rtcproto.ice.role import Role
from rtcproto.ice.selection import Selection
from rtcproto.ice.tables import LocalCandidates, RemoteCandidates
from rtcproto.stun import Class, Message, Method, Schedule

__all__ = ["IceAgent"]

_ROLE_CONFLICT = 487  # RFC 8445 section 16.2
_FORBIDDEN = 403  # RFC 7675 section 5.2: consent revoked


class IceAgent:
    """A full agent for one session, RFC 8445; `local` are our credentials.

    `controlling` is the role until a conflict says otherwise. Add own
    candidates before `set_remote`, or later as they come. With none at all
    there is one base, None: the only socket of a shell that does not know its
    own address.
    """

    __slots__ = (
        "_binding",
        "_checklist",
        "_closed",
        "_config",
        "_counters",
        "_entropy",
        "_locals",
        "_memory",
        "_next_slot",
        "_now",
        "_out",
        "_outstanding",
        "_remotes",
        "_role",
        "_selection",
        "_timers",
    )

    def __init__(
        self,
        config: IceConfig,
        local: Credentials,
        controlling: bool,
        entropy: Callable[[int], bytes],
        now: float,
    ) -> None:
        self._config = config
        self._entropy = entropy
        self._now = now
        self._closed = False
        self._timers: TimerTable[Timer] = TimerTable()
        # Candidates and credentials of both sides; pairs; our requests under way.
        self._locals = LocalCandidates()
        self._remotes = RemoteCandidates(config.max_remote_candidates)
        self._binding = Binding(local)
        self._checklist = Checklist(controlling)
        self._outstanding = Outstanding()
        self._selection = Selection(config, controlling, self._checklist, self._locals, entropy)
        self._role = Role(controlling, entropy)
        # RFC 8445 section 14: the earliest time of the next check.
        self._next_slot = now
        # The newest transaction ids we answered, and the path of each.
        self._memory = TransactionMemory(config.max_transactions)
        # Outputs and counters.
        self._out: list[Datagram] = []
        self._counters = Counters()

    # Getters.

    @property
    def controlling(self) -> bool:
        """The present role."""
        return self._role.controlling

    @property
    def selected_path(self) -> Path | None:
        """Where media goes, or None."""
        pair = self._selection.selected
        return None if pair is None else self._selection.path(pair)

    @property
    def round_trip_time(self) -> float | None:
        """Seconds between the newest request that was answered at first try and its answer."""
        return self._counters.round_trip_time

    @property
    def local_candidates(self) -> tuple[Candidate, ...]:
        """Own candidates: those added, then those learned from answers."""
        return self._locals.all

    @property
    def remote_candidates(self) -> tuple[Candidate, ...]:
        """The peer's candidates: those signalled, then those learned from its checks."""
        return tuple(candidate for _, candidate in self._remotes.all)

    def is_validated(self, path: Path) -> bool:
        """Whether a message with valid MESSAGE-INTEGRITY came on `path`."""
        pair = self._find(path)
        return pair is not None and pair.validated

    def is_proven(self, path: Path) -> bool:
        """Whether the peer answered our own request on `path`, and its consent is fresh."""
        pair = self._find(path)
        return pair is not None and pair.state is PairState.SUCCEEDED

    def stats(self) -> IceStats:
        """A snapshot of the counters; retransmissions are not counted as requests."""
        return self._counters.snapshot()

    # Inputs.

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        """Take a datagram that demux calls STUN; True if it is authentic and no replay."""
        if self._closed:
            return False
        now = self._advance_clock(now)
        try:
            base = self._locals.base(local)
            message = Message.parse(data)
            if message.method != Method.BINDING:
                return self._counters.reject(Reason.METHOD)
            match message.cls:
                case Class.REQUEST:
                    request = self._binding.read_request(message)
                    # What follows has passed MESSAGE-INTEGRITY, the names of paths included.
                    self._locals.rename(base, local)
                    accepted = self._on_request(message, request, source, base, now)
                case Class.SUCCESS | Class.ERROR:
                    check = self._outstanding.get(message.transaction_id)
                    if check is None or (source, base) != (check.pair.address, check.pair.base):
                        return self._counters.reject(Reason.RESPONSE)
                    result = self._binding.read_response(message)
                    self._locals.rename(base, local)
                    accepted = self._on_response(check, result, now)
                case _:
                    # RFC 8445 section 11: an indication is a keepalive, and says nothing.
                    return self._counters.reject(Reason.METHOD)
        except ParseError:
            return self._counters.reject(Reason.MALFORMED)
        except AuthenticationError:
            return self._counters.reject(Reason.AUTHENTICATION)
        if accepted:
            self._finish(now)
        return accepted

    def handle_timer(self, now: float) -> None:
        """Act on deadlines at or before `now`."""
        if self._closed:
            return
        now = self._advance_clock(now)
        if self._timers.expired(now):
            self._repeat(now)
        for pair in self._selection.handle_timer(now):
            self._fail(pair, now)
        self._finish(now)

    # Verbs.

    def add_local_candidate(self, candidate: Candidate, now: float) -> None:
        """Add a host candidate, whose address is its base; pairs form at once.

        Raises `UsageError` for anything but a UDP host candidate of component 1 with an
        IP address, and for more than `tables.MAX_LOCAL_CANDIDATES`.
        """
        self._require_open()
        base = self._locals.add(candidate)
        if base is not None:
            for address, remote in self._remotes.all:
                self._checklist.add(candidate, base, remote, address)
            self._finish(self._advance_clock(now))

    def set_remote(
        self, credentials: Credentials, candidates: Sequence[Candidate], now: float
    ) -> None:
        """Set the peer's credentials and first candidates; the first check leaves at once.

        Raises `UsageError` if they are set already: another peer, or an ICE
        restart (`successor`), is another agent.
        """
        self._require_open()
        if self._binding.remote is not None:
            raise UsageError("the remote credentials are set already")
        if not credentials.ufrag or not credentials.pwd:
            raise UsageError("credentials are a ufrag and a password, RFC 8839 section 5.4")
        self._binding.set_remote(credentials)
        if not len(self._locals):
            self._locals.add_unknown()
            for address, remote in self._remotes.all:
                self._pair_remote(remote, address)
        for candidate in candidates:
            self._add_remote(candidate)
        self._finish(self._advance_clock(now))

    def add_remote_candidate(self, candidate: Candidate, now: float) -> None:
        """Add a trickled candidate, before or after `set_remote`.

        Dropped without a word: names, other transports and components, port 0,
        duplicates, other ufrags, and those beyond `max_remote_candidates`.
        """
        self._require_open()
        if self._add_remote(candidate):
            self._finish(self._advance_clock(now))

    def successor(self, local: Credentials, now: float) -> IceAgent:
        """A new agent for an ICE restart: RFC 8445 section 9 keeps the role."""
        agent = IceAgent(self._config, local, self._role.controlling, self._entropy, now)
        for base, candidate in self._locals.hosts:
            if base is not None:
                agent.add_local_candidate(candidate, now)
        return agent

    def close(self, now: float) -> None:
        """Stop everything; what was queued is dropped and nothing is sent afterwards."""
        self._advance_clock(now)
        self._closed = True
        self._timers.stop_all()
        self._outstanding.clear()
        self._selection.close()
        self._out = []

    # Outputs.

    def get_timer(self) -> float | None:
        """The next deadline, or None."""
        ours, other = self._timers.next(), self._selection.next_deadline()
        if ours is None or other is None:
            return other if ours is None else ours
        return min(ours, other)

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent."""
        out, self._out = self._out, []
        return out

    def next_events(self) -> list[IceEvent]:
        """Drain the events."""
        return self._selection.next_events()

    # The peer's requests: RFC 8445 section 7.3.

    def _on_request(
        self,
        message: Message,
        request: CheckRequest,
        source: Address,
        base: Address | None,
        now: float,
    ) -> bool:
        path = (source, base)
        answers = self._memory.recall(message.transaction_id, path, now)
        if answers is None:
            return self._counters.reject(Reason.REPLAY)
        if answers:
            # A retransmission is answered and means nothing new.
            self._memory.remember(message.transaction_id, path, now)
            self._answer(message, path, self._binding.success(message.transaction_id, source))
            return True
        if request.unknown:
            self._refuse(message, path, 420, "Unknown Attribute", request.unknown)
            return True
        if request.priority is None:
            # RFC 8445 section 7.1.1: "MUST be included in a Binding request".
            self._refuse(message, path, 400, "Bad Request")
            return True
        if self._role.conflicts(request):
            self._refuse(message, path, _ROLE_CONFLICT, "Role Conflict")
            return True
        if self._role.yields_to(request):
            self._take_role()
        self._counters.requests_received += 1
        self._memory.remember(message.transaction_id, path, now)
        self._answer(message, path, self._binding.success(message.transaction_id, source))
        pair = self._checklist.get(source, base) or self._learn_remote(path, request.priority)
        if pair is None:
            self._counters.reject(Reason.PATHS)
            return True
        self._selection.checked(pair)
        if pair.state is not PairState.SUCCEEDED:
            # 7.3.1.4: a triggered check, also where one is under way.
            self._outstanding.cancel(pair)
            self._checklist.trigger(pair)
        if request.use_candidate and not self._role.controlling:
            self._selection.nominated_by_peer(pair, now)
        return True

    def _take_role(self) -> None:
        self._checklist.set_controlling(self._role.controlling)
        self._selection.set_controlling(self._role.controlling)
        self._binding.forget_role()

    def _learn_remote(
        self, path: tuple[Address, Address | None], priority: int
    ) -> CandidatePair | None:
        """7.3.1.3: the pair of a source nobody told us of, within `max_paths` of such sources."""
        address, base = path
        selected = self._selection.selected
        spared = None if selected is None else selected.address
        for forgotten in self._remotes.make_room(address, self._config.max_paths, spared):
            for pair in self._checklist.pairs:
                if pair.address == forgotten:
                    self._outstanding.forget(pair)
                    self._checklist.remove(pair)
        remote = self._remotes.learn(address, priority)
        local = dict(self._locals.hosts)[base]
        return self._checklist.add(local, base, remote, address)

    def _answer(self, message: Message, path: tuple[Address, Address | None], data: bytes) -> None:
        # Never more bytes than came: whoever can replay a check gains nothing.
        if len(data) <= len(message.raw):
            self._counters.responses_sent += 1
            self._out.append(Datagram(data, path[0], self._locals.name(path[1])))

    def _refuse(
        self,
        message: Message,
        path: tuple[Address, Address | None],
        code: int,
        reason: str,
        unknown: tuple[int, ...] = (),
    ) -> None:
        self._answer(
            message, path, self._binding.error(message.transaction_id, code, reason, unknown)
        )
        self._counters.reject(Reason.REFUSED)

    # Answers to our requests: RFC 8445 section 7.2.5.

    def _on_response(self, check: OutstandingCheck, result: Address | int, now: float) -> bool:
        pair = check.pair
        self._outstanding.remove(check.transaction.transaction_id)
        self._counters.responses_received += 1
        if isinstance(result, int):
            self._on_error(check, result, now)
        elif self._checklist.get(pair.address, pair.base) is pair:
            self._on_success(check, result, now)
        return True

    def _on_success(self, check: OutstandingCheck, mapped: Address, now: float) -> None:
        pair = check.pair
        round_trip = check.transaction.round_trip(now)
        if round_trip is not None:
            self._counters.measured(round_trip)
        if check.purpose is Purpose.NOMINATE:
            self._selection.nomination_answered(pair, now)
        if self._selection.answered(pair, round_trip, now):
            self._locals.learn(mapped, pair.base, pair.reflexive_priority)

    def _on_error(self, check: OutstandingCheck, code: int, now: float) -> None:
        pair = check.pair
        if code == _ROLE_CONFLICT:
            if self._role.refused(check.controlling):
                self._take_role()
            if pair.state is PairState.IN_PROGRESS:
                self._checklist.trigger(pair)
        elif code == _FORBIDDEN or (check.purpose is Purpose.CHECK and not check.cancelled):
            self._fail(pair, now)

    # Our requests: RFC 8445 sections 6.1.4 and 7.2.4.

    def _finish(self, now: float) -> None:
        """End of every input and verb: send what is due, then set the deadlines."""
        self._selection.settle(now)
        for pair, purpose in self._selection.requests():
            self._send_check(pair, purpose, now)
        self._checklist.unfreeze()
        if self._binding.remote is None:
            return
        if now >= self._next_slot:
            waiting = self._checklist.take()
            if waiting is not None:
                self._send_check(waiting, Purpose.CHECK, now)
        deadline = self._outstanding.deadline
        if self._checklist.has_work():
            deadline = self._next_slot if deadline is None else min(deadline, self._next_slot)
        if deadline is None:
            self._timers.stop(Timer.CHECK)
        else:
            self._timers.set(Timer.CHECK, deadline)

    def _send_check(self, pair: CandidatePair, purpose: Purpose, now: float) -> None:
        data = self._binding.request(
            transaction_id := self._entropy(12),
            priority=pair.reflexive_priority,
            controlling=self._role.controlling,
            tie_breaker=self._role.tie_breaker,
            nominate=purpose is Purpose.NOMINATE,
        )
        if purpose is Purpose.CONSENT:
            # RFC 7675 section 5.1: "transmitted once only"; its answer is awaited until the next.
            schedule = Schedule(rto=self._config.consent_interval, requests=1, patience=1.0)
            self._counters.consent_requests_sent += 1
        else:
            # RFC 8445 section 14.3, with one checklist: the more checks, the slower each.
            rto = max(self._config.request_rto, self._config.pacing * len(self._outstanding))
            schedule = Schedule(rto=rto, requests=self._config.request_retransmissions)
            self._counters.requests_sent += 1
            self._next_slot = now + self._config.pacing
        self._outstanding.start(
            transaction_id, data, schedule, pair, purpose, self._role.controlling, now
        )
        self._out.append(Datagram(data, pair.address, self._locals.name(pair.base)))

    def _repeat(self, now: float) -> None:
        repeat, failed = self._outstanding.due(now)
        for check in repeat:
            pair = check.pair
            self._out.append(
                Datagram(check.transaction.data, pair.address, self._locals.name(pair.base))
            )
        for check in failed:
            if check.purpose in (Purpose.CHECK, Purpose.NOMINATE):
                self._fail(check.pair, now)

    # Small things.

    def _fail(self, pair: CandidatePair, now: float) -> None:
        self._outstanding.forget(pair)
        self._selection.failed(pair, now)

    def _add_remote(self, candidate: Candidate) -> bool:
        remote = self._binding.remote
        address = self._remotes.add(candidate, None if remote is None else remote.ufrag)
        if address is None:
            return False
        # 7.3.1.3: it may be one that we know as peer-reflexive.
        self._checklist.signalled(candidate, address)
        self._pair_remote(candidate, address)
        return True

    def _pair_remote(self, remote: Candidate, address: Address) -> None:
        for base, local in self._locals.hosts:
            self._checklist.add(local, base, remote, address)

    def _find(self, path: Path) -> CandidatePair | None:
        try:
            return self._checklist.get(path[0], self._locals.base(path[1]))
        except ParseError:
            return None

    def _advance_clock(self, now: float) -> float:
        # A clock that runs backwards stands still.
        self._now = max(self._now, now)
        return self._now

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("the agent is closed")
