"""Which paths a lite agent knows, and which of them carries media.

The organ of `lite` that decides; it sees no messages and sends none. `lite`
tells it what was authenticated: a check or an answer heard, a nomination, a
proof. It answers with events.

The rules, in the order in which they apply to a path:

- *validated*: an authentic check came. At most `max_paths` are kept; the oldest
  that is not selected gives way, one without proof first. If its proving request
  is on its way, its state is set aside until that would have been given up: an
  answer, or another check, brings the path back as it was.
- *proven*: the peer answered our own request there, in the last `lifetime`
  seconds. Only now can it be selected, and only so long. A selected path whose
  proof expires yields to the proven one that was heard last; without one,
  `PathLost`: whoever sends must stop.
- *selected*: it was nominated; or nothing was selected; or the selected path
  has been silent for `SILENCE_BEFORE_MOVE` and this one has been heard since.
- forgotten: nothing was heard on it for `lifetime` seconds. `PathLost` tells of
  the selected path and of the last one.

What is set aside matters when old checks are replayed from many addresses while
the peer roams: each replay is a new path, and pushes the peer's own out within
one round trip. Only the peer can answer, and its answer finds the state.

RFC 8445 sections 7.3.2 and 8.2 nominate without a proof; waiting for one keeps
a valid peer from turning our media on a third party.
"""

from __future__ import annotations

from collections.abc import ItemsView

import attrs

from rtcproto.ice.contract import (
    IceEvent,
    Path,
    PathLost,
    PathProven,
    PathSelected,
    PathValidated,
)
from rtcproto.stun import Transaction

__all__ = ["MAX_EVICTED", "SILENCE_BEFORE_MOVE", "PathState", "PathTable"]

# RFC 7675 section 5.1 spaces checks by at most 1.2 * 5 s. A second more for the
# network, and a check is missing on the selected path.
SILENCE_BEFORE_MOVE = 7.0

# Paths set aside while their proof is under way; the oldest is forgotten. Replays
# pay for proving requests with their own bytes, three checks for one request, so
# at 1,000 replays a second this still is a fifth of a second to answer in.
MAX_EVICTED = 64


@attrs.define
class PathState:
    """What is known of one path. Times are the caller's `now`."""

    heard: float  # when its last fresh authentic message came
    proof: float | None = None  # when the peer last answered a request of ours, if it counts
    nominated: bool = False  # USE-CANDIDATE was seen here at some time
    claims: int = 0  # USE-CANDIDATE seen here since it was last seen on the selected path
    proving: Transaction | None = None  # our own request, while it is under way
    asked: bool = False  # that request has left at least once
    asked_at: float = 0.0  # when the newest request was due to leave

    @property
    def proven(self) -> bool:
        """Whether the peer is known to be there."""
        return self.proof is not None

    def waits(self, now: float) -> bool:
        """Whether an answer may still come: the request left, and is not given up by now."""
        proving = self.proving
        return (
            proving is not None
            and self.asked
            and now < proving.started + proving.schedule.offsets()[-1]
        )


class PathTable:
    """The paths of one session, oldest first."""

    __slots__ = ("_events", "_evicted", "_lifetime", "_max_paths", "_selected", "_states")

    def __init__(self, max_paths: int, lifetime: float) -> None:
        self._max_paths = max_paths
        self._lifetime = lifetime
        self._states: dict[Path, PathState] = {}
        self._evicted: dict[Path, PathState] = {}
        self._selected: Path | None = None
        self._events: list[IceEvent] = []

    # Getters

    @property
    def selected(self) -> Path | None:
        """Where media goes, or None."""
        return self._selected

    def get(self, path: Path) -> PathState | None:
        """The state of a path that is known."""
        return self._states.get(path)

    def waiting(self, path: Path, now: float) -> PathState | None:
        """The state of a path that is known, or pushed out with its answer outstanding."""
        state = self._states.get(path)
        if state is not None:
            return state
        state = self._evicted.get(path)
        return state if state is not None and state.waits(now) else None

    def items(self) -> ItemsView[Path, PathState]:
        """All paths, oldest first."""
        return self._states.items()

    def deadline(self) -> float | None:
        """When silence next has a consequence, or None."""
        silences = [
            (state.heard if state.proof is None else min(state.heard, state.proof)) + self._lifetime
            for state in self._states.values()
        ]
        if self._selected is not None:
            heard = self._states[self._selected].heard
            if self._heard_since(heard) is not None:
                silences.append(heard + SILENCE_BEFORE_MOVE)
        return min(silences, default=None)

    # What was authenticated

    def heard(self, path: Path, now: float) -> PathState:
        """A fresh authentic message came on `path`."""
        state = self._states.get(path)
        if state is None:
            state = self.waiting(path, now) or PathState(now)
            self.restore(path, state, now)
        state.heard = now
        return state

    def restore(self, path: Path, state: PathState, now: float) -> None:
        """Make `path` known with `state`, if it is not."""
        if path not in self._states:
            self._evicted.pop(path, None)
            self._make_room(now)
            self._states[path] = state
            self._events.append(PathValidated(path=path))

    def nominate(self, path: Path) -> None:
        """Grant USE-CANDIDATE, now or when the path is proven.

        A peer that nominates every pair it checks (RFC 5245's aggressive
        nomination) would move media with each check: a path that was nominated
        before must ask twice in a row to take over from one that still is.
        """
        state = self._states[path]
        first = not state.nominated
        state.nominated = True
        if path == self._selected:
            for other in self._states.values():
                other.claims = 0
            return
        state.claims += 1
        if state.proven and (first or state.claims >= 2):
            self._select(path)

    def prove(self, path: Path, now: float) -> None:
        """The peer answered our own request on `path`."""
        state = self._states[path]
        state.heard = now
        fresh, state.proof = state.proof is None, now
        if fresh:
            self._events.append(PathProven(path=path))
        if self._selected is None or (fresh and state.claims):
            self._select(path)

    # What time does

    def leave_silent(self, now: float) -> None:
        """Move from a silent selected path to the proven one that was heard last."""
        if self._selected is None:
            return
        heard = self._states[self._selected].heard
        other = self._heard_since(heard)
        if other is not None and heard + SILENCE_BEFORE_MOVE <= now:
            self._select(other)

    def forget_silent(self, now: float) -> None:
        """Drop the paths whose lifetime is over."""
        for path in [path for path, state in self._evicted.items() if not state.waits(now)]:
            del self._evicted[path]
        silent = {
            path: state.heard
            for path, state in self._states.items()
            if state.heard + self._lifetime <= now
        }
        if not silent:
            return
        for path in silent:
            del self._states[path]
        if self._selected in silent or not self._states:
            heard = silent[self._selected] if self._selected is not None else max(silent.values())
            self._selected = None
            self._events.append(PathLost(silent_for=now - heard))

    def end_proofs(self, now: float) -> None:
        """Void the proofs that the peer has not renewed; never leave media without one."""
        for path, state in self._states.items():
            if state.proof is None or state.proof + self._lifetime > now:
                continue
            silent_for = now - state.proof
            state.proof = None
            if path == self._selected:
                other = self._heard_since(float("-inf"))
                if other is None:
                    self._selected = None
                    self._events.append(PathLost(silent_for=silent_for))
                else:
                    self._select(other)

    def forget_evicted(self) -> None:
        """Proofs under way count no longer: the peer's credentials are new."""
        self._evicted.clear()

    def clear(self) -> None:
        """Forget everything, silently."""
        self._states.clear()
        self._evicted.clear()
        self._selected = None
        self._events = []

    def next_events(self) -> list[IceEvent]:
        """Drain the events."""
        events, self._events = self._events, []
        return events

    # Private

    def _select(self, path: Path) -> None:
        for state in self._states.values():
            state.claims = 0
        if path != self._selected:
            self._selected = path
            self._events.append(PathSelected(path=path))

    def _make_room(self, now: float) -> None:
        if len(self._states) < self._max_paths:
            return
        idle = [path for path in self._states if path != self._selected]
        unproven = [path for path in idle if not self._states[path].proven]
        path = (unproven or idle)[0]
        state = self._states.pop(path)
        if state.waits(now):
            self._evicted[path] = state
            if len(self._evicted) > MAX_EVICTED:
                del self._evicted[next(iter(self._evicted))]

    def _heard_since(self, moment: float) -> Path | None:
        """The proven path that was heard last, if that was after `moment`."""
        newest, found = moment, None
        for path, state in self._states.items():
            if state.proven and state.heard > newest:
                newest, found = state.heard, path
        return found
