"""Attacks on a relay that routes by the ufrag: rows R1 to R5, R9, R10 and R15.

The relay is the real core, transceivers are the real lite ICE responder behind the real
proxy header; clients, attackers and the network are lists of datagrams on virtual time.
Floods run at a small size by default and at full size under the marker `threats`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from rtcproto import stun
from rtcproto.datagram import Address, Datagram
from rtcproto.errors import UsageError
from rtcproto.ice import Credentials, IceConfig, IceLite
from rtcproto.ice.memory import MAX_ANSWERS
from rtcproto.relay import (
    Drop,
    LookUpFlow,
    RelayConfig,
    RelayCore,
    StreamConfig,
    StreamLeg,
    build_frame,
)
from rtcproto.relay.recovery import MAX_LOOKUP_RATE
from rtcproto.routing import (
    EncipheredTokenCodec,
    Entry,
    RoutingToken,
    StaticDirectory,
    encode_header,
    parse_header,
)
from rtcproto.routing.directory import ANY_OWNER
from rtcproto.stun import Attribute, Class, peek_server_ufrag
from tests.support.ice_peer import Peer, counting_entropy

PUBLIC = ("203.0.113.1", 3478)
INSIDE = ("10.0.0.100", 4000)
FIRST = ("10.0.0.1", 9000)
SECOND = ("10.0.0.2", 9000)
VICTIM = ("192.0.2.1", 50000)

CODEC = EncipheredTokenCodec({"A": bytes(range(16))}, "A")
RTP = b"\x80\x6f" + bytes(100)
RELEASE = b""


def ufrag_of(owner: int, nonce: int) -> str:
    """A token of this fleet."""
    return CODEC.encode(RoutingToken(0, owner, 0, nonce))


def client_address(n: int) -> Address:
    """The n-th of 2**32 source addresses."""
    return f"198.{51 + (n >> 30)}.{n >> 22 & 255}.{n >> 14 & 255}", 1024 + (n & 0x3FFF)


def make_relay(max_flows: int = 1000) -> RelayCore:
    """A relay in front of two transceivers."""
    directory = StaticDirectory({(0, 1): Entry(FIRST), (0, 2): Entry(SECOND)})
    config = RelayConfig(
        publics=frozenset((PUBLIC,)), own=frozenset((INSIDE,)), max_flows=max_flows
    )
    return RelayCore(config, CODEC, directory)


class Session:
    """One call at a transceiver: credentials, the lite agent, and the client's side of them."""

    def __init__(self, owner: int, number: int, now: float = 0.0) -> None:
        self.local = Credentials(ufrag_of(owner, number), f"serverPassword{number:010d}")
        self.remote = Credentials(f"u{number:05d}", f"clientPassword{number:010d}")
        self.peer = Peer(self.remote, self.local)
        self.restore(now)

    def restore(self, now: float) -> None:
        """Begin anew with the same credentials, as after a restore that kept nothing else."""
        self.agent = IceLite(IceConfig(), self.local, counting_entropy(), now)
        self.agent.set_remote(self.remote, [], now)


class Fleet:
    """A relay and its transceivers. What leaves towards clients is in `sent`."""

    def __init__(self, max_flows: int = 1000) -> None:
        self.max_flows = max_flows
        self.relay = make_relay(max_flows)
        self.sessions: dict[bytes, tuple[Address, Session]] = {}
        self.by_client: dict[tuple[Address, Address], list[Session]] = {}
        self.sent: list[Datagram] = []
        # (transceiver, client, payload) of everything that was not STUN with a ufrag.
        self.arrived: list[tuple[Address, Address, bytes]] = []

    def call(self, owner: int, number: int, client: Address, now: float) -> Session:
        """Set up a call whose client is at `client`; it ends up proven there."""
        session = Session(owner, number, now)
        self.add(FIRST if owner == 1 else SECOND, session)
        self.from_client(session.peer.check(nominate=True), client, now)
        self.answer(session, client, now)
        assert session.agent.selected_path == (client, PUBLIC)
        return session

    def add(self, transceiver: Address, session: Session) -> None:
        """Let a transceiver own a session."""
        self.sessions[session.local.ufrag.encode()] = (transceiver, session)

    def answer(self, session: Session, client: Address, now: float) -> None:
        """The client answers the server's own requests that reached it; `sent` is emptied."""
        sent, self.sent = self.sent, []
        for datagram in sent:
            if datagram.destination == client and datagram.data[:2] == b"\0\1":
                self.from_client(session.peer.answer(datagram.data), client, now)

    def from_client(self, data: bytes, source: Address, now: float) -> None:
        """One datagram to the relay's public port, and everything that it sets in motion."""
        self.relay.receive_outside(data, source, PUBLIC, now)
        self.pump(now)

    def from_owner(self, owner: Address, payload: bytes, client: Address, now: float) -> None:
        """One datagram of a transceiver to a client."""
        self.relay.receive_inside(encode_header(client, PUBLIC) + payload, owner, now)
        self.pump(now)

    def media(self, session: Session, now: float) -> None:
        """20 ms of audio, if the session may send any."""
        owner, _ = self.sessions[session.local.ufrag.encode()]
        path = session.agent.selected_path
        if path is not None and session.agent.is_proven(path):
            self.from_owner(owner, RTP, path[0], now)

    def pump(self, now: float) -> None:
        """Carry datagrams until nothing moves."""
        while datagrams := self.relay.datagrams_to_send():
            for datagram in datagrams:
                if datagram.source is not None:
                    self.sent.append(datagram)
                    continue
                self.arrive(datagram, now)

    def arrive(self, datagram: Datagram, now: float) -> None:
        """One datagram at a transceiver."""
        client, public, offset = parse_header(datagram.data)
        payload = datagram.data[offset:]
        ufrag = peek_server_ufrag(payload)
        if ufrag is not None:
            owner, session = self.sessions.get(ufrag, (datagram.destination, None))
            if session is None:
                return
            assert owner == datagram.destination
            if session.agent.receive_datagram(payload, client, now, public):
                self.by_client.setdefault((owner, client), []).append(session)
            self.drain(owner, session, now)
            return
        self.arrived.append((datagram.destination, client, payload))
        for session in self.by_client.get((datagram.destination, client), [])[-1:]:
            if payload[0] < 4:
                session.agent.receive_datagram(payload, client, now, public)
                self.drain(datagram.destination, session, now)

    def drain(self, owner: Address, session: Session, now: float) -> None:
        """What the agent wants to send goes back through the relay."""
        for reply in session.agent.datagrams_to_send():
            header = encode_header(reply.destination, reply.source or PUBLIC)
            self.relay.receive_inside(header + reply.data, owner, now)

    def timers(self, now: float) -> None:
        """Let everybody's timers run."""
        self.relay.handle_timer(now)
        for owner, session in self.sessions.values():
            session.agent.handle_timer(now)
            self.drain(owner, session, now)
        self.pump(now)

    def restart_relay(self) -> None:
        """A new relay process with the same settings and no memory."""
        self.relay = make_relay(self.max_flows)


def test_the_fleet_works() -> None:
    """The stage itself: a call is set up, media goes both ways, and the owner proves the flow."""
    fleet = Fleet()
    session = fleet.call(1, 1, VICTIM, 0.0)
    fleet.media(session, 0.1)
    assert fleet.sent == [Datagram(RTP, VICTIM, PUBLIC)]
    assert fleet.relay.is_proven(VICTIM, PUBLIC)
    fleet.from_client(RTP, VICTIM, 0.2)
    assert fleet.arrived[-1] == (FIRST, VICTIM, RTP)


# R1


def forged_tokens(count: int, seed: int = 1) -> Iterator[bytes]:
    """Random tokens in the best disguise: known configuration id, right length, canonical."""
    generator = random.Random(seed)
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for _ in range(count):
        yield (
            b"A"
            + bytes(generator.choices(alphabet, k=21))
            + generator.choice([b"A", b"Q", b"g", b"w"])
        )


def flipped_tokens(count: int) -> Iterator[bytes]:
    """Every 1-bit change of valid tokens."""
    for number in range(count):
        valid = ufrag_of(1 + number % 2, number).encode()
        for bit in range(8 * len(valid)):
            changed = bytearray(valid)
            changed[bit >> 3] ^= 1 << (bit & 7)
            yield bytes(changed)


CHECK = stun.build(
    1,
    0,
    bytes(12),
    [(Attribute.USERNAME, ufrag_of(1, 0) + ":abcd"), (Attribute.PRIORITY, 1)],
    stun.ShortTermKey("p" * 24),
)


def steer(randoms: int, valid: int) -> None:
    """Send them all; nothing may leave, and what should be refused for the token is."""
    relay = make_relay()
    template = CHECK.replace(ufrag_of(1, 0).encode(), b"%b")
    assert template.count(b"%b") == 1
    head, tail = template.split(b"%b")
    sent = 0
    for token in (*forged_tokens(randoms), *flipped_tokens(valid)):
        assert relay.route_outside(head + token + tail, VICTIM, PUBLIC, 0.0) is None
        sent += 1
    assert sent == randoms + 184 * valid
    drops = relay.stats().drops
    # A flip may also turn a character into a colon and cut the token short.
    assert drops[Drop.BAD_TOKEN] == sent
    assert relay.stats().packets_inward == 0
    # The stage is right: the untouched one does leave.
    assert relay.route_outside(CHECK, VICTIM, PUBLIC, 0.0) is not None


def test_r1_forged_tokens_reach_nobody() -> None:
    """Random tokens and every bit flip of valid ones: 0 packets leave (small size)."""
    steer(2_000, 10)


@pytest.mark.threats
def test_r1_forged_tokens_reach_nobody_full() -> None:
    """1,000,000 random tokens and every 1-bit flip of 1,000 valid ones: 0 packets leave."""
    steer(1_000_000, 1_000)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fec0::1",
    ],
)
def test_r1_special_addresses_are_refused_at_load(host: str) -> None:
    """Special addresses in every spelling that became a CVE elsewhere, and some more."""
    with pytest.raises(UsageError):
        StaticDirectory({(0, 1): Entry((host, 9000))})


def test_r1_mapped_addresses_cannot_be_allowed() -> None:
    """A mapped address is a second spelling; naming its network does not help."""
    with pytest.raises(UsageError):
        StaticDirectory({(0, 1): Entry(("::ffff:10.0.0.1", 9))}, allow=["::/0", "0.0.0.0/0"])


# R2


def exhaust_with_bad_tokens(sources: int) -> None:
    """Every source sends one check that no key of ours signed."""
    relay = make_relay()
    foreign = EncipheredTokenCodec({"A": b"another key, 16B"}, "A")
    bad = CHECK.replace(ufrag_of(1, 0).encode(), foreign.encode(RoutingToken(0, 1, 0, 0)).encode())
    for n in range(sources):
        assert relay.route_outside(bad, client_address(n), PUBLIC, n * 1e-4) is None
    assert relay.flows == {}
    assert relay.get_timer() is None
    assert relay.next_events() == []


def exhaust_with_a_replay(sources: int, live: int = 100, new: int = 50) -> None:
    """Every source replays one valid check while calls run and new ones are set up."""
    fleet = Fleet(max_flows=live + new)
    sessions = [fleet.call(1, n, ("192.0.2.7", 1000 + n), 0.0) for n in range(live)]
    for session in sessions:
        fleet.media(session, 0.0)
    captured = sessions[0].peer.check()
    fleet.from_client(captured, ("192.0.2.7", 1000), 0.0)
    fleet.sent.clear()
    answered = 0
    for n in range(sources):
        now = 20.0 * n / sources
        fleet.from_client(captured, client_address(n), now)
        answered += sum(d.destination == client_address(n) for d in fleet.sent)
        fleet.sent.clear()
        if n % max(1, sources // live) == 0:
            k = n * live // sources
            fleet.arrived.clear()
            fleet.from_client(RTP, ("192.0.2.7", 1000 + k), now)
            assert fleet.arrived == [(FIRST, ("192.0.2.7", 1000 + k), RTP)]
            fleet.media(sessions[k], now)
            assert fleet.sent == [Datagram(RTP, ("192.0.2.7", 1000 + k), PUBLIC)]
            fleet.sent.clear()
        number = len(fleet.sessions)
        if n % max(1, sources // new) == 0 and number < live + new:
            fleet.call(2, number, ("192.0.2.8", 1000 + number), now)
    assert answered == 0
    assert len(fleet.sessions) == len(fleet.relay.flows) == live + new


def test_r2_bad_tokens_leave_no_state() -> None:
    """Spoofed sources with a bad tag: 0 entries (5,000 sources)."""
    exhaust_with_bad_tokens(5_000)


def test_r2_replayed_checks_leave_no_state() -> None:
    """One valid check replayed by 2,000 sources: 0 entries, calls live on and are set up."""
    exhaust_with_a_replay(2_000, live=20, new=10)


@pytest.mark.threats
def test_r2_full() -> None:
    """Both floods with 1,000,000 sources, 100 live calls and 50 new ones."""
    exhaust_with_bad_tokens(1_000_000)
    exhaust_with_a_replay(1_000_000)


def exhaust_the_store(sources: int) -> None:
    """Every source sends media that belongs to no flow, to a relay with a store that is slow."""
    config = RelayConfig(publics=frozenset((PUBLIC,)), own=frozenset((INSIDE,)), recovery=True)
    relay = RelayCore(config, CODEC, StaticDirectory({(0, 1): Entry(FIRST)}))
    for n in range(100):
        relay.route_inside(encode_header(("192.0.2.7", 1000 + n), PUBLIC) + RTP, FIRST, 0.0)
    relay.next_commands()
    questions = lost = 0
    for n in range(sources):
        now = 20.0 * n / sources
        assert relay.route_outside(RTP, client_address(n), PUBLIC, now) is None
        if n % max(1, sources // 1000) == 0:
            relay.handle_timer(now)
            questions += sum(isinstance(c, LookUpFlow) for c in relay.next_commands())
            k = n % 100
            routed = relay.route_outside(RTP, ("192.0.2.7", 1000 + k), PUBLIC, now)
            lost += routed is None or routed[1] != FIRST
            relay.route_inside(encode_header(("192.0.2.7", 1000 + k), PUBLIC) + RTP, FIRST, now)
    assert lost == 0
    assert 0 < questions <= min(sources, 21 * MAX_LOOKUP_RATE)
    relay.handle_timer(21.0)
    assert len(relay.flows) == 100
    assert relay.datagrams_to_send() == []


def test_r2_spoofed_media_does_not_reach_the_store() -> None:
    """Anybody can invent clients: few questions are asked, nothing is kept (5,000 sources)."""
    exhaust_the_store(5_000)


@pytest.mark.threats
def test_r2_spoofed_media_does_not_reach_the_store_full() -> None:
    """The same with 1,000,000 sources and 100 live flows."""
    exhaust_the_store(1_000_000)


def test_r2_slow_and_many_connections() -> None:
    """TCP from many hosts: silent, slow and endless ones are closed, callers stay connected."""
    config = StreamConfig(max_connections=300, max_per_host=8)
    leg = StreamLeg(config)
    callers = [(f"192.0.2.{n}", 5) for n in range(100)]
    for caller in callers:
        assert leg.connected(caller, 0.0)
        assert leg.receive(caller, build_frame(CHECK), 0.0) == [CHECK]
        assert leg.judge(caller, True, 0.0)
    taken = 0
    for n in range(20_000):
        now = 60.0 * n / 20_000
        attacker = client_address(n * 131)
        leg.handle_timer(now)
        if leg.connected(attacker, now):
            taken += 1
            # One byte of a frame that never ends; every other one says nothing at all.
            leg.receive(attacker, b"\0" * (n & 1), now)
        assert len(leg) <= config.max_connections
        if n % 100 == 0:
            for caller in callers:
                assert leg.send(caller, RTP, now)
                leg.wrote(caller, len(leg.take(caller)))
        assert not set(leg.connections_to_close()) & set(callers)
    assert taken > 1000
    leg.handle_timer(66.0)
    assert len(leg) == len(callers)


# R3


def hijack(checks: int) -> None:
    """Checks with both ufrags right and the password wrong, from 100 addresses."""
    fleet = Fleet()
    session = fleet.call(1, 1, VICTIM, 0.0)
    fleet.media(session, 0.0)
    fleet.sent.clear()
    forger = Peer(session.remote, Credentials(session.local.ufrag, "wrongPasswordOf24Letters"))
    attackers = [("203.0.113.66", 2000 + n) for n in range(100)]
    flows, events = fleet.relay.flows, fleet.relay.next_events()
    delivered = 0
    for n in range(checks):
        now = n * 0.001
        # From elsewhere, and from the victim's own address.
        source = VICTIM if n % 101 == 100 else attackers[n % 101]
        fleet.from_client(
            forger.check(nominate=True, extra=[(Attribute.PRIORITY, 0x7FFFFFFF)]), source, now
        )
        assert fleet.sent == []
        if n % 20 == 0:
            fleet.media(session, now)
            fleet.from_client(RTP, VICTIM, now)
            assert fleet.sent == [Datagram(RTP, VICTIM, PUBLIC)]
            assert fleet.arrived[-1] == (FIRST, VICTIM, RTP)
            fleet.sent.clear()
            delivered += 1
    assert delivered == -(-checks // 20)
    assert fleet.relay.flows == flows == {(VICTIM, PUBLIC): FIRST}
    assert events
    assert fleet.relay.next_events() == []
    assert session.agent.selected_path == (VICTIM, PUBLIC)


def test_r3_hijack_from_a_new_address() -> None:
    """0 answers, 0 media bytes to attackers, the victim loses nothing (1,000 checks)."""
    hijack(1_000)


@pytest.mark.threats
def test_r3_hijack_full() -> None:
    """10,000 checks from 100 addresses and from the victim's own."""
    hijack(10_000)


# R4


def spoof(fleet: Fleet, session: Session, now: float) -> None:
    """A valid check of the attacker's own session, with the victim's source address."""
    fleet.from_client(session.peer.check(nominate=True), VICTIM, now)


def test_r4_spoofing_the_victims_address() -> None:
    """100 spoofed valid checks/s against 50 packets/s for 10 s: 0 of 500 packets misrouted."""
    fleet = Fleet()
    victim = fleet.call(1, 1, VICTIM, 0.0)
    fleet.media(victim, 0.0)
    attacker = Session(2, 2)
    fleet.add(SECOND, attacker)
    arrived: list[Address] = []
    for step in range(1, 1001):
        now = step * 0.01
        spoof(fleet, attacker, now)
        if step % 2 == 0:
            fleet.media(victim, now)
            fleet.arrived.clear()
            fleet.from_client(RTP, VICTIM, now)
            arrived += [owner for owner, _, payload in fleet.arrived if payload == RTP]
        fleet.timers(now)
    assert arrived == [FIRST] * 500
    # The attack was real: the attacker's transceiver did answer, and did not get the flow.
    assert fleet.relay.stats().takeovers_refused >= 1000
    assert attacker.agent.selected_path is None


def test_r4_restart_with_a_release() -> None:
    """A released 5-tuple belongs to the new session's owner with its first check."""
    fleet = Fleet()
    old = fleet.call(1, 1, VICTIM, 0.0)
    fleet.media(old, 1.0)
    fleet.from_owner(FIRST, RELEASE, VICTIM, 2.0)
    new = Session(2, 2, 2.0)
    fleet.add(SECOND, new)
    fleet.from_client(new.peer.check(nominate=True), VICTIM, 2.1)
    assert fleet.relay.owner_of(VICTIM, PUBLIC) == SECOND
    fleet.answer(new, VICTIM, 2.2)
    fleet.media(new, 2.3)
    assert fleet.relay.is_proven(VICTIM, PUBLIC)


def test_r4_restart_after_silence() -> None:
    """Without a release the flow moves within 15 s and one check after the old owner's silence."""
    fleet = Fleet()
    old = fleet.call(1, 1, VICTIM, 0.0)
    fleet.media(old, 100.0)
    del fleet.sessions[old.local.ufrag.encode()]
    new = Session(2, 2, 100.0)
    fleet.add(SECOND, new)
    owners = []
    for step in range(1, 9):
        now = 100.0 + 2.5 * step
        fleet.timers(now)
        fleet.from_client(new.peer.check(nominate=True), VICTIM, now)
        owners.append(fleet.relay.owner_of(VICTIM, PUBLIC))
    # 15 s after 100.0 is the sixth check.
    assert owners == [FIRST] * 5 + [SECOND] * 3


# R5


def test_r5_replayed_check() -> None:
    """A captured check from 10 other addresses, at once and later, and after restarts.

    1,000 replays: no media ever goes to a replayer; a transaction id is answered to one address
    only, where repeats are retransmissions (RFC 8489 section 6.3.1) of a bounded number; no
    answer is larger than its request.
    """
    fleet = Fleet()
    session = fleet.call(1, 1, VICTIM, 0.0)
    fleet.media(session, 0.0)
    captured = session.peer.check(nominate=True)
    fleet.from_client(captured, VICTIM, 0.0)
    fleet.answer(session, VICTIM, 0.0)
    replayers = [("203.0.113.66", 2000 + n) for n in range(10)]

    def replay(now: float) -> list[Datagram]:
        fleet.sent.clear()
        for n in range(250):
            fleet.from_client(captured, replayers[n % 10], now + n * 0.001)
            fleet.timers(now + n * 0.001)
            fleet.media(session, now + n * 0.001)
        return [d for d in fleet.sent if d.destination in replayers]

    assert replay(1.0) == []
    for now in range(2, 60, 5):
        fleet.from_client(session.peer.check(), VICTIM, float(now))
        fleet.answer(session, VICTIM, float(now))
    assert replay(60.0) == []
    assert session.agent.selected_path == (VICTIM, PUBLIC)

    # The relay forgets everything; the owner's next packet brings the flow back.
    fleet.restart_relay()
    assert replay(61.0) == []
    assert fleet.relay.owner_of(VICTIM, PUBLIC) == FIRST
    assert set(fleet.relay.flows) == {(VICTIM, PUBLIC)}

    # The transceiver forgets everything too: one address may draw answers, and proving requests
    # that nobody there can answer, but never media.
    session.restore(62.0)
    drawn = replay(62.0)
    answers = [d for d in drawn if stun.Message.parse(d.data).cls == Class.SUCCESS]
    assert 1 <= len(answers) <= MAX_ANSWERS
    assert all(len(d.data) <= len(captured) for d in answers)
    assert all(stun.Message.parse(d.data).method == stun.Method.BINDING for d in drawn)
    assert not any(d.data == RTP for d in drawn)
    assert len({d.destination for d in drawn}) == 1
    assert session.agent.selected_path is None


# R9


def stun_inputs() -> list[bytes]:
    """STUN messages that nobody authenticated: every class, method and length that matters."""
    key = stun.ShortTermKey("w" * 24)
    username = (Attribute.USERNAME, ufrag_of(1, 1) + ":u00001")
    inputs = [
        stun.build(method, cls, bytes(12), attributes, used)
        for method in (1, 2, 3, 0xFFF)
        for cls in range(4)
        for attributes in ([], [username], [(Attribute.USERNAME, "a:b")])
        for used in (None, key)
    ]
    whole = stun.build(1, 0, bytes(12), [username, (Attribute.USE_CANDIDATE, True)], None)
    inputs += [whole[:length] for length in range(0, len(whole), 4)]
    inputs += [whole + bytes(n) for n in (1, 4, 1000)]
    return inputs


def reflect(inputs: list[bytes], sources: int) -> None:
    """Each input from each source: not a byte comes out towards anybody."""
    fleet = Fleet()
    fleet.add(FIRST, Session(1, 1))
    for n, data in product(range(sources), inputs):
        fleet.from_client(data, client_address(n), 0.0)
    assert fleet.sent == []
    assert fleet.relay.flows == {}


def test_r9_unauthenticated_stun_draws_nothing() -> None:
    """About 120 messages from 100 sources: output 0 bytes."""
    inputs = stun_inputs()
    assert len(inputs) >= 110
    reflect(inputs, 100)


def test_r9_corpora_draw_nothing() -> None:
    """The gathered STUN corpora from 100 sources: output 0 bytes."""
    corpora = os.environ.get("RTCPROTO_CORPORA")
    if not corpora:
        pytest.skip("RTCPROTO_CORPORA names no folder of corpora")
    inputs = [
        path.read_bytes()
        for name in ("coturn-fuzzstun", "coturn-fuzzstunclient")
        for path in sorted(Path(corpora, name).glob("*"))
        if path.is_file()
    ]
    if not inputs:
        pytest.skip("no STUN corpora in the folder that RTCPROTO_CORPORA names")
    reflect(inputs, 100)


def test_r9_valid_checks_are_not_amplified() -> None:
    """A live client gets at most as many bytes of STUN as it sends."""
    fleet = Fleet()
    session = fleet.call(1, 1, VICTIM, 0.0)
    sent = received = 0
    for n in range(200):
        check = session.peer.check()
        fleet.from_client(check, VICTIM, n * 2.5)
        sent += len(check)
        received += sum(len(d.data) for d in fleet.sent)
        fleet.sent.clear()
    assert 0 < received <= sent


def test_r9_the_relay_itself_never_answers() -> None:
    """Without a transceiver that answers, a relay is silent, whatever the check."""
    relay = make_relay()
    for data in (*stun_inputs(), CHECK):
        relay.receive_outside(data, VICTIM, PUBLIC, 0.0)
    assert all(d.source is None for d in relay.datagrams_to_send())


# R10

RELAYS = [("203.0.113.1", 3478), ("203.0.113.2", 3478), ("203.0.113.3", 3478)]
INSIDES = [("10.0.1.1", 4000), ("10.0.1.2", 4000), ("10.0.1.3", 4000)]
TRANSCEIVERS = [("10.0.0.1", 9000), ("10.0.0.2", 9000), ("10.0.0.3", 9000)]


def hops(datagram: tuple[bytes, Address, Address], relays: list[RelayCore]) -> int:
    """Let relays pass one datagram (data, source, destination) among themselves; count hops."""
    count = 0
    queue = [datagram]
    while queue:
        data, source, destination = queue.pop()
        produced: list[Datagram] = []
        for relay, public, inside in zip(relays, RELAYS, INSIDES, strict=True):
            if destination == public:
                relay.receive_outside(data, source, public, 0.0)
            elif destination == inside:
                relay.receive_inside(data, source, 0.0)
            produced_here = relay.datagrams_to_send()
            assert len(produced_here) <= 1
            produced += [Datagram(d.data, d.destination, d.source or inside) for d in produced_here]
        assert len(produced) <= 1
        count += len(produced)
        assert count <= 3, "the datagram travels in circles"
        queue += [(d.data, d.source or public, d.destination) for d in produced]
    return count


def test_r10_no_loops() -> None:
    """Three relays, three transceivers, every pair of sender and receiver: 1 in, <= 1 out.

    Every relay's directory is as wrong as it can be: slots 1 to 3 are transceivers, 4 to 6 the
    public and 7 to 9 the inside addresses of the other relays.
    """
    relays = []
    for public, inside in zip(RELAYS, INSIDES, strict=True):
        own = [public, inside]
        entries = {
            (0, slot): Entry(address)
            for slot, address in enumerate([*TRANSCEIVERS, *RELAYS, *INSIDES], 1)
            if address not in own
        }
        config = RelayConfig(publics=frozenset((public,)), own=frozenset((inside,)))
        relays.append(RelayCore(config, CODEC, StaticDirectory(entries, own=own)))
    everybody = [*RELAYS, *INSIDES, *TRANSCEIVERS, VICTIM]
    forwarded = 0
    for slot in range(1, 10):
        username = f"{ufrag_of(slot, 7)}:abcd"
        check = stun.build(1, 0, bytes(12), [(Attribute.USERNAME, username)], None)
        for source, destination in product(everybody, [*RELAYS, *INSIDES]):
            forwarded += hops((check, source, destination), relays)
            for client, public in product(everybody, RELAYS):
                for payload in (check, RTP):
                    data = encode_header(client, public) + payload
                    forwarded += hops((data, source, destination), relays)
    assert forwarded > 0


def test_r10_no_loops_between_tiers() -> None:
    """Three relays with an upstream face each, three owners, every pair: 1 in, <= 1 out.

    Directories are as wrong as they can be: clusters 1 and 2 point round in a circle at the
    upstream faces of the next relays, cluster 0 has owners, and some of these at other
    relays' public addresses.
    """
    faces = [("10.0.1.1", 4100), ("10.0.1.2", 4100), ("10.0.1.3", 4100)]
    relays = []
    for n, (public, inside, face) in enumerate(zip(RELAYS, INSIDES, faces, strict=True)):
        own = [public, inside, face]
        entries = {
            (0, slot): Entry(address)
            for slot, address in enumerate([*TRANSCEIVERS, *RELAYS], 1)
            if address not in own
        } | {(cluster, ANY_OWNER): Entry(faces[(n + cluster) % 3], None) for cluster in (1, 2)}
        config = RelayConfig(
            publics=frozenset((public,)),
            own=frozenset((inside,)),
            upstream_face=face,
            upstreams=("10.0.1.0/24",),
        )
        relays.append(RelayCore(config, CODEC, StaticDirectory(entries, own=own)))
    everybody = [*RELAYS, *INSIDES, *faces, *TRANSCEIVERS, VICTIM]
    forwarded = longest = 0
    for cluster, owner in [*product((0,), range(1, 7)), *product((1, 2), (1,))]:
        username = f"{CODEC.encode(RoutingToken(cluster, owner, 0, 7))}:abcd"
        check = stun.build(1, 0, bytes(12), [(Attribute.USERNAME, username)], None)
        headers = [b""]
        headers += [encode_header(c, p) for c, p in product((VICTIM, RELAYS[0]), RELAYS[:2])]
        headers += [encode_header(i, f) + headers[1] for i, f in product(INSIDES, faces)]
        headers += [headers[-1] + headers[1]]
        for source, destination in product(everybody, [*RELAYS, *INSIDES, *faces]):
            for header in headers:
                for payload in (check, RTP):
                    data = header + payload
                    count = travel((data, source, destination), relays, faces)
                    forwarded += count
                    longest = max(longest, count)
    assert forwarded > 500
    # Two tiers, and no third.
    assert longest == 2


def travel(
    datagram: tuple[bytes, Address, Address], relays: list[RelayCore], faces: list[Address]
) -> int:
    """As `hops`, for relays with upstream faces."""
    count = 0
    queue = [datagram]
    while queue:
        data, source, destination = queue.pop()
        for relay, public, inside, face in zip(relays, RELAYS, INSIDES, faces, strict=True):
            if destination in (public, face):
                relay.receive_outside(data, source, destination, 0.0)
            elif destination == inside:
                relay.receive_inside(data, source, 0.0)
            produced = relay.datagrams_to_send()
            assert len(produced) <= 1
            count += len(produced)
            queue += [(d.data, d.source or inside, d.destination) for d in produced]
        assert len(queue) <= 1
        assert count <= 3, "the datagram travels in circles"
    return count


def test_r10_own_addresses_are_refused_at_load() -> None:
    """A directory that names the relay itself does not load, loopback allowed or not."""
    for address in (*RELAYS, *INSIDES):
        with pytest.raises(UsageError):
            StaticDirectory({(0, 1): Entry(address)}, allow=["0.0.0.0/0"], own=[*RELAYS, *INSIDES])


# R15


def test_r15_forged_headers() -> None:
    """From outside, from unlisted hosts inside, nested, truncated: 0 packets out, 0 flows."""
    relay = make_relay()
    header = encode_header(VICTIM, PUBLIC)
    sent: list[Datagram] = []
    forged = [
        header,
        header + RTP,
        header + CHECK,
        header * 2 + RTP,
        header * 3 + RTP,
        encode_header(FIRST, PUBLIC) + RTP,
        *((header + RTP)[:length] for length in range(len(header) + 1)),
    ]
    for data in forged:
        # On the public port, from strangers and with the source of a transceiver.
        for source in (VICTIM, ("203.0.113.66", 1), FIRST):
            relay.receive_outside(data, source, PUBLIC, 0.0)
        # On the inside face, from hosts that are not listed.
        for source in (VICTIM, ("10.0.0.66", 9000), (FIRST[0], 9001), INSIDE, PUBLIC):
            relay.receive_inside(data, source, 0.0)
        sent += relay.datagrams_to_send()
    assert sent == []
    # On the inside face, from a listed transceiver: what is malformed.
    for data in (header * 2 + RTP, header * 3 + RTP, *forged[6:], b"", RTP, CHECK):
        relay.receive_inside(data, FIRST, 0.0)
        sent += relay.datagrams_to_send()
    assert sent == []
    assert relay.flows == {}
    assert relay.next_events() == []
    assert relay.get_timer() is None
    drops = relay.stats().drops
    assert drops[Drop.HEADER_OUTSIDE] > 0
    assert drops[Drop.UNLISTED_PEER] == len(forged) * 5
    assert drops[Drop.NESTED_HEADER] == 2


def test_r15_forged_headers_do_not_touch_a_flow() -> None:
    """A strangers' reply or release changes nothing about a live call."""
    fleet = Fleet()
    session = fleet.call(1, 1, VICTIM, 0.0)
    fleet.media(session, 0.0)
    fleet.relay.next_events()
    for payload in (RTP, RELEASE, CHECK):
        for source in (("10.0.0.66", 9000), VICTIM, PUBLIC):
            fleet.relay.receive_inside(encode_header(VICTIM, PUBLIC) + payload, source, 20.0)
        fleet.relay.receive_outside(encode_header(VICTIM, PUBLIC) + payload, FIRST, PUBLIC, 20.0)
    assert fleet.relay.datagrams_to_send() == []
    assert fleet.relay.next_events() == []
    assert fleet.relay.owner_of(VICTIM, PUBLIC) == FIRST


def test_r15_forged_headers_at_an_upstream_face() -> None:
    """From strangers, from transceivers, nested three deep, truncated: 0 packets out, 0 flows."""
    face, above = ("10.0.0.100", 4100), ("10.0.9.1", 4000)
    config = RelayConfig(
        publics=frozenset((PUBLIC,)),
        own=frozenset((INSIDE,)),
        upstream_face=face,
        upstreams=("10.0.9.0/24", "10.0.0.1/32"),
    )
    relay = RelayCore(config, CODEC, StaticDirectory({(0, 1): Entry(FIRST), (0, 2): Entry(SECOND)}))
    other = ("203.0.113.2", 3478)
    header, outer = encode_header(VICTIM, other), encode_header(above, face)
    whole = header + CHECK
    for data in (whole, header + RTP, header, outer + whole, *(whole[:n] for n in range(60))):
        for source in (VICTIM, FIRST, SECOND, PUBLIC, INSIDE, face, ("10.0.8.1", 4000)):
            relay.receive_outside(data, source, face, 0.0)
    # From a believed relay: what is malformed, and what claims to be one of us.
    for data in (outer + whole, outer + header + whole, b"", CHECK, RTP, header):
        relay.receive_outside(data, above, face, 0.0)
    for client, public in ((FIRST, other), (INSIDE, other), (face, other), (VICTIM, PUBLIC)):
        relay.receive_outside(encode_header(client, public) + CHECK, above, face, 0.0)
    for length in range(60):
        relay.receive_outside(whole[:length], above, face, 0.0)
    assert relay.datagrams_to_send() == []
    # From owners: answers for relays that are none, or through us to ourselves.
    for via in (VICTIM, SECOND, INSIDE, face, ("10.0.8.1", 4000)):
        relay.receive_inside(encode_header(via, face) + header + RTP, FIRST, 0.0)
    for data in (outer, outer + RTP, outer + header + header + RTP, outer + header[:30]):
        relay.receive_inside(data, FIRST, 0.0)
    relay.receive_inside(outer + header + RTP, ("10.0.0.66", 9000), 0.0)
    assert relay.datagrams_to_send() == []
    assert relay.flows == {}
    # The stage is right: the same from the right hosts does pass.
    relay.receive_outside(whole, above, face, 0.0)
    relay.receive_inside(outer + header + RTP, FIRST, 0.0)
    assert len(relay.datagrams_to_send()) == 2
