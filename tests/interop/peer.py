"""Implementations that are not ours, as processes that speak JSON lines.

One process serves any number of calls. Each line to it is a command, each line from it
an event, and both name the call:

```text
{"call": 1, "do": "offer", "mode": "source"}      -> {"call": 1, "event": "description", "sdp": ...}
{"call": 1, "do": "remote", "sdp": ...}              an answer to its offer
{"call": 2, "do": "answer", "mode": "echo", "sdp": ...}   -> description, as above
{"call": 1, "do": "stats"}                        -> {"call": 1, "event": "stats", ...}
{"call": 1, "do": "open", "label": "x"}           -> {"call": 1, "event": "channel", ...}
{"call": 1, "do": "say", "label": "x", "size": 10}
{"call": 1, "do": "shut", "label": "x"}           -> channel, with the state "close"
{"call": 1, "do": "close"}
                                                  -> {"call": 1, "event": "state", "state": ...}
```

`mode` is what it does with audio: "source" sends its own (a 440 Hz tone if it has a codec,
numbered packets if not) and judges what comes back; "echo" returns what it hears. `profiles`
are the SRTP profiles it may use, `pause` is where its source falls silent (DTX).
With an offer `channels` names data channels to open at once. On each channel it opens, a
peer says "hello" when that is open; on every channel it returns what it hears; "say" has it
send so many bytes counting up modulo 251. Events with "channel" have `label` and `state`:
"open" or "close".
Statistics are `PeerStats`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

__all__ = ["PeerCall", "PeerProcess", "PeerStats"]

# Seconds for any one answer; a Go program on a busy machine needs a few.
LIMIT = 15.0


@attrs.frozen(kw_only=True)
class PeerStats:
    """What a peer says of one call; None where it cannot know."""

    # Packets of its own that it sent, of ours that it received.
    sent: int
    received: int
    # Its own payloads that came back unchanged ("source" without a codec).
    returned: int | None = None
    # Of the tone it hears, in hertz (with a codec).
    frequency: float | None = None
    round_trip_time: float | None = None
    # Steps of the RTP timestamp between packets it heard, other than 20 ms, in samples.
    jumps: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    srtp: str | None = None
    cipher: str | None = None


class PeerProcess:
    """One running peer. `name` is what it says it is, with its version."""

    def __init__(self, command: Sequence[str | Path], folder: Path | None = None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._events: dict[int, queue.SimpleQueue[dict[str, Any]]] = {0: queue.SimpleQueue()}
        self._calls = itertools.count(1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            ready = self._events[0].get(timeout=LIMIT)
        except queue.Empty:
            self.stop()
            raise RuntimeError(f"the peer does not start: {self.log()}") from None
        self.name: str = ready["name"]

    def call(self) -> PeerCall:
        """A call that is not described yet."""
        number = next(self._calls)
        self._events[number] = queue.SimpleQueue()
        return PeerCall(self, number, self._events[number])

    def write(self, command: dict[str, Any]) -> None:
        """Give it one command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def log(self) -> str:
        """The end of what it printed to its standard error."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            events = self._events.get(event.get("call", 0))
            if events is not None:
                events.put(event)


class PeerCall:
    """One call of a peer, seen from the test."""

    def __init__(
        self, peer: PeerProcess, number: int, events: queue.SimpleQueue[dict[str, Any]]
    ) -> None:
        self.peer = peer
        self.states: list[str] = []
        # States of data channels as (label, state).
        self.channels: list[tuple[str, str]] = []
        self._number = number
        self._incoming = events

    async def offer(self, **fields: Any) -> str:
        """Have it offer; its offer."""
        description = await self._ask("description", do="offer", **fields)
        return str(description["sdp"])

    async def answer(self, offer: str, **fields: Any) -> str:
        """Have it answer; its answer."""
        description = await self._ask("description", do="answer", sdp=offer, **fields)
        return str(description["sdp"])

    async def accept_answer(self, answer: str) -> None:
        """Give it the answer to its offer."""
        self._tell(do="remote", sdp=answer)

    async def stats(self) -> PeerStats:
        """What it knows of the call now."""
        stats = await self._ask("stats", do="stats")
        names = [field.name for field in attrs.fields(PeerStats)]
        return PeerStats(**{name: stats[name] for name in names if name in stats})

    async def state(self, *wanted: str) -> None:
        """Wait until it has been in one of these states."""
        deadline = time.monotonic() + LIMIT
        while not set(wanted) & set(self.states):
            await self._next(deadline)

    async def channel(self, label: str, state: str) -> None:
        """Wait until it has reported a data channel in that state."""
        deadline = time.monotonic() + LIMIT
        while (label, state) not in self.channels:
            await self._next(deadline)

    def open_channel(self, label: str) -> None:
        """Have it open a data channel."""
        self._tell(do="open", label=label)

    def say(self, label: str, size: int) -> None:
        """Have it send a message of so many bytes, 0 to 250 and again."""
        self._tell(do="say", label=label, size=size)

    def close_channel(self, label: str) -> None:
        """Have it close a data channel."""
        self._tell(do="shut", label=label)

    def close(self) -> None:
        """Have it hang up."""
        self._tell(do="close")

    def _tell(self, **command: Any) -> None:
        self.peer.write({"call": self._number, **command})

    async def _ask(self, answer: str, **command: Any) -> dict[str, Any]:
        self._tell(**command)
        deadline = time.monotonic() + LIMIT
        while True:
            event = await self._next(deadline)
            if event["event"] == answer:
                return event

    async def _next(self, deadline: float) -> dict[str, Any]:
        while True:
            try:
                event = self._incoming.get_nowait()
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"no answer from {self.peer.name}: {self.peer.log()}"
                    ) from None
                await asyncio.sleep(0.005)
                continue
            if event["event"] == "error":
                raise RuntimeError(f"{self.peer.name}: {event['detail']}")
            if event["event"] == "state":
                self.states.append(event["state"])
            if event["event"] == "channel":
                self.channels.append((event["label"], event["state"]))
            return event
