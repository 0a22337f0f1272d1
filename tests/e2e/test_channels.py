"""Data channels with browsers: both call, both open, both speak first, both close.

The library itself is at the other end, without the programs: the page gives its description
to a server of the test's, and is told over the channels what to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from rtcproto import DataChannelClosed, DataChannelMessage, DataChannelOpened
from rtcproto.sdp import Setup
from tests.e2e.browser import Browser, launch, why_no_browser
from tests.e2e.network import Namespace
from tests.e2e.site import Job, Site
from tests.interop.ours import Ours, opened, until

pytestmark = pytest.mark.browser

SNAP = "--force-fieldtrials=WebRTC-Sctp-Snap/Enabled/"

LARGE = 262_144
PATTERN = bytes(n % 251 for n in range(LARGE))

MESSAGES: tuple[str | bytes, ...] = ("text", b"\x00\xff\x80", "", b"", "h\u00e9\U0001f600", PATTERN)


@pytest.fixture(scope="session")
def snapping(namespace: Namespace, site: Site) -> Iterator[Browser]:
    """Chromium with the trial in which SCTP needs no handshake."""
    reason = why_no_browser("chromium")
    if reason is not None:
        pytest.skip(reason)
    with launch("chromium", site, namespace, {}, (SNAP,)) as it:
        yield it


@pytest.mark.parametrize("setup", [Setup.ACTIVE, Setup.PASSIVE], ids=lambda setup: setup.value)
def test_browser_calls_us(browser: Browser, namespace: Namespace, setup: Setup) -> None:
    """Its channel is in its offer, ours follows; we take DTLS role `setup`."""
    report = asyncio.run(be_called(browser, namespace, setup))
    assert report["opened"][0] == "theirs"


@pytest.mark.parametrize("setup", [Setup.ACTIVE, Setup.PASSIVE], ids=lambda setup: setup.value)
def test_we_call_the_browser(browser: Browser, namespace: Namespace, setup: Setup) -> None:
    """Our channel is there first, its own follows; we take DTLS role `setup`."""
    report = asyncio.run(call(browser, namespace, setup))
    assert report["opened"][0] == "ours"


@pytest.mark.parametrize("called", [True, False], ids=["called", "calling"])
def test_both_spare_the_handshake_of_sctp(
    snapping: Browser, namespace: Namespace, called: bool
) -> None:
    """SNAP: its INIT is in its description, ours in ours, and no other was sent."""
    work = be_called if called else call
    report = asyncio.run(work(snapping, namespace, Setup.ACTIVE))
    assert "a=sctp-init:" in report["description"]


async def be_called(browser: Browser, namespace: Namespace, setup: Setup) -> dict[str, Any]:
    """The browser offers; the page's report."""
    async with (
        opened(echo=False, host=namespace.host, setup=setup) as ours,
        described(browser.site, ours.accept_offer),
    ):
        job = browser.site.submit(browser.name, {"kind": "channels"})
        await until(lambda: ours.call is not None, "offer")
        await ours.connected()
        assert ours.call is not None
        await until(lambda: ours.of(DataChannelOpened), "channel of the page's")
        return await exchange(ours, ours.call.open_channel("ours"), job)


async def call(browser: Browser, namespace: Namespace, setup: Setup) -> dict[str, Any]:
    """We offer; the page's report."""
    async with opened(echo=False, host=namespace.host, ice_lite=False) as ours:
        offer = ours.create_offer().replace("a=setup:actpass", f"a=setup:{setup.value}")

        answers: list[str] = []

        def answered(answer: str) -> str:
            ours.accept_answer(answer)
            answers.append(answer)
            return ""

        async with described(browser.site, answered):
            job = browser.site.submit(browser.name, {"kind": "channels", "offer": offer})
            await until(answers.__len__, "answer")
            assert ours.call is not None
            number = ours.call.open_channel("ours")
            await ours.connected()
            return await exchange(ours, number, job)


@asynccontextmanager
async def described(site: Site, take: Callable[[str], str]) -> AsyncIterator[None]:
    """A server for the page's description; `take` gives what is answered."""

    async def post(request: web.Request) -> web.Response:
        return web.Response(text=take(await request.text()))

    application = web.Application()
    application.add_routes([web.post("/description", post)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    site.upstream = server.name
    try:
        yield
    finally:
        site.upstream = ""
        await runner.cleanup()


async def exchange(ours: Ours, number: int, job: Job) -> dict[str, Any]:
    """Everything that two channels are for; `number` is ours. The page's report."""
    assert ours.call is not None

    def incoming() -> list[DataChannelOpened]:
        return [event for event in ours.of(DataChannelOpened) if event.incoming]

    await until(incoming, "channel of the page's")
    (other,) = incoming()
    assert (other.label, other.channel % 2) == ("theirs", 1 - number % 2)
    await until(lambda: heard(ours, other.channel), "first message of the page's")
    assert heard(ours, other.channel) == ["hello"]

    for message in MESSAGES:
        ours.call.send_message(number, message)
        ours.call.send_message(other.channel, message)
    ours.call.send_message(other.channel, f"say {LARGE}")
    await until(lambda: len(heard(ours, number)) == len(MESSAGES), "all echoes")
    await until(lambda: len(heard(ours, other.channel)) == len(MESSAGES) + 2, "all echoes")
    assert heard(ours, number) == [*MESSAGES]
    assert heard(ours, other.channel) == ["hello", *MESSAGES, PATTERN]

    ours.call.close_channel(number)
    ours.call.send_message(other.channel, "shut")
    await until(lambda: len(ours.of(DataChannelClosed)) == 2, "the end of both channels")
    again = ours.call.open_channel("again")
    assert again == number + 2
    ours.call.send_message(again, "once more")
    await until(lambda: heard(ours, again)[-1:] == ["once more"], "an echo on the new channel")
    stats = ours.stats.sctp_transport
    assert stats is not None
    assert stats.packets_dropped == 0
    print(f"{stats.retransmissions} retransmissions, {stats.smoothed_round_trip_time} s")
    ours.call.send_message(again, "bye")
    report = await asyncio.to_thread(job.result, 20.0)
    assert sorted(report["opened"]) == ["again", "ours", "theirs"], report
    assert sorted(report["closed"]) == ["ours", "theirs"]
    assert isinstance(report, dict)
    return report


def heard(ours: Ours, channel: int) -> list[str | bytes]:
    """The messages on one channel."""
    return [event.data for event in ours.of(DataChannelMessage) if event.channel == channel]
