"""Two sessions and the path between them: a whole call in a few lines.

The first one is a full client that offers, the second a lite server that
answers, as a browser and a transceiver would be.
"""

from __future__ import annotations

from typing import Any, TypeVar

from rtcproto.config import SessionConfig
from rtcproto.dtls import Identity
from rtcproto.events import AudioReceived, Connected, Event, SessionClosed
from rtcproto.session import Session
from rtcproto.testing.link import LinkConfig
from rtcproto.testing.nat import Nat
from rtcproto.testing.pair import FIRST_ADDRESS, SECOND_ADDRESS, Pair
from rtcproto.testing.presets import PERFECT
from rtcproto.testing.world import World

__all__ = ["UNIX_TIME", "SessionPair"]

# Wall time at the start of every simulated call: 2026-01-01, 00:00 UTC.
UNIX_TIME = 1_767_225_600.0

_E = TypeVar("_E", bound=Event)


class SessionPair(Pair[Session, Session]):
    """A client at `FIRST_ADDRESS`, behind `nat` if given, and a server at `SECOND_ADDRESS`.

    `client` and `server` are `SessionConfig` fields to set beside the defaults
    (`identity`, `addresses` and `entropy` among them).
    """

    __slots__ = ("client", "server")

    def __init__(
        self,
        world: World,
        config: LinkConfig = PERFECT,
        back: LinkConfig | None = None,
        *,
        nat: Nat | None = None,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
    ) -> None:
        self.client = Session(
            SessionConfig(
                **{
                    "identity": Identity.generate(UNIX_TIME),
                    "addresses": (FIRST_ADDRESS,),
                    "ice_lite": False,
                    "entropy": world.entropy("client"),
                    **(client or {}),
                }
            ),
            UNIX_TIME,
            world.now,
        )
        self.server = Session(
            SessionConfig(
                **{
                    "identity": Identity.generate(UNIX_TIME),
                    "addresses": (SECOND_ADDRESS,),
                    "entropy": world.entropy("server"),
                    **(server or {}),
                }
            ),
            UNIX_TIME,
            world.now,
        )
        super().__init__(world, self.client, self.server, config, back, nat=nat)
        self.first.final = self.second.final = _is_final

    def describe(self) -> None:
        """Exchange offer and answer, without any delay."""
        answer = self.server.accept_offer(self.client.create_offer(self.now), self.now)
        self.client.accept_answer(answer, self.now)

    def connect(self, limit: float = 35.0) -> float:
        """Describe and run until both are connected; the virtual seconds that took."""
        self.describe()
        started = self.now
        self.run_until(
            lambda: self.events(self.client, Connected) and self.events(self.server, Connected),
            limit,
        )
        return self.now - started

    def talk(self, packets: int, interval: float = 0.02) -> list[bytes]:
        """Let the client send numbered Opus packets, one per `interval`; returns them."""
        sent = []
        for number in range(packets):
            # Configuration 31, mono, one frame: 20 ms of CELT, told apart by a number.
            payload = b"\xf8" + number.to_bytes(4, "big") + bytes(75)
            self.client.send_audio(payload, self.now)
            sent.append(payload)
            self.run_for(interval)
        return sent

    def heard(self, session: Session) -> list[bytes]:
        """The payloads that `session` received, in order of arrival."""
        return [event.payload for event in self.events(session, AudioReceived)]

    def events(self, session: Session, kind: type[_E]) -> list[_E]:
        """The events of one kind that `session` reported, in order."""
        host = self.first if session is self.client else self.second
        return [event for _, event in host.events if isinstance(event, kind)]


def _is_final(event: Event) -> bool:
    return isinstance(event, SessionClosed)
