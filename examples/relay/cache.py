"""What the core has decided for flows, in the form that batches of packets are forwarded by.

Nothing is decided here. A decision is remembered after the core has made it for a packet, under the
bytes by which the next such packet is recognised, and forgotten when an event of the core says
that the flow ended or moved. What is kept is bounded by the core's flows:
`MAX_WAYS` inward and outward entries each.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Generic, TypeAlias, TypeVar

import attrs

from examples.relay.columns import pointer_to, write_name
from rtcproto.datagram import Address
from rtcproto.relay import RelayCore
from rtcproto.routing.table import Flow, FlowEvent, FlowKey, FlowRemoved

__all__ = ["Decisions", "Known", "Outward"]

# Different forms of one flow's packets: the same client over several interfaces.
MAX_WAYS = 4

# Addresses of transceivers that are kept packed; all of a large fleet.
MAX_OWNERS = 65_536

_WORDS = Struct("=QQ")

Value = TypeVar("Value")


class Known(dict[bytes, Value], Generic[Value]):
    """The decisions for what one socket receives."""

    __slots__ = ()


@attrs.frozen(eq=False)
class Outward:
    """Where packets of a flow's owner go: (name, control) as two words, and through which face.

    `held` is what the words point to.
    """

    words: bytes
    flow: Flow
    face: object
    held: tuple[bytes, bytes]


# What is remembered of one flow: where, by which bytes, and the bytes that pointers point to.
_Memory: TypeAlias = list[tuple[Known[bytes] | Known[Outward], bytes, object, Flow]]


class Decisions:
    """All that is remembered for one core."""

    __slots__ = ("_core", "_events_dropped", "_flows", "_owners")

    def __init__(self, core: RelayCore) -> None:
        self._core = core
        self._flows: dict[FlowKey, _Memory] = {}
        self._owners: dict[Address, bytes] = {}
        self._events_dropped = 0

    def __len__(self) -> int:
        """Flows of which something is remembered."""
        return len(self._flows)

    def learn_inward(
        self, known: Known[bytes], key: bytes, client: Address, public: Address
    ) -> None:
        """The core forwarded a packet by the flow of this pair; `key` recognises the next."""
        flow = self._core.flow_of(client, public)
        if flow is None:
            return
        name = self._owners.get(flow.owner)
        if name is None:
            if len(self._owners) >= MAX_OWNERS:
                self._owners.clear()
            name = self._owners[flow.owner] = write_name(flow.owner)
        words = _WORDS.pack(pointer_to(name), pointer_to(flow.header))
        if self._remember(known, key, flow, name):
            known[key] = words

    def learn_outward(
        self,
        known: Known[Outward],
        key: bytes,
        header: bytes,
        owner: Address,
        answer: tuple[Address, Address],
        control: bytes,
        face: object,
    ) -> None:
        """The core sent a packet of `owner` behind `header` to a client: `answer` is the pair.

        Remembered only if the core would not even ask: the flow is the owner's, and proven.
        """
        client, public = answer
        flow = self._core.flow_of(client, public)
        if flow is None or not flow.proven or flow.owner != owner or flow.header != header:
            return
        name = write_name(client)
        words = _WORDS.pack(pointer_to(name), pointer_to(control) if control else 0)
        if self._remember(known, key, flow, None):
            known[key] = Outward(words, flow, face, (name, control))

    def apply(self, events: Iterable[FlowEvent]) -> None:
        """Forget what no longer holds. All events, in order, before the next packet."""
        for event in events:
            if isinstance(event, FlowRemoved):
                memory = self._flows.pop((event.client, event.public), None)
                if memory is not None:
                    _forget(memory)
        dropped = self._core.stats().flow_events_dropped if events else self._events_dropped
        if dropped != self._events_dropped:
            # We do not know which: all of it may be wrong.
            self._events_dropped = dropped
            for memory in self._flows.values():
                _forget(memory)
            self._flows.clear()

    def _remember(
        self, known: Known[bytes] | Known[Outward], key: bytes, flow: Flow, held: object
    ) -> bool:
        memory = self._flows.setdefault(flow.key, [])
        if sum(at is known for at, _, _, _ in memory) >= MAX_WAYS:
            return False
        # The flow, for its header: a pointer must never outlive what it points to, whatever
        # the core does before its events are read.
        memory.append((known, key, held, flow))
        return True


def _forget(memory: _Memory) -> None:
    for known, key, _, _ in memory:
        known.pop(key, None)
