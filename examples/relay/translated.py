"""Notices at the start that clients do not arrive under their own addresses.

A relay knows clients by their addresses. Where something in front of it puts its own address in
place of theirs (a Kubernetes Service without `externalTrafficPolicy: Local`, a load balancer that
terminates), calls work at first, and break when a client's packets come through another such place.
Seen from here: many flows, all from a few addresses of private networks. That is all that is
looked at, for the first flows only; no address is kept after that, and none is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

from rtcproto.routing.table import FlowAdded, FlowEvent

__all__ = ["FEW", "LOOK_AT", "AddressCheck"]

# So many flows are looked at, and so few addresses are suspicious: clients that share one (homes,
# offices) do so under a public one, and those of a private network have their own.
LOOK_AT = 64
FEW = 16


class AddressCheck:
    """An observer of a worker's flows. `warn` is called at most once, with one line."""

    __slots__ = ("_hosts", "_left", "_looks_translated", "_warn")

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._left = LOOK_AT
        self._hosts: set[str] = set()
        self._looks_translated = False

    def observe(self, events: Sequence[FlowEvent], now: float) -> None:
        """Look at the clients of new flows, until there were enough."""
        if not self._left:
            return
        for event in events:
            # Those behind another relay are that relay's to look at.
            if isinstance(event, FlowAdded) and event.via is None and self._left:
                self._look(event.client[0])

    def values(self) -> Mapping[str, int]:
        """What was found, for metrics."""
        return {"clients_look_translated": int(self._looks_translated)}

    def _look(self, host: str) -> None:
        ip = ip_address(host)
        self._left -= 1
        self._hosts.add(host)
        # Loopback is a developer's.
        if ip.is_global or ip.is_loopback or len(self._hosts) > FEW:
            self._left = 0
        elif not self._left:
            self._looks_translated = True
            count = len(self._hosts)
            self._warn(
                f"the first {LOOK_AT} flows are all from {count} private"
                f" address{'es' if count != 1 else ''}: something in front of this relay seems to"
                " put its own address in place of the clients'"
                " (on Kubernetes, see externalTrafficPolicy: Local)"
            )
        if not self._left:
            self._hosts.clear()
