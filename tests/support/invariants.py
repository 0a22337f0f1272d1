"""What must hold at every step of every simulated run.

`Watch` is a tap that looks at everything two sessions send: no media to a path that
is not proven, no SRTP index twice under one key and SSRC, no payload in the
clear, a bounded number of bytes to a path that is not proven.

`digest` is everything that a machine remembers, as plain values: taken before and
after an input, it shows whether the input changed anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from rtcproto._serial import unwrap
from rtcproto.datagram import Address
from rtcproto.demux import Kind, classify
from rtcproto.dtls.flight import MAX_BYTES
from rtcproto.ice.proving import ALLOWANCE
from rtcproto.session import Session
from rtcproto.testing import Packet

__all__ = ["Watch", "difference", "digest"]

# What a datagram may change whatever it holds: counters, and the instant of the
# newest input. Nothing of it decides anything.
COUNTERS = frozenset(
    {"_rejected", "_dropped", "_counters", "_received", "_now", "_headers", "_by_kind"}
)

# Bytes to a path before it is proven, threat R5 and rule 9: a whole handshake, and
# the checks that try to prove it with their answers.
UNPROVEN_BUDGET = MAX_BYTES + 2 * ALLOWANCE


class Watch:
    """A tap for a network on which each of `sessions` is at its own address."""

    def __init__(self, sessions: Mapping[Address, Session]) -> None:
        self._sessions = sessions
        self.secrets: set[bytes] = set()
        # By sender and SSRC: the newest index and all of them.
        self._indices: dict[tuple[Address, int], tuple[int, set[int]]] = {}
        self._unproven: Counter[tuple[Address, Address]] = Counter()

    def __call__(self, packet: Packet, now: float) -> Iterable[Packet]:
        """Check one packet and pass it."""
        del now
        session = self._sessions.get(packet.source)
        if session is not None:
            self._check(session, packet)
        return (packet,)

    def _check(self, session: Session, packet: Packet) -> None:
        kind = classify(packet.data)
        paths = [(packet.destination, local) for local in (None, packet.source)]
        proven = any(session.is_proven(path) for path in paths)
        # A session says its farewells after it has forgotten its paths.
        if kind in (Kind.RTP, Kind.RTCP):
            assert proven or session.closed, "media to a path that is not proven"
        if kind is Kind.RTP:
            self._check_index(packet)
        if not proven and not session.closed:
            ends = packet.source, packet.destination
            self._unproven[ends] += len(packet.data)
            assert self._unproven[ends] <= UNPROVEN_BUDGET, "too much to an unproven path"
        for secret in self.secrets:
            assert secret not in packet.data, "a payload in the clear"

    def _check_index(self, packet: Packet) -> None:
        sequence = int.from_bytes(packet.data[2:4], "big")
        stream = packet.source, int.from_bytes(packet.data[8:12], "big")
        newest, seen = self._indices.get(stream, (sequence, set()))
        index = unwrap(sequence, newest, 16)
        assert index not in seen, "an SRTP index twice"
        seen.add(index)
        self._indices[stream] = max(newest, index), seen


def digest(root: object) -> dict[str, object]:
    """Every value reachable from `root` through attributes and containers, by where it is.

    Objects of other libraries count by identity. Counters are left out.
    """
    found: dict[str, object] = {}
    seen: dict[int, str] = {}
    stack: list[tuple[str, object]] = [("", root)]
    while stack:
        place, value = stack.pop()
        if value is None or isinstance(value, int | float | str | bytes | bytearray):
            found[place] = bytes(value) if isinstance(value, bytearray) else value
            continue
        if id(value) in seen:
            found[place] = f"same as {seen[id(value)]}"
            continue
        seen[id(value)] = place
        if isinstance(value, dict):
            found[place] = ("dict", [repr(key) for key in value])
            stack += [(f"{place}[{key!r}]", item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            found[place] = (type(value).__name__, len(value))
            stack += [(f"{place}[{n}]", item) for n, item in enumerate(value)]
        elif isinstance(value, set | frozenset):
            found[place] = ("set", sorted(map(repr, value)))
        elif not type(value).__module__.startswith("rtcproto") or isinstance(value, type):
            found[place] = ("identity", id(value))
        else:
            found[place] = type(value).__name__
            for name in _fields(value):
                if name not in COUNTERS:
                    stack.append((f"{place}.{name}", getattr(value, name, None)))
    return found


def _fields(value: object) -> list[str]:
    names = list(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = getattr(cls, "__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name != "__weakref__"]


def difference(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Where two digests differ."""
    places = sorted(before.keys() | after.keys())
    return [
        f"{place}: {before.get(place)!r} -> {after.get(place)!r}"
        for place in places
        if before.get(place) != after.get(place)
    ]
