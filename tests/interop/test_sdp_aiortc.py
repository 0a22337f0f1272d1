"""aiortc takes our descriptions, and we take its.

Only audio is offered: aiortc 1.16 refuses every answer with a rejected section
("ICE username fragment or password is missing"), whoever wrote it.
"""

import asyncio

import pytest

from rtcproto.sdp import Setup, build_answer, build_offer, negotiate, parse
from tests.support.sdp import answer_config, offer_config

aiortc = pytest.importorskip("aiortc")
pytestmark = pytest.mark.interop


@pytest.mark.parametrize("setup", [Setup.ACTIVE, Setup.PASSIVE])
@pytest.mark.parametrize("ice_lite", [False, True])
def test_aiortc_accepts_our_answer(setup: Setup, *, ice_lite: bool) -> None:
    """Its offer gets an answer it can set, whatever role and kind of agent we are."""

    async def run() -> None:
        connection = aiortc.RTCPeerConnection()
        try:
            connection.addTransceiver("audio")
            await connection.setLocalDescription(await connection.createOffer())
            offer = parse(connection.localDescription.sdp)
            config = answer_config(setup=setup, ice_lite=ice_lite)
            answer, negotiated = build_answer(offer, config)
            assert negotiated.audio.payload_type == 96
            assert negotiated.local_setup is setup
            await connection.setRemoteDescription(
                aiortc.RTCSessionDescription(type="answer", sdp=str(answer))
            )
            assert connection.signalingState == "stable"
            assert connection.getTransceivers()[0].currentDirection == "sendrecv"
        finally:
            await connection.close()

    asyncio.run(run())


def test_aiortc_answers_our_offer() -> None:
    """It sets our offer, and its answer settles everything we need."""

    async def run() -> None:
        connection = aiortc.RTCPeerConnection()
        try:
            offer = build_offer(offer_config())
            await connection.setRemoteDescription(
                aiortc.RTCSessionDescription(type="offer", sdp=str(offer))
            )
            connection.addTrack(aiortc.AudioStreamTrack())
            await connection.setLocalDescription(await connection.createAnswer())
            negotiated = negotiate(offer, parse(connection.localDescription.sdp))
            assert negotiated.audio.payload_type == 111
            assert negotiated.audio.audio_level_id == 1
            assert negotiated.local_setup is Setup.PASSIVE
            assert negotiated.remote_candidates
        finally:
            await connection.close()

    asyncio.run(run())
