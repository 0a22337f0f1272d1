"""The virtual clock: an event heap, seeded randomness, and nothing of the real world.

A `World` knows time and chance; wires and machines live in
`rtcproto.testing.network`. Two runs with one seed do the same things in the
same order, so a failure is repeated by its seed: every exception that leaves a
`run_*` or `step` call carries the seed and the virtual instant as a note.

Randomness is derived per name (`rng("client")`), not drawn from one stream:
adding a node or a link does not change what the others draw.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

__all__ = ["Entropy", "LawBroken", "LimitReached", "World"]

Entropy: TypeAlias = Callable[[int], bytes]

# An instant at which this many events happen one after the other is a busy
# loop in a machine, not a busy network.
MAX_EVENTS_PER_INSTANT = 100_000


class LawBroken(AssertionError):
    """A machine broke the Sans-IO contract while a world drove it."""


class LimitReached(AssertionError):
    """`World.run_until` ran out of virtual time, or of anything that could happen."""


class World:
    """A virtual clock that starts at `start` seconds and moves only when it is run."""

    __slots__ = ("_at_this_instant", "_heap", "_now", "_on_run", "_order", "seed")

    def __init__(self, seed: int, start: float = 1000.0) -> None:
        self.seed = seed
        self._now = start
        # (when, order of insertion, what): the order breaks ties, so that
        # simultaneous events happen in the order in which they were planned.
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._at_this_instant = 0
        self._on_run: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"World(seed={self.seed}, now={self._now:.6f}, {len(self._heap)} planned)"

    # -- Getters

    @property
    def now(self) -> float:
        """The virtual instant, in seconds."""
        return self._now

    def rng(self, name: str) -> random.Random:
        """A generator of its own for `name`, derived from the seed; a new one at each call."""
        return random.Random(f"{self.seed}/{name}")

    def entropy(self, name: str) -> Entropy:
        """What a machine takes as `entropy`: n -> n bytes, derived from the seed and `name`."""
        return self.rng(f"entropy/{name}").randbytes

    # -- Planning

    def call_at(self, when: float, what: Callable[[], None]) -> None:
        """Plan `what` for the instant `when`; an instant in the past means now."""
        self._order += 1
        heapq.heappush(self._heap, (max(when, self._now), self._order, what))

    def call_later(self, seconds: float, what: Callable[[], None]) -> None:
        """Plan `what` for `seconds` from now."""
        self.call_at(self._now + seconds, what)

    def on_run(self, what: Callable[[], None]) -> None:
        """Do `what` whenever a run or step begins: how hosts notice verbs called meanwhile."""
        self._on_run.append(what)

    # -- Running

    def step(self) -> bool:
        """Move to the next planned event and do it; False if nothing is planned."""
        with _SeedNote(self):
            self._begin()
            return self._step()

    def run_for(self, seconds: float) -> None:
        """Do everything planned within `seconds` (bounds included); the clock then stands there."""
        with _SeedNote(self):
            self._begin()
            self._run_to(self._now + seconds)

    def run_until(self, predicate: Callable[[], object], limit: float = 60.0) -> float:
        """Run until `predicate()` is true and return the virtual seconds that took.

        Raises `LimitReached` after `limit` virtual seconds, or when nothing is
        planned any more; the clock then stands at the last event.
        """
        with _SeedNote(self):
            self._begin()
            started = self._now
            while not predicate():
                if not self._heap:
                    raise LimitReached("nothing more will happen and the condition is not met")
                if self._heap[0][0] > started + limit:
                    raise LimitReached(f"condition not met within {limit} virtual seconds")
                self._step()
            return self._now - started

    # -- Private

    def _begin(self) -> None:
        self._at_this_instant = 0
        for what in self._on_run:
            what()

    def _run_to(self, end: float) -> None:
        while self._heap and self._heap[0][0] <= end:
            self._step()
        self._now = max(self._now, end)

    def _step(self) -> bool:
        if not self._heap:
            return False
        when, _, what = heapq.heappop(self._heap)
        if when > self._now:
            self._now = when
            self._at_this_instant = 0
        self._at_this_instant += 1
        if self._at_this_instant > MAX_EVENTS_PER_INSTANT:
            raise LawBroken(f"{MAX_EVENTS_PER_INSTANT} events without time passing")
        what()
        return True


class _SeedNote:
    """Adds seed and instant to whatever exception passes through."""

    __slots__ = ("_world",)

    def __init__(self, world: World) -> None:
        self._world = world

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(f"World(seed={self._world.seed}) at t={self._world.now:.6f}")
