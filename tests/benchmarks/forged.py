"""Rows of forged packets: what a flood of them adds to the delay of calls that go on meanwhile.

The server is the transceiver without its HTTP, in a process and on a core of its own; the calls are
those of a fleet. Forged packets leave from a caller's own address, evenly spaced, and
are as good as they get without a key. What is compared is the time an echo takes,
with the flood and without.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rtcproto.srtp import Profile
from tests.benchmarks.fleet import PAYLOAD, Fleet
from tests.benchmarks.harness import Contest, Row, Sizes
from tests.benchmarks.programs import cores
from tests.benchmarks.sessions import serving
from tests.support.calls import forge

__all__ = ["ROWS"]

KINDS = ("check", "answer", "alert", "data", "audio", "report")

CALLS = 10
RATE = 20_000
FORGED = 100_000
QUIET = 2.0
# After the last packet, for echoes that are on their way.
SETTLE = 0.3

# At once in one step: whoever was held up must not send all at once what was due.
BURST = 8


class Targets(Fleet):
    """Calls that time their echoes, and forge packets against themselves."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.delays: list[float] = []
        self.forged = 0
        self._answers: list[str] = []
        self._packets: list[bytes] = []
        self._next = 0.0
        self._left: dict[bytes, float] = {}
        self._count = 0

        def noted(offer: str) -> str:
            self._answers.append(answer(offer))
            return self._answers[-1]

        super().__init__(CALLS, (Profile.AEAD_AES_128_GCM,), noted)

    def payload(self, now: float) -> bytes:
        """Numbered."""
        self._count += 1
        payload = PAYLOAD[:-4] + self._count.to_bytes(4, "big")
        self._left[payload] = now
        return payload

    def heard(self, payload: bytes, now: float) -> None:
        """How long it took."""
        super().heard(payload, now)
        left = self._left.pop(payload, None)
        if left is not None:
            self.delays.append(now - left)

    def step(self, rest: float) -> None:
        """Forge what is due first."""
        if self._packets:
            now = time.monotonic()
            self._next = max(self._next, now - BURST / RATE)
            while self._next <= now and self.forged < FORGED:
                number = self.forged % CALLS
                self.sessions[number][1].sendto(self._packets[number], self._door)
                self.forged += 1
                self._next += 1 / RATE
        super().step(rest)

    def run(self, kind: str | None) -> tuple[list[float], int]:
        """Talk, under a flood of one kind or none: sorted delays of echoes, packets lost."""
        self.delays, self._left = [], {}
        if kind is None:
            self.talk(QUIET)
        else:
            self.forged, self._next = 0, time.monotonic()
            self._packets = [self._forge(number)[kind] for number in range(CALLS)]
            while self.forged < FORGED:
                self.talk(0.1)
            self._packets = []
        self.settle(SETTLE)
        return sorted(self.delays), len(self._left)

    def _forge(self, number: int) -> dict[str, bytes]:
        session, answer = self.sessions[number][0], self._answers[number]
        sent = session.stats(time.monotonic()).outbound_rtp
        header = b"\x80\x6f" + sent.packets_sent.to_bytes(2, "big") + bytes(4)
        return forge(
            _ufrag(answer),
            _ufrag(session.local_description or ""),
            header + sent.ssrc.to_bytes(4, "big"),
        )

    @property
    def _door(self) -> tuple[str, int]:
        host, port = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", self._answers[0])[0]
        return host, int(port)


def _ufrag(description: str) -> str:
    found = re.search(r"a=ice-ufrag:(\S+)", description)
    assert found is not None, "every description has one"
    return found[1]


@contextmanager
def _flood(kind: str, sizes: Sizes) -> Iterator[Contest]:
    cores()
    seen: dict[str, float] = {}
    with serving("ours") as server:
        targets = Targets(server.answer)

        def measure(flood: str | None) -> float:
            started = time.monotonic()
            delays, lost = targets.run(flood)
            if not delays:
                raise AssertionError("no echo came back")
            name = "quiet" if flood is None else "flooded"
            seen[f"{name} p50 ms"] = delays[len(delays) // 2] * 1000
            seen[f"{name} packets"] = len(delays) + lost
            seen[f"{name} lost"] = lost
            if flood is not None:
                seen["forged"] = targets.forged
                seen["forged/s"] = targets.forged / (time.monotonic() - started - SETTLE)
            return delays[len(delays) * 99 // 100] * 1000

        def remark() -> str:
            return (
                f"p50 {seen['flooded p50 ms'] - seen['quiet p50 ms']:+.2f} ms,"
                f" lost {seen['flooded lost']:.0f} of {seen['flooded packets']:,.0f},"
                f" {seen['forged']:,.0f} forged at {seen['forged/s']:,.0f}/s"
            )

        try:
            yield Contest(
                ours=partial(measure, kind),
                peers={"no flood": partial(measure, None)},
                notes=seen,
                remark=remark,
            )
        finally:
            targets.close()


ROWS = [
    Row(
        name=f"echo delay p99, forged {kind}",
        unit="ms",
        bars={"no flood": 5.0},
        prepare=partial(_flood, kind),
        rounds=1,
        micro=False,
        difference=True,
    )
    for kind in KINDS
]
