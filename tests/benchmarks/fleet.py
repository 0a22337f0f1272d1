"""Many clients of ours in one loop: what loads the servers of the session rows.

Sessions of the library, each with its own socket, driven by hand: packets leave evenly
spaced over a frame's 20 ms, as those of callers who know nothing of one another do.
"""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Callable, Sequence

from rtcproto import Identity, Session, SessionConfig
from rtcproto.events import AudioReceived, Connected, SessionClosed
from rtcproto.srtp import Profile

__all__ = ["FRAME", "Fleet"]

FRAME = 0.02  # seconds per packet
SAMPLES = 960
# One 20 ms Opus packet of the size of a voice call: configuration 15 (hybrid, full band).
PAYLOAD = b"\x78" + bytes(79)
# Sessions that are set up at the same time.
AT_ONCE = 20


class Fleet:
    """`count` sessions with whoever `answer`s their offers. Connected when made."""

    def __init__(
        self,
        count: int,
        profiles: Sequence[Profile],
        answer: Callable[[str], str],
        channels: bool = False,
    ) -> None:
        _allow_files(count + 100)
        self.echoes = 0
        # Whether each session opens a data channel and says a word on it.
        self._channels = channels
        self.sessions: list[tuple[Session, socket.socket]] = []
        self._identity = Identity.generate(time.time())
        self._profiles = tuple(profiles)
        self._by_descriptor: dict[int, tuple[Session, socket.socket]] = {}
        self._connected: set[int] = set()
        self._sent: list[int] = []
        self._poll = select.epoll()
        self._timers_at = 0.0
        self.add(count, answer)

    def add(self, count: int, answer: Callable[[str], str]) -> None:
        """More sessions."""
        wanted = len(self.sessions) + count
        while len(self.sessions) < wanted:
            for _ in range(min(AT_ONCE, wanted - len(self.sessions))):
                self._open(answer)
            deadline = time.monotonic() + 30
            while len(self._connected) < len(self.sessions):
                self.step(0.0)
                if time.monotonic() > deadline:
                    raise AssertionError("sessions do not connect")
        if self._channels:
            self._open_channels(self.sessions[wanted - count :])

    def talk(self, seconds: float, interval: float = FRAME) -> int:
        """Send a packet every `interval` seconds in every session; returns how many were sent."""
        sessions, sent = self.sessions, 0
        gap = interval / len(sessions)
        start = now = time.monotonic()
        while now < start + seconds:
            while sent * gap <= now - start:
                number = sent % len(sessions)
                session, sock = sessions[number]
                timestamp = self._sent[number] * SAMPLES
                session.send_audio(self.payload(now), now, timestamp=timestamp, level=30)
                self._sent[number] += 1
                sent += 1
                _flush(session, sock)
            self.step(0.0002)
            now = time.monotonic()
        return sent

    def settle(self, seconds: float) -> None:
        """Only receive and keep the sessions alive."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step(0.001)

    def payload(self, now: float) -> bytes:
        """What to say in the next packet."""
        del now
        return PAYLOAD

    def heard(self, payload: bytes, now: float) -> None:
        """What came back."""
        del payload, now
        self.echoes += 1

    def step(self, rest: float) -> None:
        """Take what has come, after `rest` seconds if nothing has, and serve the timers."""
        ready = self._poll.poll(0)
        if not ready and rest:
            # epoll's own timeout counts in milliseconds.
            time.sleep(rest)
        now = time.monotonic()
        for descriptor, _ in ready:
            session, sock = self._by_descriptor[descriptor]
            try:
                data, source = sock.recvfrom(2048)
            except OSError:
                continue
            session.receive_datagram(data, source, now)
            _flush(session, sock)
            for event in session.next_events():
                if isinstance(event, AudioReceived):
                    self.heard(event.payload, now)
                elif isinstance(event, Connected):
                    self._connected.add(descriptor)
                elif isinstance(event, SessionClosed):
                    raise AssertionError(f"a session ended: {event}")
        if now >= self._timers_at:
            self._timers_at = now + 0.005
            for session, sock in self.sessions:
                deadline = session.get_timer()
                if deadline is not None and deadline <= now:
                    session.handle_timer(now)
                    _flush(session, sock)

    def close(self) -> None:
        """Leave without a word."""
        self._poll.close()
        for _, sock in self.sessions:
            sock.close()

    def _open_channels(self, sessions: list[tuple[Session, socket.socket]]) -> None:
        opened = []
        for session, sock in sessions:
            opened.append((session, session.open_channel("bench", time.monotonic()), sock))
            _flush(session, sock)
            self.step(0.0)
        self.settle(1.0)  # who needs a handshake of SCTP has had it
        for session, channel, sock in opened:
            session.send_message(channel, "hello", time.monotonic())
            _flush(session, sock)
            self.step(0.0)
        self.settle(0.5)

    def _open(self, answer: Callable[[str], str]) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        config = SessionConfig(
            identity=self._identity,
            addresses=(sock.getsockname(),),
            ice_lite=False,
            allow_loopback=True,
            srtp_profiles=self._profiles,
        )
        now = time.monotonic()
        session = Session(config, time.time(), now)
        self.sessions.append((session, sock))
        self._sent.append(0)
        self._by_descriptor[sock.fileno()] = session, sock
        self._poll.register(sock.fileno(), select.EPOLLIN)
        session.accept_answer(answer(session.create_offer(now)), time.monotonic())
        _flush(session, sock)


def _flush(session: Session, sock: socket.socket) -> None:
    for datagram in session.datagrams_to_send():
        try:
            sock.sendto(datagram.data, datagram.destination)
        except OSError:
            continue


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
