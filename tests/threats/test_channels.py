"""Attacks on the data channels of whole calls: row C1, and what an authentic peer can do to C7.

The association and the channels have their rows at their own level, in `test_sctp` and in
`tests/datachannel`. Here they stand behind DTLS, as an operator runs them.
"""

from __future__ import annotations

import re
import tracemalloc

import pytest

from rtcproto import sdp
from rtcproto.datachannel import MAX_CHANNELS
from rtcproto.dtls import DtlsState, Identity
from rtcproto.events import CloseReason, Connected, SessionClosed
from rtcproto.sctp import AssociationState
from rtcproto.sctp.control_chunks import Abort, CookieEcho, Init
from rtcproto.sctp.packet import Packet
from rtcproto.session.data import MAX_EARLY_PACKETS, DataPlane
from rtcproto.testing.session_pair import UNIX_TIME
from tests.support.calls import Call, Scene, attackers, identity

INITS = [
    Packet(5000, 5000, 0, (Init(77, 1_000_000, 1024, 1024, 5),)).serialize(),
    Packet(5000, 5000, 7, (CookieEcho(b"c" * 80),)).serialize(),
    Packet(5000, 5000, 0, (Abort(),)).serialize(),
    bytes(12) + b"\x00\x07\x00\x14" + bytes(16),
]


def in_dtls(packet: bytes, epoch: int) -> bytes:
    """An application record that nobody's keys have touched."""
    return (
        b"\x17\xfe\xfd"
        + epoch.to_bytes(2, "big")
        + bytes(5)
        + b"\x77"
        + (len(packet).to_bytes(2, "big") + packet)
    )


FORGED = [*INITS, *(in_dtls(packet, epoch) for packet in INITS for epoch in (0, 1))]


def data_of(call: Call) -> DataPlane:
    """The data plane of the endpoint's session."""
    plane = call.session._planes.data
    assert plane is not None
    return plane


@pytest.mark.parametrize("snap", [True, False])
@pytest.mark.parametrize("setup", [sdp.Setup.ACTIVE, sdp.Setup.PASSIVE])
def test_c1_sctp_before_dtls(setup: sdp.Setup, snap: bool) -> None:
    """C1: from the peer's own address and from another, plain and in records without keys, at
    every millisecond of the set-up: the association knows nothing of it, and then comes up."""
    scene = Scene(session={"setup": setup})
    client, now = scene.client(), scene.world.now
    offer = client.machine.create_offer(now)
    if not snap:
        offer = re.sub("a=sctp-init:.*\r\n", "", offer)
    session_id, answer = scene.endpoint.accept_offer(offer, now)
    if not snap:
        answer = re.sub("a=sctp-init:.*\r\n", "", answer)
    client.machine.accept_answer(answer, now)
    call = Call(scene, session_id, client)
    plane = data_of(call)
    steps = 0
    while not call.events(Connected):
        for packet in FORGED:
            scene.attack(packet, client.address)
            scene.attack(packet, attackers(1)[0])
        scene.world.run_for(0.001)
        steps += 1
        assert steps < 2000
        if not call.session._planes.connected:
            stats = plane._association.stats()
            assert plane._association.state is AssociationState.CLOSED
            assert (stats.packets_received, stats.packets_dropped) == (0, 0)
            assert plane.get_timer() is None
            dtls = call.session._planes.transport._dtls
            assert dtls is not None
            if dtls.state is not DtlsState.CONNECTED:
                assert plane._early == []
    assert steps > 20
    channel = client.machine.open_channel("x", scene.world.now)
    client.settle()
    scene.world.run_for(0.5)
    assert [stats.data_channel_identifier for stats in plane.channel_stats()] == [channel]
    assert plane.transport_stats().packets_dropped == 0


@pytest.mark.parametrize("setup", [sdp.Setup.ACTIVE, sdp.Setup.PASSIVE])
def test_c1_a_peer_with_the_wrong_certificate(setup: sdp.Setup) -> None:
    """C1: who shows another certificate than the description's reaches no association."""
    scene = Scene(session={"setup": setup})
    client, now = scene.client(), scene.world.now
    other = f"sha-256 {Identity.generate(UNIX_TIME).fingerprint.value}"
    mine = f"sha-256 {identity('client').fingerprint.value}"
    offer = client.machine.create_offer(now).replace(mine, other)
    session_id, answer = scene.endpoint.accept_offer(offer, now)
    client.machine.accept_answer(answer, now)
    call = Call(scene, session_id, client)
    plane = data_of(call)
    client.machine.open_channel("x", now)
    scene.world.run_for(60.0)
    assert [e.reason for e in call.events(SessionClosed)] == [CloseReason.FINGERPRINT_MISMATCH]
    stats = plane._association.stats()
    assert stats.state is AssociationState.CLOSED
    assert (stats.packets_received, stats.packets_sent) == (0, 0)
    assert plane._early == []
    assert plane.channel_stats() == ()


def test_c1_what_overtakes_the_end_of_the_set_up_is_bounded() -> None:
    """C1: an authentic peer whose path is not proven yet: 16 packets wait, unread."""
    scene = Scene()
    call = scene.call()
    plane = data_of(call)
    plane.receive(INITS * 100, scene.world.now)
    assert len(plane._early) == MAX_EARLY_PACKETS
    assert plane._association.stats().packets_received == 0
    assert plane.dropped["sctp_early"] == len(INITS) * 100 - MAX_EARLY_PACKETS


def open_on_streams(streams: range) -> None:
    """An authentic peer sends OPEN on each, with labels as long as they may be."""
    scene = Scene()
    call = scene.connect()
    plane = data_of(call)
    scene.world.run_for(0.1)
    message = b"\x03\x00\x01\x00\x00\x00\x00\x00\x08\x00\x08\x00" + b"l" * 2048 + b"p" * 2048
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        for stream in streams:
            plane._manager.receive_message(stream, 50, message)
            if stream % 1000 == 0:
                plane.receive((), scene.world.now)
                call.session.next_events()
                call.session.datagrams_to_send()
        plane.receive((), scene.world.now)
        call.session.next_events()
        call.session.datagrams_to_send()
        growth = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(plane.channel_stats()) <= MAX_CHANNELS
    assert growth < 4 << 20
    scene.host.settle()
    sent = call.talk(5)
    scene.world.run_for(0.2)
    assert call.heard()[-5:] == sent


def test_c7_a_peer_that_opens_many_channels() -> None:
    """C7: DCEP OPEN on 2,428 streams: 256 channels at most, growth below 4 MiB, the call goes on
    (65,535 in full)."""
    open_on_streams(range(0, 65_535, 27))


@pytest.mark.threats
def test_c7_a_peer_that_opens_on_every_stream() -> None:
    """C7: on 65,535."""
    open_on_streams(range(65_535))
