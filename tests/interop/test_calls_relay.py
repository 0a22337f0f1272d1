"""Calls of implementations that are not ours through the relay, and calls that fall silent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rtcproto import AudioLost, CloseReason, RoutingConfig
from rtcproto.routing import codec_from_text
from tests.e2e.process import Process
from tests.e2e.programs import free_port
from tests.interop.ours import HOST, check_stream, opened, until
from tests.interop.peer import PeerProcess

pytestmark = pytest.mark.interop

Peers = Callable[[str], PeerProcess]

KEYS = "a 00112233445566778899aabbccddeeff active\n"

# Seconds for one test.
LIMIT = 30.0


@pytest.mark.parametrize("peer", ["aiortc", "pion", "werift", "wrtc", "gstreamer"])
def test_peer_calls_through_the_relay(peers: Peers, tmp_path: Path, peer: str) -> None:
    """A peer that knows nothing but the relay's address has its call, that way alone."""
    process = peers(peer)
    keys = tmp_path / "keys"
    keys.write_text(KEYS, encoding="utf-8")
    outside, inside = (HOST, free_port(HOST)), (HOST, free_port(HOST))

    async def run() -> None:
        theirs = process.call()
        behind = {
            "routing": RoutingConfig(codec=codec_from_text(KEYS), cluster=0, owner=1, epoch=0),
            "relays": ("127.0.0.0/8",),
        }
        async with opened(echo=True, addresses=(outside,), relay=behind) as ours:
            command = [sys.executable, "-m", "examples.relay", "--keys", str(keys)]
            command += ["--listen", "{}:{}".format(*outside), "--inside", "{}:{}".format(*inside)]
            command += ["--transceiver", "0/1={}:{}".format(*ours.driver.address)]
            with Process([*command, "--allow-loopback"], tmp_path / "relay.log") as relay:
                await asyncio.to_thread(relay.wait_for, "relay ready")
                await theirs.accept_answer(ours.accept_offer(await theirs.offer(mode="source")))
                connected = await ours.connected()
                assert connected.local == outside
                await until(lambda: len(ours.heard) >= 50, "a second of audio")
                assert check_stream(ours) in ([], [648])  # GStreamer's first packet is short
                stats = await theirs.stats()
                assert stats.received >= 0.9 * stats.sent - 10
                assert ours.call is not None
                ours.call.close()
                assert (await ours.closed()).reason is CloseReason.LOCAL
                theirs.close()

    asyncio.run(asyncio.wait_for(run(), LIMIT))


@pytest.mark.parametrize("peer", ["aiortc", "pion", "werift"])
def test_silence_is_not_loss(peers: Peers, peer: str) -> None:
    """A source pauses for 600 ms (DTX): timestamps jump, sequence numbers do not, nothing is lost.

    Our echo carries the same jump, and a peer without a codec sees it.
    """
    process = peers(peer)

    async def run() -> None:
        theirs = process.call()
        async with opened(echo=True) as ours:
            offer = await theirs.offer(mode="source", pause=[25, 30])
            await theirs.accept_answer(ours.accept_offer(offer))
            await ours.connected()

            def jumps() -> list[int]:
                return check_stream(ours) if len(ours.heard) > 60 else []

            await until(jumps, "silence")
            # From the packet before the hole to the one after it: 31 packets of 20 ms.
            assert jumps() == [31 * 960]
            assert not ours.of(AudioLost)
            if peer != "aiortc":  # which marks every packet, and does not tell what it hears
                assert [event.marker for event in ours.heard].count(True) <= 2
                assert (await theirs.stats()).jumps == (31 * 960,)
            theirs.close()

    asyncio.run(asyncio.wait_for(run(), LIMIT))
