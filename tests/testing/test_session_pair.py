"""A whole call in a few lines."""

import pytest

from rtcproto.events import Connected, SessionClosed
from rtcproto.testing import PRESETS, LawBroken, LinkConfig, Nat, SessionPair, World


@pytest.mark.parametrize("profile", sorted(PRESETS))
def test_a_call_works_on_every_profile(profile: str) -> None:
    """Connects, is heard but for what the link lost, and ends on both sides."""
    call = SessionPair(World(5), PRESETS[profile])
    call.connect()
    sent = call.talk(50)
    call.run_for(2.0)
    heard = call.heard(call.server)
    assert set(heard) <= set(sent)
    assert len(heard) >= 25
    call.client.close(call.now)
    call.run_for(60.0)
    assert len(call.events(call.client, SessionClosed)) == 1
    assert len(call.events(call.server, SessionClosed)) == 1


def test_fields_and_nat_are_passed_on() -> None:
    """Settings go to the side they name; behind a NAT the server sees its public address."""
    nat = Nat("203.0.113.1")
    call = SessionPair(World(1), LinkConfig(), nat=nat, server={"cname": "somebody"})
    call.connect()
    assert call.events(call.server, Connected)[0].remote[0] == "203.0.113.1"
    assert "cname:somebody" in (call.server.local_description or "")


def test_a_session_that_talks_on_breaks_a_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """The closing event is final, and the pair holds both sides to that."""
    call = SessionPair(World(1))
    call.connect()
    call.client.close(call.now)
    call.run_for(1.0)
    call.client._planes.events.append(call.events(call.client, Connected)[0])
    with pytest.raises(LawBroken, match="after its closing event"):
        call.run_for(1.0)
