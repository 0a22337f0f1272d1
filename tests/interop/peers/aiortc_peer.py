"""aiortc behind the JSON lines of `tests.interop.peer`, on loopback only."""

from __future__ import annotations

import asyncio
import fractions
import json
import sys
import time
from array import array
from collections import deque
from typing import Any

import aiortc
import av
from aioice import ice
from aiortc import (
    MediaStreamTrack,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
    rtcdtlstransport,
)
from aiortc.contrib.media import MediaRelay
from pylibsrtp import Policy

from tests.interop.pitch import FRAME, FREQUENCY, RATE, frequency, samples

# aiortc leaves this one out of its list; OpenSSL and libsrtp below it know it.
rtcdtlstransport.SRTP_PROFILES.append(
    rtcdtlstransport.SRTPProtectionProfile(
        libsrtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
        openssl_profile=b"SRTP_AES128_CM_SHA1_32",
        key_length=16,
        salt_length=14,
    )
)
PROFILES = {
    "AEAD_AES_256_GCM": b"SRTP_AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM": b"SRTP_AEAD_AES_128_GCM",
    "AES_CM_128_HMAC_SHA1_80": b"SRTP_AES128_CM_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32": b"SRTP_AES128_CM_SHA1_32",
}
DEFAULT = ("AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80")


def loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """Instead of the addresses of this host's interfaces."""
    return ["127.0.0.1"]


ice.get_host_addresses = loopback


class Tone(MediaStreamTrack):
    """A tone in real time, with a hole of `pause` = [first frame, frames] in it."""

    kind = "audio"

    def __init__(self, pause: list[int] | None) -> None:
        super().__init__()
        self._pause = pause or [-1, 0]
        self._start = time.monotonic()
        self._next = 0

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they are due."""
        if self._next == self._pause[0]:
            self._next += self._pause[1]
        index, self._next = self._next, self._next + 1
        await asyncio.sleep(max(0.0, self._start + index * FRAME / RATE - time.monotonic()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.sample_rate, frame.pts = RATE, index * FRAME
        frame.time_base = fractions.Fraction(1, RATE)
        frame.planes[0].update(samples(FREQUENCY, index * FRAME, FRAME).tobytes())
        return frame


class Call:
    """One peer connection."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._pc = RTCPeerConnection()
        self._relay = MediaRelay()
        # The last two seconds heard, one channel.
        self._heard: deque[int] = deque(maxlen=2 * RATE)
        self._tasks: list[asyncio.Task[None]] = []
        self._channels: dict[str, RTCDataChannel] = {}
        self._pc.on("connectionstatechange", self._on_state)
        self._pc.on("datachannel", self._on_channel)

    async def offer(self, command: dict[str, Any]) -> None:
        """Offer a call with a source."""
        self._pc.addTrack(Tone(command.get("pause")))
        self._pc.on("track", self._listen)
        for label in command.get("channels", ()):
            self._open(label)
        await self._pc.setLocalDescription(await self._pc.createOffer())
        self._described(command)

    async def answer(self, command: dict[str, Any]) -> None:
        """Answer a call, as a source or an echo."""

        def on_track(track: MediaStreamTrack) -> None:
            echo = command["mode"] == "echo"
            self._pc.addTrack(self._relay.subscribe(track) if echo else Tone(command.get("pause")))
            self._listen(self._relay.subscribe(track))

        self._pc.on("track", on_track)
        await self._pc.setRemoteDescription(RTCSessionDescription(command["sdp"], "offer"))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        self._described(command)

    async def remote(self, command: dict[str, Any]) -> None:
        """Take the answer."""
        await self._pc.setRemoteDescription(RTCSessionDescription(command["sdp"], "answer"))

    async def stats(self, command: dict[str, Any]) -> None:
        """Say what is known."""
        reports = (await self._pc.getStats()).values()
        # Before the first report of the peer there is no remote-inbound-rtp at all.
        trips = [r.roundTripTime for r in reports if r.type == "remote-inbound-rtp"]
        (transport,) = {sender.transport for sender in self._pc.getSenders()}
        connection = transport._ssl
        assert connection is not None, "only asked when connected"
        tell(
            self._number,
            "stats",
            sent=sum(r.packetsSent for r in reports if r.type == "outbound-rtp"),
            received=sum(r.packetsReceived for r in reports if r.type == "inbound-rtp"),
            frequency=frequency(list(self._heard)),
            round_trip_time=next(iter(trips), None),
            srtp=connection.get_selected_srtp_profile().decode(),
            cipher=connection.get_cipher_name(),
        )

    async def open(self, command: dict[str, Any]) -> None:
        """Open a data channel."""
        self._open(command["label"])

    async def say(self, command: dict[str, Any]) -> None:
        """Send one message of its own."""
        self._channels[command["label"]].send(bytes(n % 251 for n in range(command["size"])))

    async def shut(self, command: dict[str, Any]) -> None:
        """Close a data channel."""
        self._channels[command["label"]].close()

    async def close(self, command: dict[str, Any]) -> None:
        """Hang up."""
        await self._pc.close()

    def _open(self, label: str) -> None:
        channel = self._pc.createDataChannel(label)
        channel.on("open", lambda: channel.send("hello"))
        self._on_channel(channel)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self._channels[channel.label] = channel
        for state in ("open", "close"):
            channel.on(state, lambda state=state: self._on_channel_state(channel, state))
        channel.on("message", channel.send)
        if channel.readyState == "open":
            self._on_channel_state(channel, "open")

    def _on_channel_state(self, channel: RTCDataChannel, state: str) -> None:
        tell(self._number, "channel", label=channel.label, state=state)

    def _described(self, command: dict[str, Any]) -> None:
        wanted = [PROFILES[name] for name in command.get("profiles") or DEFAULT]
        (transport,) = {sender.transport for sender in self._pc.getSenders()}
        known = {profile.openssl_profile: profile for profile in rtcdtlstransport.SRTP_PROFILES}
        transport._srtp_profiles = [known[name] for name in wanted]
        tell(self._number, "description", sdp=self._pc.localDescription.sdp)

    def _on_state(self) -> None:
        tell(self._number, "state", state=self._pc.connectionState)

    def _listen(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._hear(track)))

    async def _hear(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except aiortc.mediastreams.MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            channels = len(frame.layout.channels)
            data = array("h", bytes(frame.planes[0])[: 2 * channels * frame.samples])
            self._heard.extend(data[::channels])


def tell(call: int, event: str, **fields: Any) -> None:
    """Write one event."""
    print(json.dumps({"call": call, "event": event, **fields}), flush=True)


async def main() -> None:
    """Serve commands until the end of the input."""
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    tell(0, "ready", name=f"aiortc {aiortc.__version__}")
    calls: dict[int, Call] = {}
    while line := await lines.readline():
        command = json.loads(line)
        number = command["call"]
        call = calls.get(number) or calls.setdefault(number, Call(number))
        try:
            await getattr(call, command["do"])(command)
        except Exception as error:  # noqa: BLE001 - reported to the test, whatever it is
            tell(number, "error", detail=repr(error))


if __name__ == "__main__":
    asyncio.run(main())
