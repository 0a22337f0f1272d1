"""An ICE restart over WHIP, through a relay, in the middle of a call."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from examples.transceiver.whip import ENDPOINT, FRAGMENT
from rtcproto import EndpointConfig, Identity, SessionConfig
from rtcproto.asyncio import Call, open_endpoint
from rtcproto.events import AudioReceived, Connected, Event
from rtcproto.sdp import parse_fragment
from tests.e2e.programs import Server
from tests.e2e.test_programs import Reply, ask
from tests.support.restart import restart

pytestmark = pytest.mark.live

PATIENCE = 30.0
FRAME = bytes([0xF8]) + b"a frame"


def patch(url: str, tag: str, fragment: str) -> Reply:
    """What is answered to a fragment."""
    return ask("PATCH", url, fragment.encode(), {"Content-Type": FRAGMENT, "If-Match": tag})


def test_a_restart_in_the_middle_of_a_call(tmp_path: Path) -> None:
    """200, the same call at the same owner, new credentials and tag; the echo goes on."""
    heard: list[float] = []
    connected = asyncio.Event()

    def handle(call: Call, event: Event) -> None:
        if isinstance(event, Connected):
            connected.set()
        elif isinstance(event, AudioReceived) and event.payload == FRAME:
            heard.append(time.monotonic())

    async def talk(call: Call, more: int) -> None:
        """Until `more` frames have come back."""
        wanted = len(heard) + more
        async with asyncio.timeout(PATIENCE):
            while len(heard) < wanted:
                call.send_audio(FRAME)
                await asyncio.sleep(0.02)

    async def run(server: Server) -> None:
        config = SessionConfig(
            identity=Identity.generate(time.time()),
            addresses=(("127.0.0.1", 0),),
            ice_lite=False,
            allow_loopback=True,
        )
        async with await open_endpoint(EndpointConfig(session=config), ("127.0.0.1", 0)) as driver:
            call, offer = driver.create_offer(handle)
            created = ask("POST", server.url + ENDPOINT, offer.encode())
            assert created.status == 201
            session_url = server.url + str(created.headers["Location"])
            first_tag = str(created.headers["ETag"])
            call.accept_answer(created.body.decode())
            async with asyncio.timeout(PATIENCE):
                await connected.wait()
            await talk(call, 10)
            # A client that found another candidate.
            session = driver.endpoint._entries[call.id].session
            assert session._trickle is not None
            ufrag = session._trickle._local.ufrag
            more = f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{session._trickle._local.pwd}\r\n"
            more += "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
            more += "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
            added = patch(session_url, first_tag, more)
            assert (added.status, added.body) == (204, b"")
            assert "ETag" not in added.headers

            replies: list[Reply] = []

            def carry(fragment: str) -> str:
                replies.append(patch(session_url, "*", fragment))
                assert replies[-1].status == 200, replies[-1].body
                return replies[-1].body.decode()

            restart(session, carry, time.monotonic())
            driver.flush_soon()
            [reply] = replies
            assert reply.headers.get_content_type() == FRAGMENT
            fragment = parse_fragment(reply.body.decode())
            answer = parse_fragment(
                "".join(
                    line + "\r\n"
                    for line in created.body.decode().splitlines()
                    if line.startswith(("a=ice-ufrag", "a=ice-pwd"))
                )
            )
            assert fragment.ufrag != answer.ufrag
            assert fragment.pwd != answer.pwd
            second_tag = str(reply.headers["ETag"])
            assert second_tag != first_tag
            await talk(call, 50)
            assert call.closed is None
            # The relay found the owner by the new ufrag, too: checks come from nowhere else.
            assert patch(session_url, first_tag, more).status == 412
            assert patch(session_url, second_tag, more).status == 422
            assert server.health()["sessions"] == 1
            assert ask("DELETE", session_url).status == 200

    with Server(tmp_path, "127.0.0.1", relay=True) as server:
        asyncio.run(run(server))
