"""Ten thousand callers at one endpoint, cheap enough to be left alone in any state.

`tests.support.calls` plays each caller as a whole session, which costs as much as
the endpoint's own. Here a caller is an address, two keys and a few datagrams made by
hand: all send the same offer and say the same. The endpoint and its sessions are the real ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from rtcproto.config import EndpointConfig, SessionConfig
from rtcproto.datagram import Address
from rtcproto.demux import Kind, classify
from rtcproto.endpoint import Endpoint, SessionId
from rtcproto.events import Event
from rtcproto.session import Session
from rtcproto.srtp import Profile, SrtpSender, split_keying_material
from rtcproto.stun import Attribute, RequestTemplate, ShortTermKey, SuccessTemplate
from rtcproto.testing import World
from rtcproto.testing.session_pair import UNIX_TIME
from tests.support.calls import OPUS, SERVER, identity

__all__ = ["Caller", "Crowd"]

# Of the offer that all callers send.
UFRAG, PASSWORD = "caller", "the+password+of+every+caller"

START = 1000.0

# Turns that a conversation may take without a deadline in between.
ROUNDS = 8


@attrs.define(slots=True, eq=False)
class Caller:
    """One caller: where it is, and what it needs to make itself understood."""

    id: SessionId
    address: Address
    check: RequestTemplate


class Crowd:
    """An endpoint with callers, on a clock of its own. `session` are settings of the endpoint.

    No caller has DTLS of its own: `reply` is told what they say, and who talks uses `keys`.
    """

    def __init__(self, size: int, **session: Any) -> None:
        self.now = START
        world = World(1)
        settings: dict[str, Any] = {
            "identity": identity("server"),
            "addresses": (SERVER,),
            "entropy": world.entropy("endpoint"),
            **session,
        }
        config = EndpointConfig(
            session=SessionConfig(**settings), max_sessions=size, max_connecting=size
        )
        self.endpoint = Endpoint(config, UNIX_TIME, self.now)
        self.callers: dict[Address, Caller] = {}
        self.events: list[tuple[SessionId, Event]] = []
        self._entropy = world.entropy("callers")
        self._answers = SuccessTemplate(ShortTermKey(PASSWORD))
        self._offer = _offer(world)

    # What callers do

    def call(self) -> Caller:
        """One more caller: the offer is answered, nothing is sent yet."""
        session_id, answer = self.endpoint.accept_offer(self._offer, self.now)
        (ufrag,) = set(re.findall(r"a=ice-ufrag:(\S+)", answer))
        (password,) = set(re.findall(r"a=ice-pwd:(\S+)", answer))
        number = len(self.callers)
        address = (f"192.0.2.{1 + number // 50_000}", 10_000 + number % 50_000)
        check = RequestTemplate(
            f"{ufrag}:{UFRAG}",
            ShortTermKey(password),
            [(Attribute.PRIORITY, 1), (Attribute.ICE_CONTROLLING, 1), _NOMINATION],
        )
        self.callers[address] = caller = Caller(session_id, address, check)
        return caller

    def check(self, caller: Caller) -> None:
        """A fresh check that nominates."""
        self.say(caller, caller.check.build(self._entropy(12)))

    def say(self, caller: Caller, data: bytes) -> None:
        """A datagram of a caller's."""
        self.endpoint.receive_datagram(data, caller.address, self.now)

    def reply(self, *, answers: bool, dtls: Callable[[bytes], bytes]) -> None:
        """Let callers react to the endpoint, at this instant, until there is silence.

        They answer checks if `answers`; `dtls` says what they make of a DTLS packet,
        nothing if it is empty.
        """
        for _ in range(ROUNDS):
            datagrams = self.endpoint.datagrams_to_send()
            for datagram in datagrams:
                caller, data = self.callers[datagram.destination], datagram.data
                kind = classify(data)
                if kind is Kind.STUN and answers and data[:2] == b"\0\1":
                    self.say(caller, self._answers.build(data[8:20], SERVER))
                elif kind is Kind.DTLS and (packet := dtls(data)):
                    self.say(caller, packet)
            if not datagrams:
                return
        raise AssertionError("the endpoint talks without end")

    def talk(self, packets: int, keys: bytes) -> None:
        """Every caller says so many packets: with the same keys, the same ones."""
        profile = Profile.AEAD_AES_128_GCM
        ours, _ = split_keying_material(profile, keys, is_client=False)
        sender = SrtpSender(profile, ours)
        spoken = [sender.protect(_rtp(number)) for number in range(packets)]
        for caller in self.callers.values():
            for packet in spoken:
                self.say(caller, packet)

    # What time does

    def silence(self, seconds: float) -> None:
        """Nobody is there any more; what the endpoint sends is lost."""
        end = self.now + seconds
        while (deadline := self.endpoint.get_timer()) is not None and deadline <= end:
            # A deadline that is due once more in the same instant would spin for ever.
            assert deadline > self.now or self.now == START, "a deadline in the past, twice"
            self.now = max(self.now, deadline)
            self.endpoint.handle_timer(self.now)
            self.endpoint.datagrams_to_send()
            self.drain()
        self.now = end
        self.drain()

    def drain(self) -> None:
        """Note the events."""
        self.events += self.endpoint.next_events()


_NOMINATION = (Attribute.USE_CANDIDATE, True)


def _offer(world: World) -> str:
    """What a client of ours offers, with the credentials of all callers in it."""
    config = SessionConfig(
        identity=identity("client"),
        addresses=(("192.0.2.1", 5000),),
        ice_lite=False,
        entropy=world.entropy("offer"),
    )
    offer = Session(config, UNIX_TIME, 0.0, ufrag=UFRAG).create_offer(0.0)
    return re.sub(r"a=ice-pwd:\S+", f"a=ice-pwd:{PASSWORD}", offer)


def _rtp(number: int) -> bytes:
    head = b"\x80\x6f" + number.to_bytes(2, "big") + (960 * number).to_bytes(4, "big")
    return head + b"talk" + OPUS + bytes(60)
