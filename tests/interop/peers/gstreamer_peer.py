"""GStreamer's webrtcbin behind the JSON lines of `tests.interop.peer`, on loopback only.

Runs on whatever Python has GStreamer's binding, so it needs nothing but that.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from array import array
from collections import deque
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import GLib, Gst, GstApp, GstSdp, GstWebRTC  # noqa: E402 - versions come first

from tests.interop.pitch import FREQUENCY, RATE, frequency  # noqa: E402

NEEDED = (
    "webrtcbin",
    "nicesrc",
    "dtlsenc",
    "srtpenc",
    "opusenc",
    "opusdec",
    "rtpopuspay",
    "appsrc",
)

RAW = f"audio/x-raw,format=S16LE,channels=1,rate={RATE},layout=interleaved"
TONE = f"audiotestsrc is-live=true samplesperbuffer=960 freq={FREQUENCY} volume=0.4 ! {RAW}"
ECHO = f"appsrc name=echo is-live=true do-timestamp=true format=time caps={RAW}"
# Its capitals are the point: encoding names are not case-sensitive.
OPUS = "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,payload="


class Call:
    """One pipeline around one webrtcbin."""

    def __init__(self, number: int, mode: str, offer: str) -> None:
        self._number = number
        # It answers "recvonly" to an offer with another payload type than its pipeline's.
        offered = re.search(r"a=rtpmap:(\d+) opus/", offer)
        payload = offered[1] if offered else "96"
        # The last two seconds heard.
        self._heard: deque[int] = deque(maxlen=2 * RATE)
        source = ECHO if mode == "echo" else TONE
        self._pipeline = Gst.parse_launch(
            f"webrtcbin name=peer bundle-policy=max-bundle latency=40 "
            f"{source} ! queue ! opusenc ! rtpopuspay pt={payload} ! {OPUS}{payload} ! peer."
        )
        self._echo = self._pipeline.get_by_name("echo")
        self._peer = self._pipeline.get_by_name("peer")
        # Kept, because the binding takes the agent's only reference with it when it goes.
        self._ice = self._peer.get_property("ice-agent")
        # libnice leaves loopback out unless it is told.
        self._ice.emit("add-local-ip-address", "127.0.0.1")
        self._peer.connect("pad-added", self._on_pad)
        self._peer.connect("notify::connection-state", self._on_state)
        self._peer.connect("notify::ice-gathering-state", self._on_gathering)
        self._transport: GstWebRTC.WebRTCDTLSTransport | None = None

    def offer(self, command: dict[str, Any]) -> None:
        """Offer a call."""
        self._peer.connect("on-negotiation-needed", lambda _: self._create("create-offer"))
        self._pipeline.set_state(Gst.State.PLAYING)

    def answer(self, command: dict[str, Any]) -> None:
        """Answer a call."""
        self._pipeline.set_state(Gst.State.PLAYING)
        self._set_remote(GstWebRTC.WebRTCSDPType.OFFER, command["sdp"])
        self._create("create-answer")

    def remote(self, command: dict[str, Any]) -> None:
        """Take the answer."""
        self._set_remote(GstWebRTC.WebRTCSDPType.ANSWER, command["sdp"])

    def stats(self, command: dict[str, Any]) -> None:
        """Say what is known."""
        promise = Gst.Promise.new()
        self._peer.emit("get-stats", None, promise)
        promise.wait()
        reply = promise.get_reply()
        answer: dict[str, Any] = {
            "sent": 0,
            "received": 0,
            "frequency": frequency(self._heard_now()),
        }
        for index in range(reply.n_fields()):
            name = reply.nth_field_name(index)
            entry = reply.get_value(name)
            if not isinstance(entry, Gst.Structure):
                continue
            kind = entry.get_value("type")
            if kind == GstWebRTC.WebRTCStatsType.OUTBOUND_RTP:
                answer["sent"] = entry.get_value("packets-sent")
            elif kind == GstWebRTC.WebRTCStatsType.INBOUND_RTP:
                answer["received"] = entry.get_value("packets-received")
            elif kind == GstWebRTC.WebRTCStatsType.REMOTE_INBOUND_RTP:
                answer["round_trip_time"] = entry.get_value("round-trip-time")
        tell(self._number, "stats", **answer)

    def close(self, command: dict[str, Any]) -> None:
        """Hang up."""
        self._pipeline.set_state(Gst.State.NULL)

    def _heard_now(self) -> list[int]:
        return list(self._heard)

    def _create(self, what: str) -> None:
        promise = Gst.Promise.new_with_change_func(self._on_created, what.removeprefix("create-"))
        self._peer.emit(what, None, promise)

    def _on_created(self, promise: Gst.Promise, kind: str) -> None:
        promise.wait()
        # The description is the reply's: it must live as long.
        reply = promise.get_reply()
        description = reply.get_value(kind)
        self._peer.emit("set-local-description", description, Gst.Promise.new())

    def _set_remote(self, kind: GstWebRTC.WebRTCSDPType, text: str) -> None:
        _, sdp = GstSdp.SDPMessage.new_from_text(text)
        promise = Gst.Promise.new()
        description = GstWebRTC.WebRTCSessionDescription.new(kind, sdp)
        self._peer.emit("set-remote-description", description, promise)
        promise.wait()

    def _on_gathering(self, peer: Gst.Element, _: Any) -> None:
        if peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            sdp = peer.get_property("local-description").sdp.as_text()
            tell(self._number, "description", sdp=sdp)

    def _on_state(self, peer: Gst.Element, _: Any) -> None:
        tell(self._number, "state", state=peer.get_property("connection-state").value_nick)
        if self._transport is None:
            # A close_notify changes the state of the DTLS transport and no other.
            sender = peer.emit("get-transceiver", 0).get_property("sender")
            self._transport = sender.get_property("transport")
            if self._transport is not None:
                self._transport.connect("notify::state", self._on_dtls)

    def _on_dtls(self, transport: GstWebRTC.WebRTCDTLSTransport, _: Any) -> None:
        tell(self._number, "state", state=transport.get_property("state").value_nick)

    def _on_pad(self, peer: Gst.Element, pad: Gst.Pad) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        sink = Gst.parse_bin_from_description(
            f"rtpopusdepay ! opusdec ! audioconvert ! audioresample ! {RAW} ! "
            "appsink name=sink emit-signals=true sync=false",
            True,
        )
        sink.get_by_name("sink").connect("new-sample", self._on_sample)
        self._pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def _on_sample(self, sink: GstApp.AppSink) -> Gst.FlowReturn:
        buffer = sink.emit("pull-sample").get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        self._heard.extend(array("h", data))
        if self._echo is not None:
            self._echo.emit("push-buffer", Gst.Buffer.new_wrapped(data))
        return Gst.FlowReturn.OK


def tell(call: int, event: str, **fields: Any) -> None:
    """Write one event; one write, since several threads do."""
    line = json.dumps({"call": call, "event": event, **fields})
    os.write(1, line.encode() + b"\n")


def main() -> int:
    """Serve commands until the end of the input."""
    Gst.init(None)
    missing = [name for name in NEEDED if Gst.ElementFactory.find(name) is None]
    if missing or "--probe" in sys.argv:
        return len(missing)
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
    tell(0, "ready", name=Gst.version_string())
    calls: dict[int, Call] = {}
    for line in sys.stdin:
        command = json.loads(line)
        number = command["call"]
        try:
            if number not in calls:
                calls[number] = Call(number, command["mode"], command.get("sdp", ""))
            getattr(calls[number], command["do"])(command)
        except Exception as error:  # noqa: BLE001 - reported to the test, whatever it is
            tell(number, "error", detail=repr(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
