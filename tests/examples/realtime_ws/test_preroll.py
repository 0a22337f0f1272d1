"""Which frames belong to the turn that is being said."""

from __future__ import annotations

from examples.transceiver.realtime_ws.preroll import MAX_LIVE, Preroll
from tests.examples.realtime_ws.room import frames


def test_the_padding_is_kept_and_a_second() -> None:
    """A turn that begins within it is there from its beginning; an older one is not."""
    preroll = Preroll()
    preroll.configure({"prefix_padding_ms": 500})
    given = frames(500)
    for frame in given:
        assert not preroll.take(frame)
    assert preroll.begin(10_000 - 1540) is None
    assert preroll.begin(10_000 - 1500) == given[-75:]


def test_a_turn_is_whole_only_with_its_beginning() -> None:
    """The end of another one says that what was sent is not what is meant."""
    preroll = Preroll()
    preroll.take(frames(1)[0])
    assert preroll.begin(0) == frames(1)
    assert preroll.take(frames(1, 1)[0])
    assert preroll.end(0)
    assert not preroll.take_stale()
    assert not preroll.end(0)
    preroll.begin(0)
    assert not preroll.end(20)
    assert preroll.take_stale()
    assert not preroll.take_stale()


def test_a_turn_that_never_ended() -> None:
    """Another begins: what was sent is to be forgotten."""
    preroll = Preroll()
    preroll.take(frames(1)[0])
    preroll.begin(0)
    preroll.begin(10)
    assert preroll.take_stale()


def test_noise_without_an_end() -> None:
    """After some minutes it is no turn."""
    preroll = Preroll()
    preroll.begin(0)
    count = MAX_LIVE // 960
    for frame in frames(count):
        preroll.take(frame)
    assert not preroll.endless
    preroll.take(frames(1, count)[0])
    assert preroll.endless


def test_nobody_looks_for_turns_any_more() -> None:
    """It matters only to a turn that is being said."""
    preroll = Preroll()
    assert not preroll.configure(None)
    preroll.begin(0)
    assert preroll.configure(None)
    assert not preroll.configure({"prefix_padding_ms": 300})
