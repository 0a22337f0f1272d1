"""Finding flows again in a shared store: what to ask it, what to tell it, who waits meanwhile.

A relay needs no store: flows come back with the owner's next packet. With one, a client's media
goes on at once even where the owner is silent, or where the client's packets reach another relay or
worker than before. This module decides; it speaks to no store. What is to be done comes out
as commands (`StoreFlow`, `LookUpFlow`, `ForgetFlow`), what was found goes into the relay's core
(`RelayCore.flow_found`).

Theory of operation: the first packet of a client without a flow asks the store; it and the
next few wait, for a moment. If the store knows an owner, and the directory lists that owner
now, the flow is made, unproven as any new one, and the packets go. Else they are dropped as
they would have been without a store, and for a while nobody asks again. A record is written when a
flow is made or moves, and again whenever the table looks at a flow that is still in use.

What it refuses: more questions than the store should get (anybody can make them up by sending from
invented addresses), more packets than are worth keeping, answers to questions it did not
ask. Everything held here is bounded and lives for seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import attrs

from rtcproto.datagram import Address
from rtcproto.routing.table import BUCKET, FlowKey

__all__ = [
    "MAX_ABSENT",
    "MAX_COMMANDS",
    "MAX_LOOKUPS",
    "MAX_LOOKUP_RATE",
    "MAX_WAITING_PACKETS",
    "Command",
    "ForgetFlow",
    "LookUpFlow",
    "Recovery",
    "StoreFlow",
    "Waiting",
]

# Questions that are under way at once; a store that answers in 1 ms needs few.
MAX_LOOKUPS = 1024

# Packets that wait for one of them: 160 ms of audio. Later ones are dropped.
MAX_WAITING_PACKETS = 8

# Questions per second, and as many at once after a quiet second. A restarted relay with
# thousands of calls hears from most owners before it has asked for all of them.
MAX_LOOKUP_RATE = 2000

# Clients of whom the store knows nothing, remembered for `ABSENT_TIME`; the oldest makes room.
MAX_ABSENT = 16_384

# Commands that nobody has taken; later ones are dropped and counted.
MAX_COMMANDS = 16_384

# Seconds after which audio is not worth waiting for: what was not found by then is not there.
WAIT_TIME = 0.25

# Seconds until a client is asked for again. Its owner's own packet is the usual remedy.
ABSENT_TIME = 2.0

# Seconds that a record outlives the moment at which the flow would have gone.
RECORD_MARGIN = 5.0


@attrs.frozen(kw_only=True)
class StoreFlow:
    """Remember for `ttl` seconds that the packets of `key` go to `owner`."""

    key: FlowKey
    owner: Address
    ttl: float


@attrs.frozen(kw_only=True)
class LookUpFlow:
    """Ask for the owner of `key` and give the answer to `RelayCore.flow_found`."""

    key: FlowKey


@attrs.frozen(kw_only=True)
class ForgetFlow:
    """`owner` has released `key`."""

    key: FlowKey
    owner: Address


Command: TypeAlias = StoreFlow | LookUpFlow | ForgetFlow


@attrs.define(slots=True, eq=False)
class Waiting:
    """One question: the headers that its packets will get, and the packets."""

    header: bytes
    deadline: float
    packets: list[bytes] = attrs.field(factory=list)


class Recovery:
    """Questions under way, and what need not be asked. All times are the caller's seconds."""

    __slots__ = (
        "_absent",
        "_allowance",
        "_asked_at",
        "_commands",
        "_commands_dropped",
        "_ttl",
        "_waiting",
    )

    def __init__(self, idle_timeout: float) -> None:
        # The table looks at a flow one idle time-out and at most two buckets after its last look.
        self._ttl = idle_timeout + 2 * BUCKET + RECORD_MARGIN
        self._waiting: dict[FlowKey, Waiting] = {}
        self._absent: dict[FlowKey, float] = {}
        self._allowance = float(MAX_LOOKUP_RATE)
        self._asked_at: float | None = None
        self._commands: list[Command] = []
        self._commands_dropped = 0

    @property
    def commands_dropped(self) -> int:
        """Commands that nobody took in time."""
        return self._commands_dropped

    def wait(self, key: FlowKey, header: bytes, payload: bytes, now: float) -> bool:
        """A packet without a flow waits for the store's answer. False: it cannot."""
        waiting = self._waiting.get(key)
        if waiting is None:
            until = self._absent.get(key)
            if until is not None:
                if until > now:
                    return False
                del self._absent[key]
            if len(self._waiting) >= MAX_LOOKUPS or not self._may_ask(now):
                return False
            waiting = self._waiting[key] = Waiting(header, now + WAIT_TIME)
            self._command(LookUpFlow(key=key))
        if len(waiting.packets) >= MAX_WAITING_PACKETS:
            return False
        waiting.packets.append(payload)
        return True

    def answered(self, key: FlowKey) -> Waiting | None:
        """The question that an answer belongs to, which is over now; None if there is none."""
        return self._waiting.pop(key, None)

    def absent(self, key: FlowKey, now: float) -> None:
        """Nobody is known for `key`: do not ask again at once."""
        self._absent.pop(key, None)
        if len(self._absent) >= MAX_ABSENT:
            del self._absent[next(iter(self._absent))]
        self._absent[key] = now + ABSENT_TIME

    def overdue(self, now: float) -> Iterator[tuple[FlowKey, Waiting]]:
        """Questions whose answer did not come in time, oldest first; they are over now."""
        while self._waiting:
            key, waiting = next(iter(self._waiting.items()))
            if waiting.deadline > now:
                return
            del self._waiting[key]
            yield key, waiting

    def get_timer(self) -> float | None:
        """When the next question is overdue, or None."""
        # All wait for the same time, so the first asked is the first due.
        for waiting in self._waiting.values():
            return waiting.deadline
        return None

    def store(self, key: FlowKey, owner: Address) -> None:
        """The flow was made, moved, or is still in use."""
        self._absent.pop(key, None)
        self._command(StoreFlow(key=key, owner=owner, ttl=self._ttl))

    def forget(self, key: FlowKey, owner: Address) -> None:
        """The flow was released by its owner."""
        self._command(ForgetFlow(key=key, owner=owner))

    def next_commands(self) -> list[Command]:
        """What to tell or to ask the store, in order."""
        commands, self._commands = self._commands, []
        return commands

    def _may_ask(self, now: float) -> bool:
        if self._asked_at is not None and now > self._asked_at:
            earned = (now - self._asked_at) * MAX_LOOKUP_RATE
            self._allowance = min(self._allowance + earned, float(MAX_LOOKUP_RATE))
        if self._asked_at is None or now > self._asked_at:
            self._asked_at = now
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True

    def _command(self, command: Command) -> None:
        if len(self._commands) < MAX_COMMANDS:
            self._commands.append(command)
        else:
            self._commands_dropped += 1
