"""Flows: which transceiver a client's packets go to when they do not say it themselves.

DTLS, SRTP and STUN responses carry no ufrag. They follow the flow of their pair
(client address, public address they hit). A second address of a client is a
second flow and never touches the first. Behind another relay the pair alone would not say
where answers go, so the hop it came through (`via`) is part of the key there.

**The owner's reply makes the flow.** Nothing that a client sends creates, refreshes
or changes one; only a datagram from a configured transceiver for that pair does
(`reply`). A flood of checks from invented sources leaves nothing here.

**Proven flows stay.** A flow is proven once its owner has sent media through it,
because owners send media only to addresses that have proven themselves:

| flow is | reply of its owner | reply of another owner |
|---|---|---|
| absent | made, unproven (proven if media) | the same |
| unproven | refreshed; proven if media | moves to the newest owner |
| proven | refreshed | stays, unless its owner was silent for `takeover_silence` |

So somebody with a valid session of his own, who spoofs a victim's source address,
gains nothing while the victim's owner is alive. A release by the owner removes the
flow at once; one by anybody else is refused.

**Everything ends.** A flow whose owner sent nothing for `idle_timeout` goes, at most
`BUCKET` later. At `max_flows` a new flow takes the place of the oldest unproven one:
unproven flows are what an attacker with a valid session can make in numbers, while
calls pass through that state in a fraction of a second. Refusing new flows instead would let such
a flood lock out every new call. If all flows are proven the new one is refused.

Every operation is O(1); expiry visits each flow once per `idle_timeout`, in slices
of `EXPIRY_SLICE`, so that many flows that end at once do not stall forwarding.
Called by the relay's core, which reads `by_client` and `by_header` directly.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

import attrs

from rtcproto.datagram import Address
from rtcproto.errors import UsageError

__all__ = [
    "BUCKET",
    "EXPIRY_SLICE",
    "IDLE_TIMEOUT",
    "MAX_FLOWS",
    "MAX_FLOW_EVENTS",
    "MAX_SHARED_ADDRESSES",
    "TAKEOVER_SILENCE",
    "Flow",
    "FlowAdded",
    "FlowEvent",
    "FlowKey",
    "FlowProven",
    "FlowRemoved",
    "FlowTable",
    "Removal",
    "Reply",
]

# Seconds without a packet of the owner after which a flow goes. A live client draws an
# answer every 2.5 to 6 s (consent, RFC 7675 section 5.1), media far more often.
IDLE_TIMEOUT = 30.0

# Seconds of silence of the owner after which a proven flow may move: two consent
# intervals of a live client and some loss.
TAKEOVER_SILENCE = 15.0

# Flows of one process: about 0.6 KB each, and more calls than one core can forward.
MAX_FLOWS = 262_144

# Events kept until somebody drains them. Later ones are dropped and counted; whoever
# acts on events and sees that count move reads the table anew.
MAX_FLOW_EVENTS = 65_536

# Addresses of owners, our own and those of other relays that flows share instead of keeping a copy
# each: all of a large fleet. When full, all are forgotten and shared anew.
MAX_SHARED_ADDRESSES = 65_536

# Granularity of expiry, seconds.
BUCKET = 1.0

# Flows looked at in one call of `handle_timer`, and the pause between slices, seconds.
EXPIRY_SLICE = 256
_SLICE_PAUSE = 0.001


# (client, public), or (client, public, via) behind another relay.
FlowKey: TypeAlias = tuple[Address, ...]


class Removal(enum.Enum):
    """Why a flow ended."""

    IDLE = "its owner sent nothing for the idle time-out"
    RELEASED = "its owner released it"
    MOVED = "another owner took it over"
    EVICTED = "unproven, it made room for a newer one"
    UNLISTED = "its owner is no longer in the directory"


class Reply(enum.Enum):
    """What a reply did to the table."""

    REFRESHED = "the flow was the sender's"
    ADDED = "a flow was made"
    MOVED = "the flow was taken over by the sender"
    REFUSED = "a proven flow stayed with its owner"
    FULL = "no flow was made: all there may be are proven, or the table is closed"


@attrs.frozen(kw_only=True)
class FlowAdded:
    """Packets of `client` to `public` go to `owner` from now on."""

    client: Address
    public: Address
    owner: Address
    via: Address | None = None


@attrs.frozen(kw_only=True)
class FlowProven:
    """`owner` has sent media: the flow is safe from take-over, and worth a fast path."""

    client: Address
    public: Address
    owner: Address
    via: Address | None = None


@attrs.frozen(kw_only=True)
class FlowRemoved:
    """Packets of `client` to `public` no longer go to `owner`."""

    client: Address
    public: Address
    owner: Address
    reason: Removal
    via: Address | None = None


FlowEvent: TypeAlias = FlowAdded | FlowProven | FlowRemoved


class Flow:
    """One entry. Only `sent` may be written from outside the table (see `FlowTable`)."""

    __slots__ = ("bucket", "client", "header", "key", "owner", "proven", "public", "sent", "via")

    def __init__(
        self,
        client: Address,
        public: Address,
        header: bytes,
        owner: Address,
        via: Address | None,
    ) -> None:
        self.client = client
        self.public = public
        # The relay in front of us that it came through, if any.
        self.via = via
        self.key: FlowKey = (client, public) if via is None else (client, public, via)
        # The proxy header of the pair, packed once; behind another relay, both headers.
        self.header = header
        self.owner = owner
        self.proven = False
        # When the owner last sent something.
        self.sent = 0.0
        self.bucket = 0

    def __repr__(self) -> str:
        state = "proven" if self.proven else "unproven"
        return f"Flow({self.client} at {self.public} to {self.owner}, {state})"


class FlowTable:
    """The table. `reply` and `release` are its inputs; all times are the caller's seconds.

    `by_client` (keyed by client, public address and perhaps `via`) and `by_header` (keyed by
    the packed proxy headers) are for reading. A caller that has seen for itself that a packet
    comes from a flow's owner and proves nothing new may set `flow.sent = now` instead of
    calling `reply`.
    """

    __slots__ = (
        "_buckets",
        "_closed",
        "_events",
        "_events_dropped",
        "_idle_timeout",
        "_max_flows",
        "_next",
        "_shared",
        "_takeover_silence",
        "_unproven",
        "_used",
        "by_client",
        "by_header",
    )

    def __init__(
        self,
        *,
        max_flows: int = MAX_FLOWS,
        idle_timeout: float = IDLE_TIMEOUT,
        takeover_silence: float = TAKEOVER_SILENCE,
        report_used: bool = False,
    ) -> None:
        if max_flows < 1 or not 0 < takeover_silence <= idle_timeout:
            raise UsageError("a flow table needs room and 0 < takeover_silence <= idle_timeout")
        self._max_flows = max_flows
        self._closed = False
        self._idle_timeout = idle_timeout
        self._takeover_silence = takeover_silence
        self.by_client: dict[FlowKey, Flow] = {}
        self.by_header: dict[bytes, Flow] = {}
        # Oldest first. Ordered with O(1) removal at both ends, which a dict is not.
        self._unproven: OrderedDict[bytes, Flow] = OrderedDict()
        # Expiry: flows by the whole second at which to look at them next. A refresh does not
        # move a flow; the look does.
        self._buckets: dict[int, dict[Flow, None]] = {}
        self._next: float | None = None
        self._shared: dict[Address, Address] = {}
        self._events: list[FlowEvent] = []
        self._events_dropped = 0
        # Flows that expiry found in use; None if nobody asks.
        self._used: list[Flow] | None = [] if report_used else None

    # Getters

    def __len__(self) -> int:
        return len(self.by_client)

    @property
    def unproven(self) -> int:
        """How many flows are unproven."""
        return len(self._unproven)

    @property
    def events_dropped(self) -> int:
        """Events that nobody drained in time."""
        return self._events_dropped

    def owner_of(self, client: Address, public: Address) -> Address | None:
        """Where packets of `client` to `public` go, or None."""
        flow = self.by_client.get((client, public))
        return None if flow is None else flow.owner

    def is_proven(self, client: Address, public: Address) -> bool:
        """True if there is a flow and it is proven."""
        flow = self.by_client.get((client, public))
        return flow is not None and flow.proven

    # Inputs

    def reply(
        self,
        owner: Address,
        client: Address,
        public: Address,
        header: bytes,
        media: bool,
        now: float,
        *,
        via: Address | None = None,
    ) -> Reply:
        """A datagram of `owner` for `client` from `public`; `header` is the pair, packed.

        `media`: it was SRTP or DTLS application data. That `owner` is listed, the caller has
        checked, and that `via`, where the answer goes instead of to the client, is a relay.
        """
        flow = self.by_header.get(header)
        if flow is None:
            result = Reply.ADDED
            if self._closed:
                return Reply.FULL
            if len(self.by_client) >= self._max_flows and not self._make_room():
                return Reply.FULL
            share = self._share
            if via is not None:
                via = share(via)
            flow = Flow(client, share(public), header, share(owner), via)
            self.by_client[flow.key] = flow
            self.by_header[header] = flow
            self._unproven[header] = flow
            self._emit(FlowAdded(client=client, public=public, owner=owner, via=via))
            flow.sent = now
            self._schedule(flow)
        elif flow.owner == owner:
            result = Reply.REFRESHED
            flow.sent = now
        elif flow.proven and now - flow.sent < self._takeover_silence:
            return Reply.REFUSED
        else:
            result = Reply.MOVED
            self._emit_removed(flow, Removal.MOVED)
            flow.owner = self._share(owner)
            flow.sent = now
            flow.proven = False
            self._unproven[header] = flow
            self._unproven.move_to_end(header)
            self._emit(FlowAdded(client=client, public=public, owner=owner, via=via))
        if media and not flow.proven:
            flow.proven = True
            del self._unproven[header]
            self._emit(FlowProven(client=client, public=public, owner=owner, via=via))
        return result

    def release(
        self, owner: Address, client: Address, public: Address, via: Address | None = None
    ) -> bool:
        """`owner` has nothing more to send there. True if it had a flow to give up."""
        flow = self.by_client.get((client, public) if via is None else (client, public, via))
        if flow is None or flow.owner != owner:
            return False
        self._remove(flow, Removal.RELEASED)
        return True

    def close(self) -> None:
        """Make no flow from now on; those that are there stay until they end."""
        self._closed = True

    def retain_owners(self, listed: Callable[[Address], bool]) -> None:
        """Remove the flows of owners that are no longer `listed`. O(n), for a changed directory."""
        for flow in [flow for flow in self.by_client.values() if not listed(flow.owner)]:
            self._remove(flow, Removal.UNLISTED)

    def handle_timer(self, now: float) -> None:
        """Remove what was idle for too long, a slice at a time."""
        if self._next is None or self._next > now:
            return
        budget = EXPIRY_SLICE
        while self._buckets:
            second = min(self._buckets)
            if second * BUCKET > now:
                self._next = second * BUCKET
                return
            bucket = self._buckets[second]
            while bucket and budget:
                flow, _ = bucket.popitem()
                budget -= 1
                if flow.sent + self._idle_timeout <= now:
                    self._remove(flow, Removal.IDLE)
                else:
                    self._schedule(flow)
                    if self._used is not None:
                        self._used.append(flow)
            if bucket:
                self._next = now + _SLICE_PAUSE
                return
            del self._buckets[second]
        self._next = None

    # Outputs

    def get_timer(self) -> float | None:
        """When to call `handle_timer`, or None."""
        return self._next

    def next_events(self) -> list[FlowEvent]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def take_used(self) -> list[Flow]:
        """Flows that the last `handle_timer` found in use, if `report_used` was set.

        Each comes up once per idle time-out, at most `EXPIRY_SLICE` per call.
        """
        if not self._used:
            return []
        used, self._used = self._used, []
        return used

    # Private

    def _share(self, address: Address) -> Address:
        shared = self._shared.get(address)
        if shared is None:
            if len(self._shared) >= MAX_SHARED_ADDRESSES:
                self._shared.clear()
            shared = self._shared[address] = address
        return shared

    def _make_room(self) -> bool:
        if not self._unproven:
            return False
        _, oldest = next(iter(self._unproven.items()))
        self._remove(oldest, Removal.EVICTED)
        return True

    def _schedule(self, flow: Flow) -> None:
        # One past the deadline's own bucket, so that a look never comes too early.
        second = int((flow.sent + self._idle_timeout) // BUCKET) + 1
        flow.bucket = second
        bucket = self._buckets.get(second)
        if bucket is None:
            bucket = self._buckets[second] = {}
            due = second * BUCKET
            if self._next is None or due < self._next:
                self._next = due
        bucket[flow] = None

    def _remove(self, flow: Flow, reason: Removal) -> None:
        del self.by_client[flow.key]
        del self.by_header[flow.header]
        if not flow.proven:
            del self._unproven[flow.header]
        bucket = self._buckets.get(flow.bucket)
        # Absent if expiry has just taken it out. An empty bucket stays until its time.
        if bucket is not None:
            bucket.pop(flow, None)
        self._emit_removed(flow, reason)

    def _emit_removed(self, flow: Flow, reason: Removal) -> None:
        self._emit(
            FlowRemoved(
                client=flow.client,
                public=flow.public,
                owner=flow.owner,
                reason=reason,
                via=flow.via,
            )
        )

    def _emit(self, event: FlowEvent) -> None:
        if len(self._events) < MAX_FLOW_EVENTS:
            self._events.append(event)
        else:
            self._events_dropped += 1
