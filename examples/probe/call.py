"""One measured call: an offer, paced audio, what came back, and how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from ipaddress import ip_address
from typing import assert_never

import attrs

from examples.probe.local import candidate_addresses, own_host, server_address
from examples.probe.matcher import Stamped, match
from examples.probe.media import FRAME_SAMPLES, FRAME_SECONDS, SPEECH, load_frames
from examples.probe.report import Phases, Report, longest_gap, summarise
from examples.probe.signalling import CallFailed, CallRefused, Signalling
from rtcproto import EndpointConfig, Identity, SessionConfig, SessionStats
from rtcproto.asyncio import Call, Driver, open_endpoint
from rtcproto.datagram import Address
from rtcproto.errors import DescriptionRefused, ParseError, UsageError
from rtcproto.events import (
    AudioLost,
    AudioReceived,
    Connected,
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Event,
    PathChanged,
    SessionClosed,
)

__all__ = ["CallFailed", "CallRefused", "place_call"]

# Frames from one look at the statistics to the next: they end with the call.
STATS_EVERY = 50

# Seconds to wait for stragglers after the last frame, counted anew for each.
GRACE = 1.0

# Seconds for the server's farewell after its call was ended.
FAREWELL = 1.0

# A server that sends more than this many times what it got is not listened to.
MAX_RECEIVED_FACTOR = 3


async def place_call(
    url: str,
    *,
    seconds: float = 5.0,
    frames: Sequence[bytes] | None = None,
    insecure: bool = False,
    relays: Sequence[Address] = (),
    key: str | None = None,
) -> Report:
    """Call `url`, send `frames` (recorded speech; again from the start) for `seconds`, measure.

    `insecure` accepts any certificate; `key` is sent as a bearer token. With `relays`,
    the media path must go to one of them for the call to pass. Raises CallFailed if no
    call came about.
    """
    frames = load_frames(SPEECH) if frames is None else frames
    limit = MAX_RECEIVED_FACTOR * round(seconds / FRAME_SECONDS) + 1
    async with Signalling(url, insecure, key) as signalling:
        placed = await _connect(signalling, url, limit)
        call, listener = placed.call, placed.listener
        try:
            sent = await _send(call, listener, frames, seconds)
            listener.note_stats(call)
            if placed.location is not None and not listener.closed.is_set():
                await signalling.end(placed.location)
                await _wait(listener.closed, FAREWELL)
            call.close()
            await _wait(listener.closed, FAREWELL)
        finally:
            placed.driver.close()
    return _report(url, placed, sent, relays)


@attrs.frozen(kw_only=True)
class _Placed:
    """A call that was answered; `signalling` is how long that took, in seconds."""

    driver: Driver
    call: Call
    listener: _Listener
    local: Address
    location: str | None
    signalling: float


async def _connect(signalling: Signalling, url: str, limit: int) -> _Placed:
    """Offer from the address that leads to the server; from another if its answer needs one."""
    server = await asyncio.to_thread(server_address, url)
    host = own_host(server)
    if host is None:
        raise CallFailed(f"{url}: no route to {server[0]}")
    began = time.monotonic()
    for final in (False, True):
        driver, listener = await _open(host), _Listener(limit)
        placed = False
        try:
            call, offer = driver.create_offer(listener.handle)
            answer, location = await signalling.call(offer)
            better = None if final else _better_host(host, candidate_addresses(answer))
            if better is None:
                taken = time.monotonic() - began
                call.accept_answer(answer)
                placed = True
                return _Placed(
                    driver=driver,
                    call=call,
                    listener=listener,
                    local=(host, driver.address[1]),
                    location=location,
                    signalling=taken,
                )
            # The media is elsewhere than the signalling, which is known only now.
            host = better
            if location is not None:
                await signalling.end(location)
        except (ParseError, DescriptionRefused) as error:
            raise CallFailed(f"{url}: the answer: {error}") from None
        finally:
            if not placed:
                driver.close()
    raise AssertionError("the second offer is the final one")


async def _open(host: str) -> Driver:
    config = SessionConfig(
        identity=Identity.generate(time.time()),
        addresses=((host, 0),),
        ice_lite=False,
        # A server on this computer is a test; elsewhere, a loopback candidate is an attack.
        allow_loopback=ip_address(host).is_loopback,
    )
    # No drain tick: it would add to every delay that is measured.
    return await open_endpoint(EndpointConfig(session=config), (host, 0), drain_tick=0.0)


def _better_host(host: str, candidates: Sequence[Address]) -> str | None:
    """Our address towards the first candidate that we can reach, if `host` leads to none."""
    hosts = [found for found in map(own_host, candidates) if found is not None]
    return None if host in hosts or not hosts else hosts[0]


async def _send(
    call: Call, listener: _Listener, frames: Sequence[bytes], seconds: float
) -> list[Stamped]:
    """Send a frame every 20 ms; all deadlines count from the first, so no error adds up."""
    sent: list[Stamped] = []
    await listener.settled.wait()
    began = time.monotonic()
    for number in range(round(seconds / FRAME_SECONDS)):
        await asyncio.sleep(began + number * FRAME_SECONDS - time.monotonic())
        if listener.closed.is_set():
            return sent
        if number % STATS_EVERY == 0:
            listener.note_stats(call)
        payload = frames[number % len(frames)]
        sent.append((payload, time.monotonic()))
        try:
            call.send_audio(payload, timestamp=number * FRAME_SAMPLES)
        except UsageError:  # the peer does not receive audio, or is about to be gone
            sent.pop()
            return sent
    while len(listener.received) < len(sent) and not listener.closed.is_set():
        listener.arrived.clear()
        if not await _wait(listener.arrived, GRACE):
            break
    return sent


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether `event` was set in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class _Listener:
    """What happened in a call."""

    def __init__(self, limit: int) -> None:
        self.received: list[Stamped] = []
        self.connected: Connected | None = None
        self.path: Address | None = None
        self.path_changes = 0
        self.stats: SessionStats | None = None
        # Connected or over; something arrived or over; over.
        self.settled = asyncio.Event()
        self.arrived = asyncio.Event()
        self.closed = asyncio.Event()
        self.reason = ""
        self._limit = limit

    def handle(self, call: Call, event: Event) -> None:
        """Take one event."""
        match event:
            case AudioReceived():
                if len(self.received) < self._limit:
                    self.received.append((event.payload, event.arrival))
                    self.arrived.set()
            case Connected():
                self.connected, self.path = event, event.remote
                self.settled.set()
            case PathChanged():
                self.path, self.path_changes = event.remote, self.path_changes + 1
            case AudioLost():
                pass  # counted by the session
            case (
                DataChannelOpened()
                | DataChannelMessage()
                | DataChannelBufferLow()
                | DataChannelClosed()
            ):
                pass  # this client opens none, and has nothing to say on the server's
            case SessionClosed():
                detail = f": {event.detail}" if event.detail else ""
                self.reason = event.reason.value + detail
                self.settled.set()
                self.arrived.set()
                self.closed.set()
            case _:
                assert_never(event)

    def note_stats(self, call: Call) -> None:
        """Keep the statistics as they are now; they are gone with the call."""
        if not self.closed.is_set():
            self.stats = call.stats()


def _report(
    url: str, placed: _Placed, sent: Sequence[Stamped], relays: Sequence[Address]
) -> Report:
    listener = placed.listener
    received, stats, connected = listener.received, listener.stats, listener.connected
    found = match(sent, received)
    inbound = stats.inbound_rtp[0] if stats is not None and stats.inbound_rtp else None
    outbound = None if stats is None else stats.remote_inbound_rtp
    phases = {} if stats is None else attrs.asdict(stats.phases)
    return Report(
        url=url,
        location=placed.location,
        phases=Phases(signalling=placed.signalling, **phases),
        local=placed.local,
        path=listener.path,
        path_changes=listener.path_changes,
        through_relay=listener.path in relays if relays else None,
        profile=None if connected is None else connected.srtp_profile,
        cipher=None if connected is None else connected.dtls_cipher,
        sent=len(sent),
        received=len(received),
        in_order=len(found.pairs),
        reordered=found.returned - len(found.pairs),
        lost=len(sent) - found.returned,
        extra=found.extra,
        delay=summarise(sent, received, found),
        longest_gap=longest_gap(received),
        ice_round_trip_time=None if stats is None else stats.transport.current_round_trip_time,
        rtcp_round_trip_time=None if outbound is None else outbound.round_trip_time,
        inbound_lost=None if inbound is None else inbound.packets_lost,
        outbound_lost=None if outbound is None else outbound.packets_lost,
        inbound_jitter=None if inbound is None else inbound.jitter,
        outbound_jitter=None if outbound is None else outbound.jitter,
        closed=listener.reason,
    )
