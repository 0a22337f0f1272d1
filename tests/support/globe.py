"""A fleet on several continents, on virtual time: thousands of calls through two tiers of relays.

Relay cores, tokens, directories, headers and links are the real ones. Callers and owners are as
light as they can be: they check, send packets like media, and say whose each of them is, so that
one that reaches the wrong end is seen. Links lose nothing, so every packet can be accounted for.

```text
callers ── region's relay ── cluster's relay ── owner     each arrow with the distance of its ends
```

Each region has one relay that the public reaches, one cluster relay, and owners. Callers are given
the nearest public relay and the next one; most, not all, have an owner in their own region.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

from rtcproto import stun
from rtcproto.datagram import Address, Datagram
from rtcproto.relay import Drop, RelayConfig, RelayCore
from rtcproto.routing import (
    HEADER_SIZE,
    EncipheredTokenCodec,
    Entry,
    StaticDirectory,
    TokenCodec,
    mint,
    parse_headers,
)
from rtcproto.routing.directory import ANY_OWNER
from rtcproto.stun.peek import peek_server_ufrag
from rtcproto.testing import Host, LinkConfig, Network, World

__all__ = ["REGIONS", "Caller", "Globe", "Owner", "Relay"]

# One way, milliseconds, between regions.
REGIONS = ("europe", "us-east", "us-west", "asia")
DISTANCES = {
    ("europe", "us-east"): 40,
    ("europe", "us-west"): 70,
    ("europe", "asia"): 90,
    ("us-east", "us-west"): 30,
    ("us-east", "asia"): 100,
    ("us-west", "asia"): 60,
}
# Within a region: from homes to a relay, and between machines.
LAST_MILE, INSIDE = LinkConfig(delay=0.012, jitter=0.006), LinkConfig(delay=0.0005)

# What part of the calls of a region has an owner there.
LOCAL_SHARE = 0.8

# Seconds between a caller's checks on a path that works, and silence after which it tries
# the next relay: what browsers do.
CHECK_INTERVAL = 2.5
GIVE_UP = 2.5
# Seconds between checks on a path that is not known to work.
RETRY = 0.25

EPOCH = 1
FOREVER = math.inf
MEDIA = b"\x80\x6f"
SIZE = 100
BOTH_HEADERS = 2 * HEADER_SIZE
REQUEST, ANSWER = b"\x00\x01", b"\x01\x01"


def media(number: int, sequence: int) -> bytes:
    """A packet that begins like SRTP and says whose it is."""
    head = MEDIA + (sequence & 0xFFFF).to_bytes(2, "big") + number.to_bytes(4, "big")
    return head + bytes(SIZE - len(head))


class Relay:
    """A relay core as a host with two or three addresses."""

    def __init__(
        self, config: RelayConfig, codec: TokenCodec, directory: StaticDirectory, inside: Address
    ) -> None:
        self._settings = config, codec, directory
        self.inside = inside
        self.core = RelayCore(*self._settings)
        # What earlier processes at this place had counted when they were killed.
        self.before: list[Any] = []

    def restart(self) -> None:
        """A new process: the same settings and no memory."""
        self.before.append(self.core.stats())
        self.core = RelayCore(*self._settings)

    def counted(self, name: str) -> int:
        """A counter, over all processes there were."""
        return sum(int(getattr(stats, name)) for stats in (*self.before, self.core.stats()))

    def dropped(self, reason: Drop | None = None) -> int:
        """Packets that were dropped, for a reason or for any."""
        return sum(
            count
            for stats in (*self.before, self.core.stats())
            for why, count in stats.drops.items()
            if reason in (None, why)
        )

    def receive_datagram(
        self, data: bytes, source: Address, now: float, local: Address | None = None, /
    ) -> None:
        """To one of the faces."""
        if local == self.inside:
            self.core.receive_inside(data, source, now)
        elif local is not None:
            self.core.receive_outside(data, source, local, now)

    def handle_timer(self, now: float) -> None:
        """Pass the tick on."""
        self.core.handle_timer(now)

    def get_timer(self) -> float | None:
        """The core's deadline."""
        return self.core.get_timer()

    def datagrams_to_send(self) -> list[Datagram]:
        """What the core forwards; what names no source leaves from inside."""
        return [
            datagram
            if datagram.source
            else Datagram(datagram.data, datagram.destination, self.inside)
            for datagram in self.core.datagrams_to_send()
        ]

    def next_events(self) -> Sequence[Any]:
        """What happened to flows: nobody here asks."""
        self.core.next_events()
        return ()


_ENDS = ("put_out", "taken_in")


class _Quiet:
    """A machine that says what it has to say by datagrams."""

    def __init__(self) -> None:
        self._out: list[Datagram] = []
        # Datagrams of any kind.
        self.put_out = self.taken_in = 0

    def datagrams_to_send(self) -> list[Datagram]:
        """What is to be sent."""
        out, self._out = self._out, []
        self.put_out += len(out)
        return out

    def next_events(self) -> Sequence[Any]:
        """Nothing."""
        return ()


class Caller(_Quiet):
    """One call's client. `heard` and `sent` are packets of media."""

    def __init__(
        self, number: int, ufrag: str, relays: Sequence[Address], start: float, interval: float
    ) -> None:
        super().__init__()
        self.number = number
        self.relay = relays[0]
        self.relays = relays
        self.connected = False
        self.sent = self.heard = self.strangers = self.checks = self.answers = 0
        self.last_heard = start
        # Seconds between two packets that were heard: the longest, and when it ended.
        self.longest_gap = 0.0
        self.gap_ended = start
        self._interval = interval
        self._username = f"{ufrag}:call"
        self._trying = relays[0]
        self._check_at = start
        self._media_at = start

    def receive_datagram(self, data: bytes, source: Address, now: float, /) -> None:
        """An answer to a check, or media."""
        self.taken_in += 1
        if data[:2] == ANSWER:
            self.answers += 1
            if source == self._trying:
                # The path works: talk there.
                if not self.connected:
                    self._media_at = now
                self.relay, self.connected = source, True
            return
        if data[4:8] != self.number.to_bytes(4, "big"):
            self.strangers += 1
            return
        if self.heard and now - self.last_heard > self.longest_gap:
            self.longest_gap, self.gap_ended = now - self.last_heard, now
        self.heard += 1
        self.last_heard = now

    def get_timer(self) -> float | None:
        """The next check or packet."""
        due = min(self._check_at, self._media_at) if self.connected else self._check_at
        return None if due == FOREVER else due

    def handle_timer(self, now: float) -> None:
        """Check, talk, and look for another way if nothing comes back."""
        if self.connected and now >= self._media_at:
            self._media_at += self._interval
            self.sent += 1
            self._out.append(Datagram(media(self.number, self.sent), self.relay))
        if now >= self._check_at:
            silent = self.connected and now - self.last_heard > GIVE_UP
            if silent and self._trying == self.relay:
                self._trying = next(each for each in self.relays if each != self.relay)
            works = self.connected and self._trying == self.relay
            # Early enough to notice silence in time.
            self._check_at = now + (min(CHECK_INTERVAL, RETRY) if not works else self._next(now))
            self.checks += 1
            attributes = [(stun.Attribute.USERNAME, self._username)]
            transaction = self.number.to_bytes(8, "big") + self.checks.to_bytes(4, "big")
            self._out.append(Datagram(stun.build(1, 0, transaction, attributes), self._trying))

    def _next(self, now: float) -> float:
        left = self.last_heard + GIVE_UP - now
        return max(RETRY, min(CHECK_INTERVAL, left + 0.001))

    def forget_gaps(self) -> None:
        """Measure anew."""
        self.longest_gap = 0.0

    def hush(self) -> None:
        """Say nothing any more."""
        self._check_at = self._media_at = FOREVER


@attrs.define(slots=True, eq=False)
class _Served:
    """What an owner knows of a call: the way back (headers and next hop)."""

    number: int
    stack: bytes = b""
    hop: Address | None = None
    sent: int = 0
    heard: int = 0
    last_heard: float = 0.0


class Owner(_Quiet):
    """The owner of calls at one slot. `misrouted` are packets that another owner should get."""

    def __init__(self, interval: float) -> None:
        super().__init__()
        self.calls: dict[int, _Served] = {}
        self.misrouted = 0
        self._by_ufrag: dict[bytes, _Served] = {}
        self._interval = interval
        # (due, call), in order: all have the same interval.
        self._due: deque[tuple[float, _Served]] = deque()
        # Call -> instants at which it was heard again after `watch_from`.
        self.watch_from: float | None = None
        self.back: dict[int, float] = {}

    def serve(self, number: int, ufrag: str) -> None:
        """Expect a call."""
        self.calls[number] = self._by_ufrag[ufrag.encode()] = _Served(number)

    def receive_datagram(self, data: bytes, source: Address, now: float, /) -> None:
        """Something behind two headers."""
        self.taken_in += 1
        payload = data[BOTH_HEADERS:]
        if payload[:2] == REQUEST:
            headers, _ = parse_headers(data)
            assert len(headers) == 2, "each tier adds one"
            ufrag = peek_server_ufrag(payload)
            call = None if ufrag is None else self._by_ufrag.get(ufrag)
            if call is None:
                self.misrouted += 1
                return
            if call.hop is None:
                self._due.append((now, call))
            # It nominates: media goes this way from now on.
            call.stack, call.hop = data[:BOTH_HEADERS], source
            answer = ANSWER + b"\0\0" + payload[4:20]
            self._out.append(Datagram(call.stack + answer, source))
            return
        call = self.calls.get(int.from_bytes(payload[4:8], "big"))
        if call is None or payload[:2] != MEDIA:
            self.misrouted += 1
            return
        call.heard += 1
        call.last_heard = now
        if self.watch_from is not None and now >= self.watch_from:
            self.back.setdefault(call.number, now)

    def hush(self) -> None:
        """Say nothing any more of its own."""
        self._due.clear()

    def get_timer(self) -> float | None:
        """The next packet."""
        return self._due[0][0] if self._due else None

    def handle_timer(self, now: float) -> None:
        """Talk to everybody whose turn it is."""
        while self._due and self._due[0][0] <= now:
            due, call = self._due.popleft()
            self._due.append((due + self._interval, call))
            call.sent += 1
            assert call.hop is not None, "nobody is talked to who has not checked"
            self._out.append(Datagram(call.stack + media(call.number, call.sent), call.hop))


class Globe:
    """All of it. `interval` is the seconds between two packets of a call in each direction."""

    def __init__(self, seed: int, calls: int, owners: int, interval: float = 0.1) -> None:
        self.world = World(seed)
        self.network = Network(self.world, INSIDE)
        self.interval = interval
        self._rng = self.world.rng("globe")
        self.codec = EncipheredTokenCodec({"A": self._rng.randbytes(16)}, "A")
        self.public: dict[str, Relay] = {}
        self.cluster: dict[str, Relay] = {}
        self.owners: dict[tuple[int, int], Owner] = {}
        self.callers: list[Caller] = []
        self.region_of: list[str] = []
        self.home_of: list[tuple[int, int]] = []
        self._hosts: dict[Relay, Host[Any]] = {}
        faces = {number: Entry((_inner(number, 1), 4100), None) for number in range(len(REGIONS))}
        for number, region in enumerate(REGIONS):
            self._add_relays(number, region, faces, owners)
        for number, region in enumerate(REGIONS):
            for other_number, other in enumerate(REGIONS):
                self._add_distance(number, region, other_number, other, owners)
        for number in range(calls):
            self._add_call(number, owners)

    # Building

    def _add_relays(self, number: int, region: str, faces: dict[int, Entry], owners: int) -> None:
        clusters = StaticDirectory(
            {(cluster, ANY_OWNER): entry for cluster, entry in faces.items()}
        )
        public, inside = _public(number), (_inner(number, 0), 4000)
        relay = Relay(
            RelayConfig(publics=frozenset((public,)), own=frozenset((inside,))),
            self.codec,
            clusters,
            inside,
        )
        self.public[region] = relay
        self._plug(relay, public, inside)
        face, inner = faces[number].address, (_inner(number, 1), 4000)
        slots = {
            (number, owner): Entry((_inner(number, 2 + owner), 9000), EPOCH)
            for owner in range(owners)
        }
        relay = Relay(
            RelayConfig(
                publics=frozenset(),
                own=frozenset((inner,)),
                upstream_face=face,
                upstreams=tuple(f"10.{each}.0.0/32" for each in range(len(REGIONS))),
            ),
            self.codec,
            StaticDirectory(slots),
            inner,
        )
        self.cluster[region] = relay
        self._plug(relay, face, inner)
        for slot, entry in slots.items():
            owner = self.owners[slot] = Owner(self.interval)
            self.network.attach(owner, entry.address, name=f"owner {slot}")

    def _plug(self, relay: Relay, *addresses: Address) -> None:
        self._hosts[relay] = self.network.attach(relay, *addresses, multihomed=True)

    def _add_distance(
        self, number: int, region: str, other_number: int, other: str, owners: int
    ) -> None:
        """Between the public relay of a region, and another region's homes and cluster relay."""
        away = 0.0 if region == other else _distance(region, other)
        mile = attrs.evolve(LAST_MILE, delay=LAST_MILE.delay + away)
        for home in _homes(other_number):
            self.network.connect(home, _public(number)[0], mile)
        line = attrs.evolve(INSIDE, delay=INSIDE.delay + away)
        self.network.connect(_inner(number, 0), _inner(other_number, 1), line)

    def _add_call(self, number: int, owners: int) -> None:
        region = REGIONS[number % len(REGIONS)]
        cluster = REGIONS.index(region)
        if self._rng.random() >= LOCAL_SHARE:
            cluster = self._rng.randrange(len(REGIONS))
        slot = cluster, self._rng.randrange(owners)
        ufrag = mint(self.codec, *slot, EPOCH, self._rng.randbytes)
        self.owners[slot].serve(number, ufrag)
        near = sorted(REGIONS, key=lambda each: 0.0 if each == region else _distance(region, each))
        relays = [_public(REGIONS.index(each)) for each in near[:2]]
        start = self.world.now + self._rng.random()
        caller = Caller(number, ufrag, relays, start, self.interval)
        homes = _homes(REGIONS.index(region))
        address = homes[number // len(REGIONS) % len(homes)], 1024 + number
        self.network.attach(caller, address, name=f"caller {number}")
        self.callers.append(caller)
        self.region_of.append(region)
        self.home_of.append(slot)

    # What happens

    def kill(self, relay: Relay) -> None:
        """The process ends; what is sent to it is lost."""
        self.network.detach(self._hosts[relay])

    def start(self, relay: Relay) -> None:
        """It is started again, with nothing in its memory."""
        addresses = self._hosts[relay].addresses
        relay.restart()
        self._plug(relay, *addresses)

    def watch(self) -> None:
        """Note when each call is heard by its owner again, from now on."""
        for owner in self.owners.values():
            owner.watch_from, owner.back = self.world.now, {}

    # What was counted

    @property
    def relays(self) -> list[Relay]:
        """Both tiers."""
        return [*self.public.values(), *self.cluster.values()]

    def unaccounted(self) -> int:
        """Datagrams that were neither delivered, nor dropped for a reason, nor sent to the dead.

        Zero when nothing is under way.
        """
        ends: list[_Quiet] = [*self.callers, *self.owners.values()]
        sent, arrived = (sum(getattr(end, name) for end in ends) for name in _ENDS)
        dropped = sum(relay.dropped() for relay in self.relays)
        return int(sent - arrived - dropped - self.network.undeliverable)

    def hush(self) -> None:
        """Let everybody be silent, and what is under way arrive."""
        ends: list[Caller | Owner] = [*self.callers, *self.owners.values()]
        for end in ends:
            end.hush()
        self.world.run_for(1.0)

    def strays(self) -> int:
        """Packets that reached the wrong end, in either direction."""
        return sum(owner.misrouted for owner in self.owners.values()) + sum(
            caller.strangers for caller in self.callers
        )


def _public(number: int) -> Address:
    return f"203.0.113.{1 + number}", 3478


def _inner(number: int, which: int) -> str:
    """0: inside of the public relay, 1: the cluster relay, then owners."""
    return f"10.{number}.{which // 250}.{which % 250}"


def _homes(number: int) -> list[str]:
    """Where a region's callers are: a few addresses (NATs) with many ports."""
    return [f"198.51.100.{16 * number + home}" for home in range(16)]


def _distance(first: str, second: str) -> float:
    return DISTANCES.get((first, second), DISTANCES.get((second, first), 0)) / 1000
