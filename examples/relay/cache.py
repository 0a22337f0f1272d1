"""What the core has decided for flows, in the form that batches of packets are forwarded by.

Nothing is decided here. A decision is remembered after the core has made it for a packet, under the
bytes by which the next such packet is recognised, and forgotten when an event of the core says
that the flow ended or moved. What is kept is bounded by the core's flows:
`MAX_WAYS` inward and outward entries each.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Any, Generic, TypeAlias, TypeVar

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


@attrs.frozen(eq=False, weakref_slot=False)
class Outward:
    """Where packets of a flow's owner go: (name, control) as two words, and through which face.

    `name` is what the first word points to, the second to what the face itself keeps.
    """

    words: bytes
    flow: Flow
    face: object
    name: bytes


# What is remembered of one flow, in one flat piece because there are so many: the flow, the
# packed address of its owner, and for each entry the dictionary and the key. Entries inward
# point into the first two.
_Memory: TypeAlias = tuple[Any, ...]


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
        memory = self._remember(known, key, flow)
        if memory is not None:
            known[key] = _WORDS.pack(pointer_to(memory[1]), pointer_to(flow.header))

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
        `control` must live as long as `known`.
        """
        client, public = answer
        flow = self._core.flow_of(client, public)
        if flow is None or not flow.proven or flow.owner != owner or flow.header != header:
            return
        if self._remember(known, key, flow) is not None:
            name = write_name(client)
            words = _WORDS.pack(pointer_to(name), pointer_to(control) if control else 0)
            known[key] = Outward(words, flow, face, name)

    def apply(self, events: Iterable[FlowEvent]) -> None:
        """Forget what no longer holds. All events, in order, before the next packet."""
        for event in events:
            if isinstance(event, FlowRemoved):
                memory = self._flows.pop((event.client, event.public), None)
                if memory is not None:
                    _forget(memory)
        dropped = self._core.flow_events_dropped
        if dropped != self._events_dropped:
            # We do not know which: all of it may be wrong.
            self._events_dropped = dropped
            for memory in self._flows.values():
                _forget(memory)
            self._flows.clear()

    def _remember(
        self, known: Known[bytes] | Known[Outward], key: bytes, flow: Flow
    ) -> _Memory | None:
        memory = self._flows.get(flow.key)
        if memory is not None and memory[0] is not flow:
            # The pair has a new flow, and the end of the old one was not read yet.
            _forget(memory)
            memory = None
        if memory is None:
            memory = flow, self._name_of(flow.owner)
        elif sum(at is known for at in memory[2::2]) >= MAX_WAYS:
            return None
        # It holds the flow, for its header: a pointer must never outlive what it points to,
        # whatever the core does before its events are read.
        memory = self._flows[flow.key] = (*memory, known, key)
        return memory

    def _name_of(self, owner: Address) -> bytes:
        name = self._owners.get(owner)
        if name is None:
            if len(self._owners) >= MAX_OWNERS:
                self._owners.clear()
            name = self._owners[owner] = write_name(owner)
        return name


def _forget(memory: _Memory) -> None:
    for known, key in zip(memory[2::2], memory[3::2], strict=True):
        known.pop(key, None)
