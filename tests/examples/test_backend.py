"""The interface between a call and its backend."""

from __future__ import annotations

from typing import get_args

import attrs
import pytest

from examples.transceiver import backend
from examples.transceiver.backend import (
    AudioFrame,
    BackendEvent,
    ResponseAudio,
    Turn,
)


@pytest.mark.parametrize("kind", get_args(BackendEvent))
def test_events_are_values(kind: type) -> None:
    """An event that was emitted cannot change under whoever still holds it."""
    fields = [field.name for field in attrs.fields(kind)]
    event = kind(*["x"] * len(fields))
    assert event == kind(*["x"] * len(fields))
    assert event != kind(*["y"] * len(fields))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(event, fields[0], "y")
    assert kind.__name__ in backend.__all__


def test_reprs_show_no_audio() -> None:
    """A log line about a turn is a line, and holds nothing of what was said."""
    frame = AudioFrame(b"\x0bsecret", 960, 960, 30, True)
    turn = Turn("item_1", (frame,) * 3000, 0, 60_000)
    shown = repr((frame, turn, ResponseAudio("resp_1", b"\x0bsecret")))
    assert "secret" not in shown
    assert "<7 bytes>" in shown
    assert "<3000 frames>" in shown
    assert len(shown) < 300
