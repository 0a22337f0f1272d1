"""Data channels with implementations that are not ours, in whole calls.

For each peer, both DTLS roles and both directions: each side opens a channel, the caller
before the call is up and the called one afterwards; each speaks first on its own; messages
of every kind come back as they were, 256 KiB go either way, and each side closes a channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from rtcproto import DataChannelClosed, DataChannelMessage, DataChannelOpened
from rtcproto.sdp import Setup
from tests.interop.ours import Ours, opened, until
from tests.interop.peer import PeerCall, PeerProcess

pytestmark = pytest.mark.interop

Peers = Callable[[str], PeerProcess]

LARGE = 262_144

MESSAGES: tuple[str | bytes, ...] = (
    "text",
    b"\x00\xff\x80",
    "",
    b"",
    "h\u00e9\U0001f600",
    bytes(range(256)) * 40,
)

# What is left of empty messages on the way back from one that cannot send them.
NO_EMPTY: dict[str | bytes, str] = {"": "empty text", b"": "empty bytes"}

# Those that say how much they take, and take more: what we may send is set to what we test.
MODEST = {"aiortc", "werift"}

ROLES = (Setup.ACTIVE, Setup.PASSIVE)
CALLS = [(peer, setup) for peer in ("aiortc", "pion", "wrtc") for setup in ROLES]


def name(value: object) -> str:
    """Of a parameter."""
    return value.value if isinstance(value, Setup) else str(value)


# werift numbers its channels by its ICE role and not by its DTLS role (RFC 8832 section 6), so
# it is right in one of the two only.
@pytest.mark.parametrize(("peer", "setup"), [*CALLS, ("werift", Setup.ACTIVE)], ids=name)
def test_peer_calls_us(peers: Peers, peer: str, setup: Setup) -> None:
    """A peer offers with a channel of its own; we answer in DTLS role `setup`, and open another."""
    process = peers(peer)

    async def run() -> None:
        theirs = process.call()
        async with opened(echo=False, setup=setup) as ours:
            offer = await theirs.offer(mode="data", channels=["theirs"])
            await theirs.accept_answer(ours.accept_offer(generous(offer, peer)))
            await ours.connected()
            await theirs.channel("theirs", "open")
            assert ours.call is not None
            number = ours.call.open_channel("ours")
            await talk(ours, theirs, number)
            theirs.close()

    bounded(run())


@pytest.mark.parametrize(("peer", "setup"), [*CALLS, ("werift", Setup.PASSIVE)], ids=name)
def test_we_call_peer(peers: Peers, peer: str, setup: Setup) -> None:
    """We offer in DTLS role `setup` with a channel; the peer answers, and opens another."""
    process = peers(peer)

    async def run() -> None:
        theirs = process.call()
        async with opened(echo=False, ice_lite=False) as ours:
            offer = ours.create_offer().replace("a=setup:actpass", f"a=setup:{setup.value}")
            answer = await theirs.answer(offer, mode="data")
            ours.accept_answer(generous(answer, peer))
            assert ours.call is not None
            number = ours.call.open_channel("ours")
            await theirs.channel("ours", "open")
            theirs.open_channel("theirs")
            await talk(ours, theirs, number)
            theirs.close()

    bounded(run())


def bounded(test: Coroutine[None, None, None]) -> None:
    """Run a test, for 30 seconds at most."""
    asyncio.run(asyncio.wait_for(test, 30.0))


def generous(description: str, peer: str) -> str:
    """The description of a peer that takes more than it says, corrected."""
    if peer not in MODEST:
        return description
    before, found, after = description.partition("a=max-message-size:")
    assert found
    return f"{before}{found}{LARGE}\r\n{after.partition(chr(10))[2]}"


async def talk(ours: Ours, theirs: PeerCall, number: int) -> None:
    """Everything that two channels are for; `number` is the one we opened."""
    assert ours.call is not None

    def incoming() -> list[DataChannelOpened]:
        return [event for event in ours.of(DataChannelOpened) if event.incoming]

    await until(incoming, "channel of the peer's")
    (other,) = incoming()
    assert (other.label, other.channel % 2) == ("theirs", 1 - number % 2)
    await theirs.channel("ours", "open")
    await until(lambda: heard(ours, other.channel), "its first message")
    assert heard(ours, other.channel) == ["hello"]

    large = bytes(n % 251 for n in range(LARGE))
    echoes = list(MESSAGES)
    if "werift" in theirs.peer.name:
        echoes = [NO_EMPTY.get(message, message) for message in MESSAGES]
    for message in (*MESSAGES, large):
        ours.call.send_message(number, message)
        ours.call.send_message(other.channel, message)
    theirs.say("theirs", LARGE)
    await until(lambda: len(heard(ours, number)) == len(MESSAGES) + 1, "all echoes")
    await until(lambda: len(heard(ours, other.channel)) == len(MESSAGES) + 3, "all echoes")
    assert heard(ours, number) == [*echoes, large]
    on_theirs = heard(ours, other.channel)
    # What it says of its own comes somewhere among the echoes.
    on_theirs.remove(large)
    assert on_theirs == ["hello", *echoes, large]

    ours.call.close_channel(number)
    await theirs.channel("ours", "close")
    theirs.close_channel("theirs")
    await until(lambda: len(ours.of(DataChannelClosed)) == 2, "the end of both channels")
    assert [event.channel for event in ours.of(DataChannelClosed)] == [number, other.channel]
    await theirs.channel("theirs", "close")
    again = ours.call.open_channel("again")
    assert again == number + 2
    await theirs.channel("again", "open")
    ours.call.send_message(again, "once more")
    await until(lambda: heard(ours, again)[-1:] == ["once more"], "an echo on the new channel")
    stats = ours.stats
    assert stats.sctp_transport is not None
    assert stats.sctp_transport.packets_dropped == 0, stats.transport.rejected


def heard(ours: Ours, channel: int) -> list[str | bytes]:
    """The messages on one channel."""
    return [event.data for event in ours.of(DataChannelMessage) if event.channel == channel]
