"""Ids that nobody can guess and no two calls share: row K4.

`Endpoint` hands the ids out and draws again on a collision. A million whole sessions
would take minutes, most of it SDP, so for these a session is only what draws a
password, and the endpoint is the real one.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable

import pytest

import rtcproto.endpoint.endpoint as endpoint_module
from rtcproto.config import RoutingConfig, SessionConfig
from rtcproto.datagram import Datagram
from rtcproto.endpoint import Endpoint
from rtcproto.endpoint.endpoint import MAX_UFRAG_DRAWS
from rtcproto.errors import UsageError
from rtcproto.events import CloseReason, Event, SessionClosed
from rtcproto.session.negotiation import Negotiation
from rtcproto.testing import World
from tests.support.calls import CODEC, Scene, identity

ROUTING = RoutingConfig(codec=CODEC, cluster=0, owner=1, epoch=0)

# Random bytes of a routed ufrag.
NONCE = 3


class Bare:
    """What is left of a session that has no peer: credentials, and an end."""

    __slots__ = ("_closed", "_credentials")

    def __init__(self, config: SessionConfig, unix_time: float, now: float, *, ufrag: str) -> None:
        del unix_time, now
        self._credentials = Negotiation(config, ufrag, 0).credentials
        self._closed = False

    def accept_offer(self, offer: str, now: float) -> str:
        """The credentials as the answer."""
        del offer, now
        return f"{self._credentials.ufrag} {self._credentials.pwd}"

    def close(self, now: float) -> None:
        """It is over."""
        del now
        self._closed = True

    def datagrams_to_send(self) -> list[Datagram]:
        """None."""
        return []

    def next_events(self) -> list[Event]:
        """Its end, once it is over."""
        return [SessionClosed(reason=CloseReason.LOCAL)] if self._closed else []

    def get_timer(self) -> None:
        """No deadline."""


def bare_endpoint(
    monkeypatch: pytest.MonkeyPatch, sessions: int, entropy: Callable[[int], bytes]
) -> Endpoint:
    """An endpoint with routed ufrags for so many bare sessions."""
    monkeypatch.setattr(endpoint_module, "Session", Bare)
    scene = Scene(
        session={"entropy": entropy},
        routing=ROUTING,
        max_sessions=sessions,
        max_connecting=sessions,
    )
    return scene.endpoint


def all_different(monkeypatch: pytest.MonkeyPatch, sessions: int) -> int:
    """Open so many sessions, none of which ends; returns how often a ufrag was taken already."""
    source, draws = World(4).entropy("ids"), 0

    def counted(size: int) -> bytes:
        nonlocal draws
        draws += size == NONCE
        return source(size)

    endpoint = bare_endpoint(monkeypatch, sessions, counted)
    ids: set[str] = set()
    ufrags: set[str] = set()
    passwords: set[str] = set()
    for _ in range(sessions):
        session_id, answer = endpoint.accept_offer("", 0.0)
        ufrag, password = answer.split()
        assert (len(ufrag), len(password), len(session_id)) == (23, 32, 32)
        ids.add(session_id)
        ufrags.add(ufrag)
        passwords.add(password)
    assert len(ids) == len(ufrags) == len(passwords) == len(endpoint) == sessions
    return draws - sessions


def test_k4_no_two_sessions_share_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ufrag, password and id of each of 5,000 sessions at once are its own."""
    all_different(monkeypatch, 5_000)


@pytest.mark.threats
def test_k4_no_two_sessions_share_an_id_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000,000 at once: with 24 random bits each, thousands of ufrags were taken when drawn."""
    assert all_different(monkeypatch, 1_000_000) > 20_000


def whole_sessions(sessions: int, routing: RoutingConfig | None) -> None:
    """Real sessions come and go, a hundred at a time; lengths as RFC 8839 section 5.4 asks."""
    scene = Scene(max_sessions=200, max_connecting=200, routing=routing)
    offer = scene.client().machine.create_offer(scene.world.now)
    seen: set[str] = set()
    live: list[str] = []
    for _ in range(sessions):
        session_id, answer = scene.endpoint.accept_offer(offer, scene.world.now)
        (ufrag,) = set(re.findall(r"a=ice-ufrag:(\S+)", answer))
        (password,) = set(re.findall(r"a=ice-pwd:(\S+)", answer))
        # 24 and 128 random bits at least; base64 carries 6 in each character.
        assert len(ufrag) * 6 >= 24
        assert len(base64.b64decode(password)) * 8 >= 128
        assert len(bytes.fromhex(session_id)) * 8 >= 128
        assert not seen & {session_id, password}
        seen |= {session_id, password}
        live.append(session_id)
        if len(live) > 100:
            scene.endpoint.close_session(live.pop(0), scene.world.now)
            scene.endpoint.datagrams_to_send()
            scene.endpoint.next_events()
        # A routed ufrag of 24 random bits comes back after thousands, once it is free.
        assert len(scene.endpoint._by_ufrag) == len(live)


ROUTED = pytest.mark.parametrize("routing", [None, ROUTING], ids=["plain", "routed"])


@ROUTED
def test_k4_ids_are_long_and_distinct(routing: RoutingConfig | None) -> None:
    """Lengths of ufrag, password and id; no two alike in 300 whole sessions."""
    whole_sessions(300, routing)


@pytest.mark.threats
@ROUTED
def test_k4_ids_are_long_and_distinct_full(routing: RoutingConfig | None) -> None:
    """5,000 whole sessions."""
    whole_sessions(5_000, routing)


def test_k4_ufrags_are_drawn_again_when_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that knows 4,096 nonces: 2,500 live sessions, each with a ufrag of its own.

    What a session leaves behind may be drawn again.
    """
    random = World(7).rng("few")

    def few(size: int) -> bytes:
        return random.randrange(4096).to_bytes(size, "big") if size == NONCE else os.urandom(size)

    endpoint = bare_endpoint(monkeypatch, 2_500, few)
    opened = [endpoint.accept_offer("", 0.0) for _ in range(2_500)]
    assert len({answer.split()[0] for _, answer in opened}) == 2_500
    for session_id, _ in opened[:2_000]:
        endpoint.close_session(session_id, 0.0)
    again = {endpoint.accept_offer("", 0.0)[1].split()[0] for _ in range(2_000)}
    assert len(again | {answer.split()[0] for _, answer in opened[2_000:]}) == 2_500
    assert again & {answer.split()[0] for _, answer in opened[:2_000]}


def test_k4_a_source_that_repeats_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Always the same bytes: the second session fails, and is not one, after a few draws."""
    draws: list[int] = []

    def stuck(size: int) -> bytes:
        draws.append(size)
        return bytes(size)

    endpoint = bare_endpoint(monkeypatch, 10, stuck)
    endpoint.accept_offer("", 0.0)
    draws.clear()
    with pytest.raises(UsageError, match="entropy"):
        endpoint.accept_offer("", 0.0)
    assert draws == [NONCE] * MAX_UFRAG_DRAWS
    assert len(endpoint) == 1


def test_k4_the_default_source_is_the_operating_systems() -> None:
    """Nobody has to remember to ask for good randomness."""
    assert SessionConfig(identity=identity("server")).entropy is os.urandom
