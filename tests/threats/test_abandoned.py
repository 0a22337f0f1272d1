"""Ten thousand sessions left in each of 9 states: row P4 at its full size.

`test_process` has the same states with whole clients and the real DTLS, a few sessions each.
Here the callers are those of `tests.support.crowd`. Where a state is beyond the
handshake, DTLS is the stand-in of the fuzz scenes; before its end it is the real one.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import attrs
import pytest

from fuzz.fake_dtls import HELLO, KEYS, REPLY, FakeDtls
from rtcproto.demux import Kind, classify
from rtcproto.dtls import Dtls, DtlsConfig, Role
from rtcproto.dtls.engine import Engine
from rtcproto.events import AudioReceived, CloseReason, Connected, SessionClosed
from rtcproto.ice import IceLite
from rtcproto.sdp import Setup
from rtcproto.session import Session, transport
from tests.support.calls import identity
from tests.support.contract import footprint
from tests.support.crowd import Caller, Crowd
from tests.support.living import alive, apart

# Packets that each caller of the state "talking" says.
SPOKEN = 3


def complete(data: bytes) -> bytes:
    """The other half of the stand-in's handshake."""
    return REPLY if data == HELLO else b""


def ignore(data: bytes) -> bytes:
    """No DTLS ever."""
    del data
    return b""


def leave_offered(crowd: Crowd, size: int) -> None:
    """Our own offer, never answered."""
    for _ in range(size):
        crowd.endpoint.create_offer(crowd.now)


def leave_answered(crowd: Crowd, size: int) -> None:
    """Answered, and nobody checks."""
    for _ in range(size):
        crowd.call()


def leave_validated(crowd: Crowd, size: int) -> None:
    """Checked once; our requests and flights go unanswered."""
    checked(crowd, size)
    crowd.reply(answers=False, dtls=ignore)


def leave_proven_without_dtls(crowd: Crowd, size: int) -> None:
    """The path is proven, DTLS never comes."""
    checked(crowd, size)
    crowd.reply(answers=True, dtls=ignore)


def leave_in_the_handshake(crowd: Crowd, size: int) -> None:
    """The first flight comes and is answered; the second does not."""
    client = Dtls(
        DtlsConfig(identity=identity("client")),
        Role.CLIENT,
        [identity("server").fingerprint],
        crowd.now,
        bytes,
    )
    client.start(crowd.now)
    (hello,) = client.packets_to_send()
    for caller in checked(crowd, size):
        crowd.say(caller, hello)
    flights = [d for d in crowd.endpoint.datagrams_to_send() if classify(d.data) is Kind.DTLS]
    assert len({d.destination for d in flights}) == size


def leave_without_a_path(crowd: Crowd, size: int) -> None:
    """DTLS ends well but the path is never proven."""
    checked(crowd, size)
    crowd.reply(answers=False, dtls=complete)


def leave_connected(crowd: Crowd, size: int) -> None:
    """Connected, never a packet."""
    checked(crowd, size)
    crowd.reply(answers=True, dtls=complete)


def leave_talking(crowd: Crowd, size: int) -> None:
    """In the middle of talk."""
    leave_connected(crowd, size)
    crowd.talk(SPOKEN, KEYS)
    crowd.endpoint.datagrams_to_send()
    crowd.drain()
    assert sum(type(event) is AudioReceived for _, event in crowd.events) == SPOKEN * size


def leave_closing(crowd: Crowd, size: int) -> None:
    """The owner closes; the farewells get lost."""
    leave_connected(crowd, size)
    for caller in crowd.callers.values():
        crowd.endpoint.close_session(caller.id, crowd.now)
    farewells = crowd.endpoint.datagrams_to_send()
    assert len({d.destination for d in farewells}) == size


def checked(crowd: Crowd, size: int) -> list[Caller]:
    """Callers of whom a check came."""
    callers = [crowd.call() for _ in range(size)]
    for caller in callers:
        crowd.check(caller)
    return callers


@attrs.frozen(kw_only=True)
class Left:
    """What a state is, by what can be seen of each session, and how it must end."""

    leave: Callable[[Crowd, int], None]
    # (state of the session, of DTLS, a path validated, one proven), None: gone at once
    seen: tuple[str, str, bool, bool] | None
    # Whoever was checked once hears for 30 s that nobody is there.
    reason: CloseReason = CloseReason.CONSENT_EXPIRED
    dtls: type = Dtls
    setup: Setup = Setup.ACTIVE
    lite: bool = True


STATES = [
    Left(
        leave=leave_offered,
        seen=("new", "new", False, False),
        reason=CloseReason.NO_ANSWER,
        lite=False,
    ),
    Left(
        leave=leave_answered,
        seen=("connecting", "new", False, False),
        reason=CloseReason.NO_CHECK,
    ),
    Left(leave=leave_validated, seen=("connecting", "connecting", True, False)),
    Left(leave=leave_proven_without_dtls, seen=("connecting", "connecting", True, True)),
    Left(
        leave=leave_in_the_handshake,
        seen=("connecting", "connecting", True, False),
        setup=Setup.PASSIVE,
    ),
    Left(leave=leave_without_a_path, seen=("connecting", "connected", True, False), dtls=FakeDtls),
    Left(leave=leave_connected, seen=("connected", "connected", True, True), dtls=FakeDtls),
    Left(leave=leave_talking, seen=("connected", "connected", True, True), dtls=FakeDtls),
    Left(leave=leave_closing, seen=None, reason=CloseReason.LOCAL, dtls=FakeDtls),
]


KINDS = (Session, IceLite, Dtls, FakeDtls, Engine)


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage among millions of objects that live: that would be half of the work."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def seen(crowd: Crowd) -> Counter[tuple[str, str, bool, bool]]:
    """The states that sessions are in."""
    return Counter(
        (
            entry.session.state.name.lower(),
            entry.session.stats(crowd.now).transport.dtls_state,
            bool(entry.paths),
            any(entry.session.is_proven(path) for path in entry.paths),
        )
        for entry in crowd.endpoint._entries.values()
    )


def abandon(state: Left, size: int) -> None:
    """Leave sessions in a state, all at once; 60 s later nothing is left of them."""
    with apart():
        _abandon(state, size)


def _abandon(state: Left, size: int) -> None:
    with mock.patch.object(transport, "Dtls", state.dtls), uncollected():
        crowd = Crowd(size, ice_lite=state.lite, setup=state.setup)
        before = alive(*KINDS), footprint(crowd.endpoint)
        state.leave(crowd, size)
        assert seen(crowd) == ({} if state.seen is None else {state.seen: size})
        crowd.silence(60.0)
    endpoint = crowd.endpoint
    assert (len(endpoint), endpoint.get_timer()) == (0, None)
    stats = endpoint.endpoint_stats()
    assert (stats.sessions, stats.connecting) == (0, 0)
    assert stats.sessions_closed == {state.reason.name: size}
    assert sum(type(event) is SessionClosed for _, event in crowd.events) == size
    connected = sum(type(event) is Connected for _, event in crowd.events)
    assert connected == (size if state.seen is None or state.seen[0] == "connected" else 0)
    endpoint.next_events()
    tables = endpoint._paths.owners, endpoint._by_ufrag, endpoint._entries, endpoint._deadlines
    assert not any(tables)
    crowd.callers.clear()
    assert alive(*KINDS) == before[0]
    # Emptied tables of CPython keep their size: three of them, some fifty bytes per session each.
    assert footprint(endpoint) <= before[1] + 4096 + 192 * size


EACH = pytest.mark.parametrize("state", STATES, ids=lambda state: state.leave.__name__)


@EACH
def test_p4_a_crowd_goes(state: Left) -> None:
    """In each of 9 states: gone within 60 s, and every object with them (50 sessions at once)."""
    abandon(state, 50)


@pytest.mark.threats
@EACH
def test_p4_a_crowd_goes_full(state: Left) -> None:
    """10,000 sessions at once in each state."""
    abandon(state, 10_000)
