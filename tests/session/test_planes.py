"""The pump between the planes; whole sessions are in `test_session`."""

from rtcproto import Connected, SessionClosed, SessionState
from rtcproto.events import CloseReason
from rtcproto.testing import SessionPair, World
from tests.support.calls import identity


def described() -> SessionPair:
    """A pair that knows each other's description."""
    fields = {"identity": identity("any")}
    pair = SessionPair(World(5), client=fields, server=fields)
    pair.describe()
    return pair


def test_connected_needs_keys_and_a_proven_path() -> None:
    """Gate order: neither alone lets audio through."""
    pair = described()
    planes = pair.server._planes
    while pair.server.state is SessionState.CONNECTING:
        assert planes.connected is None
        assert planes.media.profile is None or planes.transport.selected_path is None
        pair.world.run_for(0.001)
    assert planes.media.profile is not None
    assert planes.transport.selected_path is not None
    assert isinstance(planes.connected, Connected)


def test_the_end_is_final() -> None:
    """`SessionClosed` comes once, last, whoever ends the session how often."""
    pair = described()
    pair.run_for(1.0)
    planes = pair.server._planes
    planes.finish(CloseReason.LOCAL, pair.now)
    planes.finish(CloseReason.PEER, pair.now)
    closed = [event for event in planes.events if isinstance(event, SessionClosed)]
    assert [event.reason for event in closed] == [CloseReason.LOCAL]
    assert planes.events[-1] is closed[0]
