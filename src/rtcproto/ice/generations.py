"""ICE restart: two generations of credentials side by side, and one machine for each.

RFC 8445 section 9, RFC 8839 section 4.4.1.1.1 and RFC 9725 section 4.3.2. Each
generation is a machine of its own, lite or full, and this one, which has their
contract, stands before them. The transport plane puts it before its machine with the
first restart (a session without one pays nothing) and keeps it.

Theory of operation. `restart` makes the *next* machine beside the *current* one.
Checks find theirs by the ufrag they name. Media stays on the current machine's
selected path until the next has selected one of its own, by the same rules of
proof as ever; then the next becomes the current one, and the old is closed.

- The old credentials end with the first good check under new ones: from then on
  checks that name them are dropped. (RFC 8445 section 9 has both in use "until"
  the restart is over; who has recorded the old ones gains nothing from waiting.)
  The old path keeps its media for as long as its silence allows.
- When the current machine loses its path during a restart, the call is not over
  yet: restarts are what clients do when they lost theirs. Nothing is sent
  (`suspended`), and `PathLost` waits for the restart, `consent_timeout` at most.
- A further restart replaces the next machine, never the current one: there are
  two at most. What it may send comes out of the current one's budget, so a flood
  of restarts sends no more than one generation could.

Refuses: credentials that are not both new.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import attrs

from rtcproto.datagram import Address, Datagram
from rtcproto.errors import UsageError
from rtcproto.ice.candidate import Candidate
from rtcproto.ice.contract import (
    Credentials,
    IceEvent,
    IceMachine,
    IceStats,
    Path,
    PathLost,
    PathSelected,
)
from rtcproto.stun import peek_server_ufrag

__all__ = ["IceGenerations"]


class IceGenerations:
    """The machines of one session's ICE, seen as one; implements `IceMachine`.

    `machine` is the one in use, with its `local` and `remote` credentials; `timeout` the
    seconds that a restart may take if the path is lost.
    """

    __slots__ = (
        "_current",
        "_events",
        "_local",
        "_lost",
        "_next",
        "_now",
        "_out",
        "_past",
        "_remote",
        "_retired",
        "_started",
        "_timeout",
    )

    def __init__(
        self,
        machine: IceMachine,
        local: Credentials,
        remote: Credentials,
        timeout: float,
        now: float,
    ) -> None:
        self._current = machine
        self._next: IceMachine | None = None
        # The newest credentials: the next machine's, where there is one.
        self._local = local
        self._remote = remote
        self._timeout = timeout
        self._now = now
        # When the restart under way began; whether checks under older credentials
        # are refused; the event that waits for the restart to fail, too.
        self._started = now
        self._retired = False
        self._lost: PathLost | None = None
        # Counters of machines that are gone; their last datagrams; events.
        self._past = IceStats()
        self._out: list[Datagram] = []
        self._events: list[IceEvent] = []

    # Getters

    @property
    def restarting(self) -> bool:
        """Whether a restart is under way."""
        return self._next is not None

    @property
    def suspended(self) -> bool:
        """Whether nothing may be sent: the path is lost, and a restart may bring another."""
        return self._lost is not None

    @property
    def selected_path(self) -> Path | None:
        """Where media goes, or None."""
        return self._current.selected_path

    @property
    def round_trip_time(self) -> float | None:
        """Seconds of the newest answered request, or None."""
        return self._current.round_trip_time

    def is_validated(self, path: Path) -> bool:
        """Whether a good check of either generation came on `path`."""
        return self._current.is_validated(path) or (
            self._next is not None and self._next.is_validated(path)
        )

    def is_proven(self, path: Path) -> bool:
        """Whether the peer answered a request of either generation on `path`."""
        return self._current.is_proven(path) or (
            self._next is not None and self._next.is_proven(path)
        )

    def stats(self) -> IceStats:
        """The counters of all generations; the round trip is the one of the path in use."""
        total = _sum(self._past, self._current.stats())
        return total if self._next is None else _sum(self._next.stats(), total)

    # Inputs

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None
    ) -> bool:
        """Take a datagram that demux calls STUN; True if it is authentic."""
        if self._next is None:
            return self._current.receive_datagram(data, source, now, local)
        ufrag = peek_server_ufrag(data)
        if ufrag is None:
            # An answer, which names nobody: one of them knows its transaction.
            accepted = self._next.receive_datagram(data, source, now, local)
            accepted = accepted or self._current.receive_datagram(data, source, now, local)
        elif ufrag == self._local.ufrag.encode():
            accepted = self._next.receive_datagram(data, source, now, local)
            self._retired = self._retired or accepted
        elif self._retired:
            return self._reject("retired")
        else:
            accepted = self._current.receive_datagram(data, source, now, local)
        self._settle(now)
        return accepted

    def handle_timer(self, now: float) -> None:
        """Act on deadlines at or before `now`."""
        self._current.handle_timer(now)
        if self._next is not None:
            self._next.handle_timer(now)
            self._settle(now)

    # Verbs

    def set_remote(
        self, credentials: Credentials, candidates: Sequence[Candidate], now: float
    ) -> None:
        """Replace the peer's credentials alone, where the newest machine takes others."""
        (self._next or self._current).set_remote(credentials, candidates, now)
        self._remote = credentials

    def add_remote_candidate(self, candidate: Candidate, now: float) -> None:
        """Add a trickled candidate of the newest generation."""
        (self._next or self._current).add_remote_candidate(candidate, now)
        self._settle(now)

    def restart(
        self,
        local: Credentials,
        remote: Credentials,
        candidates: Sequence[Candidate],
        now: float,
    ) -> None:
        """Begin a restart with both sides' new credentials; replaces one that is under way.

        Raises `UsageError`, leaving everything as it was, if a ufrag or a password on
        either side is not new (RFC 8839 section 4.4.1.1.1: an agent "MUST change
        both") or does not fit a USERNAME.
        """
        if not (_renewed(self._local, local) and _renewed(self._remote, remote)):
            raise UsageError("an ICE restart changes both ufrag and password")
        machine = self._current.successor(local, now)
        machine.set_remote(remote, candidates, now)
        if self._next is not None:
            self._past = _sum(self._past, self._next.stats())
            self._next.close(now)
        self._next = machine
        self._local, self._remote = local, remote
        self._started = self._now = max(self._now, now)
        self._settle(now)

    def successor(self, local: Credentials, now: float) -> IceMachine:
        """A fresh machine of the current one's kind; see `IceMachine.successor`."""
        return self._current.successor(local, now)

    def close(self, now: float) -> None:
        """Stop everything; nothing is sent afterwards."""
        for machine in (self._current, self._next):
            if machine is not None:
                machine.close(now)
        self._lost = None
        self._out, self._events = [], []

    # Outputs

    def datagrams_to_send(self) -> list[Datagram]:
        """Drain what is to be sent."""
        out = self._current.datagrams_to_send()
        if self._out:
            out, self._out = self._out + out, []
        if self._next is not None:
            out += self._next.datagrams_to_send()
        return out

    def next_events(self) -> list[IceEvent]:
        """Drain the events."""
        if self._next is None and not self._events:
            return self._current.next_events()
        self._settle(self._now)
        events, self._events = self._events, []
        return events

    def get_timer(self) -> float | None:
        """The next deadline, or None."""
        if self._next is None:
            return self._current.get_timer()
        deadlines = [self._current.get_timer(), self._next.get_timer()]
        if self._lost is not None:
            deadlines.append(self._started + self._timeout)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    # Private

    def _settle(self, now: float) -> None:
        """After every input: sort both machines' events, and see whether the restart is over."""
        self._now = max(self._now, now)
        for event in self._current.next_events():
            if isinstance(event, PathLost) and self._next is not None:
                self._lost = self._lost or event
                continue
            if isinstance(event, PathSelected):
                self._lost = None
            self._events.append(event)
        if self._next is None:
            return
        for event in self._next.next_events():
            if isinstance(event, PathSelected) and self._next is not None:
                before = self._current.selected_path
                self._promote(self._next)
                if event.path == before:
                    continue
            # The next one's loss is not the call's: its path is not in use.
            if not isinstance(event, PathLost):
                self._events.append(event)
        if self._lost is not None and self._now >= self._started + self._timeout:
            self._events.append(self._lost)
            self._lost = None

    def _promote(self, machine: IceMachine) -> None:
        self._out += self._current.datagrams_to_send()
        self._past = _sum(self._past, self._current.stats())
        self._current.close(self._now)
        self._current, self._next = machine, None
        self._retired = False
        self._lost = None

    def _reject(self, reason: str) -> bool:
        self._past = _sum(self._past, IceStats(rejected={reason: 1}))
        return False


def _renewed(old: Credentials, new: Credentials) -> bool:
    return old.ufrag != new.ufrag and not hmac.compare_digest(old.pwd.encode(), new.pwd.encode())


def _sum(first: IceStats, second: IceStats) -> IceStats:
    """Both counters together; the round-trip time is the second's, if it has one."""
    rejected = dict(first.rejected)
    for reason, count in second.rejected.items():
        rejected[reason] = rejected.get(reason, 0) + count
    counts = {
        name: getattr(first, name) + getattr(second, name)
        for name in attrs.fields_dict(IceStats)
        if name not in ("current_round_trip_time", "rejected")
    }
    newest = second.current_round_trip_time
    return IceStats(
        current_round_trip_time=first.current_round_trip_time if newest is None else newest,
        rejected=rejected,
        **counts,
    )
