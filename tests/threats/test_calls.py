"""Attacks on whole calls: rows R3, R5, R7 to R9, R11, R13, D1, D5, D6, S1 to S7.

Clients, the relay core, the endpoint and its sessions are the real ones, on virtual
time. Codecs and machines have these rows at their own level in the other modules of
this folder; here they must hold for what an operator runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from rtcproto import sdp, stun
from rtcproto.demux import Kind, classify
from rtcproto.dtls import DtlsConfig, Identity
from rtcproto.endpoint.entries import MAX_PATHS
from rtcproto.errors import DescriptionRefused
from rtcproto.events import AudioLost, AudioReceived, CloseReason, Connected, SessionClosed
from rtcproto.ice import IceConfig
from rtcproto.ice.proving import ALLOWANCE
from rtcproto.routing import encode_header
from rtcproto.srtp.context import MAX_STREAMS
from rtcproto.stun import Attribute, Class, Message
from rtcproto.testing import Host, Packet
from rtcproto.testing.session_pair import UNIX_TIME
from tests.support.calls import (
    PUBLIC,
    SERVER,
    Call,
    RelayHost,
    Scene,
    attackers,
    forgeries,
    identity,
    is_media,
)
from tests.support.dtls import client_hello, handshake_record
from tests.support.invariants import difference, digest

RELAYED = pytest.mark.parametrize("relayed", [False, True], ids=["direct", "relayed"])


def finish(call: Call) -> None:
    """Let what is on its way arrive."""
    call.scene.world.run_for(0.2)


def requests_of(scene: Scene, call: Call) -> list[bytes]:
    """The checks that the client sent."""
    client = call.client.address
    return [
        packet.data
        for _, packet in scene.wire.packets
        if packet.source == client and packet.data[:2] == b"\0\1"
    ]


# -- R3


def hijack(relayed: bool, checks: int) -> None:
    """`checks` from 100 addresses while the victim talks."""
    scene = Scene(relayed=relayed)
    call = scene.connect()
    insider = call.insider()
    strangers = attackers(100)
    sent: list[bytes] = []
    for number in range(checks):
        forged = insider.check(password="0123456789abcdef01234567")
        scene.attack(forged, strangers[number % 100])
        if number % (checks // 50) == 0:
            sent += call.talk(1)
    finish(call)
    assert scene.sent_to(*strangers) == []
    assert call.heard() == sent
    assert call.events(AudioLost) == []


@RELAYED
def test_r3_hijack_with_both_ufrags(relayed: bool) -> None:
    """Checks with both ufrags, no password: no answer, no media, the victim's loss is 0 (1,000)."""
    hijack(relayed, 1_000)


@pytest.mark.threats
@RELAYED
def test_r3_hijack_with_both_ufrags_full(relayed: bool) -> None:
    """The same with 10,000 checks."""
    hijack(relayed, 10_000)


# -- R5


@pytest.mark.parametrize("moment", ["soon", "later", "relay restarted"])
def test_r5_replayed_check_through_the_relay(moment: str) -> None:
    """One captured check, 1,000 times from 10 addresses: no media, one answer at most, no harm."""
    scene = Scene(relayed=True)
    call = scene.connect()
    captured = next(
        data
        for data in requests_of(scene, call)
        if Message.parse(data).value(Attribute.USE_CANDIDATE) is not None
    )
    call.talk(60, 1.0 if moment == "later" else 0.02)
    if moment == "relay restarted":
        assert scene.relay is not None
        scene.relay.machine.restart()
    strangers = attackers(10)
    begun = len(scene.wire.packets)
    heard = len(call.heard())
    sent = []
    for number in range(1_000):
        scene.attack(captured, strangers[number % 10])
        if number % 10 == 0:
            scene.endpoint.send_audio(call.id, call.payload(), scene.world.now)
            sent += call.talk(1)
    finish(call)
    towards = scene.sent_to(*strangers)
    assert not any(map(is_media, towards))
    answers = [data for data in towards if data[:2] == b"\1\1"]
    assert len(answers) <= 1
    assert all(len(answer) <= len(captured) for answer in answers)
    assert len(scene.endpoint._entries[call.id].paths) <= IceConfig().max_paths
    # After the restart the flow comes back with the endpoint's next packet.
    assert call.heard()[heard:][-99:] == sent[-99:]
    assert len(call.client.events_of(AudioReceived)) >= 99
    assert not call.events(SessionClosed)
    assert len(scene.wire.packets) > begun


# -- R7


def flood(relayed: bool, kind: str, packets: int) -> None:
    """`packets` forged ones of one kind, from the victim's address and others, into a live call."""
    scene = Scene(relayed=relayed, delay=0.0)
    call = scene.connect()
    sent = call.talk(5)
    data = forgeries(call)[kind]
    sources = [call.client.address, *attackers(3)]
    events = len(scene.host.events)
    # Only what the flood draws: everything else of the call is counted in the digest.
    for number in range(packets):
        source = sources[number % 4]
        if relayed:
            assert scene.relay is not None
            scene.relay.receive(data, source, PUBLIC)
        else:
            scene.host.receive(data, source, SERVER)
        if number % (packets // 50) == 0:
            sent += call.talk(1)
            scene.wire.packets.clear()
    finish(call)
    assert call.heard() == sent
    assert call.events(AudioLost) == []
    assert [type(event) for _, (_, event) in scene.host.events[events:]] == [AudioReceived] * 50
    assert call.alive
    scene.endpoint.send_audio(call.id, call.payload(), scene.world.now)
    finish(call)
    assert len(call.client.events_of(AudioReceived)) == 1


KINDS = pytest.mark.parametrize("kind", ["check", "answer", "alert", "data", "audio", "report"])


@KINDS
@RELAYED
def test_r7_forged_packets_into_a_live_call(relayed: bool, kind: str) -> None:
    """Still connected, loss 0 (500 packets of each kind)."""
    flood(relayed, kind, 500)


@pytest.mark.threats
@KINDS
def test_r7_forged_packets_into_a_live_call_full(kind: str) -> None:
    """100,000 packets of each kind."""
    flood(False, kind, 100_000)


@pytest.mark.parametrize(
    "kind", ["check", "answer", "alert", "data", "audio", "report", "bye", "junk"]
)
@pytest.mark.parametrize("place", ["the peer's address", "another port", "another host"])
def test_r7_forged_packets_change_nothing(kind: str, place: str) -> None:
    """The state of endpoint and session is the same before and after, but for counters.

    In every stage of the call; while DTLS is under way its plaintext from the
    peer's own address is excepted, since nobody can tell it from the peer's.
    """
    scene = Scene()
    call = scene.call()
    host, port = call.client.address
    source = {
        "the peer's address": (host, port),
        "another port": (host, port + 1),
        "another host": attackers(1)[0],
    }[place]
    for instant in (0.0, 0.005, 0.015, 0.025, 0.035, 0.045, 0.055, 0.5):
        scene.world.run_for(max(0.0, instant - (scene.world.now - 1000.0)))
        if call.client.events_of(Connected) and call.events(Connected):
            call.talk(2)
        elif place == "the peer's address" and kind in ("alert", "data", "audio", "report", "bye"):
            continue
        data = forgeries(call)[kind]
        before = digest(scene.endpoint)
        out = len(scene.wire.packets)
        scene.host.receive(data, source, SERVER)
        assert difference(before, digest(scene.endpoint)) == []
        assert len(scene.wire.packets) == out
    assert call.events(Connected)


# -- R8


@RELAYED
def test_r8_voice_hammer(relayed: bool) -> None:
    """A valid peer names a victim by one check, and speaks for it: the victim gets no media.

    What it gets is an answer and the attempts to prove the path, within the budget.
    """
    scene = Scene(relayed=relayed)
    call = scene.connect()
    victim = attackers(1)[0]
    scene.attack(call.insider().check(), victim)
    scene.world.run_for(0.1)

    def pretend(packet: Packet, now: float) -> list[Packet]:
        """Media of the peer comes from the victim's address from now on."""
        del now
        if packet.source == call.client.address and is_media(packet.data):
            return [attrs.evolve(packet, source=victim)]
        return [packet]

    scene.network.tap(pretend)
    for _ in range(500):
        call.talk(1)
        scene.endpoint.send_audio(call.id, call.payload(), scene.world.now)
    finish(call)
    towards = scene.sent_to(victim)
    assert not any(map(is_media, towards))
    assert all(classify(data) is Kind.STUN for data in towards)
    assert 0 < sum(map(len, towards)) <= ALLOWANCE
    # Its own address keeps the answers, as it should.
    assert len(call.client.events_of(AudioReceived)) >= 499


# -- R9


def stun_inputs() -> Iterator[bytes]:
    """Well-formed and broken STUN without our key, and what a corpora folder adds."""
    classes = (Class.REQUEST, Class.INDICATION, Class.SUCCESS, Class.ERROR)
    for cls in classes:
        for method in (1, 3, 0xFFF):
            for attributes in ([], [(Attribute.USERNAME, "a:b")], [(0x7FFF, b"what?")]):
                for key in (None, stun.ShortTermKey("p" * 22)):
                    yield stun.build(method, cls, bytes(12), attributes, key)
    folder = os.environ.get("RTCPROTO_CORPORA")
    if folder:
        for name in ("coturn-fuzzstun", "coturn-fuzzstunclient"):
            for path in sorted((Path(folder) / name).rglob("*")):
                if path.is_file():
                    yield path.read_bytes()


@RELAYED
def test_r9_nothing_is_reflected(relayed: bool) -> None:
    """No STUN without our MAC draws a byte, from 100 sources, with the right ufrags too."""
    scene = Scene(relayed=relayed)
    call = scene.connect()
    scene.world.run_for(1.0)
    inputs = [*stun_inputs(), forgeries(call)["check"], requests_of(scene, call)[0][:-8]]
    scene.wire.packets.clear()
    strangers = attackers(100)
    for number, data in enumerate(inputs):
        for source in (strangers[number % 100], strangers[number * 7 % 100]):
            scene.attack(data, source)
    scene.world.run_for(0.1)
    assert scene.sent_to(*strangers) == []


def test_r9_valid_checks_are_not_amplified() -> None:
    """A peer that checks from everywhere draws no more bytes than it sends, but a constant."""
    scene = Scene()
    call = scene.connect()
    insider = call.insider()
    strangers = attackers(100)
    begun = scene.wire.packets
    received = sum(len(p.data) for _, p in begun if p.source == call.client.address)
    for number in range(1_000):
        check = insider.check()
        received += len(check)
        scene.attack(check, strangers[number % 100])
        scene.world.run_for(0.01)
    answered = sum(map(len, scene.sent_to(*strangers)))
    assert answered <= received + ALLOWANCE


# -- R11


@pytest.mark.parametrize("silent", ["client", "server"])
@RELAYED
def test_r11_media_stops_within_30_seconds(relayed: bool, silent: str) -> None:
    """The peer falls silent at t, the application talks on: the last media byte by t + 30 s."""
    scene = Scene(relayed=relayed)
    call = scene.connect()
    call.talk(20)
    dead = call.client.address[0] if silent == "client" else scene.door[0]
    origin = scene.door if silent == "client" else call.client.address

    def cut(packet: Packet, now: float) -> list[Packet]:
        """Nothing comes from the dead side any more."""
        del now
        return [] if packet.source[0] == dead else [packet]

    scene.network.tap(cut)
    silence = scene.world.now
    scene.wire.packets.clear()
    speaker = scene.endpoint if silent == "client" else call.client.machine
    while scene.world.now < silence + 60.0:
        if silent == "client" and call.alive:
            scene.endpoint.send_audio(call.id, call.payload(), scene.world.now)
        elif silent == "server" and not call.client.machine.closed:
            call.client.machine.send_audio(call.payload(), scene.world.now)
        scene.world.run_for(0.1)
    media = [at for at, p in scene.wire.packets if p.source == origin and is_media(p.data)]
    assert media
    assert max(media) <= silence + 30.0 + 0.1
    assert speaker.get_timer() is None
    closed = (
        call.events(SessionClosed) if silent == "client" else call.client.events_of(SessionClosed)
    )
    assert [event.reason for event in closed] == [CloseReason.CONSENT_EXPIRED]


def test_r11_consent_checks_are_4_to_6_seconds_apart() -> None:
    """RFC 7675 section 5.1, on a healthy call of a minute; each is answered, and all goes on."""
    scene = Scene()
    call = scene.connect()
    scene.wire.packets.clear()
    call.talk(60, 1.0)
    checks = [
        at
        for at, packet in scene.wire.packets
        if packet.source == call.client.address and packet.data[:2] == b"\0\1"
    ]
    gaps = [after - before for before, after in pairwise(checks)]
    assert len(gaps) >= 9
    assert all(3.999 <= gap <= 6.001 for gap in gaps)
    assert call.alive


# -- R13


HOSTILE = ["169.254.169.254", "127.0.0.1", "::ffff:10.0.0.1", "::1", "0.0.0.0", "224.0.0.1"]


def test_r13_an_offer_names_addresses() -> None:
    """A server sends nothing to what an offer lists: not one packet in a minute."""
    scene = Scene()
    client = scene.client()
    offer = client.machine.create_offer(scene.world.now)
    lines = "".join(
        f"a=candidate:{n} 1 udp 2130706431 {host} 80 typ host\r\n" for n, host in enumerate(HOSTILE)
    )
    scene.endpoint.accept_offer(offer + lines, scene.world.now)
    scene.world.run_for(60.0)
    assert scene.wire.packets == []


@pytest.mark.parametrize("host", HOSTILE)
def test_r13_an_answer_names_addresses(host: str) -> None:
    """A client filters what an answer lists before it checks anything."""
    scene = Scene()
    client = scene.client()
    now = scene.world.now
    _, answer = scene.endpoint.accept_offer(client.machine.create_offer(now), now)
    hostile = answer.replace(f"{SERVER[0]} {SERVER[1]} typ", f"{host} 80 typ")
    assert hostile != answer
    with pytest.raises(DescriptionRefused, match="no usable address"):
        client.machine.accept_answer(hostile, now)
    # Beside one that is usable they count for nothing.
    line = next(line for line in hostile.splitlines(True) if line.startswith("a=candidate:"))
    client.machine.accept_answer(answer.replace("a=candidate:", f"{line}a=candidate:", 1), now)
    scene.world.run_for(60.0)
    destinations = {packet.destination for _, packet in scene.wire.packets}
    assert SERVER in destinations
    assert host not in {destination[0] for destination in destinations}


# -- D1


def hello_flood(handshakes: int, per_second: int) -> None:
    """Handshakes one after the other under hellos from 100 addresses that nobody checked."""
    scene = Scene(session={"setup": sdp.Setup.PASSIVE}, max_sessions=handshakes + 1)
    hello = handshake_record(1, client_hello(suites=[0x0000]))
    strangers = attackers(100)
    number = 0

    def flood(seconds: float) -> None:
        nonlocal number
        for _ in range(round(seconds * per_second)):
            number += 1
            scene.attack(hello, strangers[number % 100])
            scene.world.run_for(1 / per_second)

    undisturbed = scene.wait(scene.call())
    flood(1.0)
    times = []
    for _ in range(handshakes):
        call, started = scene.call(), scene.world.now
        while not (call.events(Connected) and call.client.events_of(Connected)):
            flood(0.01)
            assert scene.world.now < started + 5.0
        times.append(scene.world.now - started)
    assert sorted(times)[len(times) * 95 // 100] <= 1.1 * undisturbed + 0.02
    assert scene.sent_to(*strangers) == []
    dropped = scene.endpoint.endpoint_stats().datagrams_dropped
    assert dropped["unknown_session"] >= number - 100


def test_d1_hello_flood_from_elsewhere() -> None:
    """10 handshakes under 200 hellos/s: all succeed, none slower."""
    hello_flood(10, 200)


@pytest.mark.threats
def test_d1_hello_flood_from_elsewhere_full() -> None:
    """200 handshakes under 1,000 hellos/s."""
    hello_flood(200, 1_000)


def test_d1_bad_hellos_from_the_right_address() -> None:
    """They are dropped, and the good one that follows is served."""
    scene = Scene(session={"setup": sdp.Setup.PASSIVE})
    call = scene.call()
    bad = handshake_record(1, client_hello(suites=[0x0000]))
    for _ in range(20):
        scene.attack(bad, call.client.address)
        scene.world.run_for(0.002)
    scene.wait(call)
    sent = call.talk(3)
    finish(call)
    assert call.heard() == sent


def test_d1_dtls_from_an_address_that_was_not_checked() -> None:
    """The peer's own, real handshake from another port reaches no DTLS machine."""
    scene = Scene(session={"setup": sdp.Setup.PASSIVE})
    call = scene.call()
    elsewhere = (call.client.address[0], 9)

    def move(packet: Packet, now: float) -> list[Packet]:
        """The client's DTLS comes from elsewhere."""
        del now
        if packet.source == call.client.address and classify(packet.data) is Kind.DTLS:
            return [attrs.evolve(packet, source=elsewhere)]
        return [packet]

    scene.network.tap(move)
    scene.world.run_for(5.0)
    assert not call.events(Connected)
    assert scene.sent_to(elsewhere) == []
    # The gate is the session's own: it holds where the endpoint does not help.
    hello = next(p.data for _, p in scene.wire.packets if classify(p.data) is Kind.DTLS)
    before = digest(call.session)
    assert not call.session.receive_datagram(hello, elsewhere, scene.world.now)
    assert difference(before, digest(call.session)) == []
    assert call.session.stats(scene.world.now).transport.rejected["dtls_unvalidated_path"] == 1


# -- D5


@pytest.mark.parametrize("setup", [sdp.Setup.ACTIVE, sdp.Setup.PASSIVE])
def test_d5_a_checked_peer_that_never_answers(setup: sdp.Setup) -> None:
    """At most 14 flights and 16 KiB of DTLS, nothing after the deadline, and the session goes."""
    scene = Scene(session={"setup": setup})
    call = scene.call()

    def mute(packet: Packet, now: float) -> list[Packet]:
        """The client checks and answers, its DTLS but one hello is lost."""
        del now
        dtls = packet.source == call.client.address and classify(packet.data) is Kind.DTLS
        if dtls and (setup is sdp.Setup.ACTIVE or packet.data[13] != 1):
            return []
        return [packet]

    scene.network.tap(mute)
    started = scene.world.now
    scene.world.run_for(60.0)
    flights = [
        (at, p.data)
        for at, p in scene.wire.packets
        if p.source == SERVER and classify(p.data) is Kind.DTLS
    ]
    assert flights
    assert len({at for at, _ in flights}) <= 14
    assert sum(len(data) for _, data in flights) <= DtlsConfig(identity=identity("server")).mtu * 14
    assert flights[-1][0] <= started + 35.0
    assert not call.alive


def test_d5_spoofed_hellos_draw_nothing() -> None:
    """From an address without a check: 0 bytes."""
    scene = Scene(session={"setup": sdp.Setup.PASSIVE})
    scene.connect()
    stranger = attackers(1)[0]
    for _ in range(100):
        scene.attack(handshake_record(1, client_hello()), stranger)
    scene.world.run_for(1.0)
    assert scene.sent_to(stranger) == []


# -- D6


@pytest.mark.parametrize("setup", [sdp.Setup.ACTIVE, sdp.Setup.PASSIVE])
@pytest.mark.parametrize("wrong", ["offer", "answer"])
def test_d6_another_certificate(setup: sdp.Setup, wrong: str) -> None:
    """Described and shown certificates differ: no keys, no `Connected`, one closing event."""
    scene = Scene(session={"setup": setup})
    client, now = scene.client(), scene.world.now
    other = f"sha-256 {Identity.generate(UNIX_TIME).fingerprint.value}"

    def forge(text: str, owner: str) -> str:
        mine = f"sha-256 {identity(owner).fingerprint.value}"
        assert mine in text
        return text.replace(mine, other)

    offer = client.machine.create_offer(now)
    described = forge(offer, "client") if wrong == "offer" else offer
    session_id, answer = scene.endpoint.accept_offer(described, now)
    client.machine.accept_answer(forge(answer, "server") if wrong == "answer" else answer, now)
    call = Call(scene, session_id, client)
    session = call.session
    scene.world.run_for(60.0)
    misled = session if wrong == "offer" else client.machine
    events = call.events if wrong == "offer" else client.events_of
    assert misled._planes.media.profile is None
    assert events(Connected) == []
    assert [e.reason for e in events(SessionClosed)] == [CloseReason.FINGERPRINT_MISMATCH]
    assert not any(is_media(p.data) for _, p in scene.wire.packets if p.source == SERVER)


# -- S1


def rtp_bleed(relayed: bool, packets: int) -> None:
    """`packets` forged ones from 10 addresses and as many from the right one."""
    scene = Scene(relayed=relayed)
    call = scene.connect()
    sent = call.talk(5)
    strangers = attackers(10)
    forged = forgeries(call)["audio"]
    for number in range(packets):
        sequence = (int.from_bytes(forged[2:4], "big") + number) & 0xFFFF
        data = forged[:2] + sequence.to_bytes(2, "big") + forged[4:]
        scene.attack(data, strangers[number % 10])
        scene.attack(data, call.client.address)
        if number % 100 == 0:
            scene.endpoint.send_audio(call.id, call.payload(), scene.world.now)
            sent += call.talk(1)
    finish(call)
    assert scene.sent_to(*strangers) == []
    assert call.heard() == sent
    assert call.events(AudioLost) == []


@RELAYED
def test_s1_rtp_bleed_and_inject(relayed: bool) -> None:
    """0 packets to the attackers, 0 of their frames delivered (1,000 packets each)."""
    rtp_bleed(relayed, 1_000)


@pytest.mark.threats
@RELAYED
def test_s1_rtp_bleed_and_inject_full(relayed: bool) -> None:
    """10,000 packets each."""
    rtp_bleed(relayed, 10_000)


def test_s1_authentic_audio_from_an_unchecked_address() -> None:
    """The peer's own packets, from where no check came: not taken, and nothing learned."""
    scene = Scene()
    call = scene.connect()
    elsewhere = attackers(1)[0]

    def move(packet: Packet, now: float) -> list[Packet]:
        """The client's media comes from elsewhere."""
        del now
        if packet.source == call.client.address and is_media(packet.data):
            return [attrs.evolve(packet, source=elsewhere)]
        return [packet]

    scene.network.tap(move)
    call.talk(20)
    stolen = [p.data for _, p in scene.wire.packets if classify(p.data) is Kind.RTP]
    scene.endpoint.send_audio(call.id, call.payload(), scene.world.now)
    finish(call)
    assert call.heard() == []
    assert scene.sent_to(elsewhere) == []
    assert len(call.client.events_of(AudioReceived)) == 1
    # The gate is the session's own.
    session = call.session
    before = digest(session)
    assert not session.receive_datagram(stolen[0], elsewhere, scene.world.now)
    assert difference(before, digest(session)) == []


# -- S2, S3


def one_index_each(packets: int) -> None:
    """Send so many: no (SSRC, index) twice, and the peer decrypts every one."""
    scene = Scene(delay=0.0)
    call = scene.connect()
    sender, receiver = call.client.machine, call.session
    now, source = scene.world.now, call.client.address
    used: set[int] = set()
    previous, wraps, heard = -1, 0, 0
    for _ in range(packets):
        sender.send_audio(b"\xf8..", now)
        (datagram,) = sender.datagrams_to_send()
        sequence = int.from_bytes(datagram.data[2:4], "big")
        wraps += sequence < previous
        previous = sequence
        used.add(int.from_bytes(datagram.data[8:12], "big") << 48 | wraps << 16 | sequence)
        assert receiver.receive_datagram(datagram.data, source, now)
        heard += len(receiver.next_events())
    assert len(used) == heard == packets
    # It starts somewhere in the lower half.
    assert wraps in (packets >> 16, (packets >> 16) + 1)


def test_s2_no_index_is_used_twice() -> None:
    """Across a wrap of the sequence number (70,000 packets)."""
    one_index_each(70_000)


@pytest.mark.threats
def test_s2_no_index_is_used_twice_full() -> None:
    """1,000,000 packets."""
    one_index_each(1_000_000)


def test_s3_both_sides_chose_one_ssrc() -> None:
    """The directions have different keys: both hear each other, and reports are not mixed up."""
    scene = Scene()
    endpoint_entropy = scene.endpoint._config.session.entropy
    ssrc = b"\x11\x22\x33\x44"

    def same(size: int) -> bytes:
        return ssrc if size == 4 else endpoint_entropy(size)

    scene.endpoint._config = attrs.evolve(
        scene.endpoint._config, session=attrs.evolve(scene.endpoint._config.session, entropy=same)
    )
    call = scene.connect(entropy=same)
    assert call.session._planes.media.ssrc == call.client.machine._planes.media.ssrc
    sent, back = [], []
    for _ in range(1_000):
        sent += call.talk(1)
        back.append(call.payload())
        scene.endpoint.send_audio(call.id, back[-1], scene.world.now)
    finish(call)
    assert call.heard() == sent
    assert [event.payload for event in call.client.events_of(AudioReceived)] == back
    for session in (call.session, call.client.machine):
        stats = session.stats(scene.world.now)
        assert stats.inbound_rtp[0].packets_received == 1_000
        assert stats.remote_inbound_rtp is not None
        assert stats.remote_inbound_rtp.packets_lost == 0


# -- S5, S6, S7


def test_s5_every_packet_three_times() -> None:
    """Shuffled copies of every datagram within 100 packets: each payload is heard once."""
    scene = Scene()
    call = scene.connect()
    rng = scene.world.rng("copies")

    def repeat(packet: Packet, now: float) -> list[Packet]:
        """Two more copies, up to 2 s later."""
        del now
        if packet.source == call.client.address:
            for _ in range(2):
                scene.network.inject(packet, rng.uniform(0.0, 2.0))
        return [packet]

    scene.network.tap(repeat)
    sent = call.talk(300)
    scene.world.run_for(3.0)
    assert call.heard() == sent
    assert call.session.stats(scene.world.now).transport.rejected["unauthentic"] >= 600


def many_ssrcs(packets: int) -> None:
    """Forged packets of as many SSRCs, from the right address."""
    scene = Scene(delay=0.0)
    call = scene.connect()
    call.talk(3)
    forged = forgeries(call)["audio"]
    receiver = call.session._planes.media._receiver
    assert receiver is not None
    for number in range(packets):
        ssrc = (0xA0000000 + number).to_bytes(4, "big")
        scene.endpoint.receive_datagram(
            forged[:8] + ssrc + forged[12:], call.client.address, scene.world.now
        )
        report = b"\x81\xc9\0\7" + ssrc + forged[12:60]
        scene.endpoint.receive_datagram(report, call.client.address, scene.world.now)
    assert len(receiver.ssrcs) == len(call.session._planes.media._streams) == 1
    assert len(receiver._rtcp_streams) <= 1
    assert len(receiver.ssrcs) <= MAX_STREAMS


def test_s6_forged_ssrcs_leave_no_context() -> None:
    """0 contexts for 2,000 forged SSRCs."""
    many_ssrcs(2_000)


@pytest.mark.threats
def test_s6_forged_ssrcs_leave_no_context_full() -> None:
    """The same for 1,000,000."""
    many_ssrcs(1_000_000)


def test_s7_every_short_packet_from_the_right_address() -> None:
    """Every length from 0 to 64 with every first byte: nothing leaves, nothing is said."""
    scene = Scene()
    call = scene.connect()
    events = len(scene.host.events)
    before = digest(scene.endpoint)
    for first in range(256):
        for size in range(65):
            data = (bytes([first]) + bytes(range(1, 65)))[:size]
            scene.host.receive(data, call.client.address, SERVER)
    assert difference(before, digest(scene.endpoint)) == []
    assert len(scene.host.events) == events
    sent = call.talk(2)
    finish(call)
    assert call.heard() == sent


def test_the_relay_host_is_a_whole_relay() -> None:
    """A restart forgets the flows; the endpoint's next packet brings them back."""
    scene = Scene(relayed=True)
    call = scene.connect()
    relay: Host[RelayHost] | None = scene.relay
    assert relay is not None
    assert len(relay.machine.core.flows) == 1
    relay.machine.restart()
    assert len(relay.machine.core.flows) == 0
    scene.endpoint.send_audio(call.id, call.payload(), scene.world.now)
    scene.world.run_for(0.1)
    assert len(relay.machine.core.flows) == 1


def test_forged_handshake_messages_move_no_route() -> None:
    """Before there are keys no DTLS is authentic: answers go on to the relay of the checks."""
    scene = Scene(relayed=True)
    call = scene.call()
    other = ("10.0.0.66", 1)
    forged = encode_header(call.client.address, PUBLIC) + handshake_record(11, bytes(500), 7)
    muted = True

    def mute(packet: Packet, now: float) -> list[Packet]:
        """The client's DTLS is lost, so that nothing of it moves the route back."""
        del now
        dtls = packet.source == call.client.address and classify(packet.data) is Kind.DTLS
        return [] if dtls and muted else [packet]

    scene.network.tap(mute)
    for _ in range(20):
        scene.world.run_for(0.05)
        scene.host.receive(forged, other, SERVER)
    flights = [d for d in scene.sent_to(call.client.address) if classify(d) is Kind.DTLS]
    assert len(flights) >= 4
    assert scene.sent_to(other) == []
    muted = False
    scene.wait(call)


def test_r2_tables_of_the_endpoint_are_bounded() -> None:
    """A valid peer that checks from 300 addresses: paths per session, and deadlines, stay few."""
    scene = Scene()
    call, other = scene.connect(), scene.connect()
    insider = call.insider()
    strangers = attackers(300)
    for number in range(3_000):
        scene.attack(insider.check(), strangers[number % 300])
        scene.world.run_for(0.001)
    assert len(scene.endpoint._entries[call.id].paths) <= MAX_PATHS
    assert len(scene.endpoint._paths.owners) <= MAX_PATHS + len(
        scene.endpoint._entries[other.id].paths
    )
    assert len(scene.endpoint._deadlines) <= 64 + 4 * 2
    # The paths that carry the calls are still there.
    for each in (call, other):
        sent = each.talk(2)
        finish(each)
        assert each.heard() == sent


def test_many_deadlines_leave_one_per_session() -> None:
    """A near deadline that comes and goes in front of a far one does not pile the far one up."""
    scene = Scene()
    # The other call's deadlines are at the top of the heap, so that only a sweep gets below.
    call, _ = scene.connect(), scene.connect()
    media = call.session._planes.media
    near: list[float] = []

    def soonest() -> float | None:
        """As when a gap in the audio is waited for: a little later each time, then not at all."""
        return near[-1] if near else None

    call.session._planes.media = _WithTimer(media, soonest)  # type: ignore[assignment]
    for _ in range(500):
        near.append(scene.world.now + 0.001)
        scene.host.receive(bytes(20), call.client.address, SERVER)
        near.clear()
        scene.world.run_for(0.002)
        assert len(scene.endpoint._deadlines) <= 64 + 4 * 2
        live = [item for item in scene.endpoint._deadlines._heap if item[2].ticket == item[1]]
        assert len(live) <= 2
    assert call.alive


class _WithTimer:
    """A media plane whose deadline is somebody else's."""

    def __init__(self, media: object, get_timer: Callable[[], float | None]) -> None:
        self._media = media
        self.get_timer = get_timer

    def __getattr__(self, name: str) -> object:
        return getattr(self._media, name)
