"""Two sessions and a network that does anything, in any order; the invariants hold throughout.

Hypothesis chooses the operations: time passes, either side talks or closes,
datagrams are lost, repeated, swapped, corrupted, and old ones are replayed from
where they came or from elsewhere. `Watch` looks at every datagram, the host at
the contract, and this machine at what comes out.
"""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtcproto.events import AudioReceived, CloseReason, Connected, SessionClosed
from rtcproto.sdp import Setup
from rtcproto.session import Session
from rtcproto.testing import FIRST_ADDRESS, SECOND_ADDRESS, Host, LinkConfig, SessionPair, World
from rtcproto.testing import Packet as Datagram
from tests.support.calls import identity
from tests.support.invariants import Watch
from tests.support.restart import restart

# What may end a call that was connected.
LAWFUL_ENDS = {CloseReason.LOCAL, CloseReason.PEER, CloseReason.CONSENT_EXPIRED}

# Datagrams kept to be replayed.
MAX_HISTORY = 100

SIDES = st.sampled_from(["client", "server"])


class CallMachine(RuleBasedStateMachine):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.sent: dict[str, set[bytes]] = {"client": set(), "server": set()}
        self.closed_by_owner: set[str] = set()
        # What becomes of the next datagrams of each side, oldest first.
        self.fates: dict[str, deque[str]] = {"client": deque(), "server": deque()}
        self.held: dict[str, Datagram] = {}
        self.history: list[Datagram] = []

    # -- The network

    def meddle(self, packet: Datagram, now: float) -> list[Datagram]:
        """A tap: what was planned for this side's next datagram."""
        del now
        side = "client" if packet.source == FIRST_ADDRESS else "server"
        self.history = [*self.history[-MAX_HISTORY:], packet]
        fate = self.fates[side].popleft() if self.fates[side] else ""
        match fate:
            case "lose":
                return []
            case "repeat":
                return [packet, packet]
            case "hold":
                self.pair.network.inject(packet, 0.03)
                return []
            case "corrupt":
                return [packet, corrupted(packet)]
            case _:
                return [packet]

    # -- Operations

    @initialize(seed=st.integers(0, 1000), setup=st.sampled_from([Setup.ACTIVE, Setup.PASSIVE]))
    def describe(self, seed: int, setup: Setup) -> None:
        """Both descriptions are exchanged; the rest is up to the rules."""
        self.pair = SessionPair(
            World(seed),
            LinkConfig(delay=0.01, jitter=0.002),
            client={"identity": identity("client")},
            server={"identity": identity("server"), "setup": setup},
        )
        self.watch = Watch({FIRST_ADDRESS: self.pair.client, SECOND_ADDRESS: self.pair.server})
        self.pair.network.tap(self.watch)
        self.pair.network.tap(self.meddle)
        for host in (self.pair.first, self.pair.second):
            host.final = lambda event: isinstance(event, SessionClosed)
        self.pair.describe()

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.05, 0.2, 1.0, 5.0, 16.0, 31.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.pair.run_for(seconds)

    @rule(
        side=SIDES,
        fate=st.sampled_from(["lose", "repeat", "hold", "corrupt"]),
        number=st.integers(1, 4),
    )
    def plan(self, side: str, fate: str, number: int) -> None:
        """Something happens to the next few datagrams of a side."""
        self.fates[side] += [fate] * number

    @rule(side=SIDES)
    def heal(self, side: str) -> None:
        """Nothing more that was planned for a side happens."""
        self.fates[side].clear()

    @rule(side=SIDES, packets=st.integers(1, 5))
    def talk(self, side: str, packets: int) -> None:
        """A side that is connected sends numbered packets."""
        for _ in range(packets):
            session = self.session(side)
            if session.state.name != "CONNECTED":
                return
            self.number += 1
            payload = b"\xf8" + self.number.to_bytes(4, "big") + b"what was said in this call"
            self.watch.secrets.add(payload)
            self.sent[side].add(payload)
            session.send_audio(payload, self.pair.now)
            self.pair.run_for(0.02)

    @rule(which=st.integers(0, MAX_HISTORY), elsewhere=st.booleans(), spoil=st.booleans())
    @precondition(lambda self: self.history)
    def replay(self, which: int, elsewhere: bool, spoil: bool) -> None:
        """An old datagram comes again, perhaps from another port, perhaps spoilt."""
        packet = self.history[which % len(self.history)]
        if elsewhere:
            packet = Datagram(packet.data, (packet.source[0], 9), packet.destination)
        if spoil:
            packet = corrupted(packet)
        self.pair.network.inject(packet)

    @rule()
    def restart_ice(self) -> None:
        """The client asks for new ICE credentials, whatever the last restart has come to."""
        client, server = self.pair.client, self.pair.server
        if not client.closed and not server.closed:
            now = self.pair.now
            restart(client, lambda fragment: server.restart_ice(fragment, now), now)
            self.pair.first.settle()
            self.pair.second.settle()

    @rule(side=SIDES)
    def close(self, side: str) -> None:
        """An owner ends its session."""
        self.session(side).close(self.pair.now)
        self.closed_by_owner.add(side)

    # -- What must hold

    @invariant()
    def audio_is_what_was_said(self) -> None:
        """Nothing is heard that was not sent, nor twice, nor before `Connected`."""
        for side, other in (("client", "server"), ("server", "client")):
            events = [event for _, event in self.host(side).events]
            heard = Counter(e.payload for e in events if isinstance(e, AudioReceived))
            assert set(heard) <= self.sent[other]
            assert all(count == 1 for count in heard.values())
            if heard:
                assert isinstance(events[0], Connected)

    @invariant()
    def ends_are_lawful(self) -> None:
        """A connected session ends by its owner, its peer or lost consent, and once."""
        for side in ("client", "server"):
            host = self.host(side)
            ends = host.events_of(SessionClosed)
            assert len(ends) <= 1
            assert len(host.events_of(Connected)) <= 1
            if ends and host.events_of(Connected):
                assert ends[0].reason in LAWFUL_ENDS
            if ends and ends[0].reason is CloseReason.LOCAL:
                assert side in self.closed_by_owner

    @invariant()
    def deadlines_lie_ahead(self) -> None:
        """A session that lives has a deadline; one that is over has none."""
        for side in ("client", "server"):
            deadline = self.session(side).get_timer()
            assert (deadline is None) == self.session(side).closed

    def teardown(self) -> None:
        """With a network that works again, a call that still lives still carries audio."""
        if not hasattr(self, "pair"):
            return
        for side in ("client", "server"):
            self.fates[side].clear()
        self.pair.run_for(0.2)
        sides = self.pair.client, self.pair.server
        if all(session.state.name == "CONNECTED" for session in sides):
            before = {side: len(self.host(side).events_of(AudioReceived)) for side in self.sent}
            self.talk("client", 2)
            self.talk("server", 2)
            self.pair.run_for(0.2)
            for side, count in before.items():
                assert len(self.host(side).events_of(AudioReceived)) == count + 2
        self.audio_is_what_was_said()
        self.ends_are_lawful()

    def session(self, side: str) -> Session:
        """One of the two."""
        return self.pair.client if side == "client" else self.pair.server

    def host(self, side: str) -> Host[Session]:
        """Where it lives."""
        return self.pair.first if side == "client" else self.pair.second


def corrupted(packet: Datagram) -> Datagram:
    """One bit in the middle is another."""
    data = bytearray(packet.data)
    data[len(data) // 2] ^= 0x10
    return Datagram(bytes(data), packet.source, packet.destination)


TestCallMachine = CallMachine.TestCase
TestCallMachine.settings = settings(
    max_examples=60, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
