"""Calls that measure: each a session on a socket of its own, 50 packets a second, one process.

Commands come by standard input, one word a line: `rebind HOST` gives every call a new
socket there, as a NAT does that forgot it; `stop` ends, and prints what was heard as JSON.
Arrivals are on the clock that all processes of a machine share.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any, assert_never

from rtcproto import Identity, Session, SessionConfig
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
from tests.faults.talker import FRAME, frame

__all__ = ["main"]

# Seconds to wait for what is under way after the last packet was sent.
GRACE = 0.5

# Seconds between two looks at timers; checks and reports can wait so long.
LOOK = 0.004

# Seconds that all calls have to be connected, and to be heard.
PATIENCE = 25.0

# Checks of so many calls are shown, for who wants to replay some.
MAX_CHECKS = 10

RECEIVE_BUFFER = 1 << 20


class Caller:
    """One call."""

    def __init__(self, host: str, identity: Identity, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._socket = self._bind(host)
        self.session = Session(
            SessionConfig(
                identity=identity, addresses=(self._socket.getsockname(),), ice_lite=False
            ),
            time.time(),
            time.monotonic(),
        )
        self.connected = False
        self.closed = ""
        self.arrivals: list[float] = []
        self.returned: set[bytes] = set()
        self.remotes: list[tuple[float, str]] = []
        self.sent = 0
        self.next_frame = 0.0
        # The first check that left.
        self.check = b""

    def place(self, url: str) -> None:
        """Offer, and take the answer."""
        offer = self.session.create_offer(time.monotonic())
        request = urllib.request.Request(
            url, data=offer.encode(), headers={"Content-Type": "application/sdp"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            self.session.accept_answer(response.read().decode(), time.monotonic())
        self.flush()

    def rebind(self, host: str) -> None:
        """Go on from another address; whatever comes to the old one is lost."""
        self._selector.unregister(self._socket)
        self._socket.close()
        self._socket = self._bind(host)

    def read(self) -> None:
        """Take what has arrived."""
        with suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                data, source = self._socket.recvfrom(2048)
                self.session.receive_datagram(data, source, time.monotonic())
        self.flush()

    def look(self, now: float) -> None:
        """Do what is due."""
        deadline = self.session.get_timer()
        if deadline is not None and deadline <= now:
            self.session.handle_timer(now)
            self.flush()

    def talk(self, now: float) -> None:
        """Send the next packet, if it is time."""
        if self.connected and not self.closed and now >= self.next_frame:
            self.session.send_audio(frame(self.sent), now, timestamp=self.sent * 960)
            self.sent += 1
            self.next_frame += FRAME
            self.flush()

    def flush(self) -> None:
        """Deliver events, send datagrams."""
        for event in self.session.next_events():
            self._handle(event)
        for datagram in self.session.datagrams_to_send():
            if not self.check and datagram.data[:2] == b"\x00\x01":
                self.check = bytes(datagram.data)
            with suppress(OSError):  # a black hole may be one that the kernel knows
                self._socket.sendto(datagram.data, datagram.destination)

    def report(self, ended: float) -> dict[str, Any]:
        """What it was like."""
        return {
            "ended": ended,
            "arrivals": self.arrivals,
            "sent": self.sent,
            "returned": len(self.returned),
            "remotes": self.remotes,
            "closed": self.closed,
        }

    def _bind(self, host: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setblocking(False)
        sock.bind((host, 0))
        self._selector.register(sock, selectors.EVENT_READ, self.read)
        return sock

    def _handle(self, event: Event) -> None:
        match event:
            case AudioReceived():
                self.arrivals.append(event.arrival)
                self.returned.add(bytes(event.payload[:5]))
            case Connected():
                self.connected = True
                self.next_frame = time.monotonic()
                self.remotes.append((time.monotonic(), event.remote[0]))
            case PathChanged():
                self.remotes.append((time.monotonic(), event.remote[0]))
            case SessionClosed():
                self.closed = event.reason.name
            case (
                AudioLost()
                | DataChannelOpened()
                | DataChannelMessage()
                | DataChannelClosed()
                | DataChannelBufferLow()
            ):
                pass
            case _:
                assert_never(event)


class Party:
    """All calls, and the loop that serves them."""

    def __init__(self, host: str, urls: list[str], count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._talking = True
        self._next_look = 0.0
        self._input = b""
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._command)
        identity = Identity.generate(time.time())
        self.callers = [Caller(host, identity, self._selector) for _ in range(count)]
        for number, caller in enumerate(self.callers):
            caller.place(urls[number % len(urls)])
            # Those who are connected already are served meanwhile.
            self._turn()

    def run(self) -> dict[str, Any]:
        """Until told to stop; the report."""
        self._until(lambda: all(caller.arrivals for caller in self.callers), PATIENCE)
        checks = [caller.check.hex() for caller in self.callers[:MAX_CHECKS]]
        print(json.dumps({"connected": True, "checks": checks}), flush=True)
        while not self._stopping:
            self._turn()
        self._talking, ended = False, time.monotonic()
        end = time.monotonic() + GRACE
        self._until(lambda: time.monotonic() > end, 2 * GRACE)
        report = {"calls": [caller.report(ended) for caller in self.callers]}
        for caller in self.callers:
            if not caller.closed:
                caller.session.close(time.monotonic())
                caller.flush()
        return report

    def _until(self, condition: Callable[[], bool], patience: float) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                silent = sum(1 for caller in self.callers if not caller.arrivals)
                raise SystemExit(f"{silent} of {len(self.callers)} calls heard nothing")
            self._turn()

    def _turn(self) -> None:
        for key, _ in self._selector.select(LOOK / 2):
            key.data()
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK
            for caller in self.callers:
                caller.look(now)
                if self._talking:
                    caller.talk(now)

    def _command(self) -> None:
        self._input += os.read(sys.stdin.fileno(), 4096)
        *lines, self._input = self._input.split(b"\n")
        for line in lines:
            verb, _, argument = line.decode().partition(" ")
            if verb == "rebind":
                for caller in self.callers:
                    caller.rebind(argument)
            elif verb == "stop":
                self._stopping = True


def main() -> None:
    """Place the calls that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.client")
    parser.add_argument("--host", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("urls", nargs="+")
    options = parser.parse_args()
    party = Party(options.host, options.urls, options.calls)
    print("result " + json.dumps(party.run()), flush=True)


if __name__ == "__main__":
    main()
