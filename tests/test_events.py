"""What applications see."""

from __future__ import annotations

from typing import get_args

import attrs

from rtcproto import events
from rtcproto.events import AudioReceived, CloseReason, Event, SessionClosed


def test_the_union_is_every_event() -> None:
    """A `match` over `Event` that is complete stays complete."""
    classes = {
        getattr(events, name) for name in events.__all__ if name not in {"CloseReason", "Event"}
    }
    assert set(get_args(Event)) == classes


def test_audio_shows_no_payload() -> None:
    """K2: what people say does not end up in logs; its length does."""
    event = AudioReceived(b"private words", 960, 1, 20, True, False, 7, 1000.0)
    assert "private" not in repr(event)
    assert "13 bytes" in repr(event)


def test_close_reasons_are_sentences() -> None:
    """Each is different and readable; the default detail says nothing."""
    assert len({reason.value for reason in CloseReason}) == len(CloseReason)
    assert all(len(reason.value.split()) >= 3 for reason in CloseReason)
    assert SessionClosed(reason=CloseReason.PEER).detail == ""


def test_events_are_values() -> None:
    """Equal by content, so that tests and logs can compare them."""
    for kind in get_args(Event):
        assert attrs.has(kind)
    first = AudioReceived(b"x", 960, 1, None, None, True, 7, 1000.0)
    assert first == AudioReceived(b"x", 960, 1, None, None, True, 7, 1000.0)
    assert first != AudioReceived(b"y", 960, 1, None, None, True, 7, 1000.0)
