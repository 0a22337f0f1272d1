"""Whole calls with implementations that are not ours: they call us, and we call them.

For each peer both DTLS roles and every SRTP profile that it has are used, each side hangs up
once, and audio, RTCP in both directions and the end of the call are seen on both sides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from rtcproto import CloseReason
from rtcproto.sdp import Setup
from rtcproto.srtp import Profile
from tests.interop.ours import Ours, check_stream, opened, until
from tests.interop.peer import PeerCall, PeerProcess, PeerStats
from tests.interop.pitch import FREQUENCY, frequency

pytest.importorskip("av", reason="PyAV makes the audio (the extra 'peers')")

from tests.interop.tone import decode, encode

pytestmark = pytest.mark.interop

Peers = Callable[[str], PeerProcess]

CM80, CM32 = Profile.AES_CM_128_HMAC_SHA1_80, Profile.AES_CM_128_HMAC_SHA1_32
GCM128, GCM256 = Profile.AEAD_AES_128_GCM, Profile.AEAD_AES_256_GCM

# What each peer has, in its own order.
PROFILES = {
    "aiortc": (GCM256, GCM128, CM80, CM32),
    "pion": (GCM256, GCM128, CM80),
    "werift": (GCM128, CM80),
    "wrtc": (CM80,),
    "gstreamer": (CM80,),
}

# Those that have a codec: what comes back from them is a tone, not our bytes.
CODECS = {"aiortc", "wrtc", "gstreamer"}

# Those that send nothing when they hang up: it is always us.
SILENT_LEAVERS = {"werift", "gstreamer"}

# Those that may not see the other side's end: werift takes an encrypted alert for a plain one where
# its ciphertext happens to look like that, one in ten.
MISREAD_ALERTS = {"werift"}

CALLS = [
    pytest.param(peer, setup, profile, id=f"{peer}-{setup.value}-{profile.name}")
    for peer, profiles in PROFILES.items()
    for profile in profiles
    for setup in (Setup.ACTIVE, Setup.PASSIVE)
]

# Hertz that a tone may be off: a period is 109 samples, give or take one.
TOLERANCE = 5.0


@pytest.mark.parametrize(("peer", "setup", "profile"), CALLS)
def test_peer_calls_us(peers: Peers, peer: str, setup: Setup, profile: Profile) -> None:
    """A peer offers; our lite endpoint answers in DTLS role `setup` and echoes its audio.

    The peer hears its own audio; both know the round trip from RTCP; the end is seen by the
    other: the active one of us hangs up.
    """
    process = peers(peer)

    async def run() -> None:
        theirs = process.call()
        async with opened(echo=True, setup=setup, srtp_profiles=(profile,)) as ours:
            offer = await theirs.offer(mode="source", profiles=[profile.name])
            await theirs.accept_answer(ours.accept_offer(offer))
            await check_connection(ours, theirs, setup, profile)
            stats = await both_report(ours, theirs)
            # GStreamer's first packet is shorter by its encoder's delay of 312 samples.
            assert check_stream(ours) == ([648] if peer == "gstreamer" else [])
            if peer in CODECS:
                assert stats.frequency == pytest.approx(FREQUENCY, abs=TOLERANCE)
                assert frequency(decode(event.payload for event in ours.heard)) == pytest.approx(
                    FREQUENCY, abs=TOLERANCE
                )
            else:
                assert stats.returned is not None
                # All but what was on its way, or sent before we were connected.
                assert stats.returned >= 0.9 * stats.sent - 10
            await hang_up(ours, theirs, peer, we_may=setup is Setup.ACTIVE)

    bounded(run())


@pytest.mark.parametrize(("peer", "setup", "profile"), CALLS)
def test_we_call_peer(peers: Peers, peer: str, setup: Setup, profile: Profile) -> None:
    """Our client (a full agent) offers a tone; the peer answers and returns it.

    `setup` is our DTLS role: the peer is told to take the other one. The passive one of us
    hangs up.
    """
    process = peers(peer)

    async def run() -> None:
        theirs = process.call()
        async with opened(echo=False, ice_lite=False, srtp_profiles=(profile,)) as ours:
            # Both roles are offered; to tell the peer, the choice is taken from the line.
            offer = ours.create_offer().replace("a=setup:actpass", f"a=setup:{setup.value}")
            answer = await theirs.answer(offer, mode="echo", profiles=[profile.name])
            ours.accept_answer(answer)
            await check_connection(ours, theirs, setup, profile)
            tone = encode(FREQUENCY, 100)
            talking = asyncio.ensure_future(ours.talk(tone))
            await both_report(ours, theirs)
            await talking
            await until(lambda: len(ours.heard) >= 85, "echo of 85 packets")
            if peer in CODECS:
                packets = [event.payload for event in ours.heard]
                assert frequency(decode(packets)) == pytest.approx(FREQUENCY, abs=TOLERANCE)
            else:
                await until(lambda: ours.heard[-1].payload == tone[-1], "the last packet")
                # Those sent before the peer listened may be gone; no other is.
                packets = [event.payload for event in ours.heard]
                assert packets == list(tone[-len(packets) :])
            await hang_up(ours, theirs, peer, we_may=setup is Setup.PASSIVE)

    bounded(run())


def bounded(test: Coroutine[None, None, None]) -> None:
    """Run a test, for 30 seconds at most."""
    asyncio.run(asyncio.wait_for(test, 30.0))


async def check_connection(ours: Ours, theirs: PeerCall, setup: Setup, profile: Profile) -> None:
    """Both sides are connected, with the profile and the role that were asked for."""
    connected = await ours.connected()
    await theirs.state("connected")
    assert connected.srtp_profile == profile.name
    assert "GCM" in connected.dtls_cipher or "CHACHA20" in connected.dtls_cipher
    transport = ours.stats.transport
    assert transport.dtls_role == ("client" if setup is Setup.ACTIVE else "server")
    phases = ours.stats.phases
    print(  # shown by pytest -rP: the record of what interoperates
        f"{theirs.peer.name}: we are {setup.value}, {profile.name}, {connected.dtls_cipher};"
        f" first check {ms(phases.first_check)}, path {ms(phases.path)}, DTLS {ms(phases.dtls)}"
    )


def ms(seconds: float | None) -> str:
    """For people."""
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


async def both_report(ours: Ours, theirs: PeerCall) -> PeerStats:
    """Wait until each side knows the round trip from the other's reports; the peer's statistics."""

    def ours_knows() -> bool:
        remote = ours.stats.remote_inbound_rtp
        return remote is not None and remote.round_trip_time is not None

    await until(ours_knows, "report of the peer on our stream")
    for _ in range(50):
        stats = await theirs.stats()
        if stats.round_trip_time is not None:
            break
        await asyncio.sleep(0.1)
    remote = ours.stats.remote_inbound_rtp
    assert remote is not None
    # Both ends of loopback: a wrong unit or epoch would be off by much more.
    assert remote.round_trip_time is not None
    assert stats.round_trip_time is not None, f"{theirs.peer.name} saw no report of ours: {stats}"
    assert 0 <= remote.round_trip_time < 0.5
    assert 0 <= stats.round_trip_time < 0.5
    assert remote.packets_lost <= 0
    return stats


async def hang_up(ours: Ours, theirs: PeerCall, peer: str, *, we_may: bool) -> None:
    """End the call on one side; the other sees it."""
    assert ours.call is not None
    if we_may or peer in SILENT_LEAVERS:
        ours.call.close()
        assert (await ours.closed()).reason is CloseReason.LOCAL
        if peer not in MISREAD_ALERTS:
            await theirs.state("closed", "disconnected", "failed")
        theirs.close()
    else:
        theirs.close()
        assert (await ours.closed()).reason is CloseReason.PEER
