"""Session rows: a whole server's CPU and memory per session, and the time a call takes to begin.

The servers are `serving.py` in a process of its own; the clients are ours for both (`fleet.py`),
on the other core, except in the set-up row, where each library talks to itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs

from rtcproto import EndpointConfig, Identity, SessionConfig
from rtcproto.asyncio import Call, open_endpoint
from rtcproto.events import Connected, Event
from rtcproto.srtp import Profile
from tests.benchmarks.fleet import PAYLOAD, Fleet
from tests.benchmarks.harness import Contest, Row, Sizes, Skipped
from tests.benchmarks.programs import cores, cpu_seconds, resident, started
from tests.benchmarks.serving import HOST, aiortc_connection, free_port

__all__ = ["ROWS", "Server", "serving"]

SESSIONS = 50
SECONDS = 3.0
WARM_UP = 0.5

# Sessions between which the slope of memory is taken.
OUR_SESSIONS = 200, 1200
THEIR_SESSIONS = 10, 60
# Packets each session has echoed by then: aiortc keeps the last 128 it sent.
ECHOED = 150
# Packets a second in all while they do, which neither server falls behind.
GENTLE = {"ours": 8000, "aiortc": 2000}


@attrs.frozen
class Server:
    """A running `serving.py`."""

    process: Any

    @property
    def pid(self) -> int:
        """Its process."""
        pid: int = self.process.pid
        return pid

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request, one reply."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        reply: dict[str, Any] = json.loads(self.process.stdout.readline())
        return reply

    def answer(self, offer: str) -> str:
        """The answer to an offer."""
        text: str = self.ask({"offer": offer})["answer"]
        return text


@contextmanager
def serving(name: str) -> Iterator[Server]:
    """A server on its core, and this process on the other."""
    command = [sys.executable, "-m", "tests.benchmarks.serving", name]
    allowed = os.sched_getaffinity(0)
    core, ours = cores()
    with started(command, core=core) as (process, _):
        os.sched_setaffinity(0, {ours})
        try:
            yield Server(process)
        finally:
            os.sched_setaffinity(0, allowed)


def _need_aiortc() -> None:
    try:
        import aiortc  # noqa: F401
    except ImportError:
        raise Skipped("aiortc is not installed") from None


@contextmanager
def _echo(profile: Profile, sizes: Sizes) -> Iterator[Contest]:
    _need_aiortc()
    notes: dict[str, Any] = {}

    def measure(name: str) -> float:
        with serving(name) as server:
            fleet = Fleet(SESSIONS, (profile,), server.answer)
            try:
                fleet.talk(WARM_UP)
                echoes, start, before = fleet.echoes, time.monotonic(), cpu_seconds(server.pid)
                sent = fleet.talk(SECONDS)
                spent, lasted = cpu_seconds(server.pid) - before, time.monotonic() - start
                came = (fleet.echoes - echoes) / sent
            finally:
                fleet.close()
        notes[f"{name} least echoed"] = min(notes.get(f"{name} least echoed", 1.0), came)
        return spent * 1000 / lasted / SESSIONS

    cores()
    yield Contest(
        ours=partial(measure, "ours"), peers={"aiortc": partial(measure, "aiortc")}, notes=notes
    )


@contextmanager
def _memory(channels: bool, echoed: int, sizes: Sizes) -> Iterator[Contest]:
    _need_aiortc()

    def measure(name: str, few: int, many: int) -> float:
        with serving(name) as server:
            fleet = Fleet(few, (Profile.AEAD_AES_128_GCM,), server.answer, channels)
            try:
                _talk_gently(fleet, few, echoed, GENTLE[name])
                before = resident(server.pid)
                fleet.add(many - few, server.answer)
                _talk_gently(fleet, many, echoed, GENTLE[name])
                return (resident(server.pid) - before) / 1024 / (many - few)
            finally:
                fleet.close()

    cores()
    yield Contest(
        ours=partial(measure, "ours", *OUR_SESSIONS),
        peers={"aiortc": partial(measure, "aiortc", *THEIR_SESSIONS)},
    )


def _talk_gently(fleet: Fleet, sessions: int, echoed: int, rate: int) -> None:
    fleet.talk(echoed * sessions / rate, interval=sessions / rate)


# -- Set-up: from the offer to the first audio packet at the server


async def _our_call(server: Server, identity: Identity) -> float:
    address = HOST, free_port()
    session = SessionConfig(
        identity=identity, addresses=(address,), ice_lite=False, allow_loopback=True
    )
    driver = await open_endpoint(EndpointConfig(session=session), address)

    def on_event(call: Call, event: Event) -> None:
        if isinstance(event, Connected):
            call.send_audio(PAYLOAD)

    try:
        call, offer = driver.create_offer(on_event)
        offered = time.monotonic()
        call.accept_answer(server.answer(offer))
        return await _first_audio(server) - offered
    finally:
        driver.close()


async def _their_call(server: Server) -> float:
    import av
    from aiortc import MediaStreamTrack, RTCSessionDescription
    from aiortc.codecs.opus import TIME_BASE

    class Packets(MediaStreamTrack):
        """A packet every 20 ms, encoded already."""

        kind = "audio"
        _count = -1

        async def recv(self) -> Any:
            self._count += 1
            if self._count:
                await asyncio.sleep(0.02)
            packet = av.Packet(PAYLOAD)
            packet.pts, packet.time_base = self._count * 960, TIME_BASE
            return packet

    connection = aiortc_connection()
    connection.addTrack(Packets())
    await connection.setLocalDescription(await connection.createOffer())
    offered = time.monotonic()
    answer = server.answer(connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    try:
        return await _first_audio(server) - offered
    finally:
        await connection.close()


async def _first_audio(server: Server) -> float:
    for _ in range(100):
        await asyncio.sleep(0.05)
        first: float | None = server.ask({"first": True})["first"]
        if first is not None:
            return first
    raise AssertionError("no audio came")


@contextmanager
def _set_up(sizes: Sizes) -> Iterator[Contest]:
    _need_aiortc()
    identity = Identity.generate(time.time())
    with serving("ours") as ours, serving("aiortc") as theirs:
        yield Contest(
            ours=lambda: asyncio.run(_our_call(ours, identity)) * 1000,
            peers={"aiortc": lambda: asyncio.run(_their_call(theirs)) * 1000},
        )


ROWS = [
    *(
        Row(
            name=f"echo CPU per session-second {profile.name}",
            unit="ms",
            bars={"aiortc": 0.25},
            prepare=partial(_echo, profile),
            rounds=3,
            micro=False,
        )
        for profile in (Profile.AEAD_AES_128_GCM, Profile.AES_CM_128_HMAC_SHA1_80)
    ),
    Row(
        name="memory per session",
        unit="KiB",
        bars={"aiortc": 0.15},
        prepare=partial(_memory, False, ECHOED),
        rounds=1,
        micro=False,
    ),
    Row(
        name="memory per session with a channel",
        unit="KiB",
        bars={"aiortc": 0.25},
        # Audio has the row above; here it only shows that the sessions are alive.
        prepare=partial(_memory, True, ECHOED // 10),
        rounds=1,
        micro=False,
    ),
    Row(
        name="set-up to first audio",
        unit="ms",
        bars={"aiortc": 0.5},
        prepare=_set_up,
        rounds=15,
        micro=False,
    ),
]
