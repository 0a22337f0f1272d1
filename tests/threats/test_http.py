"""What attacks on the HTTP side leave behind: row H4 where it is about calls, not sockets.

The rest of the row is in `tests/examples` (bodies, tokens) and `tests/e2e/test_http.py`
(real sockets, 10,000 requests).
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

from examples.transceiver.auth import Caller
from examples.transceiver.callid import CallId
from examples.transceiver.register import Limits, Register
from rtcproto.events import CloseReason, SessionClosed
from tests.support.calls import Scene
from tests.support.contract import footprint

OWNER = CallId(0, 0, 0, "")

# Seconds within which an offer that nobody follows up is forgotten, by the threat's row.
ABANDONED = 20.0


class SceneCall:
    """A call of a scene; never connected."""

    connected = False


class SceneCalls:
    """A `CallTable` on an endpoint in virtual time, as far as a register asks."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.live: dict[CallId, SceneCall] = {}

    def create(
        self, offer: str, session: Mapping[str, Any] | None, owner_key: str | None
    ) -> tuple[CallId, str]:
        """Answer an offer."""
        session_id, answer = self.scene.endpoint.accept_offer(offer, self.scene.world.now)
        call_id = OWNER.of(session_id)
        self.live[call_id] = SceneCall()
        return call_id, answer

    def find(self, call_id: CallId) -> Any:
        """The live call."""
        return self.live.get(call_id)

    def hang_up(self, call_id: CallId) -> None:
        """End it."""
        self.scene.endpoint.close_session(call_id.session, self.scene.world.now)

    def collect(self) -> list[CloseReason]:
        """Let go of the calls that are over, and say why they are."""
        over = [(i, e) for i, e in self.scene.endpoint.next_events() if type(e) is SessionClosed]
        for session_id, _ in over:
            del self.live[OWNER.of(session_id)]
        self.scene.endpoint.datagrams_to_send()
        return [event.reason for _, event in over]


def test_h4_a_thousand_abandoned_offers() -> None:
    """Threat H4: 1,000 offers that nobody follows up are gone in 20 s, and so is their memory."""
    scene = Scene(max_sessions=2000, max_connecting=1500)
    calls = SceneCalls(scene)
    register = Register(calls, Limits(per_key=9000, per_secret=10, per_source=9000))
    offer = scene.client().machine.create_offer(scene.world.now)
    caller = Caller(key="source 192.0.2.1", token="source 192.0.2.1")

    def wave() -> list[CloseReason]:
        began = scene.world.now
        for _ in range(1000):
            register.admit(caller)
            call_id, _ = calls.create(offer, None, caller.key)
            register.add(call_id, caller)
        reasons: list[CloseReason] = []
        now = began
        while (due := scene.endpoint.get_timer()) is not None and due <= began + ABANDONED:
            now = max(now, due)
            scene.endpoint.handle_timer(now)
            reasons += calls.collect()
        scene.world.run_for(began + ABANDONED - scene.world.now)
        return reasons + calls.collect()

    assert wave() == [CloseReason.NO_CHECK] * 1000
    assert scene.endpoint.endpoint_stats().sessions == 0
    gc.collect()
    before = footprint(scene.endpoint) + footprint(register._entries)
    assert wave() == [CloseReason.NO_CHECK] * 1000
    assert scene.endpoint.endpoint_stats().sessions == 0
    gc.collect()
    after = footprint(scene.endpoint) + footprint(register._entries)
    # What is left of the first wave is there, and no more comes with another.
    assert after <= 1.05 * before
